"""The output of every network of the study, and labels on the grid of each of its levels."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class LVOutput:
    """Masks and pose of a batch.

    Parameters
    ----------
    logits
        Finest first. The first is (B, 3, D, H, W): background, wall, blood pool; in the short-axis
        frame if the network turned the volume, otherwise in the frame of the volume. The others are for
        deep supervision, each half the size of the one before.
    fields
        For each of `logits`, the part of the field's side that it covers, around the centre: with the
        multi-scale network's (1, 1/2, 1/4) the voxel stays and the field halves; with the peers' (1, 1, 1) the voxel
        doubles.
    rotation
        (B, 3, 3), M = [s R, T] of the volume: columns are the directions, in the given grid's (x, y, z) =
        (columns, rows, planes), of the short-axis grid's x, y and z.
    translation
        (B, 3), (x, y, z) of the short-axis grid's centre; [-1, 1] spans the volume, edge to edge.
    scale_rotations, scale_translations
        (B, S, 3, 3) and (B, S, 3), the pose of each sampler, coarsest field first; the first is `rotation`,
        `translation`. All must be trained: a pose without a loss drifts.
    initial
        (B, 3, D, H, W), a first segmentation in the frame of the volume (Omega-Net only).
    """

    logits: tuple[Tensor, ...]
    fields: tuple[float, ...]
    rotation: Tensor | None = None
    translation: Tensor | None = None
    scale_rotations: Tensor | None = None
    scale_translations: Tensor | None = None
    initial: Tensor | None = None


def labels_for(labels: Tensor, output: LVOutput) -> tuple[Tensor, ...]:
    """Crop and subsample labels (B, D, H, W), given in the frame of the first logits, to the grid of each logits.

    Returns
    -------
    tuple of Tensor
        One (B, D', H', W') for each of ``output.logits``, of the labels' type.
    """
    levels = []
    for logits, field in zip(output.logits, output.fields, strict=True):
        part = labels
        for axis in range(1, 4):
            side = round(labels.shape[axis] * field)
            part = part.narrow(axis, (labels.shape[axis] - side) // 2, side)
        if part.shape[1:] != logits.shape[2:]:
            part = F.interpolate(part[:, None].float(), size=tuple(logits.shape[2:]), mode="nearest-exact")[:, 0]
        levels.append(part.to(labels.dtype))
    return tuple(levels)
