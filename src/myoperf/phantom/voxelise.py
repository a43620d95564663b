"""Put a patient on a voxel grid: the beating heart in its own box, finely sampled, over static organs.

Every voxel near a wall is sampled at several points (`supersample` per axis), each classified exactly from
the tables of that instant's surfaces, so that volumes agree with the closed form to a fraction of a percent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from myoperf.geometry import transform_points
from myoperf.phantom.anatomy import attenuation_of, static_organs
from myoperf.phantom.coronary import perfusion
from myoperf.phantom.heart import deform, end_of_wall, wall_at
from myoperf.phantom.motion import contraction, gate_times, local_ejection, pose_at
from myoperf.phantom.records import ORGANS, Grid, Organs, PatientModel
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, Float32, State

__all__ = ["HeartBox", "attenuation", "heart_box", "label_volume", "voxelise"]


_TABLE = (49, 96)
"""Nodes of the surfaces' tables along the meridian and around."""


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
def _reference_tables(patient: PatientModel) -> tuple[Any, Float, Float]:
    """Tabulate the wall at rest on the kernel's nodes: (Wall, q (n, 1), angle_deg (1, m))."""
    q = np.linspace(0.0, 1.0, _TABLE[0])[:, None]
    angle = (np.arange(_TABLE[1]) * (360.0 / _TABLE[1]))[None]
    return wall_at(patient.ventricle, q, angle), q, angle


@lru_cache(maxsize=64)
def _uptake_tables(patient: PatientModel, state: State) -> tuple[Float, Float]:
    wall, _, angle = _reference_tables(patient)
    inner, outer = perfusion(patient.coronary, state, patient.tracer, wall.fraction, angle)
    return np.ascontiguousarray(inner), np.ascontiguousarray(outer)


