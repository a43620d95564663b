"""The compact network of the left ventricle without torch, whose import takes longer than the network.

`CompiledNetwork` computes what `myoperf.lv.compact_network` defines, in single precision, from the same weights:
volumes have their channels last, convolutions are matrix products (`myoperf.lv.winograd`). The other engines run the
network in torch or OpenVINO (`myoperf.lv.engine`).
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from myoperf.errors import InputError
from myoperf.kernels import kernel
from myoperf.lv.winograd import convolve, transform_filters
from myoperf.threads import in_threads
from myoperf.types import Float32

Engine = Literal["auto", "compiled", "float32", "bfloat16", "openvino", "openvino-bfloat16"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
Device = Literal["cpu", "cuda"]

_SLOPE = 0.01  # of the leaky rectifier
_NORM_EPSILON = 1e-5


def choose_engine(engine: Engine = "auto", device: Device = "cpu") -> Engine:
    """Return the engine to use: for "auto", "compiled" on the processor, "float32" (torch) on a GPU.

    Raises
    ------
    InputError
        For an unknown name, one that does not run on the device, or OpenVINO if it is not installed.
    """
    if engine not in ENGINES:
        raise InputError(f"The engine is one of {', '.join(ENGINES)}; got {engine}.")
    if engine == "auto":
        return "compiled" if device == "cpu" else "float32"
    if engine == "compiled" and device != "cpu":
        raise InputError("The engine compiled runs on the processor only; choose the device cpu, or another engine.")
    if engine.startswith("openvino") and device != "cpu":
        raise InputError("OpenVINO runs on the processor only; choose the device cpu, or another engine.")
    if engine.startswith("openvino") and importlib.util.find_spec("openvino") is None:
        raise InputError("OpenVINO is not installed; install myoperf[openvino], or choose the engine auto.")
    return engine


class Inference(Protocol):
    """The compact network, however it is run."""

    def locate(self, field: Float32) -> Float32:
        """Estimate a pose (10,) from the whole field (D, H, W): see `myoperf.lv.compact_network.Locator`."""
        ...

    def label(self, crops: Float32) -> Float32:
        """Label turned crops (B, D, H, W): logits (B, classes, D, H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """The network in compiled code and matrix products, on as many threads as ``OMP_NUM_THREADS`` or processors.

    Parameters
    ----------
    locator
        Blocks of the localiser.
    blocks
        Blocks of the U-Net by name.
    weights
        All weights by the names of their file, for the single layers.
    """

    locator: tuple["_Block", ...]
    blocks: Mapping[str, "_Block"]
    weights: Mapping[str, Float32]

    @classmethod
    def from_weights(cls, weights: Mapping[str, Float32]) -> "CompiledNetwork":
        """Build the network from the arrays of its file.

        Raises
        ------
        InputError
            When arrays are missing.
        """
        try:
            locator = tuple(_Block.named(weights, f"locator.body.{k}", stride=2 if k == 1 else 1) for k in range(4))
            strides = {"one": 1, "two": 2, "three": 2, "bottom": 1, "up_two": 1, "up_one": 1}
            blocks = {name: _Block.named(weights, name, stride=stride) for name, stride in strides.items()}
        except KeyError as error:
            raise InputError(f"The weights lack {error}; weights of the compact network were expected.") from None
        return cls(locator, blocks, weights)

    def locate(self, field: Float32) -> Float32:
        """Estimate a pose (10,) from the whole field (D, H, W)."""
        features = field[..., None]
        for block in self.locator:
            features = block(features)
        flat = features.reshape(-1, features.shape[-1])
        heat = flat @ self.weights["locator.heat.weight"].reshape(-1)  # its bias changes no share
        share = np.exp(heat - heat.max())
        share /= share.sum()
        # A stride of 2 with padding 1 centres feature k on voxel 2 k: a quarter of a feature before its cell's middle.
        steps = [(2 * np.arange(n, dtype=np.float32) + 0.5) / n - 1 for n in features.shape[:3]]
        places = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3)[:, ::-1]  # x, y, z
        pooled = share @ flat
        head = self.weights["locator.head.weight"] @ pooled + self.weights["locator.head.bias"]
        return np.concatenate([share @ places, head]).astype(np.float32)

    def label(self, crops: Float32) -> Float32:
        """Label turned crops (B, D, H, W): logits (B, classes, D, H, W); crops run in threads."""
        return np.stack(in_threads(self._label, list(crops)))

    def _label(self, crop: Float32) -> Float32:
        blocks = self.blocks
        fine = blocks["one"](crop[..., None])
        middle = blocks["two"](fine)
        coarse = blocks["bottom"](blocks["three"](middle))
        features = blocks["up_two"](np.concatenate([_doubled(coarse), middle], axis=-1))
        features = blocks["up_one"](np.concatenate([_doubled(features), fine], axis=-1))
        last = self.weights["out.weight"]
        logits = features @ last.reshape(len(last), -1).T + self.weights["out.bias"]
        return np.ascontiguousarray(np.moveaxis(logits, -1, 0))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Block:
    """Two convolutions with a residual path: `myoperf.lv.compact_network.Block`."""

    first: "_Convolution"
    norm: tuple[Float32, Float32]
    second: "_Convolution"
    again: tuple[Float32, Float32]
    skip: Float32  # (in, out)
    stride: int

    @classmethod
    def named(cls, weights: Mapping[str, Float32], name: str, *, stride: int) -> "_Block":
        skip = weights[f"{name}.skip.weight"]
        return cls(
            first=_Convolution.of(weights[f"{name}.first.weight"], stride=stride),
            norm=(weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]),
            second=_Convolution.of(weights[f"{name}.second.weight"], stride=1),
            again=(weights[f"{name}.again.weight"], weights[f"{name}.again.bias"]),
            skip=np.ascontiguousarray(skip.reshape(skip.shape[:2]).T),
            stride=stride,
        )

    def __call__(self, image: Float32) -> Float32:
        """Return the features (D, H, W, out) of an image (D, H, W, in)."""
        hidden = _activated(self.first(image), *self.norm, None)
        skipped = image[:: self.stride, :: self.stride, :: self.stride] @ self.skip
        return _activated(self.second(hidden), *self.again, skipped)


