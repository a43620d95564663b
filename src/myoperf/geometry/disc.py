"""The disc on which a polar map is shown: anterior up, septum left, inferior down, lateral right."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.types import Float


def disc_image(values: ArrayLike, size: int = 256, *, order: int = 1, edges: Float | None = None) -> Float:
    """Draw a polar map as a picture of shape (size, size), row 0 on top, NaN outside the disc.

    Parameters
    ----------
    values
        Shape (rings, angles), ring 0 in the middle.
    order
        1 smooth, 0 for values that must not be mixed (phases, numbers of segments).
    edges
        Shape (rings + 1,): radius of the edges of the rings, 0 in the middle to 1 at the rim
        (`myoperf.polar.ring_radii`); rings of equal width by default.

    Raises
    ------
    InputError
        For a gated map: its gates are drawn one by one.
    """
    grid = np.asarray(values, dtype=np.float64)
    if grid.ndim != 2:
        raise InputError(f"A disc shows one polar map (rings, angles); got shape {grid.shape}.")
    radius, angle = disc_places(size)
    fraction = radius if edges is None else np.interp(radius, edges, np.linspace(0.0, 1.0, grid.shape[0] + 1))
    return np.where(radius <= 1.0, sample_disc(grid, fraction, angle, order=order), np.nan)


@lru_cache(maxsize=4)
def disc_places(size: int) -> tuple[Float, Float]:
    """Give the radius (1 at the rim) and the angle (degrees, 0 anterior, 90 septal) of each pixel: two (size, size)."""
    edge = (np.arange(size) + 0.5) * (2.0 / size) - 1.0
    right, down = np.meshgrid(edge, edge)
    radius, angle = np.hypot(right, down), np.rad2deg(np.arctan2(-right, -down)) % 360.0
    for places in (radius, angle):
        places.setflags(write=False)  # shared by every picture of this size
    return radius, angle


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
