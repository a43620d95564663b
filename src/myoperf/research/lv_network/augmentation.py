"""Random rotations, and changes of contrast, sharpness, noise and background of a sampled volume."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def random_rotation(rng: np.random.Generator, sd_rad: float | tuple[float, float, float]) -> Tensor:
    """Draw a rotation matrix (3, 3).

    Parameters
    ----------
    sd_rad
        Standard deviation of the turn about each axis (x, y, z), in radians.
    """
    x, y, z = rng.normal(0.0, sd_rad, 3)
    rotation: Tensor = torch.linalg.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float32))
    return rotation


def _blob(side: int, rng: np.random.Generator, width: tuple[float, float]) -> Tensor:
    """Draw a Gaussian, 1 at its centre, somewhere in a cube; its width is a share of the side."""
    steps = torch.linspace(-1, 1, side)
    parts = []
    for place in rng.uniform(-0.9, 0.9, 3):
        parts.append(torch.exp(-0.5 * ((steps - float(place)) / (2 * float(rng.uniform(*width)))) ** 2))
    return parts[0][:, None, None] * parts[1][:, None] * parts[2]


def disturb_crop(crop: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a normalised crop (1, D, H, W) as another camera and another patient might have given it.

    Contrast, sharpness and noise vary; in three of ten a place loses counts (a defect), in three of ten a wide region
    gains or loses them (attenuation), and in two of ten there is activity in the gut. The labels do not change.
    """
    out = crop.clamp_min(1e-6) ** float(np.exp(rng.normal(0, 0.25))) * float(np.exp(rng.normal(0, 0.12)))
    side = crop.shape[-1]
    if rng.random() < 0.3:  # a perfusion defect
        out = out * (1 - float(rng.uniform(0.2, 0.9)) * _blob(side, rng, (0.04, 0.12)))
    if rng.random() < 0.3:  # attenuation, or its overcorrection
        out = out * (1 + float(rng.uniform(-0.4, 0.4)) * _blob(side, rng, (0.2, 0.5)))
    if rng.random() < 0.2:  # activity in the gut
        out = out + float(rng.uniform(0.2, 1.5)) * _blob(side, rng, (0.03, 0.1))
    if rng.random() < 0.3:
        weight = float(rng.uniform(0.2, 0.8))
        out = F.avg_pool3d(out[None], 3, 1, 1)[0] * weight + out * (1 - weight)
    if rng.random() < 0.5:
        out = out + torch.from_numpy(rng.normal(0, rng.uniform(0, 0.06), out.shape).astype(np.float32))
    return out
