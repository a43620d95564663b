"""How well two masks agree: Dice overlap and the 95th percentile of the distance between their surfaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from myoperf.errors import AnalysisError, InputError

__all__ = ["dice", "hausdorff95_mm"]


def _pair(predicted: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    a, b = np.asarray(predicted, dtype=bool), np.asarray(truth, dtype=bool)
    if a.shape != b.shape or a.ndim != 3:
        raise InputError(f"Two masks of one 3D shape were expected; got {a.shape} and {b.shape}.")
    return a, b


def dice(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Give twice the common voxels over all voxels of both; 1 where both are empty."""
    a, b = _pair(predicted, truth)
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else 2.0 * int((a & b).sum()) / total


def _edges(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Voxels of a mask with a face on the outside."""
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def hausdorff95_mm(predicted: ArrayLike, truth: ArrayLike, spacing_mm: ArrayLike) -> float:
    """Give the larger of both directed 95th percentiles of edge voxel distances.

    Cropped to the box that holds both masks first, which changes nothing but the time. The value is
    that of MONAI's ``compute_hausdorff_distance(percentile=95)``; libraries that weigh by surface
    area (surface-distance) give another.

    Parameters
    ----------
    predicted, truth
        Masks of one 3D shape.
    spacing_mm
        (3,) of the index axes.

    Raises
    ------
    AnalysisError
        When a mask is empty: there is no distance.
    """
    a, b = _pair(predicted, truth)
    if not a.any() or not b.any():
        raise AnalysisError("A mask is empty; the distance between surfaces needs two masks.")
    both = a | b
    box = []
    for axis in range(3):
        hit = np.flatnonzero(both.any(axis=tuple(k for k in range(3) if k != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    first, second = _edges(a[tuple(box)]), _edges(b[tuple(box)])
    spacing = tuple(float(s) for s in np.broadcast_to(spacing_mm, 3))
    to_second = ndimage.distance_transform_edt(~second, sampling=spacing)[first]
    to_first = ndimage.distance_transform_edt(~first, sampling=spacing)[second]
    return float(max(np.percentile(to_second, 95), np.percentile(to_first, 95)))
