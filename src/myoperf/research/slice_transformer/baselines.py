"""The convolutional networks that paper 000's table 3 compares with, on a picture of the slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.research.backbones.keras_backbones import BackboneSpec, KerasBackbone, build_backbone, get_spec, load_keras
from myoperf.research.slice_transformer.training import balanced_order
from myoperf.types import Float

__all__ = ["BASELINES", "keras_baselines"]


BASELINES = ("VGG16", "ResNet50", "DenseNet121", "InceptionV3")
"""Table 3's networks, as `keras.applications` has them."""

NORM_MOMENTUM = 0.9
"""Of running means when training from random numbers: Keras' 0.99 keeps, after the few hundred steps of a small run,
the numbers it began with, and the network answers the same to everything."""

_BLUE_GREEN_RED = (103.939, 116.779, 123.68)
"""Means that ResNet50's ImageNet weights expect to be taken off, in that order of colours."""


class _Classifier(nn.Module):
    """A backbone, global mean pooling and one linear layer."""

    def __init__(self, name: str, weights: str | None, side: int | None) -> None:
        super().__init__()
        self.name, self.pretrained = name, weights is not None
        self.side = side or (299 if name == "InceptionV3" else 224)
        self.backbone: KerasBackbone
        if name == "ResNet50":
            self.backbone = _resnet50(weights, self.side)
        else:
            self.backbone = build_backbone(name, weights=weights, input_size=self.side)
        if not self.pretrained:
            quicken_norms(self.backbone)
        self.head = nn.Linear(self.backbone.features, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, side, side), 0 to 1, to logits (B, 2)."""
        fitted = F.interpolate(pictures, size=(self.side, self.side), mode="bilinear")
        if not self.pretrained:
            fitted = 2.0 * fitted - 1.0
        elif self.name == "ResNet50":
            fitted = 255.0 * fitted.flip(1) - torch.tensor(_BLUE_GREEN_RED)[:, None, None]
        else:
            low, high = get_spec(self.name).input_range
            fitted = low + (high - low) * fitted
        out: Tensor = self.head(self.backbone(fitted).mean(dim=(2, 3)))
        return out


def quicken_norms(backbone: KerasBackbone) -> None:
    """Let running means follow within tens of steps."""
    for layer in backbone.model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = NORM_MOMENTUM


def _resnet50(weights: str | None, side: int) -> KerasBackbone:
    """Build ResNet50, which `build_backbone` does not list (002 and 001 use its second version)."""
    keras = load_keras()
    order = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        model = keras.applications.ResNet50(include_top=False, weights=weights, input_shape=(3, side, side))
    finally:
        keras.config.set_image_data_format(order)
    return KerasBackbone(model, True, BackboneSpec("ResNet50", 224, (0, 255)))


def keras_baselines(
    *,
    weights: str | None = None,
    epochs: int = 20,
    batch: int = 8,
    learning_rate: float = 1e-4,
    side: int | None = None,
) -> Mapping[str, Callable[[Float, NDArray[Any], Float, int], Float]]:
    """Give the four networks as functions for `multi_branch_mit.run`.

    Parameters
    ----------
    weights
        ``"imagenet"`` as in the paper (downloaded or cached by Keras), or None for random numbers.
    side
        Pixels a side of what the networks see, at least 75; default: as they were designed.
    """

    def trainer(name: str) -> Callable[[Float, NDArray[Any], Float, int], Float]:
        def train(pictures: Float, truth: NDArray[Any], test: Float, seed: int) -> Float:
            load_keras().utils.set_random_seed(seed)
            network, rng = _Classifier(name, weights, side), np.random.default_rng(seed)
            parameters = [*network.head.parameters(), *network.backbone.trainable_parameters()]
            optimizer = torch.optim.AdamW(parameters, lr=learning_rate)
            network.train()
            for _ in range(epochs):
                order = balanced_order(truth, rng)
                for start in range(0, len(order), batch):
                    chosen = order[start : start + batch]
                    logits = network(torch.from_numpy(pictures[chosen]))
                    loss = F.cross_entropy(logits, torch.from_numpy(truth[chosen].astype(np.int64)))
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
            network.eval()
            with torch.no_grad():
                parts = [
                    torch.softmax(network(torch.from_numpy(test[i : i + 4])), 1)[:, 1] for i in range(0, len(test), 4)
                ]
            return np.asarray(torch.cat(parts).numpy(), dtype=np.float64)

        return train

    return {name: trainer(name) for name in BASELINES}
