"""UniMiSS: self-supervised training of a Medical Transformer on pictures and volumes together.

A student learns to give, for one view of an image, what a teacher gives for the other; the teacher is the
running mean of the student. Epochs of pictures and of volumes alternate; a volume is also read as the
mean of its slices, and every pairing of volume and slices across the two views is a term of the loss.

Sources: Xie et al., ECCV 2022 (UniMiSS); Caron et al., ICCV 2021 (DINO: centring, temperatures);
paper 000, formulas (2) to (5). Formula (2) is printed as mu <- lambda mu + (1 - lambda) mu; the second
mu is the student's. Formula (5) prints H(f2, f2') where its symmetry, and the authors' code, have H(f2, f1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.data.slices import resize_stack
from myoperf.errors import InputError
from myoperf.nets.mit import WIDTHS, MiT, MiTConfig, build_mit
from myoperf.train.unimiss_views import picture_view, volume_view

__all__ = [
    "CrossEntropy",
    "Pretrained",
    "ProjectionHead",
    "Step",
    "UniMissOptions",
    "cosine_schedule",
    "effective_rank",
    "loss_2d",
    "loss_3d",
    "pretrain",
    "update_teacher",
]

Float = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class UniMissOptions:
    """How to pre-train; the defaults are the authors'.

    Parameters
    ----------
    epochs, interval
        Epochs in all; how many of one kind follow each other before the other kind's turn.
    batch
        Images a step (the authors: 24 a GPU on 8).
    learning_rate
        At the end of warm-up for 256 images a step; scaled with the batch.
    weight_decay
        (first, last), rising by cosine; biases, norms and other vectors are not decayed.
    momentum
        Of the teacher at the start; rises to 1 by cosine.
    outputs, hidden, bottleneck
        Widths of the projection head.
    frozen_epochs
        How long the head's last layer is kept.
    clip
        Largest gradient norm of each tensor.
    """

    epochs: int = 200
    interval: int = 2
    batch: int = 24
    learning_rate: float = 8e-4
    final_learning_rate: float = 1e-6
    warmup_epochs: int = 10
    weight_decay: tuple[float, float] = (0.04, 0.4)
    momentum: float = 0.996
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    centre_momentum: float = 0.9
    outputs: int = 65536
    hidden: int = 2048
    bottleneck: int = 256
    frozen_epochs: int = 1
    clip: float = 0.3

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.interval < 1 or self.warmup_epochs >= self.epochs:
            raise InputError("Pre-training needs at least one epoch, batch and interval, and a warm-up that ends.")


class ProjectionHead(nn.Module):
    """Three layers, then a weight-normalised one: (B, features) to (B, outputs)."""

    def __init__(self, features: int, options: UniMissOptions) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(features, options.hidden),
            nn.GELU(),
            nn.Linear(options.hidden, options.hidden),
            nn.GELU(),
            nn.Linear(options.hidden, options.bottleneck),
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.last = nn.Parameter(torch.empty(options.outputs, options.bottleneck))
        nn.init.kaiming_uniform_(self.last, a=math.sqrt(5))

    def forward(self, features: Tensor) -> Tensor:
        """Give the cosine of the bottleneck with every row of the last layer."""
        return F.linear(F.normalize(self.mlp(features), dim=-1), F.normalize(self.last, dim=-1))


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


@dataclass
class CrossEntropy:
    """H(student, teacher) with centring, and the centre it keeps.

    Parameters
    ----------
    centre
        Shape (outputs,): running mean of the teacher's outputs.
    """

    centre: Tensor
    options: UniMissOptions

    def target(self, teacher: Tensor) -> Tensor:
        """Centre and sharpen the teacher's outputs to probabilities (B, outputs)."""
        return F.softmax((teacher - self.centre) / self.options.teacher_temperature, dim=-1).detach()

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean over the batch of H(f_student, f_teacher), formula (3)."""
        log_student = F.log_softmax(student / self.options.student_temperature, dim=-1)
        return -(self.target(teacher) * log_student).sum(dim=-1).mean()

    def update(self, *teachers: Tensor) -> None:
        """Move the centre towards the mean of a step's teacher outputs."""
        keep = self.options.centre_momentum
        self.centre = keep * self.centre + (1.0 - keep) * torch.cat(teachers).mean(dim=0)


