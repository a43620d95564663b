"""Coded concepts of the DICOM results, standard where one exists, else of the scheme 99MYOPERF.

The codes of the numbers themselves are part of `myoperf.quantities`.

Sources: CID 3717 (the 17 segments), CID 18, CID 3101, SNOMED CT and LOINC as pydicom's copy of
PS3.16 gives them; units are UCUM. `docs/dicom.md` explains every private code.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pydicom.sr.coding import Code

from myoperf import dicom, quantities
from myoperf.types import Category, Stressor

PRIVATE_SCHEME = "99MYOPERF"
PRIVATE_UID = "2.25.203176490913540152734918806374420516213"

_PRIVATE = {
    "CATEGORY": "Category of the verdict on perfusion",
    "FINDING": "Quality finding",
    "USE": "Intended use",
    "RESEARCH_ONLY": "Research use only, not for diagnosis",
}

SEGMENTS = (
    Code("264850008", "SCT", "Left ventricle basal anterior segment"),
    Code("396482007", "SCT", "Left ventricle basal anteroseptal segment"),
    Code("396646008", "SCT", "Left ventricle basal inferoseptal segment"),
    Code("264846001", "SCT", "Left ventricle basal inferior segment"),
    Code("396652009", "SCT", "Left ventricle basal inferolateral segment"),
    Code("396654005", "SCT", "Left ventricle basal anterolateral segment"),
    Code("264848000", "SCT", "Left ventricle mid anterior segment"),
    Code("396647004", "SCT", "Left ventricle mid anteroseptal segment"),
    Code("396649001", "SCT", "Left ventricle mid inferoseptal segment"),
    Code("264847005", "SCT", "Left ventricle mid inferior segment"),
    Code("396655006", "SCT", "Left ventricle mid inferolateral segment"),
    Code("396656007", "SCT", "Left ventricle mid anterolateral segment"),
    Code("264844003", "SCT", "Left ventricle apical anterior segment"),
    Code("264845002", "SCT", "Left ventricle apical septal segment"),
    Code("264849008", "SCT", "Left ventricle apical inferior segment"),
    Code("264853005", "SCT", "Left ventricle apical lateral segment"),
    Code("128564006", "SCT", "Apex of left ventricle"),
)
"""CID 3717 in AHA order, segments 1 to 17."""

LEFT_VENTRICLE = Code("87878005", "SCT", "Left cardiac ventricle")
LV_MYOCARDIUM = Code("49848007", "SCT", "Myocardium of left ventricle")
BLOOD = Code("87612001", "SCT", "Blood")
CORONARY: Mapping[str, Code] = MappingProxyType(
    {
        "LAD": Code("59438005", "SCT", "Anterior descending branch of left coronary artery"),
        "LCX": Code("57396003", "SCT", "Circumflex branch of left coronary artery"),
        "RCA": Code("13647002", "SCT", "Right coronary artery"),
    }
)
TRACERS: Mapping[str, Code] = MappingProxyType(
    {
        "sestamibi": Code("424299003", "SCT", "Technetium Tc^99m^ sestamibi"),
        "tetrofosmin": Code("424118002", "SCT", "Technetium Tc^99m^Tetrofosmin"),
        "tl-201": Code("73685002", "SCT", "Thallous chloride Tl^201^"),
        "n-13": Code("129508003", "SCT", "Ammonia N^13^"),
        "rb-82": Code("129503007", "SCT", "Rubidium chloride Rb^82^"),
        "flurpiridaz": Code("126718", "DCM", "Flurpiridaz F^18^"),
    }
)
"""Part of a tracer's name, in small letters -> its code (PS3.16 CID 25, CID 4021)."""
STRESS_PROTOCOL, DRUG = Code("109056", "DCM", "Stress Protocol"), Code("122083", "DCM", "Drug administered")
EXERCISE_TEST = Code("165079009", "SCT", "Exercise stress test")
DRUG_TEST = Code("424064009", "SCT", "Pharmacologic stress test")
DRUG_AND_EXERCISE_TEST = Code("428813002", "SCT", "Pharmacologic and exercise stress test")
STRESS_AGENTS: Mapping[Stressor, Code] = MappingProxyType(
    {
        "adenosine": Code("108502004", "SCT", "Adenosine"),
        "regadenoson": Code("432062000", "SCT", "Adenosine A2 receptor agonist"),
        "dipyridamole": Code("66859009", "SCT", "Dipyridamole"),
        "dobutamine": Code("26523005", "SCT", "Dobutamine"),
    }
)
"""Drug -> its code (PS3.16 CID 3204, which has regadenoson under its class). Kinds of test: CID 3200."""
RADIOPHARMACEUTICAL = Code("123001", "DCM", "Radiopharmaceutical")
IMPRESSION = Code("121073", "DCM", "Impression")
PROCEDURE = Code("121065", "DCM", "Procedure Description")
CONCLUSION, COMMENT = Code("121077", "DCM", "Conclusion"), Code("121106", "DCM", "Comment")
DEVICE_UID = dicom.uid_from("myoperf", "device")
"""Identifies MyoPerf as an observer; codes are identified by `PRIVATE_UID`."""
PATIENT_STATE = Code(*dicom.PATIENT_STATE)
STATES: Mapping[str, Code] = MappingProxyType({state: Code(*code) for state, code in dicom.STATE_CODES.items()})


def concept(code: quantities.Code) -> Code:
    """Return a code of the table of quantities as pydicom's."""
    return Code(code.value, code.scheme, code.meaning)


CATEGORIES: Mapping[Category, Code] = MappingProxyType(
    {
        "normal": Code("NORMAL", PRIVATE_SCHEME, "normal"),
        "mildly abnormal": Code("MILD", PRIVATE_SCHEME, "mildly abnormal"),
        "moderately abnormal": Code("MODERATE", PRIVATE_SCHEME, "moderately abnormal"),
        "severely abnormal": Code("SEVERE", PRIVATE_SCHEME, "severely abnormal"),
        "extensive disease not excluded": Code("NOT_EXCLUDED", PRIVATE_SCHEME, "extensive disease not excluded"),
        "not reliable": Code("NOT_RELIABLE", PRIVATE_SCHEME, "not reliable"),
    }
)
"""Category of the verdict -> its code, whose meaning is the category as every other result has it."""


def private(value: str) -> Code:
    """Return a code of MyoPerf's own scheme."""
    return Code(value, PRIVATE_SCHEME, _PRIVATE[value])
