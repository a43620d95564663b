"""One scan through its stages: reconstructed, its ventricle found, turned and labelled, unrolled, measured, checked.

Every stage is a function of the record of the stage before it, so that an operator's correction can enter where it
belongs and everything after it is redone: a pose in place of `locate_ventricle`, other labels or limits of the wall
before `unroll`. `myoperf.pipeline.uncertainty` repeats the same functions on resampled data.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from myoperf.errors import AnalysisError, MyoPerfError
from myoperf.gated import PET_BLUR, SPECT_BLUR, measure_function
from myoperf.geometry import short_axis
from myoperf.lv import LVFit, check_pose, find_lv_like, pose_refused
from myoperf.lv.labels import follow_limits
from myoperf.pipeline.flow import flow_of_scan, summed_volume
from myoperf.pipeline.options import Models, Options
from myoperf.polar import PolarPair, check_rv_side, sample_polar_map, sample_surface, segments_percent
from myoperf.quality import check_quality, check_volume_curve, check_wall, lung_heart_ratio
from myoperf.recon import reconstruct
from myoperf.types import (
    BLOOD_POOL,
    MYOCARDIUM,
    Finding,
    FunctionResult,
    LVFrame,
    Projections,
    ReconstructionRecord,
    Scan,
    ScanResult,
    State,
    Volume,
)
from myoperf.ventricle import fit_surface, move_limits

_UNCERTAIN = ("check-orientation", "pose-implausible")
"""Findings of a pose that is taken from the patient's other scan where that has none."""
_ROUNDS, _REPEATED_ROUNDS = 5, 2
"""Rounds of the gated wall fit; two are enough for the spread of repeated measurements."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ReconstructedScan:
    """A scan and the transaxial volumes that everything after is measured on.

    Attributes
    ----------
    name
        Names the scan in the report and in its files.
    acquired, corrected
        The scan as read, and after patient motion was undone in its raw views; the same where nothing was undone.
    frames
        All gates or time frames; one frame of a static scan.
    summed
        One frame: the sum over gates, or the mean of a dynamic scan's late frames.
    record
        How the scan was reconstructed; None when it was read as a volume.
    image_findings
        On motion correction and on the frames that `summed` holds.
    """

    name: str
    acquired: Scan
    corrected: Scan
    frames: Volume
    summed: Volume
    record: ReconstructionRecord | None
    image_findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class LocatedScan(ReconstructedScan):
    """A scan whose left ventricle is found: `fit` holds pose, labels of `summed` and findings."""

    fit: LVFit


@dataclass(frozen=True, eq=False, kw_only=True)
class OrientedScan(LocatedScan):
    """A scan turned to short axis; `gate_labels` are those of every gate, None where not labelled."""

    short_axis: Volume
    gate_labels: Volume | None = None
    label_findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class UnrolledScan(OrientedScan):
    """A scan with the polar maps of `summed` and the wall surface they were sampled on."""

    maps: PolarPair


@dataclass(frozen=True, eq=False)
class Repetition:
    """A measurement repeated for intervals: what was measured the first time, and the source of random numbers."""

    original: ScanResult
    rng: np.random.Generator


def reconstruct_scan(scan: Scan, options: Options, *, name: str) -> ReconstructedScan:
    """Return a scan's volumes: reconstructed where it holds raw views, else as read."""
    frames, record = scan.image, None
    if isinstance(frames, Projections):
        done = reconstruct(frames, options.recon)
        frames, record = done.volume, done.record
    summed, chosen = summed_volume(scan, frames)
    return ReconstructedScan(
        name=name,
        acquired=scan,
        corrected=scan,
        frames=frames,
        summed=summed,
        record=record,
        image_findings=chosen,
    )


def locate_ventricle(images: ReconstructedScan, models: Models, options: Options) -> LocatedScan:
    """Find and label the left ventricle, and check its pose; where the operator gave the pose, only label it.

    A pose that cannot be right stops the numbers that rest on it (`myoperf.lv.pose_refused`); the operator's does not.
    """
    if options.frame is None:
        fit = models.find_lv(images.summed)
        return LocatedScan(**vars(images), fit=_with_checked_pose(images, fit))
    labels, findings = models.segment_lv(images.summed, options.frame)
    note = Finding("frame-given", "info", "The operator gave the pose of the left ventricle; it was not estimated.")
    return LocatedScan(**vars(images), fit=LVFit(options.frame, labels, 1.0, (note, *findings)))


