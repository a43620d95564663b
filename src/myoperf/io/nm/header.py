"""The part of an NM DICOM file that is not the image: patient, study, isotope, identifiers."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import NuclearMedicineImageStorage

from myoperf.errors import InputError
from myoperf.types import State

__all__ = ["NMHeader", "add_patient", "code", "decimal", "nm_dataset", "uid_from"]

_STATES = {"stress": ("432655005", "Cardiac stress state"), "rest": ("128975004", "Resting state")}
_NUCLIDES = {
    "Tc-99m": ("72454006", "^99m^Technetium", (126.0, 154.0)),
    "Tl-201": ("60057003", "^201^Thallium", (63.0, 77.0)),
}
_AGENTS = {
    "Tc-99m sestamibi": ("424299003", "Technetium Tc^99m^ sestamibi"),
    "Tc-99m tetrofosmin": ("424118002", "Technetium Tc^99m^Tetrofosmin"),
    "Tl-201 chloride": ("73685002", "Thallous chloride Tl^201^"),
}


@dataclass(frozen=True)
class NMHeader:
    """Who was imaged, when and with what: everything in the file that is not the image.

    Parameters
    ----------
    patient_id, patient_name
        Of a simulated person; the name in DICOM form (``"Family^Given"``).
    state
        Written as the acquisition context code (CID 3101) and in the Image ID; None writes neither.
    study_uid
        Shared by the patient's files; derived from `uid_key` and `patient_id` where None.
    uid_key
        Seeds every identifier: the same key and header give the same identifiers. Put the
        simulation's seed here.
    study_date, acquisition_time
        DICOM DA and TM. Never taken from the clock.
    tracer
        ``"Tc-99m sestamibi"``, ``"Tc-99m tetrofosmin"`` or ``"Tl-201 chloride"``.
    """

    patient_id: str
    patient_name: str = "Simulated^Patient"
    sex: Literal["M", "F", "O"] | None = None
    age_years: float | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    state: State | None = None
    study_uid: str | None = None
    uid_key: str = "myoperf"
    study_date: str = "20260101"
    acquisition_time: str = "120000"
    study_description: str = "Simulated myocardial perfusion"
    series_description: str = ""
    series_number: int = 1
    tracer: str = "Tc-99m sestamibi"
    manufacturer: str = "MyoPerf"
    model: str = "MyoPerf simulated camera"
    collimator: str = "LEHR"

    def __post_init__(self) -> None:
        if not self.patient_id:
            raise InputError("An NM header needs a patient_id; got an empty one.")
        if self.tracer.split()[0] not in _NUCLIDES:
            raise InputError(f"The tracer must start with one of {', '.join(_NUCLIDES)}; got {self.tracer!r}.")


def uid_from(*parts: object) -> str:
    """Give the DICOM UID that belongs to these values, always the same (PS3.5 B.2: 2.25 + a UUID)."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def nm_dataset(header: NMHeader, kind: str, image_type: tuple[str, ...]) -> Dataset:
    """Start an NM dataset: everything `header` says, under identifiers that follow from it and `kind`."""
    study_uid = header.study_uid or uid_from(header.uid_key, header.patient_id, "study")
    identity = (study_uid, header.uid_key, header.state, header.series_description, header.series_number, kind)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = NuclearMedicineImageStorage
    dataset.SOPInstanceUID = uid_from(*identity, "instance")
    dataset.StudyInstanceUID = study_uid
    dataset.SeriesInstanceUID = uid_from(*identity, "series")
    dataset.FrameOfReferenceUID = uid_from(study_uid, header.uid_key, header.state, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.ImageType = list(image_type)
    for when in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{when}Date", header.study_date)
        setattr(dataset, f"{when}Time", header.acquisition_time)
    dataset.Modality, dataset.ContentQualification = "NM", "RESEARCH"
    dataset.Manufacturer = header.manufacturer
    dataset.ManufacturerModelName = header.model
    dataset.StudyDescription = header.study_description
    dataset.SeriesDescription = header.series_description or f"{(header.state or '').capitalize()} {kind}".strip()
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = header.series_number
    dataset.InstanceNumber = 1
    dataset.BodyPartExamined = "HEART"
    dataset.ImageID = f"{header.state or 'mps'} {'gated' if 'GATED' in kind else 'static'}".upper()
    add_patient(dataset, header)
    _add_isotope(dataset, header)
    return dataset


def add_patient(dataset: Dataset, header: NMHeader) -> None:
    """Write who the patient is, lying on the back, and the state as acquisition context (CID 3101)."""
    dataset.PatientName, dataset.PatientID = header.patient_name, header.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = header.sex or ""
    if header.age_years is not None:
        dataset.PatientAge = f"{round(header.age_years):03d}Y"
    if header.height_m is not None:
        dataset.PatientSize = decimal(header.height_m)
    if header.weight_kg is not None:
        dataset.PatientWeight = decimal(header.weight_kg)
    dataset.PatientComments = "Simulated by MyoPerf; not a real patient."
    recumbent = code("102538003", "SCT", "Recumbent")
    recumbent.PatientOrientationModifierCodeSequence = Sequence([code("40199007", "SCT", "Supine")])
    dataset.PatientOrientationCodeSequence = Sequence([recumbent])
    dataset.PatientGantryRelationshipCodeSequence = Sequence([code("102540008", "SCT", "Headfirst")])
    if header.state is None:
        return
    item = Dataset()
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence = Sequence([code("109054", "DCM", "Patient State")])
    value, meaning = _STATES[header.state]
    item.ConceptCodeSequence = Sequence([code(value, "SCT", meaning)])
    dataset.AcquisitionContextSequence = Sequence([item])


def _add_isotope(dataset: Dataset, header: NMHeader) -> None:
    nuclide = header.tracer.split()[0]
    value, meaning, (low, high) = _NUCLIDES[nuclide]
    limits = Dataset()
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = decimal(low), decimal(high)
    window = Dataset()
    window.EnergyWindowName = nuclide
    window.EnergyWindowRangeSequence = Sequence([limits])
    dataset.NumberOfEnergyWindows = 1
    dataset.EnergyWindowInformationSequence = Sequence([window])
    drug = Dataset()
    drug.Radiopharmaceutical = header.tracer
    drug.RadionuclideCodeSequence = Sequence([code(value, "SCT", meaning)])
    if header.tracer in _AGENTS:
        value, meaning = _AGENTS[header.tracer]
        drug.RadiopharmaceuticalCodeSequence = Sequence([code(value, "SCT", meaning)])
    dataset.RadiopharmaceuticalInformationSequence = Sequence([drug])


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Give the item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def decimal(value: float) -> str:
    """Give a number as a DICOM decimal string: at most 16 characters."""
    number = float(value)
    return next(text for digits in range(12, 5, -1) if len(text := f"{number + 0.0:.{digits}g}") <= 16)
