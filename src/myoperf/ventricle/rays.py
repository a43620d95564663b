"""The one layout of rays through the left ventricle's wall, and what follows from distances along them.

Rays leave a hub on the long axis: to all sides of the apical part (the cap) and, at right angles
to the axis, along the basal part (the tube), the hybrid layout of Garcia et al. (J Nucl Med
1990;31:1768). A surface of the wall is then an array of distances (rings, angles); ring 0 is the
most apical, angle 0 is anterior and rises through the septum. Finding, labelling, unrolling and
following the ventricle through the beat all use this layout; they differ in where they place rings.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from myoperf.types import Float, LVFrame

ANGLES = 36
CAP_TILT_RAD = (np.arange(12) + 0.5) * (0.5 * np.pi / 12)
"""Tilts of the cap's rings by default: the centres of equal steps, so that each ray stands for a solid angle."""
TUBE_STEP_MM, PAST_BASE_MM = 3.0, 21.0
"""The tube runs on past the mitral plane by default, so that a valve that moves can be followed."""


@dataclass(frozen=True, eq=False)
class Rays:
    """Where each ray starts and where it goes.

    Attributes
    ----------
    hub_mm
        Shape (3,), LPS: the point on the long axis from which the cap's rays leave.
    axis
        Shape (3,): unit vector from apex to base.
    spokes
        Shape (angles, 3): unit vectors at right angles to the axis; 0 anterior, rising through the septum.
    tilt_rad
        Shape (rings,): angle between ray and the direction to the apex; pi/2 along the tube.
    height_mm
        Shape (rings,): where on the axis the ray starts, above the hub towards the base; 0 in the cap.
    cap_rings
        Number of rings in the cap; the tube's follow.
    base_mm
        Height of the frame's mitral plane above the hub.
    """

    hub_mm: Float
    axis: Float
    spokes: Float
    tilt_rad: Float
    height_mm: Float
    cap_rings: int
    base_mm: float

    @property
    def angles(self) -> int:
        """Number of rays in a ring."""
        return len(self.spokes)

    @property
    def angle_rad(self) -> Float:
        """Shape (angles,): 0 anterior, rising through the septum."""
        return np.asarray(np.arange(self.angles) * (2.0 * np.pi / self.angles))

    @property
    def tube_step_mm(self) -> float:
        """Distance between the rings of the tube, where they are equally spaced."""
        return float(self.height_mm[self.cap_rings + 1] - self.height_mm[self.cap_rings])

    @property
    def profile(self) -> Float:
        """Shape (rings,): 0 at the apex to 0.5 at the hub by tilt, to 1 at the last ring by height."""
        return np.where(
            self.height_mm > 0, 0.5 + 0.5 * self.height_mm / self.height_mm.max(initial=1e-9), self.tilt_rad / np.pi
        )

    @cached_property
    def origin_mm(self) -> Float:
        """Shape (rings, 1, 3), LPS."""
        return np.asarray(self.hub_mm + self.height_mm[:, None, None] * self.axis)

    @cached_property
    def direction(self) -> Float:
        """Shape (rings, angles, 3), unit vectors."""
        tilt = self.tilt_rad[:, None, None]
        return np.asarray(np.sin(tilt) * self.spokes - np.cos(tilt) * self.axis)

    @cached_property
    def derivative(self) -> Float:
        """Shape (rings, rings): the matrix that derives values by the tilt in the cap, by the height in the tube."""
        cap, rings = self.cap_rings, self.tilt_rad.size
        matrix = np.zeros((rings, rings))
        matrix[:cap, :cap] = np.gradient(np.eye(cap), self.tilt_rad[:cap], axis=0)
        matrix[cap:, cap:] = np.gradient(np.eye(rings - cap), self.tube_step_mm, axis=0)
        return matrix

    @property
    def cap_solid_angle(self) -> Float:
        """Shape (cap rings, 1): solid angle (sr) that each ray of the cap stands for."""
        tilt = self.tilt_rad[: self.cap_rings]
        edges = np.concatenate([[0.0], 0.5 * (tilt[:-1] + tilt[1:]), [0.5 * np.pi]])
        return np.asarray(-np.diff(np.cos(edges))[:, None] * (2.0 * np.pi / self.angles))

    def points(self, distance_mm: Float) -> Float:
        """Return LPS points at distances (..., rings, angles) along the rays: (..., rings, angles, 3)."""
        return np.asarray(self.origin_mm + distance_mm[..., None] * self.direction)

    def sweep(self, distance_mm: Float) -> Float:
        """Return LPS points at the same distances (n,) along every ray: (n, rings, angles, 3)."""
        return np.asarray(self.origin_mm + distance_mm[:, None, None, None] * self.direction)

    def arc_mm(self, distance_mm: Float) -> Float:
        """Return the arc along a surface (rings, angles), from the apex to each ring at constant angle.

        The first ring's arc is its distance from the axis.
        """
        radius = distance_mm * np.sin(self.tilt_rad)[:, None]
        height = self.height_mm[:, None] - distance_mm * np.cos(self.tilt_rad)[:, None]
        steps = np.hypot(np.diff(radius, axis=0), np.diff(height, axis=0))
        return np.asarray(np.concatenate([radius[:1], radius[:1] + np.cumsum(steps, axis=0)]))

    def locate(self, points_mm: Float) -> tuple[Float, Float, Float, Float]:
        """Return where LPS points (n, 3) lie among the rays: four arrays (n,).

        Returns
        -------
        ring, angle
            Fractional indices, ring clipped to the first and last.
        distance_mm
            Along the ray through the point.
        height_mm
            Along the axis above the hub, negative in the cap.
        """
        offset = points_mm - self.hub_mm
        height = offset @ self.axis
        radial = offset - height[:, None] * self.axis
        across = np.linalg.norm(radial, axis=1)
        septal = np.cross(self.spokes[0], self.axis)
        turn = np.arctan2(radial @ septal, radial @ self.spokes[0]) % (2 * np.pi) * (self.angles / (2 * np.pi))
        tilt, cap = np.arctan2(across, np.maximum(-height, 0.0)), self.cap_rings
        ring = np.where(
            height < 0,
            np.interp(tilt, self.tilt_rad[: cap + 1], np.arange(cap + 1)),
            np.interp(height, self.height_mm[cap:], np.arange(cap, self.height_mm.size)),
        )
        return ring, turn, np.where(height < 0, np.hypot(across, height), across), height


