"""How far every number of a report would move if the scan were taken again.

Each draw takes the raw views' counts anew from Poisson's distribution, reconstructs, traces the ventricle
again from a pose moved by what noise moves it, and measures and scores as the main job does. Where there are no
raw views only the pose is moved, by an assumed amount. All scans of a study are drawn together, so that
what compares stress and rest has an interval too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np

from myoperf.errors import AnalysisError, MyoPerfError
from myoperf.gated import measure_function
from myoperf.pipeline.flow import flow_of
from myoperf.pipeline.intervals import interval_of_draws, jitter_frame, resample_counts
from myoperf.polar import sample_polar_map, segments_percent
from myoperf.quality import lung_heart_ratio
from myoperf.recon import ReconOptions, reconstruct
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import (
    BLOOD_POOL,
    MYOCARDIUM,
    Finding,
    FlowResult,
    Interval,
    LVFrame,
    Projections,
    Scan,
    ScanResult,
    Scores,
    Volume,
)

__all__ = ["FLOW_LISTS", "lung_heart_of", "measure_intervals", "numbers_of_scan", "numbers_of_scores"]

SegmentLV = Callable[[Volume, LVFrame], tuple[Volume, tuple[Finding, ...]]]

_BY_NOISE = {"shift_mm": 0.4, "tilt_deg": 1.0, "valve_mm": 0.5}
"""What noise moves a found pose by (SD), on simulated patients drawn twice; with raw views."""
_ROUNDS = 2
_SEGMENT_LISTS = ("thickening_percent", "motion_mm", "phase_segments_deg")
_SIGNED = (
    "thickening_percent",
    "motion_mm",
    "phase_segments_deg",
    "phase_mean_deg",
    "phase_skewness",
    "phase_kurtosis",
)
"""Numbers that may be negative; the intervals of all others end at 0."""
_SCORES = ("sss", "srs", "sds", "tpd_stress_percent", "tpd_rest_percent", "tpd_ischemic_percent", "tid_ratio")
_MORE_SCORES = (
    "stress_extent_percent",
    "rest_extent_percent",
    "stress_mean_severity",
    "rest_mean_severity",
    "stress_percent_myocardium",
    "rest_percent_myocardium",
    "ischemic_percent_myocardium",
    "reversible_share_percent",
    "sss_20",
    "srs_20",
)
FLOW_LISTS = ("mbf_ml_min_g", "k1_ml_min_g", "k2_per_min", "spill_lv", "spill_rv")
"""Numbers of every segment of a dynamic scan that have intervals."""


def numbers_of_scan(result: ScanResult) -> dict[str, float]:
    """Name every number of a scan; those of a list are numbered from 1."""
    out = {"myocardium_ml": result.myocardium_ml, "cavity_ml": result.cavity_ml}
    out |= _listed("segments_percent", result.segments_percent)
    if result.lung_heart_ratio is not None:
        out["lung_heart_ratio"] = result.lung_heart_ratio
    if result.flow is not None:
        out |= _flow_numbers(result.flow)
    function = result.function
    if function is not None:
        named = ("edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg", "phase_bandwidth_deg", "phase_entropy_percent")
        out |= {name: float(getattr(function, name)) for name in named if getattr(function, name) is not None}
        out |= _listed("volumes_ml", function.volumes_ml)
        for name, value in function.more.items():
            if isinstance(value, float | int | np.number) and not isinstance(value, bool):
                out[name] = float(value)
            elif name in _SEGMENT_LISTS:
                out |= _listed(name, value)
    return out


def lung_heart_of(scan: Scan, frame: LVFrame) -> float | None:
    """Give the lung-heart ratio of raw views; None where the heart or the lung lies outside the front view."""
    if isinstance(scan.image, Projections):
        with suppress(AnalysisError):
            return lung_heart_ratio(scan.image, frame.centre_mm)
    return None


def _flow_numbers(flow: FlowResult) -> dict[str, float]:
    """Name the numbers of a dynamic scan: ``flow.mbf_ml_min_g.1`` ..., ``flow.LAD``, ``flow.global``."""
    out = {f"flow.{name}": value for name, value in flow.territories_ml_min_g.items()}
    for name in FLOW_LISTS:
        out |= _listed(f"flow.{name}", getattr(flow, name))
    return out


def numbers_of_scores(scores: Scores) -> dict[str, float]:
    """Name every score of a study; territories as ``LAD.sss``."""
    out = {name: float(getattr(scores, name)) for name in _SCORES if getattr(scores, name) is not None}
    for vessel, territory in scores.territories.items():
        out |= {f"{vessel}.{name}": float(value) for name, value in asdict(territory).items() if value is not None}
    out |= {name: float(scores.more[name]) for name in _MORE_SCORES if scores.more.get(name) is not None}
    for name, value in scores.more.get("flow_reserve", {}).items():
        out |= _listed("flow_reserve", value) if name == "segments" else {f"flow_reserve.{name}": float(value)}
    return out


def measure_intervals(
    results: Sequence[ScanResult],
    scores: Scores,
    *,
    rescore: Callable[[Sequence[ScanResult]], Scores],
    segment: SegmentLV,
    recon: ReconOptions,
    territories: Territories = TERRITORIES,
    draws: int,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Mapping[str, Interval]]:
    """Repeat the measurement of a study and give the interval of every number.

    Parameters
    ----------
    results, scores
        Of the study as it is.
    rescore
        Scores a draw's results as the study's were.
    segment
        Labels the ventricle in a given pose.
    recon
        As the study was reconstructed.
    territories
        Whose segments a vessel's flow is averaged over.
    draws
        3 or more; n draws know an SD to about 1 / sqrt(2 (n - 1)).

    Returns
    -------
    Scan's name and ``"scores"`` -> number -> interval; empty where no draw could be measured.
    """
    rng = np.random.default_rng([20261, seed])
    seen: dict[str, list[dict[str, float]]] = {result.name: [] for result in results}
    scored: list[dict[str, float]] = []
    for draw in range(draws):
        progress(f"intervals: draw {draw + 1} of {draws}")
        try:
            again = [_again(result, segment, recon, territories, rng) for result in results]
        except MyoPerfError:
            continue
        for result in again:
            seen[result.name].append(numbers_of_scan(result))
        scored.append(numbers_of_scores(rescore(again)))
    out = {
        result.name: interval_of_draws(numbers_of_scan(result), seen[result.name], source=_source(result))
        for result in results
    }
    sources = sorted({_source(result) for result in results})
    out["scores"] = interval_of_draws(numbers_of_scores(scores), scored, source=" and ".join(sources))
    return {
        name: {key: _within_reach(key, interval) for key, interval in found.items()}
        for name, found in out.items()
        if found
    }


def _within_reach(name: str, interval: Interval) -> Interval:
    """End the interval of a number that cannot be negative at 0."""
    signed = name.rpartition(".")[0] in _SIGNED or name in _SIGNED
    return interval if signed or interval.value < 0 else replace(interval, low=max(interval.low, 0.0))


def _source(result: ScanResult) -> str:
    if isinstance(result.scan.image, Projections):
        return "counts"
    return "outline" if result.flow is None else "outline and residuals"


def _listed(
    name: str, values: Sequence[float] | np.ndarray[tuple[int, ...], np.dtype[np.floating]]
) -> dict[str, float]:
    return {f"{name}.{i}": float(value) for i, value in enumerate(values, start=1)}


def _again(
    result: ScanResult, segment: SegmentLV, recon: ReconOptions, territories: Territories, rng: np.random.Generator
) -> ScanResult:
    """Measure one scan on counts, and from a pose, drawn anew."""
    scan, image = result.scan, result.scan.image
    if isinstance(image, Projections):
        image = resample_counts(image, rng)
        scan = replace(scan, image=image)
        moving = reconstruct(image, recon).volume
        volume = moving.summed()
        frame = jitter_frame(result.frame, rng, **_BY_NOISE)
    else:
        moving, volume = image, result.volume
        frame = jitter_frame(result.frame, rng)
    labels, _ = segment(volume, frame)
    maps = sample_polar_map(volume, labels, frame, rings=result.polar.rings, angles=result.polar.angles)
    function = None
    if result.function is not None:
        lengths = scan.frame_duration_ms
        function = measure_function(moving, frame, labels, maps.maximum, frame_duration_ms=lengths, rounds=_ROUNDS)
    flow = None
    if result.flow is not None:
        grid = (result.polar.rings, result.polar.angles)
        flow, _ = flow_of(scan, moving, frame, labels, grid=grid, territories=territories, rng=rng)
    return replace(
        result,
        scan=scan,
        volume=volume,
        frame=frame,
        labels=labels,
        polar=maps.maximum,
        polar_mean=maps.mean,
        segments_percent=segments_percent(maps.maximum),
        myocardium_ml=labels.label_ml(MYOCARDIUM),
        cavity_ml=labels.label_ml(BLOOD_POOL),
        function=function,
        flow=flow,
        lung_heart_ratio=lung_heart_of(scan, frame),
    )
