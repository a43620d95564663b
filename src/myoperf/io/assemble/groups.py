"""Series to studies: by the study's identifier, patients apart, and stress and rest of one patient's two studies."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from myoperf.io.assemble.patients import (
    MOST_DAYS,
    Pair,
    Visit,
    is_other_patient,
    is_same_patient,
    pair_visits,
    visit_of,
    why_apart,
)
from myoperf.io.assemble.series import Series
from myoperf.types import Finding


@dataclass(frozen=True, eq=False)
class Group:
    """The series of one study, with findings on how they came together."""

    series: tuple[Series, ...]
    findings: tuple[Finding, ...] = ()


def group_series(series: Sequence[Series]) -> list[Group]:
    """Group series into studies.

    Those of one Study Instance UID belong together, unless they are of several patients; so do stress and rest of one
    patient's two studies.
    """
    by_study: dict[tuple[str, str], list[Series]] = {}
    for one in series:
        by_study.setdefault(one.study_key, []).append(one)
    split = [_by_patient(group) for group in by_study.values()]
    groups = [group for patients in split for group in patients]
    shared = [[_shared_uid()] if len(patients) > 1 else [] for patients in split for _ in patients]
    visits = [_visit(group) for group in groups]
    pairs = pair_visits(visits)
    apart = _apart(visits, pairs)
    partners = {pair.first: pair for pair in pairs}
    seconds = {pair.second for pair in pairs}
    out = []
    for i, group in enumerate(groups):
        if i in seconds:
            continue
        findings = [*shared[i], *_days_between_states(group), *apart.get(i, ())]
        pair = partners.get(i)
        if pair is not None:
            group += groups[pair.second]
            findings = [_paired(pair.days), *findings, *shared[pair.second], *apart.get(pair.second, ())]
        out.append(Group(group, tuple(dict.fromkeys(findings))))
    return out


def _by_patient(series: Sequence[Series]) -> list[tuple[Series, ...]]:
    """Split series of one Study Instance UID where their headers name different patients."""
    groups: list[list[Series]] = []
    for one in series:
        visit = _visit([one])
        group = next((group for group in groups if not _is_anothers(visit, group)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return [tuple(group) for group in groups]


def _is_anothers(visit: Visit | None, group: Sequence[Series]) -> bool:
    """Whether any series of a group is of another patient than a visit."""
    others = (_visit([one]) for one in group)
    return visit is not None and any(other is not None and is_other_patient(visit, other) for other in others)


def _visit(group: Sequence[Series]) -> Visit | None:
    """Return whose study it is and when it was made; None for NIfTI."""
    header = next((one.headers[0] for one in group if one.headers), None)
    if header is None:
        return None
    candidates = [one.candidate for one in group]
    return visit_of(
        header,
        states={c.state for c in candidates},
        modalities={c.modality for c in candidates},
        isotopes={c.isotope for c in candidates},
    )


def _shared_uid() -> Finding:
    """Return the finding that one Study Instance UID stands in files of several patients."""
    message = "Files of several patients have the same Study Instance UID; each patient was read as a separate study."
    return Finding("study-uid-shared", "warning", message)


def _days_between_states(group: Sequence[Series]) -> list[Finding]:
    """Return the finding that stress and rest of one Study Instance UID are too far apart for one question."""
    visits = [visit for one in group if (visit := _visit([one])) is not None and visit.day is not None]
    stress, rest = ({v.day for v in visits if v.states == {state}} for state in ("stress", "rest"))
    days = min((abs((one - other).days) for one in stress for other in rest if one and other), default=0)
    if days <= MOST_DAYS:
        return []
    message = (
        f"Stress and rest have the same Study Instance UID but were acquired {days} days apart, more than {MOST_DAYS}; "
        "they were compared nevertheless. If they are two visits, read them separately (--series)."
    )
    return [Finding("states-days-apart", "warning", message)]


def _paired(days: int) -> Finding:
    """Return the finding that two studies were read as one."""
    when = "of the same day" if days == 0 else "1 day apart" if days == 1 else f"{days} days apart"
    message = f"Stress and rest are two studies of the same patient, {when}; they were read as one."
    return Finding("studies-paired", "info", message)


def _apart(visits: Sequence[Visit | None], pairs: Sequence[Pair]) -> dict[int, list[Finding]]:
    """Return findings on studies of one patient that were not paired, by the studies' positions."""
    findings: dict[int, list[Finding]] = {}
    together = {(pair.first, pair.second) for pair in pairs}
    for (i, one), (j, other) in combinations(enumerate(visits), 2):
        if one is None or other is None or (i, j) in together or not is_same_patient(one, other):
            continue
        reason = why_apart(one, other) or "a nearer study was taken"
        message = f"Another study of the same patient was read and is analysed separately: {reason}."
        for position in (i, j):
            findings.setdefault(position, []).append(Finding("studies-apart", "info", message))
    return findings
