"""Stacks of planes: orientation, position and step from the header to an affine."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from myoperf.errors import GeometryError
from myoperf.geometry import affine_from_axes
from myoperf.types import Float

__all__ = ["NOMINAL_SHORT_AXIS", "is_transaxial", "plane_axes", "stack_affine"]


def plane_axes(cosines: ArrayLike, name: str) -> Float:
    """Give the unit vectors (normal, down the rows, along the columns), shape (3, 3), of Image Orientation.

    The normal is the cross product of the direction along a row and down a column (PS3.3 C.7.6.2.1.1).

    Raises
    ------
    GeometryError
        When the two directions are missing, no unit vectors or not at right angles.
    """
    values = np.asarray(cosines, dtype=np.float64)
    if values.shape != (6,):
        raise GeometryError(f"{name}: Image Orientation is missing; a volume's orientation is never guessed.")
    along, down = values[:3], values[3:]
    lengths = np.linalg.norm(along), np.linalg.norm(down)
    if not np.allclose(lengths, 1.0, atol=0.02) or abs(along @ down) > 0.02:
        raise GeometryError(f"{name}: Image Orientation is not two unit vectors at right angles.")
    along = along / lengths[0]
    down = down - along * (along @ down)
    down = down / np.linalg.norm(down)
    return np.stack([np.cross(along, down), down, along])


def stack_affine(axes: Float, origin_mm: ArrayLike, step_mm: float, spacing_mm: tuple[float, float]) -> Float:
    """Lay planes along their normal; a negative step stacks against it (PS3.3 C.8.4.15, Spacing Between Slices)."""
    return np.asarray(affine_from_axes(origin_mm, axes, (step_mm, *spacing_mm)), dtype=np.float64)


def is_transaxial(axes: Float) -> bool:
    """Whether the planes' normal is within 15 degrees of the patient's long axis."""
    return bool(abs(axes[0][2]) > np.cos(np.deg2rad(15.0)))


def _nominal() -> Float:
    """Build the axes (apex to base, anterior to inferior, septal to lateral) of an ordinary heart."""
    axis = np.array([-0.66, 0.62, 0.42])
    axis /= np.linalg.norm(axis)
    inferior = np.array([0.0, 0.0, -1.0])
    inferior -= axis * (axis @ inferior)
    inferior /= np.linalg.norm(inferior)
    return np.stack([axis, inferior, np.cross(axis, -inferior)])


NOMINAL_SHORT_AXIS = _nominal()
"""Axes given to short-axis slices whose file has no patient space, rows (plane, row, column).

The convention: planes from apex to base, rows from anterior to inferior, columns from septal to
lateral; the apex points to the left, forwards and down as in most patients. Directions on the
patient are nominal then, which a Finding says; everything measured within the heart is not touched.
"""
