"""What every form of the report reads alike: the findings of the study, and the stages that are timed."""

from myoperf.types import Finding, Report

TIMED_STAGES = ("read", "reconstruct", "orient", "segment", "polar", "quantify", "diagnose", "report", "total")


def findings_of_study(report: Report) -> tuple[Finding, ...]:
    """Return the findings about the study as a whole, each once: those of no scan in particular."""
    everything = (*report.findings, *report.study.findings, *report.scores.findings)
    of_scans = {f for result in report.results for f in result.findings}
    return tuple(f for f in dict.fromkeys(everything) if f not in of_scans)
