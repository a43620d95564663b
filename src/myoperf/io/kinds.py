"""What kind of image a DICOM file holds, and which kinds MyoPerf does not analyse."""

from __future__ import annotations

import re
from typing import Literal

from pydicom.dataset import Dataset

from myoperf.errors import UnsupportedInputError
from myoperf.io.header import items, number, text_of
from myoperf.io.state import words_of

__all__ = ["Kind", "image_words", "is_gated", "is_prone", "is_short_axis", "kind_of"]

Kind = Literal["nm-raw", "nm-volume", "pt"]

_NM_STORAGE = "1.2.840.10008.5.1.4.1.1.20"
_PET_STORAGE = "1.2.840.10008.5.1.4.1.1.128"
_ENHANCED_PET = ("1.2.840.10008.5.1.4.1.1.130", "1.2.840.10008.5.1.4.1.1.128.1")
_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
_DICOMDIR = "1.2.840.10008.1.3.10"
_EXPECTED = "MyoPerf reads NM tomography, PET slices and NIfTI volumes."
_OTHER_NM = {
    "STATIC": "a planar picture",
    "WHOLE BODY": "a whole-body (bone) scan",
    "DYNAMIC": "a planar dynamic series",
    "GATED": "a planar gated (blood-pool) series",
}
_LONG_AXIS_CODES = {"131186000", "G-A18B", "131185001", "G-A18A", "103339001", "G-A185"}
_SHORT_AXIS_CODES = {"103340004", "G-A186"}


def kind_of(dataset: Dataset, name: str) -> Kind:
    """Tell a file's kind from its SOP class and Image Type (PS3.3 C.8.4.9, C.8.9.4).

    Parameters
    ----------
    dataset
        A header.
    name
        The file's name, for the message.

    Raises
    ------
    UnsupportedInputError
        For everything that is not a tomographic NM image or a classic PET slice.
    """
    sop_class, modality = text_of(dataset, "SOPClassUID"), text_of(dataset, "Modality")
    if sop_class == _DICOMDIR:
        raise UnsupportedInputError(f"{name}: an index (DICOMDIR), not an image; give the folder of the images.")
    if sop_class in _ENHANCED_PET:
        raise UnsupportedInputError(f"{name}: an enhanced multi-frame PET image; export it as classic PET slices.")
    if sop_class not in (_NM_STORAGE, _PET_STORAGE):
        what = "a screen capture (2D picture)" if sop_class.startswith(_CAPTURES) else f"modality {_safe(modality)}"
        raise UnsupportedInputError(f"{name}: {what}, not a perfusion image. {_EXPECTED}")
    if number(dataset, "SamplesPerPixel") not in (None, 1.0):
        raise UnsupportedInputError(f"{name}: a colour picture, not counts. {_EXPECTED}")
    if sop_class == _PET_STORAGE:
        return "pt"
    return _nm_kind(dataset, name)


def _nm_kind(dataset: Dataset, name: str) -> Kind:
    """Tell raw from reconstructed NM by value 3 of Image Type."""
    values = [part.strip().upper() for part in _image_type(dataset)]
    third = values[2] if len(values) > 2 else ""
    if "TRANSMISSION" in values[3:] or {"umap", "mumap"} & set(image_words(dataset)):
        raise UnsupportedInputError(f"{name}: a transmission scan (attenuation map), not a perfusion image.")
    if third in ("TOMO", "GATED TOMO"):
        return "nm-raw"
    if third in ("RECON TOMO", "RECON GATED TOMO"):
        if not is_short_axis(dataset) and _is_long_axis(dataset):
            raise UnsupportedInputError(f"{name}: long-axis slices; give the transaxial or the short-axis volume.")
        return "nm-volume"
    if third in _OTHER_NM:
        raise UnsupportedInputError(f"{name}: {_OTHER_NM[third]}, not a tomographic study of the heart. {_EXPECTED}")
    message = f"{name}: Image Type value 3 is {_safe(third)}; expected (RECON) TOMO or (RECON) GATED TOMO."
    raise UnsupportedInputError(message)


def _image_type(dataset: Dataset) -> list[str]:
    """Split Image Type into its values."""
    return re.split(r"\\|', '", text_of(dataset, "ImageType").strip("[]'"))


def _safe(text: str) -> str:
    """Quote a coded value for a message: upper case letters, blanks and underscores only."""
    return text if re.fullmatch(r"[A-Z0-9 _]{1,16}", text) else "missing or unknown"


def image_words(dataset: Dataset) -> list[str]:
    """Give the words that name the image: Image ID and series description."""
    return words_of(text_of(dataset, "ImageID")) + words_of(text_of(dataset, "SeriesDescription"))


def is_gated(dataset: Dataset) -> bool:
    """Whether Image Type says GATED TOMO or RECON GATED TOMO."""
    return any("GATED" in value.upper() for value in _image_type(dataset)[2:3])


def is_short_axis(dataset: Dataset) -> bool:
    """Whether a reconstruction is already turned to short axis, by view code or by its name."""
    if _view_codes(dataset) & _SHORT_AXIS_CODES:
        return True
    words = image_words(dataset)
    joined = " ".join(words)
    return bool({"sa", "sax", "shax", "shortaxis"} & set(words)) or "short axis" in joined


def _is_long_axis(dataset: Dataset) -> bool:
    """Whether a reconstruction holds horizontal or vertical long-axis slices."""
    words = image_words(dataset)
    return (
        bool(_view_codes(dataset) & _LONG_AXIS_CODES)
        or bool({"hla", "vla", "hlax", "vlax"} & set(words))
        or "long axis" in " ".join(words)
    )


def _view_codes(dataset: Dataset) -> set[str]:
    """Collect the codes of ViewCodeSequence, in the detector's item (PS3.3 C.8.4.11) or above it."""
    holders = (dataset, *items(dataset, "DetectorInformationSequence"))
    return {text_of(code, "CodeValue") for holder in holders for code in items(holder, "ViewCodeSequence")}


def is_prone(dataset: Dataset) -> bool:
    """Whether the patient lay prone, by the orientation's modifier code, Patient Position or the name."""
    codes = {
        text_of(modifier, "CodeValue")
        for item in items(dataset, "PatientOrientationCodeSequence")
        for modifier in items(item, "PatientOrientationModifierCodeSequence")
    }
    named = any(word in ("pron", "prone") for word in image_words(dataset))
    return bool(codes & {"F-10310", "1240000"}) or text_of(dataset, "PatientPosition").endswith("P") or named
