"""Volumes that the analysis made, as Nuclear Medicine images: the reconstruction and the short axis, also gated.

PS3.3 A.5 and C.8.4. The Segmentation of a scan refers to the frames of its reconstruction.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import NuclearMedicineImageStorage

from myoperf.dicom import (
    LARGEST_STORED,
    PATIENT_STATE,
    STATE_CODES,
    add_pixels,
    code_item,
    decimal_string,
    instance_reference,
    plane_geometry,
    real_world_mapping,
    scaled_to_integers,
)
from myoperf.geometry import short_axis
from myoperf.report.dicom.source import Headers, Stamp, study_attributes
from myoperf.types import ScanResult, Study, Volume
from myoperf.version import __version__

_SERIES_NUMBER = 9301
_FROM_SOURCE = (
    "EnergyWindowInformationSequence",
    "RadiopharmaceuticalInformationSequence",
    "PatientOrientationCodeSequence",
    "PatientGantryRelationshipCodeSequence",
    "AcquisitionDate",
    "AcquisitionTime",
)
"""What holds for a derived image as for the views that it was made from."""
_VIEWS = {"short_axis": ("103340004", "SCT", "Short Axis"), "transaxial": ("62824007", "SCT", "Transverse")}


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A volume to be written.

    Parameters
    ----------
    name
        Of the file, behind the scan's name.
    volume
        One frame, or one a gate.
    view
        ``"transaxial"`` or ``"short_axis"``.
    words
        What the series is, for a list.
    """

    name: str
    volume: Volume
    view: str
    words: str


def derived_volumes(result: ScanResult) -> Iterator[Derived]:
    """Yield what the archive has not got of a SPECT scan: its reconstruction from raw views, and its short axis.

    Gated volumes only where the length of a gate is known. Nothing of PET, whose images are no NM objects.
    """
    if result.scan.modality != "NM":
        return
    gated = result.gated_volume if gate_ms(result) is not None else None
    if result.scan.is_raw:
        summed = result.volume.summed()
        yield Derived(name="recon", volume=summed, view="transaxial", words="reconstruction")
        if gated is not None:
            yield Derived(name="recon_gated", volume=gated, view="transaxial", words="gated reconstruction")
    turned = result.short_axis.summed()
    yield Derived(name="short_axis", volume=turned, view="short_axis", words="short axis")
    if gated is not None:
        turned = short_axis(gated, result.frame)
        yield Derived(name="short_axis_gated", volume=turned, view="short_axis", words="gated short axis")


def gate_ms(result: ScanResult) -> float | None:
    """Return the length of a gate; None where the files do not tell it."""
    durations = result.scan.frame_duration_ms
    return None if result.gated_volume is None or durations is None else float(np.mean(durations))


def build_volume(
    result: ScanResult, derived: Derived, headers: Headers, *, study: Study, stamp: Stamp, number: int, shared: str
) -> Dataset:
    """Return a derived volume as an NM RECON TOMO or RECON GATED TOMO image.

    Parameters
    ----------
    headers
        Of the scan, from `read_headers`: patient, study, tracer and energy windows come from there.
    number
        Of the series.
    shared
        Frame of reference, which the scan's Segmentation shares.

    Raises
    ------
    GeometryError
        When the grid's axes are not at right angles.
    """
    volume, source = derived.volume, next(iter(headers), Dataset())
    dataset = study_attributes(study, headers, stamp)
    dataset.SOPClassUID = NuclearMedicineImageStorage
    dataset.SOPInstanceUID = stamp.uid("nm", result.name, derived.name)
    dataset.SeriesInstanceUID = stamp.uid("nm series", result.name, derived.name)
    dataset.SeriesNumber, dataset.InstanceNumber = _SERIES_NUMBER + number, 1
    dataset.Modality, dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = "NM", shared, ""
    kind = "RECON TOMO" if volume.frames == 1 else "RECON GATED TOMO"
    dataset.ImageType = ["DERIVED", "PRIMARY", kind, "EMISSION"]
    dataset.SeriesDescription = f"RESEARCH {derived.words} {result.name}"[:64]
    dataset.ImageComments = "RESEARCH. Negative values are stored as zero." if volume.array.min() < 0 else "RESEARCH"
    dataset.DerivationDescription = f"MyoPerf {__version__}: {derived.words}"
    dataset.Manufacturer = dataset.ManufacturerModelName = "MyoPerf"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "none", __version__
    dataset.BodyPartExamined = "HEART"
    for name in _FROM_SOURCE:
        if source.get(name):
            setattr(dataset, name, deepcopy(source.get(name)))
    dataset.EnergyWindowInformationSequence = list(dataset.get("EnergyWindowInformationSequence", ()))[:1]
    for name in _FROM_SOURCE[1:4]:
        if name not in dataset:
            setattr(dataset, name, [])
    if result.state is not None:
        state = Dataset()
        state.ConceptNameCodeSequence = [code_item(*PATIENT_STATE)]
        state.ValueType, state.ConceptCodeSequence = "CODE", [code_item(*STATE_CODES[result.state])]
        dataset.AcquisitionContextSequence = [state]
    else:
        dataset.AcquisitionContextSequence = []
    stamp.mark(dataset)
    _add_frames(dataset, derived, gate_ms(result))
    if headers:
        dataset.SourceImageSequence = [_source(header) for header in headers]
    return dataset


