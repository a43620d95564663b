"""3D Attention U-Net, at one scale or fed with three (MSUNet of MS-ST-UNet, section 3.1.2).

What the paper leaves open, and what is assumed here:

- Five levels of (16, 32, 64, 128, 256) channels, as the cited 3D Attention U-Net at its default size; two
  convolutions of 3^3 a level, each with a norm and a leaky ReLU; gates of 1^3 convolutions.
- The three samplers feed the first three levels: level k joins the sampler's picture to the features that
  come down, by channels. The two poolings between those levels are scale transformer blocks; the two
  below are max poolings, as in the Attention U-Net.
- A scale transformer block samples the features, on half the grid, at the points that half the field covers:
  the voxel stays, the field halves. Where both scales share a pose this is the middle of the volume cut
  out, and the way back (scale 2, no differences) is that middle set into zeros; both are done so, exactly and
  without interpolation.
- The features that come up are thinned to the level's channels by a 1^3 convolution before they are moved.
- A 1^3 convolution labels the last features of each of the three finest levels (deep supervision).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.research.reorientation.pose import sample_by_matrix

__all__ = ["AttentionUNet", "AttentionUNetConfig", "double", "norm_layer", "scale_transform"]


@dataclass(frozen=True)
class AttentionUNetConfig:
    """Sizes.

    Parameters
    ----------
    channels
        Of each level, finest first.
    scales
        Pictures the encoder takes: 3, or 1 for the plain Attention U-Net.
    classes
        Background, wall, blood pool.
    norm
        Instance norm, or batch norm as in the cited network.
    outputs
        Levels that are labelled.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    scales: int = 3
    classes: int = 3
    norm: Literal["instance", "batch"] = "instance"
    outputs: int = 3


def scale_transform(
    features: Tensor, scale: float, *, size: tuple[int, int, int], matrix: Tensor | None = None
) -> Tensor:
    """Move features (B, C, D, H, W) to the grid of another scale (equation 6) -> (B, C, *size), zero outside.

    Parameters
    ----------
    scale
        Part of the field's side the new grid covers; above 1 on the way back.
    size
        (D', H', W') of the new grid.
    matrix
        (B, 3, 4) from ``relative_pose``, of the same scale; without it both scales have one pose.
    """
    sides = (features.shape[2], features.shape[3], features.shape[4])
    if matrix is None and all(n == s * scale and (n - s) % 2 == 0 for n, s in zip(size, sides, strict=True)):
        margin = [(n - s) // 2 for n, s in zip(size, sides, strict=True)]
        return F.pad(features, [m for m in reversed(margin) for _ in range(2)])  # a negative margin cuts
    if matrix is None:
        matrix = torch.cat([scale * torch.eye(3), torch.zeros(3, 1)], 1).to(features.device)
        matrix = matrix.expand(len(features), 3, 4)
    return sample_by_matrix(features, matrix, size)


def norm_layer(kind: str, channels: int) -> nn.Module:
    """Instance norm with weights, or batch norm."""
    return nn.InstanceNorm3d(channels, affine=True) if kind == "instance" else nn.BatchNorm3d(channels)


def double(inside: int, outside: int, norm: str) -> nn.Sequential:
    """Two convolutions, each with a norm and a leaky ReLU."""
    layers: list[nn.Module] = []
    for first, second in ((inside, outside), (outside, outside)):
        layers.append(nn.Conv3d(first, second, 3, 1, 1, bias=False))
        layers.append(norm_layer(norm, second))
        layers.append(nn.LeakyReLU(0.01, inplace=True))
    return nn.Sequential(*layers)


class Rise(nn.Module):
    """One step up: bring the lower features to this level, let them gate the skip, join and convolve."""

    def __init__(self, below: int, here: int, norm: str) -> None:
        super().__init__()
        middle = max(here // 2, 4)
        self.thin = nn.Conv3d(below, here, 1, bias=False)
        self.signal = nn.Conv3d(below, middle, 1, bias=False)
        self.ask = nn.Conv3d(here, middle, 1)
        self.answer = nn.Conv3d(middle, 1, 1)
        self.join = double(2 * here, here, norm)

    def forward(self, lower: Tensor, skip: Tensor, widen: bool) -> Tensor:
        size = (skip.shape[2], skip.shape[3], skip.shape[4])

        def move(x: Tensor) -> Tensor:
            return scale_transform(x, 2.0, size=size) if widen else F.interpolate(x, size=size, mode="trilinear")

        gate = self.answer(F.relu(self.ask(skip) + move(self.signal(lower)))).sigmoid()  # (B, 1, D, H, W)
        joined: Tensor = self.join(torch.cat([move(self.thin(lower)), skip * gate], 1))
        return joined


class AttentionUNet(nn.Module):
    """Pictures of one volume at `scales` -> logits of each labelled level, finest first.

    ``forward(pictures, moves)``: pictures[k] is (B, 1, N / 2^k, ...), the middle 1 / 2^k of the field in
    its own pose; moves[k] the (B, 3, 4) from scale k to k + 1, or None where they share a pose. N must
    be divisible by 2^(levels - 1).
    """

    def __init__(self, config: AttentionUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AttentionUNetConfig()
        widths, norm = config.channels, config.norm
        self.down = nn.ModuleList()
        for level, width in enumerate(widths):
            inside = widths[level - 1] if level else 0
            self.down.append(double(inside + (1 if level < config.scales else 0), width, norm))
        self.up = nn.ModuleList([Rise(widths[k + 1], widths[k], norm) for k in range(len(widths) - 1)])
        self.out = nn.ModuleList([nn.Conv3d(widths[k], config.classes, 1) for k in range(config.outputs)])

    def forward(self, pictures: Sequence[Tensor], moves: Sequence[Tensor | None] | None = None) -> tuple[Tensor, ...]:
        """Label each of the finest levels; see the class."""
        scales = self.config.scales
        moves = moves or [None] * (scales - 1)
        x = pictures[0]
        skips: list[Tensor] = []
        for level, convolve in enumerate(self.down):
            if 0 < level < scales:
                sides = pictures[level].shape[2:]
                x = scale_transform(x, 0.5, size=(sides[0], sides[1], sides[2]), matrix=moves[level - 1])
                x = torch.cat([x, pictures[level].to(x.dtype)], 1)
            elif level:
                x = F.max_pool3d(x, 2)
            x = convolve(x)  # (B, widths[level], N / 2^level, ...)
            skips.append(x)
        found: list[Tensor] = []
        for level in reversed(range(len(self.up))):
            x = self.up[level](x, skips[level], widen=level + 1 < scales)
            if level < len(self.out):
                found.append(self.out[level](x))
        return tuple(reversed(found))
