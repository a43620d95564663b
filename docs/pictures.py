"""Draw the pictures of docs/concepts from the results of a simulated patient.

myoperf demo -o DEMO
python docs/pictures.py DEMO            writes docs/images/concepts/*.png
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import myoperf
from myoperf.geometry import horizontal_long_axis, index_from_lps, short_axis, transform_points, vertical_long_axis
from myoperf.geometry.disc import disc_image
from myoperf.perfusion import scale_map, severity_map, shipped_limits
from myoperf.segments import TERRITORIES
from myoperf.types import Float

OUT = Path(__file__).parent / "images" / "concepts"
BASE, APEX, TRUTH = "#3b82f6", "#ef4444", "#0f766e"
RING = 15
"""The ring of the map that the pictures of the bull's eye and of TPD follow: a little above the middle of the wall."""


@dataclass(frozen=True)
class Demo:
    """What `myoperf demo` left of its patient, at stress."""

    volume: myoperf.Volume
    frame: myoperf.LVFrame
    uptake: Float
    """Shape (rings, angles): the highest counts across the wall."""
    results: dict[str, Any]
    truth: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Demo:
        """Read a folder that `myoperf demo` wrote."""
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        truth = json.loads((folder / "simulated" / "truth.json").read_text(encoding="utf-8"))
        placed = results["scans"][0]["lv_frame"]
        frame = myoperf.LVFrame(apex_mm=placed["apex_mm"], base_mm=placed["base_mm"], anterior=placed["anterior"])
        volume = myoperf.read_nifti(folder / "stress_volume.nii.gz")
        with np.load(folder / "stress_polar.npz") as arrays:
            return cls(volume, frame, arrays["maximum"], results, truth)


def show(axis: Axes, image: np.ndarray, title: str, hottest: float) -> None:
    """Show a picture of counts, up to the hottest of the wall, without ticks."""
    axis.imshow(image, cmap="inferno", vmin=0, vmax=hottest)
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()


