"""Colour scales: palettes that readers know by name, the report's own, and colours of vessels and states.

A picture holds the number of a colour for each pixel and its palette: the same slices are shown in another
palette without being cut again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myoperf.errors import InputError

Bytes = NDArray[np.uint8]

LEVELS = 255
"""Colours of a palette; the number after the last one (255) is transparent."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Palette:
    """A colour scale.

    Parameters
    ----------
    name
        For menus, e.g. ``"hot-iron"``.
    colours
        Shape (255, 4): red, green, blue and opacity, 0 to 255, from the lowest value to the highest.
    """

    name: str
    colours: Bytes

    @property
    def table(self) -> Bytes:
        """The colours and, last, the transparent one: shape (256, 4)."""
        return np.concatenate([self.colours, np.array([[255, 255, 255, 0]], np.uint8)])

    @property
    def opaque(self) -> bool:
        """Whether no colour lets through what lies below."""
        return bool(self.colours[:, 3].min() == 255)


def colour_numbers(values: ArrayLike, limits: tuple[float, float]) -> Bytes:
    """Return the number of each value's colour, same shape: 0 at the lower limit to 254 at the upper, 255 for NaN.

    Values beyond a limit get the colour of the limit.
    """
    given = np.asarray(values, dtype=np.float32)
    share = (given - np.float32(limits[0])) * np.float32((LEVELS - 1) / (limits[1] - limits[0]))
    missing = np.isnan(share)
    numbers = np.clip(np.where(missing, 0.0, share) + 0.5, 0, LEVELS - 1).astype(np.uint8)
    numbers[missing] = LEVELS
    return numbers


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue (0 to 255) of a colour written as ``#rrggbb``."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mixed(colour: str, share: float, ground: str = "#ffffff") -> str:
    """Return what a colour looks like when it covers a ground to a share from 0 to 1."""
    pairs = zip(rgb_of(colour), rgb_of(ground), strict=True)
    return "#" + "".join(f"{round(share * a + (1.0 - share) * b):02x}" for a, b in pairs)


# --- palettes -------------------------------------------------------------------------------------


def _gradient(name: str, anchors: str, places: Sequence[float] | None = None) -> Palette:
    """Join anchor colours (``#rrggbb`` or ``#rrggbbaa``) by straight lines; evenly spaced unless places are given."""
    colours = np.array([[int(a[i : i + 2] or "ff", 16) for i in (1, 3, 5, 7)] for a in anchors.split()], np.float64)
    at = np.linspace(0.0, 1.0, len(colours)) if places is None else np.asarray(places)
    steps = np.linspace(0.0, 1.0, LEVELS)
    table = np.stack([np.interp(steps, at, colours[:, i]) for i in range(4)], axis=1)
    return Palette(name=name, colours=np.rint(table).astype(np.uint8))


def _stepped(name: str, source: Palette, steps: int) -> Palette:
    """Cut a scale into equal steps, each in the colour of its middle."""
    step = np.arange(LEVELS) * steps // LEVELS
    return Palette(name=name, colours=source.colours[np.rint((step + 0.5) * (LEVELS - 1) / steps).astype(int)])


PERFUSION = _gradient("warm-metal", "#000000 #5a0c00 #b43c00 #f08c14 #ffd878 #ffffff")
"""Black, red, orange, yellow, white: the report's colours of uptake. Brightness rises all the way, as print needs."""

_FIRE = _gradient(
    "perfusion",
    "#000000 #17104a #4a1a9e #b0187a #e0302a #f57a0c #ffd21e #ffffff",
    (0.0, 0.12, 0.28, 0.42, 0.55, 0.70, 0.85, 1.0),
)
"""Black, blue, violet, red, orange, yellow, white."""

GREY = _gradient("grey", "#000000 #ffffff")

NUMBERS = Palette(
    name="numbers", colours=np.column_stack([*[np.arange(LEVELS)] * 3, [LEVELS] * LEVELS]).astype(np.uint8)
)
"""Each colour's number as a grey: of this the web page makes the colours that its reader chooses."""

DIFFERENCE = _gradient("difference", "#0b5a8a #7fb8d8 #f4f4f2 #f0a35e #b3260f")
"""Blue where stress is higher, white where equal, red where rest is higher (reversible)."""

