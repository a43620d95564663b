"""Scans of a state beside the one that is scored: their own scores, and what they say about its defects."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from myoperf.perfusion import NormalLimits, combined_tpd
from myoperf.perfusion.defects import listed
from myoperf.pipeline.scoring import MAP_DOUBTS, condition_of, first_of_each_state, match_limits, score
from myoperf.quality import ScoredScan, compare_conditions
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import Finding, Float, ScanResult, Scores, State, Study


@dataclass(frozen=True, eq=False, kw_only=True)
class OtherScans:
    """Scores by scan's name, and findings of the study: what was scored and why, and which defects stay."""

    scores: Mapping[str, Scores]
    findings: tuple[Finding, ...]


def score_other_scans(
    study: Study,
    results: Sequence[ScanResult],
    scores: Scores,
    available: Sequence[NormalLimits],
    *,
    territories: Territories = TERRITORIES,
) -> OtherScans:
    """Score every scan of known state that the study's scores are not of, and compare it with the one they are of.

    Parameters
    ----------
    scores
        Of the study, by `myoperf.pipeline.scoring.score`.
    available
        Normal limits to choose from, separately for each scan.
    """
    scored = first_of_each_state(results)
    others = [r for r in results if r.state is not None and r is not scored[r.state]]
    own: dict[str, Scores] = {}
    findings = list(_explain_choice(scored, others))
    for other in others:
        own[other.name] = score([other], match_limits(study, [other], available, alone=True), territories=territories)
        if other.state is not None:
            combined = _combined(scores, own[other.name], other.state)
            own[other.name] = replace(own[other.name], combined_tpd_percent=combined)
            findings += _compare(scored[other.state], scores, other, own[other.name])
    return OtherScans(scores=own, findings=tuple(findings))


def with_findings_of_scores(
    results: Sequence[ScanResult], scores: Scores, others: OtherScans
) -> tuple[ScanResult, ...]:
    """Return scans with the findings of their own scores, except those that hold for the study's scores too.

    A pattern of attenuation is left out where a prone or corrected scan of that state shows what it is: what the two
    show together is a finding of the study.
    """
    said = {finding.code for finding in scores.findings if finding.code in _OF_ALL_LIMITS}

    def one(result: ScanResult) -> ScanResult:
        own = others.scores.get(result.name)
        more = () if own is None else own.findings
        found = (*result.findings, *(f for f in more if f not in scores.findings and f.code not in said))
        if any(_answers_pattern(other, result) for other in results):
            found = tuple(f for f in found if f.code != "attenuation-pattern")
        return result if found == result.findings else replace(result, findings=found)

    return tuple(one(result) for result in results)


_OF_ALL_LIMITS = frozenset({"normal-limits-simulated", "cutoffs-published"})
"""Findings on normal limits that are reported once, whichever limits they name."""


def _answers_pattern(other: ScanResult, result: ScanResult) -> bool:
    """Whether a scan of the same state tells attenuation from disease: taken in another position, or corrected."""
    if other.state is None or other.state != result.state or other.scan.modality != "NM":
        return False
    if any(finding.code in MAP_DOUBTS for finding in other.findings):
        return False
    corrected = other.scan.attenuation_corrected and not result.scan.attenuation_corrected
    return corrected or (other.scan.position == "prone") != (result.scan.position == "prone")


def _explain_choice(scored: Mapping[State, ScanResult], others: Sequence[ScanResult]) -> tuple[Finding, ...]:
    """Return one finding where a state has several scans: which were scored and why, and which on their own."""
    chosen: dict[str, list[str]] = {}
    further: list[ScanResult] = []
    for state, one in scored.items():
        same = [r for r in others if r.state == state]
        if same:
            why = " and ".join(dict.fromkeys(_why_first(one, other) for other in same))
            chosen.setdefault(why, []).append(_with_condition(one))
            further += same
    if not chosen:
        return ()
    states = listed([state for state in scored if any(r.state == state for r in further)])
    choices = "; ".join(
        f"{listed(names)} {'was' if len(names) == 1 else 'were'} scored, because {_for_several(why, names)}"
        for why, names in chosen.items()
    )
    on_their_own = ", ".join(map(_with_condition, further))
    message = f"There are several {states} scans: {choices}; measured and scored on their own: {on_their_own}."
    return (Finding("scan-choice", "info", message),)


