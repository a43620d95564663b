"""Pictures of blood flow: 17 segments at stress, at rest and their ratio, and the curves it comes from."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from myoperf.report.bullseye import BullEye, draw_disc, segment_disc
from myoperf.report.colours import INK, PERFUSION
from myoperf.report.figures import Box, Page, boxed_figure
from myoperf.report.tables import number, state_title
from myoperf.segments import TERRITORIES
from myoperf.types import Report, ScanResult

_HEIGHT_MM = 62.0
_FLOW_TOP, _RESERVE_TOP = 4.0, 4.0
_CURVES = (("left", "left ventricle's blood", "#c62828"), ("right", "right ventricle's blood", "#1565c0"))


def _with_flow(report: Report) -> list[ScanResult]:
    return [r for r in report.results if r.flow is not None]


def flow_height_mm(report: Report) -> float:
    """Return the height of the flow pictures; 0 where no flow was measured."""
    return _HEIGHT_MM if _with_flow(report) else 0.0


def flow_figure(report: Report, *, width_mm: float = 270.0) -> Figure | None:
    """Draw flow and curves; None where no flow was measured."""
    return boxed_figure(width_mm, flow_height_mm(report), lambda fig, box_mm: draw_flow(fig, box_mm, report))


def draw_flow(fig: Figure, box_mm: Box, report: Report) -> None:
    """Draw flow into a box of a figure: discs of the scans and of the reserve, and curves."""
    page, (_, _, width, height) = Page(fig, box_mm), box_mm
    results = _with_flow(report)[:2]
    discs = [(f"{state_title(r)}: flow, ml/min/g", r.flow.mbf_ml_min_g, _FLOW_TOP) for r in results if r.flow]
    reserve = report.scores.flow_reserve
    if reserve is not None:
        discs.append(("Flow reserve", reserve.segments, _RESERVE_TOP))
    part = width / (len(discs) + len(results))

    def place(i: int, *, inset: float = 0.0) -> Any:
        return page.axes(i * part + inset, inset, part - inset - 2.0, height - inset - 5.0)

    for i, (title, values, top) in enumerate(discs):
        shown = np.nan_to_num(values)
        labels = [number(float(v), 1) for v in values]
        disc = BullEye(picture=segment_disc(shown), title=title, cmap=PERFUSION, limits=(0.0, top), labels=labels)
        draw_disc(place(i), disc, territories=report.scores.territory_segments or TERRITORIES)
    for i, result in enumerate(results, start=len(discs)):
        _draw_curves(place(i, inset=9.0), result)


def _draw_curves(ax: Any, result: ScanResult) -> None:
    """Draw the blood's curves, the wall's mean and its fit over time."""
    flow = result.flow
    assert flow is not None
    middle = flow.start_s + 0.5 * flow.duration_s
    for name, label, colour in _CURVES:
        ax.plot(middle, getattr(flow, name), color=colour, linewidth=0.9, label=label)
    ax.plot(middle, flow.wall.mean(axis=0), "o", color=INK, markersize=1.8, label="wall")
    ax.plot(middle, flow.fitted.mean(axis=0), color=INK, linewidth=0.9, label="wall, fitted")
    ax.set_title(f"{state_title(result)}: activity, {flow.tracer}", fontsize=7, color=INK, parse_math=False)
    ax.set_xlabel("s after the first frame began", fontsize=5.5, color=INK, labelpad=1)
    ax.tick_params(labelsize=5.5, length=1.5, width=0.4)
    ax.legend(fontsize=5, frameon=False)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
