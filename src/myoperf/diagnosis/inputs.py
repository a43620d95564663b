"""What the polar-map classifier reads: maps on one grid and scale, and clinical values with flags for missing ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from myoperf.errors import InputError
from myoperf.types import Float

GRID = (24, 72)
"""Rings and angles of the classifier's maps."""


def scale_maps(values: ArrayLike) -> Float:
    """Scale maps (..., rings, angles) so that the 98th percentile of each is 1.

    Raises
    ------
    InputError
        If a map has no positive values, or holds NaN or infinite ones.
    """
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise InputError("A polar map holds NaN or infinite values; the classifier needs complete maps.")
    top = np.percentile(array, 98, axis=(-2, -1), keepdims=True)
    if not (top > 0).all():
        raise InputError("A polar map holds no counts, so it cannot be scaled.")
    return array / top


def clinical_row(values: Sequence[float | None], mean: Float, sd: Float) -> Float:
    """Standardise clinical values in the order of `myoperf.diagnosis.network.CLINICAL`.

    Returns
    -------
    Shape (8,): four standardised values, then four flags; a missing value (None or NaN) is 0 with flag 0.
    """
    given = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    known = np.isfinite(given)
    scaled = np.where(known, np.clip((np.where(known, given, mean) - mean) / sd, -4.0, 4.0), 0.0)
    return np.concatenate([scaled, known.astype(np.float64)])


def on_grid(values: ArrayLike) -> Float:
    """Resample a static map of any size to `GRID`: linear along the wall, periodic around it.

    Parameters
    ----------
    values
        Shape (rings, angles).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise InputError(f"The classifier reads static polar maps (rings, angles); got shape {array.shape}.")
    if array.shape == GRID:
        return array
    rings, angles = GRID
    places = (np.arange(rings) + 0.5) / rings * array.shape[0] - 0.5
    along = np.stack([np.interp(places, np.arange(array.shape[0]), column) for column in array.T], axis=1)
    turns = np.arange(angles) / angles
    known = np.arange(array.shape[1]) / array.shape[1]
    return np.stack([np.interp(turns, known, row, period=1.0) for row in along])
