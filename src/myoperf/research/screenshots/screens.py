"""Clean polar maps from a workstation's screen, as Hai et al. 2022 (doi:10.32604/cmc.2022.031027) made them.

A screen is a colour or grey picture with one or more polar maps drawn as discs, and text, colour bars, slices or
curves around and over them. Discs are found by their shape, text over them by being thin, and colours are turned
back into counts by the scale they lie on. What a map shows (stress, rest, a difference) stands only in the text, which
is not read: the caller chooses the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.research.screenshots.colour_scales import Anchors, intensity_of
from myoperf.research.screenshots.pictures import open_picture, page_colour
from myoperf.research.screenshots.scale_choice import ADVICE, ScaleFit, bar_scale, check_scale, choose_scale
from myoperf.types import Float32

_LEAST_RADIUS = 24.0
_FARTHEST_COLOUR = 45.0
"""75th percentile of the pixels' distance from the nearest colour scale (0 to 441) that is still accepted."""
_MOST_OFF = 0.35
"""Share of the pixels off the scale that is still accepted: text and lines cover up to a third of a disc."""
_BRIGHT = 0.45
"""Median of discs above which a scale is plausible; scales with the reverse order then give less than 0.55."""
_DARK = 0.3
"""Median of discs below which even the only scale that fits is doubted."""
_UNEVEN = 0.03
"""Spread of the rim's radius, as a share of it, that is still a circle."""


@dataclass(frozen=True, eq=False)
class ScreenMap:
    """One polar map of a screen.

    Attributes
    ----------
    disc
        (size, size) float32 from 0 to 1, text removed, 0 outside the disc, which touches the edges.
    scale
        Name of the colour scale, or ``"given"``.
    centre, radius
        (row, column) and radius on the screen, pixels.
    repaired
        Share of the disc that lay under text or lines and was filled from its surroundings.
    colours
        (size, size, 3) red, green, blue: the disc as it was painted, text removed, black outside. Networks that should
        see what those of Hai et al. 2022 saw take these instead of the counts.
    """

    disc: Float32
    scale: str
    centre: tuple[float, float]
    radius: float
    repaired: float
    colours: NDArray[np.uint8]


def read_screen(path: Path, *, size: int = 224, scale: Anchors | None = None) -> tuple[ScreenMap, ...]:
    """Read a picture file and clean it, see `clean_screen`.

    Raises
    ------
    InputError
        When the file cannot be read as a picture, or shows no polar map.
    """
    return clean_screen(open_picture(path), size=size, scale=scale)


def clean_screen(pixels: NDArray[Any], *, size: int = 224, scale: Anchors | None = None) -> tuple[ScreenMap, ...]:
    """Return the clean polar maps of a screen, in reading order.

    Parameters
    ----------
    pixels
        (rows, columns, 3), 0 to 255.
    size
        Rows and columns of the maps.
    scale
        Colours of the workstation, see `myoperf.research.screenshots.colour_scales`; recognised where None.

    Raises
    ------
    InputError
        When the picture is too small, holds no disc, or its colours lie on no known scale.
    """
    picture = np.asarray(pixels)
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(f"A screen is a colour picture (rows, columns, 3); got shape {picture.shape}.")
    if min(picture.shape[:2]) < 2 * _LEAST_RADIUS:
        raise InputError(f"The picture is too small for a polar map: {picture.shape[1]} x {picture.shape[0]} pixels.")
    circles = _find_discs(picture)
    if not circles:
        raise InputError(
            "The picture shows no polar map: it has no evenly round, filled disc; give a screen with a complete one."
        )
    name, anchors = _choose_scale(picture, circles, scale)
    return tuple(_clean(picture, circle, anchors, name, size) for circle in _reading_order(circles))


@dataclass(frozen=True)
class _Circle:
    row: float
    column: float
    radius: float


