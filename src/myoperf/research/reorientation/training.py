"""Training of MS-ST-UNet, its ablations and its peers, all alike (Ni et al. 2023, section 3)."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from myoperf.lv.engine import cpu_has_bfloat16
from myoperf.research.lv_network.augmentation import random_rotation
from myoperf.research.lv_network.cases import Case
from myoperf.research.lv_network.sampling import single
from myoperf.research.reorientation.batches import Batch, FieldOfView, sample_batch, sample_images
from myoperf.research.reorientation.losses import Stabilisation, pose_distance, total_loss
from myoperf.research.reorientation.ms_st_unet import MSSTUNet
from myoperf.research.reorientation.nn_unet import NNUNet, compound_loss
from myoperf.research.reorientation.nn_unet_augmentation import augment_as_nn_unet
from myoperf.research.reorientation.omega_net import OmegaNet


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How every network is trained.

    Parameters
    ----------
    iterations
        Of Adam; the learning rate falls as (1 - t / iterations)^0.9.
    batch
        Volumes per iteration.
    rate
        Learning rate at the start; the paper's is 1e-4, over 20,000 iterations.
    turn_rad, shift
        SD of the random pose around the true one, about each axis and in halves of the field: the spread that the paper
        measured (its Table 2, SPECT).
    stabilisation
        None: as in the paper.
    nn_unet_own
        Train nnU-Net, and no other, with its own augmentation (`augment_as_nn_unet`) and loss, and test it with
        mirroring; otherwise it is trained as the others are. It keeps Adam and the rate of all.
    """

    iterations: int
    batch: int = 2
    rate: float = 1e-4
    turn_rad: tuple[float, float, float] = (0.22, 0.27, 0.27)
    shift: tuple[float, float, float] = (0.06, 0.08, 0.09)
    stabilisation: Stabilisation | None = None
    nn_unet_own: bool = False


def low_precision_is_safe(net: nn.Module, field: FieldOfView) -> bool:
    """Whether a network can be trained in bfloat16: no 3D convolution sees a grid smaller than its kernel.

    There the weight gradient in bfloat16 reads memory that was never written (torch 2.13, CPU): NaN, or worse, numbers.
    Only shapes are followed, on a copy without memory for weights, so the answer costs a second at any size.
    """
    large_enough: list[bool] = []

    def check(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.Conv3d)
        if torch.is_autocast_enabled("cpu"):  # otherwise a part that runs in single precision anyway
            large_enough.append(min(inputs[0].shape[2:]) >= max(module.kernel_size))

    with torch.no_grad(), torch.device("meta"), torch.autocast("cpu", torch.bfloat16):
        shapes_only = copy.deepcopy(net).to("meta").eval()
        for module in shapes_only.modules():
            if isinstance(module, nn.Conv3d):
                module.register_forward_pre_hook(check)
        shapes_only(torch.zeros(1, 1, *(field.side,) * 3))
    return all(large_enough)


def _trains_in_bfloat16(net: nn.Module, field: FieldOfView) -> bool:
    """Whether bfloat16 is both faster and safe; without it in hardware, it takes many times as long as float32."""
    return cpu_has_bfloat16() and low_precision_is_safe(net, field)


def _has_pose(net: nn.Module) -> TypeGuard[MSSTUNet | OmegaNet]:
    return isinstance(net, OmegaNet) or (isinstance(net, MSSTUNet) and net.msstn is not None)


def teacher_pose(net: nn.Module, batch: Batch, schedule: Schedule, step: int) -> tuple[Tensor, Tensor] | None:
    """Return the true pose if the schedule has the masks of this step made in it, otherwise None."""
    if schedule.stabilisation is None or not _has_pose(net):
        return None
    separate = isinstance(net, MSSTUNet) and not net.config.joint
    early = step < schedule.stabilisation.given * schedule.iterations
    return (batch.rotation, batch.translation) if separate or early else None


def _augmentations(count: int, schedule: Schedule, rng: np.random.Generator) -> list[tuple[Tensor, Tensor]]:
    """Draw a random pose for each volume."""
    return [(random_rotation(rng, schedule.turn_rad), single(rng.normal(0.0, schedule.shift))) for _ in range(count)]


def _update(net: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(net.parameters(), 12.0, error_if_nonfinite=True)
    optimiser.step()


def _learn_pose(
    net: MSSTUNet | OmegaNet, cases: Sequence[Case], field: FieldOfView, schedule: Schedule, seed: int
) -> None:
    """Train the localiser alone, before everything is trained together; see `Stabilisation`."""
    settings, low = schedule.stabilisation, _trains_in_bfloat16(net, field)
    assert settings is not None
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.pose_rate, weight_decay=1e-4)
    for step in range(settings.pose_first):
        rng = np.random.default_rng([seed, 1, step])
        for group in optimiser.param_groups:
            group["lr"] = settings.pose_rate * (1 - step / settings.pose_first) ** 0.9
        drawn = [cases[int(i)] for i in rng.integers(len(cases), size=settings.pose_batch)]
        volume, *truth = sample_images(drawn, field, _augmentations(len(drawn), schedule, rng))
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            rotations, translations = net.locate(volume)
        estimates = rotations.float(), translations.float()
        _update(net, optimiser, pose_distance(estimates, (truth[0], truth[1]), matrices=True))


def _optimiser(net: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Make Adam; with a stabilisation, what estimates the pose has its own share of the learning rate."""
    groups = [{"params": list(net.parameters()), "share": 1.0}]
    if schedule.stabilisation is not None and _has_pose(net):
        parts = [net.pose, net.head] if isinstance(net, OmegaNet) else [net.msstn]
        pose = [p for part in parts if part is not None for p in part.parameters()]
        known = {id(p) for p in pose}
        rest = [p for p in net.parameters() if id(p) not in known]
        share = schedule.stabilisation.pose_share
        groups = [{"params": pose, "share": share}, {"params": rest, "share": 1.0}]
    return torch.optim.Adam(groups, lr=schedule.rate, weight_decay=1e-4)


def train_network(
    net: nn.Module,
    cases: Sequence[Case],
    field: FieldOfView,
    schedule: Schedule,
    *,
    seed: int,
    quiet: bool = True,
    name: str = "",
) -> nn.Module:
    """Train by Adam with random poses around the true ones; the same seed gives every network the same batches.

    Parameters
    ----------
    name
        Shown with the progress bar.
    """
    net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimiser = _optimiser(net, schedule)
    net.train()
    low = _trains_in_bfloat16(net, field)
    if schedule.stabilisation is not None and _has_pose(net):
        _learn_pose(net, cases, field, schedule, seed)
    for step in track(range(schedule.iterations), description=name, disable=quiet, transient=True):
        rng = np.random.default_rng([seed, step])
        for group in optimiser.param_groups:
            group["lr"] = group["share"] * schedule.rate * (1 - step / schedule.iterations) ** 0.9
        drawn = [cases[int(i)] for i in rng.integers(len(cases), size=schedule.batch)]
        batch = sample_batch(drawn, field, _augmentations(len(drawn), schedule, rng))
        own = schedule.nn_unet_own and isinstance(net, NNUNet)
        if own:
            volume, labels = augment_as_nn_unet(batch.volume, batch.labels, rng)
            batch = replace(batch, volume=volume, labels=labels)
        pose = teacher_pose(net, batch, schedule, step)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            output = net(batch.volume, *(pose or ()))
        if own:
            loss = compound_loss(output, batch.labels)
        else:
            loss = total_loss(output, batch, schedule.stabilisation, used_pose=pose)
        _update(net, optimiser, loss)
    return net.eval()
