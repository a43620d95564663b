"""Pictures of ventricular function: volumes over the gates, end diastole and systole, phases, regional function."""

import numpy as np

from myoperf.geometry import short_axis
from myoperf.geometry.disc import disc_image
from myoperf.report.bullseye import BullEye, draw_disc
from myoperf.report.canvas import MM_PER_PT, Canvas, Font
from myoperf.report.colours import FUNCTION, INK, PERFUSION, PHASE
from myoperf.report.overlays import Field
from myoperf.report.plot import Plot, as_ticks, round_steps
from myoperf.report.tables import number, state_title
from myoperf.report.tiles import extent_of, label_on_short_axis, plane_tiles, views_of
from myoperf.types import BLOOD_POOL, MYOCARDIUM, FunctionResult, Report, ScanResult, Synchrony, Volume

_SEGMENT_MAPS = {
    "thickening_percent": ("Thickening %", (0.0, 100.0)),
    "motion_mm": ("Wall motion mm", (0.0, 12.0)),
}
_IN_A_ROW, _TITLE_MM, _LABELS_MM = 7, 5.0, 4.0
_PIXELS = 128


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
    if function.synchrony is not None and function.synchrony.phase_reliable:
        shown += ["histogram", "phase"]
    if function.wall is not None:
        shown += list(_SEGMENT_MAPS)
    return shown


def function_drawings(report: Report, *, width_mm: float = 279.0) -> tuple[Canvas, ...]:
    """Draw what gating gave, one row or more a gated scan; none when there is nothing to show."""
    side, rows = width_mm / _IN_A_ROW, []
    for result in report.results:
        panels = _panels(result)
        for start in range(0, len(panels), _IN_A_ROW):
            row = Canvas(width_mm, side + _TITLE_MM + _LABELS_MM)
            for column, panel in enumerate(panels[start : start + _IN_A_ROW]):
                _draw_panel(row, (column * side, _TITLE_MM), side, result, panel)
            rows.append(row)
    return tuple(rows)


def _draw_panel(canvas: Canvas, corner: tuple[float, float], side: float, result: ScanResult, panel: str) -> None:
    function = result.function
    assert function is not None
    synchrony, wall = function.synchrony, function.wall
    inner = (corner[0] + 0.5, corner[1])
    if panel == "curve":
        volume_plot(canvas, result, function, (corner[0] + 9.0, corner[1]), (side - 12.0, side - 5.0))
    elif panel in ("ed", "es"):
        _draw_gate(canvas, inner, side - 1.0, result, panel)
    elif panel == "histogram" and synchrony is not None:
        _draw_histogram(canvas, corner, side, synchrony)
    elif panel == "phase" and synchrony is not None:
        picture = disc_image(synchrony.phase_map_deg % 360.0, order=0)
        disc = BullEye(picture=picture, title="Phase °", palette=PHASE, limits=(0.0, 360.0))
        draw_disc(canvas, disc, inner, side - 1.0, size_pt=5.0)
    elif wall is not None:
        title, limits = _SEGMENT_MAPS[panel]
        values = np.asarray(wall.motion_mm if panel == "motion_mm" else wall.thickening_percent, np.float64)
        labels = [number(float(v), 0) for v in values]
        disc = BullEye(picture=values, title=title, palette=FUNCTION, limits=limits, labels=labels)
        draw_disc(canvas, disc, inner, side - 1.0, size_pt=5.0)


