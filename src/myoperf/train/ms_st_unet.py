"""The training and judging of MS-ST-UNet, its ablations and its peers, all alike (paper 003, equations 7 to 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from myoperf.geometry import index_from_lps, transform_points
from myoperf.lv.metrics import dice, hausdorff95_mm
from myoperf.nets.lv_output import LVOutput, labels_for
from myoperf.nets.lv_pose import euler_from_matrix, sample_back, sample_in_pose
from myoperf.nets.lv_sampling import normalise, sample_at
from myoperf.train.cases import Case
from myoperf.train.losses import rotation_loss, segmentation_loss, threshold_loss, translation_loss, wrap

__all__ = ["Batch", "Field", "Recipe", "judge_network", "mean_pose", "see", "train_network"]

LEAST_SIDE_BF16 = 64
"""Smaller cubes are trained in single precision: on grids below 4 voxels a side, which the deepest level then has, the
weight gradient of a 3D convolution in bfloat16 reads memory that was never written (torch 2.13, CPU)."""


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
    """

    iterations: int
    batch: int = 2
    rate: float = 1e-4
    turn_rad: tuple[float, float, float] = (0.22, 0.27, 0.27)
    shift: tuple[float, float, float] = (0.06, 0.08, 0.09)


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
        (B, 3, 3), (B, 3); see `myoperf.nets.lv_pose`.
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


def _middle(case: Case) -> Tensor:
    shape = np.array(case.image.grid_shape)
    return _single(transform_points(case.image.lps_from_index, 0.5 * (shape - 1)))


def _pose(case: Case, field: Field, turn: Tensor, middle: Tensor) -> tuple[Tensor, Tensor]:
    """Give rotation (3, 3) and translation (3,) of a case in a grid turned by `turn` about `middle`."""
    frame = case.frame
    axes = _single(np.stack([frame.lateral, -np.asarray(frame.anterior), frame.axis], 1))
    return turn.T @ axes, turn.T @ (_single(frame.centre_mm) - middle) / field.half_mm


def _one(case: Case, field: Field, turn: Tensor, shift: Tensor) -> tuple[Tensor, ...]:
    middle = _middle(case) + shift * field.half_mm
    inverse = _single(index_from_lps(case.image.lps_from_index))
    rotation, translation = _pose(case, field, turn, middle)
    steps = (torch.arange(field.side, dtype=torch.float32) + 0.5) * 2 / field.side - 1
    grid = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).flip(-1)  # (N, N, N, 3): x, y, z
    plain = (grid @ turn.T) * field.half_mm + middle
    sliced = ((grid @ rotation.T + translation) @ turn.T) * field.half_mm + middle
    image = _single(case.image.array)
    labels = torch.from_numpy(case.labels.array[0].astype(np.int64))
    masks = torch.stack([(labels == k).float() for k in (1, 2)])
    parts = [_labels_at(masks, inverse, points) for points in (plain, sliced)]
    return normalise(sample_at(image, inverse, plain)), parts[0], parts[1], rotation, translation


def _labels_at(masks: Tensor, inverse: Tensor, points: Tensor) -> Tensor:
    there = sample_at(masks, inverse, points)
    return torch.cat([1 - there.sum(0, keepdim=True), there]).argmax(0)


def _single(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))


