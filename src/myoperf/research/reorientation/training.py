"""Training of MS-ST-UNet, its ablations and its peers, all alike (Ni et al. 2023, section 3)."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self, TypeGuard

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from myoperf.lv.engine import cpu_has_bfloat16
from myoperf.research.lv_network.augmentation import random_rotation
from myoperf.research.lv_network.cases import Case
from myoperf.research.lv_network.sampling import single
from myoperf.research.reorientation.batches import (
    Augmentation,
    Batch,
    FieldOfView,
    pose_range,
    pose_to,
    sample_batch,
    sample_images,
)
from myoperf.research.reorientation.losses import Stabilisation, pose_distance, total_loss
from myoperf.research.reorientation.ms_st_unet import MSSTUNet, PoseNetwork
from myoperf.research.reorientation.nn_unet import NNUNet, compound_loss
from myoperf.research.reorientation.nn_unet_augmentation import augment_as_nn_unet
from myoperf.research.reorientation.omega_net import OmegaNet
from myoperf.research.reorientation.v_net import VNet
from myoperf.research.training.weights import HasState, resume_checkpoint, save_checkpoint

KEEP_EVERY = 200
"""Steps between two saves of a training's state."""


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
    poses
        ``around``: a new random pose around the true one for every volume and step. ``sets``: as in the paper, each
        volume as it is and in 10 poses drawn once within the range of the training volumes' own.
    given_pose
        Train in the true pose: MSUNet alone.
    peers_own
        Train the peers that have an optimiser of their own by it, at its rate (`OWN_OPTIMISERS`), and nnU-Net also with
        its own augmentation (`augment_as_nn_unet`) and loss, tested with mirroring; otherwise, as in the paper, all
        networks are trained alike.
    """

    iterations: int
    batch: int = 2
    rate: float = 1e-4
    turn_rad: tuple[float, float, float] = (0.22, 0.27, 0.27)
    shift: tuple[float, float, float] = (0.06, 0.08, 0.09)
    stabilisation: Stabilisation | None = None
    poses: Literal["around", "sets"] = "around"
    given_pose: bool = False
    peers_own: bool = False


@dataclass(frozen=True, kw_only=True)
class OwnOptimiser:
    """Stochastic gradient descent as the authors of a network published it.

    Parameters
    ----------
    rate, momentum, nesterov, weight_decay
        Of the descent.
    every
        Steps after which the rate falls to a tenth; None: it falls as (1 - t / iterations)^0.9.
    """

    rate: float
    momentum: float = 0.99
    nesterov: bool = False
    weight_decay: float = 0.0
    every: int | None = None

    def make(self, net: nn.Module) -> torch.optim.Optimizer:
        """Make the optimiser for a network."""
        groups = [{"params": list(net.parameters()), "share": 1.0}]
        return torch.optim.SGD(
            groups, lr=self.rate, momentum=self.momentum, nesterov=self.nesterov, weight_decay=self.weight_decay
        )

    def rate_at(self, step: int, iterations: int) -> float:
        """Return the learning rate of a step."""
        if self.every is not None:
            return float(self.rate * 10.0 ** -(step // self.every))
        return float(self.rate * (1 - step / iterations) ** 0.9)


OWN_OPTIMISERS: Mapping[type[nn.Module], OwnOptimiser] = MappingProxyType(
    {
        NNUNet: OwnOptimiser(rate=1e-2, nesterov=True, weight_decay=3e-5),
        VNet: OwnOptimiser(rate=1e-4, every=25_000),
    }
)
"""nnU-Net's: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z; V-Net's: Milletari et al. 2016,
doi:10.1109/3DV.2016.79. Dense-U-Net and Omega-Net keep Adam."""


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


def _trains_in_bfloat16(net: nn.Module, field: FieldOfView, device: torch.device) -> bool:
    """Whether to train in bfloat16: on a processor, where it is both faster and safe.

    Without bfloat16 in hardware it takes many times as long as float32. A GPU trains in float32, as the paper's did.
    """
    return device.type == "cpu" and cpu_has_bfloat16() and low_precision_is_safe(net, field)


def _has_pose(net: nn.Module) -> TypeGuard[MSSTUNet | OmegaNet | PoseNetwork]:
    return isinstance(net, OmegaNet | PoseNetwork) or (isinstance(net, MSSTUNet) and net.msstn is not None)


def teacher_pose(net: nn.Module, batch: Batch, schedule: Schedule, step: int) -> tuple[Tensor, Tensor] | None:
    """Return the true pose if the masks of this step are made in it, otherwise None.

    MSUNet has it in every step (`given_pose`); with a stabilisation, networks that estimate a pose have it at first.
    """
    if schedule.given_pose:
        return batch.rotation, batch.translation
    if schedule.stabilisation is None or not _has_pose(net) or isinstance(net, PoseNetwork):
        return None
    separate = isinstance(net, MSSTUNet) and not net.config.joint
    early = step < schedule.stabilisation.given * schedule.iterations
    return (batch.rotation, batch.translation) if separate or early else None


PAPER_SETS = 10
"""Poses in which the paper shows each training volume, besides its own."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Volumes:
    """The volumes of a training, and how they are drawn and turned.

    Attributes
    ----------
    sets
        For each case its poses, see `Schedule.poses`; None: a new one for every step.
    """

    cases: Sequence[Case]
    schedule: Schedule
    sets: Sequence[Sequence[Augmentation]] | None

    @classmethod
    def of(cls, cases: Sequence[Case], field: FieldOfView, schedule: Schedule, seed: int) -> Self:
        """Draw the sets of poses where the schedule has them."""
        if schedule.poses == "around":
            return cls(cases=cases, schedule=schedule, sets=None)
        low, high = pose_range(cases, field)
        still = torch.eye(3), torch.zeros(3)
        sets = []
        for index, case in enumerate(cases):
            shares = single(np.random.default_rng([seed, 2, index]).random((PAPER_SETS, 6)))
            sets.append([still, *(pose_to(case, field, low + share * (high - low)) for share in shares)])
        return cls(cases=cases, schedule=schedule, sets=sets)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[list[Case], list[Augmentation]]:
        """Draw volumes with a pose for each."""
        rows = [int(i) for i in rng.integers(len(self.cases), size=count)]
        if self.sets is None:
            poses = [
                (random_rotation(rng, self.schedule.turn_rad), single(rng.normal(0.0, self.schedule.shift)))
                for _ in rows
            ]
        else:
            poses = [self.sets[row][int(rng.integers(len(self.sets[row])))] for row in rows]
        return [self.cases[row] for row in rows], poses


