"""What was acquired: scans, and the study of one patient."""

from dataclasses import dataclass, field
from typing import Literal

from myoperf.errors import InputError
from myoperf.types.basics import Finding, Float, Framing, Modality, Orientation, State
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
    tracer, camera
        As the file names them, in the field's words ("Tc-99m sestamibi"); None when absent.
    frame_duration_ms
        Shape (frames,): length of each gate or time frame; None when absent.
    frame_start_ms
        Shape (frames,): start of each time frame after the first one's; None when absent or not dynamic.
    description
        The kind of series in the file's words, free of patient data.
    source
        File names (no folders) the scan was read from.
    source_headers
        The DICOM headers without pixel data, encoded as DICOM files, so that derived objects can
        refer to their source; empty for NIfTI.
    findings
        What was noticed on reading.
    """

    image: Projections | Volume
    state: State | None = None
    modality: Modality = "NM"
    framing: Framing = "static"
    orientation: Orientation = "transaxial"
    tracer: str | None = None
    camera: str | None = None
    frame_duration_ms: Float | None = None
    frame_start_ms: Float | None = None
    description: str = ""
    source: tuple[str, ...] = ()
    source_headers: tuple[bytes, ...] = field(default=(), repr=False)
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if self.framing == "static" and self.image.frames != 1:
            raise InputError(f"A static scan has one frame; got {self.image.frames}.")

    @property
    def is_raw(self) -> bool:
        """Whether the scan still has to be reconstructed."""
        return isinstance(self.image, Projections)


@dataclass(frozen=True, eq=False)
class Study:
    """The scans of one patient's visit. Clinical values are None where the files do not give them."""

    scans: tuple[Scan, ...]
    study_uid: str | None = field(default=None, repr=False)
    patient_id: str | None = field(default=None, repr=False)
    sex: Literal["M", "F", "O"] | None = None
    age_years: float | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if not self.scans:
            raise InputError("A study needs at least one scan.")
