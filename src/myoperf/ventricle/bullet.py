"""The shape of a left ventricle's mid-wall: a bullet, half an ellipsoid (apex) that continues as a cylinder (base).

All lengths are millimetres, all positions LPS. Heights along the axis are measured from the hub,
the centre of the half ellipsoid, and are negative towards the apex.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from myoperf.geometry import anterior_direction, unit
from myoperf.types import Float, LVFrame
from myoperf.ventricle.rays import Rays, lay_rays

TYPICAL_AXIS = np.array([-0.58, 0.70, 0.42]) / np.linalg.norm([0.58, 0.70, 0.42])
"""Apex to base in a typical chest: to the right, back and up (45 degrees of azimuth, some 25 of elevation)."""

ANGLES = 32
"""Rays round the long axis in the search for a ventricle."""


@dataclass(frozen=True, eq=False)
class Bullet:
    """A mid-wall surface.

    Parameters
    ----------
    hub_mm
        (3,) centre of the half ellipsoid.
    axis
        (3,) unit vector from apex to base.
    radius_mm
        Radius of the cylinder and short half axis of the ellipsoid.
    cap_mm
        Long half axis of the ellipsoid: from the apex to the hub.
    base_mm
        Length of the cylinder: from the hub to the mitral plane.
    """

    hub_mm: Float
    axis: Float
    radius_mm: float
    cap_mm: float
    base_mm: float

    def frame(self, anterior: ArrayLike | None = None) -> LVFrame:
        """Return the pose; the anterior direction is that of `anterior_direction` unless given."""
        axis = unit(self.axis)
        apex, base = self.hub_mm - self.cap_mm * axis, self.hub_mm + self.base_mm * axis
        return LVFrame(apex, base, anterior_direction(axis) if anterior is None else np.asarray(anterior))

    def distance_mm(self, points_mm: Float) -> Float:
        """Return the signed distance of points (..., 3) from the surface, negative inside: shape (...).

        Exact on the cylinder; on the ellipsoid measured towards the hub, a little longer than the
        shortest distance. The mitral plane is not a boundary.
        """
        offset = points_mm - self.hub_mm
        along = offset @ self.axis
        across = np.linalg.norm(offset - along[..., None] * self.axis, axis=-1)
        behind = np.minimum(along, 0.0)
        scaled = np.hypot(across / self.radius_mm, behind / self.cap_mm)  # 1 on the surface
        reach = np.hypot(across, behind)
        # At the hub itself the direction is undefined; the radius stands for the distance there.
        return np.asarray((scaled - 1) * np.where(scaled > 0.05, reach / np.maximum(scaled, 0.05), self.radius_mm))

    def radius_along(self, rays: Rays) -> Float:
        """Return where rays from this hub meet the surface: shape (rings, angles)."""
        radius = 1.0 / np.hypot(np.cos(rays.tilt_rad) / self.cap_mm, np.sin(rays.tilt_rad) / self.radius_mm)
        return np.repeat(radius[:, None], rays.angles, axis=1)


def rays_over_bullet(bullet: Bullet, anterior: ArrayLike, *, step_mm: float = 4.0, past_base_mm: float = 0.0) -> Rays:
    """Lay rays from a bullet's hub so that they meet its surface about `step_mm` apart.

    Parameters
    ----------
    anterior
        (3,) direction of angle 0.
    step_mm
        Between rings along the wall; exact on the cylinder.
    past_base_mm
        How far the rings run on past the mitral plane.
    """
    # Arc of a quarter of an ellipse, to about 5 % by the root mean square of its half axes.
    arc = 0.5 * np.pi * np.sqrt(0.5 * (bullet.radius_mm**2 + bullet.cap_mm**2))
    return lay_rays(
        bullet.frame(anterior),
        angles=ANGLES,
        hub_mm=bullet.cap_mm,
        cap_tilt_rad=np.linspace(0.0, 0.5 * np.pi, max(4, round(arc / step_mm)), endpoint=False),
        tube_height_mm=np.arange(max(1, 1 + int((bullet.base_mm + past_base_mm) / step_mm))) * step_mm,
    )
