"""Write simulated PET volumes as classic PET slices, one file a slice and gate.

Modules: PS3.3 A.21 (PET Image IOD) and C.8.9 (PET Series, Isotope, Multi-gated Acquisition, Image).
Nothing comes from a clock or a random source: the same header and volume give the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import PositronEmissionTomographyImageStorage

from myoperf.errors import GeometryError, InputError
from myoperf.io.nm.header import NMHeader, add_patient, code, decimal, uid_from
from myoperf.io.nm.writer import save
from myoperf.types import Volume

__all__ = ["PT_TRACERS", "write_pet"]

_LARGEST = 32767
PT_TRACERS = {
    "N-13": (("21576001", "^13^Nitrogen"), ("129508003", "Ammonia N^13^"), 597.9, 0.998),
    "Rb-82": (("79197006", "^82^Rubidium"), ("129503007", "Rubidium chloride Rb^82^"), 76.4, 0.954),
}
"""Tracer -> codes of nuclide and agent (PS3.16 CID 4020, 4021), half-life in s, share of positrons."""


def write_pet(
    folder: str | Path, volume: Volume, header: NMHeader, *, tracer: str, frame_duration_ms: float | None = None
) -> Path:
    """Write a transaxial volume, attenuation-corrected as the header says, into a new folder of slices.

    Parameters
    ----------
    folder
        Made here; holds ``0001.dcm`` and so on, gates one after the other.
    volume
        Values from 0, axes at right angles; several frames are gates.
    header
        Its tracer is not used.
    tracer
        ``"N-13"`` or ``"Rb-82"``.
    frame_duration_ms
        Length of one gate; needed when the volume has more than one frame.

    Raises
    ------
    InputError, GeometryError
        For an unknown tracer, negative values, gates without a length, or oblique axes.
    """
    if tracer not in PT_TRACERS:
        raise InputError(f"PET is written for {', '.join(PT_TRACERS)}; got {tracer!r}.")
    if volume.frames > 1 and frame_duration_ms is None:
        raise InputError("A gated volume needs frame_duration_ms, the length of one gate.")
    low, high = float(volume.array.min()), float(volume.array.max())
    if low < 0 or high <= 0:
        raise InputError(f"A PET volume holds activity from 0 up; got {low:g} to {high:g}.")
    folder = Path(folder)
    folder.mkdir(parents=True)
    slope = float(decimal(high / _LARGEST))
    series = _series(header, volume, tracer, frame_duration_ms)
    planes = volume.grid_shape[0]
    for number, (frame, plane) in enumerate(np.ndindex(volume.frames, planes), start=1):
        stored = np.minimum(np.rint(volume.array[frame, plane] / slope), _LARGEST).astype("<i2")
        place = volume.lps_from_index @ np.array([plane, 0.0, 0.0, 1.0])
        slice_ = Dataset()
        slice_.update(series)
        slice_.SOPInstanceUID = uid_from(series.SeriesInstanceUID, number)
        slice_.InstanceNumber = slice_.ImageIndex = number
        slice_.ImagePositionPatient = [decimal(v) for v in place[:3]]
        slice_.SliceLocation = decimal(place[2])
        if frame_duration_ms is not None and volume.frames > 1:
            slice_.TriggerTime = decimal(frame * frame_duration_ms)
        slice_.RescaleIntercept, slice_.RescaleSlope = "0", decimal(slope)
        slice_.PixelData = stored.tobytes()
        save(slice_, folder / f"{number:04d}.dcm")
    return folder


def _series(header: NMHeader, volume: Volume, tracer: str, gate_ms: float | None) -> Dataset:
    """Give everything a series' slices share."""
    gated = volume.frames > 1
    study = header.study_uid or uid_from(header.uid_key, header.patient_id, "study")
    identity = (study, header.uid_key, header.state, header.series_description, header.series_number, "PT", tracer)
    out = Dataset()
    out.SpecificCharacterSet = "ISO_IR 192"
    out.SOPClassUID = PositronEmissionTomographyImageStorage
    out.StudyInstanceUID, out.SeriesInstanceUID = study, uid_from(*identity, "series")
    out.FrameOfReferenceUID = uid_from(study, header.uid_key, header.state, "frame of reference")
    out.PositionReferenceIndicator = ""
    out.ImageType = ["ORIGINAL", "PRIMARY"]
    for when in ("Study", "Series", "Acquisition", "Content"):
        setattr(out, f"{when}Date", header.study_date)
        setattr(out, f"{when}Time", header.acquisition_time)
    out.Modality, out.ContentQualification = "PT", "RESEARCH"
    out.Manufacturer, out.ManufacturerModelName = header.manufacturer, header.model
    out.StudyDescription, out.SeriesDescription = header.study_description, header.series_description
    out.AccessionNumber = out.ReferringPhysicianName = ""
    out.StudyID, out.SeriesNumber, out.BodyPartExamined = "1", header.series_number, "HEART"
    add_patient(out, header)
    out.Units, out.CountsSource, out.SeriesType = "PROPCNTS", "EMISSION", ["GATED" if gated else "STATIC", "IMAGE"]
    out.CorrectedImage, out.DecayCorrection, out.DecayFactor = ["ATTN", "DECY"], "START", "1"
    out.CollimatorType, out.NumberOfSlices = "NONE", volume.grid_shape[0]
    out.FrameReferenceTime, out.ActualFrameDuration = "0", 600000
    if gated:
        out.NumberOfRRIntervals, out.NumberOfTimeSlots = 1, volume.frames
        out.BeatRejectionFlag, out.TriggerSourceOrType = "N", "EKG"
        out.FrameTime = decimal(float(gate_ms or 0.0))
        out.NominalInterval = round(volume.frames * float(gate_ms or 0.0))
        out.IntervalsAcquired = out.IntervalsRejected = None
    out.RadiopharmaceuticalInformationSequence = Sequence([_isotope(tracer)])
    _add_grid(out, volume)
    return out


def _isotope(tracer: str) -> Dataset:
    """Describe the tracer (PS3.3 C.8.9.2); no dose, as none was given."""
    nuclide, agent, half_life_s, positrons = PT_TRACERS[tracer]
    item = Dataset()
    item.Radiopharmaceutical = agent[1].replace("^", "")
    item.RadionuclideCodeSequence = Sequence([code(nuclide[0], "SCT", nuclide[1])])
    item.RadiopharmaceuticalCodeSequence = Sequence([code(agent[0], "SCT", agent[1])])
    item.RadionuclideHalfLife, item.RadionuclidePositronFraction = decimal(half_life_s), decimal(positrons)
    item.RadionuclideTotalDose, item.RadiopharmaceuticalStartTime = None, ""
    return item


def _add_grid(out: Dataset, volume: Volume) -> None:
    """Write pixel format, spacing and orientation of slices whose axes are at right angles."""
    spacing = volume.spacing_mm
    plane, row, column = (volume.lps_from_index[:3, :3] / spacing).T
    if not np.allclose([column @ row, abs(np.cross(column, row) @ plane)], [0.0, 1.0], atol=1e-4):
        raise GeometryError("PET slices hold grids with axes at right angles only; this volume's are oblique.")
    out.ImageOrientationPatient = [decimal(v) for v in (*column, *row)]
    out.PixelSpacing, out.SliceThickness = [decimal(spacing[1]), decimal(spacing[2])], decimal(spacing[0])
    out.Rows, out.Columns = volume.grid_shape[1:]
    out.SamplesPerPixel, out.PhotometricInterpretation = 1, "MONOCHROME2"
    out.BitsAllocated, out.BitsStored, out.HighBit, out.PixelRepresentation = 16, 16, 15, 1
