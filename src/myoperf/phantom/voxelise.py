"""Put a patient on a voxel grid: the beating heart in a box of its own, finely sampled, over static organs.

Every voxel near a wall is sampled at several points (`supersample` per axis), each classified exactly from
the tables of that instant's surfaces, so that volumes agree with the closed form to a fraction of a percent.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.geometry import transform_points
from myoperf.kernels import kernel
from myoperf.phantom.anatomy import attenuation_of, static_organs
from myoperf.phantom.coronary import perfusion
from myoperf.phantom.heart import Wall, deform, end_of_wall, wall_at
from myoperf.phantom.motion import contraction, gate_times, local_ejection, pose_at
from myoperf.phantom.records import ORGANS, Grid, Organs, PatientModel
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, Float32, State

_TABLE = (49, 96)
"""Nodes of the surfaces' tables along the meridian and around."""

_RIGHT_WALL_MM = 3.5
"""Thickness of the right ventricle's free wall."""

_NOTHING, _WALL, _CAVITY, _OTHER_BLOOD, _RIGHT_WALL = range(5)
"""What the kernels tell apart: nothing of the heart; wall and cavity of the left ventricle; blood of the other
chambers; free wall of the right ventricle."""


@dataclass(frozen=True, eq=False)
class HeartBox:
    """The heart alone, on the part of the grid it touches.

    Attributes
    ----------
    window
        Slices (planes, rows, columns) of the whole grid.
    myocardium, myocardium_uptake, cavity, blood, right_ventricle
        float32 occupancies in the window; ``blood`` includes ``cavity``.
    """

    window: tuple[slice, slice, slice]
    myocardium: Float32
    myocardium_uptake: Float32
    cavity: Float32
    blood: Float32
    right_ventricle: Float32


@lru_cache(maxsize=64)
def _reference_tables(patient: PatientModel) -> tuple[Wall, Float]:
    """Tabulate the wall at the reference instant on the kernels' nodes: (wall, angles in degrees (1, angles))."""
    share = np.linspace(0.0, 1.0, _TABLE[0])[:, None]
    angle = (np.arange(_TABLE[1]) * (360.0 / _TABLE[1]))[None]
    return wall_at(patient.ventricle, share, angle), angle


@lru_cache(maxsize=64)
def _uptake_tables(patient: PatientModel, state: State) -> tuple[Float, Float]:
    """Tabulate relative uptake at the endocardium and at the epicardium on the kernels' nodes."""
    wall, angle = _reference_tables(patient)
    return perfusion(patient.coronary, state, patient.tracer, wall.fraction, angle)


def _chambers(patient: PatientModel, time: float) -> Float:
    """Return the other chambers as ellipsoids in the heart's local frame at an instant.

    Returns
    -------
    Shape (4, 6): centre (anterior, septal, apexward) and semi-axes of right ventricle (outside), left
    atrium, right atrium and aortic root. They scale with the ventricle; the atria fill as it empties.
    """
    v = patient.ventricle
    beat = float(contraction(time, patient.function.systole))
    width = v.radius_mm + 0.5 * float(np.mean(v.wall_mm[:12]))
    squeeze, fill = 1.0 - 0.16 * beat, 1.0 + 0.10 * beat
    return np.array(
        [
            [0.12 * width, 0.95 * width, 0.24 * v.length_mm, 1.30 * width, 1.18 * width * squeeze, 0.64 * v.length_mm],
            [-0.15 * width, 0.02 * width, -20.0 * fill, 22.0 * fill, 25.0 * fill, 19.0 * fill],
            [-0.25 * width, 1.65 * width, -24.0 * fill, 22.0 * fill, 22.0 * fill, 21.0 * fill],
            [0.55 * width, 0.75 * width, -30.0, 14.0, 14.0, 26.0],
        ]
    )


