"""Where an attenuation map has to lie so that it fits the emission: a shift of the map, found on the images alone.

An image that is not corrected still shows the body's outline, the lungs and the heart. Across the body the outline
decides: the shift with the greatest normalised mutual information of emission and map (Studholme, Hill and Hawkes,
Pattern Recognit 1999;32:71, doi:10.1016/S0031-3203(98)00091-0). Along it the outline hardly changes, and what decides
is that the edges of heart, lung and diaphragm run alike in both: normalised gradient fields (Haber and Modersitzki
2006, doi:10.1007/11866763_89). The two take turns.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.geometry import reslice, transform_points
from myoperf.types import Float, Float64, Volume

FARTHEST_MM = 30.0
"""No larger shift is looked for: it would be another position of the patient, not a misregistration."""
_OUTLINE_MM, _EDGES_MM = 190.0, 140.0
"""How far from the heart's centre outline and edges are compared."""
_STEPS_MM = (8.0, 4.0, 2.0)
_DARKEST, _BRIGHTEST = 0.02, 1.2
"""Share of the heart's uptake between which the emission is compared, on a logarithmic scale."""
_DENSEST = 0.18
"""1/cm; bone above it counts as that."""
_BINS = (24, 12)
_EDGE_LOG, _EDGE_PER_CM = 0.15, 0.01
"""Changes from voxel to voxel below which an edge counts for little."""
_FAINTEST_EDGE = 0.08
"""Share of the heart's uptake below which emission is noise and streaks: no edges are looked for there."""
_MOST_POINTS = 12_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Alignment:
    """How an attenuation map fits an emission image.

    Attributes
    ----------
    shift_mm
        Shape (3,), LPS: by how much the map has to be moved. Zero where it lies right within half a voxel.
    likeness_before, likeness_after
        Of the edges in map and emission, 0 to 1, as given and after the shift.
    """

    shift_mm: Float64
    likeness_before: float
    likeness_after: float

    @property
    def at_limit(self) -> bool:
        """Whether the shift lies at the end of the search, so that the place of the map is not known."""
        return float(np.abs(self.shift_mm).max()) > FARTHEST_MM - 0.5 * _STEPS_MM[-1]


def align_attenuation(attenuation: Volume, emission: Volume, heart_mm: Sequence[float] | Float) -> Alignment:
    """Find the shift that brings an attenuation map onto an emission image that was not corrected with it.

    Parameters
    ----------
    attenuation
        One frame, 1/cm.
    emission
        One frame; its voxels' size is that of the smoothing, and half of it is the smallest shift that counts.
    heart_mm
        Centre of the left ventricle, LPS.

    Raises
    ------
    InputError
        When one of them has several frames, or the emission is empty at the heart.
    """
    if attenuation.frames != 1 or emission.frames != 1:
        frames = f"{attenuation.frames} and {emission.frames}"
        raise InputError(f"Alignment needs one frame of the map and one of the image; got {frames}.")
    mu = reslice(attenuation, emission.lps_from_index, emission.grid_shape).array[0]
    mu = ndimage.gaussian_filter(np.clip(mu, 0.0, _DENSEST), 1.0, mode="nearest")
    distance = _distance_mm(emission, heart_mm)
    near = emission.array[0][distance < 0.35 * _EDGES_MM]
    hot = float(np.percentile(near, 97)) if near.size else 0.0
    if hot <= 0:
        raise InputError("The emission image holds nothing where the heart should be; its map cannot be aligned.")
    activity = np.log(np.clip(emission.array[0] / hot, _DARKEST, _BRIGHTEST))
    outline = _mutual_information(activity, mu, _points(distance < _OUTLINE_MM), emission)
    edges = _edge_likeness(activity, mu, _points(distance < _EDGES_MM), emission)
    found = _search(outline, edges)
    before, after = edges(np.zeros(3)), edges(found)
    if np.linalg.norm(found) < 0.5 * float(emission.spacing_mm.max()):
        found, after = np.zeros(3), before
    return Alignment(shift_mm=0.0 - found, likeness_before=before, likeness_after=after)


def moved(volume: Volume, shift_mm: Sequence[float] | Float) -> Volume:
    """Return a volume moved by a shift, LPS mm."""
    affine = np.array(volume.lps_from_index)
    affine[:3, 3] += np.asarray(shift_mm)
    return Volume(volume.array, affine)


