"""Bull's eyes: the polar map as a disc, anterior on top, septum on the left, with its 17 segments."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from myoperf.geometry.disc import disc_places
from myoperf.report.canvas import Canvas, Font
from myoperf.report.colours import INK, SOFT, VESSEL_COLOURS, Palette, colour_numbers, mixed
from myoperf.report.fonts import fitted
from myoperf.segments import LEVEL_EDGES, TERRITORIES, Territories, segment_of, territory_of
from myoperf.types import Float

_SIDES = ((0.0, -1.0, "ANT", 0), (-1.0, 0.0, "SEPT", 90), (0.0, 1.0, "INF", 0), (1.0, 0.0, "LAT", -90))
"""Position on the unit disc (y down), name and turn of the text."""
_BOX = 1.24
"""Half the side of a bull's eye with the names of its sides, in radii of the disc."""


_MISSING = "#c3c8d0"
"""Colour of a segment without a value."""


@dataclass(frozen=True, eq=False, kw_only=True)
class BullEye:
    """What a bull's eye shows.

    Parameters
    ----------
    picture
        Pixels (size, size) from `myoperf.geometry.disc.disc_image`, or the values of the 17 segments, shape (17,),
        NaN where there is none.
    limits
        Values at both ends of the colour scale.
    labels
        17 texts, one a segment; None for none.
    light
        Whether the colours are light, so that outlines and texts are dark.
    scale
        Name of the colour scale that the web page lets its reader change; empty for none.
    """

    picture: Float
    title: str
    palette: Palette
    limits: tuple[float, float]
    labels: Sequence[str] | None = None
    light: bool = False
    scale: str = ""


def segment_disc(values: Sequence[float] | Float, *, size: int = 256) -> Float:
    """Draw 17 segment values as a picture of shape (size, size); NaN outside the disc."""
    radius, angle = disc_places(size)
    picture = np.asarray(values, dtype=np.float64)[segment_of(radius, angle) - 1]
    return np.where(radius <= 1.0, picture, np.nan)


def segment_centre(segment: int) -> tuple[float, float]:
    """Return (x, y) of a segment's middle on the unit disc, y up."""
    if segment == 17:
        return 0.0, 0.0
    edges = (*LEVEL_EDGES, 1.0)
    level, step, first = (2, 60.0, 1) if segment <= 6 else (1, 60.0, 7) if segment <= 12 else (0, 90.0, 13)
    radius = 0.5 * (edges[level] + edges[level + 1])
    angle = np.radians((segment - first) * step)
    return float(-radius * np.sin(angle)), float(radius * np.cos(angle))


@lru_cache(maxsize=1)
def _boundaries() -> tuple[tuple[Float, int, int], ...]:
    """List every border between two segments: its points (n, 2), y down, and the segments on both sides."""
    edges, borders = (*LEVEL_EDGES, 1.0), []
    for level, cuts in ((0, np.arange(45.0, 405.0, 90.0)), *((k, np.arange(30.0, 390.0, 60.0)) for k in (1, 2))):
        for cut in cuts:
            radii, angle = np.array([edges[level], edges[level + 1]]), np.radians(cut)
            points = np.stack([-radii * np.sin(angle), -radii * np.cos(angle)], axis=1)
            sides = segment_of(radii.mean(), np.array([cut - 1.0, cut + 1.0]))
            borders.append((points, int(sides[0]), int(sides[1])))
    for edge in LEVEL_EDGES:
        for start in np.arange(0.0, 360.0, 15.0):
            points = _arc(edge, start, start + 15.0)
            sides = segment_of(np.array([edge - 0.01, edge + 0.01]), start + 7.5)
            borders.append((points, int(sides[0]), int(sides[1])))
    return tuple(borders)


def _sector(segment: int) -> Float:
    """Return the outline of a segment on the unit disc, shape (points, 2), y down."""
    if segment == 17:
        return _arc(LEVEL_EDGES[0], 0.0, 360.0)
    edges = (*LEVEL_EDGES, 1.0)
    level, width, first = (2, 60.0, 1) if segment <= 6 else (1, 60.0, 7) if segment <= 12 else (0, 90.0, 13)
    middle = (segment - first) * width
    inner, outer = (_arc(edges[i], middle - 0.5 * width, middle + 0.5 * width) for i in (level, level + 1))
    return np.concatenate([inner, outer[::-1]])


def _arc(radius: float, start_deg: float, end_deg: float) -> Float:
    """Return points of an arc about the disc's middle, 5 degrees apart; angles rise through the septum."""
    angle = np.radians(np.linspace(start_deg, end_deg, round((end_deg - start_deg) / 5.0) + 1))
    return radius * np.stack([-np.sin(angle), -np.cos(angle)], axis=1)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a bull's eye lies on a drawing: the middle and the radius of its disc, in mm."""

    x: float
    y: float
    radius: float

    def at(self, points: Float) -> Float:
        """Return points of the unit disc (y down) in mm of the drawing."""
        return points * self.radius + (self.x, self.y)


