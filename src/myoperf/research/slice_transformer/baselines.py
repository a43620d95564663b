"""The convolutional networks of table 3 of Zhao et al. (see `multi_branch`), on a picture of the slices."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.research.backbones.keras_backbones import KerasBackbone, build_backbone, get_spec, load_keras
from myoperf.research.slice_stacks import resize_stack
from myoperf.research.slice_transformer.training import balanced_order
from myoperf.research.training.prediction import run_in_batches
from myoperf.types import Float, Float32

BASELINES = ("VGG16", "ResNet50", "DenseNet121", "InceptionV3")
"""Table 3's networks, as `keras.applications` has them."""

Baseline = Callable[[Float, NDArray[Any], Float, int], Float]
"""(training pictures (n, 3, side, side), labels, test pictures, seed) -> probability of each test picture."""

LEARNING_RATE = 1e-4
NORM_MOMENTUM = 0.9
"""Of running means when training from random numbers: with Keras' 0.99, they are still close to their start after the
few hundred steps of a small run, and the network gives every picture the same answer."""


def montage(stacks: Float, *, side: int = 224) -> Float32:
    """Lay the planes of every view out as a square picture, the views as its colours, for networks of photographs.

    Parameters
    ----------
    stacks
        (patients, 3 views, planes, rows, columns).

    Returns
    -------
    (patients, 3, side, side) float32.
    """
    patients, views, planes = stacks.shape[:3]
    grid = int(np.ceil(np.sqrt(planes)))
    tile = side // grid
    tiles = np.zeros((patients, views, grid**2, tile, tile), np.float32)
    for patient, view in np.ndindex(patients, views):
        tiles[patient, view, :planes] = resize_stack(stacks[patient, view], (planes, tile, tile))
    laid = tiles.reshape(patients, views, grid, grid, tile, tile).swapaxes(3, 4)
    left = (0, side - grid * tile)  # pixels at the lower and right edge that no tile covers
    return np.pad(laid.reshape(patients, views, grid * tile, grid * tile), ((0, 0), (0, 0), left, left))


class _Classifier(nn.Module):
    """A backbone of random weights, global mean pooling and one linear layer."""

    def __init__(self, name: str, side: int | None) -> None:
        super().__init__()
        self.side = side or get_spec(name).input_size
        self.backbone = build_backbone(name, input_size=self.side)
        quicken_norms(self.backbone)
        self.head = nn.Linear(self.backbone.features, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, side, side), 0 to 1, to logits (B, 2)."""
        fitted = F.interpolate(pictures, size=(self.side, self.side), mode="bilinear")
        out: Tensor = self.head(self.backbone(2.0 * fitted - 1.0).mean(dim=(2, 3)))
        return out


def quicken_norms(backbone: KerasBackbone) -> None:
    """Make running means follow within tens of steps."""
    for layer in backbone.model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = NORM_MOMENTUM


def keras_baselines(*, epochs: int, batch: int, side: int | None = None) -> Mapping[str, Baseline]:
    """Return the four networks by name, as functions that train from random numbers and predict.

    Parameters
    ----------
    side
        Pixels per side of the networks' input, at least 75; default: as they were designed.
    """

    def train(name: str, pictures: Float, truth: NDArray[Any], test: Float, seed: int) -> Float:
        load_keras().utils.set_random_seed(seed)
        network, rng = _Classifier(name, side), np.random.default_rng(seed)
        parameters = [*network.head.parameters(), *network.backbone.trainable_parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)
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
        logits = run_in_batches(network, torch.from_numpy(test), batch=4)
        return np.asarray(torch.softmax(logits, 1)[:, 1].numpy(), dtype=np.float64)

    return {name: partial(train, name) for name in BASELINES}
