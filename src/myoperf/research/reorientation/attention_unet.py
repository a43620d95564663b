"""3D Attention U-Net with one scale or three (the MSUNet of Ni et al. 2023, section 3.1.2).

The paper leaves some points open. Assumed here:

- Five levels of (16, 32, 64, 128, 256) channels, as in the cited 3D Attention U-Net at its default size; two
  convolutions of 3^3 per level, each with a norm and a leaky ReLU; gates of 1^3 convolutions.
- The three samplers feed the first three levels: level k concatenates the sampled volume with the features that
  come down. The two poolings between those levels are scale transformer blocks; the two
  below are max poolings, as in the Attention U-Net.
- A scale transformer block samples the features, on half the grid, at the points that half the field covers:
  the voxel stays, the field halves. If both scales share a pose this crops the middle of the volume,
  and the way back (scale 2, no differences) pads it with zeros; both are done in this way, exactly and
  without interpolation.
- The features that come up are reduced to the level's channels by a 1^3 convolution before they are moved.
- A 1^3 convolution labels the last features of each of the three finest levels (deep supervision).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.lv.compact_network import CLASSES
from myoperf.research.reorientation.pose import sample_by_matrix

OUTPUTS = 3
"""Levels that are labelled, finest first."""


@dataclass(frozen=True)
class AttentionUNetConfig:
    """Sizes.

    Parameters
    ----------
    channels
        Of each level, finest first.
    scales
        Sampled volumes that the encoder takes: 3, or 1 for the plain Attention U-Net.
    norm
        Instance norm, or batch norm as in the cited network.
    whole_field
        Every scale shows the whole field, at half the resolution of the one before, instead of the field's middle:
        for a network without a pose, where the middle may hold no heart.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    scales: int = 3
    norm: Literal["instance", "batch"] = "instance"
    whole_field: bool = False


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
        return F.pad(features, [m for m in reversed(margin) for _ in range(2)])  # a negative margin crops
    if matrix is None:
        matrix = scale * torch.eye(3, 4, device=features.device).expand(len(features), 3, 4)
    return sample_by_matrix(features, matrix, size)


def norm_layer(kind: str, channels: int) -> nn.Module:
    """Return a norm of features (B, C, D, H, W): ``instance``, with weights, or else batch norm."""
    return nn.InstanceNorm3d(channels, affine=True) if kind == "instance" else nn.BatchNorm3d(channels)


def double(inside: int, outside: int, norm: str, *, stride: int = 1, bias: bool = False) -> nn.Sequential:
    """Return two convolutions of 3 x 3 x 3, each with a norm and a leaky ReLU; the first has the stride.

    (B, inside, D, H, W) -> (B, outside, D, H, W), the sides divided by the stride.
    """
    layers: list[nn.Module] = []
    for first, step in ((inside, stride), (outside, 1)):
        layers.append(nn.Conv3d(first, outside, 3, step, 1, bias=bias))
        layers.append(norm_layer(norm, outside))
        layers.append(nn.LeakyReLU(0.01, inplace=True))
    return nn.Sequential(*layers)


class UpBlock(nn.Module):
    """One level up: move the lower features to this level, let them gate the skip, concatenate and convolve."""

    def __init__(self, below: int, here: int, norm: str) -> None:
        super().__init__()
        middle = max(here // 2, 4)
        self.thin = nn.Conv3d(below, here, 1, bias=False)
        self.signal = nn.Conv3d(below, middle, 1, bias=False)
        self.query = nn.Conv3d(here, middle, 1)
        self.gate = nn.Conv3d(middle, 1, 1)
        self.join = double(2 * here, here, norm)

    def forward(self, lower: Tensor, skip: Tensor, widen: bool) -> Tensor:
        """Return the features of this level from those below and the skip connection."""
        size = (skip.shape[2], skip.shape[3], skip.shape[4])

        def move(x: Tensor) -> Tensor:
            return scale_transform(x, 2.0, size=size) if widen else F.interpolate(x, size=size, mode="trilinear")

        gate = self.gate(F.relu(self.query(skip) + move(self.signal(lower)))).sigmoid()  # (B, 1, D, H, W)
        joined: Tensor = self.join(torch.cat([move(self.thin(lower)), skip * gate], 1))
        return joined


class AttentionUNet(nn.Module):
    """One volume sampled at each of `scales` -> logits of each labelled level, finest first.

    ``forward(volumes, moves)``: volumes[k] is (B, 1, N / 2^k, ...), the middle 1 / 2^k of the field in
    its own pose; moves[k] the (B, 3, 4) from scale k to k + 1, or None if they share a pose. N must
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
        self.up = nn.ModuleList([UpBlock(widths[k + 1], widths[k], norm) for k in range(len(widths) - 1)])
        self.out = nn.ModuleList([nn.Conv3d(widths[k], CLASSES, 1) for k in range(OUTPUTS)])

    def forward(self, volumes: Sequence[Tensor], moves: Sequence[Tensor | None] | None = None) -> tuple[Tensor, ...]:
        """Label each of the finest levels; see the class."""
        scales = self.config.scales
        moves = moves or [None] * (scales - 1)
        x = volumes[0]
        skips: list[Tensor] = []
        for level, convolve in enumerate(self.down):
            if 0 < level < scales:
                sides = volumes[level].shape[2:]
                if self.config.whole_field:
                    x = F.max_pool3d(x, 2)
                else:
                    x = scale_transform(x, 0.5, size=(sides[0], sides[1], sides[2]), matrix=moves[level - 1])
                x = torch.cat([x, volumes[level].to(x.dtype)], 1)
            elif level:
                x = F.max_pool3d(x, 2)
            x = convolve(x)  # (B, widths[level], N / 2^level, ...)
            skips.append(x)
        logits: list[Tensor] = []
        for level in reversed(range(len(self.up))):
            x = self.up[level](x, skips[level], widen=level + 1 < scales and not self.config.whole_field)
            if level < len(self.out):
                logits.append(self.out[level](x))
        return tuple(reversed(logits))
