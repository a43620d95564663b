"""A smooth mid-wall surface of the left ventricle from its labels.

Along each ray of `myoperf.ventricle.rays` the moments of the myocardial label give the mid-wall
radius and the thickness to a fraction of a voxel; where the wall is missing the rim of the blood
pool helps, and a penalised series (`myoperf.ventricle.fit`) closes what is left.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from myoperf import geometry
from myoperf.errors import AnalysisError, InputError
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, LVFrame, Volume, WallShift
from myoperf.ventricle.fit import WallSeries
from myoperf.ventricle.rays import Rays, at_rings, equal_arc_rings, lay_rays

_PROFILE_RAYS, _ROUND_RAYS = 40, 48
_STEP_MM = 1.0
_MIN_WALL_MM = 2.0
"""A wall label thinner than this along a ray counts as none; no wall of the surface is thinner."""


@dataclass(frozen=True, eq=False)
class WallSurface:
    """The mid-wall on the polar map's grid; ring 0 at the apex, angle 0 anterior, rising through the septum.

    Attributes
    ----------
    mid_wall_mm
        Shape (rings, angles, 3): LPS positions, rings at equal steps of arc from apex to mitral plane.
    normal
        Shape (rings, angles, 3): outward unit normals.
    thickness_mm
        Shape (rings, angles): thickness along the normal.
    measured
        Shape (rings, angles): True where the labels show a wall, False where the surface was closed by the fit.
    """

    mid_wall_mm: Float
    normal: Float
    thickness_mm: Float
    measured: NDArray[np.bool_]


def fit_surface(
    labels: Volume, frame: LVFrame, *, rings: int = 24, angles: int = 72, rim_mm: Float | None = None
) -> WallSurface:
    """Fit the mid-wall surface to labels (1 myocardium, 2 blood pool) on any grid.

    Parameters
    ----------
    labels
        One frame of integer labels; oblique and anisotropic grids are fine.
    frame
        Apex, mitral plane and anterior direction.
    rings, angles
        Grid of the polar map.
    rim_mm
        Shape (n,), evenly spaced round the axis from anterior through the septum: how far past the frame's mitral
        plane the wall ends (negative: before it); 0 all round when None.

    Raises
    ------
    InputError
        When the labels have several frames or the grid is smaller than 4 x 8.
    AnalysisError
        When the labels show less than a quarter of the wall round the frame's long axis.
    """
    if labels.frames != 1:
        raise InputError(f"fit_surface takes labels of one frame; got {labels.frames}. Fit each gate by itself.")
    if rings < 4 or angles < 8:
        raise InputError(f"A polar map needs at least 4 rings and 8 angles; got {rings} x {angles}.")
    rim = np.zeros(angles) if rim_mm is None else _turn_to(rim_mm, angles)
    frame = _lengthened(frame, float(rim.max()))
    rays = _profile_rays(frame, np.linspace(0.0, 1.0, _PROFILE_RAYS), _ROUND_RAYS)
    radius, thickness, weight = _measure(labels, frame, rays)
    share = float((weight > 0.5).mean())
    if share < 0.25:
        raise AnalysisError(
            f"Only {100 * share:.0f} % of the left ventricle's wall lies round the long axis; at least 25 % is needed. "
            "Either there is no ventricle where it was located, or the frame is of another scan than the labels."
        )
    series = _series(rays)
    radius_terms = series.fit(radius, weight, robust=True)
    thickness_terms = series.fit(thickness, np.where(weight > 0.5, weight, 0.0), robust=True)
    return _resample(frame, radius_terms, thickness_terms, weight, rings=rings, rim_mm=rim - rim.max())


def move_limits(surface: WallSurface, shift: WallShift) -> WallSurface:
    """Return a surface whose wall lies between limits that a reader moved; it stays 2 mm thick where they would cross.

    Examples
    --------
    >>> up = np.tile([0.0, 0.0, 1.0], (24, 72, 1))
    >>> flat = WallSurface(np.zeros((24, 72, 3)), up, np.full((24, 72), 10.0), np.ones((24, 72), bool))
    >>> thicker = move_limits(flat, WallShift(inner_mm=np.zeros((12, 24)), outer_mm=np.full((12, 24), 4.0)))
    >>> float(thicker.thickness_mm[5, 7]), thicker.mid_wall_mm[5, 7].tolist()
    (14.0, [0.0, 0.0, 2.0])
    """
    inner, outer = shift.on_map(*surface.thickness_mm.shape)
    thickness = np.maximum(surface.thickness_mm + outer - inner, _MIN_WALL_MM)
    middle = surface.mid_wall_mm + (0.5 * (inner + outer))[..., None] * surface.normal
    return replace(surface, mid_wall_mm=middle, thickness_mm=thickness)


def _turn_to(values: Float, angles: int) -> Float:
    """Interpolate values (n,) evenly spaced round the axis at another number of angles: (angles,)."""
    count = len(values)
    turned = np.interp(np.arange(angles) * (count / angles), np.arange(count + 1), np.append(values, values[0]))
    return np.asarray(turned)


def _lengthened(frame: LVFrame, by_mm: float) -> LVFrame:
    """Return a pose whose mitral plane lies farther from the apex."""
    return replace(frame, base_mm=frame.base_mm + by_mm * frame.axis) if by_mm else frame


def _profile_rays(frame: LVFrame, profile: Float, angles: int) -> Rays:
    """Lay rays at given places of the profile: 0 to 0.5 turns from apex to hub, to 1 climbs to the mitral plane."""
    tilt = np.pi * profile[profile < 0.5]
    height = (profile[profile >= 0.5] - 0.5) * frame.length_mm
    return lay_rays(frame, angles=angles, cap_tilt_rad=tilt, tube_height_mm=height)


def _series(rays: Rays) -> WallSeries:
    return WallSeries.on(rays, cosines=8, harmonics=5, stiffness=1e-4)


def _measure(labels: Volume, frame: LVFrame, rays: Rays) -> tuple[Float, Float, Float]:
    """Measure mid-wall radius, thickness along the ray and weight (1 wall, 0.25 only the pool's rim, 0 nothing)."""
    reach = max(0.75 * frame.length_mm, 60.0)
    distance = (np.arange(int(reach / _STEP_MM)) + 0.5) * _STEP_MM
    array = labels.array[0]
    masks = np.stack([array == MYOCARDIUM, array == BLOOD_POOL]).astype(np.float32)
    if not masks[0].any():
        raise AnalysisError("The labels hold no myocardium (label 1); a polar map needs a wall to sample.")
    wall, pool = geometry.sample(labels.with_array(masks), rays.sweep(distance))
    thickness = wall.sum(axis=0, dtype=np.float64) * _STEP_MM
    rim = pool.sum(axis=0, dtype=np.float64) * _STEP_MM
    present = thickness >= _MIN_WALL_MM
    radius = np.tensordot(distance, wall, 1) * _STEP_MM / np.maximum(thickness, 1e-6)
    typical = float(np.median(thickness[present])) if present.any() else 10.0
    from_pool = ~present & (rim >= 4.0)
    radius = np.where(from_pool, rim + 0.5 * typical, radius)
    return radius, thickness, np.where(present, 1.0, np.where(from_pool, 0.25, 0.0))


def _resample(
    frame: LVFrame, radius_terms: Float, thickness_terms: Float, weight: Float, *, rings: int, rim_mm: Float
) -> WallSurface:
    """Evaluate the series on a dense profile and step along it at equal arc up to the rim (angles,)."""
    angles, dense = len(rim_mm), np.linspace(0.0, 1.0, 8 * rings + 1)
    rays = _profile_rays(frame, dense, angles)
    basis = _series(rays).basis
    radius = np.maximum((basis @ radius_terms).reshape(dense.size, angles), 1.0)
    points = rays.points(radius)
    place = equal_arc_rings(rays, radius, rings=rings, rim_mm=rays.base_mm + rim_mm)
    normal = geometry.unit(at_rings(_normals(points), place))
    slope = np.abs(np.einsum("rai,rai->ra", normal, at_rings(rays.direction, place)))
    along_ray = at_rings((basis @ thickness_terms).reshape(dense.size, angles), place)
    # Measured where the nearest of the fitted rays was.
    ring = np.rint(place / (dense.size - 1) * (weight.shape[0] - 1)).astype(np.int64)
    turn = np.rint(np.arange(angles) * weight.shape[1] / angles).astype(np.int64) % weight.shape[1]
    thickness = np.maximum(along_ray * slope, _MIN_WALL_MM)
    return WallSurface(at_rings(points, place), normal, thickness, weight[ring, turn] > 0.5)


def _normals(points: Float) -> Float:
    """Return the outward unit normals of a dense (profile, angles, 3) surface; the pole takes its neighbours' mean."""
    along = np.gradient(points, axis=0)
    around = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    normal = np.cross(along, around)
    normal[0] = normal[1].mean(axis=0)
    return geometry.unit(normal)
