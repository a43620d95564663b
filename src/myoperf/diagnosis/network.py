"""A small network from stress and rest polar maps and clinical values to the three vessels, in matrix products.

Convolutions wrap around the angle, as the wall does. The last maps are pooled to a coarse grid, which keeps where on
the wall a defect lies. Rest and each clinical value may be missing: a flag for each tells the network. The same network
in torch, to be trained, is `myoperf.research.polar_classifier.network`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.diagnosis.inputs import GRID
from myoperf.errors import InputError
from myoperf.types import Float, Float32

CLINICAL = ("sex", "age_years", "height_m", "weight_kg")
"""Order of the clinical values; sex is 1 for a man, 0 for a woman."""

_NORM_EPSILON = 1e-5
_POOLED = (4, 6)


@dataclass(frozen=True, eq=False)
class PolarNetwork:
    """Maps (B, 4, 24, 72) and clinical values (B, 8) -> logits (B, 3) for LAD, LCX, RCA.

    Parameters
    ----------
    weights
        By the names of the network in torch.

    Raises
    ------
    InputError
        When weights are missing, or some belong to another network.
    """

    weights: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        parts = ("convolution.weight", *(f"norm.{k}" for k in ("weight", "bias", "running_mean", "running_var")))
        needed = {f"{block}.{part}" for block in ("first", "second", "third") for part in parts}
        needed |= {f"{layer}.{part}" for layer in ("hidden", "last") for part in ("weight", "bias")}
        given = {name for name in self.weights if not name.endswith("num_batches_tracked")}
        if given != needed:
            raise InputError(f"Weights of the polar network were expected; {sorted(given ^ needed)[0]} is off.")

    def __call__(self, maps: Float32, clinical: Float32) -> Float32:
        """Return one logit per vessel."""
        features = self._convolved("first", np.moveaxis(maps, 1, -1))
        features = _averaged(features, GRID[0] // 2, GRID[1] // 2)
        features = self._convolved("third", self._convolved("second", features))
        pooled = np.moveaxis(_averaged(features, *_POOLED), -1, 1).reshape(len(maps), -1)
        hidden = np.maximum(pooled @ self.weights["hidden.weight"].T + self.weights["hidden.bias"], 0)
        joined = np.concatenate([hidden, clinical], axis=1)
        return np.asarray(joined @ self.weights["last.weight"].T + self.weights["last.bias"])

    def _convolved(self, block: str, maps: Float32) -> Float32:
        """Convolve maps (B, rings, angles, in) by 3 x 3, normalise by the training's moments, and rectify."""
        filters, (scale, offset, mean, variance) = (
            self.weights[f"{block}.convolution.weight"],
            (self.weights[f"{block}.norm.{k}"] for k in ("weight", "bias", "running_mean", "running_var")),
        )
        factor = scale / np.sqrt(variance + np.float32(_NORM_EPSILON))
        _, rings, angles, _ = maps.shape
        wrapped = np.concatenate([maps[:, :, -1:], maps, maps[:, :, :1]], axis=2)
        padded = np.concatenate([wrapped[:, :1], wrapped, wrapped[:, -1:]], axis=1)
        near = np.concatenate([padded[:, i : i + rings, j : j + angles] for i in range(3) for j in range(3)], axis=-1)
        out = near @ (filters.transpose(2, 3, 1, 0).reshape(near.shape[-1], -1) * factor)
        return np.asarray(np.maximum(out + (offset - mean * factor), 0))


def _averaged(maps: Float32, rings: int, angles: int) -> Float32:
    """Average maps (B, rings, angles, C) over blocks to the given size."""
    batch, high, wide, channels = maps.shape
    return np.asarray(maps.reshape(batch, rings, high // rings, angles, wide // angles, channels).mean(axis=(2, 4)))


def network_input(stress: Float, rest: Float | None, normal_stress: Float, normal_rest: Float) -> Float32:
    """Stack the network's four channels, (B, 4, rings, angles): stress, rest, their difference, a flag for rest.

    Parameters
    ----------
    stress, rest
        (B, rings, angles), scaled so that the 98th percentile is 1; rest may be None.
    normal_stress, normal_rest
        (rings, angles): mean of patients without disease, scaled in the same way.
    """
    first = (stress - normal_stress) / 0.1  # brings the deviations of normal maps to about one
    if rest is None:
        nothing = np.zeros_like(first)
        return np.stack([first, nothing, nothing, nothing], axis=1).astype(np.float32)
    second = (rest - normal_rest) / 0.1
    return np.stack([first, second, first - second, np.ones_like(first)], axis=1).astype(np.float32)
