"""A small network from stress and rest polar maps and clinical values to the three vessels.

Convolutions wrap around the angle, as the wall does. The last maps are pooled to a coarse grid, which keeps where on
the wall a defect lies. Rest and each clinical value may be missing: a flag for each tells the network.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

CLINICAL = ("sex", "age_years", "height_m", "weight_kg")
"""Order of the clinical values; sex is 1 for a man, 0 for a woman."""


class _PeriodicConvolution(nn.Module):
    """A 3 x 3 convolution that wraps around the last axis, with batch norm and ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, maps: Tensor) -> Tensor:
        maps = functional.pad(maps, (1, 1, 0, 0), mode="circular")
        maps = functional.pad(maps, (0, 0, 1, 1), mode="replicate")
        return functional.relu(self.norm(self.convolution(maps)))


class PolarClassifier(nn.Module):
    """Maps (B, 4, 24, 72) and clinical values (B, 8) -> logits (B, 3) for LAD, LCX, RCA.

    Parameters
    ----------
    width
        Channels of the first block; the last has twice as many.
    dropout
        Before the last layers.
    """

    def __init__(self, width: int = 16, dropout: float = 0.3) -> None:
        super().__init__()
        self.first = _PeriodicConvolution(4, width)
        self.second = _PeriodicConvolution(width, 2 * width)
        self.third = _PeriodicConvolution(2 * width, 2 * width)
        self.hidden = nn.Linear(2 * width * 4 * 6, 64)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(64 + 8, 3)

    def forward(self, maps: Tensor, clinical: Tensor) -> Tensor:
        """Return one logit per vessel."""
        maps = functional.avg_pool2d(self.first(maps), 2)
        maps = self.third(self.second(maps))  # (B, 2 width, 12, 36)
        pooled = functional.adaptive_avg_pool2d(maps, (4, 6)).flatten(1)  # (B, 2 width * 24)
        hidden = functional.relu(self.hidden(self.dropout(pooled)))
        logits: Tensor = self.last(torch.cat([self.dropout(hidden), clinical], dim=1))
        return logits


def network_input(stress: Tensor, rest: Tensor | None, normal_stress: Tensor, normal_rest: Tensor) -> Tensor:
    """Stack the network's four channels, (B, 4, rings, angles): stress, rest, their difference, a flag for rest.

    Parameters
    ----------
    stress, rest
        (B, rings, angles), scaled so that the 98th percentile is 1; rest may be None.
    normal_stress, normal_rest
        (rings, angles): mean of patients without disease, scaled in the same way.
    """
    first = (stress - normal_stress) / 0.1  # brings the deviations of normal maps to about one
    if rest is None:
        nothing = torch.zeros_like(first)
        return torch.stack([first, nothing, nothing, nothing], dim=1)
    second = (rest - normal_rest) / 0.1
    return torch.stack([first, second, first - second, torch.ones_like(first)], dim=1)
