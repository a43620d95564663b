"""CNN2 of Hajianfar et al. 2025, after Miller et al. 2023 (doi:10.2967/jnumed.122.264423).

The publication describes the kind of network, but not every width: deeper than CNN1, two convolutions a block.
The widths, and the shortcut around each block, are MyoPerf's choice.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional


class MillerCNN(nn.Module):
    """Four residual blocks: (B, channels, H, W) -> (B, 8 width, H / 16, W / 16).

    Parameters
    ----------
    width
        Channels of the first block; each next has twice as many.
    """

    def __init__(self, channels: int = 1, width: int = 32) -> None:
        super().__init__()
        self.features = 8 * width
        widths = (channels, width, 2 * width, 4 * width, self.features)
        self.blocks = nn.ModuleList(_Block(a, b) for a, b in pairwise(widths))

    def forward(self, images: Tensor) -> Tensor:
        """Return the last feature maps."""
        for block in self.blocks:
            images = functional.max_pool2d(block(images), 2)
        return images


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.around = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        hidden = functional.relu(self.first_norm(self.first(images)))
        return functional.relu(self.second_norm(self.second(hidden)) + self.around(images))
