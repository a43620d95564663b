"""The slices as the clinic lays them out: short axis, vertical and horizontal long axis, stress over rest."""

from collections.abc import Mapping

import numpy as np

from myoperf.report.canvas import Canvas, Font
from myoperf.report.colours import PERFUSION, STATE_COLOURS, Bytes, colour_numbers
from myoperf.report.fonts import fitted
from myoperf.report.plot import draw_bar
from myoperf.report.tables import state_title
from myoperf.report.tiles import extent_of, lv_maximum, plane_tiles, views_of
from myoperf.types import ScanResult

_TILE, _GAP, _LEFT, _TOP = 96, 3, 30, 24
_VIEW_TITLES = {
    "sa": "SHORT AXIS  ·  apex to base",
    "vla": "VERTICAL LONG AXIS  ·  septal to lateral",
    "hla": "HORIZONTAL LONG AXIS  ·  inferior to anterior",
}
VIEW_MARKS = {
    "sa": ("ANT", "INF", "SEPT", "LAT"),
    "vla": ("ANT", "INF", "BASE", "APEX"),
    "hla": ("APEX", "BASE", "SEPT", "LAT"),
}
"""What lies at the upper, lower, left and right side of each view."""


def _grid_of(count: int) -> tuple[int, int]:
    """Return (columns, rows of short-axis slices per state): 10 x 2 for two states, 7 x 3 for one."""
    return (10, 2) if count > 1 else (7, 3)


def slices_shape(count: int) -> tuple[int, int]:
    """Return the (rows, columns) of pixels of the arrangement for one or two states."""
    columns, lines = _grid_of(count)
    rows = count * (lines + 2)
    return 3 * _TOP + rows * (_TILE + _GAP), _LEFT + columns * (_TILE + _GAP)


def _mosaic(results: tuple[ScanResult, ...], view: str, lines: int) -> Bytes:
    """Cut one view's slices into one picture, a row of every state in turn.

    Each state is scaled to its ventricle's maximum.
    """
    columns, extent, step = _grid_of(len(results))[0], extent_of(results), _TILE + _GAP
    mosaic = np.zeros((lines * len(results) * step - _GAP, columns * step - _GAP), np.uint8)
    for i, result in enumerate(results):
        frame, count = result.frame, columns * lines
        offsets = extent.short_axis_offsets(frame, count) if view == "sa" else extent.long_axis_offsets(view, count)
        volume = views_of(result.short_axis)[view]
        cut = plane_tiles(volume, frame.centre_mm, offsets, field_mm=extent.field_mm, pixels=_TILE)
        for k, tile in enumerate(colour_numbers(cut, (0.0, lv_maximum(result)))):
            y, x = (k // columns * len(results) + i) * step, k % columns * step
            mosaic[y : y + _TILE, x : x + _TILE] = tile
    return mosaic


def cut_slices(results: tuple[ScanResult, ...]) -> dict[str, Bytes]:
    """Cut the slices of the clinical arrangement: one picture a view (``"sa"``, ``"vla"``, ``"hla"``)."""
    return {view: _mosaic(results, view, lines) for view, lines in _lines_of(len(results)).items()}


def _lines_of(count: int) -> dict[str, int]:
    """Return how many rows of slices each view has per state."""
    return {"sa": _grid_of(count)[1], "vla": 1, "hla": 1}


def slices_drawing(results: tuple[ScanResult, ...], mosaics: Mapping[str, Bytes], *, width_mm: float = 180.0) -> Canvas:
    """Draw the clinical arrangement on black: per view the first state's rows over the second's.

    Parameters
    ----------
    results
        One scan, or stress and rest; each is scaled to its own left-ventricular maximum.
    mosaics
        From `cut_slices`.
    """
    rows, columns = slices_shape(len(results))
    mm = width_mm / columns
    canvas, size_pt = Canvas(width_mm, mm * rows), 5.8 if len(results) > 1 else 7.0
    canvas.box(0.0, 0.0, canvas.width, canvas.height, "#000000")
    heading, y = Font(size_pt, colour="#e8e8e8", bold=True), 0.0
    for view, lines in _lines_of(len(results)).items():
        canvas.text(mm * _LEFT, mm * (y + 0.55 * _TOP), _VIEW_TITLES[view], heading, centred=True)
        y += _TOP
        first, mosaic = y, mosaics[view]
        for row, result in enumerate(results * lines):
            strip = mosaic[row * (_TILE + _GAP) :][:_TILE]
            size = mm * strip.shape[1], mm * _TILE
            canvas.picture(mm * _LEFT, mm * y, *size, strip, PERFUSION, scale=result.name)
            middle, words = mm * (y + 0.5 * _TILE), state_title(result).upper()
            font = fitted(words, Font(size_pt, bold=True, colour=STATE_COLOURS[result.state]), mm * _TILE)
            canvas.text(mm * 0.5 * _LEFT, middle, words, font, align="middle", turn_deg=90.0, centred=True)
            y += _TILE + _GAP
        draw_marks(canvas, view, (mm * _LEFT, mm * first), mm * _TILE, size_pt - 1.4)
    return canvas


def draw_marks(canvas: Canvas, view: str, corner: tuple[float, float], side: float, size_pt: float) -> None:
    """Name the four sides of the slice with this upper left corner and side, in mm."""
    places = ((0.5, 0.06, 0.0), (0.5, 0.94, 0.0), (0.06, 0.5, 90.0), (0.94, 0.5, -90.0))
    for (right, down, turn), text in zip(places, VIEW_MARKS[view], strict=True):
        x, y = corner[0] + right * side, corner[1] + down * side
        canvas.text(x, y, text, Font(size_pt, colour="#c8ccd2"), align="middle", turn_deg=turn, centred=True)


def with_bars(slices: Canvas, results: tuple[ScanResult, ...]) -> Canvas:
    """Return the slices of scans with the colour bar of each scan's scale underneath."""
    canvas = Canvas(slices.width, slices.height + 9.0)
    canvas.place(slices, 0.0, 0.0)
    part = slices.width / len(results)
    for i, result in enumerate(results):
        box = ((i + 0.1) * part, slices.height + 0.8, 0.8 * part, 2.2)
        label = f"{state_title(result)}: % of its left ventricle's maximum"
        draw_bar(canvas, box, PERFUSION, (0.0, 100.0), label, scale=result.name)
    return canvas
