"""The check of the ventricle: outlines of the labels and the long axis on grey slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from myoperf.geometry import sample, transform_points
from myoperf.report.colours import GREY, INK
from myoperf.report.figures import MM, blacken
from myoperf.report.tables import state_title
from myoperf.report.tiles import extent_of, label_on_short_axis, lv_maximum, plane_tiles, views_of
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, Report, ScanResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE_PT = 6.0


def draw_overlays(axes: list[Axes], result: ScanResult) -> None:
    """Draw the transaxial slice through the ventricle and the middle SA, VLA and HLA slices on four axes.

    Each shows the labels' outlines; the last three also the long axis.
    """
    _draw_transaxial(axes[0], result)
    extent = extent_of((result,))
    wall, pool = (views_of(label_on_short_axis(result, label)) for label in (MYOCARDIUM, BLOOD_POOL))
    half = 0.5 * extent.field_mm
    for ax, (name, view) in zip(axes[1:], views_of(result.short_axis).items(), strict=True):
        args: dict[str, Any] = {"field_mm": extent.field_mm, "pixels": 160}
        cut = plane_tiles(view, result.frame.centre_mm, np.zeros(1), **args)[0] / lv_maximum(result)
        box = (-half, half, half, -half)
        ax.imshow(cut, cmap=GREY, vmin=0, vmax=1, extent=box, interpolation="bilinear")
        for label, colour in ((wall, "#ffb000"), (pool, "#35c4ff")):
            outline = plane_tiles(label[name], result.frame.centre_mm, np.zeros(1), order=1, **args)[0]
            draw_outline(ax, outline, colour, box)
        _draw_axis(ax, name, 0.5 * result.frame.length_mm)
        _frame(ax, half, f"{state_title(result)}  {name.upper()}")


def _draw_transaxial(ax: Axes, result: ScanResult) -> None:
    """Draw the patient's transaxial plane through the ventricle's middle, seen from the feet, with the outlines."""
    corners = np.stack(np.meshgrid(*((-0.5, n - 0.5) for n in result.volume.grid_shape)), axis=-1).reshape(-1, 3)
    world = transform_points(result.volume.lps_from_index, corners)
    low, high = world.min(axis=0), world.max(axis=0)
    field_mm = float(np.clip((high - low)[:2].max(), 120.0, 420.0))
    middle = np.append(0.5 * (low + high)[:2], result.frame.centre_mm[2])
    edge = ((np.arange(150) + 0.5) / 150 - 0.5) * field_mm
    x, y = np.meshgrid(edge, edge)
    points = middle + np.stack([x, y, np.zeros_like(x)], axis=-1)
    half = 0.5 * field_mm
    box = (-half, half, half, -half)
    picture = sample(result.volume.summed(), points)[0]
    white = max(float(np.percentile(picture, 99.7)), 1e-9)
    ax.imshow(picture, cmap=GREY, vmin=0, vmax=white, extent=box, interpolation="bilinear")
    for label, colour in ((MYOCARDIUM, "#ffb000"), (BLOOD_POOL, "#35c4ff")):
        mask = result.labels.with_array((result.labels.array == label).astype(np.float32))
        draw_outline(ax, sample(mask, points)[0], colour, box)
    for side, text in ((0.03, "R"), (0.97, "L")):
        ax.text(side, 0.5, text, transform=ax.transAxes, color="#c8ccd2", fontsize=_SIZE_PT, ha="center", va="center")
    _frame(ax, half, f"{state_title(result)}  transaxial")


def _frame(ax: Axes, half_mm: float, title: str) -> None:
    """Show the whole square field on black, below a title."""
    blacken(ax)
    ax.set_xlim(-half_mm, half_mm)
    ax.set_ylim(half_mm, -half_mm)
    ax.set_title(title, fontsize=_SIZE_PT, pad=2, color=INK, parse_math=False)


def draw_outline(ax: Axes, fraction: Float, colour: str, box: tuple[float, float, float, float]) -> None:
    """Draw where a smooth mask crosses a half; nothing when it does not."""
    if fraction.max() > 0.5 > fraction.min():
        ax.contour(fraction, levels=[0.5], colors=[colour], linewidths=0.8, extent=box, origin="upper")


def _draw_axis(ax: Axes, view: str, half_length: float) -> None:
    """Draw the long axis with a dot at the apex and a bar across the base; on short axis a cross in the middle."""
    style: dict[str, Any] = {"color": "#7dff8a", "linewidth": 0.8}
    if view == "sa":
        ax.plot([0], [0], marker="+", markersize=6, **style)
        return
    along, across = np.array([-half_length, half_length]), np.array([-9.0, 9.0])
    if view == "vla":
        ax.plot(along, [0, 0], linestyle="--", **style)
        ax.plot([half_length], [0], marker="o", markersize=2.5, **style)
        ax.plot([-half_length, -half_length], across, **style)
    else:
        ax.plot([0, 0], along, linestyle="--", **style)
        ax.plot([0], [-half_length], marker="o", markersize=2.5, **style)
        ax.plot(across, [half_length, half_length], **style)


def overlay_figure(report: Report, *, width_mm: float = 140.0) -> Figure:
    """Draw the check of the ventricle's labels and frame, one row a scan."""
    rows, side = len(report.results), width_mm / 4.0
    fig = Figure(figsize=(width_mm * MM, rows * (side + 4.5) * MM))
    for row, result in enumerate(report.results):
        bottom = (rows - 1 - row) / rows
        axes = [fig.add_axes((i / 4 + 0.003, bottom, 0.244, side / (side + 4.5) / rows)) for i in range(4)]
        draw_overlays(axes, result)
    return fig
