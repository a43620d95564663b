"""Image backbones from `keras.applications` on the torch backend.

They are the networks of Hajianfar et al. 2025 (doi:10.1007/s00259-025-07145-x) and of Hai et al. 2022
(doi:10.32604/cmc.2022.031027).

Networks are built channels first where Keras can, so torch's convolutions need no transposition; input and output
are (batch, channels, rows, columns) always. Weights are Keras' own and do not depend on that order.

The second stage of Hai et al. trains the top of each network. Their Table 2 gives no list of layers; the rules below
match every printed count exactly with Keras 3.15. They are of three kinds: a plain tail; a tail whose batch
normalisations stay frozen; a tail, less its batch normalisations, with all batch normalisations of the network.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from torch import Tensor, nn

from myoperf.errors import InputError, MissingWeightsError

Norms = Literal["with their layers", "frozen", "all trained"]


@dataclass(frozen=True)
class BackboneSpec:
    """One network of the papers.

    Attributes
    ----------
    name
        Its class in `keras.applications`.
    input_size
        Rows and columns of the papers' input.
    input_range
        Values the ImageNet weights expect. Networks with [0, 255] scale them themselves, except VGG, which Hai et al.
        fed in this range.
    rate_exponent
        Hai et al.'s a: learning rate 10^-a in stage 1, 10^-(a + 2) in stage 2.
    tail
        Last layers of the backbone trained in stage 2.
    norms
        What is trained of the batch normalisations in stage 2.
    """

    name: str
    input_size: int
    input_range: tuple[float, float]
    rate_exponent: int = 3
    tail: int = 0
    norms: Norms = "with their layers"

    @property
    def stage2_rule(self) -> str:
        """The rule in words."""
        return f"last {self.tail} backbone layers; batch norms {self.norms}"


_SPECS = (  # name, input size, input range, rate exponent, tail, norms
    BackboneSpec("VGG16", 224, (0, 255), 3, 3),
    BackboneSpec("VGG19", 224, (0, 255), 3, 3),
    BackboneSpec("Xception", 299, (-1, 1), 4, 16, "all trained"),
    BackboneSpec("MobileNetV2", 224, (-1, 1), 3, 3),
    BackboneSpec("EfficientNetB0", 224, (0, 255), 3, 16),
    BackboneSpec("EfficientNetB4", 224, (0, 255), 3, 23, "all trained"),
    BackboneSpec("EfficientNetB7", 224, (0, 255), 3, 25),
    BackboneSpec("InceptionV3", 299, (-1, 1), 4, 31, "frozen"),
    BackboneSpec("InceptionResNetV2", 299, (-1, 1), 4, 34, "frozen"),
    BackboneSpec("DenseNet121", 224, (0, 1), 3, 35, "all trained"),
    BackboneSpec("DenseNet169", 224, (0, 1), 3, 35, "all trained"),
    BackboneSpec("DenseNet201", 224, (0, 1), 3, 65),
    BackboneSpec("ResNet50V2", 224, (-1, 1), 4, 4),
    BackboneSpec("ResNet101V2", 224, (-1, 1), 4, 7),
    BackboneSpec("ResNet152V2", 224, (-1, 1), 4, 11),
    BackboneSpec("EfficientNetB3", 290, (0, 255)),
    BackboneSpec("ResNet50", 224, (0, 255)),
)
BACKBONES: Mapping[str, BackboneSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""The fifteen of Hai et al., then those without a stage-2 rule: EfficientNetB3 of Hajianfar et al., ResNet50 of Zhao et
al."""

TABLE_2: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "VGG16": (4851458, 9995072),
        "VGG19": (4851458, 15304768),
        "Xception": (7355250, 14031288),
        "MobileNetV2": (740610, 1845824),
        "EfficientNetB0": (1457842, 2920179),
        "EfficientNetB4": (5379878, 12753467),
        "EfficientNetB7": (12190530, 52563287),
        "InceptionV3": (6595330, 15732512),
        "InceptionResNetV2": (7656258, 47074464),
        "DenseNet121": (1124802, 6175616),
        "DenseNet169": (1772994, 11296640),
        "DenseNet201": (2889410, 15924864),
        "ResNet50V2": (1579778, 22510080),
        "ResNet101V2": (3940098, 39211520),
        "ResNet152V2": (4989698, 53867008),
    }
)
"""Trainable and non-trainable parameters at stage 2 as Hai et al. print them."""

