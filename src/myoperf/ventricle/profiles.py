"""The wall's peak on profiles of counts along rays."""

from dataclasses import dataclass

import numpy as np

from myoperf.types import Float

_HALF = 4
_OFFSETS = np.arange(-_HALF, _HALF + 1)
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
    curvature
        Minus the second derivative, counts per mm^2; only of refined peaks, else zeros.
    """

    place_mm: Float
    height: Float
    curvature: Float


def find_peaks(profiles: Float, expected_mm: Float, *, window_mm: float, refine: bool = False) -> Peaks:
    """Find the highest counts near an expected place.

    Parameters
    ----------
    profiles
        Shape (n, ...): counts at 0, 1, 2, ... mm along each ray.
    expected_mm
        Shape (...) or one that broadcasts to it.
    window_mm
        SD of the Gaussian by which counts are weighed around the expected place.
    refine
        Whether to fit a parabola over 9 mm for a place between samples and the curvature.

    Returns
    -------
    Each array of shape (...).
    """
    samples = np.arange(len(profiles), dtype=np.float64).reshape(-1, *(1,) * (profiles.ndim - 1))
    place = np.argmax(profiles * np.exp(-0.5 * ((samples - expected_mm) / window_mm) ** 2), axis=0)
    if not refine:
        height = np.take_along_axis(profiles, place[None], axis=0)[0]
        return Peaks(place.astype(np.float64), height, np.zeros_like(height))
    place = np.clip(place, _HALF + 1, len(profiles) - _HALF - 2)
    around = np.take_along_axis(profiles, place[None] + _OFFSETS.reshape(-1, *(1,) * place.ndim), axis=0)
    slope, second = np.tensordot(_SLOPE, around, 1), np.tensordot(_SECOND, around, 1)
    # Where the counts do not bend down there is no peak to refine.
    shift = np.where(second < 0, np.clip(-slope / np.minimum(second, -1e-12), -_HALF, _HALF), 0.0)
    return Peaks(place + shift, np.maximum(around[_HALF], 0.0), -second)
