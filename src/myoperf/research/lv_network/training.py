"""Training of the compact network that finds the left ventricle: random poses, localiser and U-Net in one loop."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from myoperf.geometry import index_from_lps, transform_points
from myoperf.lv.compact_network import LVCompact, matrix_from_six
from myoperf.lv.engine import cpu_has_bfloat16
from myoperf.lv.sampling import COARSE, COARSE_MM
from myoperf.research.lv_network.augmentation import disturb_crop, random_rotation
from myoperf.research.lv_network.cases import Case
from myoperf.research.lv_network.sampling import (
    coarse_points,
    crop_points,
    frame_axes,
    logits_at,
    middle_mm,
    normalise,
    sample_at,
    single,
    voxel_points,
)
from myoperf.research.training.weights import HasState, resume_checkpoint, save_checkpoint

BOX = 34
"""Voxels a side of the box around the ventricle in which labels are compared."""
SAVE_EVERY = 250


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Settings of one training.

    Parameters
    ----------
    steps
        The learning rate falls to zero over them (cosine).
    batch
        Volumes per step.
    rate
        Highest learning rate of AdamW.
    seed
        Of the weights, the order and the augmentation.
    turn_deg, shift_mm, stretch
        Standard deviations of the random pose; `stretch` of the logarithm of the crop's size.
    averaged
        Share of the old value in the moving average of the weights, which is the result.
    """

    steps: int = 6000
    batch: int = 2
    rate: float = 2e-3
    seed: int = 0
    turn_deg: float = 14.0
    shift_mm: float = 8.0
    stretch: float = 0.08
    averaged: float = 0.998


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedCase:
    """A case as tensors.

    Attributes
    ----------
    image, index_from_lps
        (1, planes, rows, columns) and its affine.
    middle_mm, centre_mm, rotation, log_length
        Middle of the volume; centre, axes (columns) and log(length / 80 mm) of the ventricle.
    points_mm, labels
        LPS points (D, H, W, 3) and labels (D, H, W) of a box of voxels around the ventricle.
    """

    image: Tensor
    index_from_lps: Tensor
    middle_mm: Tensor
    centre_mm: Tensor
    rotation: Tensor
    log_length: float
    points_mm: Tensor
    labels: Tensor


def prepare_case(case: Case) -> PreparedCase:
    """Return a case as tensors of single precision, with its labels in a box about its centre (`BOX` voxels a side).

    What does not change from one training step to the next is computed here, once.
    """
    inverse, frame = index_from_lps(case.image.lps_from_index), case.frame
    shape = np.array(case.image.grid_shape)
    centre = transform_points(inverse, frame.centre_mm)
    low = np.clip(np.rint(centre).astype(int) - BOX // 2, 0, np.maximum(shape - BOX, 0))
    box = tuple(slice(a, b) for a, b in zip(low, np.minimum(low + BOX, shape), strict=True))
    return PreparedCase(
        image=single(case.image.array),
        index_from_lps=single(inverse),
        middle_mm=middle_mm(case.image),
        centre_mm=single(frame.centre_mm),
        rotation=frame_axes(frame),
        log_length=float(np.log(frame.length_mm / 80.0)),
        points_mm=voxel_points(case.image, box),
        labels=torch.from_numpy(case.labels.array[0][box].astype(np.int64)),
    )


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - the Dice overlap of soft masks, averaged over the batch; two empty masks cost nothing.

    Parameters
    ----------
    probability, truth
        (B, ...) of one shape, from 0 to 1.
    """
    p, t = probability.flatten(1), truth.flatten(1).to(probability.dtype)
    return (1 - (2 * (p * t).sum(1) + 1e-5) / (p.sum(1) + t.sum(1) + 1e-5)).mean()


def _crop_of(
    case: PreparedCase, schedule: Schedule, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, float, Tensor]:
    """Draw a pose near the true one -> crop, its centre, its rotation, its spacing, and the pose's error (13,)."""
    turn = random_rotation(rng, np.deg2rad(schedule.turn_deg * rng.choice([0.4, 1.0, 1.4])))
    rotation = case.rotation @ turn
    centre = case.centre_mm + single(rng.normal(0, schedule.shift_mm, 3))
    spacing = 4.0 * float(np.exp(rng.normal(0, schedule.stretch)))
    crop = normalise(sample_at(case.image, case.index_from_lps, crop_points(centre, rotation, spacing_mm=spacing)))
    scale = 4.0 / spacing
    shift = rotation.T @ (case.centre_mm - centre) / 40.0 * scale
    error = _pose_row(shift, rotation.T @ case.rotation, case.log_length + float(np.log(scale)))
    return disturb_crop(crop, rng), centre, rotation, spacing, error


def _pose_row(centre: Tensor, rotation: Tensor, log_length: float) -> Tensor:
    return torch.cat([centre, rotation.T.reshape(-1), torch.tensor([log_length])])


def _pose_loss(pose: Tensor, target: Tensor) -> Tensor:
    """L1 of centre and log length; chordal L1 of axis and anterior. Pose (B, 10), target (B, 13)."""
    matrix = matrix_from_six(pose[:, 3:9]).transpose(1, 2).flatten(1)
    return (
        (pose[:, :3] - target[:, :3]).abs().mean()
        + (matrix - target[:, 3:12])[:, :6].abs().mean()
        + 0.5 * (pose[:, 9] - target[:, 12]).abs().mean()
    )


def _segment_step(
    net: LVCompact, batch: Sequence[PreparedCase], schedule: Schedule, rng: np.random.Generator
) -> Tensor:
    """Loss of the U-Net: overlap and cross-entropy on the voxels of the volume, and the error of the pose."""
    drawn = [_crop_of(case, schedule, rng) for case in batch]
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bfloat16()):
        logits, pose = net(torch.stack([d[0] for d in drawn]))
    total = _pose_loss(pose.float(), torch.stack([d[4] for d in drawn]))
    for case, (_, centre, rotation, spacing, _), out in zip(batch, drawn, logits.float(), strict=True):
        logits_there = logits_at(out, case.points_mm, centre, rotation, spacing_mm=spacing)[None]
        probability, labels = logits_there.softmax(1), case.labels[None]
        overlap = dice_loss(probability[:, 1], labels == 1) + 0.5 * dice_loss(probability[:, 2], labels == 2)
        total = total + (overlap + 0.5 * F.cross_entropy(logits_there, labels)) / len(batch)
    return total


