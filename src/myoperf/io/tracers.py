"""Radionuclides and radiopharmaceuticals: their codes and names in DICOM, read and written."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from pydicom.dataset import Dataset

from myoperf.io.header import items, number, text_of
from myoperf.io.quirks import nuclide_from_window_name
from myoperf.io.tracer_words import modality_in_text, nuclides_in_text

_ANNIHILATION_KEV = 511.0
_DESCRIPTIONS = ("ImageID", "SeriesDescription", "ProtocolName", "StudyDescription")


class Nuclide(NamedTuple):
    """A radionuclide of cardiac imaging.

    Parameters
    ----------
    photopeak_kev
        Energy that images are made from (Tl-201: the X-rays of Hg-201); MIRD decay schemes.
    codes
        SNOMED CT, then its predecessor SNOMED-RT (PS3.16 CID 18 and CID 4020).
    meaning
        Code Meaning in the same tables.
    names
        Regular expression of the names in use.
    half_life_s
        Decay data of the Laboratoire National Henri Becquerel (DDEP).
    """

    photopeak_kev: float
    codes: tuple[str, ...]
    meaning: str
    names: str
    half_life_s: float


class Agent(NamedTuple):
    """A radiopharmaceutical: a regular expression of its names in use; the code (SNOMED CT) written for it."""

    names: str
    code: str = ""
    meaning: str = ""


NUCLIDES: Mapping[str, Nuclide] = {
    "Tc-99m": Nuclide(140.5, ("72454006", "C-163A8"), "^99m^Technetium", r"(?<!\d)99\W*m|tc\W*99", 21624.0),
    "Tl-201": Nuclide(
        71.0, ("60057003", "C-138A9"), "^201^Thallium", r"201\W*(tl|thall)|tl\W*201|thall\w*\W*201", 262800.0
    ),
    "I-123": Nuclide(159.0, ("21572004", "C-114A4"), "^123^Iodine", r"123\W*i|i\W*123|iod\w*\W*123", 47600.0),
    "N-13": Nuclide(511.0, ("21576001", "C-107A1"), "^13^Nitrogen", r"(?<!\d)13\W*n|n\W*13|nitrogen|ammonia", 597.9),
    "Rb-82": Nuclide(511.0, ("79197006", "C-159A2"), "^82^Rubidium", r"(?<!\d)82\W*rb|rb\W*82|rubidium", 76.3),
    "O-15": Nuclide(511.0, ("129504001", "C-B1038", "C-105A1"), "^15^Oxygen", r"(?<!\d)15\W*o|o\W*15|oxygen", 122.3),
    "F-18": Nuclide(
        511.0, ("77004003", "C-111A1"), "^18^Fluorine", r"(?<!\d)18\W*f|f\W*18|fluorine|flurpiridaz|fdg", 6586.0
    ),
}

AGENTS: Mapping[str, Agent] = {
    # GE Xeleris writes the agent's SNOMED-RT code into the text (C-163AB in the GE study of RIMD-DLAC-SPECT-MPI).
    "sestamibi": Agent(r"mibi|cardiolite|C-163AB|424299003", "424299003", "Technetium Tc^99m^ sestamibi"),
    "tetrofosmin": Agent(r"tetrofosmin|myoview|C-163AD|424118002", "424118002", "Technetium Tc^99m^Tetrofosmin"),
    "chloride": Agent(r"thall\w* chloride|thallous", "73685002", "Thallous chloride Tl^201^"),
    "ammonia": Agent(r"ammonia|nh3", "129508003", "Ammonia N^13^"),
    "rubidium chloride": Agent(r"rubidium|cardiogen|ruby", "129503007", "Rubidium chloride Rb^82^"),
    "flurpiridaz": Agent(r"flurpiridaz|flyrcado"),
    "FDG": Agent(r"fdg|deoxyglucose"),
    "water": Agent(r"water|h2o"),
}


def nuclide_of(dataset: Dataset) -> str | None:
    """Return the radionuclide as "Tc-99m"; None where the file does not tell.

    By its code, else by the name of the radiopharmaceutical, else by Radionuclide Half Life (0018,1075) within 2 %,
    else by the name of the energy window, else by the descriptions.
    """
    for item in items(dataset, "RadiopharmaceuticalInformationSequence"):
        for code in items(item, "RadionuclideCodeSequence"):
            value = text_of(code, "CodeValue")
            known = next((name for name, nuclide in NUCLIDES.items() if value in nuclide.codes), None)
            known = known or _first_named(NUCLIDES, text_of(code, "CodeMeaning"))
            if known:
                return known
        known = _first_named(NUCLIDES, _agent_text(item)) or _by_half_life(number(item, "RadionuclideHalfLife"))
        if known:
            return known
    windows = items(dataset, "EnergyWindowInformationSequence")
    of_window = nuclide_from_window_name(tuple(text_of(w, "EnergyWindowName") for w in windows))
    return of_window or _nuclide_described(_describing_tracer(dataset))


def _describing_tracer(dataset: Dataset) -> str:
    """Return the first description, from the image's to the study's, that names a radionuclide or an agent."""
    texts = (text_of(dataset, keyword) for keyword in _DESCRIPTIONS)
    return next((text for text in texts if nuclides_in_text(text)), "")


def _nuclide_described(text: str) -> str | None:
    """Return the radionuclide that a description names; None where it names none or several."""
    found = nuclides_in_text(text)
    return next(iter(found)) if len(found) == 1 else None


def _by_half_life(half_life_s: float | None) -> str | None:
    """Return the radionuclide with this half-life."""
    if half_life_s is None:
        return None
    near = (name for name, nuclide in NUCLIDES.items() if abs(half_life_s / nuclide.half_life_s - 1.0) < 0.02)
    return next(near, None)


def is_single_photon(dataset: Dataset) -> bool:
    """Whether the image is of single photons, whatever the file is stored as.

    By its radionuclide, else by the first description that says SPECT or PET. Descriptions do not count where randoms
    were corrected for, as in PET alone.
    """
    if not items(dataset, "RadiopharmaceuticalInformationSequence") and _is_corrected_for_randoms(dataset):
        return False
    nuclide = NUCLIDES.get(nuclide_of(dataset) or "")
    if nuclide is not None:
        return nuclide.photopeak_kev < _ANNIHILATION_KEV
    named = (modality_in_text(text_of(dataset, keyword)) for keyword in _DESCRIPTIONS)
    return next((modality for modality in named if modality), None) == "NM"


def _is_corrected_for_randoms(dataset: Dataset) -> bool:
    """Whether Corrected Image or Randoms Correction Method (0054,1100) names a correction for random coincidences."""
    method = text_of(dataset, "RandomsCorrectionMethod").upper()
    return "RAN" in text_of(dataset, "CorrectedImage").upper() or method not in ("", "NONE")


def tracer_of(dataset: Dataset) -> str | None:
    """Return the tracer as "Tc-99m sestamibi", or the nuclide alone where the file does not name the agent."""
    texts = " ".join(_agent_text(item) for item in items(dataset, "RadiopharmaceuticalInformationSequence"))
    agent = _first_named(AGENTS, texts or _describing_tracer(dataset))
    return " ".join(part for part in (nuclide_of(dataset), agent) if part) or None


def _agent_text(item: Dataset) -> str:
    """Join the names and codes of an item's radiopharmaceutical."""
    codes = items(item, "RadiopharmaceuticalCodeSequence")
    words = [text_of(code, keyword) for code in codes for keyword in ("CodeMeaning", "CodeValue")]
    return " ".join([text_of(item, "Radiopharmaceutical"), *words])


def _first_named(table: Mapping[str, Nuclide] | Mapping[str, Agent], text: str) -> str | None:
    """Return the first entry whose names occur in the text."""
    return next((key for key, entry in table.items() if re.search(entry.names, text, re.IGNORECASE)), None)