def _in_square(x: float, y: float, side: float) -> _Place:
    return _Place(x=x + 0.5 * side, y=y + 0.5 * side, radius=0.5 * side / _BOX)


def _draw_outlines(canvas: Canvas, place: _Place, *, thin: str, thick: str, territories: Territories) -> None:
    """Draw the 17 segments finely and the borders of the three territories boldly."""
    same: list[Float] = []
    apart: list[Float] = []
    for points, a, b in _boundaries():
        alike = territory_of(a, territories) == territory_of(b, territories)
        (same if alike else apart).append(place.at(points))
    canvas.shape(same, stroke=thin, width_mm=0.17)
    if thick != INK:
        canvas.shape(apart, stroke=INK, width_mm=0.6)
    canvas.shape(apart, stroke=thick, width_mm=0.36)
    canvas.line(place.at(_arc(1.0, 0.0, 360.0)), INK, 0.3)


def _draw_frame(canvas: Canvas, place: _Place, title: str, *, size_pt: float) -> None:
    """Name the sides and write the title above, small enough for the square's width."""
    font = fitted(title, Font(size_pt + 1.5, bold=True), 2.0 * _BOX * place.radius)
    canvas.text(place.x, place.y - _BOX * place.radius - 0.6, title, font, align="middle")
    for right, down, name, turn in _SIDES:
        x, y = place.x + 1.12 * right * place.radius, place.y + 1.12 * down * place.radius
        canvas.text(x, y, name, Font(size_pt - 1.2, colour=SOFT), align="middle", turn_deg=turn, centred=True)


def draw_disc(
    canvas: Canvas,
    disc: BullEye,
    corner: tuple[float, float],
    side: float,
    *,
    size_pt: float = 6.0,
    territories: Territories = TERRITORIES,
) -> None:
    """Draw one bull's eye, the borders of the territories boldly.

    Parameters
    ----------
    corner, side
        Upper left corner and side of the square that the disc and the names of its sides fill, in mm; the title
        stands above it and needs ``0.5 * size_pt`` mm.
    size_pt
        Size of the segments' texts.
    """
    place = _in_square(*corner, side)
    draw_pixels(canvas, disc, corner, side)
    ink, halo = (INK, "#ffffff") if disc.light else ("#ffffff", "#000000")
    _draw_outlines(canvas, place, thin="#404a58" if disc.light else "#8a909a", thick=ink, territories=territories)
    _draw_frame(canvas, place, disc.title, size_pt=size_pt)
    for segment, text in enumerate(disc.labels or (), start=1):
        (x, y) = place.at(np.array(segment_centre(segment)) * (1.0, -1.0))
        canvas.text(x, y, text, Font(size_pt, colour=ink, bold=True, halo=halo), align="middle", centred=True)


def draw_pixels(canvas: Canvas, disc: BullEye, corner: tuple[float, float], side: float) -> None:
    """Draw the colours of a bull's eye alone, without borders and texts, where `draw_disc` puts them."""
    place, numbers = _in_square(*corner, side), colour_numbers(disc.picture, disc.limits)
    if disc.picture.ndim == 2:
        full = 2.0 * place.radius
        canvas.picture(
            place.x - place.radius, place.y - place.radius, full, full, numbers, disc.palette, scale=disc.scale
        )
        return
    for segment, colour in enumerate(disc.palette.table[numbers].tolist(), start=1):
        fill = "#{:02x}{:02x}{:02x}".format(*colour[:3]) if colour[3] else _MISSING
        canvas.shape([place.at(_sector(segment))], fill=fill, stroke=fill, width_mm=0.1)


def draw_key(
    canvas: Canvas,
    corner: tuple[float, float],
    side: float,
    *,
    title: str = "Segments and territories",
    size_pt: float = 6.0,
    territories: Territories = TERRITORIES,
) -> None:
    """Draw the key: numbers of the 17 segments on the territories' colours, names of the vessels at the rim."""
    place = _in_square(*corner, side)
    for segment in range(1, 18):
        fill = mixed(VESSEL_COLOURS[territory_of(segment, territories)], 0.4)
        canvas.shape([place.at(_sector(segment))], fill=fill, stroke=fill, width_mm=0.1)
    _draw_outlines(canvas, place, thin="#404a58", thick=INK, territories=territories)
    _draw_frame(canvas, place, title, size_pt=size_pt)
    for segment in range(1, 18):
        (x, y) = place.at(np.array(segment_centre(segment)) * (1.0, -1.0))
        canvas.text(x, y, str(segment), Font(size_pt), align="middle", centred=True)
    for vessel, at in {"LAD": (-0.98, -0.9), "LCX": (0.98, -0.9), "RCA": (-0.98, 0.9)}.items():
        (x, y) = place.at(np.array(at))
        colour = VESSEL_COLOURS[vessel]
        canvas.text(x, y, vessel, Font(size_pt + 0.6, colour=colour, bold=True), align="middle", centred=True)
