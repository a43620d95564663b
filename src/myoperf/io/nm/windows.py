"""Energy windows beside the photopeak's, acquired with it to estimate scatter (dual and triple energy window)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.io.nm.frames import FrameTable, window_limits
from myoperf.types import ScatterWindow

_FARTHEST_KEV = 8.0
"""Between a scatter window and the photopeak's: windows of a second radionuclide are farther away."""


def photopeak_kev(dataset: Dataset, table: FrameTable, keep: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Return the limits of the energy window that the kept frames are of; None where the file gives none."""
    limits = window_limits(dataset, int(table["window"][keep][0]))
    return (limits[0], limits[1]) if limits else None


def windows_beside(
    dataset: Dataset,
    table: FrameTable,
    keep: NDArray[np.bool_],
    counts: NDArray[np.float32],
    *,
    keys: Sequence[tuple[int, int, int]],
) -> tuple[ScatterWindow, ...]:
    """Return the windows next to the photopeak's that hold every one of its views.

    Parameters
    ----------
    keep
        Frames of the photopeak.
    counts
        Of all frames, shape (frames, rows, columns).
    keys
        (rotation, detector, view) of the photopeak's views, in the order in which they are stacked.

    Returns
    -------
    Counts in the same order, summed over gates.
    """
    peak = photopeak_kev(dataset, table, keep)
    if peak is None:
        return ()
    beat = table["beat"][keep][0]
    place = {key: index for index, key in enumerate(keys)}
    out = []
    for window in np.unique(table["window"]):
        limits = window_limits(dataset, int(window))
        if window == table["window"][keep][0] or not limits or not _is_beside(limits, peak):
            continue
        frames = np.flatnonzero((table["window"] == window) & (table["beat"] == beat))
        of_frames = zip(*(table[name][frames].tolist() for name in ("rotation", "detector", "view")), strict=True)
        places = np.array([place.get(key, -1) for key in of_frames])
        if (places < 0).any() or np.bincount(places, minlength=len(keys)).min() == 0:
            continue  # a view is missing: the window cannot be used, which is no reason to refuse the photopeak
        summed = np.zeros((len(keys), *counts.shape[1:]), dtype=np.float32)
        np.add.at(summed, places, counts[frames])
        out.append(ScatterWindow(counts=summed, limits_kev=(limits[0], limits[1])))
    return tuple(out)


def _is_beside(limits: Sequence[float], peak: Sequence[float]) -> bool:
    """Whether a window lies wholly on one side of the photopeak's and near it."""
    gap = max(peak[0] - limits[1], limits[0] - peak[1])
    return -0.5 <= gap <= _FARTHEST_KEV
