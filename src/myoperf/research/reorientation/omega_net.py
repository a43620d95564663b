"""Omega-Net in 3D: segment, estimate the pose from the features of that segmentation, turn, segment again.

Vigneault et al. 2018, doi:10.1016/j.media.2018.05.008 (2D magnetic resonance): a first U-Net segments the image as it
is; its deepest features give the parameters that turn the image to the canonical orientation; a stack of U-Nets
segments the turned image. In 3D as far as Ni et al. 2023 describe it (they compare with it and call it a
"complex combination of several UNet"). Assumed here: the pose is rigid, as everywhere in that study (the original also
estimates a size); it is estimated from the deepest features pooled to 4^3, not from their mean, which discards where
things are; each U-Net of the stack takes the turned volume and the features of the one before it, turned in the same
way for the first of them.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.lv.compact_network import CLASSES, matrix_from_six
from myoperf.research.reorientation.attention_unet import double
from myoperf.research.reorientation.output import LVOutput
from myoperf.research.reorientation.pose import full_precision, sample_in_pose, start_of


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
        Features before the last layer of the pose.
    norm
        Instance or batch norm.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    stack: int = 2
    hidden: int = 256
    norm: Literal["instance", "batch"] = "batch"


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
        """Return the features of each level of the way down, finest first."""
        skips: list[Tensor] = []
        for level, down in enumerate(self.down):
            x = down(F.max_pool3d(x, 2) if level else x)
            skips.append(x)
        return skips

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the finest features of the way up, and the deepest ones."""
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
        self.first_out = nn.Conv3d(finest, CLASSES, 1)
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
        self.out = nn.Conv3d(finest, CLASSES, 1)
        self.register_buffer("start", start_of())

    def locate(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate the pose alone, from the first U-Net's way down: rotation (B, 1, 3, 3), translation (B, 1, 3)."""
        rotation, translation = self._estimate(self.first.encode(volume)[-1])
        return rotation[:, None], translation[:, None]

    def _estimate(self, deepest: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate rotation and translation from the deepest features."""
        hidden = self.pose(deepest)
        with full_precision(deepest):
            pose = self.start + self.head(hidden.float())
            return matrix_from_six(pose[:, :6]), pose[:, 6:]

    def forward(self, volume: Tensor, rotation: Tensor | None = None, translation: Tensor | None = None) -> LVOutput:
        """Segment, turn (to the given pose if there is one) and segment again; see the class."""
        features, deepest = self.first(volume)
        initial = self.first_out(features)
        estimate = self._estimate(deepest)
        pose = (rotation, translation) if rotation is not None and translation is not None else estimate
        turned, features = sample_in_pose(volume, *pose), sample_in_pose(features, *pose)
        for unet in self.stack:
            features, _ = unet(torch.cat([turned.to(features.dtype), features], 1))
        poses = estimate[0][:, None], estimate[1][:, None]
        return LVOutput((self.out(features),), (1.0,), *estimate, *poses, initial)
