"""Perfusion scores of a study: severity, TPD, extent and the 17-segment sums. MyoPerf's convention 1.

Severity of a sample is 0 at the abnormal limit and rises linearly to 4 at 70 % below the normal
mean's limit; TPD = 100 * sum of severities / (4 * samples) (Slomka et al. 2005,
doi:10.1016/j.nuclcard.2004.10.006). Segment scores are 0-4 from the segment's mean severity; SSS,
SRS and SDS are their sums, SDS of the differences floored at 0; % myocardium = 100 S / 68 (Hachamovitch
et al. 2003, doi:10.1161/01.CIR.0000072790.23090.41). The definitions are MyoPerf's own and differ from
every vendor's.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.perfusion.normal_limits import NormalLimits, scale_map
from myoperf.perfusion.verdict import decide, with_verdict
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

CONVENTION = "myoperf-perfusion/1"
FULL_DEFECT = 0.7
"""Severity is 4 where counts lie this fraction below the abnormal limit, or lower."""
SCORE_EDGES = (0.25, 1.0, 2.0, 3.0)
"""A segment scores 1, 2, 3, 4 where its mean severity lies above these: score n covers severities n - 1 to n,
and below a quarter (4 % under the limit) it is 0."""
_UPTAKE_EDGES = (70.0, 60.0, 50.0, 40.0)
"""Without limits: percent of the maximum at or below which a segment scores 1, 2, 3, 4."""
_DIGITS = 9
"""Means are rounded to these decimals before they are compared with an edge: a mean that lies at the edge would
otherwise score by how its sum was rounded, some segments one higher than others."""


@dataclass(frozen=True, eq=False)
class Perfusion:
    """Perfusion of one state.

    Attributes
    ----------
    severity
        Shape (rings, angles), 0-4; None without limits.
    deviation
        Shape (rings, angles), from `deviation_map`; None without limits.
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
    deviation: Float | None = None

    def territory_tpd(self, vessel: str, territories: Territories = TERRITORIES) -> float | None:
        """Part of the TPD that lies in a territory, in percent of the whole ventricle."""
        if self.severity is None:
            return None
        inside = np.isin(segment_map(*self.severity.shape), territories[vessel])
        return float(100.0 * self.severity[inside].sum() / (4.0 * self.severity.size))

    @property
    def sum_20(self) -> int | None:
        """Sum of the scores of the model of 20 segments; None without limits."""
        return None if self.severity is None else int(score_segments(self.severity, model=SEGMENTS20).sum())


def measure_perfusion(polar: PolarMap, limits: NormalLimits | None) -> Perfusion:
    """Measure one static map, against limits where there are any.

    Without limits a segment's score comes from its share of the map's maximum: 70, 60, 50 and 40 %
    are the edges of 1 to 4: MyoPerf's own makeshift, which ignores normal variation.

    Parameters
    ----------
    polar
        Maximum over the wall, shape (rings, angles).
    limits
        Of the map's state, from `choose_limits`; None where there are none.

    Raises
    ------
    InputError
        When the map is gated, holds no counts or its grid differs from the limits'.

    Examples
    --------
    >>> from myoperf.perfusion import shipped_limits
    >>> limits = next(one for one in shipped_limits() if one.state == "stress")
    >>> normal = PolarMap(limits.mean, np.zeros((24, 72, 3)), np.full((24, 72), 10.0))
    >>> measure_perfusion(normal, limits).tpd_percent
    0.0
    """
    if polar.values.ndim != 2:
        raise InputError("Perfusion is measured on a static polar map; sum the gates first.")
    if not polar.values.max() > 0:
        raise InputError("The polar map holds no counts, so it cannot be scored.")
    percent = 100.0 * segment_means(polar.values) / polar.values.max()
    if limits is None:
        scores = np.digitize(-np.round(percent, _DIGITS), [-edge for edge in _UPTAKE_EDGES])
        return Perfusion(scores=scores, segments_percent=percent)
    scaled = scale_map(polar.values, limits)
    severity = severity_map(scaled, limits)
    abnormal = severity > 0
    return Perfusion(
        scores=score_segments(severity),
        segments_percent=percent,
        severity=severity,
        tpd_percent=float(100.0 * severity.sum() / (4.0 * severity.size)),
        extent_percent=float(100.0 * abnormal.mean()),
        mean_severity=float(severity[abnormal].mean()) if abnormal.any() else 0.0,
        deviation=deviation_map(scaled, limits),
    )


def score_segments(severity: Float, *, model: SegmentModel = AHA17) -> NDArray[np.int64]:
    """Score each segment by its mean severity.

    Parameters
    ----------
    severity
        Shape (rings, angles), from `severity_map`.
    model
        17 or 20 segments.

    Returns
    -------
    Shape (segments,): 0 (normal) to 4 (absent); the edges are `SCORE_EDGES`.

    Examples
    --------
    >>> score_segments(np.full((24, 72), 1.5)).tolist()[:3]
    [2, 2, 2]
    """
    means = np.round(segment_means(severity, model=model), _DIGITS)
    return np.asarray(np.digitize(means, SCORE_EDGES, right=True))


def severity_map(scaled: Float, limits: NormalLimits) -> Float:
    """Return how far a scaled map lies below the abnormal limit.

    Parameters
    ----------
    scaled
        Shape (rings, angles), from `scale_map`.
    limits
        The limits it was scaled to.

    Returns
    -------
    Shape (rings, angles): 0 at the limit and above, 4 at 70 % below it and lower, linear between (Slomka et al. 2005,
    doi:10.1016/j.nuclcard.2004.10.006).
    """
    limit = limits.lower
    return np.asarray(np.clip(4.0 * (limit - scaled) / (FULL_DEFECT * limit), 0.0, 4.0))


