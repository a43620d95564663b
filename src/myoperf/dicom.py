"""What reading and reporting share of DICOM: saving a file, unique identifiers, valid values, codes, grids.

Parts of the standard (PS3.3, PS3.5, ...) are those of https://www.dicomstandard.org/current.
"""

import hashlib
import logging
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import validate_value

from myoperf.errors import GeometryError, OutputExistsError
from myoperf.files import whole_file
from myoperf.types import State, Volume

CodeTriplet = tuple[str, str, str]
"""Code value, coding scheme designator and code meaning (PS3.3 8.8)."""

PATIENT_STATE: CodeTriplet = ("109054", "DCM", "Patient State")
STATE_CODES: Mapping[State, CodeTriplet] = {
    "stress": ("432655005", "SCT", "Cardiac stress state"),
    "rest": ("128975004", "SCT", "Resting state"),
}
"""Values of Patient State (PS3.16 CID 3101)."""

DERIVED_BY = "MyoPerf "
"""How Derivation Description begins in images among the results, by which they are known when they are read."""
LARGEST_STORED = 65535
"""The largest value of an unsigned pixel of 16 bits."""
_IMPLEMENTATION = UID("2.25.91433146938446127318206116934264110533")


def encode_dataset(dataset: Dataset) -> bytes:
    """Return a dataset as the bytes of a DICOM file.

    File meta information (PS3.10 7.1) is added where the dataset has none.
    """
    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.ImplementationClassUID = _IMPLEMENTATION
        dataset.file_meta.ImplementationVersionName = "MYOPERF"
    head, buffer = Dataset(), BytesIO()
    head.file_meta = dataset.file_meta
    head.save_as(buffer, enforce_file_format=True)
    correct_ambiguous_vr(dataset, True)
    return buffer.getvalue() + _encode_elements(dataset, ())


def _encode_elements(dataset: Dataset, charset: tuple[str, ...]) -> bytes:
    """Return a dataset's elements in explicit VR little endian; pydicom, which writes the values, is slow in sequences.

    Parameters
    ----------
    charset
        Specific Character Set of the dataset around it, unless it has its own.
    """
    own = dataset.get("SpecificCharacterSet", charset)
    charset = (own,) if isinstance(own, str) else tuple(own)
    parts = []
    for element in dataset:
        if element.VR == "SQ":
            items = [_encode_elements(item, charset) for item in element.value]
            value = b"".join(_ITEM + pack("<L", len(item)) + item for item in items)
            parts += [pack("<HH4sL", element.tag.group, element.tag.element, b"SQ", len(value)), value]
        elif isinstance(element.value, str):
            parts.append(_encode_text(element.tag, element.VR, element.value, charset))
        else:
            parts.append(_encode_element(element, charset))
    return b"".join(parts)


_ITEM = pack("<HH", 0xFFFE, 0xE000)
"""The tag that begins an item (PS3.5 7.5)."""


@lru_cache(maxsize=4096)
def _encode_text(tag: BaseTag, kind: str, text: str, charset: tuple[str, ...]) -> bytes:
    """Return an element that holds text; a report repeats its codes and their meanings hundreds of times."""
    return _encode_element(DataElement(tag, kind, text, already_converted=True), charset)


def _encode_element(element: DataElement, charset: tuple[str, ...]) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_data_element(buffer, element, list(charset))
    return buffer.getvalue()


def save_dataset(dataset: Dataset, path: Path) -> Path:
    """Write a dataset as a DICOM file, whole or not at all (`encode_dataset`, `myoperf.files.whole_file`).

    Raises
    ------
    OutputExistsError
        When the file exists; it is never replaced.
    """
    if path.exists():
        raise OutputExistsError(f"{path.name} exists already; choose another name or folder.")
    with whole_file(path) as partial:
        partial.write_bytes(encode_dataset(dataset))
    return path


def uid_from(*parts: object) -> str:
    """Return the DICOM UID of these values, the same every time (PS3.5 B.2: 2.25 and a UUID)."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def decimal_string(value: float) -> str:
    """Return a number as a Decimal String (PS3.5 6.2), which holds at most 16 characters."""
    number = float(value) + 0.0  # -0.0 becomes 0.0
    return next(text for digits in range(12, 5, -1) if len(text := f"{number:.{digits}g}") <= 16)


def age_string(age_years: float) -> str:
    """Return an age as an Age String (PS3.5 6.2)."""
    return f"{round(age_years):03d}Y"


def valid_text(keyword: str, value: object) -> str:
    r"""Return a value in a form that its attribute may have (PS3.5 6.2); empty where there is none, or for None.

    Cameras write identifiers that are too long, two where one may stand, sexes of their own, names with control
    characters. Text loses what may not be in it and what is too long; of several values the first stays; a malformed
    UID becomes one that follows from it; a sex other than M, F or O, and numbers and dates that are none, become empty.

    Examples
    --------
    >>> valid_text("PatientSex", "U"), valid_text("PatientID", "ID\n7"), valid_text("PatientAge", "063Y")
    ('', 'ID7', '063Y')
    """
    values = list(value) if isinstance(value, list | tuple | MultiValue) else [value]
    if dictionary_VM(keyword) == "1":
        del values[1:]
    return "\\".join(_valid(keyword, "" if one is None else str(one)) for one in values)


def faulty_values(header: Dataset) -> tuple[str, ...]:
    """Return the keywords of the patient's and study's attributes whose values `valid_text` changes."""
    with quiet_pydicom():
        values = {keyword: element_value(header, keyword) for keyword in (*PATIENT_AND_STUDY, "StudyInstanceUID")}
        return tuple(k for k, value in values.items() if value is not None and valid_text(k, value) != _written(value))


def element_value(header: Dataset, keyword: str) -> object:
    """Return an attribute's value, as text where it cannot be decoded by the rules of its kind; None where absent."""
    try:
        return header.get(keyword)
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        raw = header.get_item(keyword)
        value = getattr(raw, "value", None)
        return value.decode("latin-1") if isinstance(value, bytes) else ""


PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "IssuerOfPatientID",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyDescription",
)
"""Attributes that results share with their source (PS3.3 C.7.1.1, C.7.2.1), apart from the study's UID."""

_LONGEST = {"LO": 64, "SH": 16, "CS": 16, "ST": 1024, "LT": 10240}


def _written(value: object) -> str:
    """Return a value as a file has it: several values between backslashes."""
    values = value if isinstance(value, list | tuple | MultiValue) else [value]
    return "\\".join(str(one) for one in values)


def _valid(keyword: str, text: str) -> str:
    """Return one value in valid form."""
    kind = dictionary_VR(keyword)
    if keyword == "PatientSex":
        return text if text in ("M", "F", "O") else ""
    if kind in ("PN", *_LONGEST):
        text = "".join(letter for letter in text if letter.isprintable() and letter != "\\")
        longest = _LONGEST.get(kind, 64)
        text = "=".join(group[:longest] for group in text.split("=")[:3]) if kind == "PN" else text[:longest]
    try:
        validate_value(kind, text, RAISE)
    except ValueError:
        return uid_from("valid", text) if kind == "UI" else ""
    return text


_IGNORE_ALL = ("ignore", None, Warning, None, 0)
"""What `warnings.simplefilter("ignore")` puts first."""


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Suppress what pydicom and highdicom print: their warnings quote the values they are about."""
    logs = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    if warnings.filters[:1] == [_IGNORE_ALL] and all(log.level > logging.CRITICAL for log in logs):
        yield  # quiet already: setting it again for each of a study's 50,000 values would take a quarter of the reading
        return
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """Return the item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def instance_reference(instance: Dataset) -> Dataset:
    """Return an item that refers to an instance (PS3.3 10.8, SOP Instance Reference Macro)."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
    return item


@dataclass(frozen=True, kw_only=True)
class PlaneGeometry:
    """A volume's grid in DICOM's words (PS3.3 C.7.6.2): decimal strings in mm.

    Parameters
    ----------
    orientation
        Image Orientation: direction along a row, then down a column.
    pixel_spacing
        Pixel Spacing: between rows, between columns.
    thickness
        Distance between planes, positive.
    step
        The same with a sign: negative where the planes run against the normal (NM, PS3.3 C.8.4.15).
    """

    orientation: list[str]
    pixel_spacing: list[str]
    thickness: str
    step: str


def plane_geometry(volume: Volume) -> PlaneGeometry:
    """Return a volume's orientation and spacings as DICOM writes them.

    Raises
    ------
    GeometryError
        When the grid's axes are not at right angles.
    """
    spacing = volume.spacing_mm
    plane, row, column = (volume.lps_from_index[:3, :3] / spacing).T
    normal = np.cross(column, row)
    if not np.allclose([column @ row, abs(normal @ plane)], [0.0, 1.0], atol=1e-4):
        raise GeometryError("DICOM holds grids with axes at right angles only; this volume's are not. Resample it.")
    return PlaneGeometry(
        orientation=[decimal_string(v) for v in (*column, *row)],
        pixel_spacing=[decimal_string(v) for v in spacing[1:]],
        thickness=decimal_string(spacing[0]),
        step=decimal_string(np.copysign(spacing[0], normal @ plane)),
    )


def plane_origins(volume: Volume) -> NDArray[np.float64]:
    """Return the LPS centre of the first voxel of every plane, shape (planes, 3)."""
    planes = np.arange(volume.grid_shape[0])[:, None]
    return np.asarray(volume.lps_from_index[:3, 3] + planes * volume.lps_from_index[:3, 0])


def scaled_to_integers(array: NDArray[Any], largest: int) -> tuple[NDArray[Any], float]:
    """Return whole numbers from 0 to `largest` and the slope that leads back to the values."""
    slope = float(decimal_string(float(array.max()) / largest))
    return np.minimum(np.rint(array / slope), largest), slope


def add_pixels(dataset: Dataset, stored: NDArray[np.uint16] | NDArray[np.int16]) -> None:
    """Write 16-bit pixels of shape (..., rows, columns) and how to read them."""
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()


def real_world_mapping(slope: float) -> Dataset:
    """Return the item that leads from stored values to relative activity (PS3.3 C.7.6.16.2.11)."""
    item = Dataset()
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, LARGEST_STORED
    item["RealWorldValueFirstValueMapped"].VR = item["RealWorldValueLastValueMapped"].VR = "US"
    item.RealWorldValueIntercept, item.RealWorldValueSlope = 0.0, slope
    item.LUTLabel, item.LUTExplanation = "activity", "Relative activity"
    item.MeasurementUnitsCodeSequence = [code_item("{counts}", "UCUM", "Counts")]
    return item