HEAD_UNITS, CLASSES = 256, 2
MOST_CUT = 8
"""Tensors at the cut of `KerasBackbone.halves` above which keeping them costs more than it saves."""
Trunk = Callable[[Tensor], tuple[Tensor, ...]]
Top = Callable[[tuple[Tensor, ...]], Tensor]
_COUNTS = "keras_layer_counts.json"


def load_keras() -> Any:
    """Import Keras on the torch backend.

    Raises
    ------
    InputError
        When Keras is not installed or was already started on another backend.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        keras = import_module("keras")
    except ImportError as error:
        raise InputError("Keras is not installed; install MyoPerf with the extra 'research'.") from error
    if keras.config.backend() != "torch":
        raise InputError(f"Keras runs on {keras.config.backend()!r}; set KERAS_BACKEND=torch before it is imported.")
    return keras


def get_spec(name: str) -> BackboneSpec:
    """Return a backbone's settings; InputError names the known backbones."""
    if name not in BACKBONES:
        raise InputError(f"Unknown backbone {name!r}; choose from {', '.join(BACKBONES)}.")
    return BACKBONES[name]


def build_backbone(
    name: str,
    *,
    weights: str | Path | None = None,
    input_size: int | None = None,
    channels: int = 3,
    device: str = "cpu",
) -> KerasBackbone:
    """Build a backbone without its top: (batch, channels, size, size) -> (batch, features, rows, columns).

    Parameters
    ----------
    name
        A key of `BACKBONES`.
    weights
        None for random ones, ``"imagenet"`` for Keras' download (or its cache), or a ``.h5`` file of Keras
        for the network without top.
    input_size
        Rows and columns; default: the papers'.
    channels
        3 with ImageNet weights.
    device
        That its weights are made on and it runs on: Keras takes its own, whatever its input's is.

    Raises
    ------
    MissingWeightsError
        When the weights are neither on this machine nor available for download.
    """
    spec, keras = get_spec(name), load_keras()
    if weights is not None and channels != 3:
        raise InputError(f"ImageNet weights need 3 channels; got {channels}.")
    if isinstance(weights, Path) and not weights.is_file():
        raise MissingWeightsError(f"The weights file {weights.name} does not exist.")
    size = input_size or spec.input_size
    first = not name.startswith("DenseNet")  # Keras builds DenseNet channels last only
    order = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first" if first else "channels_last")
    try:
        with warnings.catch_warnings(), keras.device(device):  # two channels are early fusion
            warnings.filterwarnings("ignore", message="This model usually expects 1 or 3 input channels")
            model = getattr(keras.applications, name)(
                include_top=False,
                weights=None if weights is None else str(weights),
                input_shape=(channels, size, size) if first else (size, size, channels),
            )
    except Exception as error:
        if weights is None:
            raise
        raise MissingWeightsError(
            f"ImageNet weights of {name} could not be loaded ({type(error).__name__}). Without a network "
            f"connection, set --weights to none or to a folder with Keras' file of it without top, named {name}.h5."
        ) from error
    finally:
        keras.config.set_image_data_format(order)
    return KerasBackbone(model, first, spec, device)


