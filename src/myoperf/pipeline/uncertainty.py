"""How far every number of a report would move if the scan were taken again.

A study is analysed a few times more on resampled data, by the same functions as the main job; the spread of each number
gives its interval. Raw views are resampled from Poisson's distribution and reconstructed, and the ventricle is labelled
in a pose shifted by what noise shifts it. Where there are no raw views only the pose is varied, by an assumed amount.
All scans of a study are resampled together, so that what compares stress and rest has an interval too. What no
repetition shows is added by `myoperf.pipeline.systematic`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from myoperf.errors import InputError, MyoPerfError
from myoperf.lv import LVFit
from myoperf.lv.labels import cut_at_rim
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.scan import OrientedScan, Repetition, measure_scan, unroll
from myoperf.pipeline.scoring import MatchedLimits, score
from myoperf.pipeline.systematic import add_systematic_errors
from myoperf.quantities import numbers_of_scan, numbers_of_scores, within_range
from myoperf.recon import reconstruct
from myoperf.threads import in_threads
from myoperf.types import Interval, LVFrame, Projections, Scan, ScanResult, Scores, Volume

Numbers = Mapping[str, float]

_FEWEST = 3
"""Draws below which no interval is given."""
_MOST_BYTES = 200_000_000
"""Memory for the images of draws that are worked on at once."""
_STREAM = 20261
"""Keeps the random numbers of intervals apart from others of the same seed."""


@dataclass(frozen=True, kw_only=True)
class PoseSpread:
    """By how much a pose varies (standard deviations).

    Attributes
    ----------
    shift_mm
        Of apex and base together, along each axis.
    tilt_deg
        Of the long axis in two directions, and of the rotation about it.
    valve_mm
        Of the base along the long axis.
    """

    shift_mm: float = 2.0
    tilt_deg: float = 3.0
    valve_mm: float = 3.0


ASSUMED_SPREAD = PoseSpread()
"""How well a pose is taken to be known where there are no raw views: an assumption, not a measurement."""
NOISE_SPREAD = PoseSpread(shift_mm=0.4, tilt_deg=1.0, valve_mm=0.5)
"""What noise does to an estimated pose, measured on simulated patients acquired twice; used with raw views."""


def measure_intervals(
    results: Sequence[ScanResult],
    scores: Scores,
    limits: MatchedLimits,
    models: Models,
    options: Options,
    *,
    announce: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Mapping[str, Interval]]:
    """Repeat the analysis on resampled data to get an interval for every number.

    Parameters
    ----------
    results, scores, limits
        Of the study itself.
    options
        As the study was analysed with. `interval_draws` n know a standard deviation to about 1 / sqrt(2 (n - 1)); with
        0 nothing is done.
    announce
        Called with a short text as each part starts.

    Returns
    -------
    Name of a scan, or ``"scores"`` -> name of a number -> interval; empty where fewer than three draws succeeded.
    """
    if not results:
        return {}
    rng = np.random.default_rng([_STREAM, options.seed or 0])
    drawn: dict[str, list[Numbers]] = {result.name: [] for result in results}
    drawn_scores: list[Numbers] = []
    left = options.interval_draws
    while left > 0:
        count = min(left, _draws_at_once(results))
        left -= count
        draws = _repeat([*results] * count, models, options, rng, announce)
        complete = [draw for draw in zip(*[iter(draws)] * len(results), strict=True) if None not in draw]
        repeated = [[result for result in draw if result is not None] for draw in complete]
        scored = in_threads(lambda draw: score(draw, limits, territories=options.territories), repeated)
        for draw, draw_scores in zip(repeated, scored, strict=True):
            for result in draw:
                drawn[result.name].append(numbers_of_scan(result))
            drawn_scores.append(numbers_of_scores(draw_scores))
    intervals = {
        result.name: add_systematic_errors(
            interval_of_draws(numbers_of_scan(result), drawn[result.name], source=_source(result)), result
        )
        for result in results
    }
    sources = sorted({_source(result) for result in results})
    intervals["scores"] = interval_of_draws(numbers_of_scores(scores), drawn_scores, source=" and ".join(sources))
    return {
        name: {key: within_range(key, interval) for key, interval in of_scan.items()}
        for name, of_scan in intervals.items()
        if of_scan
    }


def _source(result: ScanResult) -> str:
    """Return what is resampled for a scan's intervals."""
    if isinstance(result.scan.image, Projections):
        return "counts"
    return "outline" if result.flow is None else "outline and residuals"


