"""DICOM headers and pixels: read, decoded, encoded; single attributes; patient and camera.

A patient's data goes into the records of `myoperf.types`, never into an error or a warning. pydicom's
own warnings quote values, so they are suppressed.
"""

import copy
import io
import re
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from myoperf.dicom import element_value, faulty_values, quiet_pydicom, valid_text
from myoperf.errors import InputError
from myoperf.io.files import START, archive_members, inflate, is_in_archive, open_file, what_else
from myoperf.io.plausible import check_image_size
from myoperf.io.quirks import height_in_metres
from myoperf.text import printable
from myoperf.types import Finding, Scan, Study

_LARGEST_DEFLATED = 2**30
_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read_header(path: Path) -> Dataset:
    """Read a DICOM file without its pixels.

    Raises
    ------
    InputError
        When the file cannot be opened, is not a regular file or is not DICOM.
    """
    with open_file(path) as stream:
        start = stream.read(START)
        stream.seek(0)
        dataset = Dataset()
        if _begins_like_dicom(start):
            _refuse_large_deflated(stream, path.name)
            with quiet_pydicom(), suppress(Exception):  # on arbitrary bytes a parser raises anything
                dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
    with quiet_pydicom():
        try:
            is_index = "DirectoryRecordSequence" in dataset
            looks_dicom = is_index or ("SOPClassUID" in dataset and bool(str(dataset.SOPClassUID)))
        except Exception:
            looks_dicom = False
    if not looks_dicom:
        archive_members(path)  # says what is wrong with an archive that is not read
        if start[128:132] == b"DICM":
            raise InputError(
                f"{path.name}: begins as DICOM, but no SOP Class UID can be read: the header ends early or is damaged; "
                "copy or export the file again."
            )
        what = what_else(start)
        if start.startswith(b"PK\x03\x04") and is_in_archive(path):
            what = "a zip archive inside another; unpack the outer one and give the folder"
        hint = f" but {what}" if what else "; give the files as the camera exported them"
        raise InputError(f"{path.name}: neither DICOM nor NIfTI{hint}.")
    return dataset


