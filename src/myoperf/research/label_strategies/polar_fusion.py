"""Paper 001's networks: a backbone with one of four inputs, and an ending with clinical values for three vessels.

Inputs: rest, stress, early fusion (stress and rest as two channels), late fusion (one backbone run on each, the
element-wise maximum of the last maps, then 2D spatial pyramid pooling, He et al. 2014, arXiv:1406.4729). Ending:
two dense layers of 128 (ReLU, dropout 0.3, L2 0.01), clinical values joined at the last layer, three logits.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from myoperf.errors import InputError
from myoperf.research.backbones.keras_backbones import build_backbone
from myoperf.research.label_strategies.miller_cnn import MillerCNN
from myoperf.research.label_strategies.otaki_cnn import OtakiCNN

__all__ = ["INPUTS", "NETWORKS", "FusionInput", "PolarFusion", "build_polar_fusion"]

FusionInput = Literal["rest", "stress", "early", "late"]
INPUTS: tuple[FusionInput, ...] = ("rest", "stress", "early", "late")
NETWORKS = (
    "CNN1",
    "CNN2",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "EfficientNetB0",
    "EfficientNetB3",
    "InceptionResNetV2",
    "InceptionV3",
    "ResNet50V2",
    "ResNet101V2",
    "ResNet152V2",
    "VGG19",
)
_PYRAMID = (1, 2, 4)


def pyramid_pool(maps: Tensor) -> Tensor:
    """Pool maps (B, C, H, W) to their maxima on 1, 4 and 16 fields, (B, 21 C)."""
    return torch.cat([functional.adaptive_max_pool2d(maps, side).flatten(1) for side in _PYRAMID], dim=1)


class PolarFusion(nn.Module):
    """Pictures (B, 2, H, W), stress then rest, and clinical values (B, clinical) -> logits (B, 3), one a vessel.

    Parameters
    ----------
    backbone
        Takes 2 channels for early fusion, 1 (or 3, then the grey map is repeated) otherwise.
    features
        Channels that the backbone gives.
    fusion
        Which input.
    clinical
        Number of clinical values: age, sex, weight, height in 001.
    """

    def __init__(
        self, backbone: nn.Module, features: int, fusion: FusionInput, *, channels: int = 1, clinical: int = 4
    ) -> None:
        super().__init__()
        if fusion not in INPUTS:
            raise InputError(f"Unknown input {fusion!r}; known are {', '.join(INPUTS)}.")
        self.backbone, self.fusion, self.channels = backbone, fusion, channels
        pooled = features * sum(side * side for side in _PYRAMID) if fusion == "late" else features
        self.first = nn.Linear(pooled, 128)
        self.second = nn.Linear(128, 128)
        self.dropout = nn.Dropout(0.3)
        self.last = nn.Linear(128 + clinical, 3)

    def forward(self, pictures: Tensor, clinical: Tensor) -> Tensor:
        """Give a logit a vessel, in the order of the labels it learned from."""
        return self.classify(self.pooled(pictures), clinical)

    def classify(self, pooled: Tensor, clinical: Tensor) -> Tensor:
        """Give the logits from what the backbone gave, pooled (B, pooled): the part trained on features kept."""
        hidden = self.dropout(functional.relu(self.first(pooled)))
        hidden = self.dropout(functional.relu(self.second(hidden)))
        logits: Tensor = self.last(torch.cat([hidden, clinical], dim=1))
        return logits

    def pooled(self, pictures: Tensor) -> Tensor:
        """Run the backbone and pool, (B, pooled)."""
        stress, rest = pictures[:, :1], pictures[:, 1:2]
        if self.fusion == "late":
            return pyramid_pool(torch.maximum(self._maps(stress), self._maps(rest)))
        given = {"stress": stress, "rest": rest, "early": pictures[:, :2]}[self.fusion]
        maps = self.backbone(given) if self.fusion == "early" else self._maps(given)
        return torch.mean(maps, dim=(2, 3))

    def _maps(self, grey: Tensor) -> Tensor:
        maps: Tensor = self.backbone(grey.expand(-1, self.channels, -1, -1))
        return maps

    def penalty(self) -> Tensor:
        """Give 001's L2 term: 0.01 times the squared weights of the two dense layers."""
        return 0.01 * (self.first.weight.square().sum() + self.second.weight.square().sum())


def build_polar_fusion(
    name: str,
    fusion: FusionInput,
    *,
    input_size: int = 290,
    weights: str | None = None,
    clinical: int = 4,
    width: int = 32,
) -> PolarFusion:
    """Build one of 001's thirteen networks with one of its inputs.

    Parameters
    ----------
    width
        Channels of CNN2's first block.

    Raises
    ------
    InputError
        For an unknown name, or ImageNet weights with two channels or for CNN1 and CNN2.
    """
    if name not in NETWORKS:
        raise InputError(f"Unknown network {name!r}; 001 has {', '.join(NETWORKS)}.")
    if name in ("CNN1", "CNN2"):
        if weights is not None:
            raise InputError(f"{name} has no ImageNet weights; use none.")
        channels = 2 if fusion == "early" else 1
        small = OtakiCNN(channels) if name == "CNN1" else MillerCNN(channels, width)
        return PolarFusion(small, small.features, fusion, clinical=clinical)
    channels = 2 if fusion == "early" else 3
    backbone = build_backbone(name, weights=weights, input_size=input_size, channels=channels)
    return PolarFusion(backbone, backbone.features, fusion, channels=channels, clinical=clinical)
