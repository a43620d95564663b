"""The convolutional networks of table 3 of Zhao et al. (see `multi_branch`), on a picture of the slices."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.errors import InputError
from myoperf.research.backbones.keras_backbones import KerasBackbone, build_backbone, get_spec, load_keras
from myoperf.research.slice_stacks import resize_stack
from myoperf.research.slice_transformer.training import balanced_order
from myoperf.research.training.prediction import run_in_batches
from myoperf.types import Float, Float32

BASELINES = ("VGG16", "ResNet50", "DenseNet121", "InceptionV3")
"""Table 3's networks, as `keras.applications` has them."""

Baseline = Callable[[Float, NDArray[Any], Float, int], Float]
"""(training pictures (n, 3, side, side), labels, test pictures, seed) -> probability of each test picture."""

IMAGENET_MODES: Mapping[str, str] = MappingProxyType(
    {"VGG16": "caffe", "ResNet50": "caffe", "DenseNet121": "torch", "InceptionV3": "tf"}
)
"""How Keras prepared the photographs that each network's ImageNet weights were learned on."""
LEARNING_RATE = 1e-4
NORM_MOMENTUM = 0.9
"""Of running means when training from random numbers: with Keras' 0.99, they are still close to their start after the
few hundred steps of a small run, and the network gives every picture the same answer."""


@dataclass(frozen=True, kw_only=True)
class BaselineStart:
    """What the convolutional networks start from.

    Parameters
    ----------
    kind
        ``none`` (random numbers), ``imagenet`` (Keras' weights, downloaded unless they are here) or ``file``.
    folder
        Of ``NETWORK.h5`` files, Keras' of each network without its top, where the kind is ``file``.
    """

    kind: Literal["none", "imagenet", "file"]
    folder: Path | None = None

    @classmethod
    def of(cls, word: str) -> Self:
        """Read what the user gave: ``none``, ``imagenet`` or a folder; InputError for anything else."""
        if word == "none":
            return cls(kind="none")
        if word == "imagenet":
            return cls(kind="imagenet")
        if not Path(word).is_dir():
            raise InputError("--baseline-weights is none, imagenet or a folder of NETWORK.h5; the path is no folder.")
        return cls(kind="file", folder=Path(word))

    def weights_of(self, name: str) -> str | Path | None:
        """Return a network's weights as `build_backbone` takes them."""
        if self.folder is not None:
            return self.folder / f"{name}.h5"
        return None if self.kind == "none" else self.kind

    def fingerprint(self) -> str:
        """Return what tells these weights from others: the kind, and the hash of the files where it is ``file``."""
        if self.folder is None:
            return self.kind
        files = [file for name in BASELINES if (file := self.folder / f"{name}.h5").is_file()]
        return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()

    def title(self, name: str) -> str:
        """Return what tables call a network that starts so."""
        return name + {"none": "", "imagenet": ", ImageNet", "file": ", weights from file"}[self.kind]


RANDOM_START = BaselineStart(kind="none")


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
    """A backbone, global mean pooling and one linear layer, on a device."""

    def __init__(self, name: str, start: BaselineStart, side: int | None, device: str) -> None:
        super().__init__()
        self.side, self.device = side or get_spec(name).input_size, device
        weights = start.weights_of(name)
        self.mode = None if weights is None else IMAGENET_MODES[name]
        self.backbone = build_backbone(name, weights=weights, input_size=self.side, device=device)
        quicken_norms(self.backbone)
        self.head = nn.Linear(self.backbone.features, 2).to(device)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, side, side), 0 to 1, to logits (B, 2)."""
        fitted = F.interpolate(pictures.to(self.device), size=(self.side, self.side), mode="bilinear")
        out: Tensor = self.head(self.backbone(to_keras_range(fitted, self.mode)).mean(dim=(2, 3)))
        return out


def to_keras_range(pictures: Tensor, mode: str | None) -> Tensor:
    """Return pictures (B, 3, side, side), 0 to 1, in the range that a network expects.

    Parameters
    ----------
    mode
        Of `keras.applications.imagenet_utils.preprocess_input`; None, for random weights: -1 to 1.
    """
    if mode is None:
        return 2.0 * pictures - 1.0
    keras = load_keras()
    with keras.device(str(pictures.device)):
        prepare = keras.applications.imagenet_utils.preprocess_input
        out: Tensor = prepare(255.0 * pictures, data_format="channels_first", mode=mode)
    return out


def quicken_norms(backbone: KerasBackbone) -> None:
    """Make running means follow within tens of steps."""
    for layer in backbone.model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = NORM_MOMENTUM


def keras_baselines(
    *,
    epochs: int,
    batch: int,
    side: int | None = None,
    start: BaselineStart = RANDOM_START,
    device: str = "cpu",
) -> Mapping[str, Baseline]:
    """Return the four networks by name, as functions that train and predict.

    Parameters
    ----------
    side
        Pixels per side of the networks' input, at least 75; default: as they were designed.
    start
        What they start from. A network whose weights are not to be had raises `MissingWeightsError` when it is called.
    device
        To train on.
    """

    def train(name: str, pictures: Float, truth: NDArray[Any], test: Float, seed: int) -> Float:
        load_keras().utils.set_random_seed(seed)
        network, rng = _Classifier(name, start, side, device), np.random.default_rng(seed)
        parameters = [*network.head.parameters(), *network.backbone.trainable_parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)
        labels = torch.from_numpy(truth.astype(np.int64)).to(device)
        network.train()
        for _ in range(epochs):
            order = balanced_order(truth, rng)
            for first in range(0, len(order), batch):
                chosen = order[first : first + batch]
                loss = F.cross_entropy(network(torch.from_numpy(pictures[chosen])), labels[chosen])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        network.eval()
        logits = run_in_batches(network, torch.from_numpy(test), batch=4).cpu()
        return np.asarray(torch.softmax(logits, 1)[:, 1].numpy(), dtype=np.float64)

    return {name: partial(train, name) for name in BASELINES}
