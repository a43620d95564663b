"""Write simulated counts as Nuclear Medicine DICOM, the way a camera or its workstation would.

Modules: PS3.3 A.5 (NM Image IOD) and C.8.4 (NM Series, Image, Isotope, Detector, TOMO
Acquisition, Multi-gated Acquisition, Reconstruction). Nothing comes from a clock or a random
source: the same header, image and options give the same bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from myoperf.errors import GeometryError, InputError, OutputExistsError
from myoperf.io.nm.header import NMHeader, code, decimal, nm_dataset, uid_from
from myoperf.types import Orientation, Projections, Volume

__all__ = ["NMHeader", "save", "uid_from", "write_projections", "write_volume"]

_IMPLEMENTATION = "2.25.91433146938446127318206116934264110533"
_LARGEST_COUNT = 65535


def write_projections(
    path: str | Path,
    projections: Projections,
    header: NMHeader,
    *,
    view_duration_ms: float = 20000.0,
    frame_duration_ms: float | None = None,
    detectors: int = 1,
    zoom: float = 1.0,
) -> Path:
    """Write raw views as an NM TOMO (one frame) or GATED TOMO (several) image.

    Parameters
    ----------
    path
        A file that does not exist yet.
    projections
        Counts 0 to 65535, rounded to whole counts. Angles must be evenly spaced within each
        detector; a falling angle is written as rotation direction CW, a rising one as CC.
    view_duration_ms
        Time spent at each angle.
    frame_duration_ms
        Length of one gate; needed when `projections` has more than one frame.
    detectors
        Heads that shared the views: head i holds the i-th block of ``views / detectors`` views,
        starting from its own angle.
    zoom
        Written as the detector's zoom factor; says nothing about `pixel_mm`, which is final.

    Raises
    ------
    InputError, GeometryError
        When the counts do not fit 16 bits or the angles do not fit a uniform rotation.
    OutputExistsError
        When `path` exists.
    """
    gated = projections.frames > 1
    if gated and frame_duration_ms is None:
        raise InputError("Gated projections need frame_duration_ms, the length of one gate.")
    starts, step, direction = _rotation(projections.angles_deg, detectors)
    per_head = projections.views // detectors
    kind = "GATED TOMO" if gated else "TOMO"
    dataset = nm_dataset(header, kind, ("ORIGINAL", "PRIMARY", kind, "EMISSION"))
    dataset.PixelSpacing = [decimal(s) for s in projections.pixel_mm]
    head = np.tile(np.repeat(np.arange(1, detectors + 1), per_head), projections.frames)
    view = np.tile(np.tile(np.arange(1, per_head + 1), detectors), projections.frames)
    slot = np.repeat(np.arange(1, projections.frames + 1), projections.views)
    ones = np.ones_like(head)
    dataset.EnergyWindowVector = _us(ones)
    dataset.DetectorVector = _us(head)
    dataset.RotationVector = _us(ones)
    dataset.AngularViewVector = _us(view)
    pointers = [0x00540010, 0x00540020, 0x00540050]
    if gated:
        _add_gating(dataset, projections.frames, float(frame_duration_ms or 0), slot)
        pointers += [0x00540060, 0x00540070]
    dataset.FrameIncrementPointer = [*pointers, 0x00540090]
    dataset.NumberOfDetectors = detectors
    dataset.DetectorInformationSequence = Sequence(
        [_detector(header, projections, i * per_head, start, zoom) for i, start in enumerate(starts)]
    )
    dataset.TypeOfDetectorMotion = "STEP AND SHOOT"
    dataset.NumberOfRotations = 1
    rotation = _rotation_item(starts[0], step, direction, per_head, round(view_duration_ms), projections.radius_mm)
    dataset.RotationInformationSequence = Sequence([rotation])
    counts = _whole_counts(projections.array)
    _add_pixels(dataset, counts.reshape(-1, *counts.shape[-2:]))
    return save(dataset, Path(path))


def write_volume(
    path: str | Path,
    volume: Volume,
    header: NMHeader,
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
    gated = volume.frames > 1
    if gated and frame_duration_ms is None:
        raise InputError("A gated volume needs frame_duration_ms, the length of one gate.")
    kind = "RECON GATED TOMO" if gated else "RECON TOMO"
    dataset = nm_dataset(header, kind + orientation, ("DERIVED", "PRIMARY", kind, "EMISSION"))
    planes = volume.grid_shape[0]
    slices = np.tile(np.arange(1, planes + 1), volume.frames)
    pointers = [0x00540080]
    if gated:
        slot = np.repeat(np.arange(1, volume.frames + 1), planes)
        _add_gating(dataset, volume.frames, float(frame_duration_ms or 0), slot)
        pointers = [0x00540060, 0x00540070, 0x00540080]
    dataset.FrameIncrementPointer = pointers if gated else pointers[0]
    dataset.SliceVector = _us(slices)
    dataset.NumberOfSlices = planes
    dataset.NumberOfDetectors = 1
    dataset.NumberOfRotations = 1
    dataset.RotationInformationSequence = Sequence([])
    _add_grid(dataset, volume, header, orientation)
    stored, slope = _scaled(volume.array)
    _add_pixels(dataset, stored.reshape(-1, *stored.shape[-2:]))
    dataset.RealWorldValueMappingSequence = Sequence([_real_world(slope)])
    return save(dataset, Path(path))


def _rotation(angles_deg: NDArray[Any], detectors: int) -> tuple[list[float], float, str]:
    """Give each head's start angle, the step (positive) and the direction: CC rises, CW falls (PS3.3 C.8.4.12)."""
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