def _with_checked_pose(images: ReconstructedScan, fit: LVFit) -> LVFit:
    """Add what shape and surroundings say against a pose; slices that are short axis already have no body to ask."""
    transaxial = images.corrected.orientation == "transaxial"
    return replace(fit, findings=(*fit.findings, *check_pose(images.summed, fit, transaxial=transaxial)))


def transfer_uncertain_pose(
    located: Mapping[str, LocatedScan], models: Models, options: Options
) -> Mapping[str, LocatedScan]:
    """If the pose of one of stress and rest is uncertain, transfer the other's by rigid registration.

    Nothing changes where both poses or neither are uncertain, where the operator gave the pose, or where the two scans
    do not match. `located` maps names to scans, as does what is returned.
    """
    states = first_located_of_each_state(located)
    uncertain = [one for one in states.values() if any(f.code in _UNCERTAIN for f in one.fit.findings)]
    if options.frame is not None or len(states) != 2 or len(uncertain) != 1:
        return located
    (target,) = uncertain
    (other,) = (one for one in states.values() if one is not target)
    try:
        fit = find_lv_like(target.summed, other.summed, other.fit, models.segment_lv)
    except AnalysisError:
        return located
    return {**located, target.name: replace(target, fit=_with_checked_pose(target, fit))}


def first_located_of_each_state(located: Mapping[str, LocatedScan]) -> dict[State, LocatedScan]:
    """Return the scans that the study's scores will be of."""
    states: dict[State, LocatedScan] = {}
    for one in located.values():
        if one.corrected.state is not None:
            states.setdefault(one.corrected.state, one)
    return states


def change_fits(
    located: Mapping[str, LocatedScan], options: Options, change: Callable[..., tuple[LVFit, ...]]
) -> Mapping[str, LocatedScan]:
    """Change the ventricles of all scans, those of the scored stress and rest scan together, as they are one heart's.

    Nothing changes where the operator gave the pose. `change` takes (volume, fit) of each scan of a heart and returns
    the fits. `located` maps names to scans, as does what is returned.
    """
    if options.frame is not None:
        return located
    scored = [one.name for one in first_located_of_each_state(located).values()]
    hearts = [scored, *([name] for name in located if name not in scored)]
    fits: dict[str, LVFit] = {}
    for names in hearts:
        fits |= zip(names, change(*((located[name].summed, located[name].fit) for name in names)), strict=True)
    return {name: replace(one, fit=fits[name]) for name, one in located.items()}


def orient_scan(located: LocatedScan, models: Models, options: Options) -> OrientedScan:
    """Turn a scan to short axis and, if requested, label every gate of a gated scan."""
    frame = located.fit.frame
    turned = short_axis(located.summed, frame, spacing_mm=options.slice_mm)
    gates: Volume | None = None
    findings: tuple[Finding, ...] = ()
    if options.gate_labels and located.corrected.framing == "gated" and models.segment_gates is not None:
        try:
            gates = models.segment_gates(located.frames, frame)
        except MyoPerfError as error:
            message = f"The gates could not be labelled one by one: {error}"
            findings = (Finding("gate-labels-failed", "warning", message),)
    return OrientedScan(**vars(located), short_axis=turned, gate_labels=gates, label_findings=findings)


def unroll(oriented: OrientedScan, options: Options) -> UnrolledScan:
    """Unroll the labelled wall of a scan to polar maps; labels follow limits of the wall that a reader moved."""
    fit = oriented.fit
    if fit.wall_shift is not None:
        rim = fit.rim_mm
        before = fit_surface(fit.labels, fit.frame, rings=options.rings, angles=options.angles, rim_mm=rim)
        after = move_limits(before, fit.wall_shift)
        moved = replace(fit, labels=follow_limits(fit.labels, fit.frame, before, after, rim_mm=rim))
        return UnrolledScan(**{**vars(oriented), "fit": moved}, maps=sample_surface(oriented.summed, after))
    maps = sample_polar_map(
        oriented.summed, fit.labels, fit.frame, rings=options.rings, angles=options.angles, rim_mm=fit.rim_mm
    )
    return UnrolledScan(**vars(oriented), maps=maps)


