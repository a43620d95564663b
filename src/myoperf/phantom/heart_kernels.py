"""Which voxels of a grid the heart fills at one instant: loops over voxels, compiled."""

from typing import Any

import numpy as np

from myoperf.kernels import kernel

_NOTHING, _WALL, _CAVITY, _OTHER_BLOOD, _RIGHT_WALL = range(5)
"""What the kernels tell apart: nothing of the heart; wall and cavity of the left ventricle; blood of the other
chambers; free wall of the right ventricle."""


@kernel(fastmath=True)
def _in_ellipsoid(anterior: float, septal: float, apexward: float, ellipsoid: Any) -> bool:
    """Tell whether a point lies in an ellipsoid, given as its centre and the inverse of its semi-axes."""
    x = (anterior - ellipsoid[0]) * ellipsoid[3]
    y = (septal - ellipsoid[1]) * ellipsoid[4]
    z = (apexward - ellipsoid[2]) * ellipsoid[5]
    return bool(x * x + y * y + z * z < 1.0)


@kernel(fastmath=True)
def _interpolate(table: Any, row: int, column: int, next_column: int, weights: Any) -> float:
    """Interpolate a table bilinearly; weights of (row, column), (row, next), (row + 1, column), (row + 1, next)."""
    return float(
        weights[0] * table[row, column]
        + weights[1] * table[row, next_column]
        + weights[2] * table[row + 1, column]
        + weights[3] * table[row + 1, next_column]
    )


@kernel(fastmath=True)
def _classify(
    anterior: float, septal: float, apexward: float, motion: Any, end_rad: Any, tables: Any, chambers: Any
) -> tuple[int, float]:
    """Classify a point of the local frame: what it belongs to, and the relative uptake where that is wall.

    The wall is tabulated before the ventricle moves as a whole, so the point is moved back instead: shift and
    stretch of the axis first (across, the root of the stretch: volume is kept), then the twist, which falls from
    the apex to nothing at the base.

    Parameters
    ----------
    motion
        (stretch, shift in mm, twist in radians) of `motion.Pose`, the slope of the valve plane, and how far the wall
        reaches along the axis and across, mm, before it moves as a whole.
    end_rad
        Shape (angles,): angle from the apex at which the wall ends at the valve plane.
    tables
        Shape (4, nodes, angles), by share of the meridian (0 apex, 1 valve plane) and angle around the axis: distance
        in mm of the inner and of the outer surface from the centre of the valve plane, relative uptake at both.
    chambers
        Shape (5, 6), centre and inverse semi-axes: right ventricle outside, left atrium, right atrium, aortic root,
        right ventricle inside its wall. See `voxelise._inverse_chambers`.
    """
    stretch, shift, twist, tilt, farthest, widest = motion
    along = (apexward - shift) / stretch
    across = np.sqrt(stretch)
    to_anterior, to_septal = anterior * across, septal * across
    radius = np.sqrt(to_anterior * to_anterior + to_septal * to_septal)
    # Most points of the box are nowhere near the wall: skip the tables. 45 mm below the valve plane there is none.
    if radius < widest and along < farthest and along > tilt * to_septal - 45.0:
        from_apex = np.arctan2(radius, along)
        distance = np.sqrt(radius * radius + along * along)
        cosine = along / max(distance, 1e-9)
        angle = np.arctan2(to_septal, to_anterior) - twist * cosine * cosine
        rows, columns = tables.shape[1:]
        place = angle * (columns / (2.0 * np.pi))
        place -= columns * np.floor(place / columns)
        column = min(int(place), columns - 1)
        right, after = place - column, (column + 1) % columns
        share = from_apex / (end_rad[column] * (1.0 - right) + end_rad[after] * right)
        if share <= 1.0:
            height = share * (rows - 1)
            row = min(int(height), rows - 2)
            up = height - row
            weights = ((1 - up) * (1 - right), (1 - up) * right, up * (1 - right), up * right)
            near = _interpolate(tables[0], row, column, after, weights)
            if distance < near:
                return _CAVITY, 0.0
            far = _interpolate(tables[1], row, column, after, weights)
            if distance < far:
                # Uptake is linear in depth between the two surfaces, as `coronary.perfusion` states it.
                depth = (distance - near) / (far - near)
                low = _interpolate(tables[2], row, column, after, weights)
                high = _interpolate(tables[3], row, column, after, weights)
                return _WALL, low * (1.0 - depth) + high * depth
    # The other chambers follow the valve plane by half its motion.
    behind = apexward - 0.5 * shift
    if behind > -4.0:
        if _in_ellipsoid(anterior, septal, behind, chambers[0]):
            inside = _in_ellipsoid(anterior, septal, behind, chambers[4])
            return (_OTHER_BLOOD, 0.0) if inside else (_RIGHT_WALL, 0.0)
        return _NOTHING, 0.0
    for chamber in range(1, 4):
        if _in_ellipsoid(anterior, septal, behind, chambers[chamber]):
            return _OTHER_BLOOD, 0.0
    return _NOTHING, 0.0