def _source(header: Dataset) -> Dataset:
    item = instance_reference(header)
    item.PurposeOfReferenceCodeSequence = [code_item("121322", "DCM", "Source image for image processing operation")]
    return item


def _add_frames(dataset: Dataset, derived: Derived, length_ms: float | None) -> None:
    """Write the grid, the vectors that index the frames, and the pixels with the slope back to counts."""
    volume, grid = derived.volume, plane_geometry(derived.volume)
    slot, plane = (v.ravel() + 1 for v in np.indices((volume.frames, volume.grid_shape[0])))
    dataset.FrameIncrementPointer = 0x00540080
    if volume.frames > 1 and length_ms is not None:
        dataset.FrameIncrementPointer = [0x00540060, 0x00540070, 0x00540080]
        _add_gates(dataset, volume.frames, length_ms)
        dataset.RRIntervalVector, dataset.TimeSlotVector = [1] * slot.size, slot.tolist()
    dataset.SliceVector, dataset.NumberOfSlices = plane.tolist(), volume.grid_shape[0]
    dataset.NumberOfEnergyWindows = dataset.NumberOfDetectors = dataset.NumberOfRotations = 1
    dataset.RotationInformationSequence = []
    dataset.PixelSpacing, dataset.SliceThickness, dataset.SpacingBetweenSlices = (
        grid.pixel_spacing,
        grid.thickness,
        grid.step,
    )
    detector = Dataset()
    detector.CollimatorType, detector.FocalDistance = "", None
    detector.ImagePositionPatient = [decimal_string(v) for v in volume.lps_from_index[:3, 3]]
    detector.ImageOrientationPatient = grid.orientation
    detector.ViewCodeSequence = [code_item(*_VIEWS[derived.view])]
    dataset.DetectorInformationSequence = [detector]
    if derived.view == "short_axis":
        dataset.SliceProgressionDirection = "APEX_TO_BASE"
    stored, slope = scaled_to_integers(np.maximum(volume.array, 0.0), LARGEST_STORED)
    dataset.NumberOfFrames = volume.frames * volume.grid_shape[0]
    dataset.CountsAccumulated, dataset.AcquisitionTerminationCondition = None, ""
    add_pixels(dataset, stored.astype(np.uint16))
    dataset.RealWorldValueMappingSequence = [real_world_mapping(slope)]


def _add_gates(dataset: Dataset, gates: int, length_ms: float) -> None:
    """Write the NM Multi-gated Acquisition module (PS3.3 C.8.4.14) as far as the files told it."""
    data, gated = Dataset(), Dataset()
    data.FrameTime = decimal_string(length_ms)
    data.NominalInterval = round(gates * length_ms)
    data.LowRRValue = data.HighRRValue = None
    data.IntervalsAcquired = data.IntervalsRejected = None
    gated.DataInformationSequence = [data]
    dataset.GatedInformationSequence = [gated]
    dataset.TriggerSourceOrType, dataset.BeatRejectionFlag, dataset.PVCRejection = "EKG", "", ""
    dataset.SkipBeats = dataset.HeartRate = None
    dataset.NumberOfRRIntervals, dataset.NumberOfTimeSlots = 1, gates
