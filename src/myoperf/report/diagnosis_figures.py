"""Pictures of the diagnosis: probabilities, and per vessel what contributes to it, on bull's eye and slices."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from myoperf.geometry import index_from_lps, transform_points
from myoperf.geometry.disc import disc_image
from myoperf.report.bullseye import BullEye, draw_disc, draw_pixels
from myoperf.report.canvas import Canvas, Font
from myoperf.report.colours import GREY, INK, VESSEL_COLOURS, WEIGHT, colour_numbers
from myoperf.report.content import scored_scan
from myoperf.report.figures import percent_map
from myoperf.report.plot import Plot, draw_bar
from myoperf.report.slices import draw_marks
from myoperf.report.tables import state_title
from myoperf.report.tiles import extent_of, label_on_short_axis, lv_maximum, plane_tiles, views_of
from myoperf.types import MYOCARDIUM, VESSELS, Diagnosis, Float, Report, ScanResult, Volume

SLICES = (
    ("sa", -0.5, "SA apical"),
    ("sa", 0.0, "SA middle"),
    ("sa", 0.55, "SA basal"),
    ("hla", 0.0, "HLA"),
    ("vla", 0.0, "VLA"),
)
"""The slices shown: view, position in half lengths of the long axis (apex -1, base 1) or in mm, title."""
_WORDS = (
    "Below, one row per vessel: uptake at stress in grey, on the bull's eye and",
    "on slices; in colour, how far the vessel's probability falls when a patch",
    "of the wall there is made normal. All vessels share one scale. Without",
    "colour, a place does not suggest disease. The maps show what the model",
    "used, not where disease is.",
)
_PIXELS = 120
_LEAST = 0.05
"""Smallest top of the colour scale, so that negligible contributions do not look large."""
_CHART_MM, _MAPS_MM = 40.0, 47.0
"""Height of the probabilities; where the rows of maps begin."""


def weights_on_wall(
    weights: Float, result: ScanResult, view: Volume, offset_mm: float, *, field_mm: float, wall: NDArray[np.bool_]
) -> Float:
    """Project maps of the wall onto one slice: every pixel takes the value of the nearest sample of the mid-wall.

    Parameters
    ----------
    weights
        (maps, rings, angles), any grid; brought to that of the result's polar map.
    view, offset_mm, field_mm
        As in `myoperf.report.tiles.plane_tiles`.
    wall
        Where values are wanted, (pixels, pixels).

    Returns
    -------
    Shape (maps, pixels, pixels), NaN outside the wall.
    """
    samples = np.asarray(result.polar.mid_wall_mm)
    grid = zip(samples.shape[:2], np.shape(weights)[1:], strict=True)
    rows, columns = ((np.arange(n) * size) // n for n, size in grid)
    pixels = len(wall)
    pixel = field_mm / pixels
    side = 0.5 * (pixel - field_mm) + pixel * np.arange(pixels)
    down, across = np.meshgrid(side, side, indexing="ij")
    centre = transform_points(index_from_lps(view.lps_from_index), result.frame.centre_mm)
    index = centre + np.stack([np.full_like(down, offset_mm), down, across], axis=-1) / view.spacing_mm
    _, nearest = cKDTree(samples.reshape(-1, 3)).query(transform_points(view.lps_from_index, index[wall]))
    values = np.asarray(weights, dtype=np.float64)[:, rows][:, :, columns].reshape(len(weights), -1)
    out = np.full((len(weights), pixels, pixels), np.nan)
    out[:, wall] = values[:, nearest]
    return out


def diagnosis_drawing(report: Report, *, width_mm: float = 279.0) -> Canvas | None:
    """Draw the probabilities with their interval and, one row per vessel, the places that contribute to it.

    None without a diagnosis, and where the model abstained.
    """
    diagnosis = report.diagnosis
    if diagnosis is None or diagnosis.abstained:
        return None
    vessels = [v for v in VESSELS if v in diagnosis.explanation]
    side = min((width_mm - 12.0) / (len(SLICES) + 1.0), 36.0)
    height = _MAPS_MM + len(vessels) * (side + 1.0) + 9.0 if vessels else _CHART_MM
    canvas, chart = Canvas(width_mm, height), min(0.5 * width_mm, 110.0)
    _draw_probabilities(canvas, (18.0, 5.0), (chart, 26.0), diagnosis)
    if not vessels:
        return canvas
    for i, words in enumerate(_WORDS):
        canvas.text(chart + 26.0, 8.0 + 3.8 * i, words, Font(6.8))
    result = scored_scan(report, "stress") or report.results[0]
    weights = np.stack([np.maximum(np.asarray(diagnosis.explanation[v], np.float64), 0.0) for v in vessels])
    highest = max(_LEAST, float(weights.max()))
    for row, vessel in enumerate(vessels):
        middle = _MAPS_MM + row * (side + 1.0) + 0.5 * side
        text = f"{vessel}  {diagnosis.per_vessel[vessel]:.2f}" if vessel in diagnosis.per_vessel else vessel
        font = Font(8.5, colour=VESSEL_COLOURS[vessel], bold=True)
        canvas.text(5.0, middle, text, font, align="middle", turn_deg=90.0, centred=True)
    _draw_bull_eyes(canvas, side, result, weights, highest)
    _draw_slices(canvas, side, result, weights, highest)
    box = (10.0 + 1.5 * side, height - 7.5, 3.0 * side, 1.8)
    caption = "fall in probability (percentage points) when the wall there is made normal; grey: uptake"
    draw_bar(canvas, box, WEIGHT, (0.0, 100.0 * highest), caption)
    return canvas


def _draw_title(canvas: Canvas, column: int, side: float, title: str) -> None:
    """Name a column above its first row."""
    canvas.text(10.0 + (column + 0.5) * side, _MAPS_MM - 0.9, title, Font(6.5), align="middle")


def _draw_bull_eyes(canvas: Canvas, side: float, result: ScanResult, weights: Float, highest: float) -> None:
    """Draw the grey uptake, each vessel's contribution in colour over it, one below the other."""
    _draw_title(canvas, 0, side, f"{state_title(result)} bull's eye")
    grey = BullEye(picture=disc_image(percent_map(result)), title="", palette=GREY, limits=(0.0, 115.0))
    for row, own in enumerate(weights):
        corner = (10.0, _MAPS_MM + row * (side + 1.0))
        disc = BullEye(picture=disc_image(own), title="", palette=WEIGHT, limits=(0.0, highest))
        draw_pixels(canvas, grey, corner, side)
        draw_disc(canvas, disc, corner, side, size_pt=5.0)


