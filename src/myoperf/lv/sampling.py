"""The grids of the compact network: a volume turned to a pose, and the network's answer turned back.

A pose is a centre (LPS mm) and a rotation (3, 3) whose columns are the directions of long axis, anterior and lateral.
Trainings turn tensors in the same way (`myoperf.research.lv_network.sampling`).
"""

import numpy as np

from myoperf.geometry import affine_from_axes, reslice, transform_points
from myoperf.types import Float, Float32, Volume

CROP, CROP_MM = 40, 4.0
"""The turned grid that is labelled: 160 mm, enough for a dilated ventricle with a pose 20 mm off."""
COARSE, COARSE_MM = 32, 10.0
"""The grid in which the ventricle is located: 320 mm, the heart wherever it lies in a chest."""

_CERTAIN = 20.0
"""Logit of the background outside the turned grid."""


def middle_mm(volume: Volume) -> Float:
    """Return the LPS point (3,) in the middle of a volume's grid."""
    return transform_points(volume.lps_from_index, 0.5 * (np.array(volume.grid_shape) - 1))


def pose_grid(centre_mm: Float, rotation: Float) -> Float:
    """Return ``lps_from_index`` (4, 4) of the CROP x CROP x CROP grid that lies in a pose."""
    first = centre_mm - 0.5 * (CROP - 1) * CROP_MM * rotation.sum(axis=1)
    return affine_from_axes(first, rotation.T, CROP_MM)


def coarse_grid(centre_mm: Float) -> Float:
    """Return ``lps_from_index`` (4, 4) of the coarse grid around a centre, indexed (z, y, x)."""
    return affine_from_axes(centre_mm - 0.5 * (COARSE - 1) * COARSE_MM, np.eye(3)[::-1], COARSE_MM)


def turned(volume: Volume, grid: Float, side: int) -> Float32:
    """Return a volume of one frame on a cube's grid, (side, side, side), in the scale that the network reads."""
    return normalise(reslice(volume, grid, (side, side, side)).array[0])


def normalise(crop: Float32) -> Float32:
    """Divide (D, H, W) by the 99th percentile of its middle ball, not of liver or gut at its rim; cut to 0 to 2.5."""
    side = crop.shape[-1]
    steps = (np.arange(side) - 0.5 * (side - 1)) ** 2
    near = steps[:, None, None] + steps[:, None] + steps < (0.34 * side) ** 2
    top = max(float(np.quantile(crop[near], 0.99)), 1e-6)
    return np.asarray(np.clip(crop / np.float32(top), 0, 2.5))


def probabilities_on(logits: Float32, grid: Float, volume: Volume, box: tuple[slice, slice, slice]) -> Float32:
    """Return the probability of every class (C, D, H, W) in a box of a volume; background outside the turned grid.

    Parameters
    ----------
    logits
        (C, CROP, CROP, CROP).
    grid
        From `pose_grid`.
    """
    onto = volume.lps_from_index.copy()
    onto[:3, 3] = transform_points(onto, np.array([float(side.start) for side in box]))
    background = np.zeros((len(logits), 1, 1, 1), dtype=np.float32)
    background[0] = _CERTAIN  # what reslicing takes for 0
    shape = box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start
    moved = reslice(Volume(logits - background, grid), onto, shape).array + background
    odds = np.exp(moved - moved.max(axis=0))
    return np.asarray(odds / odds.sum(axis=0))