def measure_scan(
    scan: UnrolledScan, options: Options, *, repetition: Repetition | None = None, gates: bool = True
) -> ScanResult:
    """Measure an unrolled scan: segments, volumes, function when it is gated, blood flow when it is dynamic.

    Parameters
    ----------
    repetition
        For intervals. Only what the original has is measured again, with fewer rounds of the gated wall fit, and the
        time-activity curves are resampled.
    gates
        Whether function is measured where the scan is gated; it takes most of the time.

    Returns
    -------
    Function and flow are None where the pose is refused.
    """
    original = repetition.original if repetition else None
    frame, labels, maximum = scan.fit.frame, scan.fit.labels, scan.maps.maximum
    gated = scan.frames if scan.corrected.framing == "gated" else None
    function, flow = None, None
    findings = (*scan.corrected.findings, *scan.fit.findings, *scan.label_findings)
    refused = pose_refused(scan.fit.findings)
    if gates and gated is not None and not refused and (original is None or original.function is not None):
        function, more = _measure_function(scan, gated, repetition)
        findings += more
    if not refused and (original is None or original.flow is not None):
        flow, more = flow_of_scan(
            scan.corrected,
            scan.frames,
            scan.fit,
            scan.maps.surface,
            territories=options.territories,
            rng=repetition.rng if repetition else None,
        )
        findings += more
    return ScanResult(
        name=scan.name,
        scan=scan.corrected,
        volume=scan.summed,
        frame=frame,
        rim_mm=scan.fit.rim_mm,
        wall_shift=scan.fit.wall_shift,
        labels=labels,
        short_axis=scan.short_axis,
        polar=maximum,
        polar_mean=scan.maps.mean,
        segments_percent=segments_percent(maximum),
        myocardium_ml=labels.label_ml(MYOCARDIUM),
        cavity_ml=labels.label_ml(BLOOD_POOL),
        reconstruction=scan.record,
        function=function,
        gated_volume=gated,
        gate_labels=scan.gate_labels,
        flow=flow,
        lung_heart_ratio=_lung_heart_ratio(scan.corrected, frame),
        findings=findings,
    )


def check_scan(scan: UnrolledScan) -> tuple[Finding, ...]:
    """Return findings on the images' quality, for the reader of the numbers."""
    findings = (*scan.image_findings, *check_rv_side(scan.summed, scan.maps.surface))
    fit = scan.fit
    return findings + check_quality(scan.acquired, scan.summed, fit.labels, fit.frame, polar=scan.maps.maximum)


def _measure_function(
    scan: UnrolledScan, gated: Volume, repetition: Repetition | None
) -> tuple[FunctionResult | None, tuple[Finding, ...]]:
    """Measure a gated scan's function; where that fails, return a finding instead.

    A repetition takes the first measurement's thickness, varied by what is not known of it, and needs fewer rounds.
    """
    first = None if repetition is None else repetition.original.function
    wall, thickness = None if first is None else first.wall, None
    if repetition is not None and wall is not None:
        thickness = max(3.0, float(repetition.rng.normal(wall.wall_ed_mm, wall.wall_sd_mm)))
    try:
        function = measure_function(
            gated,
            scan.fit.frame,
            scan.maps.maximum,
            frame_duration_ms=scan.corrected.frame_duration_ms,
            thickness_mm=thickness,
            prior=PET_BLUR if scan.corrected.modality == "PT" else SPECT_BLUR,
            rounds=_ROUNDS if repetition is None else _REPEATED_ROUNDS,
        )
    except MyoPerfError as error:
        return None, (Finding("function-failed", "warning", f"Ventricular function could not be measured: {error}"),)
    findings = check_phase(function) + check_wall(function)
    if function.curve is not None:
        findings += check_volume_curve(function.curve, function.volumes_ml)
    return function, findings


def check_phase(function: FunctionResult) -> tuple[Finding, ...]:
    """Return findings where noise forbids a phase, and where thickening and motion disagree on it."""
    synchrony, findings = function.synchrony, []
    if synchrony is None:
        return ()
    if not synchrony.phase_reliable:
        noise = synchrony.phase_noise_deg
        cause = f"noise leaves {noise:.0f} degrees of it unknown"
        cause = cause if noise > 0 else "there are too few gates to distinguish it from noise"
        if function.curve is not None and not function.curve.beats:
            cause = "the gates show no beat"
        message = (
            f"The phase of contraction cannot be measured here: {cause}. Its SD, bandwidth and entropy are not given; "
            f"the SD without removal of noise is {synchrony.phase_sd_uncorrected_deg:.0f} degrees."
        )
        findings.append(Finding("phase-unreliable", "warning", message))
    if not synchrony.phase_agrees:
        message = (
            "Wall thickening and wall motion give different phases of contraction; the values reported lie between "
            "the two. Check the gated slices."
        )
        findings.append(Finding("phase-disagrees", "warning", message))
    return tuple(findings)


def _lung_heart_ratio(scan: Scan, frame: LVFrame) -> float | None:
    """Return the lung-heart ratio of raw views; None where the heart or the lung lies outside the front view."""
    if isinstance(scan.image, Projections):
        with suppress(AnalysisError):
            return lung_heart_ratio(scan.image, frame.centre_mm)
    return None
