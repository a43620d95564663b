"""Dense-U-Net in 3D, after the multi-scale residual DenseNet of Khened et al. (doi:10.1016/j.media.2018.10.004).

From that paper: a first layer of kernels 3, 5 and 7 side by side; dense blocks of norm, ELU, convolution; transitions
down by a 1-convolution and max pooling, up by a strided transposed convolution; long skips that are projected and
added, not concatenated, and short residual paths around the dense blocks of the way up. Its squares become cubes. The
paper gives no sizes for 3D: growth 12, three to four layers per block, three poolings and dropout 0.2 are assumed.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.lv.compact_network import CLASSES
from myoperf.research.reorientation.attention_unet import norm_layer
from myoperf.research.reorientation.output import LVOutput


@dataclass(frozen=True)
class DenseUNetConfig:
    """Sizes.

    Parameters
    ----------
    first
        Channels of each kernel of the first layer.
    growth
        Channels each dense layer adds.
    depths
        Dense layers of the levels, finest first; the last is the bottom.
    dropout
        After each convolution of a dense layer.
    norm
        Instance or batch norm.
    """

    first: int = 12
    growth: int = 12
    depths: tuple[int, ...] = (3, 4, 4, 4)
    dropout: float = 0.2
    norm: Literal["instance", "batch"] = "batch"


def unit(inside: int, outside: int, kernel: int, config: DenseUNetConfig) -> nn.Sequential:
    """Return norm, ELU, convolution and dropout: (B, inside, D, H, W) -> (B, outside, D, H, W)."""
    convolution = nn.Conv3d(inside, outside, kernel, 1, kernel // 2, bias=False)
    return nn.Sequential(norm_layer(config.norm, inside), nn.ELU(), convolution, nn.Dropout3d(config.dropout))


class Dense(nn.Module):
    """(B, C, ...) -> the channels its layers add, (B, `depth` growth, ...); each layer sees all before it."""

    def __init__(self, inside: int, depth: int, config: DenseUNetConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList([unit(inside + k * config.growth, config.growth, 3, config) for k in range(depth)])

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels that the layers add."""
        added: list[Tensor] = []
        for layer in self.layers:
            added.append(layer(torch.cat([x, *added], 1)))
        return torch.cat(added, 1)


class DenseUNet(nn.Module):
    """``forward(volume)``: (B, 1, D, H, W), sides divisible by 8 -> ``LVOutput`` with logits in the given frame."""

    def __init__(self, config: DenseUNetConfig | None = None) -> None:
        super().__init__()
        config = config or DenseUNetConfig()
        self.first = nn.ModuleList([nn.Conv3d(1, config.first, k, 1, k // 2) for k in (3, 5, 7)])
        channels = 3 * config.first
        self.dense, self.thin = nn.ModuleList(), nn.ModuleList()
        skips: list[int] = []
        for depth in config.depths[:-1]:
            self.dense.append(Dense(channels, depth, config))
            channels += depth * config.growth
            skips.append(channels)
            self.thin.append(unit(channels, channels // 2, 1, config))
            channels //= 2
        self.bottom = Dense(channels, config.depths[-1], config)
        channels = config.depths[-1] * config.growth
        self.rise, self.project, self.grow, self.short = (nn.ModuleList() for _ in range(4))
        for depth, skip in zip(config.depths[-2::-1], reversed(skips), strict=True):
            wide = depth * config.growth
            self.rise.append(nn.ConvTranspose3d(channels, wide, 3, 2, 1, 1))
            self.project.append(unit(skip, wide, 1, config))
            self.grow.append(Dense(wide, depth, config))
            self.short.append(nn.Conv3d(wide, wide, 1, bias=False))
            channels = wide
        self.out = nn.Sequential(norm_layer(config.norm, channels), nn.ELU(), nn.Conv3d(channels, CLASSES, 1))

    def forward(self, volume: Tensor) -> LVOutput:
        """Segment a volume; see the class."""
        x = torch.cat([kernel(volume) for kernel in self.first], 1)
        skips: list[Tensor] = []
        for dense, thin in zip(self.dense, self.thin, strict=True):
            x = torch.cat([x, dense(x)], 1)
            skips.append(x)
            x = F.max_pool3d(thin(x), 2)
        x = self.bottom(x)
        for rise, project, grow, short, skip in zip(
            self.rise, self.project, self.grow, self.short, reversed(skips), strict=True
        ):
            x = rise(x) + project(skip)
            x = grow(x) + short(x)
        return LVOutput((self.out(x),), (1.0,))
