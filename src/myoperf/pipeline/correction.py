"""A reader's correction: scans measured again in poses that the reader gave, and everything after them redone."""

from collections.abc import Mapping
from dataclasses import replace

from myoperf.errors import InputError
from myoperf.pipeline.analyze import conclude
from myoperf.pipeline.clock import StageClock
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.scan import ReconstructedScan, check_scan, locate_ventricle, measure_scan, orient_scan, unroll
from myoperf.pipeline.scan_names import scan_names
from myoperf.threads import in_threads, one_blas_thread
from myoperf.types import Finding, LVFrame, Report, ScanResult, Study, Volume

_OF_IMAGES = ("motion-corrected", "patient-motion", "late-frames-summed")
"""Findings on a scan's image, which a pose does not change."""
_OF_STUDY = ("scan-failed",)
"""Findings of a report that are about scans without a result."""


@one_blas_thread()
def correct_poses(
    report: Report,
    frames: Mapping[str, LVFrame],
    models: Models | None = None,
    options: Options | None = None,
    *,
    perfusion_only: bool = False,
    clock: StageClock | None = None,
) -> Report:
    """Measure scans of a report again in given poses; scans without one keep what was measured.

    The images are those of the report: patient motion that was undone stays undone. Numbers of a corrected scan are
    those of ``myoperf analyze --frame`` with its pose.

    Parameters
    ----------
    report
        Of `myoperf.analyze`, or an earlier correction.
    frames
        Name of a scan -> its pose.
    models, options
        As the report was made with; the defaults when None. `options.frame` is not used.
    perfusion_only
        Leave out what takes seconds: function of the corrected scans, intervals and diagnosis. Perfusion numbers are
        the same with and without.
    clock
        Collects time and announces the stages.

    Raises
    ------
    InputError
        Without a pose, or for a scan that is not in the report.
    MyoPerfError
        When a scan cannot be measured in its pose, such as one beside the heart.
    """
    models, options, clock = models or Models(), options or Options(), clock or StageClock()
    names = [result.name for result in report.results]
    unknown = sorted(set(frames) - set(names))
    if unknown or not frames:
        given = ", ".join(unknown) or "none"
        raise InputError(f"Poses are needed for some of the scans {', '.join(names)}; got {given}.")
    if perfusion_only:
        models, options = replace(models, classify=None), replace(options, interval_draws=0)

    def measured(result: ScanResult) -> ScanResult:
        if result.name not in frames:
            return result
        posed = replace(options, frame=frames[result.name])
        return _measure_again(report.study, result, models, posed, gates=not perfusion_only)

    with clock.stage("quantify", f"{', '.join(frames)}: measurement in the corrected pose"):
        results = in_threads(measured, report.results)
    failed = tuple(finding for finding in report.findings if finding.code in _OF_STUDY)
    return conclude(report.study, tuple(results), models, options, clock=clock, findings=failed)


def _measure_again(study: Study, result: ScanResult, models: Models, options: Options, *, gates: bool) -> ScanResult:
    """Take a scan from its images through all stages in the pose of the options."""
    acquired = dict(zip(scan_names(study.scans), study.scans, strict=True)).get(result.name, result.scan)
    image = result.scan.image
    frames = result.gated_volume or (image if isinstance(image, Volume) else result.volume)
    images = ReconstructedScan(
        name=result.name,
        acquired=acquired,
        corrected=result.scan,
        frames=frames,
        summed=result.volume,
        record=result.reconstruction,
        image_findings=_findings_of_images(result),
    )
    unrolled = unroll(orient_scan(locate_ventricle(images, models, options), models, options), options)
    measured = measure_scan(unrolled, options, gates=gates)
    return replace(measured, findings=(*measured.findings, *check_scan(unrolled)))


def _findings_of_images(result: ScanResult) -> tuple[Finding, ...]:
    """Return the findings on a scan's image that did not come with the scan."""
    return tuple(f for f in result.findings if f.code in _OF_IMAGES and f not in result.scan.findings)
