"""What a study gave: scores, diagnosis, provenance, and all of it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from myoperf.types.basics import Finding, Float, Interval, State
from myoperf.types.results import ScanResult
from myoperf.types.study import Study

__all__ = ["Diagnosis", "NormalLimitsInfo", "Provenance", "Report", "Scores", "TerritoryScores", "WeightsInfo"]


@dataclass(frozen=True)
class NormalLimitsInfo:
    """Which normal limits a score was measured against."""

    name: str
    version: str
    n: int


@dataclass(frozen=True)
class TerritoryScores:
    """Scores of one coronary territory; None where a state is missing or no limits apply."""

    sss: int | None = None
    srs: int | None = None
    sds: int | None = None
    tpd_stress_percent: float | None = None
    tpd_rest_percent: float | None = None
    mean_stress_percent: float | None = None
    mean_rest_percent: float | None = None


@dataclass(frozen=True, eq=False)
class Scores:
    """Perfusion scores of a study; None where a state is missing or no limits apply.

    Attributes
    ----------
    stress_scores, rest_scores
        Shape (17,), 0 (normal) to 4 (absent), AHA order.
    """

    sss: int | None = None
    srs: int | None = None
    sds: int | None = None
    tpd_stress_percent: float | None = None
    tpd_rest_percent: float | None = None
    tpd_ischemic_percent: float | None = None
    tid_ratio: float | None = None
    territories: Mapping[str, TerritoryScores] = field(default_factory=dict)
    normal_limits: NormalLimitsInfo | None = None
    stress_scores: tuple[int, ...] | None = None
    rest_scores: tuple[int, ...] | None = None
    summary: str = ""
    findings: tuple[Finding, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Probability of obstructive coronary disease, with its doubt.

    Attributes
    ----------
    explanation
        Per vessel, shape (rings, angles): how much each place of the stress map counts for it.
    """

    model: str
    per_vessel: Mapping[str, float]
    per_patient: float
    interval: tuple[float, float]
    abstained: bool = False
    reason: str | None = None
    explanation: Mapping[str, Float] = field(default_factory=dict)


@dataclass(frozen=True)
class WeightsInfo:
    """Name and SHA-256 of weights a result came from."""

    name: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Provenance:
    """How a report was made, enough to make it again; `settings` holds what was chosen and has no place elsewhere."""

    myoperf: str
    weights: tuple[WeightsInfo, ...] = ()
    command: str = ""
    seed: int | None = None
    timings_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Report:
    """What `analyze` gives: the study and everything measured on it.

    Parameters
    ----------
    intervals
        Scan's name, or ``"scores"`` -> number -> its interval; empty where none were asked for. The values of a
        list are numbered from 1: ``"segments_percent.1"``.
    """

    study: Study
    results: tuple[ScanResult, ...]
    scores: Scores
    diagnosis: Diagnosis | None
    findings: tuple[Finding, ...]
    provenance: Provenance
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)

    def result(self, state: State) -> ScanResult | None:
        """Give the first result of a state, or None."""
        return next((r for r in self.results if r.state == state), None)
