"""Sampling a volume in a pose, and back, as tensors with gradients: what trainings need of `myoperf.lv.sampling`.

A pose is a centre (LPS mm) and a rotation (3, 3) whose columns are the directions of long axis, anterior and lateral.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from myoperf.geometry import transform_points
from myoperf.lv.sampling import COARSE, COARSE_MM, CROP, CROP_MM
from myoperf.types import LVFrame, Volume


def single(values: ArrayLike) -> Tensor:
    """Copy an array into a tensor of single precision."""
    return torch.from_numpy(np.array(values, dtype=np.float32))


def frame_axes(frame: LVFrame) -> Tensor:
    """Return the rotation (3, 3) of a frame: columns long axis, anterior, lateral."""
    return single(np.stack([frame.axis, frame.anterior, frame.lateral], 1))


def middle_mm(volume: Volume) -> Tensor:
    """Return the LPS point (3,) in the middle of a volume's grid."""
    return single(transform_points(volume.lps_from_index, 0.5 * (np.array(volume.grid_shape) - 1)))


def voxel_points(volume: Volume, box: tuple[slice, ...]) -> Tensor:
    """Return the LPS points (D, H, W, 3), mm, of the middles of the voxels in a box of a volume.

    Parameters
    ----------
    box
        Slices of planes, rows and columns, with both ends given.
    """
    index = np.stack(np.meshgrid(*(np.arange(side.start, side.stop) for side in box), indexing="ij"), -1)
    return single(transform_points(volume.lps_from_index, index))


def _centred(side: int) -> Tensor:
    steps = torch.arange(side, dtype=torch.float32) - 0.5 * (side - 1)
    return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1)  # (D, H, W, 3)


def crop_points(centre_mm: Tensor, rotation: Tensor, *, spacing_mm: float = CROP_MM) -> Tensor:
    """Return the points of the cubic grid that lies in a pose, LPS mm, shape (CROP, CROP, CROP, 3).

    Parameters
    ----------
    centre_mm
        (3,): the middle of the grid, LPS.
    rotation
        (3, 3): its columns are the grid's axes in LPS.
    """
    return _centred(CROP) * spacing_mm @ rotation.T + centre_mm


def coarse_points(centre_mm: Tensor) -> Tensor:
    """Return the LPS points (COARSE, COARSE, COARSE, 3), indexed (z, y, x), of the coarse grid around a centre."""
    return _centred(COARSE).flip(-1) * COARSE_MM + centre_mm


def sample_at(image: Tensor, index_from_lps: Tensor, points_mm: Tensor) -> Tensor:
    """Interpolate an image linearly at points of the patient; what lies outside the image is 0.

    Parameters
    ----------
    image
        (C, planes, rows, columns).
    index_from_lps
        (4, 4).
    points_mm
        LPS, (D, H, W, 3).

    Returns
    -------
    (C, D, H, W), with a gradient to the image and to the points.
    """
    index = points_mm @ index_from_lps[:3, :3].T + index_from_lps[:3, 3]
    size = torch.tensor(image.shape[1:], dtype=torch.float32, device=image.device)
    grid = (2 * index / (size - 1) - 1).flip(-1)
    return F.grid_sample(image[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=True)[0]


def logits_at(
    logits: Tensor, points_mm: Tensor, centre_mm: Tensor, rotation: Tensor, *, spacing_mm: float = CROP_MM
) -> Tensor:
    """Interpolate the logits of a turned grid at points of the patient; outside the grid all is background.

    Parameters
    ----------
    logits
        (C, CROP, CROP, CROP), background first.
    points_mm
        LPS, (D, H, W, 3).
    centre_mm, rotation, spacing_mm
        Of the grid, as for `crop_points`.

    Returns
    -------
    (C, D, H, W).
    """
    local = (points_mm - centre_mm) @ rotation / (spacing_mm * 0.5 * (CROP - 1))
    grid = local.flip(-1)
    moved = F.grid_sample(logits[None], grid[None], mode="bilinear", padding_mode="border", align_corners=True)[0]
    outside = (local.abs() > 1).any(-1)
    background = torch.zeros(len(logits), 1, 1, 1, device=logits.device)
    background[0] = 20.0  # certain, but with a gradient
    return moved + background * outside


def normalise(crop: Tensor) -> Tensor:
    """Divide a crop (1, D, H, W) by the 99th percentile of the ball in its middle, and cut it at 0 and 2.5.

    The ball, whose radius is a third of the side, holds the ventricle; a hot liver or gut at the rim sets no scale.
    """
    side = crop.shape[-1]
    near = _centred(side).to(crop.device).norm(dim=-1) < 0.34 * side
    top = torch.quantile(crop[0][near], 0.99).clamp_min(1e-6)
    return (crop / top).clamp(0, 2.5)