def _begins_like_dicom(start: bytes) -> bool:
    """Whether a file begins as DICOM does, with its preamble or, as old exports, with group 2 or 8 at once."""
    return start[128:132] == b"DICM" or start[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")


def _refuse_large_deflated(stream: BinaryIO, name: str) -> None:
    """Refuse a deflated dataset (PS3.5 A.5) that unpacks to more than an image; pydicom unpacks it without a limit."""
    start = stream.read(2**16)
    if DeflatedExplicitVRLittleEndian.encode() in start and start[132:138] == b"\x02\x00\x00\x00UL":
        stream.seek(144 + int.from_bytes(start[140:144], "little"))  # PS3.10 7.1: the length of the meta group
        inflate(stream.read(), _LARGEST_DEFLATED, name)
    stream.seek(0)


def read_frames(path: Path) -> NDArray[Any]:
    """Return a file's stored pixels, shape (frames, rows, columns), without rescale slope and intercept.

    Raises
    ------
    InputError
        When the file ends early, its header announces implausibly many pixels, or no installed decoder reads its
        transfer syntax.
    """
    with open_file(path) as stream:
        try:
            with quiet_pydicom():
                _refuse_large_deflated(stream, path.name)
                dataset = pydicom.dcmread(stream, force=True)
        except InputError:
            raise
        except Exception as error:
            raise InputError(_why_undecodable(Dataset(), path.name, error)) from None
    if not any(keyword in dataset for keyword in _PIXEL_KEYWORDS):
        raise InputError(f"{path.name}: no pixel data; the file is truncated or contains no image.")
    frames = int(stated_number(dataset, "NumberOfFrames", path.name) or 1)
    rows, columns = (int(stated_number(dataset, key, path.name) or 0) for key in ("Rows", "Columns"))
    check_image_size(frames, rows, columns, path.name)
    try:
        with quiet_pydicom():
            _complete_meta(dataset, path.name)
            _refuse_bits_beyond_stored(dataset, path.name)
            array = dataset.pixel_array
    except InputError:
        raise
    except Exception as error:
        raise InputError(_why_undecodable(dataset, path.name, error)) from None
    if array.size != frames * rows * columns:
        raise InputError(
            f"{path.name}: {array.size} pixels decoded; Number of Frames, Rows and Columns announce "
            f"{frames * rows * columns}. Export the file again."
        )
    return cast("NDArray[Any]", array.reshape(frames, rows, columns))


def _complete_meta(dataset: Dataset, name: str) -> None:
    """Set the transfer syntax of a file without one, as its elements are encoded.

    Raises
    ------
    InputError
        When the pixels are compressed: by what is written nowhere then.
    """
    meta = getattr(dataset, "file_meta", None)
    if meta is not None and meta.get("TransferSyntaxUID"):
        return
    if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
        raise InputError(f"{name}: compressed pixels and no transfer syntax; export it with its meta information.")
    implicit, little = dataset.original_encoding
    dataset.file_meta = meta or FileMetaDataset()
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = syntax


def _refuse_bits_beyond_stored(dataset: Dataset, name: str) -> None:
    """Refuse uncompressed values that use bits above those that Bits Stored says, which a decoder would cut off.

    Then the brightest pixels would become dark ones. An overlay may stand in these bits, as in files before 2004.

    Raises
    ------
    InputError
    """
    stored, allocated = (int(number(dataset, keyword) or 0) for keyword in ("BitsStored", "BitsAllocated"))
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if syntax.is_compressed or not 0 < stored < allocated or allocated not in (8, 16, 32) or _has_overlay_bits(dataset):
        return
    size = allocated // 8
    data = dataset.PixelData[: len(dataset.PixelData) // size * size]
    words = np.frombuffer(data, dtype=f"{'<' if syntax.is_little_endian else '>'}u{size}")
    above = words >> stored
    if number(dataset, "PixelRepresentation"):  # a negative value may have its sign in all bits above
        above = above[above != ((1 << (allocated - stored)) - 1) * ((words >> (stored - 1)) & 1)]
    if above.any():
        raise InputError(
            f"{name}: its pixels have more than the {stored} bits that Bits Stored (0028,0101) says; export the file "
            "again or correct the attribute."
        )


def _has_overlay_bits(dataset: Dataset) -> bool:
    """Whether an overlay stands in unused bits of the pixels: Overlay Bit Position (60xx,0102)."""
    groups = {tag.group for tag in dataset.keys() if 0x6000 <= tag.group <= 0x601E}  # noqa: SIM118
    return any(dataset[group, 0x0102].value for group in groups if (group, 0x0102) in dataset)


def _why_undecodable(dataset: Dataset, name: str, error: Exception) -> str:
    """Return in one line why the pixels could not be decoded, without the decoder's own text."""
    with quiet_pydicom():
        syntax = UID((getattr(dataset, "file_meta", None) or {}).get("TransferSyntaxUID", ""))
    if not syntax.is_transfer_syntax and syntax:
        return f"{name}: an unknown transfer syntax; export it uncompressed, RLE or JPEG lossless."
    if not (syntax and syntax.is_compressed) or isinstance(error, (ValueError, EOFError)):
        return f"{name}: the pixel data is incomplete or damaged; export the file again."
    return (
        f"{name}: no installed decoder reads its pixels ({syntax.name}, {syntax}); "
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
    with quiet_pydicom():
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


def copied_header(dataset: Dataset) -> Dataset:
    """Return a header that can be changed without changing the given one; damaged elements stay as they are."""
    copied = Dataset()
    for tag in dataset.keys():  # noqa: SIM118  (iterating a Dataset decodes every element)
        copied[tag] = copy.copy(dataset.get_item(tag))  # setting an attribute changes the element, not the dataset
    if hasattr(dataset, "file_meta"):
        copied.file_meta = dataset.file_meta
    return copied


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an attribute as text on one line, safe to show; empty where it is absent."""
    with quiet_pydicom():
        try:
            value = dataset.get(keyword, "")
        except Exception:
            return ""
    return "" if value is None else printable(str(value).replace("\0", ""))


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return an attribute's numbers; empty where it is absent, not numeric or not finite."""
    with quiet_pydicom():
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


_COUNTS = {"PixelSpacing": 2, "ImagePositionPatient": 3, "ImageOrientationPatient": 6}
"""How many numbers an attribute has (PS3.6)."""


def stated_numbers(dataset: Dataset, keyword: str, name: str) -> tuple[float, ...]:
    """Return the numbers of an attribute that an image cannot be read without; empty only where it has no value.

    Parameters
    ----------
    name
        The file's name, for the message.

    Raises
    ------
    InputError
        When the attribute has a value that is not made of finite numbers (a decimal comma, for example), or of more or
        fewer than it has by the standard: it is not missing, and must not be replaced by a default.
    """
    values = numbers(dataset, keyword)
    if not values and has_value(dataset, keyword):
        label = dictionary_description(keyword)
        raise InputError(
            f"{name}: {label} has a value that is not a number as DICOM writes it (a decimal comma, for example); "
            "export the file again or correct the attribute."
        )
    expected = _COUNTS.get(keyword, len(values))
    if values and len(values) != expected:
        raise InputError(
            f"{name}: {dictionary_description(keyword)} holds {len(values)} of {expected} numbers. Export the "
            "file again or correct the attribute."
        )
    return values


def stated_number(dataset: Dataset, keyword: str, name: str) -> float | None:
    """Return the first number of `stated_numbers`, or None."""
    return next(iter(stated_numbers(dataset, keyword, name)), None)


def has_value(dataset: Dataset, keyword: str) -> bool:
    """Whether an attribute is present with a value, readable or not."""
    tag = tag_for_keyword(keyword)
    value = None if tag is None or tag not in dataset else dataset.get_item(tag).value
    if isinstance(value, bytes):
        return bool(value.strip(b" \0"))
    return value is not None and str(value).strip() not in ("", "[]")


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence; none where it is absent."""
    with quiet_pydicom():
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
        study_uid=valid_text("StudyInstanceUID", element_value(dataset, "StudyInstanceUID")) or None,
        patient_id=text_of(dataset, "PatientID") or None,
        sex=cast("Literal['M', 'F', 'O']", sex) if sex in ("M", "F", "O") else None,
        age_years=age_years(dataset),
        height_m=height_in_metres(number(dataset, "PatientSize")),
        weight_kg=weight if weight is not None and 1.0 <= weight <= 500.0 else None,
        findings=(*findings, *_check_values(dataset)),
    )


def _check_values(dataset: Dataset) -> tuple[Finding, ...]:
    """Return a finding where identifiers or clinical values break DICOM's rules: a warning for keys."""
    faulty = faulty_values(dataset)
    if not faulty:
        return ()
    names = ", ".join(dictionary_description(keyword) for keyword in faulty)
    text = (
        f"Some values in the file break DICOM's rules; in the DICOM results they are corrected or left empty: {names}."
    )
    keys = {"PatientName", "PatientID", "StudyInstanceUID"}
    return (Finding("dicom-values", "warning" if keys & set(faulty) else "info", text),)
