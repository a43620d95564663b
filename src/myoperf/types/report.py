"""Results of a study: scores, diagnosis, provenance, and the report that holds them all."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from myoperf.types.basics import Finding, Float, Interval, State
from myoperf.types.results import FlowReserve, ScanResult
from myoperf.types.study import Study


@dataclass(frozen=True)
class NormalLimitsInfo:
    """The normal limits that scores were measured against, and how many people they come from."""

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
    summary
        The perfusion finding in words; empty where no normal limits applied.
    convention
        Name of the definitions that the scores follow.
    category, tpd_category
        Of the summed stress score and of the stress TPD: ``"normal"`` to ``"severely abnormal"``.
    stress_severity, rest_severity
        Shape (rings, angles), 0 (at the normal limit or above) to 4.
    flow_reserve
        Of dynamic scans at stress and at rest.
    territory_segments
        Vessel -> its segments, as scored; empty for the default.
    scans
        State -> name of the scan that was scored.
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
    convention: str | None = None
    category: str | None = None
    tpd_category: str | None = None
    stress_extent_percent: float | None = None
    rest_extent_percent: float | None = None
    stress_mean_severity: float | None = None
    rest_mean_severity: float | None = None
    stress_percent_myocardium: float | None = None
    rest_percent_myocardium: float | None = None
    ischemic_percent_myocardium: float | None = None
    reversible_share_percent: float | None = None
    sss_20: int | None = None
    srs_20: int | None = None
    stress_severity: Float | None = None
    rest_severity: Float | None = None
    flow_reserve: FlowReserve | None = None
    territory_segments: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    scans: Mapping[State, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Probability of obstructive coronary disease, with its uncertainty.

    Attributes
    ----------
    interval
        (low, high) of the patient's probability.
    abstained, reason
        Whether the model declines to judge the study, and why, or what limits its judgement.
    explanation
        Vessel -> shape (rings, angles): how much each sample of the stress map contributes to its probability.
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
    """Name and SHA-256 of the weights behind a result."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Settings:
    """Choices of an analysis.

    Attributes
    ----------
    territories
        Name of the assignment of segments to vessels; ``"own"`` for the user's.
    territory_segments
        Vessel -> its segments.
    engine
        What runs the ventricle's network; None without a network.
    """

    territories: str
    territory_segments: Mapping[str, tuple[int, ...]]
    engine: str | None


@dataclass(frozen=True, eq=False)
class Provenance:
    """How a report was made: enough to repeat it. `settings` holds the choices recorded nowhere else."""

    myoperf: str
    weights: tuple[WeightsInfo, ...] = ()
    command: str = ""
    seed: int | None = None
    timings_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: Mapping[str, float] = field(default_factory=dict)
    settings: Settings | None = None


@dataclass(frozen=True, eq=False)
class Report:
    """The study and everything measured on it, as `analyze` returns it.

    Parameters
    ----------
    scan_scores
        Name of a scan that the study's scores are not of (prone, corrected for attenuation, repeated) -> its own.
    intervals
        Name of a scan, or ``"scores"`` -> number -> its interval; empty where none were requested. The values of a
        list are numbered from 1: ``"segments_percent.1"``.
    """

    study: Study
    results: tuple[ScanResult, ...]
    scores: Scores
    diagnosis: Diagnosis | None
    findings: tuple[Finding, ...]
    provenance: Provenance
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    scan_scores: Mapping[str, Scores] = field(default_factory=dict)

    def result(self, state: State) -> ScanResult | None:
        """Return the first result of a state, or None."""
        return next((r for r in self.results if r.state == state), None)
