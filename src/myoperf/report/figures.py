"""The report's pictures: pure functions from a report to a matplotlib Figure, drawn at their printed size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from myoperf.geometry.disc import disc_image
from myoperf.report.bullseye import BullEye, draw_disc, draw_key
from myoperf.report.colours import DIFFERENCE, INK, PERFUSION, STATE_COLOURS
from myoperf.report.tables import state_title
from myoperf.report.tiles import extent_of, lv_maximum, plane_tiles, views_of
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import Float, ScanResult, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MM = 1.0 / 25.4
"""Inches in a millimetre: figures are sized in millimetres."""

Box = tuple[float, float, float, float]
"""(left, bottom, width, height) in millimetres of a page."""

_TILE, _GAP, _LEFT, _TOP = 96, 3, 30, 24
_VIEW_TITLES = {
    "sa": "SHORT AXIS   apex to base",
    "vla": "VERTICAL LONG AXIS   septal to lateral",
    "hla": "HORIZONTAL LONG AXIS   inferior to anterior",
}
VIEW_MARKS = {
    "sa": ("ANT", "INF", "SEPT", "LAT"),
    "vla": ("ANT", "INF", "BASE", "APEX"),
    "hla": ("APEX", "BASE", "SEPT", "LAT"),
}


class Page:
    """Places axes on a figure in millimetres from the lower left corner of a box."""

    def __init__(self, fig: Figure, box: Box) -> None:
        self.fig, self.box = fig, box
        self.size = fig.get_size_inches() / MM

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Add axes whose lower left corner lies at (x, y) of the box."""
        left, bottom = self.box[0] + x, self.box[1] + y
        return self.fig.add_axes(
            (left / self.size[0], bottom / self.size[1], width / self.size[0], height / self.size[1])
        )


def boxed_figure(width_mm: float, height_mm: float, draw: Callable[[Figure, Box], None]) -> Figure | None:
    """Draw into the whole of a new figure; None where the height is 0, as there is nothing to draw."""
    if height_mm == 0.0:
        return None
    fig = Figure(figsize=(width_mm * MM, height_mm * MM))
    draw(fig, (0.0, 0.0, width_mm, height_mm))
    return fig


def percent_map(result: ScanResult) -> Float:
    """Return the polar map (rings, angles) in percent of its maximum."""
    values = np.asarray(result.polar.values, dtype=np.float64)
    values = values.mean(axis=0) if values.ndim == 3 else values
    highest = values.max()
    return values * (100.0 / highest) if highest > 0 else np.zeros_like(values)


# --- slices ---------------------------------------------------------------------------------------


def _grid_of(count: int) -> tuple[int, int]:
    """Return (columns, rows of short-axis slices per state): 10 x 2 for two states, 7 x 3 for one."""
    return (10, 2) if count > 1 else (7, 3)


def slices_shape(count: int) -> tuple[int, int]:
    """Return the (rows, columns) of pixels of the mosaic for one or two states."""
    columns, lines = _grid_of(count)
    rows = count * (lines + 2)
    return 3 * _TOP + rows * (_TILE + _GAP), _LEFT + columns * (_TILE + _GAP)


def slice_tiles(results: tuple[ScanResult, ...]) -> dict[str, list[Float]]:
    """Cut the slices of the clinical arrangement: by view, one (count, side, side) stack a state, 0 to 1."""
    columns, lines = _grid_of(len(results))
    return {view: _block(results, view, columns * n) for view, n in (("sa", lines), ("vla", 1), ("hla", 1))}


def _block(results: tuple[ScanResult, ...], view: str, count: int) -> list[Float]:
    """Cut one view's slices of every state, shape (count, side, side), each scaled to its ventricle's maximum."""
    extent = extent_of(results)
    tiles = []
    for result in results:
        frame = result.frame
        offsets = extent.short_axis_offsets(frame, count) if view == "sa" else extent.long_axis_offsets(view, count)
        volume = views_of(result.short_axis)[view]
        cut = plane_tiles(volume, frame.centre_mm, offsets, field_mm=extent.field_mm, pixels=_TILE)
        tiles.append(np.clip(cut / lv_maximum(result), 0.0, 1.0))
    return tiles


