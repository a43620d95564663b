"""Write simulated counts as Nuclear Medicine DICOM, the way a camera or its workstation would.

Modules: PS3.3 A.5 (NM Image IOD) and C.8.4 (NM Series, Image, Isotope, Detector, TOMO
Acquisition, Multi-gated Acquisition, Reconstruction).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import NuclearMedicineImageStorage

from myoperf.dicom import (
    LARGEST_STORED,
    add_pixels,
    code_item,
    decimal_string,
    plane_geometry,
    real_world_mapping,
    save_dataset,
    scaled_to_integers,
)
from myoperf.errors import GeometryError, InputError
from myoperf.io.simulated_header import (
    SimulatedHeader,
    gate_duration_ms,
    start_dataset,
)
from myoperf.types import Orientation, Projections, Volume

_VIEW_DURATION_MS = 20000
_WINDOWS_KEV = {"Tc-99m": (126.0, 154.0), "Tl-201": (63.0, 77.0)}


def write_projections(
    path: str | Path,
    projections: Projections,
    header: SimulatedHeader,
    *,
    frame_duration_ms: float | None = None,
    detectors: int = 1,
) -> Path:
    """Write raw views as an NM TOMO (one frame) or GATED TOMO (several) image.

    Parameters
    ----------
    path
        A file that does not exist yet.
    projections
        Counts 0 to 65535, rounded to whole counts. Angles must be evenly spaced within each
        detector; a falling angle is written as rotation direction CW, a rising one as CC.
    frame_duration_ms
        Length of one gate; needed when `projections` has more than one frame.
    detectors
        Heads that shared the views: head i holds the i-th block of ``views / detectors`` views,
        starting from its own angle.

    Raises
    ------
    InputError, GeometryError
        When the counts do not fit 16 bits or the angles do not fit a uniform rotation.
    OutputExistsError
        When `path` exists.
    """
    gate_ms = gate_duration_ms(projections, frame_duration_ms)
    starts, step, direction = _rotation(projections.angles_deg, detectors)
    per_head = projections.views // detectors
    dataset = _start(header, "ORIGINAL", "TOMO" if gate_ms is None else "GATED TOMO")
    dataset.PixelSpacing = [decimal_string(s) for s in projections.pixel_mm]
    window, slot, head, view = (
        v.ravel() + 1
        for v in np.indices((1 + len(projections.scatter_windows), projections.frames, detectors, per_head))
    )
    dataset.EnergyWindowVector, dataset.RotationVector = window.tolist(), [1] * slot.size
    dataset.DetectorVector = head.tolist()
    dataset.AngularViewVector = view.tolist()
    pointers = [0x00540010, 0x00540020, 0x00540050]
    if gate_ms is not None:
        _add_gating(dataset, projections.frames, gate_ms, slot)
        pointers += [0x00540060, 0x00540070]
    dataset.FrameIncrementPointer = [*pointers, 0x00540090]
    dataset.NumberOfDetectors = detectors
    dataset.DetectorInformationSequence = [
        _detector(header, projections, head * per_head, start) for head, start in enumerate(starts)
    ]
    dataset.TypeOfDetectorMotion = "STEP AND SHOOT"
    rotation = Dataset()
    rotation.StartAngle, rotation.AngularStep = decimal_string(starts[0]), decimal_string(step)
    rotation.RotationDirection, rotation.ScanArc = direction, decimal_string(step * per_head)
    rotation.ActualFrameDuration, rotation.NumberOfFramesInRotation = _VIEW_DURATION_MS, per_head
    radius_mm = projections.radius_mm
    if radius_mm is not None:
        radii = radius_mm if np.ptp(radius_mm) > 0 else radius_mm[:1]
        rotation.RadialPosition = [decimal_string(r) for r in radii]
    dataset.RotationInformationSequence = [rotation]
    _add_frames(dataset, _whole_counts(_with_scatter_windows(dataset, projections)))
    return save_dataset(dataset, Path(path))


def _with_scatter_windows(dataset: Dataset, projections: Projections) -> NDArray[Any]:
    """Describe the windows beside the photopeak's, and return the counts of all windows one after the other.

    A record holds these windows summed over gates: they are shared out evenly, the remainder to the first gates.
    """
    if not projections.scatter_windows:
        return projections.array
    described, all_counts = [dataset.EnergyWindowInformationSequence[0]], [projections.array]
    for one in projections.scatter_windows:
        whole, gates = np.rint(one.counts).astype(np.int64), projections.frames
        first = np.arange(gates)[:, None, None, None] < whole % gates
        all_counts.append(whole // gates + first)
        described.append(_energy_window("scatter", one.limits_kev))
    dataset.NumberOfEnergyWindows = len(described)
    dataset.EnergyWindowInformationSequence = described
    return np.concatenate(all_counts)


def _energy_window(name: str, limits_kev: tuple[float, float]) -> Dataset:
    """Return the item of an energy window (PS3.3 C.8.4.10)."""
    limits, window = Dataset(), Dataset()
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = (decimal_string(v) for v in limits_kev)
    window.EnergyWindowName = name
    window.EnergyWindowRangeSequence = [limits]
    return window


def write_volume(
    path: str | Path,
    volume: Volume,
    header: SimulatedHeader,
    *,
    orientation: Orientation = "transaxial",
    frame_duration_ms: float | None = None,
) -> Path:
    """Write a reconstruction as an NM RECON TOMO (one frame) or RECON GATED TOMO (several) image.

    Stored values fill 16 bits; the factor back to the volume's values stands in the Real World
    Value Mapping Sequence (one slope for all frames, PS3.3 C.7.6.16.2.11). Position and
    orientation stand in the Detector Information Sequence (PS3.3 C.8.4.11), the step between
    slices, negative where the planes run against the normal, in Spacing Between Slices.

    Parameters
    ----------
    path
        A file that does not exist yet.
    orientation
        ``"short_axis"`` adds the view code and the slices' direction, planes from apex to base.
    frame_duration_ms
        Length of one gate; needed when the volume has more than one frame.

    Raises
    ------
    InputError, GeometryError
        When a value is negative or the grid's axes are not at right angles.
    OutputExistsError
        When `path` exists.
    """
    gate_ms = gate_duration_ms(volume, frame_duration_ms)
    dataset = _start(header, "DERIVED", "RECON TOMO" if gate_ms is None else "RECON GATED TOMO", orientation)
    slot, plane = (v.ravel() + 1 for v in np.indices((volume.frames, volume.grid_shape[0])))
    dataset.FrameIncrementPointer = 0x00540080
    if gate_ms is not None:
        _add_gating(dataset, volume.frames, gate_ms, slot)
        dataset.FrameIncrementPointer = [0x00540060, 0x00540070, 0x00540080]
    dataset.SliceVector = plane.tolist()
    dataset.NumberOfSlices = volume.grid_shape[0]
    dataset.NumberOfDetectors = 1
    dataset.RotationInformationSequence = []
    _add_grid(dataset, volume, header, orientation)
    stored, slope = _stored_values(volume.array)
    _add_frames(dataset, stored)
    dataset.RealWorldValueMappingSequence = [real_world_mapping(slope)]
    return save_dataset(dataset, Path(path))


def _start(header: SimulatedHeader, origin: str, kind: str, orientation: str = "") -> Dataset:
    """Return an NM dataset with its image type and energy window (PS3.3 C.8.4.9, C.8.4.10)."""
    if header.nuclide not in _WINDOWS_KEV:
        raise InputError(f"NM images are written for {', '.join(_WINDOWS_KEV)}; got the tracer {header.tracer!r}.")
    dataset = start_dataset(header, NuclearMedicineImageStorage, kind + orientation)
    dataset.Modality, dataset.ImageType = "NM", [origin, "PRIMARY", kind, "EMISSION"]
    dataset.ImageID = f"{header.state or 'mps'} {'gated' if 'GATED' in kind else 'static'}".upper()
    dataset.NumberOfEnergyWindows = 1
    dataset.EnergyWindowInformationSequence = [_energy_window(header.nuclide, _WINDOWS_KEV[header.nuclide])]
    dataset.NumberOfRotations = 1
    return dataset


def _rotation(angles_deg: NDArray[Any], detectors: int) -> tuple[list[float], float, str]:
    """Return each head's start angle, the step (positive) and the direction: CC rises, CW falls (PS3.3 C.8.4.12)."""
    if detectors < 1 or len(angles_deg) % detectors:
        raise GeometryError(f"{len(angles_deg)} views cannot be shared by {detectors} detectors.")
    heads = np.asarray(angles_deg, dtype=np.float64).reshape(detectors, -1)
    if heads.shape[1] < 2:
        raise GeometryError("A rotation needs two views or more per detector.")
    steps = (np.diff(heads, axis=1) + 180.0) % 360.0 - 180.0
    step = float(steps.mean())
    if abs(step) < 1e-6 or not np.allclose(steps, step, atol=1e-3):
        raise GeometryError("NM TOMO holds evenly spaced angles only; these are not.")
    return [float(a) for a in heads[:, 0] % 360.0], abs(step), "CC" if step > 0 else "CW"


