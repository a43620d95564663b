"""Drawings in millimetres: marks in the order in which they are laid on, the same for every kind of page.

A picture of the report is described once, as a `Canvas`; `myoperf.report.svg` writes it into the HTML page,
`myoperf.report.paper` into the PDF, `myoperf.report.raster` as PNG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from myoperf.report.colours import INK, Bytes, Palette
from myoperf.types import Float

MM_PER_PT = 25.4 / 72.0
Align = Literal["left", "middle", "right"]
_HALF_CAPITAL = 0.365
"""Half the height of a capital letter of DejaVu Sans, as a share of the font's size."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Shape:
    """Lines or filled outlines.

    Parameters
    ----------
    lines
        Each of shape (points, 2): x, y in mm.
    fill, stroke
        Colours ``#rrggbb``; None for none.
    width_mm
        Of the stroke.
    dash_mm
        Length of dashes and of the gaps between them; 0 for a full line.
    """

    lines: tuple[Float, ...]
    fill: str | None = None
    stroke: str | None = None
    width_mm: float = 0.2
    dash_mm: float = 0.0


@dataclass(frozen=True)
class Font:
    """How a text looks; `halo` is the colour of an edge around the letters, for texts on pictures."""

    size_pt: float
    _: KW_ONLY
    colour: str = INK
    bold: bool = False
    halo: str | None = None


@dataclass(frozen=True, kw_only=True)
class Text:
    """A line of text.

    Parameters
    ----------
    x, y
        Where its baseline starts, has its middle or ends, by `align`.
    turn_deg
        Turn about that point, counter-clockwise.
    """

    x: float
    y: float
    text: str
    font: Font
    align: Align = "left"
    turn_deg: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """Pixels in the colours of a palette.

    Parameters
    ----------
    x, y, width, height
        Where it lies; row 0 is on top.
    pixels
        Numbers of colours (`myoperf.report.colours.colour_numbers`), shape (rows, columns).
    scale
        Name of the colour scale that a reader of the web page can change, such as ``"stress"``; empty for none.
    """

    x: float
    y: float
    width: float
    height: float
    pixels: Bytes
    palette: Palette
    scale: str = ""


Mark = Shape | Text | Picture


class Canvas:
    """A drawing: its size and its marks, to which more are added.

    Parameters
    ----------
    width, height
        Millimetres; x rises to the right and y downwards from the upper left corner.

    Examples
    --------
    >>> drawing = Canvas(40.0, 20.0)
    >>> drawing.line([(0, 10), (40, 10)], "#1d2430")
    >>> drawing.text(20.0, 5.0, "EDV 96 ml", Font(8.0), align="middle")
    >>> len(drawing.marks)
    2
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.marks: list[Mark] = []

    def line(self, points: ArrayLike, stroke: str, width_mm: float = 0.2, *, dash_mm: float = 0.0) -> None:
        """Draw a line through points, shape (points, 2)."""
        self.shape([points], stroke=stroke, width_mm=width_mm, dash_mm=dash_mm)

    def shape(
        self,
        lines: Sequence[ArrayLike],
        *,
        fill: str | None = None,
        stroke: str | None = None,
        width_mm: float = 0.2,
        dash_mm: float = 0.0,
    ) -> None:
        """Draw several lines alike, or several filled outlines."""
        points = tuple(np.asarray(line, dtype=np.float64) for line in lines)
        self.marks.append(Shape(lines=points, fill=fill, stroke=stroke, width_mm=width_mm, dash_mm=dash_mm))

    def box(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """Fill a rectangle."""
        self.shape([[(x, y), (x + width, y), (x + width, y + height), (x, y + height)]], fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: str) -> None:
        """Fill a small circle."""
        turn = np.linspace(0.0, 2.0 * np.pi, 17)[:-1]
        self.shape([np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)], fill=fill)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        font: Font,
        *,
        align: Align = "left",
        turn_deg: float = 0.0,
        centred: bool = False,
    ) -> None:
        """Write a line of text; `centred` puts the middle of its capitals, not its baseline, at y."""
        if centred:
            down, turn = _HALF_CAPITAL * font.size_pt * MM_PER_PT, math.radians(turn_deg)
            x, y = x + down * math.sin(turn), y + down * math.cos(turn)
        if text:
            self.marks.append(Text(x=x, y=y, text=text, font=font, align=align, turn_deg=turn_deg))

    def picture(
        self, x: float, y: float, width: float, height: float, pixels: Bytes, palette: Palette, *, scale: str = ""
    ) -> None:
        """Draw pixels in a rectangle; `scale` names the colour scale that the web page lets its reader change."""
        mark = Picture(x=x, y=y, width=width, height=height, pixels=pixels, palette=palette, scale=scale)
        self.marks.append(mark)

    def place(self, drawing: Canvas, x: float, y: float, *, width: float | None = None) -> None:
        """Place a whole drawing with its upper left corner at (x, y), scaled to a width."""
        scale = 1.0 if width is None else width / drawing.width
        self.marks.extend(_moved(mark, x, y, scale) for mark in drawing.marks)

    @property
    def texts(self) -> list[str]:
        """All texts, in order."""
        return [mark.text for mark in self.marks if isinstance(mark, Text)]


def _moved(mark: Mark, x: float, y: float, scale: float) -> Mark:
    """Return a mark scaled about the origin, then shifted."""
    if isinstance(mark, Shape):
        lines = tuple(scale * line + (x, y) for line in mark.lines)
        return replace(mark, lines=lines, width_mm=scale * mark.width_mm, dash_mm=scale * mark.dash_mm)
    right, down = x + scale * mark.x, y + scale * mark.y
    if isinstance(mark, Text):
        return replace(mark, x=right, y=down, font=replace(mark.font, size_pt=scale * mark.font.size_pt))
    return replace(mark, x=right, y=down, width=scale * mark.width, height=scale * mark.height)
