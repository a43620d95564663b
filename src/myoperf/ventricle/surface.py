"""A smooth mid-wall surface of the left ventricle from its labels.

Rays leave the long axis: from a point half-way down it towards the apical half (spherical part)
and at right angles to it towards the basal half (cylindrical part), the hybrid layout of Garcia et
al. (J Nucl Med 1990;31:1768). Along each ray the moments of the myocardial label give the mid-wall
radius and the thickness to a fraction of a voxel; where the wall is missing the rim of the blood
pool helps, and a penalised Fourier x cosine series closes what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from myoperf import geometry
from myoperf.errors import AnalysisError, InputError
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, LVFrame, Volume

__all__ = ["WallSurface", "fit_surface"]


_PROFILE_RAYS = 40
_ROUND_RAYS = 48
_STEP_MM = 1.0
_HARMONICS = 5
_COSINES = 8
_MIN_WALL_MM = 2.0


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

    @property
    def area_mm2(self) -> Float:
        """Shape (rings, angles): area of the mid-wall each sample stands for."""
        along = np.gradient(self.mid_wall_mm, axis=0)
        around = 0.5 * (np.roll(self.mid_wall_mm, -1, axis=1) - np.roll(self.mid_wall_mm, 1, axis=1))
        return np.asarray(np.linalg.norm(np.cross(along, around), axis=-1))


@dataclass(frozen=True, eq=False)
class _Rays:
    """Origins (n, 1, 3) on the axis, directions (n, m, 3), the profile coordinate (n,) and the pole's taper (n,)."""

    origin: Float
    direction: Float
    coordinate: Float
    taper: Float


def fit_surface(labels: Volume, frame: LVFrame, *, rings: int = 24, angles: int = 72) -> WallSurface:
    """Fit the mid-wall surface to labels (1 myocardium, 2 blood pool) on any grid.

    Parameters
    ----------
    labels
        One frame of integer labels; oblique and anisotropic grids are fine.
    frame
        Apex, mitral plane and anterior direction.
    rings, angles
        Grid of the polar map.

    Raises
    ------
    InputError
        When the labels have several frames or the grid is smaller than 4 x 8.
    AnalysisError
        When less than a quarter of the wall is found round the frame's long axis.
    """
    if labels.frames != 1:
        raise InputError(f"fit_surface takes labels of one frame; got {labels.frames}. Fit each gate by itself.")
    if rings < 4 or angles < 8:
        raise InputError(f"A polar map needs at least 4 rings and 8 angles; got {rings} x {angles}.")
    rays = _rays(frame, np.linspace(0.0, 1.0, _PROFILE_RAYS), np.arange(_ROUND_RAYS) * (360.0 / _ROUND_RAYS))
    radius, thickness, weight = _measure(labels, frame, rays)
    found = float((weight > 0.5).mean())
    if found < 0.25:
        raise AnalysisError(
            f"Only {100 * found:.0f} % of the left ventricle's wall lies round the long axis; expected at least 25 %. "
            "Check that labels and frame belong to the same scan."
        )
    basis = _basis(rays.coordinate, rays.taper, _ROUND_RAYS, _ROUND_RAYS)
    penalty = _penalty()
    coefficients = _robust_fit(basis, radius.ravel(), weight.ravel(), penalty)
    thick = _robust_fit(basis, thickness.ravel(), np.where(weight > 0.5, weight, 0.0).ravel(), penalty)
    return _resample(frame, coefficients, thick, weight, rings=rings, angles=angles)


def _rays(frame: LVFrame, coordinate: Float, angles_deg: Float) -> _Rays:
    """Lay the rays: coordinate 0-0.5 turns from the apex to the equator, 0.5-1 climbs to the mitral plane."""
    angle = np.deg2rad(angles_deg)
    across = np.cos(angle)[:, None] * frame.anterior + np.sin(angle)[:, None] * frame.septal
    polar = np.minimum(coordinate, 0.5) * np.pi
    height = np.maximum(coordinate, 0.5) * frame.length_mm
    origin = frame.apex_mm + height[:, None] * frame.axis
    direction = np.sin(polar)[:, None, None] * across - np.cos(polar)[:, None, None] * frame.axis
    return _Rays(origin[:, None], direction, coordinate, np.sin(polar))


def _measure(labels: Volume, frame: LVFrame, rays: _Rays) -> tuple[Float, Float, Float]:
    """Read mid-wall radius, thickness along the ray and weight (1 wall, 0.25 pool's rim only, 0 nothing)."""
    reach = max(0.75 * frame.length_mm, 60.0)
    distance = (np.arange(int(reach / _STEP_MM)) + 0.5) * _STEP_MM
    points = rays.origin[:, :, None] + distance[:, None] * rays.direction[:, :, None]
    array = labels.array[0]
    masks = np.stack([array == MYOCARDIUM, array == BLOOD_POOL]).astype(np.float32)
    if not masks[0].any():
        raise AnalysisError("The labels hold no myocardium (label 1); a polar map needs a wall to sample.")
    wall, pool = geometry.sample(labels.with_array(masks), points)
    thickness = wall.sum(axis=-1, dtype=np.float64) * _STEP_MM
    rim = pool.sum(axis=-1, dtype=np.float64) * _STEP_MM
    present = thickness >= _MIN_WALL_MM
    radius = (wall @ distance) * _STEP_MM / np.maximum(thickness, 1e-6)
    typical = float(np.median(thickness[present])) if present.any() else 10.0
    from_pool = ~present & (rim >= 4.0)
    radius = np.where(from_pool, rim + 0.5 * typical, radius)
    return radius, thickness, np.where(present, 1.0, np.where(from_pool, 0.25, 0.0))


