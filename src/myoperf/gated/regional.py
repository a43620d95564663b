"""Shape of the ventricle, and motion and thickening of its segments."""

import numpy as np

from myoperf.gated.tracking import Tracking
from myoperf.segments import segment_means
from myoperf.types import Float, WallSurfaces
from myoperf.ventricle.fit import beat_at
from myoperf.ventricle.rays import Rays, at_rings, equal_arc_rings

_RINGS = 24

PHASE_RESPONSE: Float = np.array(
    [
        (0.75, 0.57, 0.47, 0.25),
        (0.00, 0.00, 0.00, 0.00),
        (0.00, 1.05, 0.95, 1.00),
        (0.00, 0.95, 0.90, 0.85),
    ]
)
"""How much of a contraction delay the output of `moving_wall` shows (first and second harmonic of thickness, then of
motion) for terms of the harmonic 0, 1, 2 and 3 or more round the axis. Blur mixes the thickness of neighbouring wall.
Not used (0): the second harmonic of thickness, which shows a delay in the simulator's hearts and none in the
independent ones; and motion for delays along the axis, of which it shows a fifth in the former and all in the latter,
since that depends on how base and apex move. Rounded slopes over both (``benchmarks/phase_response.py``)."""


def _polar_rings(wall: Tracking) -> list[Float]:
    """Return where the rings of a polar map, at equal steps of the mid-wall's arc from apex to valve, meet the rays.

    Returns
    -------
    For each gate fractional indices (24, angles) among the rays' rings, as `at_rings` takes them.
    """
    shell = wall.shell
    return [
        equal_arc_rings(wall.rays, middle, rings=_RINGS, rim_mm=rim)
        for middle, rim in zip(shell.middle_mm, shell.rim_mm, strict=True)
    ]


def moving_wall(wall: Tracking) -> tuple[Float, Float, Float]:
    """Return what `measure_synchrony` takes, on a polar map of 24 rings: thickness, motion and counts of the wall.

    Returns
    -------
    thickness
        (gates, 24, angles): local thickness of the moving wall (see `Tracking.local_mm`).
    motion_mm
        (gates, 24, angles): inward displacement of the mid-wall along the rays from its mean over the beat, at
        fixed positions of the mean surface.
    level
        (24, angles): counts of the wall, mean over the beat.
    """
    shell, rings = wall.shell, _polar_rings(wall)
    thickness, level = (
        np.stack([at_rings(field, places) for field, places in zip(fields, rings, strict=True)])
        for fields in (wall.local_mm, wall.peak)
    )
    mean, rim = shell.middle_mm.mean(axis=0), shell.rim_mm.mean(axis=0)
    places = equal_arc_rings(wall.rays, mean, rings=_RINGS, rim_mm=rim)
    motion = np.stack([at_rings(mean - middle, places) for middle in shell.middle_mm])
    return thickness, motion, level.mean(axis=0)


def regional(wall: Tracking, ed_cycles: float, es_cycles: float) -> tuple[Float, Float]:
    """Measure inward endocardial motion and thickening of the 17 segments between two times of the beat.

    Both follow tissue: a place keeps its share of the arc from apex to valve plane, so that it descends with the base.
    Thickening is the mean of two measurements that err differently: the shrinking area of the tissue (which keeps its
    volume), and the counts through the wall over those of the model.

    Parameters
    ----------
    wall
        The wall followed through the beat.
    ed_cycles, es_cycles
        Times of end diastole and end systole.

    Returns
    -------
    (motion in mm, thickening in percent), each of shape (17,), AHA order. Motion is the part of the endocardium's
    displacement that is at right angles to it, positive inwards.
    """
    shell, times = wall.shell, np.array([ed_cycles, es_cycles])
    rings, inner = _polar_rings(wall), shell.inner_mm(wall.rays)
    endocardium, mid_wall = (
        np.stack([_tissue(wall.rays, one, places) for one, places in zip(surface, rings, strict=True)])
        for surface in (inner, shell.middle_mm)
    )
    before, after = beat_at(endocardium, times)
    motion = segment_means(((after - before) * _inwards(before)).sum(axis=-1))
    by_area = 1.0 / np.stack([segment_means(_areas(one)) for one in mid_wall])
    by_counts = np.stack(
        [segment_means(at_rings(one, places)) for one, places in zip(wall.local_mm, rings, strict=True)]
    )
    both = []
    for thick in (by_area, by_counts):
        # A segment without counts would thicken without bound.
        full, empty = beat_at(thick / np.maximum(thick.mean(axis=0), 0.02 * thick.mean()), times)
        both.append(100.0 * (empty / np.maximum(full, 0.1) - 1.0))
    return motion, np.asarray(np.mean(both, axis=0))


def wall_surfaces(wall: Tracking) -> WallSurfaces:
    """Return the endocardium and the mid-wall of every gate in the patient's space, for display."""
    rays, shell, rings = wall.rays, wall.shell, _polar_rings(wall)
    endocardium, mid_wall = (
        np.stack([at_rings(rays.points(distance), places) for distance, places in zip(surface, rings, strict=True)])
        for surface in (shell.inner_mm(rays), shell.middle_mm)
    )
    return WallSurfaces(endocardium_mm=endocardium, mid_wall_mm=mid_wall)


def _tissue(rays: Rays, distance_mm: Float, rings: Float) -> Float:
    """Return a surface at the rings of a polar map: (24, angles, 3) along the axis, anterior and septal."""
    tilt = rays.tilt_rad[:, None]
    across = distance_mm * np.sin(tilt)
    along = rays.height_mm[:, None] - distance_mm * np.cos(tilt)
    points = np.stack([along, across * np.cos(rays.angle_rad), across * np.sin(rays.angle_rad)], axis=-1)
    return at_rings(points, rings)


def _normals(points_mm: Float) -> Float:
    """Return vectors at right angles to a surface (rings, angles, 3), as long as the area of each place."""
    return np.cross(np.gradient(points_mm, axis=0), 0.5 * (np.roll(points_mm, -1, 1) - np.roll(points_mm, 1, 1)))


def _areas(points_mm: Float) -> Float:
    """Return the area of each place of a surface, (rings, angles)."""
    return np.asarray(np.linalg.norm(_normals(points_mm), axis=-1))


def _inwards(points_mm: Float) -> Float:
    """Return unit vectors into a surface that runs from apex to base with angles from anterior through septum."""
    normals = _normals(points_mm)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9))


def shape_numbers(wall: Tracking, gate: int) -> tuple[float, float]:
    """Measure shape index and eccentricity at a gate.

    Shape index: largest inner diameter across over inner length from apex to valve (1 is a sphere;
    Abidov et al., J Nucl Cardiol 2006;13:652). Eccentricity: sqrt(1 - (diameter / (2 length))^2) of the
    half ellipsoid with the mid-wall's length and largest radius; 0 is half a sphere.
    """
    shell, rays = wall.shell, wall.rays
    inner, rim = shell.inner_mm(rays)[gate], float(shell.rim_mm[gate].mean())
    rows = slice(rays.cap_rings, rays.cap_rings + max(1, int(rim / rays.tube_step_mm)))
    tip = float(inner[0].mean() * np.cos(rays.tilt_rad[0]))
    across = 2.0 * float(inner[rows].mean(axis=1).max())
    middle = float(shell.middle_mm[gate, 0].mean()) + rim
    radius = float(shell.middle_mm[gate, rows].mean(axis=1).max())
    return across / (tip + rim), float(np.sqrt(max(0.0, 1.0 - (radius / middle) ** 2)))