def mean_pose(cases: Sequence[Case], field: Field) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give mean Euler angles and translation of cases: where the localisers start."""
    poses = [_pose(case, field, torch.eye(3), _middle(case)) for case in cases]
    rotation = torch.stack([r for r, _ in poses]).mean(0)
    left, _, right = torch.linalg.svd(rotation)
    euler = euler_from_matrix(left @ right)
    place = torch.stack([t for _, t in poses]).mean(0)
    return tuple(float(v) for v in euler), tuple(float(v) for v in place)


def _draw(rng: np.random.Generator, recipe: Recipe) -> tuple[Tensor, Tensor]:
    v = rng.normal(0.0, recipe.turn_rad)
    skew = torch.tensor([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]], dtype=torch.float32)
    return torch.linalg.matrix_exp(skew), _single(rng.normal(0.0, recipe.shift))


def loss_of(output: LVOutput, batch: Batch) -> Tensor:
    """Sum of equation 12, with deep supervision; without a pose, the segmentation's part in the given frame."""
    turned = output.scale_rotations is not None
    labels = batch.turned if turned else batch.given
    total = torch.zeros(())
    for k, (logits, part) in enumerate(zip(output.logits, labels_for(labels, output), strict=True)):
        total = total + 0.5**k * segmentation_loss(logits.float().softmax(1), part)
    if output.initial is not None:
        total = total + segmentation_loss(output.initial.float().softmax(1), batch.given)
    if output.scale_rotations is None or output.scale_translations is None:
        return total
    truth = euler_from_matrix(batch.rotation)
    bright = (batch.volume > batch.volume.mean((1, 2, 3, 4), keepdim=True)).float()
    moved = sample_in_pose(bright, batch.rotation, batch.translation)
    scales = output.scale_rotations.shape[1]
    for k in range(scales):
        rotation, translation = output.scale_rotations[:, k].float(), output.scale_translations[:, k].float()
        euler = euler_from_matrix(rotation, near=truth)
        posed = 10 * rotation_loss(euler, truth) + translation_loss(translation, batch.translation)
        total = total + posed / scales
        if k == 0:
            total = total + threshold_loss(sample_in_pose(bright, rotation, translation), moved)
    return total


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
    optimiser = torch.optim.Adam(net.parameters(), lr=recipe.rate, weight_decay=1e-4)
    net.train()
    for step in track(range(recipe.iterations), description=name, disable=quiet, transient=True):
        rng = np.random.default_rng([seed, step])
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * (1 - step / recipe.iterations) ** 0.9
        chosen = [cases[int(i)] for i in rng.integers(len(cases), size=recipe.batch)]
        batch = see(chosen, field, [_draw(rng, recipe) for _ in chosen])
        with torch.autocast("cpu", torch.bfloat16, enabled=field.side >= LEAST_SIDE_BF16):
            output = net(batch.volume)
        loss = loss_of(output, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 12.0)
        optimiser.step()
    return net.eval()


@torch.inference_mode()
def judge_network(
    net: nn.Module, cases: Sequence[Case], field: Field, *, given_pose: bool = False
) -> list[dict[str, Any]]:
    """Judge a network on cases as they are, one row each; all masks are compared in the given frame.

    Parameters
    ----------
    given_pose
        Hand the true pose to the network (the paper's "manual rotation").

    Returns
    -------
    Rows of wall_dice, pool_dice, wall_hd95_mm, pool_hd95_mm, wall_ml, true_wall_ml, and where the network has a pose
    alpha, beta, gamma (radians), tx, ty, tz (halves of the field), each with its ``true_`` value, rotation_mse (radians
    squared, mean of the three angles) and axis_error_deg.
    """
    rows = []
    for case in cases:
        batch = see([case], field)
        pose = (batch.rotation, batch.translation) if given_pose else ()
        output = net(batch.volume, *pose)
        chance = output.logits[0].float().softmax(1)
        rotation, translation = output.rotation, output.translation
        if rotation is not None and translation is not None:
            used = pose or (rotation.float(), translation.float())
            chance = sample_back(chance, *used)
            chance[:, 0] += 1 - chance.sum(1)  # outside of the turned cube
        got, truth = chance.argmax(1)[0].numpy(), batch.given[0].numpy()
        row: dict[str, Any] = {"patient": case.patient, "case": case.name}
        voxel_ml = field.voxel_mm**3 / 1000
        for mask, label in (("wall", 1), ("pool", 2)):
            row[f"{mask}_dice"] = dice(got == label, truth == label)
            both = bool((got == label).any()) and bool((truth == label).any())
            row[f"{mask}_hd95_mm"] = hausdorff95_mm(got == label, truth == label, field.voxel_mm) if both else np.nan
        row["wall_ml"], row["true_wall_ml"] = (float((a == 1).sum()) * voxel_ml for a in (got, truth))
        if output.scale_rotations is not None and rotation is not None and translation is not None:
            row |= _pose_errors(rotation.float(), translation.float(), batch)
        rows.append(row)
    return rows


def _pose_errors(rotation: Tensor, translation: Tensor, batch: Batch) -> dict[str, float]:
    truth = euler_from_matrix(batch.rotation)
    euler = euler_from_matrix(rotation, near=truth)
    cosine = (rotation[0, :, 2] * batch.rotation[0, :, 2]).sum().clamp(-1, 1)
    row = {
        "rotation_mse": float((wrap(euler - truth) ** 2).mean()),
        "axis_error_deg": float(torch.rad2deg(torch.arccos(cosine))),
    }
    for k, angle in enumerate(("alpha", "beta", "gamma")):
        row |= {angle: float(truth[0, k] + wrap(euler - truth)[0, k]), f"true_{angle}": float(truth[0, k])}
    for k, part in enumerate(("tx", "ty", "tz")):
        row |= {part: float(translation[0, k]), f"true_{part}": float(batch.translation[0, k])}
    return row