def lay_rays(
    frame: LVFrame,
    *,
    angles: int = ANGLES,
    hub_mm: float | None = None,
    cap_tilt_rad: Float = CAP_TILT_RAD,
    tube_height_mm: Float | None = None,
) -> Rays:
    """Lay rays through a ventricle.

    Parameters
    ----------
    frame
        Its pose.
    angles
        Rays in a ring.
    hub_mm
        Distance of the hub from the apex; half the long axis when None.
    cap_tilt_rad
        Shape (cap rings,): tilts of the cap's rings, rising, below pi/2; 0 points at the apex.
    tube_height_mm
        Shape (tube rings,): heights of the tube's rings above the hub, rising; every 3 mm to 21 mm
        past the mitral plane when None.
    """
    hub = 0.5 * frame.length_mm if hub_mm is None else hub_mm
    base = frame.length_mm - hub
    if tube_height_mm is None:
        tube_height_mm = np.arange(int((base + PAST_BASE_MM) / TUBE_STEP_MM) + 1) * TUBE_STEP_MM
    turn = np.arange(angles) * (2.0 * np.pi / angles)
    spokes = np.cos(turn)[:, None] * frame.anterior + np.sin(turn)[:, None] * frame.septal
    tilts = np.concatenate([cap_tilt_rad, np.full(tube_height_mm.size, 0.5 * np.pi)])
    heights = np.concatenate([np.zeros(cap_tilt_rad.size), tube_height_mm])
    return Rays(frame.apex_mm + hub * frame.axis, frame.axis, spokes, tilts, heights, cap_tilt_rad.size, base)


class HasMidWall(Protocol):
    """A polar map, or the surface that it was sampled on."""

    @property
    def mid_wall_mm(self) -> Float:
        """Shape (rings, angles, 3): LPS positions, ring 0 at the apex, angle 0 anterior."""


def mid_wall_on_rays(rays: Rays, surface: HasMidWall) -> Float:
    """Return the distance (rings, angles) at which each ray meets a mid-wall; constant past its rim."""
    mid_wall = surface.mid_wall_mm
    local = mid_wall - rays.hub_mm
    height = local @ rays.axis
    radius = np.linalg.norm(local - height[..., None] * rays.axis, axis=-1)
    out = np.empty(rays.direction.shape[:2])
    cap = rays.cap_rings
    for column in range(rays.angles):
        place = column * mid_wall.shape[1] / rays.angles
        low, part = int(place) % mid_wall.shape[1], place - int(place)
        high = (low + 1) % mid_wall.shape[1]
        z = height[:, low] * (1 - part) + height[:, high] * part
        r = radius[:, low] * (1 - part) + radius[:, high] * part
        tilt = np.arctan2(r, -z)
        order = np.argsort(tilt)
        out[:cap, column] = np.interp(rays.tilt_rad[:cap], tilt[order], np.hypot(z, r)[order])
        order = np.argsort(z)
        out[cap:, column] = np.interp(rays.height_mm[cap:], z[order], r[order])
    return out


