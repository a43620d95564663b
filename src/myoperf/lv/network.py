"""The left ventricle by the network: repeated passes, how well they agree, and the classical method where they fail.

The network itself, its layers and input, is `myoperf.lv.compact_network`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from myoperf.cards import read_weights
from myoperf.errors import AnalysisError
from myoperf.geometry import angle_deg, index_from_lps, largest_piece, transform_points, unit
from myoperf.lv.find import LVFit, find_lv
from myoperf.lv.inference import CompiledNetwork, Device, Engine, Inference, choose_engine
from myoperf.lv.mask import frame_from_mask
from myoperf.lv.metrics import dice
from myoperf.lv.sampling import (
    COARSE,
    COARSE_MM,
    CROP,
    coarse_grid,
    middle_mm,
    pose_grid,
    probabilities_on,
    turned,
)
from myoperf.threads import in_threads
from myoperf.types import MYOCARDIUM, Finding, Float, Float32, LVFrame, Volume

SMALLEST_ML, LARGEST_ML = 40.0, 700.0
PASSES = 4
TURN_DEG, SHIFT_MM = 12.0, 2.0  # how far the starting poses of the passes lie from the best pose
REACH_MM = 78.0  # voxels this far from the centre along each grid axis are labelled; the crop reaches 80 mm
LEAST_OVERLAP, LARGEST_SPREAD_DEG, LEAST_SURENESS = 0.965, 4.0, 0.955
"""Chosen on volumes of the training patients, as they are and disturbed (`myoperf.research.lv_network.disturbance`), so
that no good result and four of five bad ones count as doubtful."""


@dataclass(frozen=True)
class Agreement:
    """How well the passes of the network agree; each starts from another pose.

    Parameters
    ----------
    overlap
        Smallest Dice overlap between the wall of one pass and that of their mean.
    spread_deg
        Largest angle between the long axis of one pass and that of their mean.
    volume_spread_percent
        SD of the wall's volume over the passes, as a share of its mean.
    sureness
        Mean probability of wall over the voxels labelled as wall.
    """

    overlap: float
    spread_deg: float
    volume_spread_percent: float
    sureness: float

    @property
    def doubts(self) -> tuple[str, ...]:
        """What speaks against pose and contours, in words; empty where the passes agree and are sure."""
        out = []
        if self.overlap < LEAST_OVERLAP or self.spread_deg > LARGEST_SPREAD_DEG:
            out.append(
                f"repeated estimates of the network disagree (overlap of the wall {self.overlap:.3f}, usually "
                f"{LEAST_OVERLAP} or more; long axis within {self.spread_deg:.1f} degrees, usually "
                f"{LARGEST_SPREAD_DEG:.0f} or fewer)"
            )
        if self.sureness < LEAST_SURENESS:
            out.append(
                f"the network is unsure where the wall ends (mean certainty {self.sureness:.3f}, usually "
                f"{LEAST_SURENESS} or more)"
            )
        return tuple(out)

    @property
    def doubtful(self) -> bool:
        """Whether a reader should check pose and contours."""
        return bool(self.doubts)


@dataclass(frozen=True, eq=False)
class _Pose:
    centre: Float
    rotation: Float
    length_mm: float

    @property
    def grid(self) -> Float:
        return pose_grid(self.centre, self.rotation)


@dataclass(frozen=True, eq=False)
class NetworkLV:
    """The compact network with its card.

    Parameters
    ----------
    net
        The network as one of the engines runs it (`myoperf.lv.inference`, `myoperf.lv.engine`).
    card
        Model card of the weights.
    """

    net: Inference
    card: Mapping[str, Any]

    def find_lv(self, volume: Volume, *, fall_back: bool = True) -> LVFit:
        """Find, turn and segment the left ventricle; gates are summed first.

        The localiser estimates a pose. A pass labels the volume turned to that pose, and the geometry of the labelled
        wall (`myoperf.lv.frame_from_mask`) gives a better one; this is done twice. Then four passes from poses around
        the last are averaged; if they disagree, the finding ``check-orientation`` says so. If the
        network labels no wall of a plausible size, `myoperf.lv.find_lv` takes over.

        Parameters
        ----------
        volume
            Transaxial, any spacing.
        fall_back
            Let the classical method take over; otherwise raise.

        Raises
        ------
        AnalysisError
            If no ventricle was found.
        """
        try:
            return self.find_with_agreement(volume)[0]
        except AnalysisError:
            if not fall_back:
                raise
        fit = find_lv(volume)
        note = Finding(
            "lv-classical", "warning", "The network did not find the left ventricle; the classical method was used."
        )
        return LVFit(fit.frame, fit.labels, fit.confidence, (*fit.findings, note))

    def find_with_agreement(self, volume: Volume) -> tuple[LVFit, Agreement]:
        """Find the left ventricle without fall-back; return also how well the passes agree."""
        volume = _positive(volume.summed())
        if not float(volume.array.max()) > 0:
            raise AnalysisError("No left ventricle was found: the volume holds no counts; check the file.")
        pose = self._locate(volume)
        for _ in range(2):
            box = _box_around(volume, pose)
            pose = _pose_of(_frame(self._probabilities(volume, box, [pose])[0], volume, box, pose))
        starts = [pose, *(_moved(pose, k) for k in range(PASSES - 1))]
        box = _box_around(volume, pose)
        passes = self._probabilities(volume, box, starts)
        mean = passes.mean(0)
        labels = _labels(mean)
        walls = [each.argmax(0) == MYOCARDIUM for each in passes]
        wall_ml, *walls_ml = (float(wall.sum()) * volume.voxel_ml for wall in (mean.argmax(0) == MYOCARDIUM, *walls))
        if not SMALLEST_ML < wall_ml < LARGEST_ML:
            raise AnalysisError(
                f"No left ventricle was found: the wall would have {wall_ml:.0f} ml; "
                f"{SMALLEST_ML:.0f}-{LARGEST_ML:.0f} ml were expected."
            )
        frame = _frame(mean, volume, box, pose)
        agreement = Agreement(
            overlap=min(dice(wall, labels == MYOCARDIUM) for wall in walls),
            spread_deg=max(angle_deg(_frame(each, volume, box, pose).axis, frame.axis) for each in passes),
            volume_spread_percent=100.0 * float(np.std(walls_ml, ddof=1) / np.mean(walls_ml)),
            sureness=float(mean[MYOCARDIUM][labels == MYOCARDIUM].mean()),
        )
        whole = np.zeros(volume.grid_shape, dtype=np.uint8)
        whole[box] = labels
        doubts = (_disagreement(agreement),) if agreement.doubtful else ()
        confidence = float(np.clip(agreement.overlap * agreement.sureness, 0, 0.49 if doubts else 1))
        return LVFit(frame, volume.with_array(whole), confidence, doubts), agreement

    def segment_lv(self, volume: Volume, frame: LVFrame) -> tuple[Volume, tuple[Finding, ...]]:
        """Label the left ventricle in a pose that an operator set.

        Returns
        -------
        (labels on the input's grid, findings)

        Raises
        ------
        AnalysisError
            If the pose lies outside the volume, or no wall is found there.
        """
        return self.segment_gates(volume.summed(), frame), ()

    def segment_gates(self, gated: Volume, frame: LVFrame) -> Volume:
        """Label every gate in the pose of the summed study, all gates in one batch.

        Parameters
        ----------
        gated
            Any number of gates.
        frame
            Pose of the summed study, e.g. from `find_lv`.

        Returns
        -------
        uint8 (gates, planes, rows, columns): 1 myocardium, 2 blood pool.

        Raises
        ------
        AnalysisError
            If the pose lies outside the volume, or no wall is found in a gate.
        """
        if not _inside(gated, frame):
            raise AnalysisError("The given pose lies outside the volume; give it in LPS millimetres of this volume.")
        labels = self.segment_all([(gated.with_array(gate), frame) for gate in gated.array])
        found = [gate.array[0] for gate in labels if gate is not None]
        if len(found) < gated.frames:
            raise AnalysisError("No left ventricle was found: the network labelled no voxel; check the file.")
        return gated.with_array(np.stack(found))

    def segment_all(self, posed: Sequence[tuple[Volume, LVFrame]]) -> list[Volume | None]:
        """Label several volumes of one frame, each in a pose of its own, in one batch.

        Returns
        -------
        uint8 labels on each volume's grid; None where the pose lies outside the volume or no wall is found.
        """
        inside = [(_positive(volume), _pose_of(frame)) for volume, frame in posed if _inside(volume, frame)]
        logits = self._logits(inside)
        labels = iter([_labels_on(one, pose, of_crop) for (one, pose), of_crop in zip(inside, logits, strict=True)])
        return [next(labels) if _inside(volume, frame) else None for volume, frame in posed]

    def _logits(self, posed: Sequence[tuple[Volume, _Pose]]) -> list[Float32]:
        """Return the logits (classes, CROP, CROP, CROP) of volumes of one frame turned to poses."""
        crops = in_threads(lambda one: turned(one[0], one[1].grid, CROP), posed)
        return list(self.net.label(np.stack(crops))) if crops else []

    def _locate(self, volume: Volume) -> _Pose:
        middle = middle_mm(volume)
        out = self.net.locate(turned(volume, coarse_grid(middle), COARSE)).astype(np.float64)
        axis, near_anterior = unit(out[3:6]), out[6:9]
        anterior = unit(near_anterior - (axis @ near_anterior) * axis)
        rotation = np.stack([axis, anterior, np.cross(axis, anterior)], 1)
        return _Pose(middle + out[:3] * (0.5 * COARSE * COARSE_MM), rotation, 80.0 * float(np.exp(out[9])))

    def _probabilities(self, volume: Volume, box: tuple[slice, slice, slice], poses: Sequence[_Pose]) -> Float32:
        """Return the class probabilities (poses, classes, D, H, W) in a box of a volume, labelled from each pose."""
        logits = self._logits([(volume, pose) for pose in poses])
        moved = [probabilities_on(out, pose.grid, volume, box) for out, pose in zip(logits, poses, strict=True)]
        return np.stack(moved)


def load_network_lv(folder: Path, *, engine: Engine = "auto", device: Device = "cpu") -> NetworkLV:
    """Read ``model.safetensors`` and ``card.json``, and check one against the other.

    Parameters
    ----------
    engine
        How the network is run: see `myoperf.lv.inference.choose_engine`.
    device
        Where the U-Net is run; the small localiser stays on the processor.

    Raises
    ------
    MissingWeightsError
        If the folder has no weights.
    InputError
        When the weights are not those of the card; for an unknown engine, or for OpenVINO if it is not installed.
    """
    data, card = read_weights(folder, "model.safetensors")
    chosen = choose_engine(engine, device)
    if chosen == "compiled":
        return NetworkLV(CompiledNetwork.from_weights(load(data)), card)
    from myoperf.lv.engine import load_torch_network  # torch takes seconds to load

    return NetworkLV(load_torch_network(data, chosen, device=device), card)


def _positive(volume: Volume) -> Volume:
    """Return the volume with 0 for negative values."""
    return volume.with_array(np.maximum(volume.array, 0))


def _moved(pose: _Pose, axis: int) -> _Pose:
    """Turn a pose by `TURN_DEG` about one of its axes and move it by `SHIFT_MM` along that axis."""
    angle = np.deg2rad(TURN_DEG)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = np.cos(angle)
    turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
    return _Pose(pose.centre + SHIFT_MM * pose.rotation[:, axis], pose.rotation @ turn, pose.length_mm)


def _box_around(volume: Volume, pose: _Pose) -> tuple[slice, slice, slice]:
    """Return the box of voxels within `REACH_MM` of the pose's centre."""
    centre = transform_points(index_from_lps(volume.lps_from_index), pose.centre)
    reach = REACH_MM / volume.spacing_mm
    low = np.clip(np.floor(centre - reach).astype(int), 0, None)
    high = np.minimum(np.ceil(centre + reach).astype(int) + 1, volume.grid_shape)
    if (high <= low).any():
        raise AnalysisError("No left ventricle was found: the network places it outside the volume; check the file.")
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return box[0], box[1], box[2]


def _labels(probability: NDArray[Any]) -> NDArray[np.uint8]:
    """Take the most likely class (classes, D, H, W) -> (D, H, W); keep the largest piece of the ventricle."""
    labels = probability.argmax(0).astype(np.uint8)
    piece = largest_piece(labels, corners=False)
    if not piece.any():
        raise AnalysisError("No left ventricle was found: the network labelled no voxel; check the file.")
    return np.where(piece, labels, np.uint8(0))


def _inside(volume: Volume, frame: LVFrame) -> bool:
    """Return whether a pose's centre lies in the volume."""
    place = transform_points(index_from_lps(volume.lps_from_index), frame.centre_mm)
    return bool((place >= -0.5).all() and (place <= np.array(volume.grid_shape) - 0.5).all())


def _labels_on(volume: Volume, pose: _Pose, logits: Float32) -> Volume | None:
    """Return the labels of a volume from the logits of the crop in a pose; None where no wall is found."""
    box = _box_around(volume, pose)
    whole = np.zeros(volume.grid_shape, dtype=np.uint8)
    try:
        whole[box] = _labels(probabilities_on(logits, pose.grid, volume, box))
    except AnalysisError:
        return None
    return volume.with_array(whole)


def _pose_of(frame: LVFrame) -> _Pose:
    rotation = np.stack([frame.axis, frame.anterior, frame.lateral], 1)
    return _Pose(np.asarray(frame.centre_mm), rotation, frame.length_mm)


def _frame(probability: NDArray[Any], volume: Volume, box: tuple[slice, slice, slice], near: _Pose) -> LVFrame:
    """Return the pose of the wall labelled in a box of the volume."""
    affine = volume.lps_from_index.copy()
    affine[:3, 3] = transform_points(affine, np.array([float(part.start) for part in box]))
    wall = Volume((_labels(probability) == MYOCARDIUM).astype(np.uint8), affine)
    axis, half = near.rotation[:, 0], 0.5 * near.length_mm
    rough = LVFrame(near.centre - half * axis, near.centre + half * axis, near.rotation[:, 1])
    return frame_from_mask(wall, near=rough)


def _disagreement(agreement: Agreement) -> Finding:
    """Return the warning of a doubtful result, which names what makes it so."""
    text = "; ".join(agreement.doubts)
    message = f"{text[0].upper()}{text[1:]}. Check the orientation and the contours."
    return Finding("check-orientation", "warning", message)
