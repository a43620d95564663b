"""UniMiSS: self-supervised training of a Medical Transformer on pictures and volumes together.

A student learns to give, for one view of an image, what a teacher gives for the other; the teacher is the
running mean of the student. Epochs of pictures and of volumes alternate; a volume is also read as the
mean of its slices, and every pairing of volume and slices across the two views is a term of the loss.

Source: Xie et al., ECCV 2022 (UniMiSS). The losses and their sources stand in `losses`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from myoperf.errors import InputError
from myoperf.research.slice_stacks import resize_stack
from myoperf.research.slice_transformer.mit import WIDTHS, MiT, MiTConfig, build_mit
from myoperf.research.slice_transformer.unimiss.losses import (
    CrossEntropy,
    Pair,
    ProjectionHead,
    UniMissOptions,
    cosine_schedule,
    effective_rank,
    loss_2d,
    loss_3d,
    update_teacher,
)
from myoperf.research.slice_transformer.unimiss.views import ViewOptions, picture_view, volume_view
from myoperf.types import Float

__all__ = ["Pretrained", "Step", "UniMissOptions", "pretrain"]


class Learner(nn.Module):
    """A backbone and its head: one half of the pair."""

    def __init__(self, config: MiTConfig, options: UniMissOptions, seed: int) -> None:
        super().__init__()
        self.backbone = build_mit(config, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            self.head = ProjectionHead(WIDTHS[0], options)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures or volumes to (B, outputs)."""
        out: Tensor = self.head(self.backbone(images))
        return out

    def through_slices(self, volumes: Tensor) -> Tensor:
        """Read volumes (B, 1, D, H, W) slice by slice and average the outputs: (B, outputs)."""
        batch, _, depth, rows, columns = volumes.shape
        slices = volumes.reshape(batch * depth, 1, rows, columns).expand(-1, 3, -1, -1)
        out: Tensor = self(slices).reshape(batch, depth, -1).mean(dim=1)
        return out


