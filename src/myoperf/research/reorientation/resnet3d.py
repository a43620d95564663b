"""ResNet50 in 3D, the localiser of the full MS-ST-UNet (He et al. 2016, doi:10.1109/CVPR.2016.90)."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ResNet3DConfig:
    """Sizes; the default is ResNet50 with every kernel made a cube.

    Parameters
    ----------
    blocks
        Bottleneck blocks of each of the four stages.
    width
        Channels of the stem; a stage's output has 4, 8, 16, 32 times as many.
    """

    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    width: int = 64


class Bottleneck(nn.Module):
    """1-3-1 convolutions on a residual path; the stride is on the middle one."""

    def __init__(self, inside: int, middle: int, stride: int) -> None:
        super().__init__()
        outside = 4 * middle
        self.reduce = nn.Sequential(nn.Conv3d(inside, middle, 1, bias=False), nn.BatchNorm3d(middle))
        self.look = nn.Sequential(nn.Conv3d(middle, middle, 3, stride, 1, bias=False), nn.BatchNorm3d(middle))
        self.expand = nn.Sequential(nn.Conv3d(middle, outside, 1, bias=False), nn.BatchNorm3d(outside))
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.skip = nn.Sequential(nn.Conv3d(inside, outside, 1, stride, bias=False), nn.BatchNorm3d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features after the residual path."""
        y = F.relu(self.look(F.relu(self.reduce(x))))
        return F.relu(self.expand(y) + self.skip(x))


class ResNet3D(nn.Module):
    """Volume (B, 1, D, H, W) -> features (B, 32 `width`), pooled over the volume."""

    def __init__(self, config: ResNet3DConfig | None = None) -> None:
        super().__init__()
        config = config or ResNet3DConfig()
        width = config.width
        self.features = 32 * width
        self.stem = nn.Sequential(
            nn.Conv3d(1, width, 7, 2, 3, bias=False), nn.BatchNorm3d(width), nn.ReLU(), nn.MaxPool3d(3, 2, 1)
        )
        stages, inside = [], width
        for stage, count in enumerate(config.blocks):
            middle = width * 2**stage
            for block in range(count):
                stages.append(Bottleneck(inside, middle, 2 if stage and not block else 1))
                inside = 4 * middle
        self.stages = nn.Sequential(*stages)

    def forward(self, volume: Tensor) -> Tensor:
        """Return the features of a volume; see the class."""
        y: Tensor = self.stages(self.stem(volume))  # (B, 32 w, D/32, H/32, W/32)
        return y.mean((2, 3, 4))
