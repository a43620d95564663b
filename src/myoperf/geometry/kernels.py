"""Compiled trilinear interpolation, the linear step behind `myoperf.geometry.sample` and ``reslice``.

Same values as `scipy.ndimage` with ``order=1, mode="grid-constant"``: positions and weights in double
precision, the value beyond the grid blended in over the last voxel. Imported on first use, since
numba itself takes some tenths of a second to load; the machine code is kept on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from myoperf.types import Float, Float32

__all__ = ["sample_grid", "sample_points"]


@njit(cache=True, nogil=True)
def _at(image: Any, place: int, stride: int, shape: Any, z: float, y: float, x: float, outside: float) -> float:
    """Blend the eight neighbours of (z, y, x), each checked against the grid; `image` is flat, `place` its first."""
    planes, rows, columns = shape
    if not (-1.0 < z < planes and -1.0 < y < rows and -1.0 < x < columns):
        return outside
    i, j, k = int(np.floor(z)), int(np.floor(y)), int(np.floor(x))
    c, b, a = z - i, y - j, x - k
    total = 0.0
    for di in range(2):
        wz = c if di else 1.0 - c
        for dj in range(2):
            wy = wz * (b if dj else 1.0 - b)
            for dk in range(2):
                weight = wy * (a if dk else 1.0 - a)
                inside = 0 <= i + di < planes and 0 <= j + dj < rows and 0 <= k + dk < columns
                value = image[place + (i + di) * stride + (j + dj) * columns + k + dk] if inside else outside
                total += weight * value
    return total


@njit(cache=True, nogil=True)
def _within(image: Any, place: int, stride: int, columns: int, z: float, y: float, x: float) -> float:
    """Blend the eight neighbours of a position known to have all of them."""
    i, j, k = int(z), int(y), int(x)
    c, b, a = z - i, y - j, x - k
    p = place + i * stride + j * columns + k
    q = p + stride
    low = (1.0 - b) * ((1.0 - a) * image[p] + a * image[p + 1])
    low += b * ((1.0 - a) * image[p + columns] + a * image[p + columns + 1])
    high = (1.0 - b) * ((1.0 - a) * image[q] + a * image[q + 1])
    high += b * ((1.0 - a) * image[q + columns] + a * image[q + columns + 1])
    return float((1.0 - c) * low + c * high)


@njit(cache=True, nogil=True)
def sample_points(image: Float32, matrix: Float, points: Float, outside: float, out: Float32) -> None:
    """Interpolate every frame at points.

    Parameters
    ----------
    image
        (frames, planes, rows, columns), contiguous.
    matrix
        (4, 4), index from the points' space.
    points
        (n, 3), contiguous.
    outside
        Value beyond the grid.
    out
        (frames, n), written.
    """
    frames, planes, rows, columns = image.shape
    flat = image.ravel()
    stride = rows * columns
    size = planes * stride
    shape = (planes, rows, columns)
    for n in range(points.shape[0]):
        u, v, w = points[n, 0], points[n, 1], points[n, 2]
        z = matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2] * w + matrix[0, 3]
        y = matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2] * w + matrix[1, 3]
        x = matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2] * w + matrix[2, 3]
        if 0.0 <= z < planes - 1 and 0.0 <= y < rows - 1 and 0.0 <= x < columns - 1:
            for f in range(frames):
                out[f, n] = _within(flat, f * size, stride, columns, z, y, x)
        else:
            for f in range(frames):
                out[f, n] = _at(flat, f * size, stride, shape, z, y, x, outside)


@njit(cache=True, nogil=True)
def _inner_run(start: float, step: float, size: int, columns: int) -> tuple[int, int]:
    """Give the columns [first, end) whose position surely lies within [0, size - 1), a column short at either end."""
    if step == 0.0:
        return (0, columns) if 0.0 <= start < size - 1 else (0, 0)
    one, other = -start / step, (size - 1 - start) / step
    low, high = (one, other) if one < other else (other, one)
    low, high = min(max(low, -2.0), columns + 2.0), min(max(high, -2.0), columns + 2.0)
    first, end = max(int(np.ceil(low)) + 1, 0), min(int(np.floor(high)), columns)
    return first, max(end, first)


@njit(cache=True, nogil=True)
def sample_grid(image: Float32, matrix: Float, out: Float32) -> None:
    """Interpolate every frame on a grid, 0 beyond the image.

    Parameters
    ----------
    image
        (frames, planes, rows, columns), contiguous.
    matrix
        (4, 4), index of the image from index of the grid.
    out
        (frames, planes, rows, columns) of the grid, written.
    """
    frames, planes, rows, columns = image.shape
    flat = image.ravel()
    stride = rows * columns
    shape = (planes, rows, columns)
    dz, dy, dx = matrix[0, 2], matrix[1, 2], matrix[2, 2]
    width = out.shape[3]
    for f in range(frames):
        place = f * planes * stride
        for p in range(out.shape[1]):
            for r in range(out.shape[2]):
                z0 = matrix[0, 0] * p + matrix[0, 1] * r + matrix[0, 3]
                y0 = matrix[1, 0] * p + matrix[1, 1] * r + matrix[1, 3]
                x0 = matrix[2, 0] * p + matrix[2, 1] * r + matrix[2, 3]
                first, end = _inner_run(z0, dz, planes, width)
                second, stop = _inner_run(y0, dy, rows, width)
                third, last = _inner_run(x0, dx, columns, width)
                first, end = max(first, second, third), min(end, stop, last)
                if end <= first:
                    first = end = width
                line = out[f, p, r]
                for c in range(first):
                    line[c] = _at(flat, place, stride, shape, z0 + c * dz, y0 + c * dy, x0 + c * dx, 0.0)
                for c in range(first, end):
                    line[c] = _within(flat, place, stride, columns, z0 + c * dz, y0 + c * dy, x0 + c * dx)
                for c in range(end, width):
                    line[c] = _at(flat, place, stride, shape, z0 + c * dz, y0 + c * dy, x0 + c * dx, 0.0)
