"""The small network that finds, turns and segments the left ventricle on a plain CPU.

The plan is that of MS-ST-UNet (a localiser gives a pose, a sampler turns the volume by it, a U-Net labels
the turned volume), with these changes: the localiser sees the whole field at 10 mm and finds the centre
as the mean of a heat map; the rotation is two columns of a matrix (6 numbers, so it cannot jump); one
sampler instead of three; and the U-Net also says how far its own pose was off, so that a second pass
can start from a better one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LVCompact", "LVCompactConfig", "matrix_from_six"]


@dataclass(frozen=True)
class LVCompactConfig:
    """Sizes.

    Parameters
    ----------
    channels
        Of the U-Net, finest level first.
    locator_channels
        Of the localiser.
    classes
        Background, wall, blood pool.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    locator_channels: tuple[int, ...] = (8, 16, 32)
    classes: int = 3


def matrix_from_six(six: Tensor) -> Tensor:
    """Turn 6 numbers (..., 6) into rotations (..., 3, 3) by Gram-Schmidt (doi:10.1109/CVPR.2019.00589).

    Columns: long axis, anterior, lateral (axis x anterior).
    """
    axis = F.normalize(six[..., :3], dim=-1)
    anterior = six[..., 3:]
    anterior = F.normalize(anterior - (axis * anterior).sum(-1, keepdim=True) * axis, dim=-1)
    return torch.stack([axis, anterior, torch.linalg.cross(axis, anterior)], dim=-1)


class Block(nn.Module):
    """Two convolutions with a residual path."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv3d(inside, outside, 3, stride, 1, bias=False)
        self.norm = nn.InstanceNorm3d(outside, affine=True)
        self.second = nn.Conv3d(outside, outside, 3, 1, 1, bias=False)
        self.again = nn.InstanceNorm3d(outside, affine=True)
        self.skip = nn.Conv3d(inside, outside, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.norm(self.first(x)), 0.01)
        return F.leaky_relu(self.again(self.second(y)) + self.skip(x), 0.01)


class Locator(nn.Module):
    """Whole field, coarse -> centre (in halves of the field, LPS), 6 numbers of rotation, log length / 80 mm."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        a, b, c = channels
        self.body = nn.Sequential(Block(1, a), Block(a, b, 2), Block(b, c), Block(c, c))
        self.heat = nn.Conv3d(c, 1, 1)
        self.head = nn.Linear(c, 7)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)  # (B, c, D/2, H/2, W/2)
        depth, rows, columns = y.shape[2:]
        weight = self.heat(y).flatten(1).float().softmax(1)  # (B, N)
        steps = [(2 * torch.arange(n, device=y.device) + 0.5) / n - 1 for n in (depth, rows, columns)]
        places = torch.stack(torch.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3).flip(-1)  # (N, 3): x, y, z
        centre = weight @ places.float()  # (B, 3)
        pooled = (y.flatten(2).float() * weight[:, None]).sum(-1)  # (B, c)
        return torch.cat([centre, self.head(pooled)], 1)  # (B, 10)


class LVCompact(nn.Module):
    """`locator` and U-Net; see the module.

    ``forward(crop)``: crop (B, 1, D, H, W), sides divisible by 4, turned to short axis (planes along
    the axis from apex to base, rows anterior, columns lateral) -> logits (B, classes, D, H, W) and
    the pose left over (B, 10): centre in units of 40 mm along (axis, anterior, lateral), 6 numbers of
    rotation in that basis, log length / 80 mm.
    """

    def __init__(self, config: LVCompactConfig | None = None) -> None:
        super().__init__()
        config = config or LVCompactConfig()
        a, b, c = config.channels
        self.locator = Locator(config.locator_channels)
        self.one, self.two, self.three = Block(1, a), Block(a, b, 2), Block(b, c, 2)
        self.bottom = Block(c, c)
        self.up_two, self.up_one = Block(c + b, b), Block(b + a, a)
        self.out = nn.Conv3d(a, config.classes, 1)
        self.pose = nn.Sequential(nn.Linear(c * 8, 64), nn.LeakyReLU(0.01), nn.Linear(64, 10))

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        """Label a turned crop and tell how far its pose is off; see the class."""
        x1 = self.one(crop)  # (B, a, D, H, W)
        x2 = self.two(x1)  # (B, b, D/2, ...)
        x3 = self.bottom(self.three(x2))  # (B, c, D/4, ...)
        y = self.up_two(torch.cat([F.interpolate(x3, scale_factor=2.0, mode="trilinear"), x2], 1))
        y = self.up_one(torch.cat([F.interpolate(y, scale_factor=2.0, mode="trilinear"), x1], 1))
        pose = self.pose(F.adaptive_avg_pool3d(x3, 2).flatten(1).float())
        return self.out(y), pose
