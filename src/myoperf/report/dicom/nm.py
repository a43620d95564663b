"""Derived volumes of SPECT as Nuclear Medicine images, one file each (PS3.3 A.5 and C.8.4).

The Segmentation of a scan refers to the frames of its reconstruction.
"""

from copy import deepcopy

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import NuclearMedicineImageStorage

from myoperf.dicom import (
    LARGEST_STORED,
    add_pixels,
    code_item,
    decimal_string,
    plane_geometry,
    real_world_mapping,
    scaled_to_integers,
)
from myoperf.report.dicom.derived import Derived, derived_header, gate_ms, source_item
from myoperf.report.dicom.source import Headers, Stamp
from myoperf.types import ScanResult, Study

_VIEWS = {"short_axis": ("103340004", "SCT", "Short Axis"), "transaxial": ("62824007", "SCT", "Transverse")}


def build_volume(
    result: ScanResult, derived: Derived, headers: Headers, *, study: Study, stamp: Stamp, number: int, shared: str
) -> Dataset:
    """Return a derived volume of SPECT as an NM RECON TOMO or RECON GATED TOMO image.

    The parameters are those of `derived_header`.

    Raises
    ------
    GeometryError
        When the grid's axes are not at right angles.
    """
    dataset = derived_header(result, derived, headers, study=study, stamp=stamp, number=number, shared=shared)
    dataset.SOPClassUID = NuclearMedicineImageStorage
    dataset.SOPInstanceUID, dataset.InstanceNumber = stamp.uid("nm", result.name, derived.name), 1
    kind = "RECON TOMO" if derived.volume.frames == 1 else "RECON GATED TOMO"
    dataset.ImageType = ["DERIVED", "PRIMARY", kind, "EMISSION"]
    windows = headers[0].get("EnergyWindowInformationSequence") if headers else None
    dataset.EnergyWindowInformationSequence = deepcopy(list(windows or ())[:1])
    _add_frames(dataset, derived, gate_ms(result))
    if headers:
        dataset.SourceImageSequence = [source_item(header) for header in headers]
    return dataset


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
    """Write the NM Multi-gated Acquisition module (PS3.3 C.8.4.14) as far as the files state it."""
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
