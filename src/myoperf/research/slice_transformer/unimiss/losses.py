"""The parts of UniMiSS: options, projection head, losses, schedules, the running mean, the rank of features.

Sources: Xie et al., ECCV 2022 (UniMiSS); Caron et al., ICCV 2021 (DINO: centring, temperatures, and batch norm in
the head as an option of its code); paper 000, formulas (2) to (5). Formula (2) is printed as
mu <- lambda mu + (1 - lambda) mu; the second mu is the student's. Formula (5) prints H(f2, f2') where its symmetry,
and the authors' code, have H(f2, f1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.errors import InputError
from myoperf.research.slice_transformer.unimiss.views import ViewOptions
from myoperf.types import Float

__all__ = [
    "CrossEntropy",
    "Pair",
    "ProjectionHead",
    "UniMissOptions",
    "cosine_schedule",
    "effective_rank",
    "loss_2d",
    "loss_3d",
    "update_teacher",
]


@dataclass(frozen=True)
class UniMissOptions:
    """How to pre-train; the defaults are the authors', what they lack is off.

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
    epoch_steps
        Steps an epoch at most; None: as many as there are batches of images.
    first_teacher_temperature, temperature_epochs
        The teacher's temperature starts at the first and reaches its own in a straight line over so many epochs.
    head_norm
        Batch norm in the projection head: answers cannot all be the same within a batch.
    views
        How much two views of an image may differ.
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
    epoch_steps: int | None = None
    first_teacher_temperature: float | None = None
    temperature_epochs: int = 0
    head_norm: bool = False
    views: ViewOptions = field(default_factory=ViewOptions)

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.interval < 1 or self.warmup_epochs >= self.epochs:
            raise InputError("Pre-training needs at least one epoch, batch and interval, and a warm-up that ends.")


class ProjectionHead(nn.Module):
    """Three layers, then a weight-normalised one: (B, features) to (B, outputs)."""

    def __init__(self, features: int, options: UniMissOptions) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for wide in (features, options.hidden):
            layers.append(nn.Linear(wide, options.hidden))
            layers += [nn.BatchNorm1d(options.hidden)] if options.head_norm else []
            layers.append(nn.GELU())
        self.mlp = nn.Sequential(*layers, nn.Linear(options.hidden, options.bottleneck))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.last = nn.Parameter(torch.empty(options.outputs, options.bottleneck))
        nn.init.kaiming_uniform_(self.last, a=math.sqrt(5))

    def forward(self, features: Tensor) -> Tensor:
        """Give the cosine of the bottleneck with every row of the last layer."""
        return F.linear(F.normalize(self.mlp(features), dim=-1), F.normalize(self.last, dim=-1))


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

    def __post_init__(self) -> None:
        self.at(0)

    def at(self, epoch: int) -> None:
        """Set the teacher's temperature of an epoch."""
        first, last = self.options.first_teacher_temperature, self.options.teacher_temperature
        done = min(1.0, epoch / max(self.options.temperature_epochs, 1))
        self.temperature = last if first is None else first + done * (last - first)

    def target(self, teacher: Tensor) -> Tensor:
        """Centre and sharpen the teacher's outputs to probabilities (B, outputs)."""
        return F.softmax((teacher - self.centre) / self.temperature, dim=-1).detach()

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