@kernel(fastmath=True)
def _classify_index(
    i: float, j: float, k: float, local_from_index: Any, motion: Any, end_rad: Any, tables: Any, chambers: Any
) -> tuple[int, float]:
    """Classify a point given by its (plane, row, column), which need not be whole; see `_classify`."""
    m = local_from_index
    anterior = m[0, 0] * i + m[0, 1] * j + m[0, 2] * k + m[0, 3]
    septal = m[1, 0] * i + m[1, 1] * j + m[1, 2] * k + m[1, 3]
    apexward = m[2, 0] * i + m[2, 1] * j + m[2, 2] * k + m[2, 3]
    return _classify(anterior, septal, apexward, motion, end_rad, tables, chambers)


@kernel(fastmath=True, nogil=True)
def _corner_kinds(shape: Any, local_from_index: Any, motion: Any, end_rad: Any, tables: Any, chambers: Any) -> Any:
    """Classify the corners of all voxels, uint8 (planes + 1, rows + 1, columns + 1)."""
    kinds = np.empty((shape[0] + 1, shape[1] + 1, shape[2] + 1), dtype=np.uint8)
    for i in range(kinds.shape[0]):
        for j in range(kinds.shape[1]):
            for k in range(kinds.shape[2]):
                kinds[i, j, k] = _classify_index(
                    i - 0.5, j - 0.5, k - 0.5, local_from_index, motion, end_rad, tables, chambers
                )[0]
    return kinds


@kernel(fastmath=True)
def _add_point(voxel: Any, kind: int, uptake: float, part: float) -> None:
    """Add a share of one voxel to what it holds: (wall, wall's uptake, cavity, all blood, right ventricle's wall)."""
    if kind == _WALL:
        voxel[0] += part
        voxel[1] += part * uptake
    elif kind == _CAVITY:
        voxel[2] += part
        voxel[3] += part
    elif kind == _OTHER_BLOOD:
        voxel[3] += part
    elif kind == _RIGHT_WALL:
        voxel[4] += part


@kernel(fastmath=True, nogil=True)
def add_instant(
    out: Any, weight: float, points: int, local_from_index: Any, motion: Any, end_rad: Any, tables: Any, chambers: Any
) -> None:
    """Add the heart at one instant, by its weight in the average, to `out` (5, planes, rows, columns).

    Most voxels lie wholly inside one tissue: their corners and their centre agree, and that one look is enough.
    Voxels that hold an edge are the mean of points^3 looks, which keeps volumes exact to a fraction of a percent.
    """
    corners = _corner_kinds(out.shape[1:], local_from_index, motion, end_rad, tables, chambers)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            for k in range(out.shape[3]):
                first, alike = corners[i, j, k], True
                for corner in range(1, 8):
                    alike = alike and corners[i + (corner & 1), j + (corner >> 1 & 1), k + (corner >> 2)] == first
                if alike:
                    kind, uptake = _classify_index(
                        float(i), float(j), float(k), local_from_index, motion, end_rad, tables, chambers
                    )
                    if kind == first or points == 1:
                        _add_point(out[:, i, j, k], kind, uptake, weight)
                        continue
                for point in range(points**3):
                    p = i + (point % points + 0.5) / points - 0.5
                    q = j + (point // points % points + 0.5) / points - 0.5
                    r = k + (point // (points * points) + 0.5) / points - 0.5
                    kind, uptake = _classify_index(p, q, r, local_from_index, motion, end_rad, tables, chambers)
                    _add_point(out[:, i, j, k], kind, uptake, weight / points**3)
