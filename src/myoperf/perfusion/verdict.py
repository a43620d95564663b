"""The verdict of a study: one decision from scores, normal limits, function and findings.

Headline, category and colours of every report follow from it, so that they cannot disagree. Abnormal means outside 95 %
of the normal patients whose limits were used where these tell (`Cutoffs.own`), else beyond the published cut-offs.
A map within the limits does not exclude disease of the whole wall, which a relative map cannot show: what else speaks
for it is named (Berman et al., J Nucl Cardiol 2007;14:521, on left main disease).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from myoperf.perfusion.defects import EDGE, find_defects, listed
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import Float, Scores, State
from myoperf.types.verdict import Category, Cutoffs, Defect, Verdict

_OF_TPD = "Nakazato et al. 2010 (PMC3130607)"
_OF_SSS = "Hachamovitch et al. 1998 (doi:10.1161/01.CIR.97.6.535)"
PUBLISHED = Cutoffs(
    tpd_percent=5.0,
    summed_score=4,
    rest_tpd_percent=5.0,
    rest_summed_score=4,
    sds=2,
    tid_ratio=1.31,
    source="published cut-offs of other programs",
    own=False,
    published={
        "tpd_percent": _OF_TPD,
        "summed_score": _OF_SSS,
        "rest_tpd_percent": _OF_TPD,
        "rest_summed_score": _OF_SSS,
        "sds": "MyoPerf's own choice, half of the published cut-off of the SSS",
        "tid_ratio": "mean + 2 SD at a low likelihood of disease, regadenoson SPECT in one day "
        "(doi:10.1007/s12350-015-0087-6)",
    },
)
"""Other published cut-offs of TID are 1.13 to 1.38, by protocol (doi:10.1007/s12350-017-1040-7)."""
_GRADES: Sequence[tuple[float, Category]] = ((9, "mildly abnormal"), (14, "moderately abnormal"))
"""Upper edges of the summed score (Hachamovitch et al. 1998)."""
_TPD_GRADES: Sequence[tuple[float, Category]] = ((10.0, "mildly abnormal"), (15.0, "moderately abnormal"))
"""Upper edges of TPD where the summed score lies lower: its severe edge of 10 % is that of one program, MyoPerf's own
choice is what the scores' edges are in percent of 68 less what resolution hides."""
SEEN_AT_STRESS = 0.5
"""Share of a defect at rest that has to be reduced at stress too for it to be a scar. MyoPerf's own."""
LOW_LVEF_PERCENT = 45.0
FALL_LVEF = 10.0
"""Points by which the ejection fraction falls from rest to stress: above its repeatability (docs/repeatability.md)."""
LARGE_EDV_ML: Mapping[str, float] = {"M": 214.0, "F": 178.0}
"""Mean + 2 SD of normals by MRI (Kawel-Boehm et al. 2015, PMC7758747)."""
LOW_RESERVE = 2.0
"""Myocardial flow reserve over the whole ventricle (Ziadi et al., J Am Coll Cardiol 2011;58:740)."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What bears on a verdict beside the scores; None where it was not measured.

    Attributes
    ----------
    sex
        ``"M"`` or ``"F"``.
    lvef_stress_percent, lvef_rest_percent
        Ejection fractions; of a scan gated after stress, and at rest.
    edv_ml
        The largest end-diastolic volume of the study's scans.
    diffuse_loss_percent
        Of the map that the verdict is on, by `myoperf.perfusion.diffuse_loss`.
    doubts
        Why pose or orientation are in doubt, as phrases.
    """

    sex: str | None = None
    lvef_stress_percent: float | None = None
    lvef_rest_percent: float | None = None
    edv_ml: float | None = None
    diffuse_loss_percent: float | None = None
    doubts: tuple[str, ...] = ()


NO_EVIDENCE = Evidence()


