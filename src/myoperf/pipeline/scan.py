"""One scan: reconstructed, its ventricle found, unrolled and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from myoperf.errors import AnalysisError, MyoPerfError
from myoperf.gated import measure_function
from myoperf.geometry import short_axis
from myoperf.lv import LVFit, find_lv_like
from myoperf.pipeline.clock import StageClock
from myoperf.pipeline.flow import flow_of, still_volume
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.uncertainty import lung_heart_of
from myoperf.polar import check_rv_side, sample_polar_map, segments_percent
from myoperf.quality import check_quality
from myoperf.recon import ReconOptions, check_motion, correct_motion, estimate_motion, reconstruct
from myoperf.types import (
    BLOOD_POOL,
    MYOCARDIUM,
    Finding,
    FunctionResult,
    LVFrame,
    PolarMap,
    Projections,
    Scan,
    ScanResult,
    Volume,
)

__all__ = ["Located", "analyze_scan", "locate_lv", "measure_scan", "settle_doubt"]

_MOVED_MM = 6.4


@dataclass(frozen=True, eq=False)
class Located:
    """A scan whose ventricle is found and labelled.

    Attributes
    ----------
    seen, scan
        As read, and after views were moved back; the same where none was.
    moving, volume
        With all frames, and the still volume that the ventricle was found in.
    record
        How it was reconstructed; None when it came reconstructed.
    fit
        Pose and labels, with what was said of them.
    findings
        Of the frames, and of views that were moved.
    """

    name: str
    seen: Scan
    scan: Scan
    moving: Volume
    volume: Volume
    record: Mapping[str, Any] | None
    fit: LVFit
    findings: tuple[Finding, ...]


def locate_lv(
    scan: Scan,
    models: Models,
    options: Options,
    *,
    name: str,
    clock: StageClock | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Located:
    """Reconstruct one scan and find and label its left ventricle."""
    clock, seen = clock or StageClock(), scan
    progress(f"{name}: reconstruction")
    with clock.stage("reconstruct"):
        scan, moved = _put_back(scan) if options.correct_motion else (scan, ())
        moving, record = transaxial_volume(scan, options.recon)
        volume, said_of_frames = still_volume(scan, moving)
    progress(f"{name}: left ventricle")
    if options.frame is None:
        with clock.stage("orient"):
            fit = models.find_lv(volume)
    else:
        with clock.stage("segment"):
            fit = _labelled(volume, options.frame, models)
    return Located(name, seen, scan, moving, volume, record, fit, (*said_of_frames, *moved))


def settle_doubt(located: Sequence[Located], models: Models, options: Options) -> list[Located]:
    """Take a pose that is in doubt from the patient's other scan, where it was found without doubt.

    Where neither or both are in doubt, where the operator gave the pose, or where the two scans do not match, nothing
    changes.
    """
    states: dict[str, Located] = {}
    for one in located:
        if one.scan.state is not None:
            states.setdefault(one.scan.state, one)
    doubted = [one for one in states.values() if any(f.code == "check-orientation" for f in one.fit.findings)]
    if options.frame is not None or len(states) != 2 or len(doubted) != 1:
        return list(located)
    (other,) = (one for one in states.values() if one is not doubted[0])
    try:
        fit = find_lv_like(doubted[0].volume, other.volume, other.fit, models.segment_lv)
    except AnalysisError:
        return list(located)
    return [replace(one, fit=fit) if one is doubted[0] else one for one in located]


def measure_scan(
    found: Located,
    models: Models,
    options: Options,
    *,
    clock: StageClock | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> ScanResult:
    """Turn, unroll and measure a scan; its function when it is gated, its flow when it is dynamic."""
    clock = clock or StageClock()
    name, scan, volume = found.name, found.scan, found.volume
    frame, labels, findings = found.fit.frame, found.fit.labels, found.fit.findings
    progress(f"{name}: polar map")
    with clock.stage("segment"):
        sliced = short_axis(volume, frame, spacing_mm=options.slice_mm)
    with clock.stage("polar"):
        maps = sample_polar_map(volume, labels, frame, rings=options.rings, angles=options.angles)
    gated = found.moving if scan.framing == "gated" else None
    gates: Volume | None = None
    if gated is not None and options.gate_labels:
        with clock.stage("segment"):
            gates, said = _gate_labels(gated, frame, models)
            findings += said
    function: FunctionResult | None = None
    if gated is not None:
        progress(f"{name}: function")
        with clock.stage("quantify"):
            function, said = _function(scan, gated, frame, labels, maps.maximum)
            findings += said
    with clock.stage("quantify"):
        grid = (options.rings, options.angles)
        flow, said = flow_of(scan, found.moving, frame, labels, grid=grid, territories=options.territories)
        findings += (*said, *found.findings, *check_rv_side(volume, maps.surface))
        if isinstance(found.seen.image, Projections):
            findings += check_motion(found.seen.image)
        findings += check_quality(found.seen, volume, labels, frame, polar=maps.maximum)
    return ScanResult(
        name=name,
        scan=scan,
        volume=volume,
        frame=frame,
        labels=labels,
        short_axis=sliced,
        polar=maps.maximum,
        polar_mean=maps.mean,
        segments_percent=segments_percent(maps.maximum),
        myocardium_ml=labels.label_ml(MYOCARDIUM),
        cavity_ml=labels.label_ml(BLOOD_POOL),
        reconstruction=found.record,
        function=function,
        gated_volume=gated,
        gate_labels=gates,
        flow=flow,
        lung_heart_ratio=lung_heart_of(scan, frame),
        findings=(*scan.findings, *findings),
    )


def analyze_scan(scan: Scan, models: Models, options: Options, *, name: str = "scan") -> ScanResult:
    """Reconstruct, orient, segment, unroll and measure one scan by itself."""
    return measure_scan(locate_lv(scan, models, options, name=name), models, options)


def _labelled(volume: Volume, frame: LVFrame, models: Models) -> LVFit:
    """Label the ventricle in the operator's frame."""
    labels, findings = models.segment_lv(volume, frame)
    note = Finding("frame-given", "info", "The operator gave the frame of the left ventricle; nothing was estimated.")
    return LVFit(frame, labels, 1.0, (note, *findings))


