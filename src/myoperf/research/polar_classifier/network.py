"""The polar-map network in torch, to be trained; `myoperf.diagnosis.network` runs it, and says what it is."""

import torch
from torch import Tensor, nn
from torch.nn import functional


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
