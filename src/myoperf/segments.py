"""The 17 segments of the left ventricle and the territories of the coronary arteries.

Segments: Cerqueira et al., AHA 2002, doi:10.1161/hc0402.102975. Territories: the assignment used
for expert labels in paper 001 (LAD 1 2 7 8 13 14 17; RCA 3 4 9 10 15; LCX 5 6 11 12 16).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myoperf.errors import InputError

__all__ = ["LEVEL_EDGES", "SEGMENT_NAMES", "TERRITORIES", "segment_map", "segment_means", "segment_of", "territory_of"]

SEGMENT_NAMES = (
    "basal anterior",
    "basal anteroseptal",
    "basal inferoseptal",
    "basal inferior",
    "basal inferolateral",
    "basal anterolateral",
    "mid anterior",
    "mid anteroseptal",
    "mid inferoseptal",
    "mid inferior",
    "mid inferolateral",
    "mid anterolateral",
    "apical anterior",
    "apical septal",
    "apical inferior",
    "apical lateral",
    "apex",
)

TERRITORIES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"LAD": (1, 2, 7, 8, 13, 14, 17), "LCX": (5, 6, 11, 12, 16), "RCA": (3, 4, 9, 10, 15)}
)

LEVEL_EDGES = (0.16, 0.45, 0.72)
"""Where apex, apical, mid and basal levels meet, as a fraction of the mid-wall's arc from apex to base.

On a half ellipsoid 80 mm long and 25 mm wide (mid-wall), an apical cap of a tenth of the length and
three equal thirds of the rest, measured along the long axis, end at these fractions of the arc.
"""


def segment_of(fraction: ArrayLike, angle_deg: ArrayLike) -> NDArray[np.int64]:
    """Give the AHA segment (1-17) at places of the polar map.

    Parameters
    ----------
    fraction
        0 at the apex to 1 at the mitral plane, along the mid-wall.
    angle_deg
        0 anterior, 90 septal, 180 inferior, 270 lateral; broadcast with `fraction`.
    """
    fraction, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float) % 360.0)
    sixth = np.floor(((angle + 30.0) % 360.0) / 60.0).astype(np.int64)
    quarter = np.floor(((angle + 45.0) % 360.0) / 90.0).astype(np.int64)
    level = np.searchsorted(np.asarray(LEVEL_EDGES), fraction, side="right")
    return np.select(
        [level == 0, level == 1, level == 2], [np.full_like(sixth, 17), 13 + quarter, 7 + sixth], 1 + sixth
    )


def segment_map(rings: int, angles: int) -> NDArray[np.int64]:
    """Give the AHA segment (1-17) of every sample of a (rings, angles) polar map.

    Ring i covers the fraction (i + 0.5) / rings of the wall from apex to base.
    """
    fraction = (np.arange(rings) + 0.5) / rings
    angle = np.arange(angles) * (360.0 / angles)
    return segment_of(fraction[:, None], angle[None, :])


def segment_means(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Average a (..., rings, angles) polar map over each segment.

    Returns
    -------
    Array of shape (..., 17), AHA order.

    Raises
    ------
    InputError
        When the map is too coarse to have a sample in every segment.
    """
    rings, angles = values.shape[-2:]
    index = segment_map(rings, angles).ravel() - 1
    counts = np.bincount(index, minlength=17)
    if (counts == 0).any():
        raise InputError(f"A {rings} x {angles} polar map is too coarse for 17 segments.")
    weights = np.zeros((index.size, 17))
    weights[np.arange(index.size), index] = 1.0 / counts[index]
    return values.reshape(*values.shape[:-2], -1) @ weights


def territory_of(segment: int) -> str:
    """Name the territory (LAD, LCX or RCA) a segment belongs to."""
    for vessel, segments in TERRITORIES.items():
        if segment in segments:
            return vessel
    raise InputError(f"A segment is a number from 1 to 17; got {segment}.")
