"""A reader's correction: scans measured again in the pose and with the limits of the wall that the reader gave, and
everything after them redone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from myoperf.errors import InputError
from myoperf.lv import LVFit
from myoperf.pipeline.analyze import conclude
from myoperf.pipeline.clock import StageClock
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.scan import (
    LocatedScan,
    ReconstructedScan,
    check_scan,
    locate_ventricle,
    measure_scan,
    orient_scan,
    unroll,
)
from myoperf.pipeline.scan_names import scan_names
from myoperf.threads import in_threads, one_blas_thread
from myoperf.types import Finding, LVFrame, Report, ScanResult, Study, Volume, WallShift
from myoperf.types.finding_kinds.images import VENTRICLE

_OF_IMAGES = ("motion-corrected", "patient-motion", "late-frames-summed")
"""Findings on a scan's image, which a pose does not change."""
_OF_STUDY = ("scan-failed",)
"""Findings of a report that are about scans without a result."""


@dataclass(frozen=True, kw_only=True)
class ScanCorrection:
    """What a reader corrected of one scan.

    Attributes
    ----------
    frame
        The pose; None where it stays as it was measured.
    wall_shift
        How the limits of the wall were moved; None where they stay as measured.
    """

    frame: LVFrame | None = None
    wall_shift: WallShift | None = None


@one_blas_thread()
def correct_scans(
    report: Report,
    corrections: Mapping[str, ScanCorrection],
    models: Models | None = None,
    options: Options | None = None,
    *,
    perfusion_only: bool = False,
    clock: StageClock | None = None,
) -> Report:
    """Measure scans of a report again as a reader corrected them; scans without a correction keep what was measured.

    The images are those of the report: patient motion that was undone stays undone. Numbers of a scan of which the pose
    alone is corrected are those of ``myoperf analyze --frame`` with that pose.

    Parameters
    ----------
    report
        Of `myoperf.analyze`.
    corrections
        Name of a scan -> its pose, its limits of the wall, or both.
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
        Without a correction, or for a scan that is not in the report.
    MyoPerfError
        When a scan cannot be measured in its pose, such as one beside the heart.
    """
    models, options, clock = models or Models(), options or Options(), clock or StageClock()
    names = [result.name for result in report.results]
    unknown = sorted(set(corrections) - set(names))
    if unknown or not corrections:
        given = ", ".join(unknown) or "none"
        raise InputError(f"Corrections are needed for some of the scans {', '.join(names)}; got {given}.")
    if perfusion_only:
        models, options = replace(models, classify=None), replace(options, interval_draws=0)

    def measured(result: ScanResult) -> ScanResult:
        correction = corrections.get(result.name, ScanCorrection())
        if correction.frame is None and correction.wall_shift is None:
            return result
        return _measure_again(report.study, result, correction, models, options, gates=not perfusion_only)

    with clock.stage("quantify", f"{', '.join(corrections)}: measurement of the corrected scans"):
        results = in_threads(measured, report.results)
    failed = tuple(finding for finding in report.findings if finding.code in _OF_STUDY)
    return conclude(report.study, tuple(results), models, options, clock=clock, findings=failed)


def _measure_again(
    study: Study, result: ScanResult, correction: ScanCorrection, models: Models, options: Options, *, gates: bool
) -> ScanResult:
    """Take a scan from its images through all stages with a reader's pose and limits of the wall."""
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
    if correction.frame is None:
        located = LocatedScan(**vars(images), fit=_fit_of(result))
    else:
        located = locate_ventricle(images, models, replace(options, frame=correction.frame))
    if correction.wall_shift is not None:
        located = replace(located, fit=_with_limits(located.fit, correction.wall_shift))
    unrolled = unroll(orient_scan(located, models, options), options)
    measured = measure_scan(unrolled, options, gates=gates)
    checked = (finding for finding in check_scan(unrolled) if finding not in measured.findings)
    return replace(measured, findings=(*measured.findings, *checked))


def _fit_of(result: ScanResult) -> LVFit:
    """Return the ventricle as it was found, with its findings."""
    of_scan = result.scan.findings
    findings = tuple(f for f in result.findings if f.code in VENTRICLE and f not in of_scan)
    return LVFit(result.frame, result.labels, 1.0, findings, rim_mm=result.rim_mm)


def _with_limits(fit: LVFit, shift: WallShift) -> LVFit:
    """Return a ventricle whose wall's limits a reader moved."""
    message = f"The operator moved the limits of the wall, by up to {shift.farthest_mm:.0f} mm."
    note = Finding("limits-given", "info", message)
    return replace(fit, wall_shift=shift, findings=(*fit.findings, note))


def _findings_of_images(result: ScanResult) -> tuple[Finding, ...]:
    """Return the findings on a scan's image that did not come with the scan."""
    return tuple(f for f in result.findings if f.code in _OF_IMAGES and f not in result.scan.findings)
