"""The judging of MS-ST-UNet, its ablations and its peers, all alike (paper 003, section of metrics)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from myoperf.errors import AnalysisError
from myoperf.geometry import affine_from_axes
from myoperf.lv.mask import frame_from_mask
from myoperf.lv.metrics import dice, hausdorff95_mm
from myoperf.research.lv_network.cases import Case
from myoperf.research.lv_network.losses import wrap
from myoperf.research.reorientation.nn_unet import mirrored_probability
from myoperf.research.reorientation.pose import euler_from_matrix, sample_back
from myoperf.research.reorientation.training import Batch, Field, middle_mm, see
from myoperf.types import Volume

__all__ = ["judge_network"]


@torch.inference_mode()
def judge_network(
    net: nn.Module, cases: Sequence[Case], field: Field, *, given_pose: bool = False, mirrored: bool = False
) -> list[dict[str, Any]]:
    """Judge a network on cases as they are, one row each; all masks are compared in the given frame.

    Parameters
    ----------
    given_pose
        Hand the true pose to the network (the paper's "manual rotation").
    mirrored
        Average over the eight mirrorings, as nnU-Net does; only for a network without a pose.

    Returns
    -------
    Rows of wall_dice, pool_dice, wall_hd95_mm, pool_hd95_mm, wall_ml, true_wall_ml, mask_axis_error_deg (of the long
    axis by the geometry of the wall's mask, `myoperf.lv.frame_from_mask`; NaN without a wall), and where it has a pose
    alpha, beta, gamma (radians), tx, ty, tz (halves of the field), each with its ``true_`` value, rotation_mse (radians
    squared, mean of the three angles) and axis_error_deg.
    """
    rows = []
    for case in cases:
        batch = see([case], field)
        pose = (batch.rotation, batch.translation) if given_pose else ()
        output = net(batch.volume, *pose)
        chance = mirrored_probability(net, batch.volume) if mirrored else output.logits[0].float().softmax(1)
        rotation, translation = output.rotation, output.translation
        if rotation is not None and translation is not None:
            used = pose or (rotation.float(), translation.float())
            chance = sample_back(chance, *used)
            chance[:, 0] += 1 - chance.sum(1)  # outside of the turned cube
        got, truth = chance.argmax(1)[0].numpy(), batch.given[0].numpy()
        row: dict[str, Any] = {"patient": case.patient, "case": case.name}
        voxel_ml = field.voxel_mm**3 / 1000
        for mask, label in (("wall", 1), ("pool", 2)):
            row[f"{mask}_dice"] = dice(got == label, truth == label)
            both = bool((got == label).any()) and bool((truth == label).any())
            row[f"{mask}_hd95_mm"] = hausdorff95_mm(got == label, truth == label, field.voxel_mm) if both else np.nan
        row["wall_ml"], row["true_wall_ml"] = (float((a == 1).sum()) * voxel_ml for a in (got, truth))
        row["mask_axis_error_deg"] = _mask_axis_error_deg(got, case, field)
        if output.scale_rotations is not None and rotation is not None and translation is not None:
            row |= _pose_errors(rotation.float(), translation.float(), batch)
        rows.append(row)
    return rows


def _mask_axis_error_deg(labels: NDArray[Any], case: Case, field: Field) -> float:
    origin = middle_mm(case).numpy() - field.half_mm + 0.5 * field.voxel_mm
    affine = affine_from_axes(tuple(float(v) for v in origin), np.eye(3)[::-1], field.voxel_mm)
    try:
        axis = frame_from_mask(Volume((labels == 1).astype(np.uint8), affine)).axis
    except AnalysisError:
        return float("nan")
    return float(np.rad2deg(np.arccos(np.clip(axis @ case.frame.axis, -1, 1))))


def _pose_errors(rotation: Tensor, translation: Tensor, batch: Batch) -> dict[str, float]:
    truth = euler_from_matrix(batch.rotation)
    euler = euler_from_matrix(rotation, near=truth)
    cosine = (rotation[0, :, 2] * batch.rotation[0, :, 2]).sum().clamp(-1, 1)
    row = {
        "rotation_mse": float((wrap(euler - truth) ** 2).mean()),
        "axis_error_deg": float(torch.rad2deg(torch.arccos(cosine))),
    }
    for k, angle in enumerate(("alpha", "beta", "gamma")):
        row |= {angle: float(truth[0, k] + wrap(euler - truth)[0, k]), f"true_{angle}": float(truth[0, k])}
    for k, part in enumerate(("tx", "ty", "tz")):
        row |= {part: float(translation[0, k]), f"true_{part}": float(batch.translation[0, k])}
    return row
