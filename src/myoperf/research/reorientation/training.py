"""The training and judging of MS-ST-UNet, its ablations and its peers, all alike (paper 003, equations 7 to 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.geometry import index_from_lps, transform_points
from myoperf.lv.sampling import normalise, sample_at
from myoperf.research.lv_network.cases import Case
from myoperf.research.lv_network.losses import (
    dice_loss,
    rotation_loss,
    segmentation_loss,
    threshold_loss,
    translation_loss,
)
from myoperf.research.reorientation.ms_st_unet import MSSTUNet
from myoperf.research.reorientation.nn_unet import NNUNet, compound_loss
from myoperf.research.reorientation.nn_unet_augmentation import augment_as_nn_unet
from myoperf.research.reorientation.omega_net import OmegaNet
from myoperf.research.reorientation.output import LVOutput, labels_for
from myoperf.research.reorientation.pose import euler_from_matrix, sample_in_pose

__all__ = ["Batch", "Field", "Recipe", "Steadied", "mean_pose", "see", "train_network"]


@dataclass(frozen=True)
class Field:
    """The cube that the networks see, about the middle of the volume.

    Parameters
    ----------
    side
        Voxels of a side.
    voxel_mm
        Side of a voxel.
    """

    side: int
    voxel_mm: float

    @property
    def half_mm(self) -> float:
        """Half of the cube's side: the unit of translations."""
        return 0.5 * self.side * self.voxel_mm


@dataclass(frozen=True)
class Steadied:
    """What keeps a short training of pose and masks together steady; the paper has none of it.

    As written, the masks are held against the truth in the *true* pose while the network sees the volume in the pose
    *found*: as long as that is off by more than the wall is thick, the masks learn nothing (the pool may vanish for
    good), and a mask that is right for what is seen counts as wrong. And the gradient of Euler angles is without bound
    near beta = -90 degrees, which these hearts reach. And overlap alone has no gradient left for a class once its
    probability is nought everywhere, which a tenth of a percent of a volume easily comes to.

    Parameters
    ----------
    given
        Part of the iterations, at the start, in which the masks are made in the true pose; all of them for a
        network trained apart. The localiser learns from the start.
    pose_first, pose_batch, pose_rate
        Iterations before these on the pose alone, volumes in each, and their rate of learning: a pose needs far more
        volumes than a mask, and costs far less for each.
    entropy
        Weight of the cross-entropy added to the overlap, for every network: enough to bring a vanished class back. At
        1 it taught pools too small (Dice 0.81 against 0.93 without, Seg Op1, SPECT).
    steepness
        How much steeper the edges of true masks are made that were interpolated in the pose found.
    """

    given: float = 0.5
    pose_first: int = 1200
    pose_batch: int = 8
    pose_rate: float = 1e-3
    pose_share: float = 0.1
    entropy: float = 0.1
    steepness: float = 4.0


@dataclass(frozen=True)
class Recipe:
    """How every network is trained.

    Parameters
    ----------
    iterations
        Of Adam; the rate falls as (1 - t / iterations)^0.9.
    batch
        Volumes an iteration.
    rate
        At the start; the paper's is 1e-4, over 20,000 iterations.
    turn_rad, shift
        SD of the random pose about the true one, about each axis and in halves of the field: the paper's measured
        spread (its Table 2, SPECT).
    steadied
        None: as the paper has it. Else rotations are compared as matrices, and masks with the truth moved to the
        pose in which they were made, by overlap and cross-entropy.
    nn_unet_own
        nnU-Net, and it alone, with its own augmentation (`nn_unet_augmentation` beside this module), loss and
        mirroring besides; else it is trained as the others are. Adam and its rate stay, as for all.
    """

    iterations: int
    batch: int = 2
    rate: float = 1e-4
    turn_rad: tuple[float, float, float] = (0.22, 0.27, 0.27)
    shift: tuple[float, float, float] = (0.06, 0.08, 0.09)
    steadied: Steadied | None = None
    nn_unet_own: bool = False


