"""Counts in energy windows beside the photopeak's: what scatters into them, and what the detector spills."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from myoperf.types import ScatterWindow

PEAK_KEV, WINDOW_KEV = 140.5, (126.0, 154.0)
TRIPLE_KEV = ((119.0, 126.0), (154.0, 161.0))
"""The windows of the triple-energy-window method as cameras set them, 7 keV on either side."""
_RESOLUTION = 0.095
"""FWHM over energy of a sodium-iodide detector at 140 keV."""
_SLOPE = 0.8
"""How steeply scatter falls with energy over the photopeak's window: its density at the lower edge is 1 + this, at the
upper edge 1 - this, times its mean. An assumption: straight, as the method takes it, though the true spectrum bends."""


def scatter_windows(primary: NDArray[np.float32], scattered: NDArray[np.float32]) -> tuple[ScatterWindow, ...]:
    """Return the noiseless counts of the windows on either side of Tc-99m's photopeak.

    Parameters
    ----------
    primary, scattered
        Noiseless counts in the photopeak's window, shape (views, rows, columns).
    """
    spilled = {window: _share(window) / _share(WINDOW_KEV) for window in TRIPLE_KEV}
    width = WINDOW_KEV[1] - WINDOW_KEV[0]
    out = []
    for low, high in TRIPLE_KEV:
        position = (0.5 * (low + high) - 0.5 * sum(WINDOW_KEV)) / (0.5 * width)
        share = max(0.0, 1.0 - _SLOPE * position) * (high - low) / width
        counts = spilled[low, high] * primary + np.float32(share) * scattered
        out.append(ScatterWindow(counts=counts.astype(np.float32), limits_kev=(low, high)))
    return tuple(out)


def _share(window_kev: tuple[float, float]) -> float:
    """Return the share of primary photons that the detector records in a window."""
    sigma = _RESOLUTION * PEAK_KEV / (2.0 * np.sqrt(2.0 * np.log(2.0)))
    low, high = (float(special.ndtr((edge - PEAK_KEV) / sigma)) for edge in window_kev)
    return high - low
