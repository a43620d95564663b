"""Results of a study: scores, diagnosis, provenance, and the report that holds them all."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from myoperf.types.basics import Finding, Float, Interval, State
from myoperf.types.comparison import PriorComparison, Stability
from myoperf.types.results import FlowReserve, ScanResult
from myoperf.types.study import Study
from myoperf.types.verdict import Verdict


@dataclass(frozen=True)
class NormalLimitsInfo:
    """The normal limits that scores were measured against.

    Attributes
    ----------
    name, version
        As `myoperf normals show` lists them.
    n
        The number of maps they come from.
    """

    name: str
    version: str
    n: int


@dataclass(frozen=True)
class TerritoryScores:
    """Scores of one coronary territory; None where a state is missing or no limits apply.

    Attributes
    ----------
    sss, srs, sds
        Sums of its segments' scores at stress, at rest, and of their differences.
    tpd_stress_percent, tpd_rest_percent
        Its part of the total perfusion deficit, in percent of the whole ventricle.
    mean_stress_percent, mean_rest_percent
        Mean uptake of its segments, in percent of the map's maximum.
    """

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

    Definitions, ranges and sources stand in docs/quantities.md and docs/perfusion.md.

    Attributes
    ----------
    sss, srs, sds
        Summed stress, rest and difference scores of 17 segments, 0 to 68.
    tpd_stress_percent, tpd_rest_percent, tpd_ischemic_percent
        Total perfusion deficit at stress, at rest, and the part that is reversible.
    combined_tpd_percent
        Of a further scan of a state (prone, corrected for attenuation): TPD of what is abnormal both in it and in the
        scored scan.
    tid_ratio
        Cavity at stress over cavity at rest.
    territories
        Vessel -> its scores.
    normal_limits
        What the scores were measured against.
    stress_scores, rest_scores
        Shape (17,), 0 (normal) to 4 (absent), AHA order.
    summary
        The perfusion finding in words, the verdict's headline; empty where no normal limits applied.
    convention
        Name of the definitions that the scores follow.
    category
        Of the verdict.
    verdict
        What the study shows; None where no normal limits applied.
    stress_extent_percent, rest_extent_percent
        Share of the wall that is abnormal.
    stress_mean_severity, rest_mean_severity
        Mean severity of the abnormal wall, 0 to 4.
    stress_percent_myocardium, rest_percent_myocardium, ischemic_percent_myocardium
        SSS, SRS and SDS in percent of the largest possible score.
    reversible_share_percent
        SDS in percent of SSS.
    sss_20, srs_20
        Sums in the older model of 20 segments.
    compared_rest
        Shape (rings, angles): the rest map as it was compared with stress, turned about the long axis to match it.
    stress_severity, rest_severity
        Shape (rings, angles), 0 (at the normal limit or above) to 4.
    stress_deviation, rest_deviation
        Shape (rings, angles): standard deviations of normal patients above their mean; negative below.
    tpd_stress_database_sd_percent, tpd_rest_database_sd_percent
        Standard deviation of the TPD from the number of normal patients behind its limits.
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
    combined_tpd_percent: float | None = None
    tid_ratio: float | None = None
    territories: Mapping[str, TerritoryScores] = field(default_factory=dict)
    normal_limits: NormalLimitsInfo | None = None
    stress_scores: tuple[int, ...] | None = None
    rest_scores: tuple[int, ...] | None = None
    summary: str = ""
    findings: tuple[Finding, ...] = ()
    convention: str | None = None
    category: str | None = None
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
    stress_deviation: Float | None = None
    rest_deviation: Float | None = None
    compared_rest: Float | None = None
    flow_reserve: FlowReserve | None = None
    territory_segments: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    scans: Mapping[State, str] = field(default_factory=dict)
    verdict: Verdict | None = None
    tpd_stress_database_sd_percent: float | None = None
    tpd_rest_database_sd_percent: float | None = None

    @property
    def apart(self) -> bool:
        """Whether stress and rest were both scored but not compared: their ventricles cannot be one heart's."""
        return self.stress_scores is not None and self.rest_scores is not None and self.sds is None


@dataclass(frozen=True)
class PretestProbability:
    """The probability of obstructive disease before the test.

    Attributes
    ----------
    probability
        From 0 to 1.
    source
        Where it comes from, in words.
    """

    probability: float
    source: str


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Probability of obstructive coronary disease, with its uncertainty; NaN where the model abstained.

    Attributes
    ----------
    model
        Name and version of the classifier.
    per_vessel, per_patient
        Probabilities from 0 to 1: LAD, LCX and RCA, and of any.
    interval
        (low, high) of the patient's probability.
    abstained, reason
        Whether the model declines to judge the study, and why, or what limits its judgement.
    explanation
        Vessel -> shape (rings, angles): how much each sample of the stress map contributes to its probability.
    trained_at
        The share of diseased patients among those that the model was calibrated on; None where not known.
    pretest
        Probability before the test at which the probabilities hold; None: `trained_at`.
    """

    model: str
    per_vessel: Mapping[str, float]
    per_patient: float
    interval: tuple[float, float]
    abstained: bool = False
    reason: str | None = None
    explanation: Mapping[str, Float] = field(default_factory=dict)
    trained_at: PretestProbability | None = None
    pretest: PretestProbability | None = None


@dataclass(frozen=True)
class WeightsInfo:
    """The weights behind a result: their name and the SHA-256 of their file."""

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
    """How a report was made: enough to repeat it.

    Attributes
    ----------
    myoperf
        The version.
    weights
        Of every network that was used.
    command
        The command line, without folders.
    seed
        Of all random numbers.
    timings_s, peak_memory_mb
        Stage -> wall seconds, and peak resident memory.
    settings
        Choices that are recorded nowhere else.
    threads
        How many threads there were, which changes the last digits; None where it is not known.
    """

    myoperf: str
    weights: tuple[WeightsInfo, ...] = ()
    command: str = ""
    seed: int | None = None
    timings_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: Mapping[str, float] = field(default_factory=dict)
    settings: Settings | None = None
    threads: int | None = None


@dataclass(frozen=True, eq=False)
class Report:
    """The study and everything measured on it, as `analyze` returns it.

    Parameters
    ----------
    study
        What was analysed.
    results
        One for each scan that could be analysed.
    scores
        Perfusion scores of the study.
    scan_scores
        Name of a scan that the study's scores are not of (prone, corrected for attenuation, repeated) -> its own.
    diagnosis
        None where it was not requested or not possible.
    findings
        About the study as a whole; each scan has its own in `ScanResult.findings`.
    provenance
        How the report was made.
    intervals
        Name of a scan, or ``"scores"`` -> number -> its interval; empty where none were requested. The values of a
        list are numbered from 1: ``"segments_percent.1"``.
    prior
        The study against an earlier result; None where none was given.
    stability
        What other ways of processing give; None where that was not asked for, or the study is not reliable.
    """

    study: Study
    results: tuple[ScanResult, ...]
    scores: Scores
    diagnosis: Diagnosis | None
    findings: tuple[Finding, ...]
    provenance: Provenance
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    scan_scores: Mapping[str, Scores] = field(default_factory=dict)
    prior: PriorComparison | None = None
    stability: Stability | None = None

    def result(self, state: State) -> ScanResult | None:
        """Return the first result of a state, or None."""
        return next((r for r in self.results if r.state == state), None)
