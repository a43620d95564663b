"""The networks of Hajianfar et al. 2025: a backbone, one of four inputs, and a head with clinical values.

Inputs: rest, stress, early fusion (stress and rest as two channels), late fusion (one backbone run on each, the
element-wise maximum of the last maps, then 2D spatial pyramid pooling, He et al. 2014, arXiv:1406.4729). Head:
two dense layers of 128 (ReLU, dropout 0.3, L2 0.01), clinical values joined at the last layer, three logits.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from myoperf.errors import InputError
from myoperf.research.backbones.keras_backbones import build_backbone
from myoperf.research.label_strategies.miller_cnn import MillerCNN
from myoperf.research.label_strategies.otaki_cnn import OtakiCNN

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
    """A network of polar maps and clinical values with one logit a vessel.

    Pictures (B, 2, H, W), stress then rest, and clinical values (B, clinical) -> logits (B, 3).

    Parameters
    ----------
    backbone
        Takes 2 channels for early fusion, 1 (or 3, then the grey map is repeated) otherwise.
    features
        Channels of the backbone's last maps.
    fusion
        Which input the backbone gets.
    channels
        Of the backbone's input, when it is one state.
    clinical
        Number of clinical values; the paper's are age, sex, weight and height.
    """

    def __init__(
        self, backbone: nn.Module, features: int, fusion: FusionInput, *, channels: int = 1, clinical: int = 4
    ) -> None:
        super().__init__()
        if fusion not in INPUTS:
            raise InputError(f"Unknown input {fusion!r}; choose from {', '.join(INPUTS)}.")
        self.backbone, self.fusion, self.channels = backbone, fusion, channels
        pooled = features * sum(side * side for side in _PYRAMID) if fusion == "late" else features
        self.first = nn.Linear(pooled, 128)
        self.second = nn.Linear(128, 128)
        self.dropout = nn.Dropout(0.3)
        self.last = nn.Linear(128 + clinical, 3)

    def forward(self, pictures: Tensor, clinical: Tensor) -> Tensor:
        """Return a logit a vessel, in the order of the labels it learned from."""
        return self.classify(self.pooled(pictures), clinical)

    def classify(self, pooled: Tensor, clinical: Tensor) -> Tensor:
        """Return the logits from the backbone's pooled features (B, pooled): the part trained on a frozen backbone."""
        hidden = self.dropout(functional.relu(self.first(pooled)))
        hidden = self.dropout(functional.relu(self.second(hidden)))
        logits: Tensor = self.last(torch.cat([hidden, clinical], dim=1))
        return logits

    def pooled(self, pictures: Tensor) -> Tensor:
        """Run the backbone and pool, (B, pooled)."""
        stress, rest = pictures[:, :1], pictures[:, 1:2]
        if self.fusion == "late":
            return pyramid_pool(torch.maximum(self._maps(stress), self._maps(rest)))
        if self.fusion == "early":
            maps: Tensor = self.backbone(pictures[:, :2])
        else:
            maps = self._maps(stress if self.fusion == "stress" else rest)
        return torch.mean(maps, dim=(2, 3))

    def _maps(self, grey: Tensor) -> Tensor:
        maps: Tensor = self.backbone(grey.expand(-1, self.channels, -1, -1))
        return maps

    def penalty(self) -> Tensor:
        """Return the paper's L2 term: 0.01 times the squared weights of the two dense layers."""
        return 0.01 * (self.first.weight.square().sum() + self.second.weight.square().sum())


def build_polar_fusion(
    name: str, fusion: FusionInput, *, input_size: int = 290, width: int = 32, device: str = "cpu"
) -> PolarFusion:
    """Build one of the paper's thirteen networks with one of its inputs, with random weights.

    Parameters
    ----------
    input_size
        Rows and columns of the pictures.
    width
        Channels of CNN2's first block.

    Raises
    ------
    InputError
        For an unknown name.
    """
    if name not in NETWORKS:
        raise InputError(f"Unknown network {name!r}; choose from {', '.join(NETWORKS)}.")
    if name in ("CNN1", "CNN2"):
        channels = 2 if fusion == "early" else 1
        small = OtakiCNN(channels) if name == "CNN1" else MillerCNN(channels, width)
        return PolarFusion(small, small.features, fusion).to(device)
    channels = 2 if fusion == "early" else 3
    backbone = build_backbone(name, input_size=input_size, channels=channels, device=device)
    return PolarFusion(backbone, backbone.features, fusion, channels=channels).to(device)
