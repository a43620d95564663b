"""What simulated NM and PET files share: patient, study, camera and tracer (PS3.3 C.7.1 to C.7.5), and pixels.

Nothing comes from a clock or a random source: the same header and image give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import Dataset

from myoperf.dicom import PATIENT_STATE, STATE_CODES, age_string, code_item, decimal_string, uid_from
from myoperf.errors import InputError
from myoperf.io.tracers import AGENTS, NUCLIDES
from myoperf.types import Position, Projections, State, Volume

_POSITIONS: Mapping[Position, tuple[str, str, str]] = {
    "supine": ("40199007", "SCT", "Supine"),
    "prone": ("1240000", "SCT", "Prone"),
}
"""Codes of the orientation's modifier (CID 20)."""


@dataclass(frozen=True)
class SimulatedHeader:
    """Who was imaged, when and with what: everything in a simulated file that is not the image.

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
    position
        How the patient lay.
    tracer
        Nuclide and agent: ``"Tc-99m sestamibi"``, ``"Tc-99m tetrofosmin"``, ``"Tl-201 chloride"``,
        ``"N-13 ammonia"`` or ``"Rb-82 rubidium chloride"``.
    """

    patient_id: str
    patient_name: str = "Simulated^Patient"
    sex: Literal["M", "F", "O"] | None = None
    age_years: float | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    state: State | None = None
    position: Position = "supine"
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
            raise InputError("A simulated header needs a patient_id; got an empty one.")
        if self.nuclide not in NUCLIDES:
            raise InputError(f"The tracer must start with one of {', '.join(NUCLIDES)}; got {self.tracer!r}.")

    @property
    def nuclide(self) -> str:
        """First word of the tracer, such as ``"Tc-99m"``."""
        return self.tracer.partition(" ")[0]


def start_dataset(header: SimulatedHeader, sop_class: str, *kind: str) -> Dataset:
    """Return a dataset of everything `header` says; its identifiers follow from the header and `kind`."""
    study_uid = header.study_uid or uid_from(header.uid_key, header.patient_id, "study")
    identity = (study_uid, header.uid_key, header.state, header.series_description, header.series_number, *kind)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = uid_from(*identity, "instance")
    dataset.StudyInstanceUID = study_uid
    dataset.SeriesInstanceUID = uid_from(*identity, "series")
    dataset.FrameOfReferenceUID = uid_from(study_uid, header.uid_key, header.state, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    for event in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{event}Date", header.study_date)
        setattr(dataset, f"{event}Time", header.acquisition_time)
    dataset.ContentQualification = "RESEARCH"
    dataset.Manufacturer = header.manufacturer
    dataset.ManufacturerModelName = header.model
    dataset.StudyDescription = header.study_description
    dataset.SeriesDescription = header.series_description or f"{(header.state or '').capitalize()} {kind[0]}".strip()
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = header.series_number
    dataset.InstanceNumber = 1
    dataset.BodyPartExamined = "HEART"
    _add_patient(dataset, header)
    dataset.RadiopharmaceuticalInformationSequence = [_radiopharmaceutical(header)]
    return dataset


def _add_patient(dataset: Dataset, header: SimulatedHeader) -> None:
    """Write who the patient is, how the patient lay, head first, and the state as acquisition context (CID 3101)."""
    dataset.PatientName, dataset.PatientID = header.patient_name, header.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = header.sex or ""
    if header.age_years is not None:
        dataset.PatientAge = age_string(header.age_years)
    if header.height_m is not None:
        dataset.PatientSize = decimal_string(header.height_m)
    if header.weight_kg is not None:
        dataset.PatientWeight = decimal_string(header.weight_kg)
    dataset.PatientComments = "Simulated by MyoPerf; not a real patient."
    recumbent = code_item("102538003", "SCT", "Recumbent")
    recumbent.PatientOrientationModifierCodeSequence = [code_item(*_POSITIONS[header.position])]
    dataset.PatientOrientationCodeSequence = [recumbent]
    dataset.PatientGantryRelationshipCodeSequence = [code_item("102540008", "SCT", "Headfirst")]
    if header.state is not None:
        item = Dataset()
        item.ValueType = "CODE"
        item.ConceptNameCodeSequence = [code_item(*PATIENT_STATE)]
        item.ConceptCodeSequence = [code_item(*STATE_CODES[header.state])]
        dataset.AcquisitionContextSequence = [item]


def _radiopharmaceutical(header: SimulatedHeader) -> Dataset:
    """Return the item of nuclide and agent (PS3.3 C.8.4.10, C.8.9.2)."""
    item = Dataset()
    item.Radiopharmaceutical = header.tracer
    nuclide = NUCLIDES[header.nuclide]
    item.RadionuclideCodeSequence = [code_item(nuclide.codes[0], "SCT", nuclide.meaning)]
    agent = AGENTS.get(header.tracer.partition(" ")[2])
    if agent is not None and agent.code:
        item.RadiopharmaceuticalCodeSequence = [code_item(agent.code, "SCT", agent.meaning)]
    return item


def gate_duration_ms(image: Volume | Projections, frame_duration_ms: float | None) -> float | None:
    """Return the length of one gate; None for an image of one frame.

    Raises
    ------
    InputError
        When an image of several frames comes without it.
    """
    if image.frames == 1:
        return None
    if frame_duration_ms is None:
        raise InputError(f"An image of {image.frames} gates needs frame_duration_ms, the length of one gate.")
    return float(frame_duration_ms)
