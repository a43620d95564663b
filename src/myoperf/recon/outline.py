"""The body's outline from raw views alone: where every view shows the patient."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.recon.system import SystemGeometry
from myoperf.types import Projections, Volume

_SMOOTHING = 1.0
"""SD in pixels, along and across."""
_EDGE = 0.12
"""Share of a view's brightness (its 95th percentile in the body) that an edge has; MyoPerf's own."""


def body_outline(projections: Projections) -> Volume:
    """Return a mask of the body on the grid of the reconstruction: the hull that all views allow.

    A voxel belongs to the body where every view shows counts over its whole interval. Only what takes up tracer is
    found, so the mask tends to be smaller than the body, and it is convex in every plane.

    Returns
    -------
    Volume
        uint8, 1 in the body.
    """
    geometry = SystemGeometry.of(projections)
    views = ndimage.gaussian_filter(
        projections.summed().array[0].astype(np.float32), (0.0, _SMOOTHING, _SMOOTHING), mode="nearest"
    )
    low, high = _edges(views)
    x, y = geometry.voxels_mm
    inside = np.ones((geometry.rows, x.size), dtype=bool)
    offsets = geometry.axis_offset_mm or (0.0,) * len(geometry.angles_deg)
    for view, (angle, offset) in enumerate(zip(np.deg2rad(geometry.angles_deg), offsets, strict=True)):
        column = (y * np.sin(angle) - x * np.cos(angle) + offset) / geometry.column_mm + 0.5 * (geometry.columns - 1)
        inside &= (column[None] >= low[view][:, None]) & (column[None] <= high[view][:, None])
    mask = np.zeros((geometry.rows, geometry.columns, geometry.columns), dtype=np.uint8)
    mask[:, geometry.inside] = inside
    return Volume(mask, geometry.lps_from_index(projections.axis_lps_mm))


def _edges(views: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first and the last column of the body in every row of every view, (views, rows)."""
    level = np.percentile(views, 95, axis=(1, 2))
    shown = views > (_EDGE * level)[:, None, None]
    columns = np.arange(views.shape[2])
    first = np.where(shown.any(axis=2), shown.argmax(axis=2), columns[-1] + 1)
    last = np.where(shown.any(axis=2), columns[-1] - shown[:, :, ::-1].argmax(axis=2), -1)
    smooth = [ndimage.median_filter(edge.astype(np.float64), size=(3, 5), mode="nearest") for edge in (first, last)]
    return smooth[0] - 0.5, smooth[1] + 0.5
