"""From a study to its report: the stages in their order, on one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from myoperf import __version__
from myoperf.errors import InputError, MyoPerfError
from myoperf.geometry import short_axis
from myoperf.lv import LVFit, find_lv, segment_lv
from myoperf.pipeline.clock import StageClock
from myoperf.pipeline.doubt import lung_heart_of, measure_intervals
from myoperf.pipeline.flow import flow_of, still_volume, with_reserve
from myoperf.pipeline.territories import territories_record
from myoperf.polar import check_rv_side, register_polar, sample_polar_map, segments_percent
from myoperf.quant import (
    NormalLimits,
    check_quality,
    choose_limits,
    correct_motion,
    estimate_motion,
    measure_function,
    score_perfusion,
    shipped_limits,
    static_cavities_ml,
    tid_ratio,
)
from myoperf.recon import ReconOptions, reconstruct
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import (
    BLOOD_POOL,
    MYOCARDIUM,
    Diagnosis,
    Finding,
    FunctionResult,
    Interval,
    LVFrame,
    PolarMap,
    Projections,
    Provenance,
    Report,
    Scan,
    ScanResult,
    Scores,
    State,
    Study,
    Volume,
    WeightsInfo,
)

__all__ = ["Models", "Options", "analyze", "analyze_scan"]

_MOVED_MM = 6.4


@dataclass(frozen=True)
class Models:
    """What the main job may call; the defaults need no weights.

    Parameters
    ----------
    find_lv
        Finds and labels the left ventricle in a transaxial volume.
    segment_lv
        Labels the left ventricle in a frame that the operator gave.
    segment_gates
        Labels every gate of a gated volume in the frame of its sum, or None where nothing can.
    classify
        Gives the diagnosis from the scans' results and the study, or None for no classifier.
    limits
        Normal limits to choose from.
    weights
        Names and hashes of the weights behind the functions.
    engine
        How the network is run (it changes the last digits): see `myoperf.lv.engine`; None without a network.
    """

    find_lv: Callable[[Volume], LVFit] = find_lv
    segment_lv: Callable[[Volume, LVFrame], tuple[Volume, tuple[Finding, ...]]] = segment_lv
    segment_gates: Callable[[Volume, LVFrame], Volume] | None = None
    classify: Callable[[Study, Sequence[ScanResult]], Diagnosis | None] | None = None
    limits: tuple[NormalLimits, ...] = field(default_factory=shipped_limits)
    weights: tuple[WeightsInfo, ...] = ()
    engine: str | None = None


@dataclass(frozen=True)
class Options:
    """How to run the main job.

    Parameters
    ----------
    recon
        Reconstruction of raw projections.
    frame
        The operator's frame; it wins over any estimate, for every scan.
    rings, angles
        Grid of the polar map.
    slice_mm
        Voxel size of the short-axis volume.
    territories
        Which of the 17 segments belong to which vessel.
    interval_draws
        How often the study is measured anew for the intervals (see `myoperf.pipeline.doubt`): 0 for none, else 3 or
        more. Five know an SD to a third, and Student's quantile makes up for it; 20 are for research.
    gate_labels
        Whether the gates of a gated scan are labelled one by one.
    correct_motion
        Whether views between which the patient moved by 6.4 mm or more are put back before reconstruction.
    """

    recon: ReconOptions = field(default_factory=ReconOptions)
    frame: LVFrame | None = None
    rings: int = 24
    angles: int = 72
    slice_mm: float = 4.0
    territories: Territories = field(default_factory=lambda: TERRITORIES)
    interval_draws: int = 5
    gate_labels: bool = False
    correct_motion: bool = True
    command: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.interval_draws < 0 or self.interval_draws in (1, 2):
            raise InputError(f"Intervals need 3 draws or more, or 0 for none; got {self.interval_draws}.")


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
    results: list[ScanResult] = []
    failed: list[tuple[str, MyoPerfError]] = []
    for name, scan in zip(_scan_names(study.scans), study.scans, strict=True):
        try:
            results.append(analyze_scan(scan, models, options, name=name, clock=clock, progress=progress))
        except MyoPerfError as error:
            failed.append((name, error))
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


def analyze_scan(
    scan: Scan,
    models: Models,
    options: Options,
    *,
    name: str,
    clock: StageClock | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> ScanResult:
    """Reconstruct, orient, segment and unroll one scan; measure its function when it is gated."""
    clock = clock or StageClock()
    progress(f"{name}: reconstruction")
    with clock.stage("reconstruct"):
        seen = scan
        scan, moved = _put_back(scan) if options.correct_motion else (scan, ())
        moving, record = transaxial_volume(scan, options.recon)
        volume, said_of_frames = still_volume(scan, moving)
    progress(f"{name}: left ventricle")
    with clock.stage("orient"):
        fit = models.find_lv(volume) if options.frame is None else None
    with clock.stage("segment"):
        frame, labels, findings = _located(volume, fit, options.frame, models)
        sliced = short_axis(volume, frame, spacing_mm=options.slice_mm)
    progress(f"{name}: polar map")
    with clock.stage("polar"):
        maps = sample_polar_map(volume, labels, frame, rings=options.rings, angles=options.angles)
    gated = moving if scan.framing == "gated" else None
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
        flow, said = flow_of(scan, moving, frame, labels, grid=grid, territories=options.territories)
        findings += (*said_of_frames, *said, *moved, *check_rv_side(volume, maps.surface))
        findings += check_quality(seen, volume, labels, frame, polar=maps.maximum)
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
        reconstruction=record,
        function=function,
        gated_volume=gated,
        gate_labels=gates,
        flow=flow,
        lung_heart_ratio=lung_heart_of(scan, frame),
        findings=(*scan.findings, *findings),
    )


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


def transaxial_volume(scan: Scan, recon: ReconOptions) -> tuple[Volume, Mapping[str, Any] | None]:
    """Give the scan's volume: reconstructed when raw (with the record of how), else as it was read."""
    if isinstance(scan.image, Projections):
        done = reconstruct(scan.image, recon)
        return done.volume, done.record
    return scan.image, None