@dataclass(frozen=True, eq=False)
class Batch:
    """Volumes on the field's grid with their truth.

    Parameters
    ----------
    volume
        (B, 1, N, N, N), planes towards the head, rows to the back, columns to the left.
    given, turned
        Labels (B, N, N, N) in the given frame and in the short-axis frame.
    rotation, translation
        (B, 3, 3), (B, 3); see `myoperf.research.reorientation.pose`.
    """

    volume: Tensor
    given: Tensor
    turned: Tensor
    rotation: Tensor
    translation: Tensor


def see(cases: Sequence[Case], field: Field, poses: Sequence[tuple[Tensor, Tensor]] | None = None) -> Batch:
    """Sample cases on the field's grid.

    Parameters
    ----------
    poses
        For each case a rotation (3, 3) and a shift (3,) in halves of the field of the grid in the patient: the
        augmentation. None for the volumes as they are.
    """
    rows = [_one(c, field, *(poses[i] if poses else (torch.eye(3), torch.zeros(3)))) for i, c in enumerate(cases)]
    volume, given, turned, rotation, translation = (torch.stack(part) for part in zip(*rows, strict=True))
    return Batch(volume, given, turned, rotation, translation)


def middle_mm(case: Case) -> Tensor:
    """Give the LPS point (3,) in the middle of a case's volume, about which the field lies."""
    shape = np.array(case.image.grid_shape)
    return _single(transform_points(case.image.lps_from_index, 0.5 * (shape - 1)))


def _pose(case: Case, field: Field, turn: Tensor, middle: Tensor) -> tuple[Tensor, Tensor]:
    """Give rotation (3, 3) and translation (3,) of a case in a grid turned by `turn` about `middle`."""
    frame = case.frame
    axes = _single(np.stack([frame.lateral, -np.asarray(frame.anterior), frame.axis], 1))
    return turn.T @ axes, turn.T @ (_single(frame.centre_mm) - middle) / field.half_mm


def _one(case: Case, field: Field, turn: Tensor, shift: Tensor) -> tuple[Tensor, ...]:
    volume, rotation, translation = _image(case, field, turn, shift)
    middle = middle_mm(case) + shift * field.half_mm
    inverse = _single(index_from_lps(case.image.lps_from_index))
    grid = _grid(field)
    plain = (grid @ turn.T) * field.half_mm + middle
    sliced = ((grid @ rotation.T + translation) @ turn.T) * field.half_mm + middle
    labels = torch.from_numpy(case.labels.array[0].astype(np.int64))
    masks = torch.stack([(labels == k).float() for k in (1, 2)])
    parts = [_labels_at(masks, inverse, points) for points in (plain, sliced)]
    return volume, parts[0], parts[1], rotation, translation


def _image(case: Case, field: Field, turn: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give volume (1, N, N, N), rotation and translation of a case in a grid turned and shifted in the patient."""
    middle = middle_mm(case) + shift * field.half_mm
    inverse = _single(index_from_lps(case.image.lps_from_index))
    points = (_grid(field) @ turn.T) * field.half_mm + middle
    volume = normalise(sample_at(_single(case.image.array), inverse, points))
    return volume, *_pose(case, field, turn, middle)


def _grid(field: Field) -> Tensor:
    """Give the field's points (N, N, N, 3), x, y, z in [-1, 1]."""
    steps = (torch.arange(field.side, dtype=torch.float32) + 0.5) * 2 / field.side - 1
    return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).flip(-1)


def _labels_at(masks: Tensor, inverse: Tensor, points: Tensor) -> Tensor:
    there = sample_at(masks, inverse, points)
    return torch.cat([1 - there.sum(0, keepdim=True), there]).argmax(0)


def _single(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))


