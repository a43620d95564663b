"""From a study to its report: the stages in their order, on one page."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from myoperf.errors import MyoPerfError
from myoperf.lv import pose_refused
from myoperf.pipeline.anterior import set_anterior
from myoperf.pipeline.attenuation import with_corrected_scans, without_repeated_findings
from myoperf.pipeline.clock import StageClock
from myoperf.pipeline.diagnosis import check_diagnosis, diagnose
from myoperf.pipeline.models import load_models
from myoperf.pipeline.motion import undo_patient_motion
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.other_scans import score_other_scans, with_findings_of_scores
from myoperf.pipeline.prior import compare_prior
from myoperf.pipeline.scan import (
    UnrolledScan,
    check_scan,
    locate_ventricle,
    measure_scan,
    orient_scan,
    reconstruct_scan,
    transfer_uncertain_pose,
    unroll,
)
from myoperf.pipeline.scan_names import scan_names
from myoperf.pipeline.scoring import in_scoring_order, match_limits, score
from myoperf.pipeline.stability import measure_stability
from myoperf.pipeline.territories import territories_name
from myoperf.pipeline.uncertainty import measure_intervals
from myoperf.pipeline.valve import set_bases
from myoperf.threads import in_threads, one_blas_thread, threads
from myoperf.types import Finding, Provenance, Report, ScanResult, Settings, Study
from myoperf.version import __version__

Before = TypeVar("Before")
After = TypeVar("After")


@one_blas_thread()
def analyze(
    study: Study, models: Models | None = None, options: Options | None = None, *, clock: StageClock | None = None
) -> Report:
    """Analyse every scan of a study, score and diagnose the study, and record how.

    This is the whole way from images to numbers; `myoperf.write_report` writes what it returns. Single stages can be
    called alone: `myoperf.reconstruct`, `myoperf.find_lv`, `myoperf.sample_polar_map`, `myoperf.score_perfusion`,
    `myoperf.measure_function`.

    Parameters
    ----------
    study
        One patient's scans.
    models
        What finds the ventricle, what classifies, which normal limits; those of `myoperf.load_models` when None.
        Load them once where several studies are analysed. ``Models()`` needs no weights.
    options
        Settings; the defaults when None.
    clock
        Collects time and memory and announces the stages; one that already measured the reading keeps counting.

    Returns
    -------
    Report
        A result for each scan that could be analysed, the study's scores, diagnosis, findings, intervals and how they
        were made.

    Raises
    ------
    MyoPerfError
        When no scan of the study can be analysed. A scan that fails where another succeeds becomes a finding of the
        study.

    Examples
    --------
    >>> import myoperf
    >>> study = myoperf.read_studies("patient/").studies[0]  # doctest: +SKIP
    >>> report = myoperf.analyze(study)  # doctest: +SKIP
    >>> report.scores.sss, report.results[0].function.lvef_percent  # doctest: +SKIP
    """
    models, options, clock = models or load_models(), options or Options(), clock or StageClock()
    failures: dict[str, MyoPerfError] = {}

    def each(
        stage: str, announced: str, function: Callable[[str, Before], After], scans: Mapping[str, Before]
    ) -> Mapping[str, After]:
        """Run one stage on all scans; one that fails is recorded and left out from there on."""
        with clock.stage(stage, f"{', '.join(scans)}: {announced}"):
            done, failed = attempt_all(function, scans)
        failures.update(failed)
        return done

    def measure(_: str, scan: UnrolledScan) -> ScanResult:
        result = measure_scan(scan, options)
        return replace(result, findings=(*result.findings, *check_scan(scan)))

    scans = dict(zip(scan_names(study.scans), study.scans, strict=True))
    images = each("reconstruct", "reconstruction", lambda name, one: reconstruct_scan(one, options, name=name), scans)
    located = each("orient", "left ventricle", lambda _, one: locate_ventricle(one, models, options), images)
    located = each("orient", "motion", lambda _, one: undo_patient_motion(one, models, options), located)
    with clock.stage("orient"):
        located = transfer_uncertain_pose(located, models, options)
        located = set_bases(set_anterior(located, options), options)
    with clock.stage("reconstruct", "attenuation"):
        located = with_corrected_scans(located, study, models, options)
    oriented = each("segment", "short axis", lambda _, one: orient_scan(one, models, options), located)
    unrolled = each("polar", "polar map", lambda _, one: unroll(one, options), oriented)
    results = without_repeated_findings(each("quantify", "measurement", measure, unrolled))
    if not results:
        raise next(iter(failures.values()))
    return conclude(study, results, models, options, clock=clock, findings=_failed(failures))


def conclude(
    study: Study,
    results: tuple[ScanResult, ...],
    models: Models,
    options: Options,
    *,
    clock: StageClock,
    findings: tuple[Finding, ...] = (),
) -> Report:
    """Score and diagnose a study whose scans are measured, and make its report.

    Parameters
    ----------
    findings
        Of the study, from the stages before.
    """
    with clock.stage("quantify", "perfusion scores"):
        usable = in_scoring_order(_with_possible_pose(results), models.limits)
        limits = match_limits(study, usable, models.limits)
        scores = score(usable, limits, territories=options.territories)
        others = score_other_scans(study, usable, scores, models.limits, territories=options.territories)
        results = with_findings_of_scores(results, scores, others)
        intervals = measure_intervals(usable, scores, limits, models, options, announce=clock.announce)
    diagnosis = None
    if models.classify is not None and usable:
        with clock.stage("diagnose", "diagnosis"):
            diagnosis = diagnose(study, _with_possible_pose(results), models, pretest=options.pretest)
    stability = None
    if options.stability:
        with clock.stage("quantify", "stability"):
            stability = measure_stability(usable, scores, limits, models, options, announce=clock.announce)
    of_scores = (*scores.findings, *others.findings)
    report = Report(
        study=study,
        results=results,
        scores=scores,
        diagnosis=diagnosis,
        findings=(
            *study.findings,
            *models.findings,
            *findings,
            *of_scores,
            *check_diagnosis(diagnosis, scores.verdict),
        ),
        provenance=Provenance(
            myoperf=__version__,
            weights=models.weights,
            command=options.command,
            seed=options.seed,
            timings_s=clock.timings(),
            peak_memory_mb=clock.peaks(),
            threads=threads(),
            settings=Settings(territories_name(options.territories), options.territories, models.engine),
        ),
        intervals=intervals,
        scan_scores=others.scores,
        stability=stability,
    )
    return report if options.prior is None else replace(report, prior=compare_prior(report, options.prior))


def _failed(failures: Mapping[str, MyoPerfError]) -> tuple[Finding, ...]:
    """Return a finding for each scan that could not be analysed."""
    return tuple(Finding("scan-failed", "failure", f"Scan {name}: {error}") for name, error in failures.items())


def _with_possible_pose(results: tuple[ScanResult, ...]) -> tuple[ScanResult, ...]:
    """Return the scans that may be scored: those whose ventricle's pose is not refused."""
    return tuple(result for result in results if not pose_refused(result.findings))


def attempt_all(
    function: Callable[[str, Before], After], scans: Mapping[str, Before]
) -> tuple[Mapping[str, After], Mapping[str, MyoPerfError]]:
    """Run a function of a scan's name and record on all scans at once; return results and failures, in their order."""

    def attempt(named: tuple[str, Before]) -> After | MyoPerfError:
        try:
            return function(*named)
        except MyoPerfError as error:
            return error

    outcomes = dict(zip(scans, in_threads(attempt, list(scans.items())), strict=True))
    failed = {name: one for name, one in outcomes.items() if isinstance(one, MyoPerfError)}
    return {name: one for name, one in outcomes.items() if not isinstance(one, MyoPerfError)}, failed
