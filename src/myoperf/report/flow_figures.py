"""Pictures of blood flow: 17 segments at stress, at rest and their ratio, and the curves it comes from."""

import numpy as np

from myoperf.report.bullseye import BullEye, draw_disc
from myoperf.report.canvas import Canvas, Font
from myoperf.report.colours import INK, PERFUSION
from myoperf.report.plot import Plot, as_ticks, round_steps
from myoperf.report.tables import number, state_title
from myoperf.segments import TERRITORIES
from myoperf.types import Report, ScanResult

_HEIGHT_MM, _TITLE_MM = 62.0, 5.0
_FLOW_TOP, _RESERVE_TOP = 4.0, 4.0
_CURVES = (("left", "left ventricle's blood", "#c62828"), ("right", "right ventricle's blood", "#1565c0"))


def flow_drawing(report: Report, *, width_mm: float = 279.0) -> Canvas | None:
    """Draw flow and its reserve on bull's eyes, and the curves; None where no flow was measured."""
    results = [r for r in report.results if r.flow is not None][:2]
    if not results:
        return None
    canvas, height = Canvas(width_mm, _HEIGHT_MM), _HEIGHT_MM - _TITLE_MM
    discs = [(f"{state_title(r)}: flow, ml/min/g", r.flow.mbf_ml_min_g, _FLOW_TOP) for r in results if r.flow]
    reserve = report.scores.flow_reserve
    if reserve is not None:
        discs.append(("Flow reserve", reserve.segments, _RESERVE_TOP))
    part = width_mm / (len(discs) + len(results))
    side = min(part - 2.0, height)
    for i, (title, values, top) in enumerate(discs):
        shown = np.asarray(values, np.float64)
        labels = [number(float(v), 1) for v in values]
        disc = BullEye(picture=shown, title=title, palette=PERFUSION, limits=(0.0, top), labels=labels)
        corner = (i * part + 0.5 * (part - side), _TITLE_MM)
        draw_disc(canvas, disc, corner, side, territories=report.scores.territory_segments or TERRITORIES)
    for i, result in enumerate(results, start=len(discs)):
        _draw_curves(canvas, (i * part + 10.0, _TITLE_MM), (part - 13.0, height - 8.0), result)
    return canvas


def _draw_curves(canvas: Canvas, corner: tuple[float, float], size: tuple[float, float], result: ScanResult) -> None:
    """Draw the blood's curves, the wall's mean and its fit over time."""
    flow = result.flow
    assert flow is not None
    middle = flow.start_s + 0.5 * flow.duration_s
    wall, fitted = flow.wall.mean(axis=0), flow.fitted.mean(axis=0)
    curves = [(getattr(flow, name), label, colour) for name, label, colour in _CURVES]
    highest = max(float(np.nanmax(values)) for values in (wall, fitted, *(c[0] for c in curves)))
    end, top = float((flow.start_s + flow.duration_s).max()), 1.05 * highest if highest > 0 else 1.0
    plot = Plot(canvas=canvas, corner=corner, size=size, across=(0.0, end), up=(0.0, top))
    plot.frame(
        title=f"{state_title(result)}: activity, {flow.tracer}",
        x_label="s after the first frame began",
        x_ticks=round_steps(0.0, end, most=5),
        y_ticks=as_ticks(round_steps(0.0, top, most=7)),
    )
    for values, _, colour in curves:
        plot.curve(middle, values, colour)
    plot.curve(middle, fitted, INK)
    plot.dots(middle, wall, INK)
    right = corner[0] + size[0]
    for i, (label, colour) in enumerate([*((c[1], c[2]) for c in curves), ("wall, fitted", INK), ("wall", INK)]):
        y = corner[1] + 1.2 + 2.6 * i
        if label == "wall":
            canvas.disc(right - 2.0, y, 0.4, colour)
        else:
            canvas.line([(right - 4.0, y), (right, y)], colour, 0.35)
        canvas.text(right - 4.8, y, label, Font(5.5), align="right", centred=True)
