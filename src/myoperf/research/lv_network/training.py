"""The recipe of the compact network that finds the left ventricle: random poses, both parts, one loop."""

from __future__ import annotations

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
from myoperf.lv.sampling import (
    COARSE,
    COARSE_MM,
    coarse_points,
    crop_points,
    normalise,
    pull,
    sample_at,
)
from myoperf.research.lv_network.cases import Case
from myoperf.research.lv_network.losses import dice_loss

__all__ = ["Ready", "RecipeLV", "prepare_case", "train_lv"]

BOX = 34
SAVE_EVERY = 250


@dataclass(frozen=True)
class RecipeLV:
    """Settings of a training.

    Parameters
    ----------
    steps
        The learning rate falls to zero along them (cosine).
    batch
        Volumes a step.
    rate
        Largest learning rate of AdamW.
    seed
        Of the weights, the order and the augmentation.
    turn_deg, shift_mm, stretch
        Standard deviations of the random pose.
    averaged
        Memory of the moving average of the weights, which is what comes out.
    """

    steps: int = 6000
    batch: int = 2
    rate: float = 2e-3
    seed: int = 0
    turn_deg: float = 14.0
    shift_mm: float = 8.0
    stretch: float = 0.08
    averaged: float = 0.998


@dataclass(frozen=True, eq=False)
class Ready:
    """A case as tensors: image, its affines, the pose, and a box of voxels about the ventricle."""

    image: Tensor
    index_from_lps: Tensor
    middle_mm: Tensor
    centre_mm: Tensor
    rotation: Tensor
    log_length: float
    points_mm: Tensor
    labels: Tensor