def volume_plot(
    canvas: Canvas,
    result: ScanResult,
    function: FunctionResult,
    corner: tuple[float, float],
    size: tuple[float, float],
) -> Plot:
    """Draw the volumes over the gates and the curve fitted to them, of which end diastole and end systole are named.

    Parameters
    ----------
    corner, size
        Of the chart's frame, in mm; labels stand 9 mm to its left and 5 mm below it.
    """
    volumes = np.asarray(function.volumes_ml, dtype=np.float64)
    gates, curve = np.arange(1, volumes.size + 1), function.curve
    across, up = (gates, volumes) if curve is None else (curve.time_cycles * volumes.size + 0.5, curve.volume_ml)
    top = 1.18 * float(max(volumes.max(), up.max()))
    plot = Plot(canvas=canvas, corner=corner, size=size, across=(0.5, volumes.size + 0.5), up=(0.0, top))
    plot.frame(
        title=f"{state_title(result)}: volume",
        x_label="gate",
        y_label="ml",
        x_ticks=gates[:: max(1, gates.size // 4)].tolist(),
        y_ticks=as_ticks(round_steps(0.0, top, most=7)),
    )
    plot.curve(across, up, "#2b6cb0")
    plot.dots(gates, volumes, "#2b6cb0", 0.45)
    for index, name, down in ((int(up.argmax()), "ED", -1.2), (int(up.argmin()), "ES", 2.9)):
        ((x, y),) = plot.places(across[index], up[index]).tolist()
        canvas.text(x + (1.8 if name == "ED" else 0.0), y + down, name, Font(5.5), align="middle")
    return plot


def _draw_gate(canvas: Canvas, corner: tuple[float, float], side: float, result: ScanResult, panel: str) -> None:
    """Draw the middle VLA slice at end diastole or end systole, outlined where the gates have labels."""
    gated, function = result.gated_volume, result.function
    assert gated is not None
    assert function is not None
    index = int(np.argmax(function.volumes_ml) if panel == "ed" else np.argmin(function.volumes_ml))
    extent, centre = extent_of((result,)), result.frame.centre_mm
    field = Field(canvas=canvas, corner=corner, side=side, field_mm=extent.field_mm)
    view = views_of(short_axis(Volume(gated.array[index], gated.lps_from_index), result.frame))["vla"]
    cut = plane_tiles(view, centre, np.zeros(1), field_mm=extent.field_mm, pixels=_PIXELS)[0]
    field.show(cut, (0.0, max(float(cut.max()), 1e-9)), PERFUSION)
    labels = result.gate_labels
    if labels is not None and labels.frames == gated.frames:
        gate = Volume(labels.array[index], labels.lps_from_index)
        for label, colour in ((MYOCARDIUM, "#ffffff"), (BLOOD_POOL, "#35c4ff")):
            mask = views_of(label_on_short_axis(result, label, gate))["vla"]
            edge = plane_tiles(mask, centre, np.zeros(1), field_mm=extent.field_mm, pixels=_PIXELS, order=1)
            field.outline(edge[0], colour)
    name = "End-diastole" if panel == "ed" else "End-systole"
    middle = corner[0] + 0.5 * side
    canvas.text(middle, corner[1] - 1.1, f"{name}, VLA", Font(7.0, bold=True), align="middle")


def _draw_histogram(canvas: Canvas, corner: tuple[float, float], side: float, synchrony: Synchrony) -> None:
    """Draw how many places of the wall begin to contract at each phase."""
    counts, edges = np.histogram(synchrony.phase_map_deg.ravel() % 360.0, bins=60, range=(0.0, 360.0))
    top = 1.05 * max(float(counts.max()), 1.0)
    left, size = corner[0] + 4.0, (side - 7.0, side - 5.0)
    plot = Plot(canvas=canvas, corner=(left, corner[1]), size=size, across=(0.0, 360.0), up=(0.0, top))
    filled = [i for i, count in enumerate(counts) if count]
    canvas.shape(
        [plot.places(edges[[i, i, i + 1, i + 1]], [0, counts[i], counts[i], 0]) for i in filled], fill="#7a4fa3"
    )
    plot.frame(title="Phase histogram", x_label="phase °", x_ticks=(0, 90, 180, 270, 360))
    words = (f"SD {number(synchrony.phase_sd_deg)}°", f"bandwidth {number(synchrony.phase_bandwidth_deg, 0)}°")
    for i, text in enumerate(words):
        y = corner[1] + (1.0 + 1.2 * i) * 5.5 * MM_PER_PT
        canvas.text(left + size[0], y, text, Font(5.5, colour=INK), align="right")
