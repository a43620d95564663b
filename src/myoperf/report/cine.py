"""Gated slices in motion: five slices of every gate with the surfaces of the wall, and the volume beside them."""

from dataclasses import dataclass, replace

import numpy as np
from contourpy import contour_generator

from myoperf.geometry import sample, short_axis
from myoperf.report.canvas import Canvas, Font
from myoperf.report.charts import volume_plot
from myoperf.report.colours import PERFUSION, colour_numbers
from myoperf.report.tables import state_title
from myoperf.report.tiles import extent_of, plane_tiles, views_of
from myoperf.types import Float, ScanResult, Volume

_SHARE = 0.28
"""Of the axis: how far the apical and the basal slice lie from the middle one."""
_PIXELS, _GAP = 88, 2
_TITLE_MM, _CURVE_MM = 5.0, 62.0
_SURFACES = ("#35c4ff", "#ffffff")
"""Colours of the inner and the outer surface of the wall."""
_TITLES = ("SA apical", "SA middle", "SA basal", "VLA", "HLA")


@dataclass(frozen=True, eq=False, kw_only=True)
class Cine:
    """The moving picture of a gated scan.

    Parameters
    ----------
    still
        What does not move.
    frames
        What each gate lays over it, in order.
    """

    still: Canvas
    frames: tuple[Canvas, ...]


def gated_maximum(result: ScanResult) -> float:
    """Return the highest count of any gate in the middle of a gated scan's wall, where its colour scale ends."""
    if result.gated_volume is None:
        raise ValueError(f"The scan {result.name} has no gates.")
    highest = float(sample(result.gated_volume, result.polar.mid_wall_mm).max())
    return highest if highest > 0 else 1.0


def cine_drawing(result: ScanResult, *, width_mm: float = 279.0) -> Cine | None:
    """Draw a gated scan's moving slices; None for a scan without gates."""
    gated = result.gated_volume
    if gated is None:
        return None
    side = (width_mm - _CURVE_MM) / len(_TITLES)
    corners = [(i * side, _TITLE_MM) for i in range(len(_TITLES))]
    still = Canvas(width_mm, side + _TITLE_MM + 1.0)
    still.box(0.0, 0.0, len(_TITLES) * side, still.height, "#000000")
    for (x, y), title in zip(corners, _TITLES, strict=True):
        words = f"{state_title(result)}  {title}"
        still.text(x + 0.5 * side, y - 1.4, words, Font(6.5, colour="#e8e8e8", bold=True), align="middle")
    function, plot = result.function, None
    if function is not None and len(function.volumes_ml) == gated.frames > 1:
        corner, size = (len(_TITLES) * side + 14.0, _TITLE_MM), (_CURVE_MM - 17.0, side - 7.0)
        plot = volume_plot(still, result, function, corner, size)
    frames, highest, step = [], gated_maximum(result), _PIXELS + _GAP
    shown = side * _PIXELS / step
    planes, field_mm = _planes(result), extent_of((result,)).field_mm
    for gate, tiles in enumerate(_tiles(result, field_mm)):
        frame, strip = Canvas(still.width, still.height), np.zeros((_PIXELS, len(tiles) * step), np.uint8)
        for i, tile in enumerate(tiles):
            strip[:, i * step : i * step + _PIXELS] = colour_numbers(tile, (0.0, highest))
        frame.picture(0.0, _TITLE_MM, len(tiles) * side, shown, strip, PERFUSION, scale=result.name)
        for corner, plane in zip(corners, planes, strict=True):
            _draw_surfaces(frame, result, gate, plane, corner, (shown, field_mm))
        if plot is not None and function is not None:
            replace(plot, canvas=frame).dots(gate + 1, function.volumes_ml[gate], "#c62828", 1.1)
        frames.append(frame)
    return Cine(still=still, frames=tuple(frames))


