"""From a study to its report: the stages in their order, on one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from myoperf import __version__
from myoperf.errors import MyoPerfError
from myoperf.pipeline.clock import StageClock
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.scan import Located, locate_lv, measure_scan, settle_doubt
from myoperf.pipeline.scoring import score
from myoperf.pipeline.territories import territories_record
from myoperf.pipeline.uncertainty import measure_intervals
from myoperf.types import Finding, Interval, Provenance, Report, Scan, ScanResult, Scores, Study

__all__ = ["analyze"]


def analyze(
    study: Study,
    models: Models,
    options: Options | None = None,
    *,
    clock: StageClock | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Analyse every scan of a study, score it and say how it was done.

    Parameters
    ----------
    study
        One patient's scans.
    models
        What finds the ventricle, what classifies, which normal limits.
    options
        Settings; the defaults when None.
    clock
        Collects time and memory; one that already measured the reading goes on counting.
    progress
        Called with a short text before every stage.

    Raises
    ------
    MyoPerfError
        When no scan of the study could be analysed; a scan that fails beside one that does not
        becomes a finding of the study.
    """
    options = options or Options()
    clock = clock or StageClock()
    located: list[Located] = []
    results: list[ScanResult] = []
    failed: list[tuple[str, MyoPerfError]] = []
    for name, scan in zip(_scan_names(study.scans), study.scans, strict=True):
        try:
            located.append(locate_lv(scan, models, options, name=name, clock=clock, progress=progress))
        except MyoPerfError as error:
            failed.append((name, error))
    with clock.stage("orient"):
        located = settle_doubt(located, models, options)
    for found in located:
        try:
            results.append(measure_scan(found, models, options, clock=clock, progress=progress))
        except MyoPerfError as error:
            failed.append((found.name, error))
    if not results:
        raise failed[0][1]
    progress("perfusion scores")
    with clock.stage("quantify"):
        scores = score(study, results, models.limits, territories=options.territories)
        intervals = _intervals(study, results, scores, models, options, progress)
    diagnosis = None
    if models.classify is not None:
        progress("diagnosis")
        with clock.stage("diagnose"):
            diagnosis = models.classify(study, results)
    doubt: tuple[Finding, ...] = ()
    if diagnosis is not None and diagnosis.reason:
        simulated = Finding("diagnosis-simulated", "info", diagnosis.reason)
        doubt = (Finding("diagnosis-doubt", "warning", diagnosis.reason) if diagnosis.abstained else simulated,)
    findings = tuple(Finding("scan-failed", "failure", f"Scan {name}: {error}") for name, error in failed)
    return Report(
        study=study,
        results=tuple(results),
        scores=scores,
        diagnosis=diagnosis,
        findings=(*study.findings, *findings, *scores.findings, *doubt),
        provenance=Provenance(
            myoperf=__version__,
            weights=models.weights,
            command=options.command,
            seed=options.seed,
            timings_s=clock.timings(),
            peak_memory_mb=clock.peaks(),
            settings={"territories": territories_record(options.territories), "engine": models.engine},
        ),
        intervals=intervals,
    )


def _intervals(
    study: Study,
    results: Sequence[ScanResult],
    scores: Scores,
    models: Models,
    options: Options,
    progress: Callable[[str], None],
) -> Mapping[str, Mapping[str, Interval]]:
    """Measure the study anew as often as asked for."""
    if options.interval_draws == 0:
        return {}
    return measure_intervals(
        results,
        scores,
        rescore=lambda again: score(study, again, models.limits, territories=options.territories),
        segment=models.segment_lv,
        recon=options.recon,
        territories=options.territories,
        draws=options.interval_draws,
        seed=options.seed or 0,
        progress=progress,
    )


def _scan_names(scans: Sequence[Scan]) -> tuple[str, ...]:
    """Name scans by state; the second of a state and one of unknown state become scan-N (N from 1)."""
    names: list[str] = []
    for number, scan in enumerate(scans, start=1):
        free = scan.state is not None and scan.state not in names
        names.append(str(scan.state) if free else f"scan-{number}")
    return tuple(names)
