"""DICOM headers and pixels, and what a header says of the patient, the tracer and the camera.

Everything of a patient that is read here goes into the records of `myoperf.types`; none of it into
an error or a warning. pydicom's own warnings quote values and are kept quiet for that reason.
"""

from __future__ import annotations

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
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian

from myoperf.errors import InputError
from myoperf.io.quirks import height_in_metres, nuclide_from_window_name

__all__ = [
    "PHOTOPEAK_KEV",
    "age_years",
    "camera_of",
    "encode_header",
    "items",
    "nuclide_of",
    "number",
    "numbers",
    "patient_of",
    "read_frames",
    "read_header",
    "text_of",
    "tracer_of",
]

PHOTOPEAK_KEV = {
    "Tc-99m": 140.5,
    "Tl-201": 71.0,
    "I-123": 159.0,
    "N-13": 511.0,
    "Rb-82": 511.0,
    "O-15": 511.0,
    "F-18": 511.0,
}
"""Energy of the window images are made from (Tl-201: the X-rays of Hg-201); MIRD decay schemes."""

_NUCLIDE_WORDS = {
    "Tc-99m": r"(?<!\d)99\W*m|tc\W*99",
    "Tl-201": r"201\W*(tl|thall)|tl\W*201|thall\w*\W*201",
    "I-123": r"123\W*i|i\W*123|iod\w*\W*123",
    "N-13": r"(?<!\d)13\W*n|n\W*13|nitrogen|ammonia",
    "Rb-82": r"(?<!\d)82\W*rb|rb\W*82|rubidium",
    "O-15": r"(?<!\d)15\W*o|o\W*15|oxygen",
    "F-18": r"(?<!\d)18\W*f|f\W*18|fluorine|flurpiridaz|fdg",
}
_NUCLIDE_CODES = {
    # SNOMED CT and its SRT (SNOMED-RT) predecessor, DICOM PS3.16 CID 18 and CID 4020.
    **dict.fromkeys(("72454006", "C-163A8"), "Tc-99m"),
    **dict.fromkeys(("60057003", "C-138A9"), "Tl-201"),
    **dict.fromkeys(("21572004", "C-114A4"), "I-123"),
    **dict.fromkeys(("21576001", "C-107A1"), "N-13"),
    **dict.fromkeys(("79197006", "C-159A2"), "Rb-82"),
    **dict.fromkeys(("129504001", "C-B1038", "C-105A1"), "O-15"),
    **dict.fromkeys(("77004003", "C-111A1"), "F-18"),
}
_AGENT_WORDS = {
    # GE Xeleris writes the SRT code of the agent into the text (C-163AB in the GE study of RIMD-DLAC-SPECT-MPI).
    "sestamibi": r"mibi|cardiolite|C-163AB|424299003",
    "tetrofosmin": r"tetrofosmin|myoview|C-163AD|424118002",
    "chloride": r"thall\w* chloride|thallous",
    "ammonia": r"ammonia|nh3",
    "rubidium chloride": r"rubidium|cardiogen|ruby",
    "flurpiridaz": r"flurpiridaz|flyrcado",
    "FDG": r"fdg|deoxyglucose",
    "water": r"water|h2o",
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom's warnings and log from reaching the user: they quote the values they complain of."""
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
    """Read a DICOM file up to its pixels.

    Raises
    ------
    InputError
        When the file cannot be opened or is not DICOM.
    """
    try:
        with _quiet():
            try:
                dataset = pydicom.dcmread(path, stop_before_pixels=True)
            except InvalidDicomError:  # old exports lack the 128-byte preamble
                dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            looks_dicom = "SOPClassUID" in dataset and bool(str(dataset.SOPClassUID))
    except FileNotFoundError:
        raise InputError(f"{path.name}: the file does not exist.") from None
    except PermissionError:
        raise InputError(f"{path.name}: the file may not be read; check its permissions.") from None
    except Exception:  # a parser meeting arbitrary bytes raises anything; its text may quote the file
        looks_dicom = False
    if not looks_dicom:
        raise InputError(f"{path.name}: neither DICOM nor NIfTI; give the files as the camera exported them.")
    return dataset


def read_frames(path: Path) -> NDArray[Any]:
    """Decode the pixels of a file: shape (frames, rows, columns), rescale slope and intercept not applied.

    Raises
    ------
    InputError
        When the file ends early or no installed decoder reads its transfer syntax.
    """
    try:
        with _quiet():
            dataset = pydicom.dcmread(path, force=True)
            if "PixelData" not in dataset:
                raise InputError(f"{path.name}: no pixel data; the file is truncated or holds no image.")
            array = dataset.pixel_array
    except InputError:
        raise
    except Exception as error:
        raise InputError(_why_undecodable(path, error)) from None
    frames = int(number(dataset, "NumberOfFrames") or 1)
    shape = (frames, int(dataset.Rows), int(dataset.Columns))
    if array.size != np.prod(shape):
        raise InputError(f"{path.name}: {array.size} pixels decoded where {np.prod(shape)} are declared.")
    return cast("NDArray[Any]", array.reshape(shape))


def _why_undecodable(path: Path, error: Exception) -> str:
    """Say in one line why the pixels could not be had, without the decoder's own text."""
    try:
        with _quiet():
            syntax = UID(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", ""))
    except Exception:
        syntax = UID("")
    if not syntax.is_transfer_syntax and syntax:
        return f"{path.name}: an unknown transfer syntax; export it uncompressed, RLE or JPEG lossless."
    if not _is_compressed(syntax) or isinstance(error, (ValueError, EOFError)):
        return f"{path.name}: the pixel data is incomplete or damaged; export the file again."
    return (
        f"{path.name}: no installed decoder reads its pixels ({syntax.name}, {syntax}); "
        "export it uncompressed, RLE or JPEG lossless."
    )


def _is_compressed(syntax: UID) -> bool:
    """Whether a transfer syntax compresses the pixels; an absent or unknown one does not."""
    return syntax.is_transfer_syntax and syntax.is_compressed


def encode_header(dataset: Dataset, name: str) -> bytes:
    """Encode a header without pixels as a DICOM file, so that derived objects can refer to it.

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
    """Give an attribute as text; empty where it is absent."""
    with _quiet():
        try:
            value = dataset.get(keyword, "")
        except Exception:
            return ""
    return "" if value is None else str(value).strip()


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Give an attribute's finite numbers; empty where it is absent or not numeric."""
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
    """Give an attribute's first number, or None."""
    return next(iter(numbers(dataset, keyword)), None)


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Give the items of a sequence; none where it is absent."""
    with _quiet():
        try:
            return tuple(dataset.get(keyword) or ())
        except Exception:
            return ()


def nuclide_of(dataset: Dataset) -> str | None:
    """Name the radionuclide as "Tc-99m": from its code, then from the words of the radiopharmaceutical."""
    for item in items(dataset, "RadiopharmaceuticalInformationSequence"):
        for code in items(item, "RadionuclideCodeSequence"):
            known = _NUCLIDE_CODES.get(text_of(code, "CodeValue")) or _first(
                _NUCLIDE_WORDS, text_of(code, "CodeMeaning")
            )
            if known:
                return known
        known = _first(_NUCLIDE_WORDS, _agent_text(item))
        if known:
            return known
    windows = items(dataset, "EnergyWindowInformationSequence")
    return nuclide_from_window_name(tuple(text_of(w, "EnergyWindowName") for w in windows))


def tracer_of(dataset: Dataset) -> str | None:
    """Name the tracer as "Tc-99m sestamibi"; the nuclide alone where the agent is not told."""
    nuclide = nuclide_of(dataset)
    texts = " ".join(_agent_text(item) for item in items(dataset, "RadiopharmaceuticalInformationSequence"))
    agent = _first(_AGENT_WORDS, texts)
    return " ".join(part for part in (nuclide, agent) if part) or None


def _agent_text(item: Dataset) -> str:
    """Join what an item says of the radiopharmaceutical."""
    codes = items(item, "RadiopharmaceuticalCodeSequence")
    words = [text_of(code, keyword) for code in codes for keyword in ("CodeMeaning", "CodeValue")]
    return " ".join([text_of(item, "Radiopharmaceutical"), *words])


def _first(words: dict[str, str], text: str) -> str | None:
    """Give the first name whose pattern occurs in the text."""
    return next((name for name, pattern in words.items() if re.search(pattern, text, re.IGNORECASE)), None)


def camera_of(dataset: Dataset) -> str | None:
    """Name the camera: manufacturer and model (alone where it begins with the manufacturer), or None."""
    maker, model = text_of(dataset, "Manufacturer"), text_of(dataset, "ManufacturerModelName")
    parts = [model] if maker and model.lower().startswith(maker.lower()) else [maker, model]
    return " ".join(part for part in parts if part) or None


def age_years(dataset: Dataset) -> float | None:
    """Give the patient's age: Patient's Age (PS3.5 AS), or from birth and study dates; None where absent."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text_of(dataset, "PatientAge"))
    if match and int(match[1]) > 0:
        return int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2]]
    born, seen = _date(dataset, "PatientBirthDate"), _date(dataset, "StudyDate")
    if born is None or seen is None or seen < born:
        return None
    return float(seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day)))


def _date(dataset: Dataset, keyword: str) -> date | None:
    """Read a DICOM date, or None where it is absent or impossible."""
    match = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", text_of(dataset, keyword))
    try:
        return date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None


def patient_of(dataset: Dataset) -> dict[str, Any]:
    """Give a study's clinical values under the names of `myoperf.types.Study`; None where absent."""
    sex = text_of(dataset, "PatientSex").upper()
    weight = number(dataset, "PatientWeight")
    return {
        "study_uid": text_of(dataset, "StudyInstanceUID") or None,
        "patient_id": text_of(dataset, "PatientID") or None,
        "sex": cast("Literal['M', 'F', 'O']", sex) if sex in ("M", "F", "O") else None,
        "age_years": age_years(dataset),
        "height_m": height_in_metres(number(dataset, "PatientSize")),
        "weight_kg": weight if weight is not None and 1.0 <= weight <= 500.0 else None,
    }