def score(
    study: Study,
    results: Sequence[ScanResult],
    available: tuple[NormalLimits, ...],
    *,
    territories: Territories = TERRITORIES,
) -> Scores:
    """Score stress and rest against the nearest normal limits, with the cavity ratio of the two."""
    by_state: dict[State, ScanResult] = {}
    for result in results:
        if result.state is not None:
            by_state.setdefault(result.state, result)
    stress, rest = by_state.get("stress"), by_state.get("rest")
    limits: dict[State, NormalLimits | None] = {}
    findings: tuple[Finding, ...] = ()
    for state, result in by_state.items():
        limits[state], said = choose_limits(
            available,
            sex=study.sex,
            tracer=result.scan.tracer,
            state=state,
            camera=result.scan.camera,
            modality=result.scan.modality,
        )
        findings += said
    rest_polar, said = _in_step(stress, rest)
    findings += said
    scores = score_perfusion(
        stress.polar if stress else None,
        rest_polar,
        stress_limits=limits.get("stress"),
        rest_limits=limits.get("rest"),
        territories=territories,
    )
    ratio = _dilation(stress, rest) if stress and rest else None
    return with_reserve(replace(scores, tid_ratio=ratio, findings=(*scores.findings, *findings)), results)


def _in_step(stress: ScanResult | None, rest: ScanResult | None) -> tuple[PolarMap | None, tuple[Finding, ...]]:
    """Turn the rest map by the few degrees that bring it into step with stress, and say so."""
    if stress is None or rest is None or stress.polar.values.shape != rest.polar.values.shape:
        return (rest.polar if rest else None), ()
    found = register_polar(stress.polar, rest.polar)
    if found.shift_deg == 0.0:
        return rest.polar, ()
    text = f"For scoring, the rest map was turned by {found.shift_deg:+.0f} degrees to match stress."
    return found.polar, (Finding("rest-turned", "info", text),)


def _dilation(stress: ScanResult, rest: ScanResult) -> float | None:
    """Compare the two cavities by a model wall; by the labels where the model cannot be fitted to both."""
    try:
        return tid_ratio(*static_cavities_ml([(r.volume, r.frame, r.polar) for r in (stress, rest)]))
    except MyoPerfError:
        return tid_ratio(stress.cavity_ml, rest.cavity_ml)


def _located(
    volume: Volume, fit: LVFit | None, given: LVFrame | None, models: Models
) -> tuple[LVFrame, Volume, tuple[Finding, ...]]:
    """Take the operator's frame where there is one, else the fit."""
    if given is None:
        assert fit is not None
        return fit.frame, fit.labels, fit.findings
    labels, findings = models.segment_lv(volume, given)
    note = Finding("frame-given", "info", "The operator gave the frame of the left ventricle; nothing was estimated.")
    return given, labels, (note, *findings)


def _scan_names(scans: Sequence[Scan]) -> tuple[str, ...]:
    """Name scans by state; the second of a state and one of unknown state become scan-N (N from 1)."""
    names: list[str] = []
    for number, scan in enumerate(scans, start=1):
        free = scan.state is not None and scan.state not in names
        names.append(str(scan.state) if free else f"scan-{number}")
    return tuple(names)