def mean_pose(cases: Sequence[Case], field: Field) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give mean Euler angles and translation of cases: where the localisers start."""
    poses = [_pose(case, field, torch.eye(3), middle_mm(case)) for case in cases]
    rotation = torch.stack([r for r, _ in poses]).mean(0)
    left, _, right = torch.linalg.svd(rotation)
    euler = euler_from_matrix(left @ right)
    place = torch.stack([t for _, t in poses]).mean(0)
    return tuple(float(v) for v in euler), tuple(float(v) for v in place)


def _draw(rng: np.random.Generator, recipe: Recipe) -> tuple[Tensor, Tensor]:
    v = rng.normal(0.0, recipe.turn_rad)
    skew = torch.tensor([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]], dtype=torch.float32)
    return torch.linalg.matrix_exp(skew), _single(rng.normal(0.0, recipe.shift))


def loss_of(
    output: LVOutput, batch: Batch, steadied: Steadied | None = None, *, made_in: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Sum of equation 12, with deep supervision; without a pose, the segmentation's part in the given frame.

    Parameters
    ----------
    made_in
        With `steadied`: the pose in which the masks were made, if it is not the one found.
    """
    turned = output.scale_rotations is not None
    if steadied is None or not turned:
        truth_of_masks = F.one_hot(batch.turned if turned else batch.given, 3).movedim(-1, 1).float()
    else:
        truth_of_masks = moved_truth(output, batch, made_in, steadied.steepness)
    total = torch.zeros(())
    parts = [labels_for(truth_of_masks[:, k], output) for k in range(3)]
    for k, (logits, *masks) in enumerate(zip(output.logits, *parts, strict=True)):
        chance = logits.float().softmax(1)
        loss = [dice_loss(chance[:, c], masks[c]) for c in range(3)]
        total = total + 0.5**k * (3 * loss[1] + loss[2] + loss[0])
        if steadied is not None:
            total = total + 0.5**k * steadied.entropy * F.cross_entropy(logits.float(), torch.stack(masks, 1))
    if output.initial is not None:
        total = total + segmentation_loss(output.initial.float().softmax(1), batch.given)
    return total + _pose_loss(output, batch, matrices=steadied is not None)


def moved_truth(output: LVOutput, batch: Batch, made_in: tuple[Tensor, Tensor] | None, steepness: float) -> Tensor:
    """Give the true masks (B, 3, D, H, W) in the pose in which the network made its own, with a gradient.

    Interpolated masks are made steeper: against soft ones overlap is best for a wall that is too large.
    """
    if made_in is not None:
        return F.one_hot(batch.turned, 3).movedim(-1, 1).float()
    assert output.rotation is not None
    assert output.translation is not None
    there = F.one_hot(batch.given, 3).movedim(-1, 1).float()[:, 1:]
    moved = sample_in_pose(there, output.rotation.float(), output.translation.float())
    moved = ((moved - 0.5) * steepness + 0.5).clamp(0, 1)
    moved = moved / moved.sum(1, keepdim=True).clamp_min(1)
    return torch.cat([1 - moved.sum(1, keepdim=True), moved], 1)


def _pose_loss(output: LVOutput, batch: Batch, *, matrices: bool) -> Tensor:
    """Equations 7 to 10 over the samplers; rotations as matrices, or as the paper's angles."""
    total = torch.zeros(())
    if output.scale_rotations is None or output.scale_translations is None:
        return total
    bright = (batch.volume > batch.volume.mean((1, 2, 3, 4), keepdim=True)).float()
    moved = sample_in_pose(bright, batch.rotation, batch.translation)
    found = output.scale_rotations.float(), output.scale_translations.float()
    total = total + _apart(*found, batch.rotation, batch.translation, matrices=matrices)
    return total + threshold_loss(sample_in_pose(bright, found[0][:, 0], found[1][:, 0]), moved)


def _apart(
    rotations: Tensor, translations: Tensor, true_rotation: Tensor, true_translation: Tensor, *, matrices: bool
) -> Tensor:
    """Mean over the samplers (B, S, ...) of equations 7 to 9."""
    total, truth = torch.zeros(()), euler_from_matrix(true_rotation)
    for rotation, translation in zip(rotations.unbind(1), translations.unbind(1), strict=True):
        if matrices:
            turned = (rotation - true_rotation).abs().mean()
        else:
            turned = rotation_loss(euler_from_matrix(rotation, near=truth), truth)
        total = total + 10 * turned + translation_loss(translation, true_translation)
    return total / rotations.shape[1]


def low_precision_is_safe(net: nn.Module, field: Field) -> bool:
    """Tell whether a network can be trained in bfloat16 on a field: no 3D convolution sees a grid below its kernel.

    There its weight gradient in bfloat16 reads memory that was never written (torch 2.13, CPU): NaN, or worse, numbers.
    """
    seen: list[bool] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.Conv3d)
        if torch.is_autocast_enabled("cpu"):  # else a part that runs in single precision anyway
            seen.append(min(inputs[0].shape[2:]) >= max(module.kernel_size))

    hooks = [m.register_forward_pre_hook(look) for m in net.modules() if isinstance(m, nn.Conv3d)]
    before = net.training
    net.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        net(torch.zeros(1, 1, *(field.side,) * 3))
    net.train(before)
    for hook in hooks:
        hook.remove()
    return all(seen)


