"""Perfusion scores of a study: severity, TPD, extent and the 17-segment sums. MyoPerf's convention 1.

Severity of a sample is 0 at the abnormal limit and rises linearly to 4 at 70 % below the normal
mean's limit; TPD = 100 * sum of severities / (4 * samples) (Slomka et al. 2005,
doi:10.1016/j.nuclcard.2004.10.006). Segment scores are 0-4 from the segment's mean severity; SSS,
SRS and SDS are their sums, SDS of the differences floored at 0; % myocardium = 100 S / 68 (Hachamovitch
et al. 2003, doi:10.1161/01.CIR.0000072790.23090.41). These are own definitions: they are not equal
to any vendor's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.perfusion.normal_limits import NormalLimits, scale_map
from myoperf.perfusion.summary import summarise
from myoperf.segments import (
    AHA17,
    SEGMENTS20,
    TERRITORIES,
    SegmentModel,
    Territories,
    assign_segments,
    segment_map,
    segment_means,
)
from myoperf.types import Finding, Float, PolarMap, Scores, TerritoryScores

__all__ = [
    "CONVENTION",
    "Perfusion",
    "measure_perfusion",
    "score_perfusion",
    "score_segments",
    "severity_map",
    "tid_ratio",
]


CONVENTION = "myoperf-perfusion/1"
FULL_DEFECT = 0.7
"""Severity is 4 where counts lie this fraction below the abnormal limit, or lower."""
SCORE_EDGES = (0.25, 1.0, 2.0, 3.0)
"""A segment scores 1, 2, 3, 4 where its mean severity lies above these: score n covers severities n - 1 to n,
and below a quarter (4 % under the limit) it is 0."""
_UPTAKE_EDGES = (70.0, 60.0, 50.0, 40.0)
"""Without limits: percent of the maximum below which a segment scores 1, 2, 3, 4."""
_CATEGORIES = ((4, "normal"), (9, "mildly abnormal"), (14, "moderately abnormal"))
_TPD_CATEGORIES = ((5.0, "normal"), (10.0, "abnormal"))


@dataclass(frozen=True, eq=False)
class Perfusion:
    """One state measured.

    Attributes
    ----------
    severity
        Shape (rings, angles), 0-4; None without limits.
    scores
        Shape (17,), 0-4.
    tpd_percent, extent_percent, mean_severity
        None without limits. Mean severity is that of the abnormal samples (0 when there are none).
    """

    scores: NDArray[np.int64]
    segments_percent: Float
    severity: Float | None = None
    tpd_percent: float | None = None
    extent_percent: float | None = None
    mean_severity: float | None = None

    def territory_tpd(self, vessel: str, territories: Territories = TERRITORIES) -> float | None:
        """Part of the TPD that lies in a territory, in percent of the whole ventricle."""
        if self.severity is None:
            return None
        inside = np.isin(segment_map(*self.severity.shape), territories[vessel])
        return float(100.0 * self.severity[inside].sum() / (4.0 * self.severity.size))


def measure_perfusion(polar: PolarMap, limits: NormalLimits | None) -> Perfusion:
    """Measure one static map, against limits where there are any.

    Without limits a segment's score comes from its share of the map's maximum: 70, 60, 50 and 40 %
    are the edges of 1 to 4: MyoPerf's own stopgap, which knows no normal variation.

    Raises
    ------
    InputError
        When the map is gated, holds no counts or its grid differs from the limits'.
    """
    if polar.values.ndim != 2:
        raise InputError("Perfusion is measured on a static polar map; sum the gates first.")
    if not polar.values.max() > 0:
        raise InputError("The polar map holds no counts, so it cannot be scored.")
    percent = 100.0 * segment_means(polar.values) / polar.values.max()
    if limits is None:
        return Perfusion(scores=np.digitize(-percent, [-edge for edge in _UPTAKE_EDGES]), segments_percent=percent)
    severity = severity_map(scale_map(polar.values, limits), limits)
    abnormal = severity > 0
    return Perfusion(
        scores=score_segments(severity),
        segments_percent=percent,
        severity=severity,
        tpd_percent=float(100.0 * severity.sum() / (4.0 * severity.size)),
        extent_percent=float(100.0 * abnormal.mean()),
        mean_severity=float(severity[abnormal].mean()) if abnormal.any() else 0.0,
    )


def score_segments(severity: Float, *, model: SegmentModel = AHA17) -> NDArray[np.int64]:
    """Score each of 17 or 20 segments 0-4 by its mean severity: shape (segments,)."""
    return np.asarray(np.digitize(segment_means(severity, model=model), SCORE_EDGES, right=True))


def severity_map(scaled: Float, limits: NormalLimits) -> Float:
    """Severity 0-4 of a scaled map: 0 at the limit, 4 at 70 % below it, linear between."""
    limit = limits.lower
    return np.asarray(np.clip(4.0 * (limit - scaled) / (FULL_DEFECT * limit), 0.0, 4.0))


def score_perfusion(
    stress: PolarMap | None,
    rest: PolarMap | None,
    *,
    stress_limits: NormalLimits | None = None,
    rest_limits: NormalLimits | None = None,
    territories: Territories = TERRITORIES,
) -> Scores:
    """Score a study's static maps; what a missing state leaves open stays None.

    Parameters
    ----------
    stress, rest
        Static maps.
    stress_limits, rest_limits
        Normal limits of each state.
    territories
        Which of the 17 segments belong to which vessel (`myoperf.segments.assign_segments` makes variants).

    Returns
    -------
    Scores, with a summary in words only where limits stand behind every number of it. `more` holds
    ``stress_severity`` and ``rest_severity`` (rings, angles), extents, mean severities, percent
    myocardium, the categories of the SSS and of stress TPD, the sums of 20 segments (``sss_20``,
    ``srs_20``) and, where they are not the default, the territories.

    Raises
    ------
    InputError
        When the territories do not hold each segment once.
    """
    territories = assign_segments({}, territories=territories)
    at_stress = measure_perfusion(stress, stress_limits) if stress else None
    at_rest = measure_perfusion(rest, rest_limits) if rest else None
    both = at_stress is not None and at_rest is not None
    difference = np.maximum(at_stress.scores - at_rest.scores, 0) if both else None  # type: ignore[union-attr]
    findings = _findings(at_stress, at_rest)
    known = stress_limits or rest_limits
    scores = Scores(
        sss=_sum(at_stress.scores if at_stress else None),
        srs=_sum(at_rest.scores if at_rest else None),
        sds=_sum(difference),
        tpd_stress_percent=at_stress.tpd_percent if at_stress else None,
        tpd_rest_percent=at_rest.tpd_percent if at_rest else None,
        tpd_ischemic_percent=_ischemic(at_stress, at_rest),
        territories={vessel: _territory(vessel, territories, at_stress, at_rest, difference) for vessel in territories},
        normal_limits=known.info if known else None,
        stress_scores=tuple(at_stress.scores.tolist()) if at_stress else None,
        rest_scores=tuple(at_rest.scores.tolist()) if at_rest else None,
        findings=findings,
        more=_more(at_stress, at_rest, difference)
        | ({} if dict(territories) == dict(TERRITORIES) else {"territories": dict(territories)}),
    )
    measured = [state for state in (at_stress, at_rest) if state is not None]
    if any(state.severity is None for state in measured):
        return scores
    return replace(scores, summary=summarise(scores, territories=territories))


def tid_ratio(stress_ml: float, rest_ml: float) -> float | None:
    """Transient ischaemic dilation: the cavity at stress over that at rest; None for an empty cavity."""
    return stress_ml / rest_ml if 0 < stress_ml < np.inf and 0 < rest_ml < np.inf else None


def _sum(scores: NDArray[np.int64] | None) -> int | None:
    return None if scores is None else int(scores.sum())


def _ischemic(stress: Perfusion | None, rest: Perfusion | None) -> float | None:
    """Ischaemic TPD: stress minus rest, floored at 0."""
    if stress is None or rest is None or stress.tpd_percent is None or rest.tpd_percent is None:
        return None
    return max(0.0, stress.tpd_percent - rest.tpd_percent)


def _territory(
    vessel: str,
    territories: Territories,
    stress: Perfusion | None,
    rest: Perfusion | None,
    difference: NDArray[np.int64] | None,
) -> TerritoryScores:
    """Sum the scores and average the uptake of one territory."""
    index = np.asarray(territories[vessel], dtype=np.int64) - 1
    return TerritoryScores(
        sss=_sum(stress.scores[index]) if stress else None,
        srs=_sum(rest.scores[index]) if rest else None,
        sds=_sum(difference[index]) if difference is not None else None,
        tpd_stress_percent=stress.territory_tpd(vessel, territories) if stress else None,
        tpd_rest_percent=rest.territory_tpd(vessel, territories) if rest else None,
        mean_stress_percent=float(stress.segments_percent[index].mean()) if stress and index.size else None,
        mean_rest_percent=float(rest.segments_percent[index].mean()) if rest and index.size else None,
    )


def _more(stress: Perfusion | None, rest: Perfusion | None, difference: NDArray[np.int64] | None) -> dict[str, Any]:
    """Collect what the contract has no key for."""
    more: dict[str, Any] = {"convention": CONVENTION}
    for name, state in (("stress", stress), ("rest", rest)):
        if state is None:
            continue
        more[f"{name}_percent_myocardium"] = 100.0 * float(state.scores.sum()) / 68.0
        if state.severity is not None:
            more[f"{name}_severity"] = state.severity
            more[f"{name}_extent_percent"] = state.extent_percent
            more[f"{name}_mean_severity"] = state.mean_severity
            more["sss_20" if name == "stress" else "srs_20"] = int(
                score_segments(state.severity, model=SEGMENTS20).sum()
            )
    if stress is not None:
        total = int(stress.scores.sum())
        if stress.severity is not None:
            more["category"] = next((word for edge, word in _CATEGORIES if total < edge), "severely abnormal")
            tpd = float(stress.tpd_percent or 0.0)
            more["tpd_category"] = next((word for edge, word in _TPD_CATEGORIES if tpd < edge), "severely abnormal")
        if difference is not None:
            more["reversible_share_percent"] = 100.0 * float(difference.sum()) / total if total else 0.0
            more["ischemic_percent_myocardium"] = 100.0 * float(difference.sum()) / 68.0
    return more


def _findings(stress: Perfusion | None, rest: Perfusion | None) -> tuple[Finding, ...]:
    """Say when scores had to do without limits or without a state."""
    findings = []
    if any(state is not None and state.severity is None for state in (stress, rest)):
        text = "Segment scores come from the share of the maximum, without normal limits; read them with care."
        findings.append(Finding("scores-without-limits", "warning", text))
    if stress is None and rest is None:
        findings.append(
            Finding("no-known-state", "warning", "No scan is known to be stress or rest; nothing was scored.")
        )
    return tuple(findings)
