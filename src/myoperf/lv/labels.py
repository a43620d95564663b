"""From surfaces to label volumes on the image's grid."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from myoperf.geometry import index_from_lps, transform_points
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, LVFrame, Volume
from myoperf.ventricle.rays import Rays, lay_rays, mid_wall_on_rays
from myoperf.ventricle.surface import WallSurface


def _over_wall(values: Float, ring: Float, angle: Float) -> Float:
    """Interpolate values (rings, angles) at fractional indices, closed round the angles."""
    closed = np.concatenate([values, values[:, :1]], axis=1)
    return np.asarray(ndimage.map_coordinates(closed, [ring, angle], order=1, mode="nearest"))


def cut_at_rim(labels: Volume, frame: LVFrame, rim_mm: Float) -> Volume:
    """Return labels without what lies past the wall's end.

    Parameters
    ----------
    labels
        Wall and cavity, one frame.
    rim_mm
        Shape (angles,), evenly spaced from anterior through the septum: how far past the mitral plane of `frame` the
        wall ends.
    """
    index = np.argwhere(labels.array[0])
    offset = transform_points(labels.lps_from_index, index) - frame.base_mm
    turn = np.arctan2(offset @ frame.septal, offset @ frame.anterior) % (2 * np.pi) * (len(rim_mm) / (2 * np.pi))
    past = offset @ frame.axis > np.interp(turn, np.arange(len(rim_mm) + 1), np.append(rim_mm, rim_mm[0]))
    array = labels.array[0].copy()
    array[tuple(index[past].T)] = 0
    return labels.with_array(array)


def paint_labels(grid: Volume, rays: Rays, *, inner_mm: Float, outer_mm: Float, rim_mm: Float) -> Volume:
    """Label every voxel whose centre lies in the wall (1) or the cavity (2), up to the mitral plane.

    Parameters
    ----------
    grid
        Any volume on that grid; its values are not used.
    inner_mm, outer_mm
        Shape (rings, angles): limits of the wall along the rays.
    rim_mm
        Shape (angles,): height of the valve plane above the hub.

    Returns
    -------
    uint8, one frame, on the grid of `grid`.
    """
    labels = np.zeros(grid.grid_shape, dtype=np.uint8)
    index = transform_points(index_from_lps(grid.lps_from_index), rays.points(outer_mm).reshape(-1, 3))
    low = np.clip(np.floor(index.min(axis=0)).astype(int) - 1, 0, None)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 2, grid.grid_shape)
    if (high <= low).any():
        return grid.with_array(labels)
    axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    box = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    ring, angle, distance, height = rays.locate(transform_points(grid.lps_from_index, box.reshape(-1, 3)))
    rim = np.interp(angle, np.arange(rays.angles + 1), np.append(rim_mm, rim_mm[0]))
    inner, outer = (_over_wall(values, ring, angle) for values in (inner_mm, outer_mm))
    inside = (height <= rim) & (distance <= outer)
    value = np.where(inside, np.where(distance < inner, BLOOD_POOL, MYOCARDIUM), 0).astype(np.uint8)
    labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = value.reshape(box.shape[:3])
    return grid.with_array(labels)


def follow_limits(
    labels: Volume, frame: LVFrame, before: WallSurface, after: WallSurface, *, rim_mm: Float | None = None
) -> Volume:
    """Return labels that follow the limits of the wall from one surface to another; all other voxels stay.

    Parameters
    ----------
    labels
        Wall and cavity, one frame.
    before, after
        The surface that was fitted to them, and the same with its limits moved.
    rim_mm
        Shape (n,), as for `cut_at_rim`; the mitral plane when None.
    """
    rays = lay_rays(frame)
    rim = np.zeros(1) if rim_mm is None else rim_mm
    turn = np.arange(rays.angles) * (len(rim) / rays.angles)
    end = rays.base_mm + np.interp(turn, np.arange(len(rim) + 1), np.append(rim, rim[0]))

    def painted(surface: WallSurface) -> Volume:
        half = 0.5 * surface.thickness_mm[..., None] * surface.normal
        inner, outer = (
            mid_wall_on_rays(rays, replace(surface, mid_wall_mm=surface.mid_wall_mm + side * half)) for side in (-1, 1)
        )
        return paint_labels(labels, rays, inner_mm=inner, outer_mm=outer, rim_mm=end)

    old, new = painted(before).array[0], painted(after).array[0]
    return labels.with_array(np.where(old == new, labels.array[0], new).astype(labels.array.dtype))
