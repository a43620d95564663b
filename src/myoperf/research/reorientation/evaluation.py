"""Evaluation of MS-ST-UNet, its ablations and its peers, all alike (Ni et al. 2023, section 3.3)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from myoperf.errors import AnalysisError
from myoperf.geometry import affine_from_axes, angle_deg
from myoperf.lv.mask import frame_from_mask
from myoperf.research.lv_network.cases import Case
from myoperf.research.lv_network.evaluation import compare_masks
from myoperf.research.lv_network.sampling import middle_mm
from myoperf.research.reorientation.batches import Batch, FieldOfView, sample_batch
from myoperf.research.reorientation.nn_unet import mirrored_probability
from myoperf.research.reorientation.output import LVOutput
from myoperf.research.reorientation.pose import euler_from_matrix, sample_back, wrap_angle
from myoperf.types import Volume


@torch.inference_mode()
def evaluate_network(
    net: nn.Module, cases: Sequence[Case], field: FieldOfView, *, given_pose: bool = False, mirrored: bool = False
) -> list[dict[str, str | float]]:
    """Compare a network's masks and pose with the truth, one row a case; masks are compared in the volume's frame.

    Parameters
    ----------
    given_pose
        Supply the true pose to the network (the paper's "manual rotation").
    mirrored
        Average over the eight mirrorings, as nnU-Net does; only for a network without a pose.

    Returns
    -------
    Rows of wall_dice, pool_dice, wall_hd95_mm, pool_hd95_mm, wall_ml, true_wall_ml, mask_axis_error_deg (of the long
    axis by the geometry of the wall's mask, `myoperf.lv.frame_from_mask`; NaN without a wall), what `calibration`
    returns, and for a network with a pose alpha, beta, gamma (radians), tx, ty, tz (halves of the field), each with its
    ``true_`` value, rotation_mse (radians squared, mean of the three angles) and axis_error_deg.
    """
    rows, device = [], next(iter(net.parameters()), torch.zeros(())).device
    for case in cases:
        batch = sample_batch([case], field, device=device)
        true_pose = batch.rotation, batch.translation
        output = net(batch.volume, *(true_pose if given_pose else ()))
        row: dict[str, str | float] = {"patient": case.patient, "case": case.name}
        if not output.logits:
            rows.append(row | _estimated_pose(output, batch))
            continue
        probability = mirrored_probability(net, batch.volume) if mirrored else output.logits[0].float().softmax(1)
        rotation, translation = output.rotation, output.translation
        if rotation is not None and translation is not None:
            used = true_pose if given_pose else (rotation.float(), translation.float())
            probability = sample_back(probability, *used)
            probability[:, 0] += 1 - probability.sum(1)  # background outside the turned cube
        labels, truth = probability.argmax(1)[0].cpu().numpy(), batch.labels[0].cpu().numpy()
        voxel_ml = field.voxel_mm**3 / 1000
        row |= compare_masks(labels, truth, field.voxel_mm)
        row |= {"wall_ml": float((labels == 1).sum()) * voxel_ml, "true_wall_ml": float((truth == 1).sum()) * voxel_ml}
        row |= calibration(probability[0].cpu().numpy(), truth)
        row["mask_axis_error_deg"] = _mask_axis_error_deg(labels, case, field)
        rows.append(row | _estimated_pose(output, batch))
    return rows


def calibration(probability: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Return how well the probabilities of wall and pool agree with the labels in one volume.

    Parameters
    ----------
    probability
        (3, ...): background, wall, pool.
    truth
        (...): the same as 0, 1, 2.

    Returns
    -------
    For ``wall`` and ``pool``: ``_brier``, the mean squared difference over the voxels that belong to it or have more
    than 1 % of it, and ``_expected_over_true``, the sum of the probabilities as a share of the true number of voxels,
    which is 1 where they are calibrated; NaN where there are no such voxels.

    Examples
    --------
    >>> calibration(np.array([[1.0, 0.5], [0.0, 0.5], [0.0, 0.0]]), np.array([0, 1]))["wall_brier"]
    0.25
    """
    measured = {}
    for label, name in ((1, "wall"), (2, "pool")):
        share, true = probability[label].astype(np.float64), truth == label
        near = true | (share > 0.01)
        measured[f"{name}_brier"] = float(((share - true)[near] ** 2).mean()) if near.any() else np.nan
        measured[f"{name}_expected_over_true"] = float(share.sum() / true.sum()) if true.any() else np.nan
    return measured


def _estimated_pose(output: LVOutput, batch: Batch) -> dict[str, str | float]:
    """Return the errors of a pose that the network estimated; nothing of one that was given."""
    if output.scale_rotations is None or output.rotation is None or output.translation is None:
        return {}
    return _pose_errors(output.rotation.float(), output.translation.float(), batch)


def _mask_axis_error_deg(labels: NDArray[Any], case: Case, field: FieldOfView) -> float:
    first_voxel = middle_mm(case.image).numpy() - field.half_mm + 0.5 * field.voxel_mm
    affine = affine_from_axes(tuple(float(v) for v in first_voxel), np.eye(3)[::-1], field.voxel_mm)
    try:
        axis = frame_from_mask(Volume((labels == 1).astype(np.uint8), affine)).axis
    except AnalysisError:
        return float("nan")
    return angle_deg(axis, case.frame.axis)


def _pose_errors(rotation: Tensor, translation: Tensor, batch: Batch) -> dict[str, str | float]:
    truth = euler_from_matrix(batch.rotation)
    difference = wrap_angle(euler_from_matrix(rotation, near=truth) - truth)
    cosine = (rotation[0, :, 2] * batch.rotation[0, :, 2]).sum().clamp(-1, 1)
    row: dict[str, str | float] = {
        "rotation_mse": float((difference**2).mean()),
        "axis_error_deg": float(torch.rad2deg(torch.arccos(cosine))),
    }
    for k, angle in enumerate(("alpha", "beta", "gamma")):
        row |= {angle: float(truth[0, k] + difference[0, k]), f"true_{angle}": float(truth[0, k])}
    for k, part in enumerate(("tx", "ty", "tz")):
        row |= {part: float(translation[0, k]), f"true_{part}": float(batch.translation[0, k])}
    return row
