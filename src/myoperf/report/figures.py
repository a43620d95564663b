"""The bull's eyes of the report: what each shows, and how they share a box."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from myoperf.geometry.disc import disc_image
from myoperf.report.bullseye import BullEye, draw_disc, draw_key
from myoperf.report.canvas import Canvas
from myoperf.report.colours import DIFFERENCE, PERFUSION
from myoperf.report.plot import draw_bar
from myoperf.report.tables import state_title
from myoperf.segments import TERRITORIES, Territories, segment_means
from myoperf.types import Float, ScanResult, Scores, State, Verdict

MAPS = "maps"
"""The colour scale of uptake on all bull's eyes, which the web page lets its reader change."""
_BARS_MM, _TITLE_MM = 9.0, 4.5


def percent_map(result: ScanResult) -> Float:
    """Return the polar map (rings, angles) in percent of its maximum."""
    return in_percent(result.polar.values)


def in_percent(values: Float) -> Float:
    """Return a map in percent of its maximum, gates averaged."""
    values = np.asarray(values, dtype=np.float64)
    values = values.mean(axis=0) if values.ndim == 3 else values
    highest = values.max()
    return values * (100.0 / highest) if highest > 0 else np.zeros_like(values)


def _uptake(result: ScanResult, title: str, *, size: int = 256) -> BullEye:
    """Show a scan's uptake with the percentages of its segments."""
    picture, labels = disc_image(percent_map(result), size), [f"{v:.0f}" for v in result.segments_percent]
    return BullEye(picture=picture, title=title, palette=PERFUSION, limits=(0.0, 100.0), labels=labels, scale=MAPS)


def _below_limits(result: ScanResult, uptake: BullEye, scores: Scores) -> BullEye | None:
    """Show the verdict's defects in black, with the segment scores; None where there are no limits."""
    held = {
        "stress": (scores.stress_severity, scores.stress_scores),
        "rest": (scores.rest_severity, scores.rest_scores),
    }
    severity, segments = held.get(result.state or "", (None, None))
    if severity is None or scores.verdict is None:
        return None
    below = disc_image(defect_mask(severity, scores.verdict).astype(float)) > 0.5
    return BullEye(
        picture=np.where(below, 0.0, uptake.picture),
        title=f"{state_title(result)}: {_black_means(result.state, scores, scores.verdict)}",
        palette=PERFUSION,
        limits=(0.0, 100.0),
        labels=None if segments is None else [str(score) for score in segments],
        scale=MAPS,
    )


def _black_means(state: State | None, scores: Scores, verdict: Verdict) -> str:
    """Return what black means on a map, or why there is none."""
    if not verdict.reliable:
        return "not reliable"
    if verdict.abnormal:
        return "defects black"
    cut = verdict.cutoffs
    total, edge, tpd, tpd_edge = (
        (scores.srs, cut.rest_summed_score, scores.tpd_rest_percent, cut.rest_tpd_percent)
        if state == "rest"
        else (scores.sss, cut.summed_score, scores.tpd_stress_percent, cut.tpd_percent)
    )
    beyond = (total is not None and total >= edge) or (tpd is not None and tpd >= tpd_edge)
    return "no defect named" if beyond else "within limits"


def defect_mask(severity: Float, verdict: Verdict) -> NDArray[np.bool_]:
    """Return where a polar map is to be black: below the limits, inside of a defect that the verdict names."""
    inside = np.zeros(severity.shape, dtype=bool)
    for defect in verdict.defects:
        inside |= defect.region
    return inside & (severity > 0)


def _difference(results: tuple[ScanResult, ...], scores: Scores) -> BullEye:
    """Show rest minus stress, of the rest map that the scores compare: turned where the two poses differ."""
    stress, rest = (percent_map(result) for result in results)
    if scores.compared_rest is not None:
        rest = in_percent(scores.compared_rest)
    difference = segment_means(rest) - segment_means(stress)
    return BullEye(
        picture=disc_image(rest, 256) - disc_image(stress, 256),
        title="Rest - stress: reversible %",
        palette=DIFFERENCE,
        limits=(-50.0, 50.0),
        labels=[f"{v:+z.0f}" for v in difference],
        light=True,
    )


def bull_eyes(results: tuple[ScanResult, ...], scores: Scores) -> list[BullEye]:
    """Return the bull's eyes of one scan or of stress and rest: uptake, what lies below limits, their difference."""
    return [
        *side_by_side([(result, scores) for result in results]),
        *([_difference(results, scores)] if len(results) == 2 and not scores.apart else []),
    ]


def side_by_side(scored: Sequence[tuple[ScanResult, Scores]]) -> list[BullEye]:
    """Return the uptake of scans, each with its scores, then what lies below limits in those that have them."""
    uptakes = [_uptake(result, f"{state_title(result)}: uptake %") for result, _ in scored]
    limited = (_below_limits(result, uptake, scores) for (result, scores), uptake in zip(scored, uptakes, strict=True))
    return [*uptakes, *(disc for disc in limited if disc is not None)]


def bull_eyes_drawing(discs: list[BullEye], size_mm: tuple[float, float], territories: Territories) -> Canvas:
    """Draw bull's eyes as large as they fit into a box, then the key, with the colour bars underneath."""
    width, height = size_mm
    canvas, count = Canvas(width, height), len(discs) + 1  # the key comes last

    def side_of(columns: int) -> float:
        return min(width / columns, (height - _BARS_MM) / math.ceil(count / columns) - _TITLE_MM)

    columns = max(range(1, 7), key=side_of)
    rows, side = math.ceil(count / columns), 0.98 * side_of(columns)
    step_x, step_y = width / columns, (height - _BARS_MM) / rows
    size_pt = float(np.clip(side / 7.0, 5.0, 8.0))
    for i in range(count):
        corner = ((i % columns + 0.5) * step_x - 0.5 * side, i // columns * step_y + _TITLE_MM)
        if i < len(discs):
            draw_disc(canvas, discs[i], corner, side, size_pt=size_pt, territories=territories)
        else:
            draw_key(canvas, corner, side, size_pt=size_pt, territories=territories)
    bars = [(PERFUSION, (0.0, 100.0), "uptake, % of the map's maximum")]
    if any(disc.palette is DIFFERENCE for disc in discs):
        bars.append((DIFFERENCE, (-50.0, 50.0), "rest - stress, %"))
    part = width / len(bars)
    for i, (palette, limits, label) in enumerate(bars):
        box, scale = ((i + 0.1) * part, height - 7.2, 0.8 * part, 1.8), MAPS if palette is PERFUSION else ""
        draw_bar(canvas, box, palette, limits, label, size_pt=5.0, scale=scale)
    return canvas


def polar_drawing(result: ScanResult, *, side_mm: float = 90.0, territories: Territories = TERRITORIES) -> Canvas:
    """Draw one scan's bull's eye with its segment values and colour bar."""
    canvas = Canvas(side_mm, side_mm + 10.0)
    disc = _uptake(result, f"{state_title(result)}: uptake, % of maximum", size=400)
    draw_disc(canvas, disc, (0.05 * side_mm, 6.0), 0.9 * side_mm, size_pt=8.0, territories=territories)
    bar = (0.2 * side_mm, side_mm + 0.6, 0.6 * side_mm, 2.2)
    draw_bar(canvas, bar, PERFUSION, (0.0, 100.0), "% of the map's maximum", size_pt=6.5)
    return canvas
