"""The disc on which a polar map is shown: anterior up, septum left, inferior down, lateral right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from myoperf.types import Float

__all__ = ["disc_places", "sample_disc"]


def disc_places(size: int) -> tuple[Float, Float]:
    """Give the radius (1 at the rim) and the angle (degrees, 0 anterior, 90 septal) of each pixel: two (size, size)."""
    edge = (np.arange(size) + 0.5) * (2.0 / size) - 1.0
    right, down = np.meshgrid(edge, edge)
    return np.hypot(right, down), np.rad2deg(np.arctan2(-right, -down)) % 360.0


def sample_disc(values: ArrayLike, fraction: ArrayLike, angle_deg: ArrayLike, *, order: int = 1) -> Float:
    """Read a polar map between its samples, periodic in the angle.

    Parameters
    ----------
    values
        Shape (rings, angles); ring i lies at the fraction (i + 0.5) / rings.
    fraction
        0 at the apex to 1 at the mitral plane; before the first ring and after the last their values hold.
    angle_deg
        0 anterior, 90 septal.
    order
        1 linear, 0 the nearest sample, for values that must not be mixed (phases, numbers of segments).

    Returns
    -------
    Shape of `fraction` and `angle_deg` broadcast, float64.
    """
    grid = np.asarray(values, dtype=np.float64)
    rings, angles = grid.shape
    closed = np.concatenate([grid, grid[:, :1]], axis=1)
    place, angle = np.broadcast_arrays(np.asarray(fraction, np.float64), np.asarray(angle_deg, np.float64))
    ring = np.clip(place.ravel() * rings - 0.5, 0.0, rings - 1.0)
    turn = angle.ravel() % 360.0 * (angles / 360.0)
    return np.asarray(ndimage.map_coordinates(closed, [ring, turn], order=order, mode="nearest")).reshape(place.shape)
