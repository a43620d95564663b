"""Radionuclides and radiopharmaceuticals: their codes and names in DICOM, read and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset

from myoperf.io.header import items, text_of
from myoperf.io.quirks import nuclide_from_window_name

__all__ = ["AGENTS", "NUCLIDES", "Agent", "Nuclide", "nuclide_of", "tracer_of"]


@dataclass(frozen=True, kw_only=True)
class Nuclide:
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
    window_kev
        Energy window written for a simulated SPECT study; None for a nuclide of PET.
    half_life_s, positron_fraction
        Written for a simulated PET study; None for a nuclide of SPECT.
    """

    photopeak_kev: float
    codes: tuple[str, ...]
    meaning: str
    names: str
    window_kev: tuple[float, float] | None = None
    half_life_s: float | None = None
    positron_fraction: float | None = None


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A radiopharmaceutical: a regular expression of its names in use, and the code it is written with."""

    names: str
    code: str = ""
    meaning: str = ""


NUCLIDES: Mapping[str, Nuclide] = {
    "Tc-99m": Nuclide(
        photopeak_kev=140.5,
        codes=("72454006", "C-163A8"),
        meaning="^99m^Technetium",
        names=r"(?<!\d)99\W*m|tc\W*99",
        window_kev=(126.0, 154.0),
    ),
    "Tl-201": Nuclide(
        photopeak_kev=71.0,
        codes=("60057003", "C-138A9"),
        meaning="^201^Thallium",
        names=r"201\W*(tl|thall)|tl\W*201|thall\w*\W*201",
        window_kev=(63.0, 77.0),
    ),
    "I-123": Nuclide(
        photopeak_kev=159.0,
        codes=("21572004", "C-114A4"),
        meaning="^123^Iodine",
        names=r"123\W*i|i\W*123|iod\w*\W*123",
    ),
    "N-13": Nuclide(
        photopeak_kev=511.0,
        codes=("21576001", "C-107A1"),
        meaning="^13^Nitrogen",
        names=r"(?<!\d)13\W*n|n\W*13|nitrogen|ammonia",
        half_life_s=597.9,
        positron_fraction=0.998,
    ),
    "Rb-82": Nuclide(
        photopeak_kev=511.0,
        codes=("79197006", "C-159A2"),
        meaning="^82^Rubidium",
        names=r"(?<!\d)82\W*rb|rb\W*82|rubidium",
        half_life_s=76.4,
        positron_fraction=0.954,
    ),
    "O-15": Nuclide(
        photopeak_kev=511.0,
        codes=("129504001", "C-B1038", "C-105A1"),
        meaning="^15^Oxygen",
        names=r"(?<!\d)15\W*o|o\W*15|oxygen",
    ),
    "F-18": Nuclide(
        photopeak_kev=511.0,
        codes=("77004003", "C-111A1"),
        meaning="^18^Fluorine",
        names=r"(?<!\d)18\W*f|f\W*18|fluorine|flurpiridaz|fdg",
    ),
}

AGENTS: Mapping[str, Agent] = {
    # GE Xeleris writes the agent's SNOMED-RT code into the text (C-163AB in the GE study of RIMD-DLAC-SPECT-MPI).
    "sestamibi": Agent(
        names=r"mibi|cardiolite|C-163AB|424299003", code="424299003", meaning="Technetium Tc^99m^ sestamibi"
    ),
    "tetrofosmin": Agent(
        names=r"tetrofosmin|myoview|C-163AD|424118002", code="424118002", meaning="Technetium Tc^99m^Tetrofosmin"
    ),
    "chloride": Agent(names=r"thall\w* chloride|thallous", code="73685002", meaning="Thallous chloride Tl^201^"),
    "ammonia": Agent(names=r"ammonia|nh3", code="129508003", meaning="Ammonia N^13^"),
    "rubidium chloride": Agent(names=r"rubidium|cardiogen|ruby", code="129503007", meaning="Rubidium chloride Rb^82^"),
    "flurpiridaz": Agent(names=r"flurpiridaz|flyrcado"),
    "FDG": Agent(names=r"fdg|deoxyglucose"),
    "water": Agent(names=r"water|h2o"),
}


def nuclide_of(dataset: Dataset) -> str | None:
    """Return the radionuclide as "Tc-99m": by its code, else by the names of radiopharmaceutical and energy window."""
    for item in items(dataset, "RadiopharmaceuticalInformationSequence"):
        for code in items(item, "RadionuclideCodeSequence"):
            value = text_of(code, "CodeValue")
            known = next((name for name, nuclide in NUCLIDES.items() if value in nuclide.codes), None)
            known = known or _first_named(NUCLIDES, text_of(code, "CodeMeaning"))
            if known:
                return known
        known = _first_named(NUCLIDES, _agent_text(item))
        if known:
            return known
    windows = items(dataset, "EnergyWindowInformationSequence")
    return nuclide_from_window_name(tuple(text_of(w, "EnergyWindowName") for w in windows))


def tracer_of(dataset: Dataset) -> str | None:
    """Return the tracer as "Tc-99m sestamibi", or the nuclide alone where the file does not name the agent."""
    texts = " ".join(_agent_text(item) for item in items(dataset, "RadiopharmaceuticalInformationSequence"))
    return " ".join(part for part in (nuclide_of(dataset), _first_named(AGENTS, texts)) if part) or None


def _agent_text(item: Dataset) -> str:
    """Join the names and codes of an item's radiopharmaceutical."""
    codes = items(item, "RadiopharmaceuticalCodeSequence")
    words = [text_of(code, keyword) for code in codes for keyword in ("CodeMeaning", "CodeValue")]
    return " ".join([text_of(item, "Radiopharmaceutical"), *words])


def _first_named(table: Mapping[str, Nuclide] | Mapping[str, Agent], text: str) -> str | None:
    """Return the first entry whose names occur in the text."""
    return next((key for key, entry in table.items() if re.search(entry.names, text, re.IGNORECASE)), None)
