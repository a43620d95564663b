"""CNN1 of Hajianfar et al. 2025, after Otaki et al. 2022 (doi:10.1016/j.jcmg.2021.12.010).

The publication describes the kind of network, but not every width: blocks of convolution, batch normalisation,
ReLU and pooling. The widths are MyoPerf's choice.
"""

from itertools import pairwise

from torch import Tensor, nn


class OtakiCNN(nn.Module):
    """Four plain blocks: (B, channels, H, W) -> (B, 128, H / 16, W / 16)."""

    features = 128

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        widths = (channels, 16, 32, 64, self.features)
        self.blocks = nn.ModuleList(_block(a, b) for a, b in pairwise(widths))

    def forward(self, images: Tensor) -> Tensor:
        """Return the last feature maps."""
        for block in self.blocks:
            images = block(images)
        return images


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
