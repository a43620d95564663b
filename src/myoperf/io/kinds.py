"""What kind of image a DICOM file contains: modality, raw or reconstructed, gated, short axis, prone, corrected."""

import re
from typing import Literal

from pydicom import uid
from pydicom.dataset import Dataset

from myoperf.errors import UnsupportedInputError
from myoperf.io.header import items, number, text_of
from myoperf.io.series_names import attenuation_correction_named, names_attenuation_map
from myoperf.io.slice_views import slice_view_of
from myoperf.io.tracers import is_single_photon
from myoperf.io.words import fold, words_of
from myoperf.types import Modality, Position

Kind = Literal["nm-raw", "nm-volume", "pt", "ct", "map"]

_ENHANCED_PET = (uid.EnhancedPETImageStorage, uid.LegacyConvertedEnhancedPETImageStorage)
_EXPECTED = "MyoPerf reads NM tomography, PET slices and NIfTI volumes."
_RETIRED_NM = "1.2.840.10008.5.1.4.1.1.5"
_PRONE = re.compile(
    r"\b(?:(?:stress|str|rest|rst|gated)?pron[eoa]?|prn|bauch(?:lage)?|procubitus|decubit\w+ ventral|boca abajo"
    r"|buik ?lig\w*|bu[kg] ?(?:leie|lage|leje)"
    r"|mag\w* ?(?:lage|leie)|yuzustu|yuzukoyun|na (?:brzuchu|brise|bruchu|trbuhu)|hason|vatsa\w*|на животе)\b"
    r"|腹臥|腹卧|俯臥|俯卧|伏臥|うつ伏せ|" + fold("복와위|엎드")
)
_SUPINE = re.compile(
    r"\b(?:sup(?:in[eoa])?|ruckenlage|decubit\w+ dorsal|boca arriba|rug ?lig\w*|rygg? ?(?:leie|lage|leje)|sirtustu"
    r"|na (?:plecach|zadech|chrbte|ledima)|на спине)\b|仰臥|仰卧|あお向け|" + fold("앙와위")
)
_DERIVED = re.compile(
    r"\b(?:mips?|bulls? ?eyes?|bull s eyes?|polar ?(?:maps?|plots?)|reproj\w*|max\w* intensity|volume render\w*"
    r"|cine loop|difference|subtraction|subtracted|phase (?:image|map)|amplitude (?:image|map)|lv mask)\b"
)
"""Names of what workstations derive from a scan and store in the class of images."""
_NO_CORRECTION = {"no", "non", "none", "not", "off", "nil", "nac", "keine", "ohne", "aucune", "sans", "ninguna", "sin"}
_NO_CORRECTION |= {"nessuna", "senza", "nenhuma", "sem", "geen"}
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
        For everything that is not a tomographic NM image, a classic PET slice, a CT slice or an attenuation map.
    """
    sop_class, modality = text_of(dataset, "SOPClassUID"), text_of(dataset, "Modality")
    if "DirectoryRecordSequence" in dataset:
        raise UnsupportedInputError(f"{name}: an index (DICOMDIR), not an image; give the folder of the images.")
    if sop_class in _ENHANCED_PET:
        raise UnsupportedInputError(f"{name}: an enhanced multi-frame PET image; export it as classic PET slices.")
    if sop_class == uid.CTImageStorage:
        if "LOCALIZER" in text_of(dataset, "ImageType").upper():
            raise UnsupportedInputError(f"{name}: the localiser of a CT, not a perfusion image.")
        return "ct"
    if sop_class not in (uid.NuclearMedicineImageStorage, uid.PositronEmissionTomographyImageStorage):
        if sop_class == _RETIRED_NM:
            raise UnsupportedInputError(
                f"{name}: an NM image of the retired class of 1993, which has no geometry; export it as the NM class "
                "in use (1.2.840.10008.5.1.4.1.1.20)."
            )
        is_capture = sop_class.startswith(uid.SecondaryCaptureImageStorage)
        what = "a screen capture (2D picture)" if is_capture else f"modality {_safe(modality)}"
        raise UnsupportedInputError(f"{name}: {what}, not a perfusion image. {_EXPECTED}")
    if number(dataset, "SamplesPerPixel") not in (None, 1.0):
        raise UnsupportedInputError(f"{name}: a colour picture, not counts. {_EXPECTED}")
    if _DERIVED.search(" ".join(image_words(dataset))) or "REPROJECTION" in text_of(dataset, "SeriesType").upper():
        raise UnsupportedInputError(
            f"{name}: derived from images (a projection, polar map or difference), not a perfusion image; give what it "
            "was made from."
        )
    if sop_class == uid.PositronEmissionTomographyImageStorage:
        return "map" if names_attenuation_map(image_name(dataset)) else "pt"
    return _nm_kind(dataset, name)


def _nm_kind(dataset: Dataset, name: str) -> Kind:
    """Return whether an NM file is raw or reconstructed, by value 3 of Image Type."""
    values = [part.strip().upper() for part in _image_type(dataset)]
    third = values[2] if len(values) > 2 else ""
    if "TRANSMISSION" in values[3:] or names_attenuation_map(image_name(dataset)):
        if third in ("RECON TOMO", "RECON GATED TOMO"):
            return "map"
        raise UnsupportedInputError(f"{name}: a transmission scan, not a perfusion image.")
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
    return words_of(image_name(dataset))


def image_name(dataset: Dataset) -> str:
    """Return Image ID and series description as one text."""
    return f"{text_of(dataset, 'ImageID')} | {text_of(dataset, 'SeriesDescription')}"


def is_pet_object(dataset: Dataset) -> bool:
    """Whether a file is stored as a PET slice, whatever it shows."""
    return text_of(dataset, "SOPClassUID") == uid.PositronEmissionTomographyImageStorage


def modality_of(dataset: Dataset) -> Modality:
    """Return what an image is: PET, or SPECT also where it is stored as PET but its radionuclide emits single photons.

    Some workstations store SPECT as PET slices (Modality PT), and NM images with Modality OT; the object's class and
    the radionuclide decide.
    """
    return "PT" if is_pet_object(dataset) and not is_single_photon(dataset) else "NM"


def is_gated(dataset: Dataset) -> bool:
    """Whether Image Type says GATED TOMO or RECON GATED TOMO."""
    return any("GATED" in value.upper() for value in _image_type(dataset)[2:3])


def is_short_axis(dataset: Dataset) -> bool:
    """Whether a reconstruction is already in short axis, by its view code or its name."""
    return slice_view_of(dataset) == "short_axis"


def position_of(dataset: Dataset) -> Position | None:
    """Return how the patient lay, by the orientation's modifier code, Patient Position or the image's name."""
    codes = {
        text_of(modifier, "CodeValue")
        for item in items(dataset, "PatientOrientationCodeSequence")
        for modifier in items(item, "PatientOrientationModifierCodeSequence")
    }
    words, coded = " ".join(image_words(dataset)), text_of(dataset, "PatientPosition")
    if codes & {"F-10310", "1240000"} or coded.endswith("P") or _PRONE.search(words):
        return "prone"
    return "supine" if codes & {"F-10340", "40199007"} or coded.endswith("S") or _SUPINE.search(words) else None


def is_attenuation_corrected(dataset: Dataset) -> bool:
    """Whether the image is corrected for attenuation: by its attributes where they say anything, else by its name."""
    stated = _stated_correction(dataset)
    return bool(attenuation_correction_named(image_name(dataset)) if stated is None else stated)


def correction_conflicts(dataset: Dataset) -> bool:
    """Whether the series' name contradicts the attributes that say if the image is corrected for attenuation."""
    stated, named = _stated_correction(dataset), attenuation_correction_named(image_name(dataset))
    return None not in (stated, named) and stated != named


def _stated_correction(dataset: Dataset) -> bool | None:
    """Return what Corrected Image (0028,0051) says, else the attributes of the correction; None where all are absent.

    Corrected Image lists the corrections that were made (PS3.3 C.8.4.9, C.8.9.1), so a list without ATTN says
    no. Attenuation Corrected (0018,9759) is YES or NO; Attenuation Correction Method (0054,1101) is free text.
    """
    corrections = text_of(dataset, "CorrectedImage")
    if corrections.strip("[]"):
        return "ATTN" in corrections
    answer = text_of(dataset, "AttenuationCorrected")
    if answer in ("YES", "NO"):
        return answer == "YES"
    method = words_of(text_of(dataset, "AttenuationCorrectionMethod"))
    return not _NO_CORRECTION & set(method[:1]) if method else None
