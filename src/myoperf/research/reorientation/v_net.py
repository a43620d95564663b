"""V-Net: residual stages of 5^3 convolutions (Milletari et al. 2016, doi:10.1109/3DV.2016.79).

Ni et al. 2023 compare with "V-Net structure [18]" and give no sizes: those of the original are used, with a norm after
each convolution as in the public implementations (the original has none).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from myoperf.lv.compact_network import CLASSES
from myoperf.research.reorientation.attention_unet import norm_layer
from myoperf.research.reorientation.output import LVOutput


@dataclass(frozen=True)
class VNetConfig:
    """Sizes; the default is the original.

    Parameters
    ----------
    width
        Channels of the finest level; doubled at every level down.
    depths
        Convolutions of the levels, finest first; the last is the bottom.
    norm
        Instance or batch norm.
    """

    width: int = 16
    depths: tuple[int, ...] = (1, 2, 3, 3, 3)
    norm: Literal["instance", "batch"] = "batch"


class Stage(nn.Module):
    """`depth` convolutions, to whose result the stage's `shortcut` is added."""

    def __init__(self, inside: int, channels: int, depth: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for k in range(depth):
            layers.append(nn.Conv3d(channels if k else inside, channels, 5, 1, 2, bias=False))
            layers.append(norm_layer(norm, channels))
            if k < depth - 1:
                layers.append(nn.PReLU(channels))
        self.convolve = nn.Sequential(*layers)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        """Return the features after the convolutions and the shortcut."""
        y: Tensor = self.act(self.convolve(x) + shortcut)
        return y


def change(convolution: nn.Module, channels: int, norm: str) -> nn.Sequential:
    """Return a strided convolution followed by a norm and an activation.

    Parameters
    ----------
    channels
        That the convolution gives.
    norm
        As for `norm_layer`.
    """
    return nn.Sequential(convolution, norm_layer(norm, channels), nn.PReLU(channels))


class VNet(nn.Module):
    """``forward(volume)``: (B, 1, D, H, W), sides divisible by 16 -> ``LVOutput`` with logits in the given frame."""

    def __init__(self, config: VNetConfig | None = None) -> None:
        super().__init__()
        config = config or VNetConfig()
        norm, depths = config.norm, config.depths
        widths = [config.width * 2**k for k in range(len(depths))]
        self.first = Stage(1, widths[0], depths[0], norm)
        self.downs, self.stages = nn.ModuleList(), nn.ModuleList()
        for above, here, depth in zip(widths[:-1], widths[1:], depths[1:], strict=True):
            self.downs.append(change(nn.Conv3d(above, here, 2, 2, bias=False), here, norm))
            self.stages.append(Stage(here, here, depth, norm))
        self.ups, self.joins = nn.ModuleList(), nn.ModuleList()
        below = widths[-1]
        for skip, depth in zip(widths[-2::-1], depths[-2::-1], strict=True):  # the skip is half of the joined channels
            self.ups.append(change(nn.ConvTranspose3d(below, skip, 2, 2, bias=False), skip, norm))
            below = 2 * skip
            self.joins.append(Stage(below, below, depth, norm))
        self.out = nn.Conv3d(below, CLASSES, 1)

    def forward(self, volume: Tensor) -> LVOutput:
        """Segment a volume; see the class."""
        x = self.first(volume, volume)  # the volume is added to every channel
        skips = [x]
        for down, stage in zip(self.downs, self.stages, strict=True):
            x = down(x)
            x = stage(x, x)
            skips.append(x)
        for up, join, skip in zip(self.ups, self.joins, skips[-2::-1], strict=True):
            x = torch.cat([up(x), skip], 1)
            x = join(x, x)
        return LVOutput((self.out(x),), (1.0,))