class KerasBackbone(nn.Module):
    """A Keras network as a torch module: (B, channels, H, W) -> (B, features, h, w), whatever Keras' order of axes.

    Attributes
    ----------
    model
        The Keras network. Its `trainable` flags decide what `trainable_parameters` returns.
    features
        Channels out.
    spec
        Its settings in the papers.
    """

    def __init__(self, model: Any, channels_first: bool, spec: BackboneSpec, device: str = "cpu") -> None:
        super().__init__()
        self.model = model
        self.device = device
        self.spec = spec
        self.channels_first = channels_first
        self.features = int(model.output_shape[1 if channels_first else -1])

    def forward(self, images: Tensor) -> Tensor:
        """Return the last feature maps; layers that are trained use their training behaviour in training mode."""
        with load_keras().device(self.device):
            if self.channels_first:
                out: Tensor = self.model(images, training=self.training)
                return out
            out = self.model(images.permute(0, 2, 3, 1), training=self.training)
            return out.permute(0, 3, 1, 2)

    def trainable_parameters(self) -> list[Tensor]:
        """Return the torch parameters of open layers."""
        return [variable.value for variable in self.model.trainable_variables]

    def freeze_first(self, share: float) -> None:
        """Freeze the first share (0 to 1) of the layers and open the others."""
        layers = self.model.layers
        train_only(self, layers[round(share * len(layers)) :])

    def open_top(self) -> None:
        """Open the layers that the second stage trains and freeze the rest."""
        train_only(self, stage2_layers(self, self.spec))

    def halves(self) -> tuple[Trunk, Top] | None:
        """Cut the network before its first open layer: the frozen trunk, and the rest with the open layers.

        Returns
        -------
        (pictures -> tensors at the cut, those tensors -> last maps), or None where nothing lies before the cut.
        """
        layers = list(self.model.layers)
        first = next((i for i, layer in enumerate(layers) if layer.trainable and layer.trainable_weights), len(layers))
        rest = {id(layer) for layer in layers[first:]}
        # A layer also keeps the nodes of other networks that it is part of.
        nodes = {id(node) for row in self.model._nodes_by_depth.values() for node in row}
        cut: dict[int, Any] = {}
        for layer in layers[first:]:
            for node in layer._inbound_nodes:
                for tensor in node.input_tensors if id(node) in nodes else ():
                    if id(tensor._keras_history.operation) not in rest:
                        cut[id(tensor)] = tensor
        made = list(cut.values())
        if first == 0 or not made or len(made) > MOST_CUT:
            return None
        keras = load_keras()
        trunk = keras.Model(self.model.input, made)
        top = keras.Model(made, self.model.output)

        def run_trunk(images: Tensor) -> tuple[Tensor, ...]:
            given = images if self.channels_first else images.permute(0, 2, 3, 1)
            with keras.device(self.device):
                out = trunk(given, training=False)
            return tuple(out) if isinstance(out, list | tuple) else (out,)

        def run_top(parts: tuple[Tensor, ...]) -> Tensor:
            with keras.device(self.device):
                out: Tensor = top(list(parts) if len(parts) > 1 else parts[0], training=self.training)
            return out if self.channels_first else out.permute(0, 3, 1, 2)

        return run_trunk, run_top


def stage2_layers(backbone: KerasBackbone, spec: BackboneSpec) -> list[Any]:
    """Return the backbone's layers that the second stage of Hai et al. trains."""
    if not spec.tail:
        raise InputError(f"{spec.name} is not one of the networks of Hai et al. 2022: it has no stage-2 rule.")
    layers = list(backbone.model.layers)
    norm = load_keras().layers.BatchNormalization
    tail = layers[len(layers) - spec.tail :]
    if spec.norms == "with their layers":
        return tail
    plain = [layer for layer in tail if not isinstance(layer, norm)]
    return plain if spec.norms == "frozen" else plain + [layer for layer in layers if isinstance(layer, norm)]


def train_only(backbone: KerasBackbone, layers: Sequence[Any]) -> None:
    """Open some layers for training and freeze all others; frozen batch norms keep their statistics."""
    backbone.model.trainable = True  # Keras lists no trainable variables of a frozen network
    opened = {id(layer) for layer in layers}
    for layer in backbone.model.layers:
        layer.trainable = id(layer) in opened


def _parameters(variables: Sequence[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def count_parameters(name: str) -> dict[str, int]:
    """Build a backbone and count its layers, features and parameters, and those of stage 2 with the paper's head."""
    spec, backbone = get_spec(name), build_backbone(name)
    features = backbone.features
    head = features * HEAD_UNITS + HEAD_UNITS + HEAD_UNITS * CLASSES + CLASSES
    total = _parameters(backbone.model.weights)
    counts = {"layers": len(backbone.model.layers), "features": features, "parameters": total}
    if spec.tail:
        layers = stage2_layers(backbone, spec)
        opened = _parameters([w for layer in layers for w in layer.trainable_weights])
        counts |= {"opened_layers": len(layers), "trainable": opened + head, "non_trainable": total - opened}
    return counts


def read_layer_counts() -> dict[str, dict[str, int]]:
    """Read the counts that `write_layer_counts` wrote; building every backbone takes minutes."""
    text = resources.files("myoperf.research.backbones").joinpath(_COUNTS).read_text(encoding="utf-8")
    counts: dict[str, dict[str, int]] = json.loads(text)
    return counts


def write_layer_counts() -> Path:
    """Build and count every backbone and write the file that `read_layer_counts` reads."""
    path = Path(__file__).with_name(_COUNTS)
    counts = {name: count_parameters(name) for name in BACKBONES}
    path.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    write_layer_counts()