def _basis(coordinate: Float, taper: Float, angles: int, modulus: int) -> Float:
    """Give the (rays, terms) matrix: cosines along the profile x harmonics round it, single-valued at the pole."""
    profile = np.cos(np.pi * coordinate[:, None] * np.arange(_COSINES))
    phase = 2.0 * np.pi * np.arange(angles) / modulus
    columns = []
    for k in range(_HARMONICS + 1):
        radial = profile * (taper[:, None] ** min(k, 2))
        waves = [np.ones(angles)] if k == 0 else [np.cos(k * phase), np.sin(k * phase)]
        columns += [np.einsum("sc,a->sac", radial, wave).reshape(-1, _COSINES) for wave in waves]
    return np.concatenate(columns, axis=1)


def _penalty() -> Float:
    """Weigh each term by its curvature, so that gaps close smoothly: (terms,)."""
    rows = []
    for k in range(_HARMONICS + 1):
        bend = np.arange(_COSINES, dtype=np.float64) ** 4 + k**4
        rows += [bend] if k == 0 else [bend, bend]
    return 1e-4 * np.concatenate(rows)


def _robust_fit(basis: Float, values: Float, weight: Float, penalty: Float) -> Float:
    """Solve the penalised least squares, twice re-weighted by Tukey's biweight against stray labels."""
    robust: Float = weight.astype(np.float64)
    coefficients: Float = np.zeros(basis.shape[1])
    for _ in range(3):
        weighted = basis * robust[:, None]
        normal = weighted.T @ basis
        normal[np.diag_indices_from(normal)] += penalty * robust.sum()
        coefficients = np.linalg.solve(normal, weighted.T @ values)
        residual = np.abs(basis @ coefficients - values)
        scale = 6.0 * max(float(np.median(residual[weight > 0.5])), 0.5)
        robust = weight * np.clip(1.0 - (residual / scale) ** 2, 0.0, None) ** 2
    return coefficients


def _resample(
    frame: LVFrame, radius_terms: Float, thickness_terms: Float, weight: Float, *, rings: int, angles: int
) -> WallSurface:
    """Evaluate the series on a dense profile and step along it at equal arc."""
    dense = np.linspace(0.0, 1.0, 8 * rings + 1)
    rays = _rays(frame, dense, np.arange(angles) * (360.0 / angles))
    basis = _basis(dense, rays.taper, angles, angles)
    radius = np.maximum((basis @ radius_terms).reshape(dense.size, angles), 1.0)
    thickness = (basis @ thickness_terms).reshape(dense.size, angles)
    points = rays.origin + radius[..., None] * rays.direction
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    arc = np.concatenate([np.zeros((1, angles)), np.cumsum(steps, axis=0)])
    wanted = (np.arange(rings) + 0.5) / rings
    place = np.stack([np.interp(wanted * arc[-1, a], arc[:, a], np.arange(dense.size)) for a in range(angles)], axis=1)
    low = np.minimum(place.astype(np.int64), dense.size - 2)
    part = (place - low)[..., None]
    column = np.arange(angles)
    mid = points[low, column] * (1 - part) + points[low + 1, column] * part
    normal = _normals(points)
    normal = normal[low, column] * (1 - part) + normal[low + 1, column] * part
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    direction = rays.direction[low, column] * (1 - part) + rays.direction[low + 1, column] * part
    slant = np.abs(np.einsum("rai,rai->ra", normal, direction))
    along_ray = thickness[low, column] * (1 - part[..., 0]) + thickness[low + 1, column] * part[..., 0]
    nearest = np.rint(place / (dense.size - 1) * (weight.shape[0] - 1)).astype(np.int64)
    turn = np.rint(column * weight.shape[1] / angles).astype(np.int64) % weight.shape[1]
    return WallSurface(mid, normal, np.maximum(along_ray * slant, _MIN_WALL_MM), weight[nearest, turn] > 0.5)


def _normals(points: Float) -> Float:
    """Give the outward unit normals of a dense (profile, angles, 3) surface; the pole takes its neighbours' mean."""
    along = np.gradient(points, axis=0)
    around = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    normal = np.cross(along, around)
    normal[0] = normal[1].mean(axis=0)
    return np.asarray(normal / np.linalg.norm(normal, axis=-1, keepdims=True))
