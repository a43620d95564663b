"""The left ventricle by a small network, with the classical method where the network is in doubt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor

from myoperf.errors import AnalysisError, MissingWeightsError
from myoperf.geometry import index_from_lps, transform_points
from myoperf.lv.find import LVFit, find_lv
from myoperf.nets.lv_compact import LVCompact, matrix_from_six
from myoperf.nets.lv_sampling import COARSE, COARSE_MM, coarse_points, crop_points, normalise, pull, sample_at
from myoperf.types import Finding, LVFrame, Volume

__all__ = ["NetworkLV"]

SPREAD_DEG = 12.0
SMALLEST_ML, LARGEST_ML = 40.0, 700.0


@dataclass(frozen=True, eq=False)
class _Pose:
    centre: Tensor
    rotation: Tensor
    length_mm: float


class NetworkLV:
    """The compact network with its weights.

    Parameters
    ----------
    folder
        Holds ``model.safetensors`` and ``card.json``.

    Raises
    ------
    MissingWeightsError
        When the folder has no weights.
    """

    def __init__(self, folder: Path) -> None:
        file = folder / "model.safetensors"
        if not file.is_file() or not (folder / "card.json").is_file():
            raise MissingWeightsError(
                f"Weights {folder.name!r} are not installed; model.safetensors and card.json were expected."
            )
        self.card: dict[str, Any] = json.loads((folder / "card.json").read_text())
        net = LVCompact()
        net.load_state_dict(load_file(file), strict=True)
        self.net = net.eval()

    def find_lv(self, volume: Volume, *, fall_back: bool = True) -> LVFit:
        """Find, turn and segment the left ventricle; gates are summed first.

        The localiser gives a pose, two passes improve it, and four more from poses about the last one
        are averaged. Their spread tells the doubt: beyond 12 degrees the finding ``check-orientation``
        is given. Where the network gives no wall of a plausible size, `myoperf.lv.find_lv` takes over.

        Parameters
        ----------
        volume
            Transaxial, any spacing.
        fall_back
            Let the classical method take over; else raise.

        Raises
        ------
        AnalysisError
            When no ventricle was found.
        """
        try:
            return self._find(volume.summed())
        except AnalysisError:
            if not fall_back:
                raise
        fit = find_lv(volume)
        note = Finding("lv-classical", "warning", "The network found no left ventricle; the classical method was used.")
        return LVFit(fit.frame, fit.labels, fit.confidence, (*fit.findings, note))

    @torch.inference_mode()
    def _find(self, volume: Volume) -> LVFit:
        image = torch.from_numpy(np.array(volume.array, dtype=np.float32)).clamp_min(0)
        if not float(image.max()) > 0:
            raise AnalysisError("No left ventricle was found: the volume holds no counts; check the file.")
        inverse = _single(index_from_lps(volume.lps_from_index))
        middle = _single(transform_points(volume.lps_from_index, 0.5 * (np.array(volume.grid_shape) - 1)))
        pose = self._locate(image, inverse, middle)
        for _ in range(2):
            pose = self._pass(image, inverse, [pose])[1][0]
        around = [pose, *(_turned(pose, k) for k in range(3))]
        logits, poses = self._pass(image, inverse, around)
        points, box = _box_points(volume, pose)
        chance = (
            torch.stack(
                [pull(out, points, p.centre, p.rotation).softmax(0) for out, p in zip(logits, around, strict=True)]
            )
            .mean(0)
            .numpy()
        )
        labels = _labels(chance)
        amount = float((labels == 1).sum()) * volume.voxel_ml
        if not SMALLEST_ML < amount < LARGEST_ML:
            raise AnalysisError(
                f"No left ventricle was found: a wall of {amount:.0f} ml; {SMALLEST_ML:.0f}-{LARGEST_ML:.0f} expected."
            )
        whole = np.zeros(volume.grid_shape, dtype=np.uint8)
        whole[box] = labels
        frame, spread = _mean_frame(poses)
        doubts = () if spread <= SPREAD_DEG else (_doubt(spread),)
        sure = float(chance[1][labels == 1].mean()) * float(np.exp(-0.5 * (spread / SPREAD_DEG) ** 2))
        return LVFit(frame, volume.with_array(whole), float(np.clip(sure, 0, 1)), doubts)

    def _locate(self, image: Tensor, inverse: Tensor, middle: Tensor) -> _Pose:
        field = normalise(sample_at(image, inverse, coarse_points(middle)))
        out = self.net.locator(field[None])[0]
        centre = middle + out[:3] * (0.5 * COARSE * COARSE_MM)
        return _Pose(centre, matrix_from_six(out[3:9]), 80.0 * float(out[9].exp()))

    def _pass(self, image: Tensor, inverse: Tensor, poses: list[_Pose]) -> tuple[Tensor, list[_Pose]]:
        crops = [normalise(sample_at(image, inverse, crop_points(p.centre, p.rotation))) for p in poses]
        logits, left = self.net(torch.stack(crops))
        turns = matrix_from_six(left[:, 3:9])
        better = [
            _Pose(p.centre + p.rotation @ (40.0 * o[:3]), p.rotation @ t, 80.0 * float(o[9].exp()))
            for p, o, t in zip(poses, left, turns, strict=True)
        ]
        return logits, better


def _single(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))


def _turned(pose: _Pose, axis: int) -> _Pose:
    """Turn a pose by 12 degrees about one of its axes and move it 2 mm along it."""
    angle = np.deg2rad(12.0)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = torch.eye(3)
    turn[a, a] = turn[b, b] = float(np.cos(angle))
    turn[a, b], turn[b, a] = -float(np.sin(angle)), float(np.sin(angle))
    return _Pose(pose.centre + 2.0 * pose.rotation[:, axis], pose.rotation @ turn, pose.length_mm)


def _box_points(volume: Volume, pose: _Pose) -> tuple[Tensor, tuple[slice, slice, slice]]:
    """LPS points of the voxels within 78 mm of the pose's centre, and their box."""
    place = transform_points(index_from_lps(volume.lps_from_index), pose.centre.numpy())
    reach = 78.0 / volume.spacing_mm
    low = np.clip(np.floor(place - reach).astype(int), 0, None)
    high = np.minimum(np.ceil(place + reach).astype(int) + 1, volume.grid_shape)
    if (high <= low).any():
        raise AnalysisError("No left ventricle was found: the network's place lies outside the volume; check the file.")
    index = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return _single(transform_points(volume.lps_from_index, index)), (box[0], box[1], box[2])