def _choose_scale(picture: NDArray[Any], circles: Sequence[_Circle], given: Anchors | None) -> tuple[str, Anchors]:
    """Return the scale that is given, that of the page's colour bar, or the known one that fits the discs.

    Of scales that contradict each other the one counts in which the discs are rather bright, as polar maps are. Discs
    that are dark almost everywhere on the only scale that fits are refused: they may be painted in its reverse.
    """
    inside = np.concatenate([picture[_within(picture.shape[:2], c, 0.95)] for c in circles])
    if given is not None:
        check_scale(inside, given, farthest=_FARTHEST_COLOUR, most_off=_MOST_OFF)
        return "given", given

    def is_bright(fit: ScaleFit) -> bool:
        return float(np.median(fit.values)) > _BRIGHT

    fit = bar_scale(picture, inside, plausible=is_bright, farthest=_FARTHEST_COLOUR, most_off=_MOST_OFF)
    fit = fit or choose_scale(inside, plausible=is_bright, farthest=_FARTHEST_COLOUR, most_off=_MOST_OFF)
    if (level := float(np.median(fit.values))) < _DARK:
        raise UnsupportedInputError(
            f"The polar map is dark almost everywhere on the scale {fit.name} (median {level:.2f}, expected at least "
            f"{_DARK}): it may be painted in the reverse of this scale; {ADVICE}."
        )
    return fit.name, fit.anchors