def _rotation_item(
    start_deg: float, step_deg: float, direction: str, views: int, view_ms: int, radius_mm: NDArray[Any] | None
) -> Dataset:
    """Describe the rotation (PS3.3 C.8.4.12); a constant radius is written once."""
    rotation = Dataset()
    rotation.StartAngle = decimal(start_deg)
    rotation.AngularStep = decimal(step_deg)
    rotation.RotationDirection = direction
    rotation.ScanArc = decimal(step_deg * views)
    rotation.ActualFrameDuration = view_ms
    if radius_mm is not None:
        rotation.RadialPosition = [decimal(r) for r in radius_mm] if np.ptp(radius_mm) > 0 else decimal(radius_mm[0])
    rotation.NumberOfFramesInRotation = views
    return rotation


def _detector(header: NMHeader, projections: Projections, first: int, start_deg: float, zoom: float) -> Dataset:
    """Describe one head: where pixel (0, 0) of its first view lies, on the collimator's face where that is known."""
    angle = np.deg2rad(projections.angles_deg[first])
    outward = np.array([np.sin(angle), np.cos(angle), 0.0])
    along_columns = np.array([-np.cos(angle), np.sin(angle), 0.0])
    down_rows = np.array([0.0, 0.0, -1.0])
    rows, columns = projections.array.shape[-2:]
    radius = 0.0 if projections.radius_mm is None else float(projections.radius_mm[first])
    corner = np.asarray(projections.axis_lps_mm, dtype=np.float64) + radius * outward
    corner = corner - 0.5 * (columns - 1) * projections.pixel_mm[1] * along_columns
    corner = corner - 0.5 * (rows - 1) * projections.pixel_mm[0] * down_rows
    item = Dataset()
    item.CollimatorGridName, item.CollimatorType = header.collimator, "PARA"
    item.FocalDistance = 0
    item.XFocusCenter = item.YFocusCenter = "0"
    item.ZoomCenter = ["0", "0"]
    item.ZoomFactor = [decimal(zoom), decimal(zoom)]
    item.CenterOfRotationOffset = item.GantryDetectorTilt = "0"
    item.StartAngle = decimal(start_deg)
    item.ImagePositionPatient = [decimal(v) for v in corner]
    item.ImageOrientationPatient = [decimal(v) for v in (*along_columns, *down_rows)]
    return item


def _add_gating(dataset: Dataset, frames: int, frame_ms: float, slot: NDArray[Any]) -> None:
    interval = frames * frame_ms
    dataset.TriggerSourceOrType = "EKG"
    dataset.BeatRejectionFlag = "N"
    dataset.PVCRejection = ""
    dataset.SkipBeats = None
    dataset.HeartRate = round(60000.0 / interval)
    data = Dataset()
    data.FrameTime = decimal(frame_ms)
    data.NominalInterval = data.LowRRValue = data.HighRRValue = round(interval)
    data.IntervalsAcquired = data.IntervalsRejected = None
    gated = Dataset()
    gated.DataInformationSequence = Sequence([data])
    dataset.GatedInformationSequence = Sequence([gated])
    dataset.NumberOfRRIntervals, dataset.NumberOfTimeSlots = 1, frames
    dataset.RRIntervalVector = _us(np.ones_like(slot))
    dataset.TimeSlotVector = _us(slot)


