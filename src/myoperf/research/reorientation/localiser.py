"""The small localiser of the compact MS-ST-UNet: a heat map for the centre, a look around it for the rotation.

It replaces ResNet50, whose pooling over the whole volume discards where things are: the centre is the mean position of
a heat map, and the rotation (and the rest of the translation) is read from the features in a box around the centre,
half the field wide. A grid of 64 or more is first averaged down to 32 a side: voxels of 10 mm show a pose as well, in
an eighth of the time, so that it can be learned from more volumes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.lv.compact_network import Block
from myoperf.research.reorientation.pose import full_precision, sample_in_pose


@dataclass(frozen=True)
class LVLocaliserConfig:
    """Sizes.

    Parameters
    ----------
    channels
        At half, quarter and eighth of the grid.
    hidden
        Features at the end.
    side
        Grids of twice this or more are averaged down to it (or to less than its double).
    """

    channels: tuple[int, int, int] = (16, 32, 48)
    hidden: int = 128
    side: int = 32


def heat_centre(heat: Tensor) -> Tensor:
    """Return the mean position (B, 3) of the softmax of a map (B, 1, D, H, W).

    It is (x, y, z) from -1 to 1 between the outer faces of the grid, x along W; in single precision.
    """
    weight = heat.float().flatten(1).softmax(1).view(len(heat), *heat.shape[2:])  # (B, D, H, W)
    centre = []
    for axis in (3, 2, 1):
        side = weight.shape[axis]
        steps = (2 * torch.arange(side, device=heat.device, dtype=torch.float32) + 1) / side - 1
        along = weight.sum([a for a in (1, 2, 3) if a != axis])  # (B, side)
        centre.append((along * steps).sum(1))
    return torch.stack(centre, 1)


class LVLocaliser(nn.Module):
    """Volume (B, 1, N, N, N) -> centre (B, 3) and features (B, `hidden`); N divisible by 8, also after averaging.

    In single precision throughout, because the grids are small (see `low_precision_is_safe` in
    `myoperf.research.reorientation.training`).
    """

    def __init__(self, config: LVLocaliserConfig | None = None) -> None:
        super().__init__()
        config = config or LVLocaliserConfig()
        self.side = config.side
        a, b, c = config.channels
        self.fine = nn.Sequential(
            nn.Conv3d(1, a, 3, 2, 1, bias=False), nn.InstanceNorm3d(a, affine=True), nn.LeakyReLU(0.01), Block(a, a)
        )
        self.middle = nn.Sequential(Block(a, b, 2), Block(b, b))
        self.coarse = nn.Sequential(Block(b, c, 2), Block(c, c))
        self.lift = nn.Conv3d(c, b, 1, bias=False)
        self.heat = nn.Sequential(nn.Conv3d(b, b, 3, 1, 1), nn.LeakyReLU(0.01), nn.Conv3d(b, 1, 1))
        self.look = nn.Sequential(Block(a + b, c, 2), Block(c, c, 2), nn.AdaptiveAvgPool3d(4), nn.Conv3d(c, 16, 1))
        self.head = nn.Sequential(nn.Linear(1024, config.hidden), nn.LeakyReLU(0.01))

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """Find the centre, then the features around it; see the class."""
        with full_precision(volume):
            return self._locate(F.avg_pool3d(volume.float(), max(volume.shape[2] // self.side, 1)))

    def _locate(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        half = self.fine(volume)  # (B, a, N/2, ...)
        quarter = self.middle(half)  # (B, b, N/4, ...)
        wide = F.interpolate(self.lift(self.coarse(quarter)), scale_factor=2.0, mode="trilinear")
        quarter = quarter + wide
        centre = heat_centre(self.heat(quarter))  # (B, 3)
        upright = torch.eye(3, device=volume.device).expand(len(volume), 3, 3)
        box = tuple(side // 2 for side in half.shape[2:])
        near = [
            sample_in_pose(x, upright, centre.detach(), scale=0.5, size=(box[0], box[1], box[2]))
            for x in (half, quarter)
        ]  # (B, a, N/4, ...), (B, b, N/4, ...)
        look = self.look(torch.cat(near, 1)).flatten(1)  # (B, 1024)
        return centre, self.head(look)
