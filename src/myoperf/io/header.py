"""DICOM headers and pixels: read, decoded, encoded; single attributes; patient and camera.

A patient's data goes into the records of `myoperf.types`, never into an error or a warning. pydicom's
own warnings quote values, so they are suppressed.
"""

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from myoperf.errors import InputError
from myoperf.io.quirks import height_in_metres
from myoperf.types import Finding, Scan, Study


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress pydicom's warnings and log, which quote the values they are about."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def read_header(path: Path) -> Dataset:
    """Read a DICOM file without its pixels.

    Raises
    ------
    InputError
        When the file cannot be opened or is not DICOM.
    """
    try:
        with _quiet():
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)  # old exports lack the preamble
            looks_dicom = "SOPClassUID" in dataset and bool(str(dataset.SOPClassUID))
    except FileNotFoundError:
        raise InputError(f"{path.name}: the file does not exist.") from None
    except PermissionError:
        raise InputError(f"{path.name}: the file cannot be read; check its permissions.") from None
    except Exception:  # on arbitrary bytes a parser raises anything; its text may quote the file
        looks_dicom = False
    if not looks_dicom:
        raise InputError(f"{path.name}: neither DICOM nor NIfTI; give the files as the camera exported them.")
    return dataset


def read_frames(path: Path) -> NDArray[Any]:
    """Return a file's stored pixels, shape (frames, rows, columns), without rescale slope and intercept.

    Raises
    ------
    InputError
        When the file ends early or no installed decoder reads its transfer syntax.
    """
    try:
        with _quiet():
            dataset = pydicom.dcmread(path, force=True)
            if "PixelData" not in dataset:
                raise InputError(f"{path.name}: no pixel data; the file is truncated or contains no image.")
            array = dataset.pixel_array
    except InputError:
        raise
    except Exception as error:
        raise InputError(_why_undecodable(path, error)) from None
    frames = int(number(dataset, "NumberOfFrames") or 1)
    shape = (frames, int(dataset.Rows), int(dataset.Columns))
    if array.size != np.prod(shape):
        raise InputError(f"{path.name}: {array.size} pixels decoded, {np.prod(shape)} declared; export the file again.")
    return cast("NDArray[Any]", array.reshape(shape))


def _why_undecodable(path: Path, error: Exception) -> str:
    """Return in one line why the pixels could not be decoded, without the decoder's own text."""
    try:
        with _quiet():
            syntax = UID(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", ""))
    except Exception:
        syntax = UID("")
    if not syntax.is_transfer_syntax and syntax:
        return f"{path.name}: an unknown transfer syntax; export it uncompressed, RLE or JPEG lossless."
    if not (syntax and syntax.is_compressed) or isinstance(error, (ValueError, EOFError)):
        return f"{path.name}: the pixel data is incomplete or damaged; export the file again."
    return (
        f"{path.name}: no installed decoder reads its pixels ({syntax.name}, {syntax}); "
        "export it uncompressed, RLE or JPEG lossless."
    )


def encode_header(dataset: Dataset, name: str) -> bytes:
    """Return a header without pixels as the bytes of a DICOM file, so that derived objects can refer to it.

    Raises
    ------
    InputError
        When the header is damaged.
    """
    header = Dataset()
    with _quiet():
        try:
            for tag in dataset.keys():  # noqa: SIM118  (iterating a Dataset decodes every element)
                if int(tag) not in _PIXEL_TAGS and int(tag) >> 16 > 2:
                    header[tag] = dataset.get_item(tag)
            meta = FileMetaDataset()
            meta.update(getattr(dataset, "file_meta", None) or {})
            syntax = UID(meta.get("TransferSyntaxUID", ""))
            if not syntax.is_transfer_syntax or syntax.is_compressed:
                meta.TransferSyntaxUID = ExplicitVRLittleEndian
            meta.MediaStorageSOPClassUID = dataset.SOPClassUID
            meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "")
            header.file_meta = meta
            buffer = io.BytesIO()
            pydicom.dcmwrite(buffer, header, enforce_file_format=True)
        except Exception:  # an element pydicom cannot decode or encode; its text quotes the value
            raise InputError(f"{name}: the header is damaged; export the file again.") from None
    return buffer.getvalue()