def _learn_pose(
    net: MSSTUNet | OmegaNet, cases: Sequence[Case], field: Field, recipe: Recipe, seed: int, *, low: bool
) -> None:
    """Train what reads the pose, before everything is trained together; see `Steadied`."""
    how = recipe.steadied
    assert how is not None
    optimiser = torch.optim.Adam(net.parameters(), lr=how.pose_rate, weight_decay=1e-4)
    for step in range(how.pose_first):
        rng = np.random.default_rng([seed, 1, step])
        for group in optimiser.param_groups:
            group["lr"] = how.pose_rate * (1 - step / how.pose_first) ** 0.9
        chosen = [cases[int(i)] for i in rng.integers(len(cases), size=how.pose_batch)]
        seen = [_image(case, field, *_draw(rng, recipe)) for case in chosen]
        volume, rotation, translation = (torch.stack(part) for part in zip(*seen, strict=True))
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            rotations, translations = net.locate(volume)
        loss = _apart(rotations.float(), translations.float(), rotation, translation, matrices=True)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 12.0, error_if_nonfinite=True)
        optimiser.step()


def _groups(net: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Give the optimiser's groups: what reads the pose, with its share of the rate, and the rest."""
    if recipe.steadied is None or not _has_pose(net):
        return [{"params": list(net.parameters()), "share": 1.0}]
    parts = [net.pose, net.head] if isinstance(net, OmegaNet) else [net.msstn]
    reading = [p for part in parts if part is not None for p in part.parameters()]
    known = {id(p) for p in reading}
    rest = [p for p in net.parameters() if id(p) not in known]
    return [{"params": reading, "share": recipe.steadied.pose_share}, {"params": rest, "share": 1.0}]


def _has_pose(net: nn.Module) -> TypeGuard[MSSTUNet | OmegaNet]:
    return isinstance(net, OmegaNet) or (isinstance(net, MSSTUNet) and net.msstn is not None)


def handed_pose(net: nn.Module, batch: Batch, recipe: Recipe, step: int) -> tuple[Tensor, ...]:
    """Give the true pose where the recipe has the masks made in it, else nothing."""
    if recipe.steadied is None or not _has_pose(net):
        return ()
    apart = isinstance(net, MSSTUNet) and not net.config.joint
    early = step < recipe.steadied.given * recipe.iterations
    return (batch.rotation, batch.translation) if apart or early else ()


def train_network(
    net: nn.Module,
    cases: Sequence[Case],
    field: Field,
    recipe: Recipe,
    *,
    seed: int,
    quiet: bool = True,
    name: str = "",
) -> nn.Module:
    """Train by Adam with random poses about the true ones; same seed, same batches for every network."""
    net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(_groups(net, recipe), lr=recipe.rate, weight_decay=1e-4)
    net.train()
    low = low_precision_is_safe(net, field)
    if recipe.steadied is not None and _has_pose(net):
        _learn_pose(net, cases, field, recipe, seed, low=low)
    for step in track(range(recipe.iterations), description=name, disable=quiet, transient=True):
        rng = np.random.default_rng([seed, step])
        for group in optimiser.param_groups:
            group["lr"] = group["share"] * recipe.rate * (1 - step / recipe.iterations) ** 0.9
        chosen = [cases[int(i)] for i in rng.integers(len(cases), size=recipe.batch)]
        batch = see(chosen, field, [_draw(rng, recipe) for _ in chosen])
        own = recipe.nn_unet_own and isinstance(net, NNUNet)
        if own:
            volume, given = augment_as_nn_unet(batch.volume, batch.given, rng)
            batch = replace(batch, volume=volume, given=given)
        handed = handed_pose(net, batch, recipe, step)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            output = net(batch.volume, *handed)
        made_in = (handed[0], handed[1]) if handed else None
        loss = compound_loss(output, batch.given) if own else loss_of(output, batch, recipe.steadied, made_in=made_in)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 12.0, error_if_nonfinite=True)
        optimiser.step()
    return net.eval()