def draw_slices(
    ax: Axes,
    results: tuple[ScanResult, ...],
    *,
    cmap: Colormap = PERFUSION,
    size_pt: float = 6.0,
    tiles: dict[str, list[Float]] | None = None,
) -> None:
    """Draw the clinical arrangement: per view the first state's rows over the second's, in one picture.

    Parameters
    ----------
    results
        One scan, or stress and rest; each is scaled to its own left-ventricular maximum.
    tiles
        From `slice_tiles`, where they are cut already.
    """
    tiles = tiles or slice_tiles(results)
    columns, lines = _grid_of(len(results))
    canvas = np.zeros((*slices_shape(len(results)), 3), dtype=np.float32)
    style: dict[str, Any] = {"fontsize": size_pt, "va": "center", "fontweight": "bold"}
    ax.set_axis_off()
    y = 0
    for view, view_lines in (("sa", lines), ("vla", 1), ("hla", 1)):
        ax.text(_LEFT, y + 0.55 * _TOP, _VIEW_TITLES[view], color="#e8e8e8", **style)
        y += _TOP
        first = y
        for line in range(view_lines):
            for result, cut in zip(results, tiles[view], strict=True):
                for column in range(columns):
                    x = _LEFT + column * (_TILE + _GAP)
                    canvas[y : y + _TILE, x : x + _TILE] = cmap(cut[line * columns + column])[..., :3]
                side: dict[str, Any] = {"color": STATE_COLOURS[result.state], "rotation": 90, "ha": "center", **style}
                ax.text(0.5 * _LEFT, y + 0.5 * _TILE, state_title(result).upper(), parse_math=False, **side)
                y += _TILE + _GAP
        _draw_marks(ax, VIEW_MARKS[view], _LEFT, first, size_pt)
    ax.imshow(canvas, interpolation="bilinear", aspect="equal")


def _draw_marks(ax: Axes, marks: tuple[str, str, str, str], x: float, y: float, size_pt: float) -> None:
    """Name the four sides of the slice whose upper left corner is at (x, y)."""
    style: dict[str, Any] = {"fontsize": size_pt - 1.4, "color": "#c8ccd2", "ha": "center", "va": "center"}
    middle, near, far = 0.5 * _TILE, 6.0, _TILE - 6.0
    ax.text(x + middle, y + near, marks[0], **style)
    ax.text(x + middle, y + far, marks[1], **style)
    ax.text(x + near, y + middle, marks[2], rotation=90, **style)
    ax.text(x + far, y + middle, marks[3], rotation=-90, **style)


def draw_bar(
    fig: Any, ax: Axes, cmap: Colormap, limits: tuple[float, float], label: str, *, size_pt: float = 5.5
) -> None:
    """Fill an axes with a horizontal colour bar."""
    bar = fig.colorbar(ScalarMappable(Normalize(*limits), cmap), cax=ax, orientation="horizontal")
    bar.set_label(label, fontsize=size_pt, labelpad=1, color=INK)
    bar.ax.tick_params(labelsize=size_pt, length=1.5, pad=1, width=0.4)
    bar.outline.set_linewidth(0.4)


def slices_figure(
    results: tuple[ScanResult, ...],
    *,
    cmap: Colormap = PERFUSION,
    width_mm: float = 180.0,
    bar: bool = True,
    tiles: dict[str, list[Float]] | None = None,
) -> Figure:
    """Draw the slices of one scan or of stress over rest, with the colour bar underneath."""
    rows, columns = slices_shape(len(results))
    height = width_mm * rows / columns
    below = 9.0 if bar else 0.0
    fig = Figure(figsize=(width_mm * MM, (height + below) * MM))
    ax = fig.add_axes((0.0, below / (height + below), 1.0, height / (height + below)))
    draw_slices(ax, results, cmap=cmap, size_pt=6.0 if len(results) > 1 else 7.0, tiles=tiles)
    ax.set_axis_on()
    blacken(ax)
    if bar:
        cax = fig.add_axes((0.3, 6.0 / (height + below), 0.4, 2.2 / (height + below)))
        draw_bar(fig, cax, cmap, (0, 100), "% of the left ventricle's maximum, each state by its own")
    return fig


def blacken(ax: Axes) -> None:
    """Fill the axes with black, without ticks or frame."""
    ax.set_facecolor("black")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


# --- bull's eyes ----------------------------------------------------------------------------------


def _uptake(result: ScanResult, title: str, *, size: int = 256) -> BullEye:
    """Show a scan's uptake with the percentages of its segments."""
    picture, labels = disc_image(percent_map(result), size), [f"{v:.0f}" for v in result.segments_percent]
    return BullEye(picture=picture, title=title, cmap=PERFUSION, limits=(0.0, 100.0), labels=labels)