def transaxial_volume(scan: Scan, recon: ReconOptions) -> tuple[Volume, Mapping[str, Any] | None]:
    """Give the scan's volume: reconstructed when raw (with the record of how), else as it was read."""
    if isinstance(scan.image, Projections):
        done = reconstruct(scan.image, recon)
        return done.volume, done.record
    return scan.image, None


def _put_back(scan: Scan) -> tuple[Scan, tuple[Finding, ...]]:
    """Move raw views back to where most of them lie, where the patient moved by a pixel or more."""
    if not isinstance(scan.image, Projections) or scan.image.views < 12:
        return scan, ()
    motion = estimate_motion(scan.image)
    if motion.largest_mm < _MOVED_MM:
        return scan, ()
    count = int((np.abs(motion.shift_mm).max(axis=1) > 0).sum())
    message = (
        f"{count} of {scan.image.views} views were moved by up to {motion.largest_mm:.0f} mm to undo the patient's "
        "movement; everything here is from the corrected views."
    )
    return replace(scan, image=correct_motion(scan.image, motion)), (Finding("motion-corrected", "info", message),)


def _gate_labels(gated: Volume, frame: LVFrame, models: Models) -> tuple[Volume | None, tuple[Finding, ...]]:
    """Label every gate in the summed volume's frame; where that fails, say so and go on."""
    if models.segment_gates is None:
        return None, ()
    try:
        return models.segment_gates(gated, frame), ()
    except MyoPerfError as error:
        return None, (Finding("gate-labels-failed", "warning", f"The gates were not labelled one by one: {error}"),)


def _function(
    scan: Scan, gated: Volume, frame: LVFrame, labels: Volume, polar: PolarMap
) -> tuple[FunctionResult | None, tuple[Finding, ...]]:
    """Measure a gated scan's function; where that fails, say so and go on."""
    try:
        function = measure_function(gated, frame, labels, polar, frame_duration_ms=scan.frame_duration_ms)
        return function, _phase_doubt(function)
    except MyoPerfError as error:
        return None, (Finding("function-failed", "warning", f"Ventricular function was not measured: {error}"),)


def _phase_doubt(function: FunctionResult) -> tuple[Finding, ...]:
    """Say where the phase is mostly noise, and where thickness and motion tell two phases."""
    found = []
    if not function.more["phase_reliable"]:
        noise = float(function.more["phase_noise_deg"])
        cause = f"noise alone spreads it by {noise:.0f} degrees"
        cause = cause if noise > 0 else "its noise cannot be told from so few gates"
        message = f"The phase of contraction is not to be trusted here: {cause}. Do not read its SD, bandwidth or map."
        found.append(Finding("phase-unreliable", "warning", message))
    if not function.more["phase_agrees"]:
        message = "Thickening and motion of the wall tell different phases; what is shown lies between them."
        found.append(Finding("phase-disagrees", "warning", message + " Look at the gated slices."))
    return tuple(found)
