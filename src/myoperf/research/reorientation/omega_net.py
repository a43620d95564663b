"""Omega-Net in 3D: segment, read the pose from that segmentation's features, turn, segment again.

Vigneault et al., doi:10.1016/j.media.2018.05.008 (2D magnetic resonance): a first U-Net segments the picture as it
is; its deepest features give the parameters that bring the picture to the canonical orientation; a stack of U-Nets
segments the turned picture. In 3D as far as MS-ST-UNet's text says (which compares with it and calls it a
"complex combination of several UNet"). Assumed here: the pose is rigid, as everywhere in that study (the original also
has a size); it is read from the deepest features pooled to 4^3, not from their mean, which has lost where
things are; each U-Net of the stack takes the turned picture and the features of the one before it, turned alike for
the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.research.reorientation.attention_unet import double
from myoperf.research.reorientation.output import LVOutput
from myoperf.research.reorientation.pose import (
    full_precision,
    matrix_from_euler,
    matrix_from_six,
    sample_in_pose,
    six_from_matrix,
)

__all__ = ["OmegaNet", "OmegaNetConfig"]


@dataclass(frozen=True)
class OmegaNetConfig:
    """Sizes.

    Parameters
    ----------
    channels
        Of each level of every U-Net, finest first.
    stack
        U-Nets after the turn.
    hidden
        Of the pose's last layer but one.
    classes
        Background, wall, blood pool.
    norm
        Instance or batch norm.
    start_euler, start_translation
        Pose at the start of training: radians; parts of half the field.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    stack: int = 2
    hidden: int = 256
    classes: int = 3
    norm: Literal["instance", "batch"] = "batch"
    start_euler: tuple[float, float, float] = (-0.83, -1.14, 1.22)
    start_translation: tuple[float, float, float] = (0.19, -0.15, 0.29)


class UNet(nn.Module):
    """(B, C, D, H, W) -> the finest features of the way up, and the deepest ones."""

    def __init__(self, inside: int, channels: tuple[int, ...], norm: str) -> None:
        super().__init__()
        into = (inside, *channels[:-1])
        self.down = nn.ModuleList([double(a, b, norm) for a, b in zip(into, channels, strict=True)])
        pairs = list(zip(channels[1:], channels[:-1], strict=True))
        self.lift = nn.ModuleList([nn.ConvTranspose3d(below, here, 2, 2) for below, here in pairs])
        self.join = nn.ModuleList([double(2 * here, here, norm) for _, here in pairs])

    def encode(self, x: Tensor) -> list[Tensor]:
        """Give the features of every level of the way down, finest first."""
        skips: list[Tensor] = []
        for level, down in enumerate(self.down):
            x = down(F.max_pool3d(x, 2) if level else x)
            skips.append(x)
        return skips

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skips = self.encode(x)
        x = deepest = skips[-1]
        for level in reversed(range(len(self.join))):
            x = self.join[level](torch.cat([self.lift[level](x), skips[level]], 1))
        return x, deepest


class OmegaNet(nn.Module):
    """``forward(volume)``: (B, 1, N, N, N), N divisible by 16 -> ``LVOutput`` with pose, turned and initial logits."""

    start: Tensor

    def __init__(self, config: OmegaNetConfig | None = None) -> None:
        super().__init__()
        config = config or OmegaNetConfig()
        finest, deepest = config.channels[0], config.channels[-1]
        self.first = UNet(1, config.channels, config.norm)
        self.first_out = nn.Conv3d(finest, config.classes, 1)
        self.pose = nn.Sequential(
            nn.AdaptiveAvgPool3d(4),
            nn.Conv3d(deepest, 16, 1),
            nn.Flatten(),
            nn.Linear(1024, config.hidden),
            nn.LeakyReLU(),
        )
        self.head = nn.Linear(config.hidden, 9)
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.zeros_(self.head.bias)
        self.stack = nn.ModuleList([UNet(1 + finest, config.channels, config.norm) for _ in range(config.stack)])
        self.out = nn.Conv3d(finest, config.classes, 1)
        six = six_from_matrix(matrix_from_euler(torch.tensor(config.start_euler)))
        self.register_buffer("start", torch.cat([six, torch.tensor(config.start_translation)]))

    def locate(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """Give the pose alone, from the way down of the first U-Net: rotation (B, 1, 3, 3), translation (B, 1, 3)."""
        _, turn, place = self._read(self.first.encode(volume)[-1])
        return turn[:, None], place[:, None]

    def _read(self, deepest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read six numbers, rotation and translation from the deepest features."""
        look = self.pose(deepest)
        with full_precision(deepest):
            found = self.start + self.head(look.float())
            return found[:, :6], matrix_from_six(found[:, :6]), found[:, 6:]

    def forward(self, volume: Tensor, rotation: Tensor | None = None, translation: Tensor | None = None) -> LVOutput:
        """Segment, turn (by the given pose if there is one) and segment again; see the class."""
        features, deepest = self.first(volume)
        initial = self.first_out(features)
        six, turn, place = self._read(deepest)
        pose = (rotation, translation) if rotation is not None and translation is not None else (turn, place)
        picture, features = sample_in_pose(volume, *pose), sample_in_pose(features, *pose)
        for unet in self.stack:
            features, _ = unet(torch.cat([picture.to(features.dtype), features], 1))
        return LVOutput((self.out(features),), (1.0,), turn, place, six, turn[:, None], place[:, None], initial)
