"""From surfaces to label volumes on the image's own grid."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from myoperf.geometry import index_from_lps, transform_points
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, Volume
from myoperf.ventricle.bullet import ANGLES
from myoperf.ventricle.tracing import Surfaces

__all__ = ["paint_labels", "wall_coordinates"]


def wall_coordinates(surfaces: Surfaces, points_mm: Float) -> tuple[Float, Float, Float, Float]:
    """Give (ring, angle index, distance along the ray, position along the axis from the hub) of LPS points (n, 3)."""
    bullet, nodes = surfaces.bullet, surfaces.nodes
    offset = points_mm - bullet.hub_mm
    along = offset @ bullet.axis
    radial = offset - along[:, None] * bullet.axis
    across = np.linalg.norm(radial, axis=1)
    up = nodes.directions[-1, 0]
    septal = nodes.directions[-1, ANGLES // 4]
    turn = np.arctan2(radial @ septal, radial @ up) % (2 * np.pi) * (ANGLES / (2 * np.pi))
    tilt = np.arctan2(across, np.maximum(-along, 0.0)) / (np.pi / 2) * nodes.cap_rings
    step = float(nodes.depth_mm[-1] - nodes.depth_mm[-2]) if len(nodes.depth_mm) > nodes.cap_rings + 1 else 4.0
    ring = np.where(along < 0, tilt, nodes.cap_rings + along / step)
    return ring, turn, np.where(along < 0, np.hypot(across, along), across), along


def _over_wall(values: Float, ring: Float, turn: Float) -> Float:
    """Interpolate (rings, angles) values, closed round the angles."""
    wrapped = np.concatenate([values, values[:, :1]], axis=1)
    return np.asarray(ndimage.map_coordinates(wrapped, [ring, turn], order=1, mode="nearest"))


def paint_labels(grid: Volume, surfaces: Surfaces) -> Volume:
    """Label every voxel whose centre lies in the wall (1) or the cavity (2), up to the mitral plane.

    Returns
    -------
    uint8, one frame, on the grid of `grid`.
    """
    labels = np.zeros(grid.grid_shape, dtype=np.uint8)
    shell = surfaces.nodes.origins + surfaces.outer_mm[..., None] * surfaces.nodes.directions
    index = transform_points(index_from_lps(grid.lps_from_index), shell.reshape(-1, 3))
    low = np.clip(np.floor(index.min(axis=0)).astype(int) - 1, 0, None)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 2, grid.grid_shape)
    if (high <= low).any():
        return grid.with_array(labels)
    axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    box = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    points = transform_points(grid.lps_from_index, box.reshape(-1, 3))
    ring, turn, distance, along = wall_coordinates(surfaces, points)
    rim = np.interp(turn, np.arange(ANGLES + 1), np.append(surfaces.rim_mm, surfaces.rim_mm[0]))
    inner, outer = (_over_wall(values, ring, turn) for values in (surfaces.inner_mm, surfaces.outer_mm))
    inside = (along <= rim) & (distance <= outer)
    value = np.where(inside, np.where(distance < inner, BLOOD_POOL, MYOCARDIUM), 0).astype(np.uint8)
    labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = value.reshape(box.shape[:3])
    return grid.with_array(labels)
