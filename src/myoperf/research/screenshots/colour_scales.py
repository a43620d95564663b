"""Colour scales of nuclear-medicine pictures, and the way back from colour to intensity.

The anchors are approximations of scales in common use; a workstation's own may be given instead.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.types import Float32

Anchors = tuple[tuple[float, tuple[int, int, int]], ...]


def _even(*colours: str) -> Anchors:
    """Return the anchors of hexadecimal colours, evenly spaced from 0 to 1."""
    last = len(colours) - 1
    return tuple((i / last, (int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16))) for i, c in enumerate(colours))


SCALES: Mapping[str, Anchors] = MappingProxyType(
    {
        "grey": _even("000000", "ffffff"),
        "hot": _even("000000", "ff0000", "ffff00", "ffffff"),
        "warm-metal": _even("000000", "800000", "ff8000", "ffff80", "ffffff"),
        "cool": _even(
            "000000", "2a0a7a", "0000ff", "00a0ff", "00ff80", "c8ff00", "ffff00", "ff8000", "ff0000", "ffffff"
        ),
        "ge": _even("000000", "006464", "0000c8", "6400c8", "c80064", "ff6400", "ffc800", "ffffff"),
        "rainbow": _even("000000", "0000ff", "00ffff", "00ff00", "ffff00", "ff0000"),
        "spectrum": _even("000000", "7800c8", "0000ff", "00c8c8", "00c800", "ffff00", "ff0000", "ffffff"),
        "myoperf": (
            (0.0, (0, 0, 0)),
            (0.12, (23, 16, 74)),
            (0.28, (74, 26, 158)),
            (0.42, (176, 24, 122)),
            (0.55, (224, 48, 42)),
            (0.70, (245, 122, 12)),
            (0.85, (255, 210, 30)),
            (1.0, (255, 255, 255)),
        ),
    }
)
"""Name -> ((position from 0 to 1, (red, green, blue)), ...)."""

_STEPS = 256
_COMPARED = 20_000


def _table(anchors: Anchors) -> Float32:
    at = np.linspace(0.0, 1.0, _STEPS)
    places = [place for place, _ in anchors]
    return np.stack([np.interp(at, places, [c[i] for _, c in anchors]) for i in range(3)], axis=1).astype(np.float32)


def colours_of(intensity: NDArray[Any], anchors: Anchors) -> NDArray[np.uint8]:
    """Paint values from 0 to 1: (...) to (..., 3)."""
    index = np.rint(np.clip(intensity, 0.0, 1.0) * (_STEPS - 1)).astype(np.intp)
    painted: NDArray[np.uint8] = np.rint(_table(anchors)[index]).astype(np.uint8)
    return painted


def intensity_of(colours: NDArray[Any], anchors: Anchors) -> tuple[Float32, Float32]:
    """Find the nearest place on a scale.

    Parameters
    ----------
    colours
        (..., 3), 0 to 255.

    Returns
    -------
    (intensity from 0 to 1, distance in colour from 0 to 441), each of shape (...).
    """
    table = _table(anchors)
    given = np.asarray(colours, dtype=np.float32)
    flat = given.reshape(-1, 3)
    where: NDArray[np.intp] | slice = slice(None)
    if np.asarray(colours).dtype == np.uint8:  # a picture repeats its colours: each is looked up once
        packed = np.asarray(colours).reshape(-1, 3).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        different, where = np.unique(packed, return_inverse=True)
        flat = np.stack([different >> 16, different >> 8 & 255, different & 255], axis=1).astype(np.float32)
    place, squared = np.empty(len(flat), np.float32), np.empty(len(flat), np.float32)
    norms = (table**2).sum(axis=1)
    for start in range(0, len(flat), 65536):
        part = flat[start : start + 65536]
        gap = (part**2).sum(axis=1, keepdims=True) - 2.0 * part @ table.T + norms
        best = gap.argmin(axis=1)
        place[start : start + 65536] = best / (_STEPS - 1)
        squared[start : start + 65536] = gap[np.arange(len(part)), best]
    shape = given.shape[:-1]
    return place[where].reshape(shape), np.sqrt(np.maximum(squared, 0.0))[where].reshape(shape)


def match_scale(colours: NDArray[Any], given: Anchors | None = None) -> tuple[str, Anchors, float]:
    """Find the scale that pixels are painted in.

    Parameters
    ----------
    colours
        (pixels, 3), 0 to 255, background left out; about 20,000 of them are compared.
    given
        The workstation's scale, where it is known.

    Returns
    -------
    Name (``"given"`` for a given scale), anchors, and the 75th percentile of the pixels' distance from the scale.
    """
    few = colours[:: max(1, len(colours) // _COMPARED)]
    scales = SCALES if given is None else {"given": given}
    distances = {name: float(np.percentile(intensity_of(few, anchors)[1], 75.0)) for name, anchors in scales.items()}
    best = min(distances, key=lambda name: distances[name])
    return best, scales[best], distances[best]
