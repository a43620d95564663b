"""Whether the decision on a study stays when it is processed in other, equally good ways (``--stability``).

The scans are measured again by the functions of the main job: in poses as operators differ in them, with the valve
plane 3 mm nearer and farther, with the map turned by 5 degrees, and, where there are raw views, with a softer and a
sharper filter and with half the counts. The spread of the scores and whether the category flips are reported.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from myoperf.errors import MyoPerfError
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.scoring import MatchedLimits, score
from myoperf.pipeline.uncertainty import ASSUMED_SPREAD, Draw, images_of_draw, jitter_frame, measure_draw
from myoperf.types import LVFrame, PolarMap, Projections, ScanResult, Scores
from myoperf.types.comparison import Stability, Variation

_POSES = 4
_VALVE_MM = 3.0
_FILTERS = (0.8, 1.25)
"""Factors of the filter's cut-off frequency."""
_STREAM = 20263
_OPERATORS = replace(ASSUMED_SPREAD, valve_mm=0.0)
"""The valve plane is varied on its own."""
Way = tuple[str, Callable[[ScanResult], Draw], Options]
"""What is varied, how a scan is changed for it, and the options that it is processed with."""


def measure_stability(
    results: Sequence[ScanResult],
    scores: Scores,
    limits: MatchedLimits,
    models: Models,
    options: Options,
    *,
    announce: Callable[[str], None] = lambda _: None,
) -> Stability | None:
    """Process a study in other ways and return what comes out; None where its verdict is missing or not reliable.

    Parameters
    ----------
    results, scores, limits
        Of the study itself.
    options
        As the study was analysed with; `seed` draws the poses and the counts.
    announce
        Called with a short text as each way starts.
    """
    if scores.verdict is None or not scores.verdict.reliable:
        return None
    rng = np.random.default_rng([_STREAM, options.seed or 0])
    variations: list[Variation] = []
    failed = 0
    for kind, change, given in _ways(results, options, rng):
        announce(f"stability: {kind}")
        repeated = _process([change(result) for result in results], models, given)
        if repeated is None:
            failed += 1
            continue
        variations.append(_variation(kind, repeated, limits, options))
    for step in (-1, 1):
        turned = [replace(result, polar=_turn(result.polar, step)) for result in results]
        variations.append(_variation("map shift", turned, limits, options))
    return Stability(category=scores.category, variations=tuple(variations), failed=failed)


def _ways(results: Sequence[ScanResult], options: Options, rng: np.random.Generator) -> list[Way]:
    """Return the ways in which the scans are processed again."""

    def moved(result: ScanResult, frame: LVFrame) -> Draw:
        return Draw(original=result, scan=result.scan, frame=frame, rng=rng)

    def posed(result: ScanResult) -> Draw:
        return moved(result, jitter_frame(result.frame, rng, _OPERATORS))

    def at_valve(step_mm: float) -> Callable[[ScanResult], Draw]:
        return lambda r: moved(r, LVFrame(r.frame.apex_mm, r.frame.base_mm + step_mm * r.frame.axis, r.frame.anterior))

    def halved(result: ScanResult) -> Draw:
        image = result.scan.image
        assert isinstance(image, Projections)
        thinned = rng.binomial(np.rint(np.maximum(image.array, 0.0)).astype(np.int64), 0.5).astype(np.float32)
        return replace(moved(result, result.frame), scan=replace(result.scan, image=replace(image, array=thinned)))

    ways: list[Way] = [("pose", posed, options)] * _POSES
    ways += [("valve plane", at_valve(step), options) for step in (-_VALVE_MM, _VALVE_MM)]
    if all(isinstance(result.scan.image, Projections) for result in results):
        for factor in _FILTERS:
            cutoff = factor * options.recon.butterworth_cutoff
            other = replace(options, recon=replace(options.recon, butterworth_cutoff=cutoff))
            ways.append(("filter", lambda r: moved(r, r.frame), other))
        ways.append(("half the counts", halved, options))
    return ways


def _process(draws: Sequence[Draw], models: Models, options: Options) -> list[ScanResult] | None:
    """Measure every scan again by the main job's functions; None where one cannot be measured."""
    try:
        images = [images_of_draw(draw, options) for draw in draws]
    except MyoPerfError:
        return None
    labels = models.label([(summed, draw.frame) for draw, (_, summed) in zip(draws, images, strict=True)])
    repeated = []
    for draw, (frames, summed), found in zip(draws, images, labels, strict=True):
        one = None if found is None else measure_draw(draw, frames, summed, found, options)
        if one is None:
            return None
        repeated.append(one)
    return repeated


def _turn(polar: PolarMap, step: int) -> PolarMap:
    """Return a map turned about the long axis by some samples."""
    return replace(polar, values=np.roll(polar.values, step, axis=-1))


def _variation(kind: str, results: Sequence[ScanResult], limits: MatchedLimits, options: Options) -> Variation:
    """Score a study that was processed in another way."""
    scores = score(results, limits, territories=options.territories)
    lvef = next((r.function.lvef_percent for r in results if r.function is not None), None)
    return Variation(
        kind=kind,
        sss=scores.sss,
        srs=scores.srs,
        tpd_stress_percent=scores.tpd_stress_percent,
        tpd_rest_percent=scores.tpd_rest_percent,
        lvef_percent=lvef,
        category=scores.category,
    )
