"""Rays through the wall of the left ventricle, and volumes from distances along them.

Rays leave a hub on the long axis: to all sides of the apical half (a spherical cap) and at right
angles to the axis along the basal half (a tube), the hybrid layout of Garcia et al. (J Nucl Med
1990;31:1768). The tube runs on past the mitral plane so that a valve that moves can be followed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myoperf.errors import AnalysisError
from myoperf.types import Float, LVFrame, PolarMap

__all__ = ["Rays", "cavity_ml", "lay_rays", "mid_wall_area_mm2", "mid_wall_on_rays"]


ANGLES = 36
CAP_RINGS = 12
TUBE_STEP_MM = 3.0
PAST_BASE_MM = 21.0


@dataclass(frozen=True, eq=False)
class Rays:
    """Where each ray starts and where it goes.

    Attributes
    ----------
    origin_mm
        Shape (rings, 1, 3), LPS.
    direction
        Shape (rings, angles, 3), unit vectors.
    turn_rad
        Shape (rings,): angle of the ray to the apexward axis; pi/2 along the tube.
    height_mm
        Shape (rings,): height of the origin above the hub towards the base; 0 in the cap.
    cap_rings
        The first so many rings are the cap.
    base_mm
        Height of the frame's mitral plane above the hub.
    """

    frame: LVFrame
    origin_mm: Float
    direction: Float
    turn_rad: Float
    height_mm: Float
    cap_rings: int
    base_mm: float

    @property
    def angle_rad(self) -> Float:
        """Shape (angles,): 0 anterior, rising through the septum."""
        angles = self.direction.shape[1]
        return np.asarray(np.arange(angles) * (2.0 * np.pi / angles))

    def points(self, distance_mm: Float) -> Float:
        """Give LPS points at distances (..., rings, angles) along the rays: (..., rings, angles, 3)."""
        return np.asarray(self.origin_mm + distance_mm[..., None] * self.direction)


def lay_rays(frame: LVFrame, *, angles: int = ANGLES) -> Rays:
    """Lay rays over a ventricle: the hub half-way down its long axis, the tube to 21 mm past the base."""
    if frame.length_mm < 30.0:
        raise AnalysisError(
            f"The left ventricle's long axis is {frame.length_mm:.0f} mm; function needs 30 mm. Check the frame."
        )
    turn = np.arange(angles) * (2.0 * np.pi / angles)
    across = np.cos(turn)[:, None] * frame.anterior + np.sin(turn)[:, None] * frame.septal
    base = 0.5 * frame.length_mm
    polar = (np.arange(CAP_RINGS) + 0.5) * (0.5 * np.pi / CAP_RINGS)
    height = np.arange(int((base + PAST_BASE_MM) / TUBE_STEP_MM) + 1) * TUBE_STEP_MM
    turns = np.concatenate([polar, np.full(height.size, 0.5 * np.pi)])
    heights = np.concatenate([np.zeros(CAP_RINGS), height])
    direction = np.sin(turns)[:, None, None] * across - np.cos(turns)[:, None, None] * frame.axis
    origin = frame.centre_mm + heights[:, None] * frame.axis
    return Rays(frame, origin[:, None], direction, turns, heights, CAP_RINGS, base)


def mid_wall_on_rays(rays: Rays, polar: PolarMap) -> Float:
    """Read the distance (rings, angles) at which each ray meets a polar map's mid-wall; constant past its rim."""
    frame = rays.frame
    local = polar.mid_wall_mm - frame.centre_mm
    height = local @ frame.axis
    radius = np.linalg.norm(local - height[..., None] * frame.axis, axis=-1)
    wanted = np.arange(rays.direction.shape[1]) * (polar.angles / rays.direction.shape[1])
    out = np.empty(rays.direction.shape[:2])
    cap = rays.cap_rings
    for column, place in enumerate(wanted):
        low, part = int(place) % polar.angles, place - int(place)
        high = (low + 1) % polar.angles
        z = height[:, low] * (1 - part) + height[:, high] * part
        r = radius[:, low] * (1 - part) + radius[:, high] * part
        turn = np.arctan2(r, -z)
        order = np.argsort(turn)
        out[:cap, column] = np.interp(rays.turn_rad[:cap], turn[order], np.hypot(z, r)[order])
        order = np.argsort(z)
        out[cap:, column] = np.interp(rays.height_mm[cap:], z[order], r[order])
    return out


