"""Colour scales of nuclear-medicine pictures, and the way back from colour to intensity.

A scale is a list of anchors: a place from 0 to 1 with its colour, straight lines between. ``hot-iron``, ``pet``,
``hot-metal-blue`` and ``pet-20-step`` are the well-known palettes of DICOM (PS3.6, Annex B); jet, turbo, nipy-spectral
and violet-rainbow are matplotlib's, to within 24 of 255. The others approximate scales in common use, for which
no vendor publishes a table: a page's own colour bar
(`colour_bars`) or a file (`read_scale`) is exact where these are not.
"""

import csv
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.types import Float32

Anchors = tuple[tuple[float, tuple[int, int, int]], ...]


def _colour(text: str) -> tuple[int, int, int]:
    return int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16)


def _even(*colours: str) -> Anchors:
    """Return the anchors of hexadecimal colours, evenly spaced from 0 to 1."""
    last = len(colours) - 1
    return tuple((i / last, _colour(c)) for i, c in enumerate(colours))


def _steps(*colours: str) -> Anchors:
    """Return the anchors of a scale that shows equal ranges of values in one colour each."""
    width = 1.0 / len(colours)
    ends = [(i * width, (i + 1) * width - 1e-6) for i in range(len(colours))]
    return tuple((place, _colour(c)) for c, both in zip(colours, ends, strict=True) for place in both)


_GREY = _even("000000", "ffffff")
_RAINBOW = _even("000000", "0000ff", "00ffff", "00ff00", "ffff00", "ff0000")
_HUES = ("ff0029", "ff5e00", "ffea00", "8dff00", "00ff00", "00ff8c", "00ecff", "005eff", "2a00ff", "b700ff", "ff00bf")

SCALES: Mapping[str, Anchors] = MappingProxyType(
    {
        "grey": _GREY,
        "inverted-grey": tuple((place, (255 - r, 255 - g, 255 - b)) for place, (r, g, b) in _GREY),
        "hot": _even("000000", "ff0000", "ffff00", "ffffff"),
        "hot-iron": _even("000000", "800000", "ff0000", "ff8000", "ffffff"),
        "warm-metal": _even("000000", "800000", "ff8000", "ffff80", "ffffff"),
        "hot-metal-blue": (
            (0.0, (0, 0, 0)),
            (82 / 255, (0, 0, 161)),
            (102 / 255, (50, 0, 200)),
            (117 / 255, (85, 0, 156)),
            (141 / 255, (155, 41, 35)),
            (153 / 255, (190, 64, 0)),
            (176 / 255, (255, 97, 0)),
            (1.0, (255, 255, 255)),
        ),
        "pet": _even("000000", "00807f", "8000ff", "ff8000", "ffffff"),
        "pet-20-step": _steps(
            *("000000", "600050", "303050", "303070", "505080", "6060b0", "7070c0", "8080e0", "306030", "309030"),
            *("50c050", "40e040", "e0e050", "d0d060", "d0b040", "d09000", "c06000", "b03000", "ff0000", "ffffff"),
        ),
        "cool": _even(
            "000000", "2a0a7a", "0000ff", "00a0ff", "00ff80", "c8ff00", "ffff00", "ff8000", "ff0000", "ffffff"
        ),
        "ge": _even("000000", "006464", "0000c8", "6400c8", "c80064", "ff6400", "ffc800", "ffffff"),
        "rainbow": _RAINBOW,
        "violet-rainbow": _even(
            *("8000ff", "4e4dfc", "1996f3", "18cde4", "4df3ce", "80ffb4", "b2f396", "e6cd73", "ff964f", "ff4d27"),
            "ff0000",
        ),
        "hue": _even(*reversed(_HUES)),
        "reversed-hue": _even(*_HUES),
        "jet": (
            (0.0, (0, 0, 128)),
            (0.125, (0, 0, 255)),
            (0.375, (0, 255, 255)),
            (0.625, (255, 255, 0)),
            (0.875, (255, 0, 0)),
            (1.0, (128, 0, 0)),
        ),
        "turbo": _even(
            *("30123b", "434eba", "4685fa", "28bceb", "1ae4b6", "55fa76", "a4fc3c", "d9e436", "faba39", "fb7e21"),
            *("e4450a", "b91e02", "7a0403"),
        ),
        "nipy-spectral": _even(
            *("000000", "700080", "870098", "0300aa", "0000dd", "0078dd", "0098dd", "00aaab", "00aa88", "009a00"),
            *("00bc00", "00dc00", "00ff00", "bcff00", "efed00", "ffc900", "ff9900", "fe0000", "dc0000", "cc0c0c"),
            "cccccc",
        ),
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
_FEWEST, _MOST = 2, 4096


@lru_cache(maxsize=64)
def _table(anchors: Anchors) -> Float32:
    at = np.linspace(0.0, 1.0, _STEPS)
    places = [place for place, _ in anchors]
    return np.stack([np.interp(at, places, [c[i] for _, c in anchors]) for i in range(3)], axis=1).astype(np.float32)


def read_scale(name: str) -> Anchors:
    """Return a scale by its name, or from a CSV file of colours.

    Parameters
    ----------
    name
        One of `SCALES`; or the path of a file with one colour a line, ``red,green,blue`` from 0 to 255, evenly spaced
        from the lowest value to the highest, without a heading or under ``red,green,blue``.

    Raises
    ------
    InputError
        When it is neither, or the file holds something else.
    """
    if name in SCALES:
        return SCALES[name]
    path = Path(name)
    if not path.is_file():
        raise InputError(f"The colour scale is one of {', '.join(SCALES)}, or a file of colours; got {name}.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(cell.strip() for cell in row)]
        if rows and [cell.lower() for cell in rows[0]] == ["red", "green", "blue"]:
            rows = rows[1:]
        colours = [(int(red), int(green), int(blue)) for red, green, blue in rows]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path.name} is not a colour scale ({type(error).__name__}); expected lines red,green,blue from 0 to 255."
        ) from error
    if not _FEWEST <= len(colours) <= _MOST or not all(0 <= part <= 255 for colour in colours for part in colour):
        raise InputError(
            f"{path.name} is not a colour scale: expected {_FEWEST} to {_MOST} lines red,green,blue from 0 to 255; "
            f"got {len(colours)} lines."
        )
    return tuple((i / (len(colours) - 1), colour) for i, colour in enumerate(colours))


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