def decide(
    scores: Scores,
    evidence: Evidence = NO_EVIDENCE,
    *,
    cutoffs: Cutoffs = PUBLISHED,
    territories: Territories = TERRITORIES,
) -> Verdict | None:
    """Decide what a study shows; None where nothing was scored against normal limits.

    Parameters
    ----------
    scores
        Of the study; its summary, category and verdict are not read.
    evidence
        What else is known.
    cutoffs
        From where on numbers are abnormal.
    territories
        Which segments belong to which vessel.

    Examples
    --------
    >>> import numpy as np
    >>> decide(Scores(sss=0, tpd_stress_percent=0.1, stress_severity=np.zeros((24, 72)))).headline
    'No perfusion defect at stress.'
    """
    measured = _measured(scores)
    if not measured:
        return None
    if evidence.doubts:
        return Verdict(
            category="not reliable",
            headline=f"Not reliable: {'; '.join(evidence.doubts)}. Check the contours, or give the pose.",
            doubts=evidence.doubts,
            cutoffs=cutoffs,
        )
    edges = {
        "stress": (cutoffs.summed_score, cutoffs.tpd_percent),
        "rest": (cutoffs.rest_summed_score, cutoffs.rest_tpd_percent),
    }
    beyond = [m for m in measured if m.total >= edges[m.state][0] or m.tpd_percent >= edges[m.state][1]]
    compared = scores.sds is not None
    defects: tuple[Defect, ...] = ()
    if beyond:
        defects = find_defects(
            beyond[0].severity,
            beyond[0].state,
            at_rest=scores.rest_severity if compared else None,
            at_stress=scores.stress_severity,
            territories=territories,
        )
    at_rest_alone = ""
    if compared and beyond and beyond[0].state == "rest":
        scars = _seen_at_stress(defects, scores.stress_severity)
        others = tuple(one for one in defects if not any(one is scar for scar in scars))
        if others or not scars:
            at_rest_alone = _rest_alone(others)
        if not scars:
            beyond, measured = [], measured[:1]
        defects = scars
    warnings = _warnings(scores, evidence, cutoffs, measured[0].state, defects)
    category: Category = "extensive disease not excluded" if warnings else "normal"
    if beyond:
        category = _grade(beyond[0].total, beyond[0].tpd_percent)
    states = listed([m.state for m in measured])
    described = _describe(defects, states=states, beyond=beyond[0].state if beyond else None, compared=compared)
    return Verdict(
        category=category,
        headline=" ".join(filter(None, (described, at_rest_alone, _warn(warnings)))),
        defects=defects,
        warnings=warnings,
        cutoffs=cutoffs,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Measured:
    """The map of one state, scored against normal limits."""

    state: State
    severity: Float
    total: int
    tpd_percent: float


def _seen_at_stress(defects: tuple[Defect, ...], stress: Float | None) -> tuple[Defect, ...]:
    """Return the defects at rest that stress shows too, though within its cut-off.

    A scar takes up no tracer at rest nor at stress. What rest shows alone is an artefact, or tracer that washed out
    faster (reverse redistribution), and no ground to call a study abnormal whose stress is normal.
    """
    if stress is None:
        return ()
    return tuple(d for d in defects if float((stress[d.region] > EDGE).mean()) >= SEEN_AT_STRESS)


def _measured(scores: Scores) -> list[_Measured]:
    """Return the states that were scored against normal limits, stress first."""
    held: tuple[tuple[State, Float | None, int | None, float | None], ...] = (
        ("stress", scores.stress_severity, scores.sss, scores.tpd_stress_percent),
        ("rest", scores.rest_severity, scores.srs, scores.tpd_rest_percent),
    )
    return [
        _Measured(state=state, severity=severity, total=total, tpd_percent=tpd)
        for state, severity, total, tpd in held
        if severity is not None and total is not None and tpd is not None
    ]


def with_verdict(scores: Scores, verdict: Verdict | None) -> Scores:
    """Return scores whose verdict, summary and category are those of one decision."""
    if verdict is None:
        return replace(scores, verdict=None, summary="", category=None)
    return replace(scores, verdict=verdict, summary=verdict.headline, category=verdict.category)


def _grade(total: int, tpd: float) -> Category:
    """Return how abnormal a map is: the graver of what summed score and TPD say."""
    order: tuple[Category, ...] = ("mildly abnormal", "moderately abnormal", "severely abnormal")
    by_score = next((word for edge, word in _GRADES if total < edge), order[-1])
    by_tpd = next((word for edge, word in _TPD_GRADES if tpd < edge), order[-1])
    return max(by_score, by_tpd, key=order.index)


def _warnings(
    scores: Scores, evidence: Evidence, cutoffs: Cutoffs, state: State, defects: tuple[Defect, ...]
) -> tuple[str, ...]:
    """Return what speaks for extensive or balanced disease, as phrases."""
    lvef = [value for value in (evidence.lvef_stress_percent, evidence.lvef_rest_percent) if value is not None]
    found = []
    several = _affected_together(scores.stress_severity if state == "stress" else scores.rest_severity, state, defects)
    if len(several) >= 2:
        found.append(f"reduced uptake in the territories of {listed(several)}")
    if lvef and min(lvef) < LOW_LVEF_PERCENT:
        found.append(f"LVEF {min(lvef):.0f} %")
    if len(lvef) == 2 and lvef[1] - lvef[0] >= FALL_LVEF:
        found.append(f"LVEF falls from {lvef[1]:.0f} % at rest to {lvef[0]:.0f} % after stress")
    if scores.tid_ratio is not None and scores.tid_ratio >= cutoffs.tid_ratio:
        found.append(f"transient dilation, TID ratio {scores.tid_ratio:.2f}")
    largest = LARGE_EDV_ML.get(evidence.sex or "", max(LARGE_EDV_ML.values()))
    if evidence.edv_ml is not None and evidence.edv_ml >= largest:
        found.append(f"a dilated ventricle, EDV {evidence.edv_ml:.0f} ml")
    loss = evidence.diffuse_loss_percent
    if loss is not None and cutoffs.diffuse_percent is not None and loss >= cutoffs.diffuse_percent:
        found.append(f"uptake {loss:.0f} % below normal over the whole wall")
    reserve = scores.flow_reserve.territories.get("global") if scores.flow_reserve is not None else None
    if reserve is not None and reserve < LOW_RESERVE:
        found.append(f"flow reserve {reserve:.1f} over the whole ventricle")
    return tuple(found)


def _affected_together(severity: Float | None, state: State, defects: Sequence[Defect]) -> tuple[str, ...]:
    """Return the vessels whose territories are affected at once: by defects of their own, or by a large one.

    A smaller region across the border of two territories is one defect. Where none is named, what lies below the
    limits counts.
    """
    if not defects and severity is not None:
        defects = find_defects(severity, state)
    vessels: dict[str, None] = {}
    for defect in defects:
        vessels |= dict.fromkeys(defect.vessels if defect.size == "large" else defect.vessels[:1])
    return tuple(vessels)


def _warn(warnings: Sequence[str]) -> str:
    """Return the sentence on extensive or balanced disease."""
    return f"Extensive or balanced disease cannot be excluded: {'; '.join(warnings)}." if warnings else ""


def _rest_alone(defects: Sequence[Defect]) -> str:
    """Return the sentence on uptake that is reduced at rest and not at stress."""
    site = f" ({'; '.join(defect.site for defect in defects)})" if defects else ""
    return f"Reduced uptake at rest alone{site}: an artefact or reverse redistribution."


def _describe(defects: tuple[Defect, ...], *, states: str, beyond: State | None, compared: bool) -> str:
    """Describe the maps: what their defects are, or that there are none."""
    if beyond is None:
        return f"No perfusion defect at {states}."
    alone = "" if compared else f" at {beyond}"
    if not defects:
        return f"Mildly reduced uptake at {beyond} without a localised defect."
    words = "; ".join(defect.text + alone for defect in defects)
    return words[0].upper() + words[1:] + "."