_PIXEL_TAGS = {0x7FE00008, 0x7FE00009, 0x7FE00010}


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an attribute as text; empty where it is absent."""
    with _quiet():
        try:
            value = dataset.get(keyword, "")
        except Exception:
            return ""
    return "" if value is None else str(value).strip()


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return an attribute's numbers; empty where it is absent, not numeric or not finite."""
    with _quiet():
        try:
            value = dataset.get(keyword)
            if value is None or isinstance(value, str):
                return ()
            values = np.atleast_1d(np.asarray(value, dtype=np.float64))
        except Exception:
            return ()
    return tuple(float(v) for v in values) if np.isfinite(values).all() else ()


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return an attribute's first number, or None."""
    return next(iter(numbers(dataset, keyword)), None)


def stated_numbers(dataset: Dataset, keyword: str, name: str) -> tuple[float, ...]:
    """Return the numbers of an attribute that an image cannot be read without; empty only where it has no value.

    Parameters
    ----------
    name
        The file's name, for the message.

    Raises
    ------
    InputError
        When the attribute has a value that is not made of finite numbers (a decimal comma, for example): it is not
        missing, and must not be replaced by a default.
    """
    values = numbers(dataset, keyword)
    if not values and _has_value(dataset, keyword):
        label = dictionary_description(keyword)
        raise InputError(
            f"{name}: {label} has a value that is not a number as DICOM writes it (a decimal comma, for example); "
            "export the file again or correct the attribute."
        )
    return values


def stated_number(dataset: Dataset, keyword: str, name: str) -> float | None:
    """Return the first number of `stated_numbers`, or None."""
    return next(iter(stated_numbers(dataset, keyword, name)), None)


def _has_value(dataset: Dataset, keyword: str) -> bool:
    """Whether an attribute is present with a value, readable or not."""
    tag = tag_for_keyword(keyword)
    value = None if tag is None or tag not in dataset else dataset.get_item(tag).value
    if isinstance(value, bytes):
        return bool(value.strip(b" \0"))
    return value is not None and str(value).strip() not in ("", "[]")


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence; none where it is absent."""
    with _quiet():
        try:
            return tuple(dataset.get(keyword) or ())
        except Exception:
            return ()


def camera_of(dataset: Dataset) -> str | None:
    """Return manufacturer and model, or the model alone where it begins with the manufacturer; None where absent."""
    maker, model = text_of(dataset, "Manufacturer"), text_of(dataset, "ManufacturerModelName")
    parts = [model] if maker and model.lower().startswith(maker.lower()) else [maker, model]
    return " ".join(part for part in parts if part) or None


def age_years(dataset: Dataset) -> float | None:
    """Return Patient's Age (PS3.5 AS), else the age from birth and study dates; None where absent."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text_of(dataset, "PatientAge"))
    if match and int(match[1]) > 0:
        return int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2]]
    birth, study = date_of(dataset, "PatientBirthDate"), date_of(dataset, "StudyDate")
    if birth is None or study is None or study < birth:
        return None
    return float(study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day)))


def date_of(dataset: Dataset, keyword: str) -> date | None:
    """Return a DICOM date, or None where it is absent or impossible."""
    match = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", text_of(dataset, keyword))
    try:
        return date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None


def study_of(dataset: Dataset, scans: tuple[Scan, ...], findings: tuple[Finding, ...] = ()) -> Study:
    """Return the study of these scans, with the identifiers and clinical values of a header; None where absent."""
    sex = text_of(dataset, "PatientSex").upper()
    weight = number(dataset, "PatientWeight")
    return Study(
        scans,
        study_uid=text_of(dataset, "StudyInstanceUID") or None,
        patient_id=text_of(dataset, "PatientID") or None,
        sex=cast("Literal['M', 'F', 'O']", sex) if sex in ("M", "F", "O") else None,
        age_years=age_years(dataset),
        height_m=height_in_metres(number(dataset, "PatientSize")),
        weight_kg=weight if weight is not None and 1.0 <= weight <= 500.0 else None,
        findings=findings,
    )