Pair = tuple[Tensor, Tensor]


def loss_2d(entropy: Callable[[Tensor, Tensor], Tensor], student: Pair, teacher: Pair) -> Tensor:
    """Symmetric cross-entropy of two views, formula (4), as the mean of its two terms."""
    return 0.5 * (entropy(student[0], teacher[1]) + entropy(student[1], teacher[0]))


def loss_3d(
    entropy: Callable[[Tensor, Tensor], Tensor],
    student: Pair,
    teacher: Pair,
    student_slices: Pair,
    teacher_slices: Pair,
) -> Tensor:
    """Eight cross terms of volume and slice features, formula (5), each view against the other.

    The sum of four symmetric means, as in the authors' code: half of the printed sum.
    """
    return sum(
        (loss_2d(entropy, s, t) for s in (student, student_slices) for t in (teacher, teacher_slices)),
        start=torch.zeros(()),
    )


def cosine_schedule(first: float, last: float, steps: int, *, warmup: int = 0) -> Float:
    """Rise linearly from 0 to `first` over `warmup` steps, then go to `last` by half a cosine."""
    rest = np.arange(steps - warmup)
    curve = last + 0.5 * (first - last) * (1.0 + np.cos(np.pi * rest / max(len(rest), 1)))
    return np.concatenate([np.linspace(0.0, first, warmup), curve])


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move every parameter of the teacher: mu <- momentum mu + (1 - momentum) theta."""
    for mean, new in zip(teacher.parameters(), student.parameters(), strict=True):
        mean.mul_(momentum).add_(new, alpha=1.0 - momentum)


def effective_rank(features: Tensor) -> float:
    """Measure how many directions features (N, C) use: exp of the entropy of the singular values' shares.

    1 means that all inputs give features along one line (collapse). Source: Roy and Vetterli, EUSIPCO 2007.
    """
    centred = features - features.mean(dim=0)
    values = torch.linalg.svdvals(centred.double())
    share = values / values.sum().clamp_min(1e-12)
    return float(torch.exp(-(share * torch.log(share.clamp_min(1e-12))).sum()))


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
    report
        Called after every step.

    Raises
    ------
    InputError
        When there are fewer images than a batch, or the loss is no longer finite.
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
    steps, ranks = [], [effective_rank(_tokens(teacher.backbone, volumes, config))]
    for i, (epoch, kind) in enumerate(plan):
        optimizer.param_groups[0].update(lr=float(rate[i]), weight_decay=float(decay[i]))
        optimizer.param_groups[1].update(lr=float(rate[i]))
        images = pictures if kind == "2D" else volumes
        chosen = rng.choice(len(images), options.batch, replace=False)
        views = _views([np.asarray(images[j]) for j in chosen], config, kind, rng)
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
    return Pretrained(student.backbone.eval(), teacher.backbone.eval(), tuple(steps), tuple(ranks))


def _plan(pictures: int, volumes: int, options: UniMissOptions) -> list[tuple[int, Literal["2D", "3D"]]]:
    """List (epoch, kind) of every step: `interval` epochs of pictures, then as many of volumes."""
    plan: list[tuple[int, Literal["2D", "3D"]]] = []
    for epoch in range(options.epochs):
        kind: Literal["2D", "3D"] = "2D" if (epoch // options.interval) % 2 == 0 else "3D"
        plan += [(epoch, kind)] * max(1, (pictures if kind == "2D" else volumes) // options.batch)
    return plan


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


def _views(images: Sequence[Float], config: MiTConfig, kind: str, rng: np.random.Generator) -> Pair:
    """Make two views of every image."""
    if kind == "2D":
        made = [[picture_view(image, config.picture_shape[0], rng) for image in images] for _ in range(2)]
    else:
        made = [[volume_view(image, config.volume_shape, rng) for image in images] for _ in range(2)]
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
