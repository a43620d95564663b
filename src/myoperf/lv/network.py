"""The left ventricle by a small network, with the classical method where the network fails."""

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
from myoperf.lv.mask import frame_from_mask
from myoperf.lv.metrics import dice
from myoperf.nets.lv_compact import LVCompact, matrix_from_six
from myoperf.nets.lv_sampling import COARSE, COARSE_MM, coarse_points, crop_points, normalise, pull, sample_at
from myoperf.types import MYOCARDIUM, Finding, LVFrame, Volume

__all__ = ["Agreement", "NetworkLV", "load_network_lv"]

SMALLEST_ML, LARGEST_ML = 40.0, 700.0
PASSES = 4
TURN_DEG, SHIFT_MM = 12.0, 2.0  # how far the passes' starting poses lie from the best one
LEAST_OVERLAP, LARGEST_SPREAD_DEG = 0.9, 6.0


@dataclass(frozen=True)
class Agreement:
    """How well the network's passes agree; each starts from another pose.

    Parameters
    ----------
    overlap
        Smallest Dice overlap between one pass's wall and the mean's.
    spread_deg
        Largest angle between one pass's long axis and the mean's.
    turn_deg
        Angle between the long axis of the mean's wall and the one that the network states.
    sureness
        Mean probability of the wall over the voxels called wall.
    """

    overlap: float
    spread_deg: float
    turn_deg: float
    sureness: float

    @property
    def doubtful(self) -> bool:
        """Whether a reader should check pose and contours."""
        return self.overlap < LEAST_OVERLAP or max(self.spread_deg, self.turn_deg) > LARGEST_SPREAD_DEG


@dataclass(frozen=True, eq=False)
class _Pose:
    centre: Tensor
    rotation: Tensor
    length_mm: float