def _detector(header: SimulatedHeader, projections: Projections, first: int, start_deg: float) -> Dataset:
    """Return the item of one head, its position that of pixel (0, 0) in its first view.

    The pixel lies on the collimator's face, or in the plane through the axis where no radius is known.
    """
    angle = np.deg2rad(projections.angles_deg[first])
    outward = np.array([np.sin(angle), np.cos(angle), 0.0])
    along_columns = np.array([-np.cos(angle), np.sin(angle), 0.0])
    down_rows = np.array([0.0, 0.0, -1.0])
    rows, columns = projections.array.shape[-2:]
    radius = 0.0 if projections.radius_mm is None else float(projections.radius_mm[first])
    corner = np.asarray(projections.axis_lps_mm, dtype=np.float64) + radius * outward
    corner = corner - 0.5 * (columns - 1) * projections.pixel_mm[1] * along_columns
    corner = corner - 0.5 * (rows - 1) * projections.pixel_mm[0] * down_rows
    item = _parallel_holes(header)
    item.XFocusCenter = item.YFocusCenter = "0"
    item.ZoomCenter = ["0", "0"]
    item.ZoomFactor = ["1", "1"]
    item.CenterOfRotationOffset = item.GantryDetectorTilt = "0"
    item.StartAngle = decimal_string(start_deg)
    item.ImagePositionPatient = [decimal_string(v) for v in corner]
    item.ImageOrientationPatient = [decimal_string(v) for v in (*along_columns, *down_rows)]
    return item