@kernel(fastmath=True)
def _in_ellipsoid(anterior: float, septal: float, apexward: float, ellipsoid: Any, wall_mm: float) -> bool:
    """Tell whether a point lies in an ellipsoid (see `_chambers`) whose semi-axes are shortened by a wall."""
    x = (anterior - ellipsoid[0]) / (ellipsoid[3] - wall_mm)
    y = (septal - ellipsoid[1]) / (ellipsoid[4] - wall_mm)
    z = (apexward - ellipsoid[2]) / (ellipsoid[5] - wall_mm)
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
        (stretch, shift in mm, twist in radians) of `motion.Pose`, and the slope of the valve plane.
    end_rad
        Shape (angles,): angle from the apex at which the wall ends at the valve plane.
    tables
        Shape (4, nodes, angles), by share of the meridian (0 apex, 1 valve plane) and angle around the axis: distance
        in mm of the inner and of the outer surface from the centre of the valve plane, relative uptake at both.
    chambers
        Shape (4, 6), see `_chambers`.
    """
    stretch, shift, twist, tilt = motion[0], motion[1], motion[2], motion[3]
    along = (apexward - shift) / stretch
    across = np.sqrt(stretch)
    to_anterior, to_septal = anterior * across, septal * across
    # 45 mm below the valve plane there is no wall left whatever its tilt: skip the tables.
    if along > tilt * to_septal - 45.0:
        radius = np.hypot(to_anterior, to_septal)
        from_apex = np.arctan2(radius, along)
        distance = np.hypot(radius, along)
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
        if _in_ellipsoid(anterior, septal, behind, chambers[0], 0.0):
            inside = _in_ellipsoid(anterior, septal, behind, chambers[0], _RIGHT_WALL_MM)
            return (_OTHER_BLOOD, 0.0) if inside else (_RIGHT_WALL, 0.0)
        return _NOTHING, 0.0
    for chamber in range(1, 4):
        if _in_ellipsoid(anterior, septal, behind, chambers[chamber], 0.0):
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
def _add_instant(
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


def _local_from_index(patient: PatientModel, grid: Grid) -> Float:
    """Return the (4, 4) map from voxel index to (anterior, septal, apexward, 1) about the valve plane's centre."""
    frame = patient.frame
    axes = np.stack([frame.anterior, frame.septal, -frame.axis])
    out = np.eye(4)
    out[:3, :3] = axes @ grid.lps_from_index[:3, :3]
    out[:3, 3] = axes @ (grid.lps_from_index[:3, 3] - frame.base_mm)
    return out


def heart_window(patient: PatientModel, grid: Grid) -> tuple[slice, slice, slice]:
    """Return the slices of a grid that hold the heart with its chambers at every instant."""
    v = patient.ventricle
    side = v.radius_mm * (1 + abs(v.ellipticity)) + max(v.wall_mm) + v.bulge_mm + 4.0
    chambers = _chambers(patient, 0.0)
    septal = max(side, float((chambers[:, 1] + 1.15 * chambers[:, 4]).max()))
    top = v.length_mm + max(v.wall_mm) + v.bulge_mm + 6.0
    front = max(side, float((chambers[:, 0] + 1.15 * chambers[:, 3]).max()))
    back = min(-side, float((chambers[:, 0] - 1.15 * chambers[:, 3]).min()))
    corners = np.array([[a, s, z] for a in (back, front) for s in (-side - 4, septal) for z in (-60.0, top)])
    low, high = grid.bounds(transform_points(np.linalg.inv(_local_from_index(patient, grid)), corners)).T
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2]))


