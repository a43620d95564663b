"""The layers of the small network that finds, turns and segments the left ventricle on a plain CPU.

It follows MS-ST-UNet (Ni et al. 2023, doi:10.48550/arXiv.2310.10095): a localiser estimates a pose, a sampler turns the
volume to it, a U-Net labels the turned volume. It differs as follows: the localiser reads the whole field at 10 mm and
takes the centre as the mean of a heat map; the rotation is given by two columns of its matrix (6 numbers, which cannot
jump); there is one sampler instead of three; and the U-Net also estimates how far the pose was off, so that a second
pass can start from a better one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 3
"""Background, wall, blood pool."""


@dataclass(frozen=True)
class LVCompactConfig:
    """Sizes.

    Parameters
    ----------
    channels
        Of the U-Net, finest level first.
    locator_channels
        Of the localiser.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    locator_channels: tuple[int, ...] = (8, 16, 32)


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
        """Return the features (B, outside, ...) of the input."""
        y = F.leaky_relu(self.norm(self.first(x)), 0.01)
        return F.leaky_relu(self.again(self.second(y)) + self.skip(x), 0.01)


class Locator(nn.Module):
    """The whole field on the coarse grid (B, 1, 32, 32, 32) -> pose (B, 10).

    The pose is the centre in halves of the field (LPS), 6 numbers of rotation, and log(length / 80 mm).
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        a, b, c = channels
        self.body = nn.Sequential(Block(1, a), Block(a, b, 2), Block(b, c), Block(c, c))
        self.heat = nn.Conv3d(c, 1, 1)
        self.head = nn.Linear(c, 7)

    def forward(self, x: Tensor) -> Tensor:
        """Return the pose (B, 10) read from the coarse field."""
        y = self.body(x)  # (B, c, D/2, H/2, W/2)
        depth, rows, columns = y.shape[2:]
        weight = self.heat(y).flatten(1).float().softmax(1)  # (B, N)
        # A stride of 2 with padding 1 centres feature k on voxel 2 k: a quarter of a feature before its cell's middle.
        steps = [(2 * torch.arange(n, device=y.device) + 0.5) / n - 1 for n in (depth, rows, columns)]
        places = torch.stack(torch.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3).flip(-1)  # (N, 3): x, y, z
        centre = weight @ places.float()  # (B, 3)
        pooled = (y.flatten(2).float() * weight[:, None]).sum(-1)  # (B, c)
        return torch.cat([centre, self.head(pooled)], 1)  # (B, 10)


class LVCompact(nn.Module):
    """Localiser (`locator`) and U-Net.

    ``forward(crop)``: crop (B, 1, D, H, W), sides divisible by 4, turned to short axis (planes along
    the axis from apex to base, rows anterior, columns lateral) -> logits (B, classes, D, H, W) and
    the remaining error of the pose (B, 10): centre in units of 40 mm along (axis, anterior, lateral), 6 numbers of
    rotation in that basis, log(length / 80 mm).
    """

    def __init__(self, config: LVCompactConfig | None = None) -> None:
        super().__init__()
        config = config or LVCompactConfig()
        a, b, c = config.channels
        self.locator = Locator(config.locator_channels)
        self.one, self.two, self.three = Block(1, a), Block(a, b, 2), Block(b, c, 2)
        self.bottom = Block(c, c)
        self.up_two, self.up_one = Block(c + b, b), Block(b + a, a)
        self.out = nn.Conv3d(a, CLASSES, 1)
        self.pose = nn.Sequential(nn.Linear(c * 8, 64), nn.LeakyReLU(0.01), nn.Linear(64, 10))

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        """Label a turned crop and estimate the remaining error of its pose; see the class."""
        x1 = self.one(crop)  # (B, a, D, H, W)
        x2 = self.two(x1)  # (B, b, D/2, ...)
        x3 = self.bottom(self.three(x2))  # (B, c, D/4, ...)
        y = self.up_two(torch.cat([F.interpolate(x3, scale_factor=2.0, mode="trilinear"), x2], 1))
        y = self.up_one(torch.cat([F.interpolate(y, scale_factor=2.0, mode="trilinear"), x1], 1))
        pose = self.pose(F.adaptive_avg_pool3d(x3, 2).flatten(1).float())
        return self.out(y), pose