def _parallel_holes(header: SimulatedHeader) -> Dataset:
    """Start a detector's item with its collimator."""
    item = Dataset()
    item.CollimatorGridName, item.CollimatorType = header.collimator, "PARA"
    item.FocalDistance = 0
    return item


def _add_gating(dataset: Dataset, gates: int, gate_ms: float, slot: NDArray[Any]) -> None:
    """Write the NM Multi-gated Acquisition module (PS3.3 C.8.4.14): one R-R interval of even time slots."""
    interval_ms = gates * gate_ms
    dataset.TriggerSourceOrType = "EKG"
    dataset.BeatRejectionFlag = "N"
    dataset.PVCRejection = ""
    dataset.SkipBeats = None
    dataset.HeartRate = round(60000.0 / interval_ms)
    data, gated = Dataset(), Dataset()
    data.FrameTime = decimal_string(gate_ms)
    data.NominalInterval = data.LowRRValue = data.HighRRValue = round(interval_ms)
    data.IntervalsAcquired = data.IntervalsRejected = None
    gated.DataInformationSequence = [data]
    dataset.GatedInformationSequence = [gated]
    dataset.NumberOfRRIntervals, dataset.NumberOfTimeSlots = 1, gates
    dataset.RRIntervalVector = [1] * slot.size
    dataset.TimeSlotVector = slot.tolist()


def _add_grid(dataset: Dataset, volume: Volume, header: SimulatedHeader, orientation: Orientation) -> None:
    """Write the affine as DICOM's position, orientation, pixel spacing and signed slice step."""
    grid = plane_geometry(volume)
    dataset.PixelSpacing = grid.pixel_spacing
    dataset.SliceThickness, dataset.SpacingBetweenSlices = grid.thickness, grid.step
    detector = _parallel_holes(header)
    detector.ImagePositionPatient = [decimal_string(v) for v in volume.lps_from_index[:3, 3]]
    detector.ImageOrientationPatient = grid.orientation
    view = ("103340004", "SCT", "Short Axis") if orientation == "short_axis" else ("62824007", "SCT", "Transverse")
    detector.ViewCodeSequence = [code_item(*view)]
    dataset.DetectorInformationSequence = [detector]
    if orientation == "short_axis":
        dataset.SliceProgressionDirection = "APEX_TO_BASE"


def _whole_counts(array: NDArray[Any]) -> NDArray[np.uint16]:
    """Round counts to the 16 bits of an NM pixel."""
    counts = np.rint(array)
    if counts.min() < 0 or counts.max() > LARGEST_STORED:
        raise InputError(
            f"NM counts must lie in 0 to {LARGEST_STORED}; got {float(counts.min()):g} to {float(counts.max()):g}."
        )
    return np.asarray(counts, dtype=np.uint16)


def _stored_values(array: NDArray[Any]) -> tuple[NDArray[np.uint16], float]:
    """Return stored values that fill 16 bits, and the slope back; whole numbers that fit stay as they are."""
    low, high = float(array.min()), float(array.max())
    if low < 0:
        raise InputError(f"A reconstructed volume has no negative activity; got a minimum of {low:g}.")
    if high == 0 or (high <= LARGEST_STORED and bool((array == np.rint(array)).all())):
        return array.astype(np.uint16), 1.0
    stored, slope = scaled_to_integers(array, LARGEST_STORED)
    return stored.astype(np.uint16), slope


def _add_frames(dataset: Dataset, stored: NDArray[np.uint16]) -> None:
    """Write the pixels of all frames, shape (gates, views or planes, rows, columns)."""
    dataset.NumberOfFrames = stored.shape[0] * stored.shape[1]
    dataset.CountsAccumulated = min(int(stored.sum(dtype=np.int64)), 2**31 - 1)
    dataset.AcquisitionTerminationCondition = "TIME"
    add_pixels(dataset, stored)