@dataclass(frozen=True)
class Step:
    """What one training step measured.

    Attributes
    ----------
    entropy
        Mean entropy of the teacher's targets relative to log(outputs): 1 would be uniform, no information.
    spread
        Entropy of the targets' mean over the batch, relative to its largest possible value; 0 would
        be one answer to everything.
    """

    epoch: int
    kind: Literal["2D", "3D"]
    loss: float
    entropy: float
    spread: float
    learning_rate: float
    momentum: float


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Both networks and how training went.

    Attributes
    ----------
    student, teacher
        Backbones without heads.
    ranks
        Effective rank of the teacher's encoder tokens on all volumes, before training and after each epoch.
    """

    student: MiT
    teacher: MiT
    steps: tuple[Step, ...]
    ranks: tuple[float, ...]


def pretrain(
    pictures: Sequence[Float],
    volumes: Sequence[Float],
    *,
    config: MiTConfig,
    options: UniMissOptions,
    seed: int = 0,
    groups: tuple[Sequence[int], Sequence[int]] | None = None,
    checkpoint: Path | None = None,
    report: Callable[[Step], None] | None = None,
) -> Pretrained:
    """Pre-train an MiT without labels.

    Parameters
    ----------
    pictures
        Grey (rows, columns), 0 to 1.
    volumes
        (planes, rows, columns), 0 to 1, at least as deep as the config's volume shape.
    config
        Of student and teacher; must take pictures and volumes.
    groups
        A number for each picture and for each volume: a step's images are of one number, so that what tells groups
        apart (the views of the heart) is no answer. Groups smaller than a batch are mixed with all others.
        None: all are one group.
    checkpoint
        File that keeps the state after every epoch; a training that finds it goes on from there, to the same numbers.
    report
        Called after every step.

    Raises
    ------
    InputError
        When there are fewer images than a batch, the loss is no longer finite, or the checkpoint is of another
        training.
    """
    if min(len(pictures), len(volumes)) < options.batch or set(config.modes) != {"2D", "3D"}:
        raise InputError(
            f"UniMiSS needs at least a batch ({options.batch}) of pictures and of volumes, and an MiT for both; "
            f"got {len(pictures)} pictures, {len(volumes)} volumes, modes {config.modes}."
        )
    rng = np.random.default_rng(seed)
    student, teacher = Learner(config, options, seed), Learner(config, options, seed)
    teacher.requires_grad_(False)
    entropy = CrossEntropy(torch.zeros(options.outputs), options)
    optimizer = torch.optim.AdamW(_parameter_groups(student), lr=0.0)
    plan = _plan(len(pictures), len(volumes), options)
    rate, decay, momentum = _schedules(plan, options)
    state = _State(student, teacher, optimizer, entropy, rng, {"config": asdict(config), "options": asdict(options)})
    steps, ranks = state.read(checkpoint) if checkpoint is not None and checkpoint.exists() else ([], [])
    ranks = ranks or [effective_rank(_tokens(teacher.backbone, volumes, config))]
    for i, (epoch, kind) in enumerate(plan):
        if i < len(steps):
            continue
        optimizer.param_groups[0].update(lr=float(rate[i]), weight_decay=float(decay[i]))
        optimizer.param_groups[1].update(lr=float(rate[i]))
        images = pictures if kind == "2D" else volumes
        kinds = None if groups is None else np.asarray(groups[0 if kind == "2D" else 1])
        chosen = choose_batch(len(images), kinds, options.batch, rng)
        entropy.at(epoch)
        views = _views([np.asarray(images[j]) for j in chosen], config, kind, rng, options.views)
        loss, targets = _losses(student, teacher, entropy, views, kind)
        if not math.isfinite(loss.item()):
            raise InputError(f"The loss of step {i} is {loss.item()}; lower the learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        _clip(student, options.clip)
        if epoch < options.frozen_epochs:
            student.head.last.grad = None
        optimizer.step()
        update_teacher(teacher, student, float(momentum[i]))
        step = Step(epoch, kind, loss.item(), *_entropies(targets), float(rate[i]), float(momentum[i]))
        steps.append(step)
        if report is not None:
            report(step)
        if i + 1 == len(plan) or plan[i + 1][0] != epoch:
            ranks.append(effective_rank(_tokens(teacher.backbone, volumes, config)))
            if checkpoint is not None:
                state.write(checkpoint, steps, ranks)
    return Pretrained(student.backbone.eval(), teacher.backbone.eval(), tuple(steps), tuple(ranks))


@dataclass(frozen=True, eq=False)
class _State:
    """All that a training needs to go on as if it had not stopped."""

    student: Learner
    teacher: Learner
    optimizer: torch.optim.Optimizer
    entropy: CrossEntropy
    rng: np.random.Generator
    settings: dict[str, Any]

    def write(self, path: Path, steps: list[Step], ranks: list[float]) -> None:
        """Write the state beside the file's name first, so that a stop leaves the last one whole."""
        part = path.with_suffix(".part")
        content = {name: getattr(self, name).state_dict() for name in ("student", "teacher", "optimizer")}
        content |= {"centre": self.entropy.centre, "rng": json.dumps(self.rng.bit_generator.state)}
        content |= {"settings": json.dumps(self.settings), "steps": [asdict(step) for step in steps], "ranks": ranks}
        torch.save(content, part)
        part.replace(path)

    def read(self, path: Path) -> tuple[list[Step], list[float]]:
        """Take the state up again; gives the steps and ranks so far."""
        content = torch.load(path, weights_only=True)
        if content["settings"] != json.dumps(self.settings):
            raise InputError(f"{path.name} is of a training with other settings; choose another folder.")
        for name in ("student", "teacher", "optimizer"):
            getattr(self, name).load_state_dict(content[name])
        self.entropy.centre = content["centre"]
        self.rng.bit_generator.state = json.loads(content["rng"])
        return [Step(**step) for step in content["steps"]], list(content["ranks"])


