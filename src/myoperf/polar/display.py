"""The polar map as a disc (bull's eye): anterior up, septum left, inferior down, lateral right."""

from typing import Literal

import numpy as np

from myoperf.errors import AnalysisError, InputError
from myoperf.segments import segment_means
from myoperf.types import Float, PolarMap

Weighting = Literal["distance", "volume", "slice"]


def ring_radii(polar: PolarMap, weighting: Weighting = "distance") -> Float:
    """Return the disc's radius (0 centre, 1 rim) at the edges of the rings.

    Parameters
    ----------
    polar
        Its mid-wall and thickness are used.
    weighting
        ``"distance"``: equal steps of arc have equal width. ``"volume"``: the disc's area is in
        proportion to the wall's volume. ``"slice"``: short-axis slices of equal thickness have
        equal width, so that the apical cap shrinks to the middle. The three displays of Garcia et
        al. (J Nucl Med 1990;31:1768), by MyoPerf's own formulas.

    Returns
    -------
    Shape (rings + 1,).

    Raises
    ------
    InputError
        For another weighting.

    Examples
    --------
    >>> polar = PolarMap(np.ones((4, 8)), np.zeros((4, 8, 3)), np.full((4, 8), 10.0))
    >>> ring_radii(polar).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if weighting == "distance":
        return np.arange(polar.rings + 1) / polar.rings
    mid = polar.mid_wall_mm
    if weighting == "volume":
        around = 0.5 * (np.roll(mid, -1, axis=1) - np.roll(mid, 1, axis=1))
        area = np.linalg.norm(np.cross(np.gradient(mid, axis=0), around), axis=-1)
        share = np.concatenate([[0.0], np.cumsum((area * polar.thickness_mm).sum(axis=1))])
        return np.asarray(np.sqrt(share / share[-1]))
    if weighting == "slice":
        centre = mid.mean(axis=1)
        axis = (centre[-1] - centre[0]) / np.linalg.norm(centre[-1] - centre[0])
        height = np.maximum.accumulate((centre - centre[0]) @ axis)
        edges = np.interp(np.arange(polar.rings + 1) - 0.5, np.arange(polar.rings), height)
        edges[0] -= 0.5 * (height[1] - height[0]) / 3.0
        edges[-1] += 0.5 * (height[-1] - height[-2])
        return np.asarray((edges - edges[0]) / (edges[-1] - edges[0]))
    raise InputError(f'The weighting of a polar map is "distance", "volume" or "slice"; got {weighting!r}.')


def segments_percent(polar: PolarMap) -> Float:
    """Return the mean of each of the 17 segments in percent of the map's maximum sample: shape (17,).

    Raises
    ------
    InputError
        For a gated map.
    AnalysisError
        When the map holds nothing above zero.
    """
    if polar.values.ndim != 2:
        raise InputError(f"Segments need a polar map without gates; got {polar.values.shape[0]} gates.")
    peak = float(polar.values.max())
    if peak <= 0:
        raise AnalysisError("The polar map holds no counts, so segments have no percentage.")
    return 100.0 * segment_means(polar.values) / peak