def heart_box(patient: PatientModel, grid: Grid, *, state: State, times: Float, supersample: int = 3) -> HeartBox:
    """Voxelise the heart alone, averaged over instants.

    Parameters
    ----------
    times
        Shape (n,), in cycles after end diastole; one instant, or several to average.
    supersample
        Points per axis in voxels that hold an edge.
    """
    window = heart_window(patient, grid)
    out = np.zeros((5, *(max(part.stop - part.start, 0) for part in window)), dtype=np.float32)
    local = _local_from_index(patient, grid)
    local[:3, 3] += local[:3, :3] @ np.array([part.start for part in window])
    wall, angle = _reference_tables(patient)
    uptake = _uptake_tables(patient, state)
    end = np.ascontiguousarray(end_of_wall(patient.ventricle, angle[0]))
    weight = 1.0 / np.size(times)
    for time in np.atleast_1d(times):
        surfaces = deform(wall, local_ejection(patient, state, float(time), wall.fraction, angle))
        pose = pose_at(patient, state, float(time))
        motion = np.array([pose.stretch, pose.shift_mm, pose.twist_rad, patient.ventricle.valve_tilt])
        tables = np.stack([*surfaces, *uptake])
        _add_instant(out, weight, supersample, local, motion, end, tables, _chambers(patient, float(time)))
    return HeartBox(window, *(np.ascontiguousarray(part) for part in out))


def voxelise(
    patient: PatientModel,
    grid: Grid,
    *,
    state: State,
    gate: int | None = None,
    gates: int = 8,
    supersample: int = 3,
    static: dict[str, Float32] | None = None,
) -> Organs:
    """Put the patient on a grid at one gate, or averaged over the beat.

    Parameters
    ----------
    state
        Stress and rest differ in uptake, in stunning and in dilation.
    gate
        0 to `gates` - 1, or None for the time average of all gates (what an ungated study sees).
    supersample
        Points per axis in voxels that hold an edge of the heart: 3 is exact to about 0.2 %; 2 is fast.
    static
        `static_organs` of this patient and grid, to paint the torso once for all gates.

    Returns
    -------
    Organs, whose occupancies sum to at most 1 in every voxel.
    """
    base = static_organs(patient, grid) if static is None else static
    times = gate_times(gates) if gate is None else gate_times(gates)[gate : gate + 1]
    heart = heart_box(patient, grid, state=state, times=times, supersample=supersample)
    occupancy = {
        organ: np.zeros(grid.shape, np.float32) if organ not in base else base[organ].copy() for organ in ORGANS
    }
    free = np.clip(1.0 - heart.myocardium - heart.blood - heart.right_ventricle, 0.0, 1.0)
    window = heart.window
    bowel = base["bowel_uptake"].copy()
    for share in (*(occupancy[organ] for organ in base if organ != "bowel_uptake"), bowel):
        share[window] *= free
    occupancy["blood"][window] += heart.blood
    occupancy["myocardium"][window] = heart.myocardium
    occupancy["right_ventricle"][window] = heart.right_ventricle
    uptake, cavity = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    uptake[window], cavity[window] = heart.myocardium_uptake, heart.cavity
    return Organs(grid, state, occupancy, uptake, bowel, cavity, patient.uptake[state])


def attenuation(patient: PatientModel, grid: Grid, *, organs: Organs | None = None) -> Float32:
    """Return the linear attenuation of Tc-99m's photons in 1/mm, (planes, rows, columns), averaged over the beat.

    Parameters
    ----------
    organs
        The patient voxelised on this grid; default: voxelised here.
    """
    return attenuation_of((organs or voxelise(patient, grid, state="rest", gates=4, supersample=2)).occupancy)


def label_volume(patient: PatientModel, grid: Grid, state: State, *, gates: int = 8) -> NDArray[np.uint8]:
    """Label the time-averaged ventricle: 1 myocardium, 2 blood pool, 0 elsewhere.

    A voxel is ventricle where wall and cavity together fill at least half of it over the beat; it is then
    labelled by the greater of the two. This is the shape a summed image shows.
    """
    heart = heart_box(patient, grid, state=state, times=gate_times(gates))
    out = np.zeros(grid.shape, dtype=np.uint8)
    out[heart.window] = ventricle_labels(heart.myocardium, heart.cavity)
    return out


def ventricle_labels(wall: Float32, cavity: Float32) -> NDArray[np.uint8]:
    """Label voxels at least half filled by wall and cavity together by the greater of the two, as `label_volume`."""
    inside = np.where(wall >= cavity, MYOCARDIUM, BLOOD_POOL)
    return np.asarray(np.where(wall + cavity < 0.5, 0, inside), dtype=np.uint8)