def slices(demo: Demo) -> Figure:
    """Draw the long axis on a transaxial plane, and the three cuts that follow from it."""
    figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained")
    ends = np.array([demo.frame.base_mm, demo.frame.apex_mm])
    base, apex = transform_points(index_from_lps(demo.volume.lps_from_index), ends)
    show(
        axes[0],
        demo.volume.array[0][round((base[0] + apex[0]) / 2)],
        "transaxial, with the long axis",
        demo.uptake.max(),
    )
    body = np.argwhere(demo.volume.array[0].max(axis=0) > 0.1 * demo.uptake.max())
    (top, left), (bottom, right) = body.min(axis=0) - 2, body.max(axis=0) + 2
    axes[0].set(xlim=(left, right), ylim=(bottom, top))
    axes[0].plot([base[2], apex[2]], [base[1], apex[1]], color="white", lw=1.5)
    for (_, row, column), colour in ((base, BASE), (apex, APEX)):
        axes[0].plot(column, row, "o", color=colour, markersize=6)
    short = short_axis(demo.volume, demo.frame)
    cuts = (short, vertical_long_axis(short), horizontal_long_axis(short))
    for axis, cut, title in zip(
        axes[1:], cuts, ("short axis", "vertical long axis", "horizontal long axis"), strict=True
    ):
        show(axis, cut.array[0][len(cut.array[0]) // 2], title, demo.uptake.max())
    return figure


def bulls_eye(demo: Demo) -> Figure:
    """Draw a short-axis slice, the ring that it becomes, and the 17 segments."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    short = short_axis(demo.volume, demo.frame)
    rings, _ = demo.uptake.shape
    along = 1 - (RING + 0.5) / rings  # from base to apex, as planes run the other way
    ends = np.array([demo.frame.apex_mm, demo.frame.base_mm])
    apex, base = transform_points(index_from_lps(short.lps_from_index), ends)[:, 0]
    show(axes[0], short.array[0][round(base + along * (apex - base))], "one short-axis slice ...", demo.uptake.max())
    percent = 100 * demo.uptake / demo.uptake.max()
    for axis, title in zip(axes[1:], ("... is one ring of the disc", "17 segments, % of the maximum"), strict=True):
        axis.imshow(disc_image(percent), cmap="inferno", vmin=0, vmax=100, extent=(-1, 1, -1, 1))
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    for radius in (RING / rings, (RING + 1) / rings):
        axes[1].add_patch(plt.Circle((0, 0), radius, fill=False, color="white", lw=1.5))
    for x, y, wall in ((0, 0.9, "anterior"), (0, -0.9, "inferior"), (-0.9, 0, "septal"), (0.9, 0, "lateral")):
        axes[1].text(x, y, wall, color="white", ha="center", va="center", fontsize=8, rotation=0 if y else 90)
    segment_labels(axes[2], demo.results["scans"][0]["segments_percent"])
    return figure


def segment_labels(axis: Axes, values: list[float]) -> None:
    """Write each segment's value at its place, in the colour of its artery."""
    colours = {"LAD": "#7dd3fc", "LCX": "#86efac", "RCA": "#fca5a5"}
    vessels = {segment: vessel for vessel, segments in TERRITORIES.items() for segment in segments}
    levels = ((0.86, 6, 1, 60.0), (0.58, 6, 7, 60.0), (0.3, 4, 13, 90.0), (0.0, 1, 17, 0.0))
    for radius, count, first, step in levels:
        for k in range(count):
            angle = np.deg2rad(90.0 + k * step)  # anterior above, rising through the septum, which is left
            colour = colours[vessels[first + k]]
            place = (radius * np.cos(angle), radius * np.sin(angle))
            box = {"boxstyle": "circle,pad=0.25", "facecolor": colour, "edgecolor": "none"}
            axis.text(*place, f"{values[first + k - 1]:.0f}", ha="center", va="center", fontsize=8, bbox=box)
    for k, (vessel, colour) in enumerate(colours.items()):
        box = {"facecolor": colour, "edgecolor": "none", "pad": 2}
        axis.text(-1.0, -0.7 - 0.15 * k, vessel, fontsize=8, ha="center", bbox=box)


def tpd(demo: Demo) -> Figure:
    """Draw one ring of the patient against the mean and the limit of normal patients."""
    name = demo.results["scores"]["normal_limits"]["name"]
    limits = next(one for one in shipped_limits() if one.name == name and one.state == "stress")
    scaled = scale_map(demo.uptake, limits)
    whole = 100 * severity_map(scaled, limits).mean() / 4
    angles = np.arange(scaled.shape[1]) * 360 / scaled.shape[1]
    patient, mean, lower = (100 * one[RING] / limits.mean.max() for one in (scaled, limits.mean, limits.lower))
    figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
    axis.plot(angles, mean, color=TRUTH, label="mean of normal patients")
    axis.plot(angles, lower, color=TRUTH, ls="--", label="limit: 3 mean deviations below")
    axis.plot(angles, patient, color="black", label="this patient, scaled")
    axis.fill_between(angles, patient, lower, where=patient < lower, color=APEX, alpha=0.5, label="deficit")
    axis.set(
        xlim=(0, 355),
        ylim=(0, None),
        ylabel="uptake, % of the normal maximum",
        title=f"TPD of the whole map: {whole:.1f} %",
    )
    axis.set_xticks([0, 90, 180, 270], ["anterior", "septal", "inferior", "lateral"])
    axis.legend(fontsize=8, frameon=False, loc="lower left", ncols=2)
    return figure


def intervals(demo: Demo) -> Figure:
    """Draw volumes and ejection fraction with their intervals beside the truth."""
    figure, axes = plt.subplots(1, 3, figsize=(7, 2), layout="constrained")
    quantities = (("edv_ml", "EDV, ml"), ("esv_ml", "ESV, ml"), ("lvef_percent", "ejection fraction, %"))
    for axis, (name, title) in zip(axes, quantities, strict=True):
        for height, state in enumerate(("rest", "stress")):
            one = demo.results["intervals"][state][name]
            axis.plot([one["low"], one["high"]], [height] * 2, color="black", lw=3, solid_capstyle="butt")
            axis.plot(one["value"], height, "o", color="black", label="measured, 95 % interval" if height else None)
            axis.plot(demo.truth[state][name], height, "D", color=APEX, label="truth" if height else None)
        axis.set_yticks([0, 1], ["rest", "stress"])
        axis.set(ylim=(-0.6, 1.6), title=title)
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


PICTURES: dict[str, Callable[[Demo], Figure]] = {
    "slices": slices,
    "bulls-eye": bulls_eye,
    "tpd": tpd,
    "intervals": intervals,
}


def main() -> None:
    """Draw all pictures."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    demo = Demo.read(Path(sys.argv[1]))
    OUT.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        figure = draw(demo)
        figure.savefig(OUT / f"{name}.png", dpi=110)
        plt.close(figure)


if __name__ == "__main__":
    main()
