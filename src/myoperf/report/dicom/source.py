"""What DICOM results take from their source: patient, study, and references to images and frames."""

import uuid
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from myoperf.dicom import (
    PATIENT_AND_STUDY,
    age_string,
    element_value,
    plane_origins,
    quiet_pydicom,
    uid_from,
    valid_text,
)
from myoperf.types import Scan, Study, Volume

Headers = tuple[Dataset, ...]

_ALWAYS = PATIENT_AND_STUDY[:9]
"""Attributes that a result has even where its source has no value (PS3.3, type 2)."""
_IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_NEW_STUDY = "RESEARCH MyoPerf analysis of files without DICOM headers"


@dataclass(frozen=True)
class Stamp:
    """Identity of one set of results: the seed of its UIDs, and its date and time.

    Parameters
    ----------
    key
        The same key gives the same UIDs; random by default, since every run is a new result.
    when
        Date and time written into the objects.
    """

    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    when: datetime = field(default_factory=datetime.now)

    def uid(self, *parts: str) -> str:
        """Return the UID of one object of this set."""
        return uid_from(self.key, *parts)

    def mark(self, dataset: Dataset) -> None:
        """Write the date and time, and that the object is research (PS3.3 C.12.1, Content Qualification)."""
        dataset.ContentQualification = "RESEARCH"
        day, time = self.when.strftime("%Y%m%d"), self.when.strftime("%H%M%S")
        dataset.ContentDate = dataset.InstanceCreationDate = dataset.SeriesDate = day
        dataset.ContentTime = dataset.InstanceCreationTime = dataset.SeriesTime = time
        for item in dataset.get("ContributingEquipmentSequence", ()):
            item.ContributionDateTime = day + time


@dataclass(frozen=True)
class Reference:
    """One source instance, or some frames of it (counted from 1)."""

    instance: Dataset
    frames: tuple[int, ...] = ()


def read_headers(scan: Scan) -> Headers:
    """Return a scan's DICOM headers with valid identifiers: none for NIfTI, none without those a reference needs."""
    headers = []
    with quiet_pydicom():
        for encoded in scan.source_headers:
            header = dcmread(BytesIO(encoded), stop_before_pixels=True)
            for name in (*_IDENTIFIERS, *PATIENT_AND_STUDY):
                value = element_value(header, name)
                if value is not None:
                    header.add_new(Tag(name), dictionary_VR(name), valid_text(name, value))
            headers.append(header)
    return tuple(header for header in headers if all(header.get(name) for name in _IDENTIFIERS))


def study_attributes(study: Study, headers: Iterable[Dataset], stamp: Stamp) -> Dataset:
    """Return the patient and study attributes that results share with their source.

    Without headers a new study begins, and nothing in it claims to come from a DICOM source.
    """
    source = next(iter(headers), None)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"  # text is decoded here and written as UTF-8
    if source is None:
        for name in _ALWAYS:
            setattr(dataset, name, "")
        dataset.PatientID = valid_text("PatientID", study.patient_id)
        dataset.PatientSex = study.sex or ""
        dataset.StudyInstanceUID = stamp.uid("study")
        dataset.StudyDescription = _NEW_STUDY
        if study.age_years is not None:
            dataset.PatientAge = age_string(study.age_years)
        return dataset
    for name in PATIENT_AND_STUDY:
        value = source.get(name)
        if name in _ALWAYS or value:
            setattr(dataset, name, "" if value is None else value)
    if source.get("DeidentificationMethodCodeSequence"):
        dataset.DeidentificationMethodCodeSequence = deepcopy(source.DeidentificationMethodCodeSequence)
    dataset.StudyInstanceUID = source.StudyInstanceUID
    return dataset


def instance_of(header: Dataset) -> Dataset:
    """Return only those attributes of a header that a reference to it needs."""
    instance = Dataset()
    for name in (*_IDENTIFIERS, "Modality", "NumberOfFrames"):
        if header.get(name):
            setattr(instance, name, header.get(name))
    return instance


def plane_references(
    scan: Scan, headers: Headers, volume: Volume, *, gate: int | None = None
) -> tuple[list[list[Reference]], bool]:
    """Return, for every plane of `volume`, the source images and frames at the same position (of one gate, from 1).

    Returns
    -------
    (references by plane, preserved)
        `preserved` is whether positions were matched. It is False for raw projections, whose views
        show no plane, and where the source's positions differ from the volume's; every plane then
        refers to every source as a whole.
    """
    if scan.is_raw:
        return [[Reference(header) for header in headers] for _ in range(volume.grid_shape[0])], False
    return image_references(headers, volume, gate=gate)


def image_references(
    headers: Headers, volume: Volume, *, gate: int | None = None
) -> tuple[list[list[Reference]], bool]:
    """Return what `plane_references` does, for images of planes.

    With a gate (from 1), only frames of its time slot are referred to; all at the place where no header tells slots.
    """
    planes = volume.grid_shape[0]
    whole = [[Reference(header) for header in headers] for _ in range(planes)]
    if not headers:
        return whole, False
    origins = plane_origins(volume)
    step = float(volume.spacing_mm[0])
    matched: list[list[Reference]] = [[] for _ in range(planes)]
    for header in headers:
        positions, frames = _slices(header)
        if len(positions) == 0:
            return whole, False
        distance = np.linalg.norm(positions[:, None] - origins, axis=-1)
        nearest = distance.argmin(axis=1)
        if (distance.min(axis=1) > 0.05 * step).any():
            return whole, False
        kept = _of_gate(header, len(frames), gate)
        for plane in np.unique(nearest[kept]):
            chosen = tuple(int(f) for f in frames[kept & (nearest == plane)] if f > 0)
            matched[int(plane)].append(Reference(header, chosen))
    return (matched, True) if all(matched) else (whole, False)


def _of_gate(header: Dataset, frames: int, gate: int | None) -> NDArray[np.bool_]:
    """Return which frames show a gate: all, without one or where the header has no Time Slot Vector of this length."""
    slots = np.atleast_1d(np.array(header.get("TimeSlotVector") or (), dtype=int))
    if gate is None or slots.size != frames:
        return np.ones(frames, dtype=bool)
    return np.asarray(slots == gate)


def _slices(header: Dataset) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the LPS position of each frame's first pixel, and the frame's number (0 in a single-frame file).

    None of either where the header does not give them in numbers.
    """
    none: NDArray[Any] = np.empty((0, 3))
    with quiet_pydicom():
        try:
            return _positions(header) or (none, none)
        except (ValueError, TypeError, AttributeError):
            return none, none


def _positions(header: Dataset) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return what `_slices` does: None where an attribute is missing, an error where it is malformed."""
    if header.get("ImagePositionPatient") and not header.get("SliceVector"):
        return np.array([header.ImagePositionPatient], dtype=np.float64), np.zeros(1, dtype=int)
    detector = (header.get("DetectorInformationSequence") or [Dataset()])[0]
    position, axes = detector.get("ImagePositionPatient"), detector.get("ImageOrientationPatient")
    spacing = header.get("SpacingBetweenSlices")
    if not position or not axes or not spacing or not header.get("SliceVector"):
        return None
    across, down = np.array(axes, dtype=np.float64).reshape(2, 3)
    index = np.atleast_1d(np.array(header.SliceVector, dtype=int))
    steps = (index - 1)[:, None] * float(spacing) * np.cross(across, down)
    return np.array(position, dtype=np.float64) + steps, np.arange(1, len(index) + 1)