@dataclass(frozen=True, eq=False)
class NetworkLV:
    """The compact network with what its card says.

    Parameters
    ----------
    net
        In evaluation mode.
    card
        Of the weights.
    """

    net: LVCompact
    card: dict[str, Any]

    def find_lv(self, volume: Volume, *, fall_back: bool = True) -> LVFit:
        """Find, turn and segment the left ventricle; gates are summed first.

        The localiser gives a pose, two passes improve it, and four from poses about the last one are
        averaged. The pose of the result is that of the averaged wall's geometry
        (`myoperf.lv.frame_from_mask`). Where the passes disagree the finding ``check-orientation`` is
        given. Where the network gives no wall of a plausible size, `myoperf.lv.find_lv` takes over.

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
            return self.find_with_agreement(volume)[0]
        except AnalysisError:
            if not fall_back:
                raise
        fit = find_lv(volume)
        note = Finding("lv-classical", "warning", "The network found no left ventricle; the classical method was used.")
        return LVFit(fit.frame, fit.labels, fit.confidence, (*fit.findings, note))

    @torch.inference_mode()
    def find_with_agreement(self, volume: Volume) -> tuple[LVFit, Agreement]:
        """As `find_lv` without fall-back, with how well the passes agree."""
        volume = volume.summed()
        image, inverse = _tensors(volume)
        if not float(image.max()) > 0:
            raise AnalysisError("No left ventricle was found: the volume holds no counts; check the file.")
        middle = _single(transform_points(volume.lps_from_index, 0.5 * (np.array(volume.grid_shape) - 1)))
        pose = self._locate(image, inverse, middle)
        for _ in range(2):
            pose = self._pass(image, inverse, [pose])[1][0]
        around = [pose, *(_turned(pose, k) for k in range(PASSES - 1))]
        logits, poses = self._pass(image, inverse, around)
        points, box = _box_points(volume, pose)
        chances = [pull(out, points, p.centre, p.rotation).softmax(0) for out, p in zip(logits, around, strict=True)]
        mean = torch.stack(chances).mean(0).numpy()
        labels = _labels(mean)
        amount = float((labels == MYOCARDIUM).sum()) * volume.voxel_ml
        if not SMALLEST_ML < amount < LARGEST_ML:
            raise AnalysisError(
                f"No left ventricle was found: a wall of {amount:.0f} ml; {SMALLEST_ML:.0f}-{LARGEST_ML:.0f} expected."
            )
        whole = np.zeros(volume.grid_shape, dtype=np.uint8)
        whole[box] = labels
        stated, spread = _mean_frame(poses)
        found = volume.with_array(whole)
        frame = frame_from_mask(volume.with_array((whole == MYOCARDIUM).astype(np.uint8)))
        walls = [chance.argmax(0).numpy() == MYOCARDIUM for chance in chances]
        agreement = Agreement(
            overlap=min(dice(wall, labels == MYOCARDIUM) for wall in walls),
            spread_deg=spread,
            turn_deg=_angle_deg(frame.axis, stated.axis),
            sureness=float(mean[MYOCARDIUM][labels == MYOCARDIUM].mean()),
        )
        doubts = (_doubt(agreement),) if agreement.doubtful else ()
        confidence = float(np.clip(agreement.overlap * agreement.sureness, 0, 0.49 if doubts else 1))
        return LVFit(frame, found, confidence, doubts), agreement

    def segment_lv(self, volume: Volume, frame: LVFrame) -> tuple[Volume, tuple[Finding, ...]]:
        """Label the left ventricle whose pose is given (by an operator).

        Returns
        -------
        (labels on the input's grid, findings)

        Raises
        ------
        AnalysisError
            When the pose lies outside the volume or no wall is seen at it.
        """
        return self.segment_gates(volume.summed(), frame), ()

    @torch.inference_mode()
    def segment_gates(self, gated: Volume, frame: LVFrame) -> Volume:
        """Label every gate in the pose of the summed study, all gates in one batch.

        Parameters
        ----------
        gated
            Any number of gates.
        frame
            Of the summed study, e.g. of `find_lv`.

        Returns
        -------
        uint8 (gates, planes, rows, columns): 1 myocardium, 2 blood pool.

        Raises
        ------
        AnalysisError
            When the pose lies outside the volume, or a gate holds no wall.
        """
        place = transform_points(index_from_lps(gated.lps_from_index), frame.centre_mm)
        if (place < -0.5).any() or (place > np.array(gated.grid_shape) - 0.5).any():
            raise AnalysisError(
                "The given pose lies outside the volume; give the pose in this volume's LPS millimetres."
            )
        pose = _Pose(
            _single(frame.centre_mm),
            _single(np.stack([frame.axis, frame.anterior, frame.lateral], 1)),
            frame.length_mm,
        )
        images = [_tensors(gated.with_array(gate)) for gate in gated.array]
        inverse = images[0][1]
        points, box = _box_points(gated, pose)
        grid = crop_points(pose.centre, pose.rotation)
        crops = [normalise(sample_at(image, inverse, grid)) for image, _ in images]
        logits, _ = self.net(torch.stack(crops))
        out = np.zeros((gated.frames, *gated.grid_shape), dtype=np.uint8)
        for k, gate in enumerate(logits):
            out[(k, *box)] = _labels(pull(gate, points, pose.centre, pose.rotation).softmax(0).numpy())
        return gated.with_array(out)

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


def load_network_lv(folder: Path) -> NetworkLV:
    """Read ``model.safetensors`` and ``card.json``.

    Raises
    ------
    MissingWeightsError
        When the folder has no weights.
    """
    file = folder / "model.safetensors"
    if not file.is_file() or not (folder / "card.json").is_file():
        raise MissingWeightsError(
            f"Weights {folder.name!r} are not installed; model.safetensors and card.json were expected."
        )
    net = LVCompact()
    net.load_state_dict(load_file(file), strict=True)
    return NetworkLV(net.eval(), json.loads((folder / "card.json").read_text()))


def _single(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))


def _tensors(volume: Volume) -> tuple[Tensor, Tensor]:
    """Give the image (1, planes, rows, columns), not negative, and the matrix to its indices."""
    return _single(volume.array).clamp_min(0), _single(index_from_lps(volume.lps_from_index))


def _turned(pose: _Pose, axis: int) -> _Pose:
    """Turn a pose about one of its axes and move it along it."""
    angle = np.deg2rad(TURN_DEG)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = torch.eye(3)
    turn[a, a] = turn[b, b] = float(np.cos(angle))
    turn[a, b], turn[b, a] = -float(np.sin(angle)), float(np.sin(angle))
    return _Pose(pose.centre + SHIFT_MM * pose.rotation[:, axis], pose.rotation @ turn, pose.length_mm)


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
    return LVFrame(centre - half * axis, centre + half * axis, anterior), max(_angle_deg(a, axis) for a in axes)


def _angle_deg(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.rad2deg(np.arccos(np.clip(np.dot(one, other), -1, 1))))


def _doubt(agreement: Agreement) -> Finding:
    return Finding(
        "check-orientation",
        "warning",
        f"The network's passes agree poorly (overlap {agreement.overlap:.2f}, long axis within "
        f"{max(agreement.spread_deg, agreement.turn_deg):.0f} degrees); check orientation and contours.",
    )