def prepare_case(case: Case) -> Ready:
    """Turn a case into tensors (float32)."""
    affine = case.image.lps_from_index
    shape = np.array(case.image.grid_shape)
    place = transform_points(index_from_lps(affine), case.frame.centre_mm)
    low = np.clip(np.rint(place).astype(int) - BOX // 2, 0, np.maximum(shape - BOX, 0))
    high = np.minimum(low + BOX, shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    index = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
    frame = case.frame

    def single(values: object) -> Tensor:
        return torch.from_numpy(np.array(values, dtype=np.float32))

    return Ready(
        single(case.image.array),
        single(index_from_lps(affine)),
        single(transform_points(affine, 0.5 * (shape - 1))),
        single(frame.centre_mm),
        single(np.stack([frame.axis, frame.anterior, frame.lateral], 1)),
        float(np.log(frame.length_mm / 80.0)),
        single(transform_points(affine, index)),
        torch.from_numpy(case.labels.array[0][box].astype(np.int64)),
    )


def _turn(rng: np.random.Generator, degrees: float) -> Tensor:
    """Give a random rotation whose angle about each axis has this standard deviation."""
    v = rng.normal(0.0, np.deg2rad(degrees), 3)
    skew = torch.tensor([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]], dtype=torch.float32)
    turn: Tensor = torch.linalg.matrix_exp(skew)
    return turn


def _ball(side: int, rng: np.random.Generator, width: tuple[float, float]) -> Tensor:
    """Give a Gaussian somewhere in the cube, 1 at its middle; width as a share of the side."""
    steps = torch.linspace(-1, 1, side)
    parts = []
    for place in rng.uniform(-0.9, 0.9, 3):
        parts.append(torch.exp(-0.5 * ((steps - float(place)) / (2 * float(rng.uniform(*width)))) ** 2))
    return parts[0][:, None, None] * parts[1][:, None] * parts[2]


def _disturb(crop: Tensor, rng: np.random.Generator) -> Tensor:
    """Vary contrast, sharpness and noise of a normalised crop; darken or brighten places in it."""
    out = crop.clamp_min(1e-6) ** float(np.exp(rng.normal(0, 0.25))) * float(np.exp(rng.normal(0, 0.12)))
    side = crop.shape[-1]
    if rng.random() < 0.3:  # a defect
        out = out * (1 - float(rng.uniform(0.2, 0.9)) * _ball(side, rng, (0.04, 0.12)))
    if rng.random() < 0.3:  # attenuation
        out = out * (1 + float(rng.uniform(-0.4, 0.4)) * _ball(side, rng, (0.2, 0.5)))
    if rng.random() < 0.2:  # gut
        out = out + float(rng.uniform(0.2, 1.5)) * _ball(side, rng, (0.03, 0.1))
    if rng.random() < 0.3:
        out = F.avg_pool3d(out[None], 3, 1, 1)[0] * (w := float(rng.uniform(0.2, 0.8))) + out * (1 - w)
    if rng.random() < 0.5:
        out = out + torch.from_numpy(rng.normal(0, rng.uniform(0, 0.06), out.shape).astype(np.float32))
    return out


def _crop_of(case: Ready, recipe: RecipeLV, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, float, Tensor]:
    """Draw a pose near the truth -> crop, its centre, its rotation, its spacing, and the pose left over (13,)."""
    rotation = case.rotation @ _turn(rng, recipe.turn_deg * rng.choice([0.4, 1.0, 1.4]))
    centre = case.centre_mm + torch.from_numpy(rng.normal(0, recipe.shift_mm, 3).astype(np.float32))
    spacing = 4.0 * float(np.exp(rng.normal(0, recipe.stretch)))
    crop = normalise(sample_at(case.image, case.index_from_lps, crop_points(centre, rotation, spacing_mm=spacing)))
    scale = 4.0 / spacing
    left = rotation.T @ (case.centre_mm - centre) / 40.0 * scale
    turned = rotation.T @ case.rotation
    target = torch.cat([left, turned.T.reshape(-1), torch.tensor([case.log_length + float(np.log(scale))])])
    return _disturb(crop, rng), centre, rotation, spacing, target


def _pose_loss(pose: Tensor, target: Tensor) -> Tensor:
    """L1 of centre and log length; chordal L1 of axis and anterior. Pose (B, 10), target (B, 13)."""
    matrix = matrix_from_six(pose[:, 3:9]).transpose(1, 2).flatten(1)
    return (
        (pose[:, :3] - target[:, :3]).abs().mean()
        + (matrix - target[:, 3:12])[:, :6].abs().mean()
        + 0.5 * (pose[:, 9] - target[:, 12]).abs().mean()
    )


def _segment_step(net: LVCompact, batch: Sequence[Ready], recipe: RecipeLV, rng: np.random.Generator) -> Tensor:
    drawn = [_crop_of(case, recipe, rng) for case in batch]
    with torch.autocast("cpu", torch.bfloat16):
        logits, pose = net(torch.stack([d[0] for d in drawn]))
    total = _pose_loss(pose.float(), torch.stack([d[4] for d in drawn]))
    for case, (_, centre, rotation, spacing, _), out in zip(batch, drawn, logits.float(), strict=True):
        back = pull(out, case.points_mm, centre, rotation, spacing_mm=spacing)[None]
        chance = back.softmax(1)
        overlap = dice_loss(chance[:, 1], case.labels[None] == 1) + 0.5 * dice_loss(
            chance[:, 2], case.labels[None] == 2
        )
        total = total + (overlap + 0.5 * F.cross_entropy(back, case.labels[None])) / len(batch)
    return total


def _locate_step(net: LVCompact, batch: Sequence[Ready], rng: np.random.Generator) -> Tensor:
    fields, targets = [], []
    for case in batch:
        turn, shift = _turn(rng, 10.0), torch.from_numpy(rng.normal(0, 30.0, 3).astype(np.float32))
        stretch = float(np.exp(rng.normal(0, 0.1)))
        points = (coarse_points(torch.zeros(3)) * stretch) @ turn.T + case.middle_mm + shift
        field = _disturb(normalise(sample_at(case.image, case.index_from_lps, points)), rng)
        centre = turn.T @ (case.centre_mm - case.middle_mm - shift) / (stretch * 0.5 * COARSE * COARSE_MM)
        matrix = turn.T @ case.rotation
        fields.append(field)
        length = torch.tensor([case.log_length - float(np.log(stretch))])
        targets.append(torch.cat([4 * centre, matrix.T.reshape(-1), length]))
    with torch.autocast("cpu", torch.bfloat16):
        pose = net.locator(torch.stack(fields)).float()
    return _pose_loss(torch.cat([4 * pose[:, :3], pose[:, 3:]], 1), torch.stack(targets))


def _rate(recipe: RecipeLV, step: int) -> float:
    return recipe.rate * min(1.0, (step + 1) / 30) * 0.5 * (1 + float(np.cos(np.pi * step / recipe.steps)))


def train_lv(
    cases: Sequence[Case],
    recipe: RecipeLV,
    *,
    folder: Path,
    start: Mapping[str, Tensor] | None = None,
    real_share: float = 0.5,
    resume: bool = False,
    quiet: bool = True,
) -> LVCompact:
    """Train; writes ``checkpoint.pt`` and ``log.jsonl``. Going on after a stop gives the same network.

    Parameters
    ----------
    cases
        Training cases only.
    folder
        Made if absent.
    start
        Weights to start from; random ones if absent.
    real_share
        Of the cases drawn, where there are both real and simulated ones.
    resume
        Go on from the folder's checkpoint.
    quiet
        No progress bar.

    Returns
    -------
    The network with the moving average of its weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    ready = [prepare_case(case) for case in cases]
    groups = [g for g in ([i for i, c in enumerate(cases) if c.simulated == kind] for kind in (False, True)) if g]
    net, mean = LVCompact(), LVCompact()
    if start is not None:
        net.load_state_dict(start)
    mean.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=1e-3)
    first, file = 0, folder / "checkpoint.pt"
    if resume and file.exists():
        state = torch.load(file, weights_only=True)
        net.load_state_dict(state["net"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
        first = int(state["step"])
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe)))
    clock, sums = time.monotonic(), np.zeros(2)
    steps = range(first, recipe.steps)
    for step in track(steps, description=folder.name, disable=quiet, transient=True):
        rng = np.random.default_rng([recipe.seed, step])
        for part in optimiser.param_groups:
            part["lr"] = _rate(recipe, step)
        batch = []
        for _ in range(recipe.batch):
            group = groups[0] if len(groups) == 1 or rng.random() < real_share else groups[1]
            batch.append(ready[group[int(rng.integers(len(group)))]])
        both = _segment_step(net, batch, recipe, rng), _locate_step(net, batch, rng)
        optimiser.zero_grad()
        (both[0] + both[1]).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        with torch.no_grad():
            memory = min(recipe.averaged, (step + 1) / (step + 10))
            for kept, new in zip(mean.parameters(), net.parameters(), strict=True):
                kept.lerp_(new, 1 - memory)
        sums += [float(b.detach()) for b in both]
        done = step + 1
        if done % 50 == 0:
            spent = round(time.monotonic() - clock, 1)
            line = {"step": done, "spent_s": spent, "segment": sums[0] / 50, "locate": sums[1] / 50}
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            sums[:] = 0
        if done % SAVE_EVERY == 0 or done == recipe.steps:
            _save(file, net, mean, optimiser, done)
    return mean


def _save(file: Path, net: LVCompact, mean: LVCompact, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Write the checkpoint beside the old one, then put it in its place."""
    fresh = file.with_suffix(".new")
    state = {"net": net.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    torch.save(state, fresh)
    fresh.replace(file)
