"""A blurred shell: what a ventricle of given surfaces would look like on the scanner's grid.

Blur displaces the peaks and edges of a curved wall. Instead of a table of corrections,
`myoperf.gated.tracking` measures the image of a model in exactly the same way as the patient's, and
moves the model until both measurements agree.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.geometry import index_from_lps, transform_points
from myoperf.types import Float, Volume
from myoperf.ventricle.rays import Rays, slant

_DEPTHS = np.array([-0.774597, 0.0, 0.774597])
_DEPTH_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18.0
"""Gauss-Legendre points and weights across the wall: exact to the fifth power of depth."""
_TUBE_RINGS = 18
_FINE_MM = 3.6
"""Voxels are split until they are about this small, before points are spread over them."""


@dataclass(frozen=True, eq=False)
class Shell:
    """The wall of every gate.

    Attributes
    ----------
    middle_mm
        Shape (gates, rings, angles): mid-wall along the rays.
    thickness_mm
        Shape (gates, rings, angles): across the wall.
    rim_mm
        Shape (gates, angles): height of the valve plane above the hub.
    uptake
        Shape (rings, angles): counts per millilitre of wall.
    """

    middle_mm: Float
    thickness_mm: Float
    rim_mm: Float
    uptake: Float

    def inner_mm(self, rays: Rays) -> Float:
        """Return the endocardium along the rays, shape (gates, rings, angles), at least a tenth of the mid-wall."""
        half = 0.5 * self.thickness_mm * slant(rays, self.middle_mm)
        return np.asarray(np.maximum(self.middle_mm - half, 0.1 * self.middle_mm))


def crop(volume: Volume, points_mm: Float, *, margin_mm: float) -> Volume:
    """Crop a volume to the box that holds LPS points (..., 3) with a margin."""
    index = transform_points(index_from_lps(volume.lps_from_index), points_mm.reshape(-1, 3))
    margin = margin_mm / volume.spacing_mm
    low = np.maximum(np.floor(index.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(index.max(axis=0) + margin) + 1, volume.grid_shape).astype(int)
    affine = np.array(volume.lps_from_index)
    affine[:3, 3] = transform_points(affine, low.astype(np.float64))
    return Volume(volume.array[:, low[0] : high[0], low[1] : high[1], low[2] : high[2]], affine)


def _wall_points(rays: Rays, shell: Shell, gate: int) -> tuple[Float, Float]:
    """Return quadrature points (n, 3) in LPS and their counts (n,) of one gate's wall."""
    middle, rim = shell.middle_mm[gate], np.maximum(shell.rim_mm[gate], 1.0)
    cap, column = rays.cap_rings, np.arange(rays.angles)
    across = shell.thickness_mm[gate] * slant(rays, middle)  # thickness along the ray
    distance = np.maximum(middle + _DEPTHS[:, None, None] * 0.5 * across, 1.0)
    content = across * _DEPTH_WEIGHTS[:, None, None] * shell.uptake
    ball = rays.points(distance)[:, :cap]
    ball_counts = (distance**2 * content)[:, :cap] * rays.cap_solid_angle
    # The tube is divided into rings of equal height from hub to valve plane, so that the last one ends at the rim.
    height = ((np.arange(_TUBE_RINGS) + 0.5) / _TUBE_RINGS)[:, None] * rim
    place = np.clip(height / rays.tube_step_mm, 0, rays.height_mm.size - cap - 1.001)
    low = place.astype(int)
    part = place - low
    far, depth = (
        v[:, cap:][:, low, column] * (1 - part) + v[:, cap:][:, low + 1, column] * part for v in (distance, content)
    )
    tube = rays.hub_mm + height[..., None] * rays.axis + far[..., None] * rays.spokes
    tube_counts = far * depth * (2.0 * np.pi / rays.angles) * (rim / _TUBE_RINGS)
    return (
        np.concatenate([ball.reshape(-1, 3), tube.reshape(-1, 3)]),
        np.concatenate([ball_counts.ravel(), tube_counts.ravel()]) / 1000.0,
    )


def shell_image(rays: Rays, shell: Shell, grid: Volume, *, sigma_mm: float) -> Volume:
    """Simulate the shell's image, blurred by a Gaussian, on a grid: float32, one frame a gate, counts per voxel.

    Parameters
    ----------
    grid
        Any volume on that grid; its values are not used.
    sigma_mm
        Standard deviation of the image's resolution, Butterworth and motion included.
    """
    factor = np.maximum(1, np.rint(grid.spacing_mm / _FINE_MM).astype(int))
    shape = (np.array(grid.grid_shape) - 1) * factor + 1
    to_index = index_from_lps(grid.lps_from_index)
    # Trilinear splatting blurs by a sixth of a squared fine voxel.
    sigma = np.sqrt(np.maximum((sigma_mm / grid.spacing_mm * factor) ** 2 - 1.0 / 6.0, 0.01))
    out = np.empty((shell.middle_mm.shape[0], *grid.grid_shape), dtype=np.float32)
    for gate, image in enumerate(out):
        points, counts = _wall_points(rays, shell, gate)
        fine = _splat(
            transform_points(to_index, points) * factor, counts, (int(shape[0]), int(shape[1]), int(shape[2]))
        )
        fine = ndimage.gaussian_filter(fine, sigma, mode="constant", truncate=3.0)
        image[:] = fine[:: factor[0], :: factor[1], :: factor[2]] * float(factor.prod())
    return grid.with_array(out)


def _splat(index: Float, counts: Float, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Spread points over their eight neighbours; those outside the grid are dropped."""
    inside = ((index >= 0) & (index <= np.array(shape) - 1.001)).all(axis=1)
    index, counts = index[inside], counts[inside]
    low = index.astype(np.int64)
    part = index - low
    total = np.zeros(int(np.prod(shape)))
    for corner in range(8):
        bits = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        weight = np.prod(np.where(bits, part, 1 - part), axis=1)
        flat = np.ravel_multi_index(tuple((low + bits).T), shape)
        total += np.bincount(flat, weights=counts * weight, minlength=total.size)
    return total.reshape(shape).astype(np.float32)