def _tiles(result: ScanResult, field_mm: float) -> list[Float]:
    """Cut the five slices of every gate: an array (5, rows, columns) each."""
    assert result.gated_volume is not None
    centre, offset = result.frame.centre_mm, _SHARE * result.frame.length_mm
    turned = short_axis(result.gated_volume, result.frame)
    cuts = []
    for gate in range(turned.frames):
        views = views_of(Volume(turned.array[gate], turned.lps_from_index))
        across = plane_tiles(views["sa"], centre, np.array([-offset, 0.0, offset]), field_mm=field_mm, pixels=_PIXELS)
        along = [
            plane_tiles(views[name], centre, np.zeros(1), field_mm=field_mm, pixels=_PIXELS) for name in ("vla", "hla")
        ]
        cuts.append(np.concatenate([across, *along]))
    return cuts


def _planes(result: ScanResult) -> list[tuple[Float, Float]]:
    """Return each slice's middle and its unit vectors, rows of a (3, 3) array: across the slice, down, to the right."""
    views, frame, planes = views_of(result.short_axis), result.frame, []
    for name, share in (("sa", -_SHARE), ("sa", 0.0), ("sa", _SHARE), ("vla", 0.0), ("hla", 0.0)):
        axes = views[name].lps_from_index[:3, :3].T
        axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
        planes.append((frame.centre_mm + share * frame.length_mm * axes[0], axes))
    return planes


def _draw_surfaces(
    canvas: Canvas,
    result: ScanResult,
    gate: int,
    plane: tuple[Float, Float],
    corner: tuple[float, float],
    size: tuple[float, float],
) -> None:
    """Draw where the surfaces of the wall at a gate cross a slice that lies at `corner`, `size` its side and field."""
    surfaces = None if result.function is None else result.function.surfaces
    if surfaces is None or gate >= len(surfaces.mid_wall_mm):
        return
    inner, middle = surfaces.endocardium_mm[gate], surfaces.mid_wall_mm[gate]
    side, field_mm = size
    for points, colour in zip((inner, 2.0 * middle - inner), _SURFACES, strict=True):
        lines = [(line / field_mm + 0.5) * side + corner for line in crossings(points, *plane, tip=True)]
        if lines:
            canvas.shape(lines, stroke=colour, width_mm=0.25)


def crossings(surface_mm: Float, origin_mm: Float, axes: Float, *, tip: bool = False) -> list[Float]:
    """Return the lines in which a surface crosses a plane, in mm right of and below the plane's origin.

    Parameters
    ----------
    surface_mm
        Points (rings, angles, 3) of a surface that is closed around its angles.
    origin_mm, axes
        A point of the plane, and three unit vectors as rows: across it, down and to the right.
    tip
        Whether the surface is closed by the middle of its first ring.

    Examples
    --------
    >>> turn = np.radians(np.arange(0, 360, 10))
    >>> tube = np.stack([np.broadcast_arrays(z, 20 * np.cos(turn), 20 * np.sin(turn)) for z in (-5.0, 5.0)])
    >>> (circle,) = crossings(np.moveaxis(tube, 1, 2), np.zeros(3), np.eye(3))
    >>> bool(np.allclose(np.hypot(*circle.T), 20, atol=0.1))
    True
    """
    closed = np.concatenate([surface_mm, surface_mm[:, :1]], axis=1)
    if tip:
        closed = np.concatenate([np.broadcast_to(surface_mm[0].mean(axis=0), closed[:1].shape), closed])
    local = (closed - origin_mm) @ axes.T
    lines = contour_generator(z=np.ascontiguousarray(local[..., 0])).lines(0.0)
    return [_between(local[..., 2:0:-1], np.asarray(line)) for line in lines]


def _between(grid: Float, places: Float) -> Float:
    """Return values of a grid (rows, columns, 2) at fractional places (column, row), linearly between its samples."""
    first = np.minimum(places.astype(int), np.array(grid.shape[1::-1]) - 2)
    right, down = (places - first).T[..., None]
    column, row = first.T
    above = (1.0 - right) * grid[row, column] + right * grid[row, column + 1]
    below = (1.0 - right) * grid[row + 1, column] + right * grid[row + 1, column + 1]
    return np.asarray((1.0 - down) * above + down * below)
