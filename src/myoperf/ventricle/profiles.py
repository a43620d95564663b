"""The wall's peak on profiles of counts along rays."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from myoperf.geometry import index_from_lps, transform_points
from myoperf.types import Float, Volume
from myoperf.ventricle.rays import Rays

_OFFSETS = np.arange(-4.0, 5.0)
_SLOPE, _SECOND = _OFFSETS / 60.0, (3.0 * _OFFSETS**2 - 20.0) / 462.0
"""First and second derivative of the parabola through 9 points (Savitzky and Golay, Anal Chem 1964;36:1627,
doi:10.1021/ac60214a047); calmer in noise than through 3."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """The peak of each profile.

    Attributes
    ----------
    place_mm
        Where it lies.
    height
        The counts there (at the nearest sample).
    """

    place_mm: Float
    height: Float


@dataclass(frozen=True, eq=False)
class RefinedPeaks(Peaks):
    """Peaks placed between samples; `curvature` is minus the second derivative, counts per mm^2."""

    curvature: Float


def find_peaks(profiles: Float, expected_mm: Float, *, window_mm: float) -> Peaks:
    """Find the highest counts near an expected place.

    Parameters
    ----------
    profiles
        Shape (n, ...): counts at 0, 1, 2, ... mm along each ray.
    expected_mm
        Shape (...) or one that broadcasts to it.
    window_mm
        SD of the Gaussian by which counts are weighed around the expected place.

    Returns
    -------
    Each array of shape (...).
    """
    samples = np.arange(len(profiles), dtype=np.float64).reshape(-1, *(1,) * (profiles.ndim - 1))
    place = np.argmax(profiles * np.exp(-0.5 * ((samples - expected_mm) / window_mm) ** 2), axis=0)
    return Peaks(place.astype(np.float64), np.take_along_axis(profiles, place[None], axis=0)[0])


def find_refined_peaks(
    volume: Volume, rays: Rays, expected_mm: Float, *, reach_mm: float, window_mm: float
) -> RefinedPeaks:
    """Find the highest counts near an expected place along every ray of every gate, to a fraction of a millimetre.

    Counts are sampled every millimetre from a cubic spline and weighed as by `find_peaks`; a parabola over the 9 mm
    around the highest gives its place and curvature. Where counts do not bend down there is nothing to refine.

    Parameters
    ----------
    volume
        One frame a gate.
    expected_mm
        Shape (gates, rings, angles).
    reach_mm
        Rays are sampled up to this far, rounded up.

    Returns
    -------
    Each array of shape (gates, rings, angles).
    """
    from myoperf.ventricle.kernels import PAD_AFTER, PAD_BEFORE, spline_peaks

    coefficients = volume.array.astype(np.float64)
    for axis in (1, 2, 3):
        coefficients = ndimage.spline_filter1d(coefficients, order=3, axis=axis, mode="nearest")
    coefficients = np.pad(np.moveaxis(coefficients, 0, -1), ((PAD_BEFORE, PAD_AFTER),) * 3 + ((0, 0),), mode="edge")
    matrix = index_from_lps(volume.lps_from_index)
    start = np.broadcast_to(transform_points(matrix, rays.origin_mm), rays.direction.shape)
    step = rays.direction @ matrix[:3, :3].T
    gates = volume.frames
    peaks = np.empty((3, start.size // 3, gates))
    spline_peaks(
        np.ascontiguousarray(coefficients),
        np.ascontiguousarray(start.reshape(-1, 3)),
        np.ascontiguousarray(step.reshape(-1, 3)),
        np.ascontiguousarray(expected_mm.reshape(gates, -1).T, dtype=np.float64),
        int(np.ceil(reach_mm)),
        window_mm,
        _SLOPE,
        _SECOND,
        peaks,
    )
    return RefinedPeaks(*np.moveaxis(peaks, 2, 1).reshape(3, *expected_mm.shape))
