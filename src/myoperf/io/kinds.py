"""What kind of image a DICOM file contains: modality, raw or reconstructed, gated, short axis, prone, corrected."""

import re
from typing import Literal

from pydicom import uid
from pydicom.dataset import Dataset

from myoperf.errors import UnsupportedInputError
from myoperf.io.header import items, number, text_of
from myoperf.io.slice_views import slice_view_of
from myoperf.io.state import words_of

Kind = Literal["nm-raw", "nm-volume", "pt"]

_ENHANCED_PET = (uid.EnhancedPETImageStorage, uid.LegacyConvertedEnhancedPETImageStorage)
_EXPECTED = "MyoPerf reads NM tomography, PET slices and NIfTI volumes."
_OTHER_NM = {
    "STATIC": "a planar image",
    "WHOLE BODY": "a whole-body (bone) scan",
    "DYNAMIC": "a planar dynamic series",
    "GATED": "a planar gated (blood-pool) series",
}


def kind_of(dataset: Dataset, name: str) -> Kind:
    """Return a file's kind, by its SOP class and Image Type (PS3.3 C.8.4.9, C.8.9.4).

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
    if sop_class == uid.MediaStorageDirectoryStorage:
        raise UnsupportedInputError(f"{name}: an index (DICOMDIR), not an image; give the folder of the images.")
    if sop_class in _ENHANCED_PET:
        raise UnsupportedInputError(f"{name}: an enhanced multi-frame PET image; export it as classic PET slices.")
    if sop_class not in (uid.NuclearMedicineImageStorage, uid.PositronEmissionTomographyImageStorage):
        is_capture = sop_class.startswith(uid.SecondaryCaptureImageStorage)
        what = "a screen capture (2D picture)" if is_capture else f"modality {_safe(modality)}"
        raise UnsupportedInputError(f"{name}: {what}, not a perfusion image. {_EXPECTED}")
    if number(dataset, "SamplesPerPixel") not in (None, 1.0):
        raise UnsupportedInputError(f"{name}: a colour picture, not counts. {_EXPECTED}")
    if sop_class == uid.PositronEmissionTomographyImageStorage:
        return "pt"
    return _nm_kind(dataset, name)


def _nm_kind(dataset: Dataset, name: str) -> Kind:
    """Return whether an NM file is raw or reconstructed, by value 3 of Image Type."""
    values = [part.strip().upper() for part in _image_type(dataset)]
    third = values[2] if len(values) > 2 else ""
    if "TRANSMISSION" in values[3:] or {"umap", "mumap"} & set(image_words(dataset)):
        raise UnsupportedInputError(f"{name}: a transmission scan (attenuation map), not a perfusion image.")
    if third in ("TOMO", "GATED TOMO"):
        return "nm-raw"
    if third in ("RECON TOMO", "RECON GATED TOMO"):
        view = slice_view_of(dataset)
        if view == "long_axis":
            raise UnsupportedInputError(f"{name}: long-axis slices; give the transaxial or the short-axis volume.")
        if view == "both":
            raise UnsupportedInputError(
                f"{name}: the slices are named both short and long axis; export each kind as a series of its own."
            )
        return "nm-volume"
    if third in _OTHER_NM:
        raise UnsupportedInputError(f"{name}: {_OTHER_NM[third]}, not a tomographic study of the heart. {_EXPECTED}")
    message = f"{name}: Image Type value 3 is {_safe(third)}; expected (RECON) TOMO or (RECON) GATED TOMO."
    raise UnsupportedInputError(message)


def _image_type(dataset: Dataset) -> list[str]:
    """Split Image Type into its values."""
    return re.split(r"\\|', '", text_of(dataset, "ImageType").strip("[]'"))


def _safe(text: str) -> str:
    """Return a coded value for a message, which may quote upper case letters, digits, blanks and underscores only."""
    return text if re.fullmatch(r"[A-Z0-9 _]{1,16}", text) else "missing or unknown"


def image_words(dataset: Dataset) -> list[str]:
    """Return the words of Image ID and series description."""
    return words_of(text_of(dataset, "ImageID")) + words_of(text_of(dataset, "SeriesDescription"))


def is_gated(dataset: Dataset) -> bool:
    """Whether Image Type says GATED TOMO or RECON GATED TOMO."""
    return any("GATED" in value.upper() for value in _image_type(dataset)[2:3])


def is_short_axis(dataset: Dataset) -> bool:
    """Whether a reconstruction is already in short axis, by its view code or its name."""
    return slice_view_of(dataset) == "short_axis"


def is_prone(dataset: Dataset) -> bool:
    """Whether the patient lay prone, by the orientation's modifier code, Patient Position or the image's name."""
    codes = {
        text_of(modifier, "CodeValue")
        for item in items(dataset, "PatientOrientationCodeSequence")
        for modifier in items(item, "PatientOrientationModifierCodeSequence")
    }
    named = any(word in ("pron", "prone") for word in image_words(dataset))
    return bool(codes & {"F-10310", "1240000"}) or text_of(dataset, "PatientPosition").endswith("P") or named


def is_attenuation_corrected(dataset: Dataset) -> bool:
    """Whether Corrected Image says ATTN, or the file describes its attenuation correction."""
    return "ATTN" in text_of(dataset, "CorrectedImage") or bool(items(dataset, "AttenuationCorrectionSourceSequence"))