def _plan(pictures: int, volumes: int, options: UniMissOptions) -> list[tuple[int, Literal["2D", "3D"]]]:
    """List (epoch, kind) of every step: `interval` epochs of pictures, then as many of volumes."""
    plan: list[tuple[int, Literal["2D", "3D"]]] = []
    for epoch in range(options.epochs):
        kind: Literal["2D", "3D"] = "2D" if (epoch // options.interval) % 2 == 0 else "3D"
        count = max(1, (pictures if kind == "2D" else volumes) // options.batch)
        plan += [(epoch, kind)] * min(count, options.epoch_steps or count)
    return plan


def choose_batch(count: int, groups: NDArray[Any] | None, batch: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw a batch of different images, of one group if groups are told and the group fills a batch."""
    if groups is not None:
        members = np.flatnonzero(groups == groups[rng.integers(count)])
        if len(members) >= batch:
            return rng.choice(members, batch, replace=False)
    return rng.choice(count, batch, replace=False)


def _schedules(plan: Sequence[tuple[int, str]], options: UniMissOptions) -> tuple[Float, Float, Float]:
    """Give learning rate, weight decay and teacher momentum of every step."""
    steps = len(plan)
    warmup = sum(epoch < options.warmup_epochs for epoch, _ in plan)
    peak = options.learning_rate * options.batch / 256.0
    return (
        cosine_schedule(peak, options.final_learning_rate, steps, warmup=warmup),
        cosine_schedule(*options.weight_decay, steps),
        cosine_schedule(options.momentum, 1.0, steps),
    )


def _parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Split parameters into decayed ones and vectors (biases, norms), which are not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    return [{"params": decayed}, {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0}]


def _views(
    images: Sequence[Float], config: MiTConfig, kind: str, rng: np.random.Generator, options: ViewOptions
) -> Pair:
    """Make two views of every image."""
    side, shape = config.picture_shape[0], config.volume_shape
    if kind == "2D":
        made = [[picture_view(image, side, rng, options=options) for image in images] for _ in range(2)]
    else:
        made = [[volume_view(image, shape, rng, options=options) for image in images] for _ in range(2)]
    return torch.from_numpy(np.stack(made[0])), torch.from_numpy(np.stack(made[1]))


def _losses(student: Learner, teacher: Learner, entropy: CrossEntropy, views: Pair, kind: str) -> tuple[Tensor, Tensor]:
    """Give the loss of a step and the teacher's targets; the centre moves after the loss is taken."""
    both = torch.cat(views)

    def halves(out: Tensor) -> Pair:
        return out[: len(out) // 2], out[len(out) // 2 :]

    with torch.no_grad():
        t = teacher(both)
    s = student(both)
    targets = entropy.target(t)
    if kind == "2D":
        loss = loss_2d(entropy, halves(s), halves(t))
        entropy.update(t)
        return loss, targets
    with torch.no_grad():
        t_slices = teacher.through_slices(both)
    s_slices = student.through_slices(both)
    loss = loss_3d(entropy, halves(s), halves(t), halves(s_slices), halves(t_slices))
    entropy.update(t, t_slices)
    return loss, targets


def _clip(network: nn.Module, limit: float) -> None:
    """Scale down each tensor's gradient whose norm exceeds the limit (each for itself, as DINO does)."""
    for parameter in network.parameters():
        if parameter.grad is not None:
            norm = float(parameter.grad.norm())
            if norm > limit:
                parameter.grad.mul_(limit / (norm + 1e-6))


def _entropies(targets: Tensor) -> tuple[float, float]:
    """Give the targets' mean entropy and the entropy of their mean, each relative to its largest value."""

    def bits(p: Tensor) -> Tensor:
        return -(p * torch.log(p.clamp_min(1e-12))).sum(dim=-1)

    full = math.log(targets.shape[1])
    return float(bits(targets).mean()) / full, float(bits(targets.mean(dim=0))) / full


@torch.no_grad()
def _tokens(backbone: MiT, volumes: Sequence[Float], config: MiTConfig) -> Tensor:
    """Give the encoder's class tokens of up to 64 whole volumes, in evaluation."""
    batch = torch.from_numpy(np.stack([resize_stack(v, config.volume_shape) for v in list(volumes)[:64]]))[:, None]
    training = backbone.training
    backbone.eval()
    tokens = torch.cat([backbone.encoder(batch[i : i + 8]).token for i in range(0, len(batch), 8)])
    backbone.train(training)
    return tokens
