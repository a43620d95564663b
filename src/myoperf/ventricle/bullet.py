"""The shape looked for: a bullet, that is half an ellipsoid (the apex) going over into a cylinder (the base).

All lengths are millimetres, all positions LPS. The bullet describes the mid-wall; its axial
coordinate is 0 at the hub (the centre of the half ellipsoid), negative towards the apex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from myoperf.types import Float, LVFrame

__all__ = ["ANGLES", "HEAD", "TYPICAL_AXIS", "Bullet", "Nodes", "anterior_direction", "bullet_nodes", "unit"]


HEAD = np.array([0.0, 0.0, 1.0])
"""LPS direction towards the patient's head."""

TYPICAL_AXIS = np.array([-0.58, 0.70, 0.42]) / np.linalg.norm([0.58, 0.70, 0.42])
"""Apex to base in a typical chest: to the right, back and up (45 degrees of azimuth, some 25 of elevation)."""

ANGLES = 32
"""Samples round the long axis."""


def unit(vector: ArrayLike) -> Float:
    """Scale vectors (..., 3) to length one."""
    array = np.asarray(vector, dtype=np.float64)
    return np.asarray(array / np.linalg.norm(array, axis=-1, keepdims=True))


def anterior_direction(axis: ArrayLike) -> Float:
    """Give the anterior direction of a long axis from the patient's axes alone.

    Clinical reorientation turns the transaxial stack about the patient's length (azimuth) and then
    tilts it (elevation); there is no third turn. The picture's "up" is then the projection of the
    direction to the head onto the short-axis plane, and that is the rule here. For a left ventricle
    that points left, forward and down it puts the septum to the patient's right and front and the
    lateral wall to the left and back. It does not look for the right ventricle.

    Parameters
    ----------
    axis
        (3,) LPS direction from apex to base.
    """
    long_axis = unit(axis)
    up = HEAD - long_axis * (HEAD @ long_axis)
    if np.linalg.norm(up) < 1e-3:  # upright heart: the anterior wall faces the front
        front = np.array([0.0, -1.0, 0.0])
        up = front - long_axis * (front @ long_axis)
    return unit(up)


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

    @property
    def length_mm(self) -> float:
        """Apex to mitral plane."""
        return self.cap_mm + self.base_mm

    def frame(self) -> LVFrame:
        """Give the pose with the anterior direction of `anterior_direction`."""
        axis = unit(self.axis)
        apex, base = self.hub_mm - self.cap_mm * axis, self.hub_mm + self.base_mm * axis
        return LVFrame(apex, base, anterior_direction(axis))


@dataclass(frozen=True, eq=False)
class Nodes:
    """Rays through the wall: every wall point is ``origins + radius * directions``.

    Parameters
    ----------
    origins, directions
        (rings, angles, 3). Ring 0 points at the apex; rays fan out from the hub over the cap and stand
        at right angles to the axis beyond it. Angle 0 is anterior and rises through the septum.
    radius_mm
        (rings, angles) of the bullet.
    depth_mm
        (rings,): arc length along the bullet from the apex.
    cap_rings
        How many rings fan out from the hub.
    """

    origins: Float
    directions: Float
    radius_mm: Float
    depth_mm: Float
    cap_rings: int


def bullet_nodes(bullet: Bullet, anterior: ArrayLike, *, step_mm: float = 4.0, beyond_mm: float = 0.0) -> Nodes:
    """Lay rays over a bullet, `beyond_mm` past its mitral plane, about `step_mm` apart along the wall."""
    axis, up = unit(bullet.axis), unit(anterior)
    lateral = np.cross(axis, up)
    turn = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    spoke = np.cos(turn)[:, None] * up - np.sin(turn)[:, None] * lateral
    arc = 0.5 * np.pi * np.sqrt(0.5 * (bullet.radius_mm**2 + bullet.cap_mm**2))
    cap_rings = max(4, round(arc / step_mm))
    rim = max(1, 1 + int((bullet.base_mm + beyond_mm) / step_mm))
    tilt = np.linspace(0.0, np.pi / 2, cap_rings, endpoint=False)
    fan = -np.cos(tilt)[:, None, None] * axis + np.sin(tilt)[:, None, None] * spoke
    fan_radius = 1.0 / np.sqrt((np.cos(tilt) / bullet.cap_mm) ** 2 + (np.sin(tilt) / bullet.radius_mm) ** 2)
    shift = np.arange(rim) * step_mm
    origins = np.concatenate(
        [
            np.broadcast_to(bullet.hub_mm, (cap_rings, ANGLES, 3)),
            np.broadcast_to((bullet.hub_mm + shift[:, None] * axis)[:, None], (rim, ANGLES, 3)),
        ]
    )
    directions = np.concatenate([fan, np.broadcast_to(spoke, (rim, ANGLES, 3))])
    radius = np.concatenate([fan_radius, np.full(rim, bullet.radius_mm)])
    points = np.stack([fan_radius * np.cos(tilt), fan_radius * np.sin(tilt)], axis=1)
    points = np.concatenate([points, [[0.0, bullet.radius_mm]]])
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    depth = np.concatenate([[0.0], np.cumsum(steps)])
    depth = np.concatenate([depth, depth[-1] + shift[1:]])
    return Nodes(origins, directions, np.repeat(radius[:, None], ANGLES, axis=1), depth, cap_rings)
