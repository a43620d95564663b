"""What reading and reporting share of DICOM: saving a file, unique identifiers, valid values, codes, grids.

Parts of the standard (PS3.3, PS3.5, ...) are those of https://www.dicomstandard.org/current.
"""

import hashlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import validate_value

from myoperf.errors import GeometryError, OutputExistsError
from myoperf.types import State, Volume

CodeTriplet = tuple[str, str, str]
"""Code value, coding scheme designator and code meaning (PS3.3 8.8)."""

PATIENT_STATE: CodeTriplet = ("109054", "DCM", "Patient State")
STATE_CODES: Mapping[State, CodeTriplet] = {
    "stress": ("432655005", "SCT", "Cardiac stress state"),
    "rest": ("128975004", "SCT", "Resting state"),
}
"""Values of Patient State (PS3.16 CID 3101)."""

_IMPLEMENTATION = UID("2.25.91433146938446127318206116934264110533")


def save_dataset(dataset: Dataset, path: Path) -> Path:
    """Write a dataset as a DICOM file: first under a temporary name, then moved, so that no file is ever incomplete.

    File meta information (PS3.10 7.1) is added where the dataset has none.

    Raises
    ------
    OutputExistsError
        When the file exists; it is never replaced.
    """
    if path.exists():
        raise OutputExistsError(f"{path.name} exists already; choose another name or folder.")
    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.ImplementationClassUID = _IMPLEMENTATION
        dataset.file_meta.ImplementationVersionName = "MYOPERF"
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        dataset.save_as(partial, enforce_file_format=True)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
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
    """Return a value as text, empty where it is None or breaks its value representation, as some cameras write it."""
    text = "" if value is None else str(value)
    try:
        validate_value(dictionary_VR(keyword), text, RAISE)
    except ValueError:
        return ""
    return text


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