def _below_limits(result: ScanResult, scores: Scores) -> BullEye | None:
    """Show what lies below the normal limits in black; None where there are no limits."""
    held = {
        "stress": (scores.stress_severity, scores.stress_scores),
        "rest": (scores.rest_severity, scores.rest_scores),
    }
    severity, segments = held.get(result.state or "", (None, None))
    if severity is None:
        return None
    below = disc_image(severity) > 0.5 * max(float(severity[severity > 0].min(initial=1.0)), 1e-6)
    return BullEye(
        picture=np.where(below, 0.0, disc_image(percent_map(result))),
        title=f"{state_title(result)}: below limits black",
        cmap=PERFUSION,
        limits=(0.0, 100.0),
        labels=None if segments is None else [str(score) for score in segments],
    )


def _difference(stress: ScanResult, rest: ScanResult) -> BullEye:
    """Show rest minus stress."""
    change = np.asarray(rest.segments_percent, float) - np.asarray(stress.segments_percent, float)
    return BullEye(
        picture=disc_image(percent_map(rest)) - disc_image(percent_map(stress)),
        title="Rest - stress: reversible %",
        cmap=DIFFERENCE,
        limits=(-50.0, 50.0),
        labels=[f"{v:+z.0f}" for v in change],
        light=True,
    )


def _bull_eyes(results: tuple[ScanResult, ...], scores: Scores) -> list[BullEye]:
    """List the bull's eyes to draw."""
    limited = (_below_limits(result, scores) for result in results)
    return [
        *(_uptake(result, f"{state_title(result)}: uptake %") for result in results),
        *(disc for disc in limited if disc is not None),
        *([_difference(*results)] if len(results) == 2 else []),
    ]


def draw_bull_eyes(fig: Figure, box_mm: Box, results: tuple[ScanResult, ...], scores: Scores) -> None:
    """Draw the bull's eyes into a box of a figure."""
    page, (_, _, box_width, box_height) = Page(fig, box_mm), box_mm
    discs = _bull_eyes(results, scores)
    count = len(discs) + 1  # the key comes last
    territories = scores.territory_segments or TERRITORIES
    bars = 10.0
    columns = min((1, 2, 3, 4, 5, 6), key=lambda c: -min(box_width / c, (box_height - bars) / np.ceil(count / c)))
    rows = int(np.ceil(count / columns))
    side_x, side_y = box_width / columns, (box_height - bars) / rows
    for i in range(count):
        x, y = (i % columns) * side_x, bars + (rows - 1 - i // columns) * side_y
        ax = page.axes(x, y, side_x * 0.98, side_y - 4.5)
        size = float(np.clip(min(side_x, side_y) / 7.6, 5.0, 8.0))
        if i < len(discs):
            draw_disc(ax, discs[i], size_pt=size, territories=territories)
        else:
            draw_key(ax, size_pt=size, territories=territories)
    thirds = ((PERFUSION, (0, 100), "uptake, % of the map's maximum"), (DIFFERENCE, (-50, 50), "rest - stress, %"))
    shown = thirds if len(results) == 2 else thirds[:1]
    for i, (cmap, limits, label) in enumerate(shown):
        part = box_width / len(shown)
        draw_bar(fig, page.axes((i + 0.1) * part, 6.2, 0.8 * part, 1.8), cmap, limits, label, size_pt=5.0)


def bull_eyes_figure(
    results: tuple[ScanResult, ...], scores: Scores, *, width_mm: float = 110.0, height_mm: float = 140.0
) -> Figure:
    """Draw the bull's eyes of one scan or of stress and rest, with their difference and the key."""
    fig = Figure(figsize=(width_mm * MM, height_mm * MM))
    draw_bull_eyes(fig, (0.0, 0.0, width_mm, height_mm), results, scores)
    return fig


def polar_figure(result: ScanResult, *, side_mm: float = 90.0, territories: Territories = TERRITORIES) -> Figure:
    """Draw one scan's bull's eye with its segment values and colour bar."""
    fig = Figure(figsize=(side_mm * MM, (side_mm + 10) * MM))
    ax = fig.add_axes((0.02, 0.13, 0.96, 0.81))
    disc = _uptake(result, f"{state_title(result)}: uptake, % of maximum", size=400)
    draw_disc(ax, disc, size_pt=8.0, territories=territories)
    draw_bar(fig, fig.add_axes((0.2, 0.085, 0.6, 0.022)), PERFUSION, (0, 100), "% of the map's maximum", size_pt=6.5)
    return fig