def _chambers(patient: PatientModel, state: State, time: float) -> Float:
    """Give the other chambers as ellipsoids in the heart's local frame at an instant.

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


@numba.njit(cache=True, fastmath=True)
def _inside(a: float, s: float, z: float, shape: Any, shrink: float) -> bool:
    u = (a - shape[0]) / (shape[3] - shrink)
    v = (s - shape[1]) / (shape[4] - shrink)
    w = (z - shape[2]) / (shape[5] - shrink)
    return bool(u * u + v * v + w * w < 1.0)


@numba.njit(cache=True, fastmath=True)
def _classify(
    a: float, s: float, z: float, pose: Any, end: Any, inner: Any, outer: Any, endo: Any, epi: Any, rooms: Any
) -> tuple[int, float]:
    """Classify a point of the local frame: (0 nothing, 1 wall, 2 cavity, 3 other blood, 4 right wall; uptake)."""
    stretch, shift, twist, tilt = pose[0], pose[1], pose[2], pose[3]
    across = np.sqrt(stretch)
    za, aa, sa = (z - shift) / stretch, a * across, s * across
    if za > tilt * sa - 45.0:
        r = np.hypot(aa, sa)
        theta = np.arctan2(r, za)
        distance = np.hypot(r, za)
        cosine = za / max(distance, 1e-9)
        angle = np.arctan2(sa, aa) - twist * cosine * cosine
        n, m = inner.shape
        turn = angle * (m / (2.0 * np.pi))
        turn -= m * np.floor(turn / m)
        j = min(int(turn), m - 1)
        t, jj = turn - j, (j + 1) % m
        q = theta / (end[j] * (1.0 - t) + end[jj] * t)
        if q <= 1.0:
            x = q * (n - 1)
            i = min(int(x), n - 2)
            u = x - i
            c00, c01, c10, c11 = (1 - u) * (1 - t), (1 - u) * t, u * (1 - t), u * t
            near = c00 * inner[i, j] + c01 * inner[i, jj] + c10 * inner[i + 1, j] + c11 * inner[i + 1, jj]
            if distance < near:
                return 2, 0.0
            far = c00 * outer[i, j] + c01 * outer[i, jj] + c10 * outer[i + 1, j] + c11 * outer[i + 1, jj]
            if distance < far:
                depth = (distance - near) / (far - near)
                low = c00 * endo[i, j] + c01 * endo[i, jj] + c10 * endo[i + 1, j] + c11 * endo[i + 1, jj]
                high = c00 * epi[i, j] + c01 * epi[i, jj] + c10 * epi[i + 1, j] + c11 * epi[i + 1, jj]
                return 1, low * (1.0 - depth) + high * depth
    zz = z - 0.5 * shift
    if zz > -4.0:
        if _inside(a, s, zz, rooms[0], 0.0):
            return (3, 0.0) if _inside(a, s, zz, rooms[0], pose[4]) else (4, 0.0)
        return 0, 0.0
    for room in range(1, 4):
        if _inside(a, s, zz, rooms[room], 0.0):
            return 3, 0.0
    return 0, 0.0


@numba.njit(cache=True, fastmath=True, nogil=True)
def _corner_kinds(
    shape: Any, local: Any, pose: Any, end: Any, inner: Any, outer: Any, endo: Any, epi: Any, rooms: Any
) -> Any:
    """Classify the corners of all voxels, uint8 (planes + 1, rows + 1, columns + 1)."""
    kinds = np.empty((shape[0] + 1, shape[1] + 1, shape[2] + 1), dtype=np.uint8)
    for i in range(kinds.shape[0]):
        for j in range(kinds.shape[1]):
            for k in range(kinds.shape[2]):
                p, q, r = i - 0.5, j - 0.5, k - 0.5
                a = local[0, 0] * p + local[0, 1] * q + local[0, 2] * r + local[0, 3]
                s = local[1, 0] * p + local[1, 1] * q + local[1, 2] * r + local[1, 3]
                z = local[2, 0] * p + local[2, 1] * q + local[2, 2] * r + local[2, 3]
                kinds[i, j, k] = _classify(a, s, z, pose, end, inner, outer, endo, epi, rooms)[0]
    return kinds


@numba.njit(cache=True, fastmath=True, nogil=True)
def _fill(
    out: Any, local: Any, weight: float, fine: int, pose: Any, end: Any, inner: Any, outer: Any, endo: Any, epi: Any,
    rooms: Any,
) -> None:  # fmt: skip
    """Add one instant to `out` (5, planes, rows, columns); `local` maps the window's indices to the local frame.

    A voxel whose corners and centre all lie in one tissue gets one look, any other fine^3.
    """
    corners = _corner_kinds(out.shape[1:], local, pose, end, inner, outer, endo, epi, rooms)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            for k in range(out.shape[3]):
                first, same = corners[i, j, k], True
                for corner in range(1, 8):
                    same = same and corners[i + (corner & 1), j + (corner >> 1 & 1), k + (corner >> 2)] == first
                n = 1 if same else fine
                while True:
                    part, mixed = weight / n**3, False
                    for sub in range(n**3):
                        p = i + (sub % n + 0.5) / n - 0.5
                        q = j + (sub // n % n + 0.5) / n - 0.5
                        r = k + (sub // (n * n) + 0.5) / n - 0.5
                        a = local[0, 0] * p + local[0, 1] * q + local[0, 2] * r + local[0, 3]
                        s = local[1, 0] * p + local[1, 1] * q + local[1, 2] * r + local[1, 3]
                        z = local[2, 0] * p + local[2, 1] * q + local[2, 2] * r + local[2, 3]
                        kind, level = _classify(a, s, z, pose, end, inner, outer, endo, epi, rooms)
                        if n == 1 and kind != first and fine > 1:
                            mixed = True
                            break
                        if kind == 1:
                            out[0, i, j, k] += part
                            out[1, i, j, k] += part * level
                        elif kind == 2:
                            out[2, i, j, k] += part
                            out[3, i, j, k] += part
                        elif kind == 3:
                            out[3, i, j, k] += part
                        elif kind == 4:
                            out[4, i, j, k] += part
                    if not mixed:
                        break
                    n = fine


def _local_from_index(patient: PatientModel, grid: Grid) -> Float:
    """Give the (4, 4) map from voxel index to (anterior, septal, apexward, 1) about the valve plane's centre."""
    frame = patient.frame
    axes = np.stack([frame.anterior, frame.septal, -frame.axis])
    out = np.eye(4)
    out[:3, :3] = axes @ grid.lps_from_index[:3, :3]
    out[:3, 3] = axes @ (grid.lps_from_index[:3, 3] - frame.base_mm)
    return out