def _tube(rays: Rays, values: Float, rim_mm: Float) -> Float:
    """Integrate (..., tube rings, angles) along the tube from the hub to heights rim (..., angles)."""
    steps = np.diff(rays.height_mm[rays.cap_rings :])[:, None]
    sums = np.concatenate(
        [
            np.zeros((*values.shape[:-2], 1, values.shape[-1])),
            np.cumsum(0.5 * (values[..., 1:, :] + values[..., :-1, :]) * steps, axis=-2),
        ],
        axis=-2,
    )
    place = np.clip(rim_mm / TUBE_STEP_MM, 0.0, values.shape[-2] - 1.0)
    low = np.minimum(place.astype(np.int64), values.shape[-2] - 2)[..., None, :]
    part = place[..., None, :] - low
    first, second = np.take_along_axis(values, low, -2), np.take_along_axis(values, low + 1, -2)
    value = first + 0.5 * part * (second - first)
    whole = np.take_along_axis(sums, low, -2) + part * TUBE_STEP_MM * value
    return np.asarray(whole[..., 0, :])


def cavity_ml(rays: Rays, inner_mm: Float, rim_mm: Float) -> Float:
    """Integrate the volume inside a surface, up to a rim.

    Parameters
    ----------
    inner_mm
        Shape (..., rings, angles): distance of the surface along each ray.
    rim_mm
        Shape (..., angles): height of the valve plane above the hub.

    Returns
    -------
    Millilitres, shape (...).
    """
    cap, angles = rays.cap_rings, rays.direction.shape[1]
    edges = np.linspace(0.0, 0.5 * np.pi, cap + 1)
    solid = (np.cos(edges[:-1]) - np.cos(edges[1:]))[:, None]
    ball = (solid * inner_mm[..., :cap, :] ** 3).sum(axis=(-2, -1)) / 3.0
    tube = _tube(rays, 0.5 * inner_mm[..., cap:, :] ** 2, rim_mm).sum(axis=-1)
    return np.asarray((ball + tube) * (2.0 * np.pi / angles) / 1000.0)


def mid_wall_area_mm2(rays: Rays, middle_mm: Float, rim_mm: Float) -> Float:
    """Integrate the area of a surface up to the rim, shape (...), with its slope against the rays."""
    cap, angles = rays.cap_rings, rays.direction.shape[1]
    step = 2.0 * np.pi / angles
    slope = slant(rays, middle_mm)
    edges = np.linspace(0.0, 0.5 * np.pi, cap + 1)
    solid = (np.cos(edges[:-1]) - np.cos(edges[1:]))[:, None]
    ball = (solid * middle_mm[..., :cap, :] ** 2 * slope[..., :cap, :]).sum(axis=(-2, -1))
    tube = _tube(rays, middle_mm[..., cap:, :] * slope[..., cap:, :], rim_mm).sum(axis=-1)
    return np.asarray((ball + tube) * step)


def slant(rays: Rays, distance_mm: Float) -> Float:
    """Give 1 / cosine between ray and surface normal, shape as `distance_mm` (..., rings, angles)."""
    cap, angles = rays.cap_rings, rays.direction.shape[1]
    step = 2.0 * np.pi / angles
    around = (np.roll(distance_mm, -1, axis=-1) - np.roll(distance_mm, 1, axis=-1)) / (2.0 * step)
    along = np.empty_like(distance_mm)
    along[..., :cap, :] = np.gradient(distance_mm[..., :cap, :], rays.turn_rad[:cap], axis=-2)
    along[..., :cap, :] /= distance_mm[..., :cap, :]
    along[..., cap:, :] = np.gradient(distance_mm[..., cap:, :], TUBE_STEP_MM, axis=-2)
    girth = distance_mm * np.maximum(np.sin(rays.turn_rad), 0.05)[:, None]
    return np.asarray(np.sqrt(1.0 + along**2 + np.clip(around / girth, -1.0, 1.0) ** 2))
