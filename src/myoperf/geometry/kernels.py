"""Compiled trilinear interpolation, the linear step behind `myoperf.geometry.sample` and ``reslice``.

Same values as `scipy.ndimage` with ``order=1, mode="grid-constant"`` to single precision: positions are in double
precision, the value beyond the grid is blended in over the last voxel. Imported on first use, since
numba itself takes some tenths of a second to load; the machine code is kept on disk.

Images are read through a flat view with strides worked out once, which keeps the inner loop short.
"""

from typing import Any

import numpy as np

from myoperf.kernels import kernel
from myoperf.types import Float, Float32

_MARGIN = 1e-9
"""Voxels: far more than round-off of a position, far less than what changes a value."""


@kernel(nogil=True)
def _blend_checked(
    flat: Any, frame_start: int, shape: Any, plane: float, row: float, column: float, outside: float
) -> float:
    """Blend the eight neighbours of a position, each checked against the grid; beyond it `outside` counts."""
    planes, rows, columns = shape
    if not (-1.0 < plane < planes and -1.0 < row < rows and -1.0 < column < columns):
        return outside
    i, j, k = int(np.floor(plane)), int(np.floor(row)), int(np.floor(column))
    total = 0.0
    for di in range(2):
        along_planes = plane - i if di else 1.0 - (plane - i)
        for dj in range(2):
            along_rows = along_planes * (row - j if dj else 1.0 - (row - j))
            for dk in range(2):
                weight = along_rows * (column - k if dk else 1.0 - (column - k))
                inside = 0 <= i + di < planes and 0 <= j + dj < rows and 0 <= k + dk < columns
                voxel = frame_start + ((i + di) * rows + j + dj) * columns + k + dk
                total += weight * (flat[voxel] if inside else outside)
    return total


@kernel(nogil=True, fastmath={"contract"})
def _blend_inside(
    flat: Any, frame_start: int, rows: int, columns: int, plane: float, row: float, column: float
) -> float:
    """Blend the eight neighbours of a position known to have all of them: no checks, the common and fast case.

    Shares and products are in the image's single precision: converting eight voxels to double takes longer than
    blending them.
    """
    i, j, k = int(plane), int(row), int(column)
    to_plane, to_row, to_column = np.float32(plane - i), np.float32(row - j), np.float32(column - k)
    one = np.float32(1.0)
    before, above, left = one - to_plane, one - to_row, one - to_column
    near = frame_start + (i * rows + j) * columns + k
    far = near + rows * columns
    near_value = above * (left * flat[near] + to_column * flat[near + 1])
    near_value += to_row * (left * flat[near + columns] + to_column * flat[near + columns + 1])
    far_value = above * (left * flat[far] + to_column * flat[far + 1])
    far_value += to_row * (left * flat[far + columns] + to_column * flat[far + columns + 1])
    value: float = before * near_value + to_plane * far_value
    return value


@kernel(nogil=True)
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
    size = planes * rows * columns
    shape = (planes, rows, columns)
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        plane = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
        row = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
        column = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        if 0.0 <= plane < planes - 1 and 0.0 <= row < rows - 1 and 0.0 <= column < columns - 1:
            for f in range(frames):
                out[f, n] = _blend_inside(flat, f * size, rows, columns, plane, row, column)
        else:
            for f in range(frames):
                out[f, n] = _blend_checked(flat, f * size, shape, plane, row, column, outside)


@kernel(nogil=True)
def _inner_run(start: float, step: float, size: int, columns: int) -> tuple[int, int]:
    """Return the columns [first, end) of a grid line that surely lie within [0, size - 1) of one image axis.

    The position at column c is start + c * step. A margin is kept at both ends: along a nearly constant axis round-off
    can carry a position onto the last plane, and its missing neighbour would be read from beyond the image.
    """
    lowest, highest = _MARGIN, size - 1 - _MARGIN
    if step == 0.0:
        return (0, columns) if lowest <= start < highest else (0, 0)
    one, other = (lowest - start) / step, (highest - start) / step
    low, high = (one, other) if one < other else (other, one)
    low, high = min(max(low, -2.0), columns + 2.0), min(max(high, -2.0), columns + 2.0)
    first, end = max(int(np.ceil(low)) + 1, 0), min(int(np.floor(high)), columns)
    return first, max(end, first)


@kernel(nogil=True)
def sample_grid(image: Float32, matrix: Float, out: Float32) -> None:
    """Interpolate every frame on a grid, 0 beyond the image.

    Along a line of the grid the position moves by one step a column, so the run of columns that
    needs no checks is known before the line starts.

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
    shape = (planes, rows, columns)
    plane_step, row_step, column_step = matrix[0, 2], matrix[1, 2], matrix[2, 2]
    width = out.shape[3]
    for f in range(frames):
        frame_start = f * planes * rows * columns
        for p in range(out.shape[1]):
            for r in range(out.shape[2]):
                plane = matrix[0, 0] * p + matrix[0, 1] * r + matrix[0, 3]
                row = matrix[1, 0] * p + matrix[1, 1] * r + matrix[1, 3]
                column = matrix[2, 0] * p + matrix[2, 1] * r + matrix[2, 3]
                first, end = _inner_run(plane, plane_step, planes, width)
                first_row, end_row = _inner_run(row, row_step, rows, width)
                first_column, end_column = _inner_run(column, column_step, columns, width)
                first, end = max(first, first_row, first_column), min(end, end_row, end_column)
                line = out[f, p, r]
                first = min(first, width)
                end = max(first, min(end, width))
                for c in range(first):
                    z, y, x = plane + c * plane_step, row + c * row_step, column + c * column_step
                    line[c] = _blend_checked(flat, frame_start, shape, z, y, x, 0.0)
                for c in range(first, end):
                    z, y, x = plane + c * plane_step, row + c * row_step, column + c * column_step
                    line[c] = _blend_inside(flat, frame_start, rows, columns, z, y, x)
                for c in range(end, width):
                    z, y, x = plane + c * plane_step, row + c * row_step, column + c * column_step
                    line[c] = _blend_checked(flat, frame_start, shape, z, y, x, 0.0)
