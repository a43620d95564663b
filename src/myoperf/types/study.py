"""What was acquired: scans, and the study of one patient."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from myoperf.errors import InputError
from myoperf.types.basics import Finding, Float, Framing, Modality, Orientation, Position, State, Stressor
from myoperf.types.image import Projections, Volume


@dataclass(frozen=True, eq=False)
class Scan:
    """One acquisition (or one reconstruction of it) of a patient in one state.

    Parameters
    ----------
    image
        Raw `Projections` or a `Volume`.
    state
        ``"stress"``, ``"rest"``, or None where neither the file nor the user specifies it.
    modality
        ``"NM"`` (SPECT) or ``"PT"``.
    framing
        What the image's frames are: one (static), gates of the cardiac cycle, or time frames.
    orientation
        Of a volume: ``"transaxial"`` (patient axes) or ``"short_axis"`` (already reoriented).
    position
        How the patient lay; None where the file does not say.
    attenuation_corrected
        Whether the image is marked as corrected for attenuation.
    stressors
        What made the heart work, of a stress scan: exercise, a drug, or both; empty where nothing tells.
    tracer, camera
        As the file names them, in the field's words ("Tc-99m sestamibi"); None when absent.
    frame_duration_ms
        Shape (frames,): length of each gate or time frame; None when absent.
    frame_start_ms
        Shape (frames,): start of each time frame after the first one's; None when absent or not dynamic.
    series_number
        Of the series in the camera's or the workstation's list; None where absent.
    description
        The kind of series in the file's words, free of patient data.
    source
        File names (no folders) the scan was read from.
    source_headers
        The DICOM headers without pixel data, encoded as DICOM files, so that derived objects can
        refer to their source; empty for NIfTI.
    frame_of_reference
        Frame of Reference UID: images that share it have one coordinate system. None where the file gives none.
    findings
        What was noticed on reading.
    """

    image: Projections | Volume
    state: State | None = None
    modality: Modality = "NM"
    framing: Framing = "static"
    orientation: Orientation = "transaxial"
    position: Position | None = None
    attenuation_corrected: bool = False
    stressors: tuple[Stressor, ...] = ()
    tracer: str | None = None
    camera: str | None = None
    frame_duration_ms: Float | None = None
    frame_start_ms: Float | None = None
    series_number: int | None = None
    description: str = ""
    source: tuple[str, ...] = ()
    source_headers: tuple[bytes, ...] = field(default=(), repr=False)
    frame_of_reference: str | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if self.framing == "static" and self.image.frames != 1:
            raise InputError(f"A static scan has one frame; got {self.image.frames}.")

    @property
    def is_raw(self) -> bool:
        """Whether the scan still has to be reconstructed."""
        return isinstance(self.image, Projections)


@dataclass(frozen=True, eq=False)
class AttenuationImage:
    """A CT or an attenuation map that came with a study; its pixels are read when they are needed.

    Parameters
    ----------
    kind
        ``"ct"`` (Hounsfield units) or ``"map"`` (attenuation coefficients in the writer's own unit).
    files
        The slices of a CT or a PET map, in any order, or one NM file.
    state
        Of the scan that it belongs to, where its name or its file says so.
    series_number
        None where absent.
    frame_of_reference
        Frame of Reference UID, which a scan in the same coordinate system shares; None where the file gives none.
    patient_id
        None where the file gives none.
    """

    kind: Literal["ct", "map"]
    files: tuple[Path, ...] = field(repr=False)
    state: State | None = None
    series_number: int | None = None
    frame_of_reference: str | None = field(default=None, repr=False)
    patient_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Study:
    """What one patient came for: stress and rest, of one day or two.

    Parameters
    ----------
    scans
        At least one, of any state. The first of stress and the first of rest are the pair that is scored.
    study_uid, patient_id
        Study Instance UID of the first scan, and the patient's ID; None where the files give none. ``repr`` shows
        neither.
    study_uids
        All of them, where stress and rest are of two studies; else empty.
    sex, age_years, height_m, weight_kg
        None where the files do not give them.
    attenuation
        CTs and attenuation maps found with the scans.
    name
        Of the folder or the file that the study was read from; it may hold the patient's name.
    findings
        What was noticed on reading the files together.

    Raises
    ------
    InputError
        Without a scan.

    Examples
    --------
    >>> import numpy as np
    >>> volume = Volume(np.ones((8, 9, 10)), np.diag([4.0, 4.0, 4.0, 1.0]))
    >>> study = Study((Scan(volume, state="rest"),), sex="F")
    >>> study.scans[0].state, study.scans[0].is_raw
    ('rest', False)
    """

    scans: tuple[Scan, ...]
    study_uid: str | None = field(default=None, repr=False)
    patient_id: str | None = field(default=None, repr=False)
    sex: Literal["M", "F", "O"] | None = None
    age_years: float | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    findings: tuple[Finding, ...] = ()
    study_uids: tuple[str, ...] = field(default=(), repr=False)
    attenuation: tuple[AttenuationImage, ...] = ()
    name: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.scans:
            raise InputError("A study needs at least one scan.")
