"""Segments of the left ventricle (17 or 20) and the territories of the coronary arteries.

17 segments: Cerqueira et al., AHA 2002, doi:10.1161/hc0402.102975. 20 segments: the older model of
six distal, six mid, six basal and two apical segments, numbered as Berman et al. do (J Nucl Cardiol
2006;13:768, which also compares the two). Territories: the assignment that Hajianfar et al. 2025
(doi:10.1007/s00259-025-07145-x) used for expert labels (LAD 1 2 7 8 13 14 17; RCA 3 4 9 10 15; LCX 5 6 11 12 16);
`assign_segments` changes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myoperf.errors import InputError
from myoperf.types import Float

Territories = Mapping[str, tuple[int, ...]]
"""Vessel (LAD, LCX, RCA) -> its segments; each segment once."""

_WALLS = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")

SEGMENT_NAMES = (
    *(f"basal {wall}" for wall in _WALLS),
    *(f"mid {wall}" for wall in _WALLS),
    "apical anterior",
    "apical septal",
    "apical inferior",
    "apical lateral",
    "apex",
)

TERRITORIES: Territories = MappingProxyType(
    {"LAD": (1, 2, 7, 8, 13, 14, 17), "LCX": (5, 6, 11, 12, 16), "RCA": (3, 4, 9, 10, 15)}
)

LEVEL_EDGES = (0.16, 0.45, 0.72)
"""Where apex, apical, mid and basal levels meet, as a fraction of the mid-wall's arc from apex to base.

On a half ellipsoid 80 mm long and 25 mm wide (mid-wall), an apical cap of a tenth of the length and
three equal thirds of the rest, measured along the long axis, end at these fractions of the arc.
"""


@dataclass(frozen=True)
class SegmentModel:
    """A division of the wall into segments: levels from apex to base, each cut into equal sectors.

    Attributes
    ----------
    name
        For reports.
    names
        Of the segments, number 1 first.
    levels
        (number of sectors, number of the anterior segment) of each level, from the apex.
        The sectors rise from the anterior one through the septum.
    territories
        The usual assignment to vessels.
    """

    name: str
    names: tuple[str, ...]
    levels: tuple[tuple[int, int], ...]
    territories: Territories

    @property
    def count(self) -> int:
        """Number of segments."""
        return len(self.names)


AHA17 = SegmentModel("17 segments (AHA 2002)", SEGMENT_NAMES, ((1, 17), (4, 13), (6, 7), (6, 1)), TERRITORIES)

SEGMENTS20 = SegmentModel(
    "20 segments",
    (
        *(f"{level} {wall}" for level in ("distal", "mid", "basal") for wall in _WALLS),
        "anteroapical",
        "inferoapical",
    ),
    ((2, 19), (6, 1), (6, 7), (6, 13)),
    MappingProxyType(
        {"LAD": (1, 2, 3, 7, 8, 13, 14, 19, 20), "LCX": (5, 6, 11, 12, 17, 18), "RCA": (4, 9, 10, 15, 16)}
    ),
)
"""Territories as of the 17 segments: distal septum and apex to the LAD. The apex ends at the same level as there."""


def segment_of(fraction: ArrayLike, angle_deg: ArrayLike, *, model: SegmentModel = AHA17) -> NDArray[np.int64]:
    """Return the number (from 1) of the segment at places of the polar map.

    Parameters
    ----------
    fraction
        0 at the apex to 1 at the mitral plane, along the mid-wall.
    angle_deg
        0 anterior, 90 septal, 180 inferior, 270 lateral; broadcast with `fraction`.
    model
        17 or 20 segments.
    """
    fraction, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float) % 360.0)
    level = np.searchsorted(np.asarray(LEVEL_EDGES), fraction, side="right")
    out = np.zeros(fraction.shape, dtype=np.int64)
    for index, (sectors, first) in enumerate(model.levels):
        width = 360.0 / sectors
        sector = np.floor(((angle + 0.5 * width) % 360.0) / width).astype(np.int64)
        out = np.where(level == index, first + sector, out)
    return out


def segment_map(rings: int, angles: int, *, model: SegmentModel = AHA17) -> NDArray[np.int64]:
    """Return the number (from 1) of the segment of every sample of a polar map.

    Ring i covers the fraction (i + 0.5) / rings of the wall from apex to base.

    Parameters
    ----------
    rings, angles
        Shape of the map; MyoPerf's have 24 x 72 samples.
    model
        17 or 20 segments.

    Returns
    -------
    Shape (rings, angles).

    Examples
    --------
    >>> numbers = segment_map(24, 72)
    >>> int(numbers[0, 0]), int(numbers[-1, 0]), int(numbers[-1, 36])  # apex, basal anterior, basal inferior
    (17, 1, 4)
    """
    fraction = (np.arange(rings) + 0.5) / rings
    angle = np.arange(angles) * (360.0 / angles)
    return segment_of(fraction[:, None], angle[None, :], model=model)


def segment_means(values: Float, *, model: SegmentModel = AHA17) -> Float:
    """Average a (..., rings, angles) polar map over each segment.

    Returns
    -------
    Array of shape (..., segments), in the model's order.

    Raises
    ------
    InputError
        When the map is too coarse to have a sample in every segment.

    Examples
    --------
    >>> segment_means(np.full((24, 72), 80.0)).round(1)[[0, 16]].tolist()
    [80.0, 80.0]
    """
    rings, angles = values.shape[-2:]
    index = segment_map(rings, angles, model=model).ravel() - 1
    counts = np.bincount(index, minlength=model.count)
    if (counts == 0).any():
        raise InputError(f"A {rings} x {angles} polar map is too coarse for {model.count} segments.")
    weights = np.zeros((index.size, model.count))
    weights[np.arange(index.size), index] = 1.0 / counts[index]
    return values.reshape(*values.shape[:-2], -1) @ weights


def assign_segments(
    changes: Mapping[int, str], *, territories: Territories = TERRITORIES, model: SegmentModel = AHA17
) -> Territories:
    """Return territories with some segments moved to other vessels.

    Parameters
    ----------
    changes
        Segment -> its new vessel.
    territories
        The assignment to change.
    model
        17 or 20 segments.

    Raises
    ------
    InputError
        For a segment or vessel that does not exist, or when the result does not hold every segment once.

    Examples
    --------
    >>> assign_segments({16: "LAD"})["LAD"]
    (1, 2, 7, 8, 13, 14, 16, 17)
    """
    for segment, vessel in changes.items():
        if not 1 <= segment <= model.count or vessel not in territories:
            raise InputError(
                f"A territory takes a segment from 1 to {model.count} and one of {', '.join(territories)}; "
                f"got {segment}: {vessel}."
            )
    moved = {
        vessel: tuple(
            s for s in range(1, model.count + 1) if changes.get(s, vessel if s in members else None) == vessel
        )
        for vessel, members in territories.items()
    }
    if sorted(s for members in moved.values() for s in members) != list(range(1, model.count + 1)):
        raise InputError(f"Territories must hold each of the {model.count} segments once.")
    return MappingProxyType(moved)


def territory_of(segment: int, territories: Territories = TERRITORIES) -> str:
    """Return the territory to which a segment belongs.

    Parameters
    ----------
    segment
        From 1.
    territories
        Vessel -> its segments.

    Raises
    ------
    InputError
        For a segment that does not exist.

    Examples
    --------
    >>> territory_of(4)
    'RCA'
    """
    for vessel, segments in territories.items():
        if segment in segments:
            return vessel
    last = max(s for segments in territories.values() for s in segments)
    raise InputError(f"A segment is a number from 1 to {last}; got {segment}.")