def _draws_at_once(results: Sequence[ScanResult]) -> int:
    """Return how many draws of a study fit into the memory given to them: their raw views and reconstructed frames."""
    needed = 0
    for result in results:
        image = result.scan.image
        if isinstance(image, Projections):
            needed += image.array.size * 4 + image.frames * result.volume.array.size * 4
    return max(1, _MOST_BYTES // max(needed, 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Draw:
    """One scan's counts and pose, drawn again: `scan` holds raw views, or what was read and does not change."""

    original: ScanResult
    scan: Scan
    frame: LVFrame
    rng: np.random.Generator


def _repeat(
    results: Sequence[ScanResult],
    models: Models,
    options: Options,
    rng: np.random.Generator,
    announce: Callable[[str], None],
) -> list[ScanResult | None]:
    """Measure every scan of a list again, on counts and in a pose of its own; None for one that fails.

    All scans are reconstructed at once, labelled by the network in one batch, and measured at once. Time-activity
    curves are resampled while they are measured: with them the list is taken one by one, which keeps the random
    numbers' order.
    """
    if len(results) > 1 and any(result.flow is not None for result in results):
        return [again for result in results for again in _repeat([result], models, options, rng, announce)]
    announce("intervals: reconstruction")
    try:
        draws = [_draw(result, rng) for result in results]
        images = in_threads(lambda draw: images_of_draw(draw, options), draws)
    except MyoPerfError:  # views that are not counts: no draw of them can succeed
        return [None] * len(results)
    announce("intervals: left ventricle")
    labels = models.label([(summed, draw.frame) for draw, (_, summed) in zip(draws, images, strict=True)])
    announce("intervals: measurement")

    def measure(case: tuple[Draw, tuple[Volume, Volume], Volume | None]) -> ScanResult | None:
        draw, (frames, summed), found = case
        return None if found is None else measure_draw(draw, frames, summed, found, options)

    return in_threads(measure, list(zip(draws, images, labels, strict=True)))


def _draw(result: ScanResult, rng: np.random.Generator) -> Draw:
    """Resample a scan's counts, where it has raw views, and vary its pose."""
    scan, spread = result.scan, ASSUMED_SPREAD
    if isinstance(scan.image, Projections):
        scan, spread = replace(scan, image=resample_views(scan.image, rng)), NOISE_SPREAD
    return Draw(original=result, scan=scan, frame=jitter_frame(result.frame, rng, spread), rng=rng)


def images_of_draw(draw: Draw, options: Options) -> tuple[Volume, Volume]:
    """Return a drawn scan's frames and their sum; volumes that were read do not change from draw to draw."""
    frames = draw.scan.image
    if isinstance(frames, Projections):
        frames = reconstruct(frames, options.recon).volume
        return frames, frames.summed()
    return frames, draw.original.volume


def measure_draw(draw: Draw, frames: Volume, summed: Volume, labels: Volume, options: Options) -> ScanResult | None:
    """Measure a drawn scan by the main job's functions; None where that fails. The short axis stays the original's."""
    original = draw.original
    oriented = OrientedScan(
        name=original.name,
        acquired=draw.scan,
        corrected=draw.scan,
        frames=frames,
        summed=summed,
        record=original.reconstruction,
        fit=_ending_as(original, LVFit(draw.frame, labels, 1.0, ())),
        short_axis=original.short_axis,
        gate_labels=original.gate_labels,
    )
    try:
        repeated = measure_scan(unroll(oriented, options), options, repetition=Repetition(original, draw.rng))
    except MyoPerfError:
        return None
    return None if original.function is not None and repeated.function is None else repeated


def _ending_as(original: ScanResult, fit: LVFit) -> LVFit:
    """Return a drawn ventricle whose rim follows that of the original, at the valve plane of its own pose.

    Limits that a reader moved lie as far from the labels of each draw as from those of the original.
    """
    fit = replace(fit, wall_shift=original.wall_shift)
    if original.rim_mm is None:
        return fit
    return replace(fit, labels=cut_at_rim(fit.labels, fit.frame, original.rim_mm), rim_mm=original.rim_mm)


def resample_views(projections: Projections, rng: np.random.Generator) -> Projections:
    """Draw every pixel from a Poisson distribution whose mean is its counts.

    The measured counts stand in for the unknown mean (parametric bootstrap; Haynor and Woods, IEEE Trans Med Imaging
    1989;8:73, for emission tomography), so a draw holds the noise twice: its spread is right, its mean may be biased
    for numbers that noise inflates.

    Raises
    ------
    InputError
        When pixels are negative: such views have been corrected and are not counts.
    """
    if projections.array.min() < 0:
        raise InputError("Counts cannot be negative; these views have been corrected and cannot be resampled.")
    return replace(projections, array=rng.poisson(projections.array).astype(np.float32))


def jitter_frame(frame: LVFrame, rng: np.random.Generator, spread: PoseSpread = ASSUMED_SPREAD) -> LVFrame:
    """Return a pose varied at random: shifted, tilted, rotated about its axis, and with the valve moved along it."""
    shift = rng.normal(0.0, spread.shift_mm, 3)
    lean = np.tan(np.deg2rad(rng.normal(0.0, spread.tilt_deg, 2)))
    turn = np.deg2rad(rng.normal(0.0, spread.tilt_deg))
    half = 0.5 * frame.length_mm
    side = half * (lean[0] * frame.anterior + lean[1] * frame.lateral)
    base = frame.base_mm + shift + side + rng.normal(0.0, spread.valve_mm) * frame.axis
    anterior = np.cos(turn) * frame.anterior + np.sin(turn) * frame.lateral
    return LVFrame(frame.apex_mm + shift - side, base, anterior)


def interval_from_outline(
    frame: LVFrame,
    measure: Callable[[LVFrame], Numbers],
    *,
    rng: np.random.Generator,
    draws: int = 20,
    level: float = 0.95,
    spread: PoseSpread = ASSUMED_SPREAD,
) -> dict[str, Interval]:
    """Return the interval of every number that `measure` gives for a pose, from the uncertainty of the pose alone.

    Parameters
    ----------
    measure
        From a pose to named numbers: labelling and all that follows.
    draws
        20 know a standard deviation to about 16 percent.

    Raises
    ------
    InputError
        When fewer than three draws are requested, or can be measured, or the level is not between 0 and 1.
    """
    if draws < _FEWEST or not 0.0 < level < 1.0:
        raise InputError(f"An interval needs 3 draws or more and a level between 0 and 1; got {draws} and {level}.")

    def measured() -> Iterator[Numbers]:
        for _ in range(draws):
            try:
                yield measure(jitter_frame(frame, rng, spread))
            except MyoPerfError:
                continue

    values, drawn = measure(frame), tuple(measured())
    if len(drawn) < _FEWEST:
        raise InputError(f"Only {len(drawn)} of {draws} draws could be measured; an interval needs 3.")
    return interval_of_draws(values, drawn, level=level, source="outline")


def interval_of_draws(
    values: Numbers, drawn: Sequence[Numbers], *, level: float = 0.95, source: str
) -> dict[str, Interval]:
    """Return an interval for every number that three draws or more have: value -+ t(draws - 1) x SD.

    A draw in which a number is missing or not finite does not count for that number.
    """
    out = {}
    for name, value in values.items():
        samples = [numbers[name] for numbers in drawn if np.isfinite(numbers.get(name, np.nan))]
        if len(samples) < _FEWEST or not np.isfinite(value):
            continue
        sd = float(np.std(samples, ddof=1))
        reach = float(stdtrit(len(samples) - 1, 0.5 + 0.5 * level)) * sd
        out[name] = Interval(float(value), float(value) - reach, float(value) + reach, sd, len(samples), source)
    return out
