"""Apply a trained network of Ni et al. 2023 to volumes that it has not seen: ``myoperf predict``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from myoperf.errors import InputError, MyoPerfError
from myoperf.geometry import affine_from_axes, index_from_lps, transform_points
from myoperf.io.nifti import write_nifti
from myoperf.lv import frame_from_mask
from myoperf.research.lv_network.sampling import middle_mm, sample_at, single
from myoperf.research.reorientation.batches import FieldOfView, sample_volume
from myoperf.research.reorientation.evaluation import evaluate_network
from myoperf.research.reorientation.ms_st_unet import MSUNET, POSE_ONLY
from myoperf.research.reorientation.networks import build_lv_network
from myoperf.research.reorientation.own_cases import parameters_of, read_case, read_image, read_volume_table
from myoperf.research.reorientation.pose import sample_back
from myoperf.research.reorientation.tables import summarise
from myoperf.research.training.predictions import Predicted
from myoperf.research.training.weights import load_tensors, read_model
from myoperf.types import LVFrame, Volume

NAME = "ms-st-unet"


def load_network(folder: Path, device: str = "cpu") -> tuple[nn.Module, FieldOfView, Mapping[str, Any]]:
    """Load a network that ``myoperf train reorientation`` wrote, with the field it sees and its card.

    Raises
    ------
    MissingWeightsError, InputError
        When the folder is not such a model, or its weights are not those of its card.
    """
    data, card = read_model(folder, NAME, needs=("build",))
    build = card["build"]
    net = build_lv_network(build["network"], build["size"])
    load_tensors(folder, data, {"": net})
    return net.to(device).eval(), FieldOfView(**build["field"]), card


def predict_volumes(folder: Path, table: Path, *, device: str = "cpu") -> Predicted:
    """Return the labels and the pose of each volume, and, where the table has masks, how they agree with them.

    Returns
    -------
    `tables`: ``poses`` (a row a volume: LPS points, and Table 2's parameters) and, for rows with a mask, ``scores`` and
    ``summary``; `write_files` writes ``masks/LINE_lv_labels.nii.gz`` on each volume's own grid.

    Raises
    ------
    MissingWeightsError, InputError
        When model or table cannot be used, or no volume can be read.
    """
    net, field, card = load_network(folder, device)
    if card["build"]["network"] in (MSUNET, *POSE_ONLY):
        raise InputError(f"{card['build']['network']} does not label by itself; predict needs a network that does.")
    rows = read_volume_table(table, labelled=False).rows
    poses, scores, refused = list[dict[str, Any]](), list[dict[str, Any]](), list[tuple[int, str]]()
    masks: dict[str, Volume] = {}
    for row in rows:
        try:
            image = read_image(row.files["volume"])
            pose, labels = _locate(net, image, field, device)
            if "mask" in row.files:
                scores += evaluate_network(net, [read_case(row)[0]], field)
        except MyoPerfError as error:
            refused.append((row.line, str(error)))
            continue
        about = {"patient": row.patient, "line": row.line}
        masks[f"line-{row.line:04d}_lv_labels.nii.gz"] = labels
        poses.append(about | _pose_columns(pose, image))
    if not poses:
        raise InputError(f"None of {len(rows)} volumes could be read; the first: {refused[0][1]}")
    tables = {"poses": pd.DataFrame(poses)}
    if scores:
        measured = pd.DataFrame(scores)
        tables |= {"scores": measured, "summary": summarise(measured)}
    return Predicted(
        refused=pd.DataFrame(refused, columns=["line", "reason"]),
        tables=tables,
        write_files=lambda out: _write_masks(out / "masks", masks),
    )


@torch.inference_mode()
def _locate(net: nn.Module, image: Volume, field: FieldOfView, device: str) -> tuple[LVFrame | None, Volume]:
    """Return a volume's pose (None where the network labels no wall) and its labels.

    The pose is the network's own where it estimates one, from the apex to the base of its labelled wall; otherwise that
    of the labelled wall's geometry.
    """
    output = net(sample_volume(image, field, device=device))
    probability = output.logits[0].float().softmax(1)
    if output.rotation is None or output.translation is None:
        labels = _on_volume(probability, image, field)
        try:
            return frame_from_mask(image.with_array((labels.array[0] == 1).astype(np.uint8))), labels
        except MyoPerfError:
            return None, labels
    pose = output.rotation.float(), output.translation.float()
    labels = _on_volume(sample_back(probability, *pose), image, field)
    wall = np.argwhere(labels.array[0] == 1)
    if not len(wall):
        return None, labels
    _, inferior, axis = pose[0][0].cpu().double().numpy().T
    centre = middle_mm(image).double().numpy() + pose[1][0].cpu().double().numpy() * field.half_mm
    along = (transform_points(labels.lps_from_index, wall) - centre) @ axis
    if np.ptp(along) < 1.0:
        return None, labels
    return LVFrame(centre + along.min() * axis, centre + along.max() * axis, -inferior), labels


def _on_volume(probability: torch.Tensor, image: Volume, field: FieldOfView) -> Volume:
    """Return the labels on the volume's own grid, from class probabilities (1, 3, N, N, N) on the field's."""
    first = middle_mm(image).numpy() - field.half_mm + 0.5 * field.voxel_mm
    affine = affine_from_axes(tuple(float(v) for v in first), np.eye(3)[::-1], field.voxel_mm)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in image.grid_shape), indexing="ij"), -1)
    points = single(transform_points(image.lps_from_index, index))
    share = sample_at(probability[0, 1:].cpu(), single(index_from_lps(affine)), points)
    return image.with_array(torch.cat([1 - share.sum(0, keepdim=True), share]).argmax(0).numpy().astype(np.uint8))


def _pose_columns(frame: LVFrame | None, image: Volume) -> dict[str, float]:
    if frame is None:
        return {}
    points = {"apex": frame.apex_mm, "base": frame.base_mm, "anterior": frame.anterior}
    columns = {
        f"{name}_{axis}": float(v) for name, point in points.items() for axis, v in zip("xyz", point, strict=True)
    }
    return columns | parameters_of(frame, image)


def _write_masks(folder: Path, masks: Mapping[str, Volume]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in masks.items():
        write_nifti(folder / name, labels, description="1 myocardium, 2 blood pool; MyoPerf, research only")
