"""The projector's inner loops, compiled: turn the grid to a view, attenuate, blur layer by layer.

Arrays are indexed (row, column, plane) with planes last, so that the loop over planes is
contiguous and shares its in-plane weights. A turned grid is (layer, column, plane): layer 0 lies
nearest the detector.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from myoperf.kernels import kernel
from myoperf.types import Float32


@njit(inline="always", fastmath=True)
def _interpolate_planes(volume: Float32, row: float, column: float, values: Float32) -> None:  # pragma: no cover
    """Write all planes of a volume at a fractional row and column into `values`, bilinearly; outside it is 0."""
    rows, columns, planes = volume.shape
    first_row, first_column = math.floor(row), math.floor(column)
    for plane in range(planes):
        values[plane] = 0.0
    for down in range(2):
        for right in range(2):
            near_row, near_column = first_row + down, first_column + right
            if 0 <= near_row < rows and 0 <= near_column < columns:
                weight = np.float32((1.0 - abs(row - near_row)) * (1.0 - abs(column - near_column)))
                for plane in range(planes):
                    values[plane] += weight * volume[near_row, near_column, plane]


@kernel(nogil=True, fastmath=True)
def attenuation_layers(mu: Float32, view: NDArray[Any], layers: int, columns: int) -> Float32:  # pragma: no cover
    """Integrate attenuation from the middle of every turned voxel to the detector.

    The detector's rays run along the turned grid's layers, so the line integral is a running sum; a voxel's own
    attenuation counts half, from its middle to its face.

    Parameters
    ----------
    mu
        (rows, columns, planes), attenuation over one voxel's side (dimensionless).
    view
        (row, column, row a layer, column a layer, row a column, column a column): index of turned voxel
        (0, 0) in the grid and the steps from it.

    Returns
    -------
    (layers, columns, planes): the line integral, dimensionless.
    """
    planes = mu.shape[2]
    path = np.zeros((layers, columns, planes), dtype=np.float32)
    passed = np.zeros((columns, planes), dtype=np.float32)
    here = np.empty(planes, dtype=np.float32)
    for layer in range(layers):
        for column in range(columns):
            row_in = view[0] + layer * view[2] + column * view[4]
            column_in = view[1] + layer * view[3] + column * view[5]
            _interpolate_planes(mu, row_in, column_in, here)
            for plane in range(planes):
                path[layer, column, plane] = passed[column, plane] + np.float32(0.5) * here[plane]
                passed[column, plane] += here[plane]
    return path


@kernel(nogil=True, fastmath=True)
def _diffuse(image: Float32, work: Float32, weight: float) -> None:  # pragma: no cover
    """Blur an image in place by a three-point kernel of variance 2 * weight pixels along both axes.

    Variances of successive blurs add, so that small steps between layers sum to the collimator's blur at any depth.
    """
    columns, planes = image.shape
    side = np.float32(weight)
    middle = np.float32(1.0 - 2.0 * weight)
    for column in range(columns):
        for plane in range(1, planes - 1):
            work[column, plane] = middle * image[column, plane] + side * (
                image[column, plane - 1] + image[column, plane + 1]
            )
        work[column, 0] = middle * image[column, 0] + side * image[column, 1]
        work[column, planes - 1] = middle * image[column, planes - 1] + side * image[column, planes - 2]
    for column in range(columns):
        lower = work[column - 1] if column > 0 else np.zeros(planes, dtype=np.float32)
        upper = work[column + 1] if column < columns - 1 else np.zeros(planes, dtype=np.float32)
        for plane in range(planes):
            image[column, plane] = middle * work[column, plane] + side * (lower[plane] + upper[plane])


@njit(inline="always", fastmath=True)
def _transmission(path: Any) -> Any:  # pragma: no cover
    """Return exp(-path), to 1e-4 up to 6, without a call, so that the loop around it stays vectorised.

    The path is divided by 16, its exponential taken from the fifth-order Taylor series and squared four times.
    """
    x = np.float32(-0.0625) * min(path, np.float32(9.0))
    y = np.float32(1.0) + x * (
        np.float32(1.0)
        + x * (np.float32(0.5) + x * (np.float32(1 / 6) + x * (np.float32(1 / 24) + x * np.float32(1 / 120))))
    )
    y = y * y
    y = y * y
    y = y * y
    return y * y


@kernel(nogil=True, fastmath=True)
def sum_layers(
    activity: Float32,
    corner: NDArray[Any],
    path: Float32,
    view: NDArray[Any],
    box: NDArray[Any],
    weights: NDArray[Any],
    scatter_share: float,
) -> tuple[Float32, Float32]:  # pragma: no cover
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
    lowest = corner[2]
    # Broad-beam attenuation: what arrives with scatter falls as exp(-(1 - f) path), of which the primary is a part.
    broad = np.float32(1.0 - scatter_share)
    for layer in range(last - 1, first - 1, -1):
        if layer < last - 1:
            _diffuse(primary, work, weights[layer])
        for column in range(left, right):
            row_in = view[0] + layer * view[2] + column * view[4] - corner[0]
            column_in = view[1] + layer * view[3] + column * view[5] - corner[1]
            if row_in < -1 or column_in < -1 or row_in >= rows_in or column_in >= columns_in:
                continue
            _interpolate_planes(activity, row_in, column_in, here)
            total = np.float32(0.0)
            for plane in range(planes):
                total += here[plane]
            if total == 0.0:
                continue
            line, direct, broadened = path[layer, column], primary[column - left + pad], scattered[column - left + pad]
            if scatter_share > 0.0:
                for plane in range(planes):
                    through = _transmission(line[lowest + plane])
                    direct[plane + pad] += here[plane] * through
                    broadened[plane + pad] += here[plane] * (_transmission(broad * line[lowest + plane]) - through)
            else:
                for plane in range(planes):
                    direct[plane + pad] += here[plane] * _transmission(line[lowest + plane])
    return primary, scattered
