"""Small charts: a frame with ticks and labels, curves, dots and bars in it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from myoperf.report.canvas import MM_PER_PT, Canvas, Font
from myoperf.report.colours import INK, Palette, colour_numbers
from myoperf.types import Float

_TICK_MM = 0.7


@dataclass(frozen=True, eq=False, kw_only=True)
class Plot:
    """A chart's frame on a drawing.

    Parameters
    ----------
    corner, size
        Upper left corner, and width and height of the frame in mm; labels stand outside.
    across, up
        Values at the left and right, and at the lower and upper edge.
    """

    canvas: Canvas
    corner: tuple[float, float]
    size: tuple[float, float]
    across: tuple[float, float]
    up: tuple[float, float]

    def places(self, x: ArrayLike, y: ArrayLike) -> Float:
        """Return values as points of the drawing, shape (points, 2)."""
        right = (np.asarray(x, np.float64) - self.across[0]) / (self.across[1] - self.across[0])
        above = (np.asarray(y, np.float64) - self.up[0]) / (self.up[1] - self.up[0])
        right, above = np.broadcast_arrays(right, above)
        points = [self.corner[0] + right * self.size[0], self.corner[1] + (1.0 - above) * self.size[1]]
        return np.stack(points, axis=-1).reshape(-1, 2)

    def curve(self, x: ArrayLike, y: ArrayLike, colour: str, width_mm: float = 0.35) -> None:
        """Draw a line through values, with gaps where they are not finite."""
        points = self.places(x, y)
        finite = np.asarray(np.isfinite(points).all(axis=1))
        runs = np.split(np.arange(len(points)), np.flatnonzero(np.diff(finite.astype(np.int8))) + 1)
        lines = [points[run] for run in runs if run.size > 1 and finite[run[0]]]
        if lines:
            self.canvas.shape(lines, stroke=colour, width_mm=width_mm)

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str, radius_mm: float = 0.35) -> None:
        """Draw a dot at each finite value."""
        points = self.places(x, y)
        for right, down in points[np.isfinite(points).all(axis=1)].tolist():
            self.canvas.disc(right, down, radius_mm, colour)

    def frame(
        self,
        *,
        title: str = "",
        x_label: str = "",
        y_label: str = "",
        x_ticks: Sequence[float] = (),
        y_ticks: Sequence[tuple[float, str]] = (),
        size_pt: float = 6.0,
    ) -> None:
        """Draw the left and lower edge with ticks and labels, and the title above."""
        canvas, (left, top), (width, height) = self.canvas, self.corner, self.size
        bottom, small = top + height, size_pt - 0.5
        canvas.line([(left, top), (left, bottom), (left + width, bottom)], INK, 0.18)
        line = size_pt * MM_PER_PT
        for value in x_ticks:
            ((x, _),) = self.places(value, self.up[0])
            canvas.line([(x, bottom), (x, bottom + _TICK_MM)], INK, 0.18)
            canvas.text(x, bottom + _TICK_MM + 0.95 * line, f"{value:g}", Font(small), align="middle")
        for value, text in y_ticks:
            ((_, y),) = self.places(self.across[0], value)
            canvas.line([(left - _TICK_MM, y), (left, y)], INK, 0.18)
            canvas.text(left - _TICK_MM - 0.5, y, text, Font(small), align="right", centred=True)
        below = bottom + (_TICK_MM + 1.05 * line if x_ticks else 0.0) + 1.15 * line
        canvas.text(left + 0.5 * width, below, x_label, Font(size_pt), align="middle")
        widest = max((len(text) for _, text in y_ticks), default=0)
        aside = left - _TICK_MM - 0.9 - 0.62 * small * MM_PER_PT * widest - 0.5 * line
        canvas.text(aside, top + 0.5 * height, y_label, Font(size_pt), align="middle", turn_deg=90.0, centred=True)
        canvas.text(left + 0.5 * width, top - 1.1, title, Font(size_pt + 1.0, bold=True), align="middle")


def round_steps(low: float, high: float, *, most: int = 6) -> list[float]:
    """Return round values (1, 2 or 5 times a power of ten apart) from `low` to `high`, at most `most` of them."""
    rough = (high - low) / max(most - 1, 1)
    if not (math.isfinite(rough) and rough > 0):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1.0 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * i for i in range(first, last + 1)]


def as_ticks(values: Sequence[float]) -> list[tuple[float, str]]:
    """Return values with their texts."""
    return [(value, f"{value:g}") for value in values]


def draw_bar(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    palette: Palette,
    limits: tuple[float, float],
    label: str,
    *,
    size_pt: float = 5.5,
    scale: str = "",
) -> None:
    """Draw a horizontal colour bar with ticks and its label underneath.

    Parameters
    ----------
    box
        Left, top, width and height of the bar in mm; ticks and label need ``size_pt`` mm below it.
    scale
        Name of the scale that the web page lets its reader change, and the bar with it.
    """
    left, top, width, height = box
    ramp = colour_numbers(np.linspace(*limits, 256)[None], limits)
    canvas.picture(left, top, width, height, ramp, palette, scale=scale)
    edge = [(left, top), (left + width, top), (left + width, top + height), (left, top + height), (left, top)]
    canvas.line(edge, INK, 0.14)
    line = size_pt * MM_PER_PT
    for value in round_steps(*limits):
        x = left + width * (value - limits[0]) / (limits[1] - limits[0])
        canvas.line([(x, top + height), (x, top + height + 0.5)], INK, 0.14)
        canvas.text(x, top + height + 0.6 + 0.9 * line, f"{value:g}", Font(size_pt), align="middle")
    canvas.text(left + 0.5 * width, top + height + 0.8 + 2.0 * line, label, Font(size_pt), align="middle")
