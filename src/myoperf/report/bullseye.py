"""Bull's eyes: the polar map as a disc, anterior on top, septum on the left, with its 17 segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.patheffects import withStroke

from myoperf.geometry.disc import disc_places
from myoperf.report.colours import INK, VESSEL_COLOURS
from myoperf.segments import LEVEL_EDGES, TERRITORIES, Territories, segment_of, territory_of
from myoperf.types import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDES = ((0.0, 1.0, "ANT", 0), (-1.0, 0.0, "SEPT", 90), (0.0, -1.0, "INF", 0), (1.0, 0.0, "LAT", -90))
"""Position on the unit disc, name and rotation of the text."""


@dataclass(frozen=True, eq=False, kw_only=True)
class BullEye:
    """What a bull's eye shows.

    Parameters
    ----------
    picture
        From `myoperf.geometry.disc.disc_image` or `segment_disc`.
    limits
        Values at both ends of the colour scale.
    labels
        17 texts, one a segment; None for none.
    light
        Whether the colours are light, so that outlines and texts are dark.
    """

    picture: Float
    title: str
    cmap: Colormap
    limits: tuple[float, float]
    labels: Sequence[str] | None = None
    light: bool = False


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


def _boundaries() -> list[tuple[Float, int, int]]:
    """List every border between two segments: its points (n, 2), y up, and the segments on both sides."""
    edges, borders = (*LEVEL_EDGES, 1.0), []
    for level, cuts in ((0, np.arange(45.0, 405.0, 90.0)), *((k, np.arange(30.0, 390.0, 60.0)) for k in (1, 2))):
        for cut in cuts:
            radii, angle = np.array([edges[level], edges[level + 1]]), np.radians(cut)
            points = np.stack([-radii * np.sin(angle), radii * np.cos(angle)], axis=1)
            sides = segment_of(radii.mean(), np.array([cut - 1.0, cut + 1.0]))
            borders.append((points, int(sides[0]), int(sides[1])))
    for edge in LEVEL_EDGES:
        for start in np.arange(0.0, 360.0, 15.0):
            angle = np.radians(np.linspace(start, start + 15.0, 6))
            points = edge * np.stack([-np.sin(angle), np.cos(angle)], axis=1)
            sides = segment_of(np.array([edge - 0.01, edge + 0.01]), start + 7.5)
            borders.append((points, int(sides[0]), int(sides[1])))
    return borders


def _draw_outlines(ax: Axes, *, thin: str, thick: str, territories: Territories) -> None:
    """Draw the 17 segments finely and the borders of the three territories boldly."""
    borders = _boundaries()
    same = [points for points, a, b in borders if territory_of(a, territories) == territory_of(b, territories)]
    apart = [points for points, a, b in borders if territory_of(a, territories) != territory_of(b, territories)]
    edge = [] if thick == INK else [withStroke(linewidth=1.9, foreground="#00000090")]
    ax.add_collection(LineCollection(same, colors=thin, linewidths=0.5, alpha=0.8))
    ax.add_collection(LineCollection(apart, colors=thick, linewidths=1.1, path_effects=edge))
    rim = np.radians(np.linspace(0.0, 360.0, 181))
    ax.plot(np.cos(rim), np.sin(rim), color=INK, linewidth=0.8)


def _frame_axes(ax: Axes, title: str, *, size_pt: float) -> None:
    ax.set_xlim(-1.24, 1.24)
    ax.set_ylim(-1.24, 1.24)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(title, fontsize=size_pt + 1.5, fontweight="bold", pad=2, color=INK, parse_math=False)
    style: dict[str, Any] = {"fontsize": size_pt - 1.2, "color": "#5a6472", "ha": "center", "va": "center"}
    for x, y, name, rotation in _SIDES:
        ax.text(1.12 * x, 1.12 * y, name, rotation=rotation, **style)


def draw_disc(ax: Axes, disc: BullEye, *, size_pt: float = 6.0, territories: Territories = TERRITORIES) -> None:
    """Draw one bull's eye, the borders of the territories boldly."""
    ink, halo = (INK, "#ffffff") if disc.light else ("#ffffff", "#000000")
    ax.imshow(
        np.ma.masked_invalid(disc.picture),
        cmap=disc.cmap,
        vmin=disc.limits[0],
        vmax=disc.limits[1],
        extent=(-1, 1, -1, 1),
        interpolation="bilinear",
    )
    _draw_outlines(ax, thin="#404a58" if disc.light else "#8a909a", thick=ink, territories=territories)
    _frame_axes(ax, disc.title, size_pt=size_pt)
    for segment, text in enumerate(disc.labels or (), start=1):
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontweight": "bold", "parse_math": False}
        label = ax.text(*segment_centre(segment), text, fontsize=size_pt, color=ink, **style)
        label.set_path_effects([withStroke(linewidth=1.3, foreground=halo)])


def draw_key(
    ax: Axes,
    *,
    title: str = "Segments and territories",
    size_pt: float = 6.0,
    territories: Territories = TERRITORIES,
) -> None:
    """Draw the key: numbers of the 17 segments on the territories' colours, names of the vessels at the rim."""
    vessel_of = [list(TERRITORIES).index(territory_of(s, territories)) for s in range(1, 18)]
    cmap = ListedColormap([VESSEL_COLOURS[v] + "66" for v in TERRITORIES])
    ax.imshow(
        np.ma.masked_invalid(segment_disc(vessel_of, size=320)),
        cmap=cmap,
        vmin=-0.5,
        vmax=2.5,
        extent=(-1, 1, -1, 1),
        interpolation="nearest",
    )
    _draw_outlines(ax, thin="#404a58", thick=INK, territories=territories)
    _frame_axes(ax, title, size_pt=size_pt)
    for segment in range(1, 18):
        ax.text(*segment_centre(segment), str(segment), fontsize=size_pt, color=INK, ha="center", va="center")
    for vessel, (x, y) in {"LAD": (-0.98, 0.9), "LCX": (0.98, 0.9), "RCA": (-0.98, -0.9)}.items():
        colour = VESSEL_COLOURS[vessel]
        ax.text(x, y, vessel, fontsize=size_pt + 0.6, color=colour, fontweight="bold", ha="center", va="center")
