"""A blurred shell: what a ventricle of given surfaces would look like on the scanner's grid.

Blur displaces the peaks and edges of a curved wall. Instead of a table of corrections,
`myoperf.gated.tracking` measures the image of a model in exactly the same way as the patient's, and
moves the model until both measurements agree.
"""

from dataclasses import dataclass

import numpy as np
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


def _wall_points(rays: Rays, shell: Shell) -> tuple[Float, Float]:
    """Return quadrature points (gates, n, 3) in LPS and their counts (gates, n) of every gate's wall."""
    middle, rim = shell.middle_mm, np.maximum(shell.rim_mm, 1.0)
    cap, gates = rays.cap_rings, len(middle)
    across = shell.thickness_mm * slant(rays, middle)  # thickness along the ray
    depths, shares = (values[:, None, None] for values in (_DEPTHS, _DEPTH_WEIGHTS))
    distance = np.maximum(middle[:, None] + depths * 0.5 * across[:, None], 1.0)  # (gates, depths, rings, angles)
    content = across[:, None] * shares * shell.uptake
    ball = rays.origin_mm[:cap] + distance[:, :, :cap, :, None] * rays.direction[:cap]
    ball_counts = (distance**2 * content)[:, :, :cap] * rays.cap_solid_angle
    # The tube is divided into rings of equal height from hub to valve plane, so that the last one ends at the rim.
    height = ((np.arange(_TUBE_RINGS) + 0.5) / _TUBE_RINGS)[:, None] * rim[:, None, None]
    place = np.clip(height / rays.tube_step_mm, 0, rays.height_mm.size - cap - 1.001)
    low = place.astype(int)
    part = place - low
    far, depth = (
        np.take_along_axis(v, cap + low, 2) * (1 - part) + np.take_along_axis(v, cap + low + 1, 2) * part
        for v in (distance, content)
    )
    tube = rays.hub_mm + height[..., None] * rays.axis + far[..., None] * rays.spokes
    tube_counts = far * depth * (2.0 * np.pi / rays.angles) * (rim[:, None, None] / _TUBE_RINGS)
    return (
        np.concatenate([ball.reshape(gates, -1, 3), tube.reshape(gates, -1, 3)], axis=1),
        np.concatenate([ball_counts.reshape(gates, -1), tube_counts.reshape(gates, -1)], axis=1) / 1000.0,
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
    from myoperf.ventricle.kernels import spread_points

    factor = np.maximum(1, np.rint(grid.spacing_mm / _FINE_MM).astype(int))
    shape = (np.array(grid.grid_shape) - 1) * factor + 1
    # Trilinear splatting blurs by a sixth of a squared fine voxel.
    sigma = np.sqrt(np.maximum((sigma_mm / grid.spacing_mm * factor) ** 2 - 1.0 / 6.0, 0.01))
    points, counts = _wall_points(rays, shell)
    index = transform_points(index_from_lps(grid.lps_from_index), points) * factor
    image = np.zeros((len(points), *shape))
    spread_points(index, counts * float(factor.prod()), image)
    # Each axis is blurred, and only the grid's own samples are kept, by one matrix product.
    planes, rows, columns = (
        ndimage.gaussian_filter1d(np.eye(size, dtype=np.float32), width, axis=0, mode="constant", truncate=3.0)[::every]
        for size, width, every in zip(shape, sigma, factor, strict=True)
    )
    blurred = rows @ (image.astype(np.float32) @ columns.T)
    blurred = planes @ blurred.reshape(*blurred.shape[:2], -1)
    return grid.with_array(blurred.reshape(len(points), *grid.grid_shape))
