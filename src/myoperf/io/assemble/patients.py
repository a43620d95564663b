"""Studies of one patient: stress and rest of two days, stored as two studies, are what the patient came for once."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import NamedTuple

from pydicom.dataset import Dataset

from myoperf.io.header import date_of, text_of
from myoperf.io.words import words_of
from myoperf.types import Modality, State

MOST_DAYS = 30
"""Between stress and rest of one question, a choice of MyoPerf: two-day protocols take days, follow-up takes months."""
_NO_ID = re.compile(
    r"(.)\1*|anon\w*|unknown|unbekannt|none|null|na|removed|deleted|blank|test|phantom|patient|pat|de.?identified|masked"
    r"|redacted|hidden|id|[x0\W_]*",
    re.IGNORECASE,
)
"""Patient IDs, and words of names, that many patients share after de-identification, or that name nobody."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What tells whose a study is and when it was made.

    Parameters
    ----------
    patient_id
        Empty where absent or a placeholder.
    names
        The words of the patient's name; empty where absent or a placeholder.
    states
        Of its scans.
    isotopes
        Of its scans' tracers, as far as known.
    day
        Of the acquisition, else of the study; None where absent.
    """

    patient_id: str
    names: frozenset[str]
    birth: date | None
    sex: str
    day: date | None
    states: frozenset[State | None]
    modalities: frozenset[Modality]
    isotopes: frozenset[str]


def visit_of(
    header: Dataset,
    *,
    states: Collection[State | None],
    modalities: Collection[Modality],
    isotopes: Collection[str],
) -> Visit:
    """Return the visit that a header of a study and its scans describe."""
    patient_id, sex = text_of(header, "PatientID"), text_of(header, "PatientSex").upper()
    days = (date_of(header, keyword) for keyword in ("AcquisitionDate", "SeriesDate", "StudyDate"))
    return Visit(
        patient_id="" if _NO_ID.fullmatch(patient_id) else patient_id,
        names=_names(header),
        birth=date_of(header, "PatientBirthDate"),
        sex=sex if sex in ("M", "F") else "",
        day=next((day for day in days if day), None),
        states=frozenset(states),
        modalities=frozenset(modalities),
        isotopes=frozenset(isotope for isotope in isotopes if isotope),
    )


def _names(header: Dataset) -> frozenset[str]:
    """Return the words of a patient's name; none where all of them are placeholders ("ANONYMOUS^PATIENT")."""
    words = frozenset(words_of(text_of(header, "PatientName")))
    return words if any(not _NO_ID.fullmatch(word) for word in words) else frozenset()


def is_same_patient(one: Visit, other: Visit) -> bool:
    """Whether two studies are of one patient: the same ID, or name and birth date, and nothing against it.

    Against it: sexes or birth dates that differ, and names without a word in common.
    """
    if _contradict(one, other):
        return False
    if one.patient_id and one.patient_id == other.patient_id:
        return True
    return bool(one.names) and one.names == other.names and one.birth is not None and one.birth == other.birth


def is_other_patient(one: Visit, other: Visit) -> bool:
    """Whether two series of one Study Instance UID are of two patients all the same, as some de-identifiers leave them.

    Different IDs say so, unless name and birth date agree; without two IDs, sexes, birth dates or names that contradict
    each other do.
    """
    if one.patient_id and other.patient_id:
        return one.patient_id != other.patient_id and not is_same_patient(one, other)
    return _contradict(one, other)


def _contradict(one: Visit, other: Visit) -> bool:
    """Whether sexes or birth dates differ, or names have no word in common."""
    return bool(
        (one.sex and other.sex and one.sex != other.sex)
        or (one.birth and other.birth and one.birth != other.birth)
        or (one.names and other.names and not one.names & other.names)
    )


def why_apart(one: Visit, other: Visit) -> str | None:
    """Return why two studies of one patient are not stress and rest of one question; None where they are."""
    if {one.states, other.states} != {frozenset({"stress"}), frozenset({"rest"})}:
        return "one does not hold stress alone and the other rest alone"
    if one.modalities != other.modalities:
        return "one is SPECT, the other PET"
    if one.isotopes and other.isotopes and not one.isotopes & other.isotopes:
        return "their tracers differ"
    if one.day is None or other.day is None:
        return "a date is missing"
    days = abs((one.day - other.day).days)
    return f"they are {days} days apart, more than {MOST_DAYS}" if days > MOST_DAYS else None


class Pair(NamedTuple):
    """Positions of two studies that belong together, and the days between them."""

    first: int
    second: int
    days: int


def pair_visits(visits: Sequence[Visit | None]) -> tuple[Pair, ...]:
    """Return the studies that belong together; each is in one pair at most, with the nearest in time."""
    near = [
        Pair(i, j, abs((one.day - other.day).days))
        for (i, one), (j, other) in combinations(enumerate(visits), 2)
        if one and other and is_same_patient(one, other) and why_apart(one, other) is None and one.day and other.day
    ]
    pairs: list[Pair] = []
    taken: set[int] = set()
    for pair in sorted(near, key=lambda pair: pair.days):
        if not taken & {pair.first, pair.second}:
            pairs.append(pair)
            taken |= {pair.first, pair.second}
    return tuple(pairs)
