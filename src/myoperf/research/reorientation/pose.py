"""Rotations, poses and sampling in a pose: the geometry of spatial transformers, tensors only.

A pose is M = [s R, T] (Ni et al. 2023, equation 2): the point u of the turned grid shows the point s R u + T of the
volume, both in (x, y, z) = (columns, rows, planes) with [-1, 1] from edge to edge (``align_corners=False``, so
that half the field on half the grid falls on the voxels themselves; equation 5 of the paper counts from
centre to centre, which differs by less than one part in the grid's side). Volumes are cubes of cubic voxels,
because the rotation would otherwise shear.

The mean angles of the paper's Table 2 (-0.83, -1.14, 1.22) turn z to (-0.28, 0.91, 0.28): right, back and up in an LPS
grid, the direction from apex to base. So x is lateral, y inferior and z from apex to base: planes from apex to base,
rows downwards to inferior, columns to lateral, a right-handed frame. The translations of Table 2 are the shift of the
image to the centre, the opposite of T.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

MEAN_EULER, MEAN_TRANSLATION = (-0.83, -1.14, 1.22), (0.19, -0.15, 0.29)
"""Mean pose of SPECT in Table 2 of the paper (radians; halves of the field), where the training of a pose starts."""


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off inside the block: bfloat16 would round a pose to parts of a voxel."""
    device = like.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def matrix_from_euler(angles: Tensor) -> Tensor:
    """Turn (..., 3) angles (alpha, beta, gamma) in radians to R = Ry(alpha) Rx(beta) Rz(gamma) (equation 1)."""
    (sa, sb, sg), (ca, cb, cg) = angles.sin().unbind(-1), angles.cos().unbind(-1)
    rows = [
        [ca * cg + sa * sb * sg, sa * sb * cg - ca * sg, sa * cb],
        [cb * sg, cb * cg, -sb],
        [ca * sb * sg - sa * cg, sa * sg + ca * sb * cg, ca * cb],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def euler_from_matrix(rotation: Tensor, *, near: Tensor | None = None) -> Tensor:
    """Turn rotations (..., 3, 3) to angles (..., 3) in radians, beta within a quarter turn.

    Every rotation has two sets of angles: (alpha, beta, gamma) and (alpha + pi, pi - beta, gamma + pi).

    Parameters
    ----------
    near
        (..., 3); return the set nearer to these angles (sum of wrapped differences) instead. The beta of the paper's
        Table 2 reaches -1.69, beyond the quarter turn.
    """
    flat = torch.sqrt(rotation[..., 1, 0] ** 2 + rotation[..., 1, 1] ** 2 + 1e-12)
    alpha = torch.atan2(rotation[..., 0, 2], rotation[..., 2, 2])
    beta = torch.atan2(-rotation[..., 1, 2], flat)
    gamma = torch.atan2(rotation[..., 1, 0], rotation[..., 1, 1])
    first = torch.stack([alpha, beta, gamma], -1)
    if near is None:
        return first
    second = wrap_angle(torch.stack([alpha + torch.pi, torch.pi - beta, gamma + torch.pi], -1))
    far = [wrap_angle(one - near).abs().sum(-1, keepdim=True) for one in (first, second)]
    return torch.where(far[0] <= far[1], first, second)


def wrap_angle(angle: Tensor) -> Tensor:
    """Bring angles in radians to [-pi, pi)."""
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi


def six_from_matrix(rotation: Tensor) -> Tensor:
    """First two columns (..., 6) of rotations (..., 3, 3): the inverse of ``matrix_from_six``."""
    return torch.cat([rotation[..., 0], rotation[..., 1]], -1)


def start_of(euler: Sequence[float] = MEAN_EULER, translation: Sequence[float] = MEAN_TRANSLATION) -> Tensor:
    """Return the nine numbers (two columns of the rotation, translation) that the last layer of a localiser adds to."""
    return torch.cat([six_from_matrix(matrix_from_euler(torch.tensor(euler))), torch.tensor(translation)])


def pose_matrix(rotation: Tensor, translation: Tensor, scale: float = 1.0) -> Tensor:
    """Return M = [s R, T], shape (B, 3, 4): equation 2 of Ni et al. 2023 (doi:10.48550/arXiv.2310.10095).

    Parameters
    ----------
    rotation, translation
        (B, 3, 3) and (B, 3); a translation of 1 is half of the volume's extent.
    """
    return torch.cat([scale * rotation, translation[..., None]], -1)


def sample_by_matrix(volume: Tensor, matrix: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Sample (B, C, D, H, W) at M u for the points u of a grid of `size`, zero outside -> (B, C, *size).

    The grid is computed in float32 even under autocast.
    """
    with full_precision(volume):
        grid = F.affine_grid(matrix.float(), [len(volume), 1, *size], align_corners=False)
        moved = F.grid_sample(volume.float(), grid, padding_mode="zeros", align_corners=False)
    return moved.to(volume.dtype)


def sample_in_pose(
    volume: Tensor,
    rotation: Tensor,
    translation: Tensor,
    *,
    scale: float = 1.0,
    size: tuple[int, int, int] | None = None,
) -> Tensor:
    """Turn a volume (B, C, D, H, W) to its pose.

    Parameters
    ----------
    scale
        Part of the field's side to show.
    size
        Of the turned grid; default: the volume's.
    """
    sides = (volume.shape[2], volume.shape[3], volume.shape[4])
    return sample_by_matrix(volume, pose_matrix(rotation, translation, scale), size or sides)


def sample_back(turned: Tensor, rotation: Tensor, translation: Tensor, *, scale: float = 1.0) -> Tensor:
    """Resample what lies in the turned frame (B, C, D, H, W) in the frame of the volume; zero outside."""
    back = rotation.float().transpose(-1, -2) / scale
    matrix = torch.cat([back, -back @ translation.float()[..., None]], -1)
    return sample_by_matrix(turned, matrix, (turned.shape[2], turned.shape[3], turned.shape[4]))


def relative_pose(
    rotation: Tensor,
    translation: Tensor,
    next_rotation: Tensor,
    next_translation: Tensor,
    *,
    scale: float,
    next_scale: float,
    exact: bool,
) -> Tensor:
    """Return the (B, 3, 4) that maps points of the next scale's grid to this scale's (equation 6).

    Parameters
    ----------
    exact
        True: the composition M^-1 M', under which features and samples of the next scale coincide.
        False: as printed in the paper, [s R(theta' - theta), t' - t] with s = next_scale / scale and
        differences of Euler angles, which is the same only if the differences are zero. (The paper does not state
        which scale is subtracted; here it is the current one, as in the exact form.)
    """
    ratio = next_scale / scale
    with full_precision(rotation):
        one, two = rotation.float(), next_rotation.float()
        shift = next_translation.float() - translation.float()
        if exact:
            back = one.transpose(-1, -2)
            return torch.cat([ratio * (back @ two), (back @ shift[..., None]) / scale], -1)
        angles = euler_from_matrix(one)
        difference = euler_from_matrix(two, near=angles) - angles
        return pose_matrix(matrix_from_euler(difference), shift, ratio)
