"""The check of the ventricle: outlines of the labels and the long axis on grey slices."""

from dataclasses import dataclass

import numpy as np
from contourpy import contour_generator

from myoperf.geometry import sample, transform_points
from myoperf.report.canvas import Canvas, Font
from myoperf.report.colours import GREY, Palette, colour_numbers
from myoperf.report.tables import state_title
from myoperf.report.tiles import extent_of, label_on_short_axis, lv_maximum, plane_tiles, views_of
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, ScanResult

_SIZE_PT, _TITLE_MM, _GAP = 6.0, 3.0, 0.8
_AXIS = "#7dff8a"
_PIXELS = 160
OUTLINES = {MYOCARDIUM: "#ffb000", BLOOD_POOL: "#35c4ff"}
"""Colours of the outlines of wall and blood pool."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A square field of a drawing that shows a plane of the patient.

    Parameters
    ----------
    corner, side
        Upper left corner and side on the drawing, in mm.
    field_mm
        Side of the plane, in mm of the patient.
    """

    canvas: Canvas
    corner: tuple[float, float]
    side: float
    field_mm: float

    def show(self, picture: Float, limits: tuple[float, float], palette: Palette = GREY) -> None:
        """Fill the field with a picture."""
        pixels = colour_numbers(picture, limits)
        self.canvas.picture(*self.corner, self.side, self.side, pixels, palette)

    def line(self, points_mm: Float, colour: str, *, dash_mm: float = 0.0) -> None:
        """Draw a line through points (points, 2) given in mm right of and below the middle of the plane."""
        scaled = (points_mm / self.field_mm + 0.5) * self.side + self.corner
        self.canvas.line(scaled, colour, 0.28, dash_mm=dash_mm)

    def outline(self, fraction: Float, colour: str) -> None:
        """Draw where a smooth mask (rows, columns) that fills the field crosses a half; nothing when it does not."""
        if not fraction.max() > 0.5 > fraction.min():
            return
        pixel = self.side / fraction.shape[0]
        lines = contour_generator(z=np.asarray(fraction, np.float64)).lines(0.5)
        drawn = [(np.asarray(line) + 0.5) * pixel + self.corner for line in lines]
        self.canvas.shape(drawn, stroke=colour, width_mm=0.28)

    def title(self, text: str) -> None:
        """Write a title above the field."""
        self.canvas.text(self.corner[0] + 0.5 * self.side, self.corner[1] - 0.7, text, Font(_SIZE_PT), align="middle")


def overlay_height_mm(width_mm: float) -> float:
    """Return the height of one scan's row for a width."""
    return width_mm / 4.0 - _GAP + _TITLE_MM + 0.5


def overlay_drawing(result: ScanResult, *, width_mm: float = 153.0) -> Canvas:
    """Draw the transaxial slice through the ventricle and the middle SA, VLA and HLA slices side by side.

    Each shows the labels' outlines; the last three also the long axis.
    """
    canvas, side = Canvas(width_mm, overlay_height_mm(width_mm)), width_mm / 4.0
    corners = [(i * side + 0.5 * _GAP, _TITLE_MM) for i in range(4)]
    _draw_transaxial(canvas, corners[0], side - _GAP, result)
    extent = extent_of((result,))
    labels = {label: views_of(label_on_short_axis(result, label)) for label in OUTLINES}
    for corner, (name, view) in zip(corners[1:], views_of(result.short_axis).items(), strict=True):
        field = Field(canvas=canvas, corner=corner, side=side - _GAP, field_mm=extent.field_mm)
        centre = result.frame.centre_mm
        cut = plane_tiles(view, centre, np.zeros(1), field_mm=extent.field_mm, pixels=_PIXELS)[0]
        field.show(cut, (0.0, lv_maximum(result)))
        for label, colour in OUTLINES.items():
            mask = plane_tiles(
                labels[label][name], centre, np.zeros(1), field_mm=extent.field_mm, pixels=_PIXELS, order=1
            )
            field.outline(mask[0], colour)
        _draw_axis(field, name, 0.5 * result.frame.length_mm)
        field.title(f"{state_title(result)}  {name.upper()}")
    return canvas


def _draw_transaxial(canvas: Canvas, corner: tuple[float, float], side: float, result: ScanResult) -> None:
    """Draw the patient's transaxial plane through the ventricle's middle, seen from the feet, with the outlines."""
    corners = np.stack(np.meshgrid(*((-0.5, n - 0.5) for n in result.volume.grid_shape)), axis=-1).reshape(-1, 3)
    world = transform_points(result.volume.lps_from_index, corners)
    low, high = world.min(axis=0), world.max(axis=0)
    field_mm = float(np.clip((high - low)[:2].max(), 120.0, 420.0))
    middle = np.append(0.5 * (low + high)[:2], result.frame.centre_mm[2])
    edge = ((np.arange(150) + 0.5) / 150 - 0.5) * field_mm
    x, y = np.meshgrid(edge, edge)
    points = middle + np.stack([x, y, np.zeros_like(x)], axis=-1)
    field = Field(canvas=canvas, corner=corner, side=side, field_mm=field_mm)
    picture = sample(result.volume.summed(), points)[0]
    field.show(picture, (0.0, max(float(np.percentile(picture, 99.7)), 1e-9)))
    for label, colour in OUTLINES.items():
        mask = result.labels.with_array((result.labels.array == label).astype(np.float32))
        field.outline(sample(mask, points)[0], colour)
    for right, text in ((0.03, "R"), (0.97, "L")):
        at = corner[0] + right * side, corner[1] + 0.5 * side
        canvas.text(*at, text, Font(_SIZE_PT, colour="#c8ccd2"), align="middle", centred=True)
    field.title(f"{state_title(result)}  transaxial")


def _draw_axis(field: Field, view: str, half_length: float) -> None:
    """Draw the long axis with a dot at the apex and a bar across the base; on short axis a cross in the middle."""
    if view == "sa":
        arm = 0.03 * field.field_mm
        field.line(np.array([(-arm, 0.0), (arm, 0.0)]), _AXIS)
        field.line(np.array([(0.0, -arm), (0.0, arm)]), _AXIS)
        return
    apex = np.array((half_length, 0.0) if view == "vla" else (0.0, -half_length))
    across = np.array((0.0, 9.0) if view == "vla" else (9.0, 0.0))
    field.line(np.stack([apex, -apex]), _AXIS, dash_mm=0.9)
    field.line(np.stack([-apex - across, -apex + across]), _AXIS)
    x, y = (apex / field.field_mm + 0.5) * field.side + field.corner
    field.canvas.disc(float(x), float(y), 0.45, _AXIS)