def _draw_slices(canvas: Canvas, side: float, result: ScanResult, weights: Float, highest: float) -> None:
    """Draw the slices of `SLICES` in grey, each vessel's contribution in colour on the wall, one below the other."""
    field = extent_of((result,)).field_mm
    views, labels = views_of(result.short_axis), views_of(label_on_short_axis(result, MYOCARDIUM))
    scale, half, centre = lv_maximum(result), 0.5 * result.frame.length_mm, result.frame.centre_mm
    for column, (name, place, title) in enumerate(SLICES, start=1):
        offset = place * half if name == "sa" else place
        at = np.array([offset])
        cut = plane_tiles(views[name], centre, at, field_mm=field, pixels=_PIXELS)[0]
        wall = plane_tiles(labels[name], centre, at, field_mm=field, pixels=_PIXELS, order=1)[0] >= 0.5
        grey = colour_numbers(cut, (0.0, 1.1 * scale))
        shown = weights_on_wall(weights, result, views[name], offset, field_mm=field, wall=wall)
        _draw_title(canvas, column, side, f"{state_title(result)} {title}")
        for row, own in enumerate(colour_numbers(shown, (0.0, highest))):
            x, y = 10.0 + column * side + 0.4, _MAPS_MM + row * (side + 1.0)
            canvas.picture(x, y, side - 0.8, side - 0.8, grey, GREY)
            canvas.picture(x, y, side - 0.8, side - 0.8, own, WEIGHT)
            if row == 0:
                draw_marks(canvas, name, (x, y), side - 0.8, 4.8)


def _draw_probabilities(
    canvas: Canvas, corner: tuple[float, float], size: tuple[float, float], diagnosis: Diagnosis
) -> None:
    """Draw a bar for the patient, with its interval, and one for each vessel."""
    vessels = [v for v in VESSELS if v in diagnosis.per_vessel]
    names = ["Patient", *vessels]
    values = [diagnosis.per_patient, *(diagnosis.per_vessel[v] for v in vessels)]
    colours = ["#4a5568", *(VESSEL_COLOURS[v] for v in vessels)]
    up = (-0.6, len(names) - 0.4)
    plot = Plot(canvas=canvas, corner=corner, size=size, across=(0.0, 1.12), up=up)
    places = np.arange(len(names))[::-1]
    title = "Probability of obstructive disease, research model"
    low, high = diagnosis.interval
    for place, value, colour in zip(places.tolist(), values, colours, strict=True):
        outline = plot.places([0.0, value, value, 0.0], np.array([-0.31, -0.31, 0.31, 0.31]) + place)
        canvas.shape([outline], fill=colour)
    first = float(places[0])
    plot.curve([low, high], first, INK, 0.32)
    for end in (low, high):
        plot.curve([end, end], [first - 0.16, first + 0.16], INK, 0.32)
    for place, value in zip(places.tolist(), values, strict=True):
        ((x, y),) = plot.places(max(value, high) if place == first else value, place).tolist()
        canvas.text(x + 1.6, y, f"{value:.2f}", Font(6.5), centred=True)
    plot.frame(
        title=title,
        x_label="probability (bar: interval for the patient)",
        x_ticks=(0, 0.25, 0.5, 0.75, 1.0),
        y_ticks=list(zip(places.tolist(), names, strict=True)),
        size_pt=6.5,
    )