@dataclass(frozen=True, eq=False)
class _Convolution:
    """A convolution of 3 x 3 x 3: by tiles, or where it has a stride or one channel, by one matrix product."""

    filters: Float32  # (64, in, out), or (27 in, out)
    stride: int
    tiled: bool

    @classmethod
    def of(cls, weights: Float32, *, stride: int) -> "_Convolution":
        outside, inside = weights.shape[:2]
        if stride == 1 and inside > 1:
            return cls(transform_filters(weights), stride, tiled=True)
        return cls(np.ascontiguousarray(weights.transpose(2, 3, 4, 1, 0).reshape(27 * inside, outside)), stride, False)

    def __call__(self, image: Float32) -> Float32:
        if self.tiled:
            return convolve(image, self.filters)
        padded = np.pad(image, ((1, 1), (1, 1), (1, 1), (0, 0)))
        stride = self.stride
        windows = sliding_window_view(padded, (3, 3, 3), axis=(0, 1, 2))[::stride, ::stride, ::stride]
        sides = windows.shape[:3]  # of (planes, rows, columns, in, 3, 3, 3)
        if image.shape[3] == 1:  # long lines are copied then, not three neighbours at a time
            taps = windows.transpose(4, 5, 6, 3, 0, 1, 2).reshape(27, -1).T
        else:
            taps = windows.transpose(0, 1, 2, 4, 5, 6, 3).reshape(-1, len(self.filters))
        return (taps @ self.filters).reshape(*sides, -1)


def _activated(features: Float32, scale: Float32, offset: Float32, added: Float32 | None) -> Float32:
    """Give every channel mean 0 and variance 1 over the volume, scale and offset it, add, and rectify; in place."""
    flat = features.reshape(-1, features.shape[-1])
    factor, plus = _normalisation(flat, scale, offset, _NORM_EPSILON)
    _activate(flat, factor, plus, flat[:0] if added is None else added.reshape(flat.shape), np.float32(_SLOPE))
    return features


@kernel(nogil=True)
def _normalisation(features: Float32, scale: Float32, offset: Float32, epsilon: float) -> tuple[Float32, Float32]:
    """Return what to multiply each channel with, and then to add to it."""
    places, channels = features.shape
    total, squares = np.zeros(channels), np.zeros(channels)
    for n in range(places):
        for c in range(channels):
            total[c] += features[n, c]
            squares[c] += features[n, c] * features[n, c]
    mean = total / places
    factor = scale / np.sqrt(squares / places - mean * mean + epsilon)
    return factor.astype(np.float32), (offset - mean * factor).astype(np.float32)


@kernel(nogil=True)
def _activate(features: Float32, factor: Float32, plus: Float32, added: Float32, slope: np.float32) -> None:
    """Normalise, add where there is something to add, and multiply negative values by the slope; in place."""
    places, channels = features.shape
    for n in range(places):
        line = features[n]
        for c in range(channels):
            line[c] = factor[c] * line[c] + plus[c]
        if added.size:
            for c in range(channels):
                line[c] += added[n, c]
        for c in range(channels):
            line[c] = max(line[c], slope * line[c])


def _doubled(features: Float32) -> Float32:
    """Double all three sides by linear interpolation between the voxels' centres; edges are repeated."""
    for axis in range(3):
        shape = features.shape
        out = np.empty((*shape[:axis], 2 * shape[axis], *shape[axis + 1 :]), dtype=np.float32)
        before = int(np.prod(shape[:axis]))
        _double(features.reshape(before, shape[axis], -1), out.reshape(before, 2 * shape[axis], -1))
        features = out
    return features


@kernel(nogil=True)
def _double(source: Float32, out: Float32) -> None:
    """Double the middle axis: each value gives two, a quarter of a step before and after it."""
    near, far = np.float32(0.75), np.float32(0.25)
    outer, size, inner = source.shape
    for o in range(outer):
        for k in range(size):
            value, before, after = source[o, k], source[o, max(k - 1, 0)], source[o, min(k + 1, size - 1)]
            first, second = out[o, 2 * k], out[o, 2 * k + 1]
            for n in range(inner):
                first[n] = far * before[n] + near * value[n]
            for n in range(inner):
                second[n] = near * value[n] + far * after[n]
