"""The projector's inner loops, compiled: turn the grid to a view, attenuate, blur layer by layer.

Arrays are indexed (row, column, plane) with planes last, so that the loop over planes is
contiguous and shares its in-plane weights. A turned grid is (layer, column, plane): layer 0 lies
nearest the detector.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["attenuation_layers", "sum_layers"]

Single = NDArray[np.float32]


@njit(cache=True, nogil=True, fastmath=True)
def attenuation_layers(mu: Single, view: NDArray[Any], layers: int, columns: int) -> Single:  # pragma: no cover
    """Integrate attenuation from the middle of every turned voxel to the detector.

    Parameters
    ----------
    mu
        (rows, columns, planes), attenuation over one voxel's side (dimensionless).
    view
        (r0, c0, row a layer, column a layer, row a column, column a column): index of turned voxel
        (0, 0) and its steps.

    Returns
    -------
    (layers, columns, planes): the line integral, dimensionless.
    """
    rows_in, columns_in, planes = mu.shape
    path = np.zeros((layers, columns, planes), dtype=np.float32)
    so_far = np.zeros((columns, planes), dtype=np.float32)
    here = np.empty(planes, dtype=np.float32)
    for k in range(layers):
        for j in range(columns):
            r = view[0] + k * view[2] + j * view[4]
            c = view[1] + k * view[3] + j * view[5]
            ir, ic = math.floor(r), math.floor(c)
            for z in range(planes):
                here[z] = 0.0
            for dr in range(2):
                for dc in range(2):
                    rr, cc = ir + dr, ic + dc
                    if 0 <= rr < rows_in and 0 <= cc < columns_in:
                        w = np.float32((1.0 - abs(r - rr)) * (1.0 - abs(c - cc)))
                        for z in range(planes):
                            here[z] += w * mu[rr, cc, z]
            for z in range(planes):
                path[k, j, z] = so_far[j, z] + np.float32(0.5) * here[z]
                so_far[j, z] += here[z]
    return path


@njit(cache=True, nogil=True, fastmath=True)
def _diffuse(image: Single, work: Single, weight: float) -> None:  # pragma: no cover
    """Blur an image in place by a three-point kernel of variance 2 * weight pixels along both axes."""
    columns, planes = image.shape
    a = np.float32(weight)
    b = np.float32(1.0 - 2.0 * weight)
    for j in range(columns):
        for z in range(1, planes - 1):
            work[j, z] = b * image[j, z] + a * (image[j, z - 1] + image[j, z + 1])
        work[j, 0] = b * image[j, 0] + a * image[j, 1]
        work[j, planes - 1] = b * image[j, planes - 1] + a * image[j, planes - 2]
    for j in range(columns):
        lower = work[j - 1] if j > 0 else np.zeros(planes, dtype=np.float32)
        upper = work[j + 1] if j < columns - 1 else np.zeros(planes, dtype=np.float32)
        for z in range(planes):
            image[j, z] = b * work[j, z] + a * (lower[z] + upper[z])


@njit(inline="always", fastmath=True)
def _fall(length: Any) -> Any:  # pragma: no cover
    """exp(-length), to 1e-4 up to 6, without a call: the loop round it stays vectorised."""
    x = np.float32(-0.0625) * min(length, np.float32(9.0))
    y = np.float32(1.0) + x * (
        np.float32(1.0)
        + x * (np.float32(0.5) + x * (np.float32(1 / 6) + x * (np.float32(1 / 24) + x * np.float32(1 / 120))))
    )
    y = y * y
    y = y * y
    y = y * y
    return y * y


@njit(cache=True, nogil=True, fastmath=True)
def sum_layers(
    activity: Single,
    corner: NDArray[Any],
    path: Single,
    view: NDArray[Any],
    box: NDArray[Any],
    weights: NDArray[Any],
    scatter_share: float,
) -> tuple[Single, Single]:  # pragma: no cover
    """Sum one source over its layers from far to near, blurring a little at every step.

    Parameters
    ----------
    activity
        (rows, columns, planes) of the source's own box.
    corner
        (row, column, plane) of that box in the grid.
    path
        Line integral of `attenuation_layers`.
    view
        As in `attenuation_layers`.
    box
        (first layer, past the last, first column, past the last, padding): where the source lies in the
        turned grid; the padding surrounds it in columns and planes.
    weights
        (layers,): blur between a layer and the next nearer one, as half the variance in pixels.
    scatter_share
        f of the build-up exp(f * path) (see `physics.Scatter`).

    Returns
    -------
    primary, scattered
        (columns + 2 padding, planes + 2 padding); the primary still lacks the blur of the nearest layer, the
        scattered is not blurred at all.
    """
    rows_in, columns_in, planes = activity.shape
    first, last, left, right, pad = box[0], box[1], box[2], box[3], box[4]
    primary = np.zeros((right - left + 2 * pad, planes + 2 * pad), dtype=np.float32)
    scattered = np.zeros_like(primary)
    work = np.zeros_like(primary)
    here = np.empty(planes, dtype=np.float32)
    z0 = corner[2]
    share = np.float32(1.0 - scatter_share)
    for k in range(last - 1, first - 1, -1):
        if k < last - 1:
            _diffuse(primary, work, weights[k])
        for j in range(left, right):
            r = view[0] + k * view[2] + j * view[4] - corner[0]
            c = view[1] + k * view[3] + j * view[5] - corner[1]
            ir, ic = math.floor(r), math.floor(c)
            if ir < -1 or ic < -1 or ir >= rows_in or ic >= columns_in:
                continue
            for z in range(planes):
                here[z] = 0.0
            for dr in range(2):
                for dc in range(2):
                    rr, cc = ir + dr, ic + dc
                    if 0 <= rr < rows_in and 0 <= cc < columns_in:
                        w = np.float32((1.0 - abs(r - rr)) * (1.0 - abs(c - cc)))
                        for z in range(planes):
                            here[z] += w * activity[rr, cc, z]
            total = np.float32(0.0)
            for z in range(planes):
                total += here[z]
            if total == 0.0:
                continue
            line, onto, over = path[k, j], primary[j - left + pad], scattered[j - left + pad]
            if scatter_share > 0.0:
                for z in range(planes):
                    through = _fall(line[z0 + z])
                    onto[z + pad] += here[z] * through
                    over[z + pad] += here[z] * (_fall(share * line[z0 + z]) - through)
            else:
                for z in range(planes):
                    onto[z + pad] += here[z] * _fall(line[z0 + z])
    return primary, scattered
