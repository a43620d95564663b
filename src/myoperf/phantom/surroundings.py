"""What attenuates besides the trunk: the couch, and arms that were not raised."""

import numpy as np

from myoperf.phantom.parts import Torso
from myoperf.phantom.records import Grid
from myoperf.types import Float32, Position

_COUCH_PER_MM = 0.0018
"""Carbon skins over foam, averaged: 3.6 % of the photons that cross 20 mm of it."""
_COUCH_MM = (2.0, 22.0, 210.0)
"""Distance of the couch's top and bottom from the back, or from the front of who lies prone, and half its width."""
_ARM_PER_MM = 0.0158
"""Muscle with the share of bone that an upper arm has."""
_ARM_RADIUS_MM, _ARM_GAP_MM = 42.0, 6.0
ARMS_REACH_MM = 2.0 * _ARM_RADIUS_MM + _ARM_GAP_MM
"""How far the arms reach beyond the trunk."""


def add_surroundings(
    mu_per_mm: Float32,
    torso: Torso,
    grid: Grid,
    *,
    couch: bool = False,
    arms_down: bool = False,
    position: Position = "supine",
) -> Float32:
    """Return the attenuation of a trunk with the couch it lies on and the arms beside it.

    Parameters
    ----------
    mu_per_mm
        Shape (planes, rows, columns), 1/mm, on the grid. Where the trunk is, nothing changes.
    """
    if not (couch or arms_down):
        return mu_per_mm
    _, rows, columns = grid.shape
    origin, spacing = grid.lps_from_index[:3, 3], grid.cube_mm
    x = (origin[0] + spacing * np.arange(columns))[None, :]
    y = (origin[1] + spacing * np.arange(rows))[:, None]
    plane = np.zeros((rows, columns), dtype=np.float32)
    if couch:
        top, bottom, half = _COUCH_MM
        below = (y if position == "supine" else -y) - torso.half_depth_mm
        plane[(below >= top) & (below <= bottom) & (np.abs(x) <= half)] = _COUCH_PER_MM
    if arms_down:
        centre = torso.half_width_mm + _ARM_RADIUS_MM + _ARM_GAP_MM
        inside = np.hypot(np.abs(x) - centre, y - 0.25 * torso.half_depth_mm) <= _ARM_RADIUS_MM
        plane[inside] = _ARM_PER_MM
    return np.asarray(np.where(mu_per_mm > 1e-4, mu_per_mm, plane[None]), dtype=np.float32)
