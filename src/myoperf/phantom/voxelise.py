"""Put a patient on a voxel grid: the beating heart in a box of its own, finely sampled, over static organs.

Every voxel near a wall is sampled at several points (`supersample` per axis), each classified exactly from
the tables of that instant's surfaces, so that volumes agree with the closed form to a fraction of a percent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from myoperf.geometry import transform_points
from myoperf.phantom.anatomy import attenuation_of, static_organs
from myoperf.phantom.coronary import perfusion
from myoperf.phantom.gating import Gating, gate_beats
from myoperf.phantom.heart import Wall, end_of_wall, wall_at
from myoperf.phantom.heart_kernels import add_instant
from myoperf.phantom.motion import contraction, gate_times, moved_surfaces, pose_at
from myoperf.phantom.photons import photons_of
from myoperf.phantom.records import ORGANS, Grid, Organs, PatientModel
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, Float32, State

_TABLE = (49, 96)
"""Nodes of the surfaces' tables along the meridian and around."""

_RIGHT_WALL_MM = 3.5
"""Thickness of the right ventricle's free wall."""


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
    atrium, right atrium and aortic root. They scale with the ventricle; the atria fill as it empties. The right
    ventricle joins the left at 25 and 155 degrees in the basal half and at 44 and 136 in the apical one: about the
    septum as AHA's segments have it, 30 to 150. Its cavity of some 170 ml in men and 135 in women is that of MRI.
    """
    v = patient.ventricle
    beat = float(contraction(time, patient.function.systole))
    width = v.radius_mm + 0.5 * float(np.mean(v.wall_mm[:12]))
    squeeze, fill = 1.0 - 0.16 * beat, 1.0 + 0.10 * beat
    return np.array(
        [
            [0.0, width, 0.24 * v.length_mm, 1.15 * width, 1.05 * width * squeeze, 0.68 * v.length_mm],
            [-0.15 * width, 0.02 * width, -20.0 * fill, 22.0 * fill, 25.0 * fill, 19.0 * fill],
            [-0.25 * width, 1.65 * width, -24.0 * fill, 22.0 * fill, 22.0 * fill, 21.0 * fill],
            [0.55 * width, 0.75 * width, -30.0, 14.0, 14.0, 26.0],
        ]
    )


def _inverse_chambers(patient: PatientModel, time: float) -> Float:
    """Return the chambers as the kernels read them: centre and inverse semi-axes, the right ventricle's cavity last."""
    outside = _chambers(patient, time)
    inside = outside[0] - np.repeat([0.0, _RIGHT_WALL_MM], 3)
    both = np.vstack([outside, inside])
    return np.hstack([both[:, :3], 1.0 / both[:, 3:]])


def _local_from_index(patient: PatientModel, grid: Grid) -> Float:
    """Return the (4, 4) map from voxel index to (anterior, septal, apexward, 1) about the valve plane's centre."""
    frame = patient.frame
    axes = np.stack([frame.anterior, frame.septal, -frame.axis])
    out = np.eye(4)
    out[:3, :3] = axes @ grid.lps_from_index[:3, :3]
    out[:3, 3] = axes @ (grid.lps_from_index[:3, 3] - frame.base_mm)
    return out


def heart_window(patient: PatientModel, grid: Grid) -> tuple[slice, slice, slice]:
    """Return the slices (planes, rows, columns) of a grid that hold the heart with its chambers at every instant.

    They are cut to the grid; an axis that the heart misses gives an empty slice.
    """
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


def heart_boxes(
    patient: PatientModel, grid: Grid, *, state: State, times: Float, weights: Float, supersample: int = 3
) -> tuple[HeartBox, ...]:
    """Voxelise the heart alone, as several averages over the same instants.

    Parameters
    ----------
    times
        Shape (n,), in cycles after end diastole.
    weights
        Shape (averages, n): the share of each instant in each average; rows sum to 1.
    supersample
        Points per axis in voxels that hold an edge.
    """
    window = heart_window(patient, grid)
    shape = (5, *(max(part.stop - part.start, 0) for part in window))
    out = np.zeros((len(weights), *shape), dtype=np.float32)
    local = _local_from_index(patient, grid)
    local[:3, 3] += local[:3, :3] @ np.array([part.start for part in window])
    wall, angle = _reference_tables(patient)
    uptake = _uptake_tables(patient, state)
    end = np.ascontiguousarray(end_of_wall(patient.ventricle, angle[0]))
    for time, shares in zip(np.atleast_1d(times), np.transpose(weights), strict=True):
        surfaces = moved_surfaces(patient, state, float(time), wall, angle)
        pose = pose_at(patient, state, float(time))
        reach = ((surfaces[1] * part(wall.theta)).max() + 0.5 for part in (np.cos, np.sin))
        motion = (pose.stretch, pose.shift_mm, float(pose.twist_rad), patient.ventricle.valve_tilt, *map(float, reach))
        tables = np.stack([*surfaces, *uptake])
        instant = np.zeros(shape, dtype=np.float32)
        add_instant(instant, 1.0, supersample, local, motion, end, tables, _inverse_chambers(patient, float(time)))
        for average, share in zip(out, shares, strict=True):
            if share > 0:
                average += np.float32(share) * instant
    return tuple(HeartBox(window, *average) for average in out)


