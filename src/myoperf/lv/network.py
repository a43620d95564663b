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
from torch import Tensor

from myoperf.errors import AnalysisError, MissingWeightsError
from myoperf.geometry import index_from_lps, largest_piece, transform_points
from myoperf.lv.compact_network import LVCompact, matrix_from_six
from myoperf.lv.engine import CPU, Engine, Runner, build_runner
from myoperf.lv.find import LVFit, find_lv
from myoperf.lv.mask import frame_from_mask
from myoperf.lv.metrics import dice
from myoperf.lv.sampling import (
    COARSE,
    COARSE_MM,
    coarse_points,
    crop_points,
    normalise,
    pull,
    sample_at,
)
from myoperf.types import MYOCARDIUM, Finding, LVFrame, Volume

__all__ = ["Agreement", "NetworkLV", "load_network_lv"]

SMALLEST_ML, LARGEST_ML = 40.0, 700.0
PASSES = 4
TURN_DEG, SHIFT_MM = 12.0, 2.0  # how far the passes' starting poses lie from the best one
LEAST_OVERLAP, LARGEST_SPREAD_DEG, LEAST_SURENESS = 0.965, 4.0, 0.955
"""Set on volumes of the training patients, plain and spoilt (`myoperf.research.lv_network.disturbance`): no good result
doubted, four bad ones in five."""


@dataclass(frozen=True)
class Agreement:
    """How well the network's passes agree; each starts from another pose.

    Parameters
    ----------
    overlap
        Smallest Dice overlap between one pass's wall and the mean's.
    spread_deg
        Largest angle between the long axis of one pass's wall and the mean's.
    volume_spread_percent
        SD of the wall's volume over the passes, as a share of its mean.
    sureness
        Mean probability of the wall over the voxels called wall.
    """

    overlap: float
    spread_deg: float
    volume_spread_percent: float
    sureness: float

    @property
    def doubtful(self) -> bool:
        """Whether a reader should check pose and contours."""
        return self.overlap < LEAST_OVERLAP or self.spread_deg > LARGEST_SPREAD_DEG or self.sureness < LEAST_SURENESS


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
    runner
        Runs the U-Net (`myoperf.lv.engine`); None for single precision.
    """

    net: LVCompact
    card: dict[str, Any]
    runner: Runner | None = None

    def find_lv(self, volume: Volume, *, fall_back: bool = True) -> LVFit:
        """Find, turn and segment the left ventricle; gates are summed first.

        The localiser gives a pose; a pass labels the volume turned by it; the geometry of the wall
        (`myoperf.lv.frame_from_mask`) gives a better pose; so twice. Then four passes from poses about
        that one are averaged. Where they disagree the finding ``check-orientation`` is given. Where the
        network gives no wall of a plausible size, `myoperf.lv.find_lv` takes over.

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
        pose = self._locate(image, inverse, volume)
        for _ in range(2):
            points, box = _box_points(volume, pose)
            pose = _pose_of(_frame(self._chances(image, inverse, points, [pose])[0], volume, box, pose))
        around = [pose, *(_turned(pose, k) for k in range(PASSES - 1))]
        points, box = _box_points(volume, pose)
        chances = self._chances(image, inverse, points, around)
        mean = chances.mean(0)
        labels = _labels(mean)
        amounts = [float((chance.argmax(0) == MYOCARDIUM).sum()) * volume.voxel_ml for chance in (mean, *chances)]
        if not SMALLEST_ML < amounts[0] < LARGEST_ML:
            raise AnalysisError(
                f"No left ventricle was found: a wall of {amounts[0]:.0f} ml; "
                f"{SMALLEST_ML:.0f}-{LARGEST_ML:.0f} expected."
            )
        frame = _frame(mean, volume, box, pose)
        others = [_frame(chance, volume, box, pose) for chance in chances]
        agreement = Agreement(
            overlap=min(dice(chance.argmax(0) == MYOCARDIUM, labels == MYOCARDIUM) for chance in chances),
            spread_deg=max(_angle_deg(other.axis, frame.axis) for other in others),
            volume_spread_percent=100.0 * float(np.std(amounts[1:], ddof=1) / np.mean(amounts[1:])),
            sureness=float(mean[MYOCARDIUM][labels == MYOCARDIUM].mean()),
        )
        whole = np.zeros(volume.grid_shape, dtype=np.uint8)
        whole[box] = labels
        doubts = (_doubt(agreement),) if agreement.doubtful else ()
        confidence = float(np.clip(agreement.overlap * agreement.sureness, 0, 0.49 if doubts else 1))
        return LVFit(frame, volume.with_array(whole), confidence, doubts), agreement

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
        pose = _pose_of(frame)
        images = [_tensors(gated.with_array(gate)) for gate in gated.array]
        inverse = images[0][1]
        points, box = _box_points(gated, pose)
        grid = crop_points(pose.centre, pose.rotation)
        crops = [normalise(sample_at(image, inverse, grid)) for image, _ in images]
        logits = self._logits(torch.stack(crops))
        out = np.zeros((gated.frames, *gated.grid_shape), dtype=np.uint8)
        for k, gate in enumerate(logits):
            out[(k, *box)] = _labels(pull(gate, points, pose.centre, pose.rotation).softmax(0).numpy())
        return gated.with_array(out)

    def _logits(self, crops: Tensor) -> Tensor:
        """Label crops (B, 1, CROP, CROP, CROP) -> (B, classes, CROP, CROP, CROP)."""
        return self.net(crops)[0] if self.runner is None else self.runner(crops)

    def _locate(self, image: Tensor, inverse: Tensor, volume: Volume) -> _Pose:
        middle = _single(transform_points(volume.lps_from_index, 0.5 * (np.array(volume.grid_shape) - 1)))
        field = normalise(sample_at(image, inverse, coarse_points(middle)))
        out = self.net.locator(field[None])[0]
        centre = middle + out[:3] * (0.5 * COARSE * COARSE_MM)
        return _Pose(centre, matrix_from_six(out[3:9]), 80.0 * float(out[9].exp()))

    def _chances(self, image: Tensor, inverse: Tensor, points: Tensor, poses: list[_Pose]) -> NDArray[np.float32]:
        """Give every pose's class probabilities (poses, classes, D, H, W) at LPS points."""
        crops = [normalise(sample_at(image, inverse, crop_points(p.centre, p.rotation))) for p in poses]
        logits = self._logits(torch.stack(crops))
        pulled = [pull(out, points, p.centre, p.rotation).softmax(0) for out, p in zip(logits, poses, strict=True)]
        return np.asarray(torch.stack(pulled).numpy())


