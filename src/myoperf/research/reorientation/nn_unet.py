"""nnU-Net's 3D U-Net, its plan of sizes, its loss and its mirroring (Isensee et al., doi:10.1038/s41592-020-01008-z).

Two 3^3 convolutions a stage with instance norm and leaky ReLU 0.01, strided convolutions down, transposed convolutions
up, deep supervision at every stage of the way up but the lowest (whose weight in nnU-Net is zero). The rules of the
plan for anisotropic voxels, patches and memory are left out: volumes here are whole, cubic and small.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.lv.compact_network import CLASSES
from myoperf.research.reorientation.attention_unet import double
from myoperf.research.reorientation.output import LVOutput, labels_for


def plan_channels(side: int, *, base: int = 32, most: int = 320) -> tuple[int, ...]:
    """Return the channels of each stage of nnU-Net for a cubic grid.

    The grid is halved at most 5 times and while at least 4 voxels remain, and the channels double up to a limit
    (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).

    Examples
    --------
    >>> plan_channels(64)
    (32, 64, 128, 256, 320)
    """
    stages = 1
    while side % 2 == 0 and side // 2 >= 4 and stages < 6:
        side //= 2
        stages += 1
    return tuple(min(base * 2**k, most) for k in range(stages))


@dataclass(frozen=True)
class NNUNetConfig:
    """Sizes; the default is the plan for 128^3.

    Parameters
    ----------
    channels
        Of each stage, finest first (``plan_channels``).
    """

    channels: tuple[int, ...] = plan_channels(128)


def stage(inside: int, outside: int, stride: int) -> nn.Sequential:
    """Return the two convolutions of a stage."""
    return double(inside, outside, "instance", stride=stride, bias=True)


class NNUNet(nn.Module):
    """``forward(volume)``: (B, 1, D, H, W) -> ``LVOutput`` with logits of the given frame at each stage but the lowest.

    Sides divisible by 2^(stages - 1), and at least twice that (instance norm needs more than one voxel).
    """

    def __init__(self, config: NNUNetConfig | None = None) -> None:
        super().__init__()
        config = config or NNUNetConfig()
        widths = config.channels
        self.down = nn.ModuleList([stage(1, widths[0], 1)])
        self.down += [stage(widths[k - 1], widths[k], 2) for k in range(1, len(widths))]
        pairs = list(zip(widths[1:], widths[:-1], strict=True))  # (below, here), finest first
        self.lift = nn.ModuleList([nn.ConvTranspose3d(below, here, 2, 2) for below, here in pairs])
        self.join = nn.ModuleList([stage(2 * here, here, 1) for _, here in pairs])
        self.out = nn.ModuleList([nn.Conv3d(here, CLASSES, 1) for _, here in pairs[: max(len(pairs) - 1, 1)]])

    def forward(self, volume: Tensor) -> LVOutput:
        """Segment a volume; see the class."""
        x, skips = volume, list[Tensor]()
        for down in self.down:
            x = down(x)
            skips.append(x)
        logits: list[Tensor] = []
        for level in reversed(range(len(self.join))):
            x = self.join[level](torch.cat([self.lift[level](x), skips[level]], 1))
            if level < len(self.out):
                logits.append(self.out[level](x))
        return LVOutput(tuple(reversed(logits)), (1.0,) * len(logits))


def compound_loss(output: LVOutput, labels: Tensor) -> Tensor:
    """Cross-entropy minus soft Dice of the foreground over the batch, for each level, weighted 1, 1/2, 1/4, ...

    Parameters
    ----------
    labels
        (B, D, H, W), in the frame of the first logits.
    """
    total, weights = labels.new_zeros((), dtype=torch.float32), 0.0
    for level, (logits, truth) in enumerate(zip(output.logits, labels_for(labels, output), strict=True)):
        logits = logits.float()
        probability = logits.softmax(1)
        masks = F.one_hot(truth.long(), logits.shape[1]).movedim(-1, 1).float()
        over = (0, 2, 3, 4)
        common, both = (probability * masks).sum(over), (probability + masks).sum(over)
        overlap = ((2 * common + 1e-5) / (both + 1e-5).clamp_min(1e-8))[1:].mean()
        total = total + 0.5**level * (F.cross_entropy(logits, truth.long()) - overlap)
        weights += 0.5**level
    return total / weights


@torch.no_grad()
def mirrored_probability(network: nn.Module, volume: Tensor) -> Tensor:
    """Return class probabilities (B, 3, D, H, W), averaged over the eight mirrorings of a volume (B, 1, D, H, W).

    This is how nnU-Net predicts; it takes eight times as long as one pass.
    """
    total = volume.new_zeros(())
    for mirroring in range(8):
        axes = [axis for axis in (2, 3, 4) if mirroring >> (axis - 2) & 1]
        total = total + network(volume.flip(axes)).logits[0].float().softmax(1).flip(axes)
    return total / 8
