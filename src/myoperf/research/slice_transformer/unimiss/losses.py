"""Projection head and losses of UniMiSS.

Sources: Xie et al., ECCV 2022, doi:10.1007/978-3-031-19803-8_33 (UniMiSS); Caron et al., ICCV 2021,
doi:10.1109/ICCV48922.2021.00951 (DINO: centring, temperatures, and batch norm in the head as an option of its code);
formulas (3) to (5) as Zhao et al. (see `multi_branch`) number them. Their formula (5) prints H(f2, f2') where its
symmetry, and the authors' code, have H(f2, f1).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.research.slice_transformer.unimiss.options import UniMissOptions


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
        """Return the cosine of the bottleneck with every row of the last layer."""
        return F.linear(F.normalize(self.mlp(features), dim=-1), F.normalize(self.last, dim=-1))


@dataclass
class CrossEntropy:
    """Cross-entropy H(student, teacher) with centring, and the centre it keeps.

    Parameters
    ----------
    centre
        Shape (outputs,): running mean of the teacher's outputs.
    """

    centre: Tensor
    options: UniMissOptions

    def __post_init__(self) -> None:
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Set the teacher's temperature for an epoch."""
        first, last = self.options.first_teacher_temperature, self.options.teacher_temperature
        done = min(1.0, epoch / max(self.options.temperature_epochs, 1))
        self.temperature = last if first is None else first + done * (last - first)

    def target(self, teacher: Tensor) -> Tensor:
        """Return the teacher's outputs, centred and sharpened, as probabilities (B, outputs)."""
        return F.softmax((teacher - self.centre) / self.temperature, dim=-1).detach()

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the mean over the batch of H(f_student, f_teacher), formula (3)."""
        log_student = F.log_softmax(student / self.options.student_temperature, dim=-1)
        return -(self.target(teacher) * log_student).sum(dim=-1).mean()

    def update(self, *teachers: Tensor) -> None:
        """Move the centre towards the mean of a step's teacher outputs."""
        keep = self.options.centre_momentum
        self.centre = keep * self.centre + (1.0 - keep) * torch.cat(teachers).mean(dim=0)


Pair = tuple[Tensor, Tensor]


def loss_2d(entropy: Callable[[Tensor, Tensor], Tensor], student: Pair, teacher: Pair) -> Tensor:
    """Return the symmetric cross-entropy of two views, formula (4), as the mean of its two terms."""
    return 0.5 * (entropy(student[0], teacher[1]) + entropy(student[1], teacher[0]))


def loss_3d(
    entropy: Callable[[Tensor, Tensor], Tensor],
    student: Pair,
    teacher: Pair,
    student_slices: Pair,
    teacher_slices: Pair,
    *,
    after: Callable[[Pair], None] = lambda teacher: None,
) -> Tensor:
    """Return the sum over eight cross terms of volume and slice features, formula (5), each view against the other.

    It is the sum of four symmetric means, as in the authors' code: half of the printed sum.

    Parameters
    ----------
    after
        Called with the teacher's outputs after each mean. The authors move the centre there, so that each mean after
        the first is centred by those before it: the order of the four is theirs.
    """
    total = student[0].new_zeros(())
    for learned, target in (
        (student, teacher),
        (student_slices, teacher),
        (student_slices, teacher_slices),
        (student, teacher_slices),
    ):
        total = total + loss_2d(entropy, learned, target)
        after(target)
    return total
