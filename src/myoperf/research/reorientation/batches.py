"""Batches of volumes on one cubic grid, in random poses, with their true labels and pose."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from myoperf.geometry import index_from_lps
from myoperf.research.lv_network.cases import Case
from myoperf.research.lv_network.sampling import middle_mm, normalise, sample_at, single
from myoperf.research.reorientation.pose import euler_from_matrix, matrix_from_euler
from myoperf.types import Volume


@dataclass(frozen=True, kw_only=True)
class FieldOfView:
    """The cube that the networks see, around the middle of the volume.

    Parameters
    ----------
    side
        Voxels per side.
    voxel_mm
        Side of a voxel.
    """

    side: int
    voxel_mm: float

    @property
    def half_mm(self) -> float:
        """Half of the cube's side: the unit of translations."""
        return 0.5 * self.side * self.voxel_mm

    def points(self, device: torch.device | str = "cpu") -> Tensor:
        """Return the points (N, N, N, 3) of the cube's voxels, (x, y, z) in [-1, 1]."""
        steps = (torch.arange(self.side, dtype=torch.float32, device=device) + 0.5) * 2 / self.side - 1
        return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).flip(-1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Volumes on the grid of a field of view, with their truth.

    Parameters
    ----------
    volume
        (B, 1, N, N, N), planes towards the head, rows to the back, columns to the left.
    labels, turned_labels
        (B, N, N, N) in the frame of the volume and in the short-axis frame.
    rotation, translation
        True pose (B, 3, 3), (B, 3); see `myoperf.research.reorientation.pose`.
    """

    volume: Tensor
    labels: Tensor
    turned_labels: Tensor
    rotation: Tensor
    translation: Tensor


Augmentation = tuple[Tensor, Tensor]
"""Rotation (3, 3) and shift (3,), in halves of the field, of the grid in the patient."""


def sample_batch(
    cases: Sequence[Case],
    field: FieldOfView,
    augmentations: Sequence[Augmentation] | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Batch:
    """Sample volumes and labels on the grid of a field of view.

    Parameters
    ----------
    augmentations
        One per case; None for the volumes as they are.
    device
        That the volumes are sampled on.
    """
    volume, rotation, translation = sample_images(cases, field, augmentations, device=device)
    labels, turned = list[Tensor](), list[Tensor]()
    for k, case in enumerate(cases):
        turn, centre = _grid_pose(case, field, None if augmentations is None else augmentations[k], device)
        given = field.points(device)
        for points, into in ((given, labels), (given @ rotation[k].T + translation[k], turned)):
            into.append(_labels_at(case, (points @ turn.T) * field.half_mm + centre))
    return Batch(
        volume=volume,
        labels=torch.stack(labels),
        turned_labels=torch.stack(turned),
        rotation=rotation,
        translation=translation,
    )


def sample_images(
    cases: Sequence[Case],
    field: FieldOfView,
    augmentations: Sequence[Augmentation] | None = None,
    *,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor, Tensor]:
    """Sample volumes, without labels, in their patients' frame or after augmentations.

    Parameters
    ----------
    augmentations
        One a case; None: as they lie.

    Returns
    -------
    Volumes (B, 1, N, N, N), and the true rotations (B, 3, 3) and translations (B, 3) in them; a translation of 1
    is half of the field's extent.
    """
    volumes, poses = [], []
    for k, case in enumerate(cases):
        turn, centre = _grid_pose(case, field, None if augmentations is None else augmentations[k], device)
        volumes.append(_image_at(case.image, (field.points(device) @ turn.T) * field.half_mm + centre))
        poses.append(_true_pose(case, field, turn, centre))
    rotation, translation = (torch.stack(part) for part in zip(*poses, strict=True))
    return torch.stack(volumes), rotation, translation


def sample_volume(image: Volume, field: FieldOfView, *, device: torch.device | str = "cpu") -> Tensor:
    """Sample one volume around its middle, (1, 1, N, N, N): what a network sees of a patient without a known pose."""
    points = field.points(device) * field.half_mm + middle_mm(image).to(device)
    return _image_at(image, points)[None]


def _image_at(image: Volume, points_mm: Tensor) -> Tensor:
    inverse = single(index_from_lps(image.lps_from_index)).to(points_mm.device)
    return normalise(sample_at(single(image.array).to(points_mm.device), inverse, points_mm))


def _grid_pose(
    case: Case, field: FieldOfView, augmentation: Augmentation | None, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """Return the rotation (3, 3) of the grid in the patient and its centre (3,), LPS mm."""
    middle = middle_mm(case.image).to(device)
    if augmentation is None:
        return torch.eye(3, device=device), middle
    turn, shift = (part.to(device) for part in augmentation)
    return turn, middle + shift * field.half_mm


def _true_pose(case: Case, field: FieldOfView, turn: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Return rotation (3, 3) and translation (3,) of a case in a grid that is turned in the patient."""
    frame = case.frame
    axes = single(np.stack([frame.lateral, -np.asarray(frame.anterior), frame.axis], 1)).to(turn.device)
    return turn.T @ axes, turn.T @ (single(frame.centre_mm).to(turn.device) - centre) / field.half_mm


def true_pose(case: Case, field: FieldOfView) -> tuple[Tensor, Tensor]:
    """Return the pose of a case as it lies in its volume: what the localisers estimate.

    Returns
    -------
    Rotation (3, 3) and translation (3,); a translation of 1 is half of the field's extent.
    """
    return _true_pose(case, field, *_grid_pose(case, field, None, "cpu"))


def _labels_at(case: Case, points_mm: Tensor) -> Tensor:
    labels = torch.from_numpy(case.labels.array[0].astype(np.int64)).to(points_mm.device)
    masks = torch.stack([(labels == k).float() for k in (1, 2)])
    share = sample_at(masks, single(index_from_lps(case.image.lps_from_index)).to(points_mm.device), points_mm)
    return torch.cat([1 - share.sum(0, keepdim=True), share]).argmax(0)


def mean_pose(cases: Sequence[Case], field: FieldOfView) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean Euler angles (radians) and translation (halves of the field) of cases: where localisers start.

    The mean rotation is the one nearest to the mean of the matrices.
    """
    poses = [true_pose(case, field) for case in cases]
    rotation = torch.stack([r for r, _ in poses]).mean(0)
    left, _, right = torch.linalg.svd(rotation)  # the rotation nearest to the mean matrix
    euler = euler_from_matrix(left @ right)
    translation = torch.stack([t for _, t in poses]).mean(0)
    return tuple(float(v) for v in euler), tuple(float(v) for v in translation)


def pose_range(cases: Sequence[Case], field: FieldOfView) -> Tensor:
    """Return the least and the largest of the six parameters (2, 6) of cases: Euler angles (radians), translation.

    As Table 2 of Ni et al. 2023, but with the translation to the ventricle, which has the opposite sign there.
    """
    start = torch.tensor(mean_pose(cases, field)[0])
    poses = [true_pose(case, field) for case in cases]
    rows = torch.stack([torch.cat([euler_from_matrix(r, near=start), t]) for r, t in poses])
    return torch.stack([rows.amin(0), rows.amax(0)])


def pose_to(case: Case, field: FieldOfView, parameters: Tensor) -> Augmentation:
    """Return the augmentation after which a case has a given pose: the inverse transformation of Ni et al. 2023.

    Parameters
    ----------
    parameters
        (6,): Euler angles in radians, translation in halves of the field.
    """
    frame = case.frame
    axes = single(np.stack([frame.lateral, -np.asarray(frame.anterior), frame.axis], 1))
    turn = axes @ matrix_from_euler(parameters[:3]).T
    centre = single(frame.centre_mm) - field.half_mm * turn @ parameters[3:]
    return turn, (centre - middle_mm(case.image)) / field.half_mm