def equal_arc_rings(rays: Rays, distance_mm: Float, *, rings: int, rim_mm: Float | None = None) -> Float:
    """Return where the rings of a polar map lie among the rays' rings: fractional indices (rings, angles).

    Ring i of the polar map stands for the fraction (i + 0.5) / rings of the surface's arc from apex to rim.

    Parameters
    ----------
    distance_mm
        Shape (rays' rings, angles): the surface.
    rings
        Of the polar map.
    rim_mm
        Shape (angles,): height of the valve plane above the hub; the rays' last ring when None.
    """
    arc = rays.arc_mm(distance_mm)
    whole = arc[-1]
    if rim_mm is not None:
        tube = rays.height_mm[rays.cap_rings :]
        at_rim = rays.cap_rings + np.interp(rim_mm, tube, np.arange(tube.size))
        whole = at_rings(arc, at_rim[None])[0]
    sought = ((np.arange(rings) + 0.5) / rings)[:, None] * whole
    low = np.clip((arc[:, None] <= sought).sum(axis=0) - 1, 0, len(arc) - 2)
    before, after = np.take_along_axis(arc, low, 0), np.take_along_axis(arc, low + 1, 0)
    return np.asarray(low + np.clip((sought - before) / np.maximum(after - before, 1e-12), 0.0, 1.0))


def at_rings(values: Float, ring: Float) -> Float:
    """Interpolate values (rays' rings, angles, ...) linearly at fractional rings (n, angles): (n, angles, ...)."""
    low = np.minimum(ring.astype(np.int64), len(values) - 2)
    part = (ring - low).reshape(*ring.shape, *(1,) * (values.ndim - 2))
    column = np.arange(values.shape[1])
    return np.asarray(values[low, column] * (1 - part) + values[low + 1, column] * part)


def _integrate_tube(rays: Rays, values: Float, rim_mm: Float) -> Float:
    """Integrate (..., tube rings, angles) over height from the hub to the rim (..., angles): shape (..., angles)."""
    step = rays.tube_step_mm
    sums = np.zeros_like(values, dtype=np.float64)
    sums[..., 1:, :] = np.cumsum(0.5 * step * (values[..., 1:, :] + values[..., :-1, :]), axis=-2)
    place = np.clip(rim_mm / step, 0.0, values.shape[-2] - 1.0)
    low = np.minimum(place.astype(np.int64), values.shape[-2] - 2)[..., None, :]
    part = place[..., None, :] - low
    first, second = np.take_along_axis(values, low, -2), np.take_along_axis(values, low + 1, -2)
    # Within the last step: the trapezium up to the rim.
    rest = part * step * (first + 0.5 * part * (second - first))
    return np.asarray((np.take_along_axis(sums, low, -2) + rest)[..., 0, :])


def cavity_ml(rays: Rays, inner_mm: Float, rim_mm: Float) -> Float:
    """Integrate the volume inside a surface, up to the rim.

    Parameters
    ----------
    rays
        With the default cap and an evenly spaced tube (`lay_rays`).
    inner_mm
        Shape (..., rings, angles): distance of the surface along each ray.
    rim_mm
        Shape (..., angles): height of the valve plane above the hub.

    Returns
    -------
    Millilitres, shape (...).
    """
    cap = rays.cap_rings
    ball = (rays.cap_solid_angle * inner_mm[..., :cap, :] ** 3).sum(axis=(-2, -1)) / 3.0
    tube = _integrate_tube(rays, 0.5 * inner_mm[..., cap:, :] ** 2, rim_mm).sum(axis=-1) * (2.0 * np.pi / rays.angles)
    return np.asarray((ball + tube) / 1000.0)


def mid_wall_area_mm2(rays: Rays, middle_mm: Float, rim_mm: Float) -> Float:
    """Integrate the area of a surface up to the rim; parameters as for `cavity_ml`, shape (...)."""
    cap = rays.cap_rings
    slope = slant(rays, middle_mm)
    ball = (rays.cap_solid_angle * middle_mm[..., :cap, :] ** 2 * slope[..., :cap, :]).sum(axis=(-2, -1))
    tube = _integrate_tube(rays, middle_mm[..., cap:, :] * slope[..., cap:, :], rim_mm).sum(axis=-1)
    return np.asarray(ball + tube * (2.0 * np.pi / rays.angles))


def slant(rays: Rays, distance_mm: Float) -> Float:
    """Return 1 / cosine of the angle between ray and surface normal, shape as `distance_mm` (..., rings, angles)."""
    around = (np.roll(distance_mm, -1, axis=-1) - np.roll(distance_mm, 1, axis=-1)) / (4.0 * np.pi / rays.angles)
    along = rays.derivative @ distance_mm
    along[..., : rays.cap_rings, :] /= distance_mm[..., : rays.cap_rings, :]
    # Near the pole a ring shrinks to a point: its girth is held and the slope round it limited to 45 degrees.
    girth = distance_mm * np.maximum(np.sin(rays.tilt_rad), 0.05)[:, None]
    return np.asarray(np.sqrt(1.0 + along**2 + np.clip(around / girth, -1.0, 1.0) ** 2))