WEIGHT = _gradient("weight", "#e8f00000 #f0c00030 #e02010d0", (0.0, 0.35, 1.0))
"""Transparent to red: how much a place counts, laid over a grey map."""

FUNCTION = _gradient("function", "#20124d #2f6f9f #7fd0a0 #fff6c0")
"""Thickening and motion of the wall."""

PHASE = _gradient(
    "phase",
    "#301437 #45135c #592a8f #5e51ad #6276ba #7297c1 #95b5c7 #c4ced4 #e2d9e2 "
    "#d8c7be #cca389 #c27c63 #b25652 #983550 #741e4f #4a1342 #2f1436",
)
"""A circle of colours for angles: both ends alike (matplotlib's twilight_shifted)."""

_DICOM = {
    "hot-iron": "1.2.840.10008.1.5.1",
    "pet": "1.2.840.10008.1.5.2",
    "hot-metal-blue": "1.2.840.10008.1.5.3",
    "pet-20-step": "1.2.840.10008.1.5.4",
}
"""Well-known colour palettes of DICOM (PS3.6, Annex B), by UID; pydicom holds the tables."""

_OWN = {
    palette.name: palette
    for palette in (
        PERFUSION,
        GREY,
        _gradient("grey-inverted", "#ffffff #000000"),
        _gradient("cool", "#000000 #0000a0 #0064ff #00c8c8 #00c800 #c8e600 #ffaa00 #ff3200 #ffffff"),
        _FIRE,
        _stepped("10-step", _FIRE, 10),
        _stepped("20-step", _FIRE, 20),
        _gradient(
            "cividis",
            "#00224e #002e6a #1a386f #32436d #434e6c #535a6d #61656f #6f7073 #7d7c78 "
            "#8c8878 #9b9476 #aba072 #bcae6c #cdbb63 #dec958 #f0d846 #fee838",
        ),
        _gradient(
            "viridis",
            "#440154 #48186a #472d7b #424086 #3b528b #33638d #2c728e #26828e #21918c "
            "#1fa088 #28ae80 #3fbc73 #5ec962 #84d44b #addc30 #d8e219 #fde725",
        ),
        _gradient(
            "inferno",
            "#000004 #0b0724 #210c4a #3d0965 #57106e #71196e #8a226a #a32c61 #bc3754 "
            "#d24644 #e45a31 #f1731d #f98e09 #fcac11 #f9cb35 #f2ea69 #fcffa4",
        ),
        DIFFERENCE,
        PHASE,
    )
}

PALETTE_NAMES = (*_OWN, *_DICOM)
"""Names that `palette` knows. ``cividis`` (Nuñez et al. 2018, doi:10.1371/journal.pone.0199239) and ``viridis`` read
alike with and without colour blindness; ``warm-metal``, ``cool`` and the steps are MyoPerf's own tables."""


@cache
def palette(name: str) -> Palette:
    """Return a palette by name.

    Raises
    ------
    InputError
        For a name that is not one of `PALETTE_NAMES`.

    Examples
    --------
    >>> palette("hot-iron").colours[127].tolist()
    [255, 0, 0, 255]
    """
    if name in _OWN:
        return _OWN[name]
    if name not in _DICOM:
        raise InputError(f"Unknown palette {name!r}; choose from {', '.join(PALETTE_NAMES)}.")
    from pydicom.pixels.processing import apply_color_lut  # loads slowly; only DICOM's palettes need it

    steps = np.rint(np.linspace(0, 255, LEVELS)).astype(np.uint8)
    colours = np.asarray(apply_color_lut(steps, palette=_DICOM[name]))[:, :3].astype(np.uint8)
    return Palette(name=name, colours=np.column_stack([colours, np.full(LEVELS, 255, np.uint8)]))


VESSEL_COLOURS = {"LAD": "#c8553d", "LCX": "#3d7dc8", "RCA": "#3f9b5b"}
STATE_COLOURS = {"stress": "#ffb454", "rest": "#7cc4ff", None: "#d8d8d8"}
INK, SOFT, FAINT = "#1d2430", "#5a6472", "#d5dae1"
"""Text, secondary text, thin rules."""
