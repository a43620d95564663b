"""Pictures of ventricular function: pure functions from a report to a Figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from myoperf.geometry import short_axis
from myoperf.geometry.disc import disc_image
from myoperf.report.bullseye import BullEye, draw_disc, segment_disc
from myoperf.report.colours import INK, PERFUSION
from myoperf.report.figures import Box, Page, boxed_figure
from myoperf.report.overlays import draw_outline
from myoperf.report.tables import number, state_title
from myoperf.report.tiles import extent_of, label_on_short_axis, plane_tiles, views_of
from myoperf.types import BLOOD_POOL, MYOCARDIUM, FunctionResult, Report, ScanResult, Synchrony, Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SEGMENT_MAPS = {
    "thickening_percent": ("Thickening %", (0.0, 100.0)),
    "motion_mm": ("Wall motion mm", (0.0, 12.0)),
}
_DEPTH = LinearSegmentedColormap.from_list("myoperf-function", ["#20124d", "#2f6f9f", "#7fd0a0", "#fff6c0"], N=256)


def tidy(ax: Axes, xlabel: str, ylabel: str, title: str, *, size_pt: float = 6.0) -> None:
    """Label an axes and keep only its left and lower spines."""
    ax.set_xlabel(xlabel, fontsize=size_pt, labelpad=1.5, color=INK)
    ax.set_ylabel(ylabel, fontsize=size_pt, labelpad=1.5, color=INK)
    ax.set_title(title, fontsize=size_pt + 1, fontweight="bold", pad=3, color=INK, parse_math=False)
    ax.tick_params(labelsize=size_pt - 0.5, length=2, pad=1.5, width=0.5)
    for name, spine in ax.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_linewidth(0.5)


# --- function -------------------------------------------------------------------------------------


def _panels(result: ScanResult) -> list[str]:
    """List what can be shown of a gated scan, in order."""
    function = result.function
    if function is None:
        return []
    shown = []
    if len(function.volumes_ml) > 1:
        shown.append("curve")
        if result.gated_volume is not None and result.gated_volume.frames == len(function.volumes_ml):
            shown += ["ed", "es"]
    if function.synchrony is not None:
        shown += ["histogram", "phase"]
    if function.wall is not None:
        shown += list(_SEGMENT_MAPS)
    return shown


def function_height_mm(report: Report, width_mm: float) -> float:
    """Return the height of the function pictures; 0 where there is nothing to show."""
    rows = [-(-len(_panels(r)) // 7) for r in report.results if _panels(r)]
    return sum(rows) * (width_mm / 7.0 + 9.0)


def draw_function(fig: Figure, box_mm: Box, report: Report) -> None:
    """Draw volume curve, end-diastole and end-systole, phases and regional function, one row a gated scan."""
    page, side = Page(fig, box_mm), box_mm[2] / 7.0
    top = box_mm[3]
    for result in report.results:
        for start in range(0, len(_panels(result)), 7):
            top -= side + 9.0
            x = 0.0
            for panel in _panels(result)[start : start + 7]:
                wide = panel in ("curve", "histogram")
                if wide:
                    ax = page.axes(x + 8.0, top + 8.0, 1.0 * side - 9.0, side - 6.0)
                else:
                    ax = page.axes(x + 0.5, top + 4.0, side - 1.0, side)
                _draw_panel(ax, result, panel)
                x += side


def _draw_panel(ax: Axes, result: ScanResult, panel: str) -> None:
    function = result.function
    assert function is not None
    synchrony, wall = function.synchrony, function.wall
    if panel == "curve":
        _draw_curve(ax, result, function)
    elif panel in ("ed", "es"):
        _draw_gate(ax, result, function, panel)
    elif panel == "histogram" and synchrony is not None:
        _draw_histogram(ax, synchrony)
    elif panel == "phase" and synchrony is not None:
        picture = disc_image(synchrony.phase_map_deg % 360.0, order=0)
        disc = BullEye(picture=picture, title="Phase °", cmap=mpl.colormaps["twilight_shifted"], limits=(0, 360))
        draw_disc(ax, disc, size_pt=5.0)
    elif wall is not None:
        title, limits = _SEGMENT_MAPS[panel]
        values = wall.motion_mm if panel == "motion_mm" else wall.thickening_percent
        labels = [number(v, 0) for v in values]
        disc = BullEye(picture=segment_disc(values), title=title, cmap=_DEPTH, limits=limits, labels=labels)
        draw_disc(ax, disc, size_pt=5.0)


def _draw_curve(ax: Axes, result: ScanResult, function: FunctionResult) -> None:
    volumes = np.asarray(function.volumes_ml, dtype=np.float64)
    gates = np.arange(1, volumes.size + 1)
    ax.plot(gates, volumes, marker="o", markersize=2.2, linewidth=1.0, color="#2b6cb0")
    for index, name, offset in ((volumes.argmax(), "ED", (7, 1)), (volumes.argmin(), "ES", (0, -7))):
        ax.annotate(
            name, (gates[index], volumes[index]), xytext=offset, textcoords="offset points", fontsize=5.5, ha="center"
        )
    ax.set_xlim(0.5, gates.size + 0.5)
    ax.set_ylim(0, 1.18 * volumes.max())
    ax.set_xticks(gates[:: max(1, gates.size // 4)])
    tidy(ax, "gate", "ml", f"{state_title(result)}: volume")


def _draw_gate(ax: Axes, result: ScanResult, function: FunctionResult, panel: str) -> None:
    """Draw the middle VLA slice at end diastole or end systole, outlined where the gates have labels."""
    gated = result.gated_volume
    assert gated is not None
    index = int(np.argmax(function.volumes_ml) if panel == "ed" else np.argmin(function.volumes_ml))
    name = "End-diastole" if panel == "ed" else "End-systole"
    extent, half = extent_of((result,)), 0.5 * extent_of((result,)).field_mm
    box = (-half, half, half, -half)
    args: dict[str, Any] = {"field_mm": extent.field_mm, "pixels": 128}
    view = views_of(short_axis(Volume(gated.array[index], gated.lps_from_index), result.frame))["vla"]
    cut = plane_tiles(view, result.frame.centre_mm, np.zeros(1), **args)[0]
    ax.imshow(cut, cmap=PERFUSION, vmin=0, vmax=max(float(cut.max()), 1e-9), extent=box, interpolation="bilinear")
    labels = result.gate_labels
    if labels is not None and labels.frames == gated.frames:
        gate = Volume(labels.array[index], labels.lps_from_index)
        for label, colour in ((MYOCARDIUM, "#ffffff"), (BLOOD_POOL, "#35c4ff")):
            mask = views_of(label_on_short_axis(result, label, gate))["vla"]
            outline = plane_tiles(mask, result.frame.centre_mm, np.zeros(1), order=1, **args)[0]
            draw_outline(ax, outline, colour, box)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(f"{name}, VLA", fontsize=6.5, fontweight="bold", pad=3, color=INK)


def _draw_histogram(ax: Axes, synchrony: Synchrony) -> None:
    ax.hist(synchrony.phase_map_deg.ravel() % 360.0, bins=60, range=(0, 360), color="#7a4fa3")
    ax.set_xlim(0, 360)
    ax.set_xticks([0, 90, 180, 270, 360])
    ax.set_yticks([])
    text = f"SD {number(synchrony.phase_sd_deg)}°\nbandwidth {number(synchrony.phase_bandwidth_deg, 0)}°"
    ax.text(0.98, 0.98, text, transform=ax.transAxes, fontsize=5, ha="right", va="top", color=INK)
    tidy(ax, "phase °", "", "Phase histogram")


def function_figure(report: Report, *, width_mm: float = 250.0) -> Figure | None:
    """Draw what gating gave, one row a gated scan; None when there is nothing to show."""
    height_mm = function_height_mm(report, width_mm)
    return boxed_figure(width_mm, height_mm, lambda fig, box_mm: draw_function(fig, box_mm, report))