def _locate_step(net: LVCompact, batch: Sequence[PreparedCase], rng: np.random.Generator) -> Tensor:
    """Loss of the localiser on fields that are turned, shifted and stretched at random."""
    fields, targets = [], []
    for case in batch:
        turn, shift = random_rotation(rng, np.deg2rad(10.0)), single(rng.normal(0, 30.0, 3))
        stretch = float(np.exp(rng.normal(0, 0.1)))
        points = (coarse_points(torch.zeros(3)) * stretch) @ turn.T + case.middle_mm + shift
        fields.append(disturb_crop(normalise(sample_at(case.image, case.index_from_lps, points)), rng))
        centre = turn.T @ (case.centre_mm - case.middle_mm - shift) / (stretch * 0.5 * COARSE * COARSE_MM)
        # The centre, in halves of a field of 320 mm, is weighed by 4, as in the U-Net's units of 40 mm.
        targets.append(_pose_row(4 * centre, turn.T @ case.rotation, case.log_length - float(np.log(stretch))))
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bfloat16()):
        pose = net.locator(torch.stack(fields)).float()
    return _pose_loss(torch.cat([4 * pose[:, :3], pose[:, 3:]], 1), torch.stack(targets))


def _rate(schedule: Schedule, step: int) -> float:
    """Rise over 30 steps, then fall to zero along half a cosine."""
    return schedule.rate * min(1.0, (step + 1) / 30) * 0.5 * (1 + float(np.cos(np.pi * step / schedule.steps)))


def train_lv(
    cases: Sequence[Case],
    schedule: Schedule,
    *,
    folder: Path,
    start: Mapping[str, Tensor] | None = None,
    real_share: float = 0.5,
    resume: bool = False,
    quiet: bool = True,
) -> LVCompact:
    """Train a network; writes ``checkpoint.pt`` and ``log.jsonl``. A resumed training gives the same network.

    The forward passes are in bfloat16 where the processor has it, otherwise in single precision: bfloat16 that is
    emulated takes some 16 times as long.

    Parameters
    ----------
    cases
        Training cases only.
    folder
        Made if absent.
    start
        Weights to start from; default: random.
    real_share
        Share of real cases among those drawn, if there are real and simulated ones.
    resume
        Continue from the folder's checkpoint.
    quiet
        No progress bar.

    Returns
    -------
    The network with the moving average of the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(schedule.seed)
    prepared = [prepare_case(case) for case in cases]
    real_and_simulated = ([i for i, c in enumerate(cases) if c.simulated == simulated] for simulated in (False, True))
    kinds = [rows for rows in real_and_simulated if rows]
    net, mean = LVCompact(), LVCompact()
    if start is not None:
        net.load_state_dict(start)
    mean.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), lr=schedule.rate, weight_decay=1e-3)
    file = folder / "checkpoint.pt"
    parts: dict[str, HasState] = {"net": net, "mean": mean, "optimiser": optimiser}
    first = int(resume_checkpoint(file if resume else None, parts).get("step", 0))
    (folder / "recipe.json").write_text(json.dumps(asdict(schedule)))
    clock, sums = time.monotonic(), np.zeros(2)
    steps = range(first, schedule.steps)
    for step in track(steps, description=folder.name, disable=quiet, transient=True):
        rng = np.random.default_rng([schedule.seed, step])
        for group in optimiser.param_groups:
            group["lr"] = _rate(schedule, step)
        batch = []
        for _ in range(schedule.batch):
            kind = kinds[0] if len(kinds) == 1 or rng.random() < real_share else kinds[1]
            batch.append(prepared[kind[int(rng.integers(len(kind)))]])
        losses = _segment_step(net, batch, schedule, rng), _locate_step(net, batch, rng)
        optimiser.zero_grad()
        (losses[0] + losses[1]).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        with torch.no_grad():
            memory = min(schedule.averaged, (step + 1) / (step + 10))
            for average, new in zip(mean.parameters(), net.parameters(), strict=True):
                average.lerp_(new, 1 - memory)
        sums += [float(loss.detach()) for loss in losses]
        done = step + 1
        if done % 50 == 0:
            spent = round(time.monotonic() - clock, 1)
            line = {"step": done, "spent_s": spent, "segment": sums[0] / 50, "locate": sums[1] / 50}
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            sums[:] = 0
        if done % SAVE_EVERY == 0 or done == schedule.steps:
            save_checkpoint(file, parts, step=done)
    return mean