def _search(across: Callable[[Float], float], along: Callable[[Float], float]) -> Float64:
    """Maximise one function over x and y and another over z, in turn, from coarse to fine."""
    found = np.zeros(3)
    for step in _STEPS_MM:
        reach = FARTHEST_MM if step == _STEPS_MM[0] else 1.01 * step
        offsets = np.arange(-np.floor(reach / step), np.floor(reach / step) + 1) * step
        found = _best(across, ([found[0] + x, found[1] + y, found[2]] for x in offsets for y in offsets))
        if step > _STEPS_MM[-1]:
            heights = np.arange(-FARTHEST_MM, FARTHEST_MM + 1.0, _STEPS_MM[-1])
            found = _best(along, ([found[0], found[1], z] for z in heights))
    return found


def _best(score: Callable[[Float], float], places: Iterable[Sequence[float]]) -> Float64:
    return max((np.asarray(place, dtype=np.float64) for place in places), key=score)


def _distance_mm(volume: Volume, point_mm: Sequence[float] | Float) -> Float64:
    """Return every voxel's distance from a point, (planes, rows, columns)."""
    index = np.moveaxis(np.indices(volume.grid_shape), 0, -1)
    away = transform_points(volume.lps_from_index, index) - np.asarray(point_mm)
    return np.asarray(np.linalg.norm(away, axis=-1), dtype=np.float64)


def _points(mask: NDArray[np.bool_]) -> Float64:
    """Return indices of a mask, evenly thinned to a number that is quick to compare, (3, n)."""
    index = np.argwhere(mask)
    return index[:: max(1, len(index) // _MOST_POINTS)].T.astype(np.float64)


def _mutual_information(activity: Float, mu: Float, points: Float64, grid: Volume) -> Callable[[Float], float]:
    """Return the normalised mutual information as a function of the place in the map, mm from that in the emission."""
    index_from_mm = np.linalg.inv(grid.lps_from_index[:3, :3])
    values = activity[tuple(points.astype(np.int64))]
    width = np.log(_BRIGHTEST / _DARKEST) / _BINS[0]
    row = np.minimum(((values - np.log(_DARKEST)) / width).astype(np.int64), _BINS[0] - 1)

    def score(shift_mm: Float) -> float:
        at = ndimage.map_coordinates(mu, points + (index_from_mm @ shift_mm)[:, None], order=1, mode="nearest")
        column = np.minimum((at * (_BINS[1] / _DENSEST)).astype(np.int64), _BINS[1] - 1)
        joint = np.bincount(row * _BINS[1] + column, minlength=_BINS[0] * _BINS[1]).reshape(_BINS) / row.size
        return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / _entropy(joint)

    return score


def _entropy(shares: Float) -> float:
    used = shares[shares > 0]
    return max(float(-(used * np.log(used)).sum()), 1e-9)


def _edge_likeness(activity: Float, mu: Float, points: Float64, grid: Volume) -> Callable[[Float], float]:
    """Return how much edges run alike as a function of the place in the map, mm from that in the emission."""
    index_from_mm = np.linalg.inv(grid.lps_from_index[:3, :3])
    smooth = np.log(ndimage.gaussian_filter(np.exp(activity), 0.7))
    of_activity = _edges(np.maximum(smooth, np.log(_FAINTEST_EDGE)), _EDGE_LOG)
    of_mu = _edges(mu, _EDGE_PER_CM)
    own = of_activity[(slice(None), *points.astype(np.int64))]

    def score(shift_mm: Float) -> float:
        places = points + (index_from_mm @ shift_mm)[:, None]
        other = np.empty_like(own)
        for component, out in zip(of_mu, other, strict=True):
            ndimage.map_coordinates(component, places, order=1, mode="nearest", output=out)
        return float(np.square((own * other).sum(axis=0)).mean())

    return score


def _edges(image: Float, soft: float) -> Float64:
    """Return the gradient's direction, shorter than one where the gradient is not much above `soft`; (3, ...)."""
    gradient = np.array([np.gradient(image.astype(np.float64), axis=axis) for axis in range(image.ndim)])
    return np.asarray(gradient / np.sqrt(np.square(gradient).sum(axis=0) + soft**2))