def _add_grid(dataset: Dataset, volume: Volume, header: NMHeader, orientation: Orientation) -> None:
    """Write the affine as DICOM's position, orientation, pixel spacing and signed slice step."""
    steps = volume.lps_from_index[:3, :3]
    spacing = volume.spacing_mm
    plane, row, column = (steps / spacing).T
    normal = np.cross(column, row)
    if not np.allclose([column @ row, abs(normal @ plane)], [0.0, 1.0], atol=1e-4):
        raise GeometryError("NM DICOM holds grids with axes at right angles only; this volume's are oblique.")
    dataset.PixelSpacing = [decimal(spacing[1]), decimal(spacing[2])]
    dataset.SliceThickness = decimal(spacing[0])
    dataset.SpacingBetweenSlices = decimal(np.copysign(spacing[0], normal @ plane))
    detector = Dataset()
    detector.CollimatorGridName, detector.CollimatorType = header.collimator, "PARA"
    detector.FocalDistance = 0
    detector.ImagePositionPatient = [decimal(v) for v in volume.lps_from_index[:3, 3]]
    detector.ImageOrientationPatient = [decimal(v) for v in (*column, *row)]
    view = ("103340004", "Short Axis") if orientation == "short_axis" else ("62824007", "Transverse")
    detector.ViewCodeSequence = Sequence([code(view[0], "SCT", view[1])])
    dataset.DetectorInformationSequence = Sequence([detector])
    if orientation == "short_axis":
        dataset.SliceProgressionDirection = "APEX_TO_BASE"


def _whole_counts(array: NDArray[Any]) -> NDArray[np.uint16]:
    counts = np.rint(array)
    if counts.min() < 0 or counts.max() > _LARGEST_COUNT:
        raise InputError(
            f"NM counts must lie in 0 to {_LARGEST_COUNT}; got {float(counts.min()):g} to {float(counts.max()):g}."
        )
    return np.asarray(counts, dtype=np.uint16)


def _scaled(array: NDArray[Any]) -> tuple[NDArray[np.uint16], float]:
    """Fill 16 bits; give the stored values and the slope back. Whole numbers that fit are kept as they are."""
    low, high = float(array.min()), float(array.max())
    if low < 0:
        raise InputError(f"A reconstructed volume has no negative activity; got a minimum of {low:g}.")
    if high == 0 or (high <= _LARGEST_COUNT and bool((array == np.rint(array)).all())):
        return array.astype(np.uint16), 1.0
    slope = float(decimal(high / _LARGEST_COUNT))
    return np.minimum(np.rint(array / slope), _LARGEST_COUNT).astype(np.uint16), slope


def _real_world(slope: float) -> Dataset:
    item = Dataset()
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, _LARGEST_COUNT
    item["RealWorldValueFirstValueMapped"].VR = item["RealWorldValueLastValueMapped"].VR = "US"
    item.RealWorldValueIntercept, item.RealWorldValueSlope = 0.0, slope
    item.LUTLabel, item.LUTExplanation = "activity", "Relative activity"
    item.MeasurementUnitsCodeSequence = Sequence([code("{counts}", "UCUM", "Counts")])
    return item


def _add_pixels(dataset: Dataset, frames: NDArray[np.uint16]) -> None:
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.CountsAccumulated = min(int(frames.sum(dtype=np.int64)), 2**31 - 1)
    dataset.AcquisitionTerminationCondition = "TIME"
    dataset.PixelData = frames.astype("<u2").tobytes()


def save(dataset: Dataset, path: Path) -> Path:
    """Write to a neighbour and move it into place, so that no half file is ever seen."""
    if path.exists():
        raise OutputExistsError(f"{path.name} exists already; choose another name.")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = "MYOPERF"
    dataset.file_meta = meta
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        dataset.save_as(partial, enforce_file_format=True)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _us(values: NDArray[Any]) -> list[int]:
    """Give a vector as DICOM unsigned shorts."""
    return [int(v) for v in values]
