"""Pictures of the diagnosis: probabilities, and per vessel what contributes to it, on bull's eye and slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from myoperf.geometry import index_from_lps, transform_points
from myoperf.geometry.disc import disc_image
from myoperf.report.bullseye import BullEye, draw_disc
from myoperf.report.charts import tidy
from myoperf.report.colours import GREY, INK, VESSEL_COLOURS, WEIGHT
from myoperf.report.figures import VIEW_MARKS, Page, blacken, boxed_figure, draw_bar, percent_map
from myoperf.report.tables import state_title
from myoperf.report.tiles import extent_of, label_on_short_axis, lv_maximum, plane_tiles, views_of
from myoperf.types import MYOCARDIUM, VESSELS, Diagnosis, Float, Report, ScanResult, Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SLICES = (
    ("sa", -0.5, "SA apical"),
    ("sa", 0.0, "SA middle"),
    ("sa", 0.55, "SA basal"),
    ("hla", 0.0, "HLA"),
    ("vla", 0.0, "VLA"),
)
"""The slices shown: view, position in half lengths of the long axis (apex -1, base 1) or in mm, title."""
_WORDS = (
    "Below, one row per vessel: uptake at stress in grey, on the bull's eye and\n"
    "on slices; in colour, how far the vessel's probability falls when a patch\n"
    "of the wall there is made normal. All vessels share one scale. Without\n"
    "colour, a place does not suggest disease. The maps show what the model\n"
    "used, not where disease is."
)
_PIXELS = 120
_LEAST = 0.05
"""Smallest top of the colour scale, so that negligible contributions do not look large."""


def weights_on_tile(
    weights: Float, result: ScanResult, view: Volume, offset_mm: float, *, field_mm: float, pixels: int = _PIXELS
) -> Float:
    """Project a map of the wall onto one slice: every pixel takes the value of the nearest sample of the mid-wall.

    Parameters
    ----------
    weights
        (rings, angles), any grid; brought to that of the result's polar map.
    view, offset_mm, field_mm, pixels
        As in `myoperf.report.tiles.plane_tiles`.

    Returns
    -------
    Shape (pixels, pixels).
    """
    wall = np.asarray(result.polar.mid_wall_mm)
    rows, columns = ((np.arange(n) * size) // n for n, size in zip(wall.shape[:2], np.shape(weights), strict=True))
    pixel = field_mm / pixels
    side = 0.5 * (pixel - field_mm) + pixel * np.arange(pixels)
    down, across = np.meshgrid(side, side, indexing="ij")
    centre = transform_points(index_from_lps(view.lps_from_index), result.frame.centre_mm)
    index = centre + np.stack([np.full_like(down, offset_mm), down, across], axis=-1) / view.spacing_mm
    points = transform_points(view.lps_from_index, index)
    _, nearest = cKDTree(wall.reshape(-1, 3)).query(points.reshape(-1, 3))
    samples = np.asarray(weights, dtype=np.float64)[np.ix_(rows, columns)].ravel()
    return np.asarray(samples[nearest].reshape(pixels, pixels))


def diagnosis_height_mm(report: Report, width_mm: float) -> float:
    """Return the height of the diagnosis pictures for a width; 0 without a diagnosis."""
    if report.diagnosis is None:
        return 0.0
    count = len(_explained(report.diagnosis))
    return 40.0 + count * (_side_mm(width_mm) + 1.0) + (14.0 if count else 0.0)


def _explained(diagnosis: Diagnosis) -> list[str]:
    return [v for v in VESSELS if v in diagnosis.explanation]


def _side_mm(width_mm: float) -> float:
    return min((width_mm - 12.0) / (len(SLICES) + 1.0), 36.0)


def draw_diagnosis(fig: Figure, box_mm: tuple[float, float, float, float], report: Report) -> None:
    """Draw the probabilities with their interval and, one row per vessel, the places that contribute to it.

    Parameters
    ----------
    box_mm
        (left, bottom, width, height); the height of `diagnosis_height_mm`.
    """
    diagnosis = report.diagnosis
    assert diagnosis is not None
    page, vessels = Page(fig, box_mm), _explained(diagnosis)
    top = box_mm[3]
    _draw_probabilities(page.axes(18.0, top - 34.0, min(0.5 * box_mm[2], 110.0), 29.0), diagnosis)
    if not vessels:
        return
    words = page.axes(min(0.5 * box_mm[2], 110.0) + 24.0, top - 34.0, 0.4 * box_mm[2], 29.0)
    words.set_axis_off()
    words.text(0.0, 0.95, _WORDS, fontsize=6.8, color=INK, va="top", linespacing=1.5)
    result, side = report.result("stress") or report.results[0], _side_mm(box_mm[2])
    highest = max(_LEAST, *(float(np.max(diagnosis.explanation[v])) for v in vessels))
    tiles = _cut(result)
    for row, vessel in enumerate(vessels):
        bottom = top - 45.0 - (row + 1) * (side + 1.0)
        weights = np.asarray(diagnosis.explanation[vessel], dtype=np.float64)
        label = page.axes(0.0, bottom, 10.0, side)
        label.set_axis_off()
        text = f"{vessel}  {diagnosis.per_vessel[vessel]:.2f}" if vessel in diagnosis.per_vessel else vessel
        style: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center", "fontweight": "bold", "fontsize": 8.5}
        label.text(0.5, 0.5, text, color=VESSEL_COLOURS[vessel], **style)
        _draw_bull_eye(page.axes(10.0, bottom, side, side), result, weights, highest, first=row == 0)
        for column, tile in enumerate(tiles):
            ax = page.axes(10.0 + (column + 1) * side + 0.4, bottom, side - 0.8, side)
            _draw_tile(ax, tile, result, weights, highest, first=row == 0)
    bar = page.axes(10.0 + 1.5 * side, top - 45.0 - len(vessels) * (side + 1.0) - 3.5, 3.0 * side, 1.8)
    caption = "fall in probability (percentage points) when the wall there is made normal; grey: uptake"
    draw_bar(fig, bar, WEIGHT, (0.0, 100.0 * highest), caption)


def _cut(result: ScanResult) -> list[dict[str, Any]]:
    """Cut the slices of `SLICES`: grey picture (0 to 1) and share of wall of each."""
    field = extent_of((result,)).field_mm
    views, wall = views_of(result.short_axis), views_of(label_on_short_axis(result, MYOCARDIUM))
    scale, half, out = lv_maximum(result), 0.5 * result.frame.length_mm, []
    for name, place, title in SLICES:
        offset = place * half if name == "sa" else place
        args: dict[str, Any] = {"field_mm": field, "pixels": _PIXELS}
        grey = plane_tiles(views[name], result.frame.centre_mm, np.array([offset]), **args)[0] / scale
        share = plane_tiles(wall[name], result.frame.centre_mm, np.array([offset]), order=1, **args)[0]
        out.append({"view": views[name], "name": name, "offset": offset, "title": title, "field": field})
        out[-1] |= {"grey": grey, "share": share}
    return out


def _draw_tile(
    ax: Axes, tile: dict[str, Any], result: ScanResult, weights: Float, highest: float, *, first: bool
) -> None:
    """Draw one grey slice, the contribution of its wall in colour."""
    contribution = weights_on_tile(weights, result, tile["view"], tile["offset"], field_mm=tile["field"])
    ax.imshow(tile["grey"], cmap=GREY, vmin=0, vmax=1.1, interpolation="bilinear")
    shown = np.ma.masked_where(tile["share"] < 0.5, np.maximum(contribution, 0.0))
    ax.imshow(shown, cmap=WEIGHT, vmin=0, vmax=highest, interpolation="nearest")
    blacken(ax)
    if not first:
        return
    ax.set_title(f"{state_title(result)} {tile['title']}", fontsize=6.5, pad=2, color=INK, parse_math=False)
    style: dict[str, Any] = {"transform": ax.transAxes, "fontsize": 4.8, "color": "#c8ccd2", "ha": "center"}
    places = ((0.5, 0.95, 0), (0.5, 0.05, 0), (0.05, 0.5, 90), (0.95, 0.5, -90))
    for (x, y, turn), text in zip(places, VIEW_MARKS[tile["name"]], strict=True):
        ax.text(x, y, text, rotation=turn, va="center", **style)


def _draw_bull_eye(ax: Axes, result: ScanResult, weights: Float, highest: float, *, first: bool) -> None:
    grey = np.ma.masked_invalid(disc_image(percent_map(result)))
    ax.imshow(grey, cmap=GREY, vmin=0, vmax=115, extent=(-1, 1, -1, 1))
    title = f"{state_title(result)} bull's eye" if first else ""
    disc = BullEye(picture=disc_image(np.maximum(weights, 0.0)), title=title, cmap=WEIGHT, limits=(0, highest))
    draw_disc(ax, disc, size_pt=5.0)


def _draw_probabilities(ax: Axes, diagnosis: Diagnosis) -> None:
    vessels = [v for v in VESSELS if v in diagnosis.per_vessel]
    names = ["Patient", *vessels]
    values = [diagnosis.per_patient, *(diagnosis.per_vessel[v] for v in vessels)]
    colours = ["#4a5568", *(VESSEL_COLOURS[v] for v in vessels)]
    places = np.arange(len(names))[::-1]
    if diagnosis.abstained:
        ax.barh(places, values, height=0.62, color="#e2e5ea", edgecolor="#8a93a0", hatch="////", linewidth=0.5)
    else:
        ax.barh(places, values, height=0.62, color=colours)
    low, high = diagnosis.interval
    middle = diagnosis.per_patient
    ax.errorbar(
        [middle],
        [places[0]],
        xerr=[[max(middle - low, 0.0)], [max(high - middle, 0.0)]],
        color=INK,
        capsize=2,
        linewidth=0.9,
    )
    for place, value in zip(places, values, strict=True):
        at = max(value, high) if place == places[0] else value
        ax.text(at + 0.02, place, f"{value:.2f}", fontsize=6.5, va="center", color=INK)
    ax.set_xlim(0, 1.12)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    ax.set_yticks(places, names)
    title = "Abstained: do not use these probabilities" if diagnosis.abstained else "Probability of obstructive disease"
    tidy(ax, "probability (bar: interval for the patient)", "", title, size_pt=6.5)


def diagnosis_figure(report: Report, *, width_mm: float = 250.0) -> Figure | None:
    """Draw the diagnosis; None when there is none."""
    height_mm = diagnosis_height_mm(report, width_mm)
    return boxed_figure(width_mm, height_mm, lambda fig, box_mm: draw_diagnosis(fig, box_mm, report))
