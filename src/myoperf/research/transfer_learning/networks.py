"""A trained model of Hai et al. 2022 as a folder: backbone and head as safetensors, and a card that rebuilds both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from myoperf.research.backbones.efficientnet_lite0 import LITE0, EfficientNetLite0
from myoperf.research.backbones.keras_backbones import BackboneSpec, build_backbone, get_spec, load_keras
from myoperf.research.training.seeds import seeded
from myoperf.research.training.weights import load_tensors, read_model, save_model
from myoperf.research.transfer_learning.training import Backbone, Classifier, Schedule, make_head

NAME = "two-stage"
_LITE0_SPEC = BackboneSpec(LITE0, EfficientNetLite0.input_size, EfficientNetLite0.input_range)


def spec_of(network: str) -> BackboneSpec:
    """Return a network's settings in the paper, or EfficientNet-Lite0's."""
    return _LITE0_SPEC if network == LITE0 else get_spec(network)


def make_backbone(name: str, weights: str | Path | None, size: int, seed: int, device: str = "cpu") -> Backbone:
    """Build a backbone on a device with given weights, or with random ones drawn from the seed."""
    if name == LITE0:
        with seeded(seed):
            return EfficientNetLite0(weights).to(device)
    load_keras().utils.set_random_seed(seed)
    return build_backbone(name, weights=weights, input_size=size, device=device)


def to_range(discs: NDArray[np.float32], input_range: tuple[float, float]) -> Tensor:
    """Return discs as a network takes them, (n, 3, H, W).

    Parameters
    ----------
    discs
        Grey (n, H, W), which are repeated in the three channels, or coloured (n, H, W, 3); 0 to 1.
    input_range
        Values that stand for 0 and 1.

    Examples
    --------
    >>> to_range(np.ones((1, 2, 2), np.float32), (-1.0, 1.0)).shape
    torch.Size([1, 3, 2, 2])
    """
    low, high = input_range
    if discs.ndim == 4:
        return torch.from_numpy(discs * (high - low) + low).permute(0, 3, 1, 2).contiguous().float()
    return torch.from_numpy(discs * (high - low) + low)[:, None].repeat(1, 3, 1, 1).float()


def save_classifier(
    folder: Path, model: Classifier, card: Mapping[str, Any], *, network: str, shape: Sequence[int], schedule: Schedule
) -> None:
    """Write a trained model; the card gets what `load_classifier` needs to build it again.

    Parameters
    ----------
    shape
        Of one picture it learned from: (side, side), or (side, side, 3) in colours.
    """
    build = {"network": network, "input_size": int(shape[0]), "colours": len(shape) == 3}
    build |= {"units": schedule.units, "dropout": schedule.dropout}
    tensors = {f"backbone.{name}": value for name, value in model.backbone.state_dict().items()}
    tensors |= {f"head.{name}": value for name, value in model.head.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_model(folder, tensors, {"name": NAME, "build": build, **card})


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """A model with what its pictures are.

    Attributes
    ----------
    size, colours
        Rows and columns of the pictures, and whether they keep their colours.
    """

    model: Classifier
    network: str
    size: int
    colours: bool


def load_classifier(folder: Path, device: str = "cpu") -> Trained:
    """Load a model that `save_classifier` wrote.

    Raises
    ------
    MissingWeightsError, InputError
        When the folder is not such a model, or its weights are not those of its card.
    """
    data, card = read_model(folder, NAME, needs=("build",))
    build = card["build"]
    network, size = str(build["network"]), int(build["input_size"])
    backbone = make_backbone(network, None, size, 0, device)
    schedule = Schedule(units=int(build["units"]), dropout=float(build["dropout"]))
    head = make_head(backbone.features, schedule, 0).to(device)
    load_tensors(folder, data, {"backbone.": backbone, "head.": head})
    head.eval()
    return Trained(model=Classifier(backbone, head), network=network, size=size, colours=bool(build["colours"]))
