"""How far every number of a report would move if the scan were taken again.

Each draw takes the raw views' counts anew from Poisson's distribution, reconstructs, traces the ventricle
again from a pose moved by what noise moves it, and measures and scores as the main job does. Where there are no
raw views only the pose is moved, by an assumed amount. All scans of a study are drawn together, so that
what compares stress and rest has an interval too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from myoperf.errors import AnalysisError, MyoPerfError
from myoperf.gated import measure_function
from myoperf.pipeline.flow import flow_of
from myoperf.pipeline.intervals import interval_of_draws, jitter_frame, resample_counts
from myoperf.pipeline.numbers import end_at_zero, numbers_of_scan, numbers_of_scores
from myoperf.polar import sample_polar_map, segments_percent
from myoperf.quality import lung_heart_ratio
from myoperf.recon import ReconOptions, reconstruct
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import (
    BLOOD_POOL,
    MYOCARDIUM,
    Finding,
    Interval,
    LVFrame,
    Projections,
    Scan,
    ScanResult,
    Scores,
    Volume,
)

__all__ = ["lung_heart_of", "measure_intervals"]

SegmentLV = Callable[[Volume, LVFrame], tuple[Volume, tuple[Finding, ...]]]

_BY_NOISE = {"shift_mm": 0.4, "tilt_deg": 1.0, "valve_mm": 0.5}
"""What noise moves a found pose by (SD), on simulated patients drawn twice; with raw views."""
_ROUNDS = 2


def lung_heart_of(scan: Scan, frame: LVFrame) -> float | None:
    """Give the lung-heart ratio of raw views; None where the heart or the lung lies outside the front view."""
    if isinstance(scan.image, Projections):
        with suppress(AnalysisError):
            return lung_heart_ratio(scan.image, frame.centre_mm)
    return None


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
        name: {key: end_at_zero(key, interval) for key, interval in found.items()}
        for name, found in out.items()
        if found
    }


def _source(result: ScanResult) -> str:
    if isinstance(result.scan.image, Projections):
        return "counts"
    return "outline" if result.flow is None else "outline and residuals"


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