def _with_condition(result: ScanResult) -> str:
    return f"{result.name} ({condition_of(result)})"


def _for_several(why: str, names: Sequence[str]) -> str:
    """Return a reason in the plural if it applies to several scans."""
    if len(names) == 1:
        return why
    for one, many in _PLURALS.items():
        why = re.sub(rf"\b{one}\b", many, why)
    return why


_PLURALS = {
    "it is": "they are",
    "it shows": "they show",
    "it holds": "they hold",
    "its series comes": "their series come",
}


def _why_first(one: ScanResult, other: ScanResult) -> str:
    """Return why one scan of a state was scored and not another, in the order of `myoperf.io.assemble.choice`."""
    mine, its = one.scan, other.scan
    if mine.modality != its.modality:
        return "it is PET"
    if mine.tracer != its.tracer and "FDG" in (its.tracer or ""):
        return "it shows perfusion, not metabolism"
    if (mine.position == "prone") != (its.position == "prone"):
        return "it is supine, as the normal limits are"
    if mine.attenuation_corrected != its.attenuation_corrected:
        if not mine.attenuation_corrected and any(f.code in MAP_DOUBTS for f in other.findings):
            return "the map that corrected the other one is in doubt"
        what = "corrected" if mine.attenuation_corrected else "not corrected"
        return f"it is {what} for attenuation, as the normal limits are"
    if mine.is_raw != its.is_raw:
        return "it holds the raw views"
    if mine.framing != its.framing:
        return f"it is {mine.framing}"
    return "its series comes first by number and name"


def _compare(usual: ScanResult, scores: Scores, other: ScanResult, own: Scores) -> tuple[Finding, ...]:
    """Return what another scan of a state says about the defects of the scored one, where they differ in one thing."""
    condition = _difference(usual, other)
    before, after = _of_state(scores, usual.state), _of_state(own, usual.state)
    if condition is None or before is None or after is None:
        return ()
    return compare_conditions(
        ScoredScan(name=usual.name, scores=before[0], segments_percent=usual.segments_percent),
        ScoredScan(name=other.name, scores=after[0], segments_percent=other.segments_percent),
        condition=condition,
        combined_tpd_percent=own.combined_tpd_percent,
    )


def _combined(scores: Scores, own: Scores, state: State) -> float | None:
    """Return the TPD of what is abnormal in both the scored scan and another of its state; None without limits."""
    maps = [held[1] for held in (_of_state(scores, state), _of_state(own, state)) if held is not None]
    one, other = maps if len(maps) == 2 else (None, None)
    return None if one is None or other is None or one.shape != other.shape else combined_tpd(one, other)


def _difference(usual: ScanResult, other: ScanResult) -> Literal["prone", "corrected for attenuation"] | None:
    """Return the one thing that sets a scan apart from the supine, uncorrected one; None where it is not one."""
    prone = [r.scan.position == "prone" for r in (usual, other)]
    corrected = [r.scan.attenuation_corrected for r in (usual, other)]
    if usual.scan.modality != other.scan.modality:
        return None
    if prone == [False, True] and corrected[0] == corrected[1]:
        return "prone"
    if corrected == [False, True] and prone[0] == prone[1]:
        return "corrected for attenuation"
    return None


def _of_state(scores: Scores, state: State | None) -> tuple[tuple[int, ...], Float | None] | None:
    """Return the segment scores and the severity map of a state."""
    if state == "stress":
        return None if scores.stress_scores is None else (scores.stress_scores, scores.stress_severity)
    return None if scores.rest_scores is None else (scores.rest_scores, scores.rest_severity)
