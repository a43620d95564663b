"""Sampling a volume in a pose, and back: tensors only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["COARSE", "COARSE_MM", "CROP", "CROP_MM", "coarse_points", "crop_points", "normalise", "pull", "sample_at"]

CROP, CROP_MM = 40, 4.0
COARSE, COARSE_MM = 32, 10.0


def _centred(side: int) -> Tensor:
    steps = torch.arange(side, dtype=torch.float32) - 0.5 * (side - 1)
    return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1)  # (D, H, W, 3)


def crop_points(centre_mm: Tensor, rotation: Tensor, *, spacing_mm: float = CROP_MM) -> Tensor:
    """LPS points (CROP, CROP, CROP, 3) of the turned grid; rotation (3, 3) has columns axis, anterior, lateral."""
    return _centred(CROP) * spacing_mm @ rotation.T + centre_mm


def coarse_points(centre_mm: Tensor) -> Tensor:
    """LPS points (COARSE, COARSE, COARSE, 3) of the coarse grid, indexed (z, y, x), about the field's centre."""
    return _centred(COARSE).flip(-1) * COARSE_MM + centre_mm


def sample_at(image: Tensor, index_from_lps: Tensor, points_mm: Tensor) -> Tensor:
    """Interpolate (C, P, R, K) linearly at LPS points (D, H, W, 3), zero outside -> (C, D, H, W)."""
    index = points_mm @ index_from_lps[:3, :3].T + index_from_lps[:3, 3]
    size = torch.tensor(image.shape[1:], dtype=torch.float32)
    grid = (2 * index / (size - 1) - 1).flip(-1)
    return F.grid_sample(image[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=True)[0]


def pull(
    logits: Tensor, points_mm: Tensor, centre_mm: Tensor, rotation: Tensor, *, spacing_mm: float = CROP_MM
) -> Tensor:
    """Bring logits (C, CROP, CROP, CROP) of a turned grid back to LPS points (D, H, W, 3); background outside."""
    local = (points_mm - centre_mm) @ rotation / (spacing_mm * 0.5 * (CROP - 1))
    grid = local.flip(-1)
    moved = F.grid_sample(logits[None], grid[None], mode="bilinear", padding_mode="border", align_corners=True)[0]
    outside = (local.abs() > 1).any(-1)
    lift = torch.zeros(len(logits), 1, 1, 1)
    lift[0] = 20.0
    return moved + lift * outside


def normalise(crop: Tensor) -> Tensor:
    """Scale (1, D, H, W) by the 99th percentile of its middle ball and cut at 2.5."""
    side = crop.shape[-1]
    near = _centred(side).norm(dim=-1) < 0.34 * side
    top = torch.quantile(crop[0][near], 0.99).clamp_min(1e-6)
    return (crop / top).clamp(0, 2.5)