def deviation_map(scaled: Float, limits: NormalLimits) -> Float:
    """Return how many standard deviations of normal patients a scaled map lies above their mean (negative: below).

    For the reader's eye; nothing is decided by it. A standard deviation below 1 % of the mean counts as 1 %.

    Parameters
    ----------
    scaled
        Shape (rings, angles), from `scale_map`.
    limits
        The limits it was scaled to.
    """
    return np.asarray((scaled - limits.mean) / np.maximum(limits.sd, 0.01 * limits.mean))


def combined_tpd(one: Float, other: Float) -> float:
    """Return the TPD in percent of what is abnormal in both of two scans of a state, supine and prone for example.

    A sample is abnormal where it is in both (Nishina et al., J Nucl Med 2006;47:51); its severity is the lower of the
    two, MyoPerf's own choice. Both maps have the same grid.
    """
    return float(100.0 * np.minimum(one, other).sum() / (4.0 * one.size))


def score_perfusion(
    stress: PolarMap | None,
    rest: PolarMap | None,
    *,
    stress_limits: NormalLimits | None = None,
    rest_limits: NormalLimits | None = None,
    territories: Territories = TERRITORIES,
    compare: bool = True,
) -> Scores:
    """Score the static maps of a study; numbers that need a missing state are None.

    Parameters
    ----------
    stress, rest
        Static maps.
    stress_limits, rest_limits
        Normal limits of each state.
    territories
        Which of the 17 segments belong to which vessel (`myoperf.segments.assign_segments` makes variants).
    compare
        Whether the two maps show the same wall; without, every number that compares them is None.

    Returns
    -------
    Scores, with a summary in words only where every number of it rests on normal limits.

    Raises
    ------
    InputError
        When the territories do not hold each segment once.
    """
    territories = assign_segments({}, territories=territories)
    at_stress = measure_perfusion(stress, stress_limits) if stress else None
    at_rest = measure_perfusion(rest, rest_limits) if rest else None
    both = compare and at_stress is not None and at_rest is not None
    difference = np.maximum(at_stress.scores - at_rest.scores, 0) if both else None  # type: ignore[union-attr]
    known = stress_limits or rest_limits
    scores = Scores(
        sss=_sum(at_stress.scores if at_stress else None),
        srs=_sum(at_rest.scores if at_rest else None),
        sds=_sum(difference),
        tpd_stress_percent=at_stress.tpd_percent if at_stress else None,
        tpd_rest_percent=at_rest.tpd_percent if at_rest else None,
        tpd_ischemic_percent=_ischemic(at_stress, at_rest) if compare else None,
        territories={vessel: _territory(vessel, territories, at_stress, at_rest, difference) for vessel in territories},
        normal_limits=known.info if known else None,
        stress_scores=tuple(at_stress.scores.tolist()) if at_stress else None,
        rest_scores=tuple(at_rest.scores.tolist()) if at_rest else None,
        findings=_findings(at_stress, at_rest),
        convention=CONVENTION,
        territory_segments={} if dict(territories) == dict(TERRITORIES) else dict(territories),
    )
    scores = _with_extents(scores, at_stress, at_rest)
    measured = [state for state in (at_stress, at_rest) if state is not None]
    if any(state.severity is None for state in measured):
        return scores
    return with_verdict(scores, decide(scores, territories=territories))


def tid_ratio(stress_ml: float, rest_ml: float) -> float | None:
    """Return the ratio of transient ischaemic dilation: the cavity at stress over that at rest.

    Parameters
    ----------
    stress_ml, rest_ml
        Volumes of the cavity on static or summed images of the same kind.

    Returns
    -------
    The ratio; None where a cavity is empty or infinite.

    Examples
    --------
    >>> round(tid_ratio(75.0, 60.0), 2), tid_ratio(75.0, 0.0)
    (1.25, None)
    """
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


def _with_extents(scores: Scores, stress: Perfusion | None, rest: Perfusion | None) -> Scores:
    """Add what follows from the maps and sums of each state: extents, shares of the myocardium."""
    if rest is not None:
        scores = replace(
            scores,
            rest_percent_myocardium=_percent_myocardium(scores.srs),
            rest_severity=rest.severity,
            rest_deviation=rest.deviation,
            rest_extent_percent=rest.extent_percent,
            rest_mean_severity=rest.mean_severity,
            srs_20=rest.sum_20,
        )
    if stress is None:
        return scores
    total = int(stress.scores.sum())
    reversible = None if scores.sds is None else 100.0 * scores.sds / total if total else 0.0
    return replace(
        scores,
        stress_percent_myocardium=_percent_myocardium(scores.sss),
        stress_severity=stress.severity,
        stress_deviation=stress.deviation,
        stress_extent_percent=stress.extent_percent,
        stress_mean_severity=stress.mean_severity,
        sss_20=stress.sum_20,
        ischemic_percent_myocardium=_percent_myocardium(scores.sds),
        reversible_share_percent=reversible,
    )


def _percent_myocardium(score: int | None) -> float | None:
    """Return a summed score in percent of the largest possible one, 68."""
    return None if score is None else 100.0 * score / 68.0


def _findings(stress: Perfusion | None, rest: Perfusion | None) -> tuple[Finding, ...]:
    """Report scores without normal limits, and scans of unknown state."""
    findings = []
    if any(state is not None and state.severity is None for state in (stress, rest)):
        text = "Segment scores come from uptake relative to the maximum, without normal limits: read them with caution."
        findings.append(Finding("scores-without-limits", "warning", text))
    if stress is None and rest is None:
        text = "No scan that could be scored is known to be stress or rest, so nothing was scored."
        findings.append(Finding("no-known-state", "warning", text))
    return tuple(findings)