def _window_of_heart(patient: PatientModel, grid: Grid) -> tuple[NDArray[np.int64], Float]:
    """Give index bounds (3, 2) of the heart with its chambers, and the map of `_local_from_index`."""
    local = _local_from_index(patient, grid)
    v = patient.ventricle
    side = v.radius_mm * (1 + abs(v.ellipticity)) + max(v.wall_mm) + v.bulge_mm + 4.0
    rooms = _chambers(patient, "rest", 0.0)
    septal = max(side, float((rooms[:, 1] + 1.15 * rooms[:, 4]).max()))
    top = v.length_mm + max(v.wall_mm) + v.bulge_mm + 6.0
    high_a = max(side, float((rooms[:, 0] + 1.15 * rooms[:, 3]).max()))
    low_a = min(-side, float((rooms[:, 0] - 1.15 * rooms[:, 3]).min()))
    corners = np.array([[a, s, z] for a in (low_a, high_a) for s in (-side - 4, septal) for z in (-60.0, top)])
    index = transform_points(np.linalg.inv(local), corners)
    low = np.clip(np.floor(index.min(axis=0)), 0, grid.shape)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.shape)
    return np.stack([low, high], axis=1).astype(np.int64), local


def heart_box(patient: PatientModel, grid: Grid, *, state: State, times: Float, supersample: int = 3) -> HeartBox:
    """Voxelise the heart alone, averaged over instants.

    Parameters
    ----------
    times
        Shape (n,), in cycles after end diastole; one instant, or several to average.
    supersample
        Points per axis in voxels that hold an edge.
    """
    bounds, local = _window_of_heart(patient, grid)
    size = bounds[:, 1] - bounds[:, 0]
    out = np.zeros((5, *np.maximum(size, 0)), dtype=np.float32)
    shifted = local.copy()
    shifted[:3, 3] += local[:3, :3] @ bounds[:, 0]
    wall, _, angle = _reference_tables(patient)
    end = np.ascontiguousarray(end_of_wall(patient.ventricle, angle[0]))
    endo, epi = _uptake_tables(patient, state)
    for time in np.atleast_1d(times):
        inner, outer = deform(wall, local_ejection(patient, state, float(time), wall.fraction, angle))
        whole = pose_at(patient, state, float(time))
        pose = np.array([whole.stretch, whole.shift_mm, whole.twist_rad, patient.ventricle.valve_tilt, 3.5])
        rooms = _chambers(patient, state, float(time))
        weight = 1.0 / np.size(times)
        _fill(out, shifted, weight, supersample, pose, end, inner, outer, endo, epi, rooms)
    window = tuple(slice(int(a), int(b)) for a, b in bounds)
    return HeartBox((window[0], window[1], window[2]), *(np.ascontiguousarray(part) for part in out))


def _instants(gate: int | None, gates: int) -> Float:
    times = gate_times(gates)
    return times if gate is None else times[gate : gate + 1]


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
        What `static_organs` gave for this patient and grid, to paint the torso once for all gates.

    Returns
    -------
    Organs, whose occupancies sum to at most 1 in every voxel.
    """
    base = static_organs(patient, grid) if static is None else static
    heart = heart_box(patient, grid, state=state, times=_instants(gate, gates), supersample=supersample)
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
    both = heart.myocardium + heart.cavity
    out[heart.window] = np.where(both < 0.5, 0, np.where(heart.myocardium >= heart.cavity, MYOCARDIUM, BLOOD_POOL))
    return out
