"""Scattered photons in the photopeak: estimated from energy windows beside it, or left to an effective coefficient."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.types import Float32, Projections

BROAD_BEAM = 0.12 / 0.1538
"""Effective over narrow-beam attenuation of Tc-99m's photons in a 20 % window: photons that scatter into it make up for
part of those that are lost, as if water had 0.12 in place of 0.154/cm (the usual value of Chang's correction)."""
_SMOOTHING_MM = 15.0
"""SD of the Gaussian over the windows' counts: scatter has no fine detail, their noise has."""


def window_scatter(projections: Projections) -> Float32 | None:
    """Estimate the scattered counts in the photopeak from the energy windows beside it.

    With a window on either side, the triple energy window (Ogawa et al., IEEE Trans Med Imaging 1991;10:408,
    doi:10.1109/42.97591): the area of a trapezoid between them, ``(C_low / W_low + C_high / W_high) W_peak / 2``. With
    one below only, a triangle (dual energy window): ``C_low W_peak / (2 W_low)``. Windows are smoothed by a Gaussian
    first.

    Returns
    -------
    Shape (views, rows, columns), summed over gates; None without a window below the photopeak or without its limits.
    """
    peak = projections.window_kev
    if peak is None:
        return None
    below = [window for window in projections.scatter_windows if window.limits_kev[1] <= 0.5 * sum(peak)]
    above = [window for window in projections.scatter_windows if window.limits_kev[0] >= 0.5 * sum(peak)]
    if not below:
        return None
    nearest = [max(below, key=lambda window: window.limits_kev[1])]
    nearest += [min(above, key=lambda window: window.limits_kev[0])] if above else []
    sigma = (0.0, *(_SMOOTHING_MM / step for step in projections.pixel_mm))
    estimate: NDArray[np.float32] = np.zeros(projections.array.shape[1:], dtype=np.float32)
    for window in nearest:
        smooth = ndimage.gaussian_filter(window.counts.astype(np.float32), sigma, mode="nearest")
        estimate += smooth * np.float32(0.5 * (peak[1] - peak[0]) / window.width_kev)
    return estimate


def scatter_method(projections: Projections) -> str:
    """Return in words how scatter in these views is treated."""
    if window_scatter(projections) is None:
        return f"by an effective coefficient of attenuation ({BROAD_BEAM:.2f} of the narrow-beam one)"
    return f"from {len(projections.scatter_windows)} energy window(s) beside the photopeak"