def _within(shape: tuple[int, ...], circle: _Circle, share: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside: NDArray[np.bool_] = (rows - circle.row) ** 2 + (columns - circle.column) ** 2 <= (
        share * circle.radius
    ) ** 2
    return inside


def _ball(radius: int) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    ball: NDArray[np.bool_] = rows**2 + columns**2 <= radius**2 + 0.5
    return ball


def _find_discs(picture: NDArray[Any]) -> list[_Circle]:
    """Find filled, evenly round regions that differ from the background; text is too thin to remain."""
    away = np.abs(picture.astype(np.float64) - page_colour(picture)).max(axis=2) > 30.0
    thin = max(2, round(0.005 * min(picture.shape[:2])))
    solid = ndimage.binary_opening(ndimage.binary_fill_holes(away), _ball(thin))
    parts, count = ndimage.label(solid)
    circles = []
    for index, window in enumerate(ndimage.find_objects(parts), start=1):
        height, width = (s.stop - s.start for s in window)
        if min(height, width) < 2 * _LEAST_RADIUS or not 0.8 < height / width < 1.25 or index > count:
            continue
        circle = _fit_circle(np.pad(ndimage.binary_fill_holes(parts[window] == index), 1))
        if circle is not None:
            row, column = circle.row + window[0].start - 1, circle.column + window[1].start - 1
            circles.append(_Circle(row, column, circle.radius))
    return circles


def _fit_circle(region: NDArray[np.bool_]) -> _Circle | None:
    """Fit a circle to a region's convex outline; None when it is not round or not filled."""
    rim = np.argwhere(region & ~ndimage.binary_erosion(region)).astype(np.float64)
    points = rim[spatial.ConvexHull(rim).vertices]
    if len(points) < 8:
        return None
    kept = points
    for _ in range(4):  # dark rims bend the outline inwards: what lies well inside is left out
        system = np.column_stack([2.0 * kept, np.ones(len(kept))])
        (row, column, rest), *_ = np.linalg.lstsq(system, (kept**2).sum(axis=1), rcond=None)
        radius = float(np.sqrt(max(rest + row**2 + column**2, 0.0)))
        gap = np.hypot(points[:, 0] - row, points[:, 1] - column) - radius
        chosen = points[gap > -0.03 * radius]
        if len(chosen) < 8 or len(chosen) == len(kept):
            break
        kept = chosen
    circle = _Circle(float(row), float(column), radius)
    filled = (region & _within(region.shape, circle, 1.0)).sum() / max(np.pi * radius**2, 1.0)
    outside = (region & ~_within(region.shape, circle, 1.03)).sum() / max(region.sum(), 1)
    spread = float(np.std(np.hypot(kept[:, 0] - row, kept[:, 1] - column))) / max(radius, 1.0)
    held = len(kept) / len(points)
    if radius < _LEAST_RADIUS or filled < 0.85 or outside > 0.03 or spread > _UNEVEN or held < 0.6:
        return None
    return circle


def _reading_order(circles: Sequence[_Circle]) -> list[_Circle]:
    """Sort by lines (centres within half a radius of each other in height), then from left to right."""
    left, out = sorted(circles, key=lambda c: c.row), []
    while left:
        line = [c for c in left if c.row - left[0].row < 0.5 * left[0].radius]
        out += sorted(line, key=lambda c: c.column)
        left = [c for c in left if c not in line]
    return out


def _clean(picture: NDArray[Any], circle: _Circle, anchors: Anchors, name: str, size: int) -> ScreenMap:
    """Turn one disc into counts, remove text and resample it to the size."""
    margin = 2
    top, left = (max(0, int(x - circle.radius) - margin) for x in (circle.row, circle.column))
    bottom, right = (int(x + circle.radius) + margin + 2 for x in (circle.row, circle.column))
    moved = _Circle(circle.row - top, circle.column - left, circle.radius)
    part = picture[top:bottom, left:right]
    value, distance = intensity_of(part, anchors)
    inside = _within(part.shape[:2], moved, 1.0)
    over = _overlay(value, distance, inside, circle.radius)
    known = inside & ~over
    across = ((np.arange(size) + 0.5) * (2.0 / size) - 1.0) * circle.radius
    outside = np.hypot(*np.meshgrid(across, across)) > circle.radius
    rows, columns = np.meshgrid(moved.row + across, moved.column + across, indexing="ij")
    step = max(1.0, 2.0 * circle.radius / size)

    def resample(channel: Float32) -> Float32:
        filled = _fill(channel, known, moved.radius)
        smooth = ndimage.gaussian_filter(filled, 0.4 * step) if step > 1.5 else filled
        drawn: Float32 = ndimage.map_coordinates(smooth, [rows, columns], order=1, mode="nearest")
        drawn[outside] = 0.0
        return drawn

    disc = np.clip(resample(value), 0.0, 1.0).astype(np.float32)
    colours = np.stack([resample(part[..., i].astype(np.float32)) for i in range(3)], axis=2)
    share = float((over & inside).sum() / max(inside.sum(), 1))
    painted = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
    return ScreenMap(disc, name, (circle.row, circle.column), circle.radius, share, painted)


def _overlay(value: Float32, distance: Float32, inside: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Mark text and lines: colours off the scale, and thin parts much brighter or darker than their surroundings."""
    wide = 2 * max(2, round(0.045 * radius)) + 1
    held = np.where(inside, value, np.nan)
    level = np.where(inside, value, float(np.nanmedian(held)))
    bright = level - ndimage.grey_opening(level, size=wide) > 0.2
    dark = ndimage.grey_closing(level, size=wide) - level > 0.2
    off = distance > 2.0 * max(float(np.percentile(distance[inside], 75.0)), 25.0)
    rim = inside & ~ndimage.binary_erosion(inside, _ball(2))
    marked = (bright | dark | off) & inside
    around: NDArray[np.bool_] = ndimage.binary_dilation(marked, _ball(2)) | rim
    return around


def _fill(value: Float32, known: NDArray[np.bool_], radius: float) -> Float32:
    """Fill unknown pixels by the mean of the known ones around them, nearer ones weighing more."""
    out = np.where(known, value, 0.0).astype(np.float64)
    left = ~known
    sd = 0.02 * radius
    while left.any() and sd < 4.0 * radius:
        weight = ndimage.gaussian_filter((~left).astype(np.float64), sd)
        mean = ndimage.gaussian_filter(np.where(left, 0.0, out), sd) / np.maximum(weight, 1e-12)
        can = left & (weight > 0.02)
        out[can] = mean[can]
        left &= ~can
        sd *= 1.6
    return out.astype(np.float32)