def heart_box(patient: PatientModel, grid: Grid, *, state: State, times: Float, supersample: int = 3) -> HeartBox:
    """Voxelise the heart alone, averaged evenly over instants: `heart_boxes` for one average.

    Parameters
    ----------
    times
        Shape (n,), in cycles after end diastole.
    supersample
        Points per axis in voxels that hold an edge.
    """
    even = np.full((1, np.size(times)), 1.0 / np.size(times))
    return heart_boxes(patient, grid, state=state, times=times, weights=even, supersample=supersample)[0]


def place_heart_box(
    patient: PatientModel, grid: Grid, heart: HeartBox, *, state: State, static: dict[str, Float32]
) -> Organs:
    """Put a voxelised heart into the organs around it, which give way to it.

    Parameters
    ----------
    static
        Share of each organ in every voxel, by `static_organs` of the same grid.
    """
    occupancy = {
        organ: np.zeros(grid.shape, np.float32) if organ not in static else static[organ].copy() for organ in ORGANS
    }
    free = np.clip(1.0 - heart.myocardium - heart.blood - heart.right_ventricle, 0.0, 1.0)
    window = heart.window
    bowel = static["bowel_uptake"].copy()
    for share in (*(occupancy[organ] for organ in static if organ != "bowel_uptake"), bowel):
        share[window] *= free
    occupancy["blood"][window] += heart.blood
    occupancy["myocardium"][window] = heart.myocardium
    occupancy["right_ventricle"][window] = heart.right_ventricle
    uptake, cavity = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    uptake[window], cavity[window] = heart.myocardium_uptake, heart.cavity
    return Organs(grid, state, occupancy, uptake, bowel, cavity, patient.uptake[state])


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
    """Put the patient on a grid, averaged over one gate or over the beat.

    Parameters
    ----------
    state
        Stress and rest differ in uptake, in stunning and in dilation.
    gate
        0 to `gates` - 1: the average over that gate's time (see `myoperf.phantom.gating`). None: the mean over
        the beat at `gates` instants, what an ungated study sees.
    supersample
        Points per axis in voxels that hold an edge of the heart: 3 is exact to about 0.2 %; 2 is fast.
    static
        `static_organs` of this patient and grid, to paint the torso once for all gates.

    Returns
    -------
    Organs, whose occupancies sum to at most 1 in every voxel.
    """
    base = static_organs(patient, grid) if static is None else static
    if gate is None:
        heart = heart_box(patient, grid, state=state, times=gate_times(gates), supersample=supersample)
    else:
        beats = gate_beats(patient.function, gates)
        seen = np.flatnonzero(beats.weights[gate])
        times, weights = beats.times[seen], beats.weights[gate : gate + 1, seen]
        (heart,) = heart_boxes(patient, grid, state=state, times=times, weights=weights, supersample=supersample)
    return place_heart_box(patient, grid, heart, state=state, static=base)


def voxelise_gates(
    patient: PatientModel,
    grid: Grid,
    beats: Gating,
    *,
    state: State,
    supersample: int = 2,
    static: dict[str, Float32] | None = None,
) -> tuple[Organs, Iterator[Organs]]:
    """Put the patient on a grid as a gated study sees it: each instant of the beat is voxelised once for all gates.

    Returns
    -------
    The sum over gates, as recorded, and the gates, each averaged over its time.
    """
    base = static_organs(patient, grid) if static is None else static
    weights = np.concatenate([beats.mean[None], beats.weights])
    mean, *gated = heart_boxes(patient, grid, state=state, times=beats.times, weights=weights, supersample=supersample)
    place = partial(place_heart_box, patient, grid, state=state, static=base)
    return place(mean), map(place, gated)


def attenuation(patient: PatientModel, grid: Grid, *, organs: Organs | None = None) -> Float32:
    """Return the linear attenuation of the tracer's photons in 1/mm, (planes, rows, columns), averaged over the beat.

    Parameters
    ----------
    organs
        The patient voxelised on this grid; default: voxelised here.
    """
    occupancy = (organs or voxelise(patient, grid, state="rest", gates=4, supersample=2)).occupancy
    return attenuation_of(occupancy, photons_of(patient.tracer).attenuation_per_mm)


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
    """Label voxels at least half filled by wall and cavity together by the greater of the two; 0 elsewhere.

    Parameters
    ----------
    wall, cavity
        Share of each voxel that they fill, of one shape.
    """
    inside = np.where(wall >= cavity, MYOCARDIUM, BLOOD_POOL)
    return np.asarray(np.where(wall + cavity < 0.5, 0, inside), dtype=np.uint8)