def _update(net: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(net.parameters(), 12.0, error_if_nonfinite=True)
    optimiser.step()


def _learn_pose(
    net: MSSTUNet | OmegaNet | PoseNetwork, volumes: _Volumes, field: FieldOfView, seed: int, device: torch.device
) -> None:
    """Train the localiser alone, before everything is trained together; see `Stabilisation`."""
    settings, low = volumes.schedule.stabilisation, _trains_in_bfloat16(net, field, device)
    assert settings is not None
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.pose_rate, weight_decay=1e-4)
    for step in range(settings.pose_first):
        rng = np.random.default_rng([seed, 1, step])
        for group in optimiser.param_groups:
            group["lr"] = settings.pose_rate * (1 - step / settings.pose_first) ** 0.9
        drawn, poses = volumes.draw(settings.pose_batch, rng)
        volume, *truth = sample_images(drawn, field, poses, device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
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
    name: str | None = None,
    checkpoint: Path | None = None,
) -> nn.Module:
    """Train in random poses, on the device that the network is on; a seed gives every network the same batches.

    The optimiser is Adam, unless the schedule lets a peer have its own.

    Parameters
    ----------
    name
        Shown with the progress bar; None: no bar.
    checkpoint
        File that keeps the state every `KEEP_EVERY` steps; if it exists, the training resumes there.
    """
    device = next(net.parameters()).device
    net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    peer = OWN_OPTIMISERS.get(type(net)) if schedule.peers_own else None
    optimiser = _optimiser(net, schedule) if peer is None else peer.make(net)
    volumes = _Volumes.of(cases, field, schedule, seed)
    net.train()
    low = _trains_in_bfloat16(net, field, device)
    state: dict[str, HasState] = {"network": net, "optimiser": optimiser}
    settings = {"schedule": asdict(schedule), "field": asdict(field), "seed": seed, "cases": len(cases)}
    kept = resume_checkpoint(checkpoint, state, settings=settings)
    if not kept and schedule.stabilisation is not None and _has_pose(net):
        _learn_pose(net, volumes, field, seed, device)
    steps = range(kept.get("step", 0), schedule.iterations)
    for step in track(steps, description=name or "", disable=name is None, transient=True):
        if checkpoint is not None and step % KEEP_EVERY == 0:
            save_checkpoint(checkpoint, state, settings=settings, step=step)
        rng = np.random.default_rng([seed, step])
        torch.manual_seed(step)  # dropout: the same whether or not the training was interrupted
        total = schedule.iterations
        rate = schedule.rate * (1 - step / total) ** 0.9 if peer is None else peer.rate_at(step, total)
        for group in optimiser.param_groups:
            group["lr"] = group["share"] * rate
        drawn, poses = volumes.draw(schedule.batch, rng)
        batch = sample_batch(drawn, field, poses, device=device)
        own = peer is not None and isinstance(net, NNUNet)
        if own:
            volume, labels = augment_as_nn_unet(batch.volume, batch.labels, rng)
            batch = replace(batch, volume=volume, labels=labels)
        pose = teacher_pose(net, batch, schedule, step)
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            output = net(batch.volume, *(pose or ()))
        if own:
            loss = compound_loss(output, batch.labels)
        else:
            loss = total_loss(output, batch, schedule.stabilisation, used_pose=pose)
        _update(net, optimiser, loss)
    return net.eval()