def _labels(chance: NDArray[Any]) -> NDArray[np.uint8]:
    """Take the likeliest class; keep the largest piece of the ventricle."""
    labels = chance.argmax(0).astype(np.uint8)
    pieces, count = ndimage.label(labels > 0)
    if count == 0:
        raise AnalysisError("No left ventricle was found: the network labelled no voxel; check the file.")
    labels[pieces != 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))] = 0
    return np.asarray(labels)


def _mean_frame(poses: list[_Pose]) -> tuple[LVFrame, float]:
    """Average poses; and the largest angle in degrees between one's long axis and the average's."""
    axes = np.stack([p.rotation[:, 0].numpy() for p in poses]).astype(np.float64)
    axis = axes.mean(0) / np.linalg.norm(axes.mean(0))
    anterior = np.mean([p.rotation[:, 1].numpy() for p in poses], axis=0)
    centre = np.mean([p.centre.numpy() for p in poses], axis=0)
    half = 0.5 * float(np.mean([p.length_mm for p in poses]))
    spread = float(np.rad2deg(np.arccos(np.clip(axes @ axis, -1, 1))).max())
    return LVFrame(centre - half * axis, centre + half * axis, anterior), spread


def _doubt(spread: float) -> Finding:
    return Finding(
        "check-orientation",
        "warning",
        f"The network's passes differ by {spread:.0f} degrees in the long axis; check it.",
    )
