"""What made the heart work in a stress scan, exercise or a drug, according to the file or the operator.

Order of trust: codes and drugs of the Intervention and the Acquisition Context, then the series' descriptions, last the
study's. A text that names several stressors, or denies one, decides nothing.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from pydicom.dataset import Dataset

from myoperf.errors import InputError
from myoperf.io.header import items, text_of
from myoperf.io.state_words import denies_state
from myoperf.io.words import words_of
from myoperf.types import STRESSORS, Stressor, Study

_CODES: Mapping[str, Stressor] = {
    # DICOM PS3.16 CID 3204 (Stress Agent), CID 3261 (Stress Protocol), CID 3200 and CID 3203, SNOMED CT and SRT forms.
    # Regadenoson's code in CID 3204 is that of its class, "Adenosine A2 receptor agonist".
    **dict.fromkeys(("108502004", "C-80349", "424444005", "P2-31109"), "adenosine"),
    **dict.fromkeys(("432062000", "C-80012"), "regadenoson"),
    **dict.fromkeys(("66859009", "C-81590", "422685009", "P2-3110A"), "dipyridamole"),
    **dict.fromkeys(("26523005", "C-68030", "424225000", "P2-31108"), "dobutamine"),
    **dict.fromkeys(("165079009", "P0-006E4", "46136006", "P2-31010", "26046004", "P2-31102"), "exercise"),
    **dict.fromkeys(("129097005", "P2-7131C", "129095002", "P2-7131A", "129098000", "P2-7131D"), "exercise"),
    **dict.fromkeys(("129096001", "P2-7131B", "129102008", "P2-713A1", "129101001", "P2-713A0"), "exercise"),
    **dict.fromkeys(("129099008", "P2-7131E", "1211003", "739006", "429560009"), "exercise"),
}
_WORDS: Mapping[Stressor, str] = {
    "exercise": (
        "exercise exercised treadmill tmt bruce ergo ergometer ergometry bicycle ergometrie fahrradergometrie "
        "fietsergometrie exercice ejercicio exercicio esercizio egzersiz велоэргометр эргометр"
    ),
    "adenosine": "adenosin adenoscan adenozin adenozyna аденозин",
    "regadenoson": "regadenoson rapiscan lexiscan регаденозон",
    "dipyridamole": "dipyridamol dipiridamol dipirydamol persantin дипиридамол",
    "dobutamine": "dobutamin добутамин",
}
"""Beginnings of the words for each, accents left out. Words for stress in general ("effort", "Belastung") are none."""
_UNSPACED: Mapping[Stressor, str] = {
    "exercise": "运动试验|運動試驗|平板运动|運動負荷|エルゴメータ|운동검사",
    "adenosine": "腺苷|アデノシン|아데노신",
    "regadenoson": "瑞加诺生",
    "dipyridamole": "双嘧达莫|潘生丁|ジピリダモール",
    "dobutamine": "多巴酚丁胺|ドブタミン",
}
_DRUG_IN_GENERAL = re.compile(r"pharm|farmac|farmak|medikament")
_SERIES_TEXTS = (
    "ImageID",
    "SeriesDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
)


def stressors_of(header: Dataset) -> tuple[Stressor, ...]:
    """Return what the header of a stress scan says of the stressor: nothing, one, or exercise and a drug."""
    coded = set(_coded(header))
    if coded:
        return tuple(one for one in STRESSORS if one in coded)
    codes = items(header, "ProcedureCodeSequence")
    texts = [*(text_of(header, keyword) for keyword in _SERIES_TEXTS), text_of(header, "StudyDescription")]
    texts += [text_of(code, "CodeMeaning") for code in codes]
    return next(((one,) for one in map(stressor_in_text, texts) if one), ())


def stressor_in_text(text: str) -> Stressor | None:
    """Return the one stressor that a description names; None where it names none or several, or denies one.

    Examples
    --------
    >>> [stressor_in_text(t) for t in ("STRESS Lexiscan", "Exercise or pharmacologic stress", "no exercise", "Effort")]
    ['regadenoson', None, None, None]
    """
    words = words_of(text)
    named = {s for s, starts in _WORDS.items() if any(word.startswith(tuple(starts.split())) for word in words)}
    named |= {stressor for stressor, pattern in _UNSPACED.items() if re.search(pattern, text)}
    drug_in_general = any(_DRUG_IN_GENERAL.match(word) for word in words)
    if len(named) != 1 or denies_state(text) or (drug_in_general and "exercise" in named):
        return None
    return named.pop()


def with_stressors(study: Study, stressors: Collection[Stressor]) -> Study:
    """Return a study whose stress scans were made under the operator's stressors, whatever their files say.

    Raises
    ------
    InputError
        For another stressor, for two drugs, or where no scan is of stress.
    """
    unknown = set(stressors) - set(STRESSORS)
    if unknown:
        raise InputError(f"A stressor is one of {', '.join(STRESSORS)}; got {', '.join(sorted(unknown))}.")
    if len(set(stressors) - {"exercise"}) > 1:
        raise InputError(f"One drug may be named, and exercise with it; got {', '.join(sorted(stressors))}.")
    if all(scan.state != "stress" for scan in study.scans):
        raise InputError("A stressor was given, but the study has no stress scan; name its state with --state stress.")
    known = tuple(one for one in STRESSORS if one in stressors)
    scans = (replace(scan, stressors=known) if scan.state == "stress" else scan for scan in study.scans)
    return replace(study, scans=tuple(scans))


def _coded(header: Dataset) -> Iterator[Stressor]:
    """Yield the stressors of the Intervention, the NM drugs (PS3.3 C.7.6.13, C.8.4.10) and the acquisition context."""
    drugs = items(header, "InterventionDrugInformationSequence")
    holders = [*drugs, *items(header, "InterventionSequence")]
    codes = [code for holder in holders for code in items(holder, "InterventionDrugCodeSequence")]
    context = items(header, "AcquisitionContextSequence")
    codes += [code for item in context for code in items(item, "ConceptCodeSequence")]
    for code in codes:
        stressor = _CODES.get(text_of(code, "CodeValue")) or stressor_in_text(text_of(code, "CodeMeaning"))
        if stressor is not None:
            yield stressor
    for drug in drugs:
        named = stressor_in_text(text_of(drug, "InterventionDrugName"))
        if named is not None:
            yield named