def load_network_lv(folder: Path, *, engine: Engine = "auto", device: torch.device = CPU) -> NetworkLV:
    """Read ``model.safetensors`` and ``card.json``.

    Parameters
    ----------
    engine
        How the U-Net is run: see `myoperf.lv.engine.choose_engine`.
    device
        Where the U-Net is run; the small localiser stays on the processor.

    Raises
    ------
    MissingWeightsError
        When the folder has no weights.
    InputError
        For an engine that is not known, or OpenVINO where it is not installed.
    """
    file = folder / "model.safetensors"
    if not file.is_file() or not (folder / "card.json").is_file():
        raise MissingWeightsError(
            f"Weights {folder.name!r} are not installed; model.safetensors and card.json were expected."
        )
    net = LVCompact()
    net.load_state_dict(load_file(file), strict=True)
    net.eval()
    return NetworkLV(net, json.loads((folder / "card.json").read_text()), build_runner(net, engine, device=device))


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
    piece = largest_piece(labels, corners=False)
    if not piece.any():
        raise AnalysisError("No left ventricle was found: the network labelled no voxel; check the file.")
    return np.where(piece, labels, np.uint8(0))


def _pose_of(frame: LVFrame) -> _Pose:
    axes = np.stack([frame.axis, frame.anterior, frame.lateral], 1)
    return _Pose(_single(frame.centre_mm), _single(axes), frame.length_mm)


def _frame(chance: NDArray[Any], volume: Volume, box: tuple[slice, slice, slice], near: _Pose) -> LVFrame:
    """Give the pose of the likeliest wall in a box of the volume."""
    affine = volume.lps_from_index.copy()
    affine[:3, 3] = transform_points(affine, np.array([float(part.start) for part in box]))
    wall = Volume((_labels(chance) == MYOCARDIUM).astype(np.uint8), affine)
    axis = near.rotation[:, 0].numpy().astype(np.float64)
    centre, half = near.centre.numpy().astype(np.float64), 0.5 * near.length_mm
    rough = LVFrame(centre - half * axis, centre + half * axis, near.rotation[:, 1].numpy().astype(np.float64))
    return frame_from_mask(wall, near=rough)


def _angle_deg(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.rad2deg(np.arccos(np.clip(np.dot(one, other), -1, 1))))


def _doubt(agreement: Agreement) -> Finding:
    return Finding(
        "check-orientation",
        "warning",
        f"The network's passes agree poorly (overlap {agreement.overlap:.2f}, long axis within "
        f"{agreement.spread_deg:.0f} degrees, sureness {agreement.sureness:.2f}); check orientation and contours.",
    )
