"""Pictures of ventricles from base to apex, with the limits of the wall drawn: for the eye of a physician.

    python benchmarks/base_pictures.py real [FOLDER]    every real study (default ../shared/real): runs/base_pictures
    python benchmarks/base_pictures.py simulated        simulated patients: docs/images/valve_plane.png

A row a study: vertical and horizontal long axis with the mid-wall (cyan), the end of the wall as labelled (dashed) and
as measured (white); short-axis slices from the apex to 6 mm past the mitral plane with the outline of the labels;
the polar map with the labels' end and with the measured one. Real pictures stay out of the repository; their lengths
and basal segments are a row a volume in docs/results/valve_plane_real.csv.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from myoperf.geometry import sample
from myoperf.geometry.disc import disc_image
from myoperf.io import read_studies
from myoperf.lv import LVFit
from myoperf.phantom.acquire import Protocol, acquire
from myoperf.phantom.population import draw_patient
from myoperf.pipeline import Options, load_models
from myoperf.pipeline.scan import reconstruct_scan
from myoperf.pipeline.valve import end_at_wall
from myoperf.polar import PolarPair, sample_polar_map, segments_percent
from myoperf.recon import reconstruct
from myoperf.types import MYOCARDIUM, Float, Volume

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/valve_plane_real.csv"
REAL, SIMULATED = ROOT / "runs/base_pictures", ROOT / "docs/images/valve_plane.png"
ROWS = 8
SIDE_MM, STEP_MM, BEFORE_MM, PAST_MM = 62.0, 1.5, 18.0, 40.0
SLICES = (0.12, 0.3, 0.5, 0.7, 0.85, 1.0)
SEED = 16


@dataclass(frozen=True)
class Drawn:
    """A study of one row: its static image, the ventricle as labelled and as it ends at its wall, and both maps."""

    name: str
    image: Volume
    labelled: LVFit
    measured: LVFit
    before: PolarPair
    after: PolarPair


def measure(name: str, image: Volume, fit: LVFit) -> Drawn:
    """Unroll a ventricle up to its labels' end, and up to the end of its wall."""
    (ended,) = end_at_wall((image, fit))
    before = sample_polar_map(image, fit.labels, fit.frame)
    after = sample_polar_map(image, ended.labels, ended.frame, rim_mm=ended.rim_mm)
    return Drawn(name, image, fit, ended, before, after)


def row_of(drawn: Drawn) -> dict[str, object]:
    """Return lengths, tilt, and basal segments in percent of the maximum, by labels' end and by wall's end."""
    rim = drawn.measured.rim_mm
    row: dict[str, object] = {"file": drawn.name, "tilt_mm": 0.0 if rim is None else 0.5 * float(np.ptp(rim))}
    for way, fit, pair in (("before", drawn.labelled, drawn.before), ("after", drawn.measured, drawn.after)):
        row[f"length_mm_{way}"] = fit.frame.length_mm
        row |= {f"segment_{i}_{way}": value for i, value in enumerate(segments_percent(pair.maximum)[:6], 1)}
    return row


def grid(drawn: Drawn, up: Float, across: Float, low: float, high: float) -> tuple[Float, Float, Float]:
    """Return the points (rows, columns, 3) of a plane through the apex, and the coordinates of rows and columns."""
    rows, columns = np.arange(low, high, STEP_MM), np.arange(-SIDE_MM, SIDE_MM, STEP_MM)
    return drawn.labelled.frame.apex_mm + rows[:, None, None] * up + columns[:, None] * across, rows, columns


def draw_long_axis(axes: Axes, drawn: Drawn, first_deg: int, top: float) -> None:
    """Draw the plane through two opposite walls, apex at the top: the first wall on the left."""
    frame, ended = drawn.labelled.frame, drawn.measured
    turn = np.deg2rad(first_deg)
    side = -(np.cos(turn) * frame.anterior + np.sin(turn) * frame.septal)
    points, rows, columns = grid(drawn, frame.axis, side, -BEFORE_MM, frame.length_mm + PAST_MM)
    extent = (columns[0], columns[-1], rows[-1], rows[0])
    axes.imshow(sample(drawn.image, points)[0], cmap="inferno", vmin=0, vmax=top, extent=extent)
    middle = drawn.after.surface.mid_wall_mm - frame.apex_mm
    for angle in (first_deg, first_deg + 180):
        wall = middle[:, int(angle / 360 * middle.shape[1]) % middle.shape[1]]
        axes.plot(wall @ side, wall @ frame.axis, color="cyan", lw=0.8)
    rim = np.zeros(36) if ended.rim_mm is None else ended.rim_mm
    ends = [rim[int(angle / 360 * rim.size) % rim.size] for angle in (first_deg, first_deg + 180)]
    axes.plot((-45, 45), ended.frame.length_mm + np.array(ends), color="white", lw=0.8)
    axes.plot((-45, 45), (frame.length_mm,) * 2, color="white", lw=0.6, ls=":")


def draw_short_axis(axes: Axes, drawn: Drawn, share: float, top: float) -> None:
    """Draw a short-axis slice at a share of the length, seen from the apex, with the outline of the wall's labels."""
    frame = drawn.measured.frame
    height = share * frame.length_mm if share < 1.0 else frame.length_mm + 6.0
    points, rows, columns = grid(drawn, -frame.anterior, frame.lateral, -SIDE_MM, SIDE_MM)
    points = points + height * frame.axis
    extent = (columns[0], columns[-1], rows[-1], rows[0])
    axes.imshow(sample(drawn.image, points)[0], cmap="inferno", vmin=0, vmax=top, extent=extent)
    labels = drawn.measured.labels
    wall = sample(labels.with_array((labels.array == MYOCARDIUM).astype(np.float32)), points)[0]
    if wall.max() > 0.5:
        axes.contour(columns, rows, wall, levels=[0.5], colors="white", linewidths=0.5)
    axes.set_title(f"{height:.0f} mm", fontsize=6, pad=1)


def draw_page(page: list[Drawn], path: Path) -> None:
    """Draw a row for every study."""
    columns = 4 + len(SLICES)
    figure, axes = plt.subplots(len(page), columns, figsize=(1.7 * columns, 1.75 * len(page)), squeeze=False)
    for row, drawn in zip(axes, page, strict=True):
        top = float(drawn.after.maximum.values.max())
        draw_long_axis(row[0], drawn, 0, top)
        draw_long_axis(row[1], drawn, 90, top)
        for place, share in zip(row[2:], SLICES, strict=False):
            draw_short_axis(place, drawn, share, top)
        for place, pair, length in (
            (row[-2], drawn.before, drawn.labelled.frame.length_mm),
            (row[-1], drawn.after, drawn.measured.frame.length_mm),
        ):
            place.imshow(disc_image(pair.maximum.values, 160), cmap="inferno", vmin=0, vmax=pair.maximum.values.max())
            basal = " ".join(f"{value:.0f}" for value in segments_percent(pair.maximum)[:6])
            place.set_title(f"{length:.0f} mm: {basal}", fontsize=6, pad=1)
        row[0].set_title(f"{drawn.name}  ant | inf", fontsize=6, pad=1)
        row[1].set_title("sept | lat", fontsize=6, pad=1)
        for place in row:
            place.set_axis_off()
    figure.subplots_adjust(0.002, 0.002, 0.998, 0.985, 0.02, 0.1)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path.relative_to(ROOT), flush=True)


def draw_real(folder: Path) -> None:
    """Draw every real study, in pages."""
    find_lv, page, number, rows = load_models(diagnosis=False).find_lv, [], 1, []
    files = [*sorted((folder / "physionet_mps/dicom").glob("*.dcm")), folder / "ge_projections/stress_tomo.dcm"]
    for file in files:
        scan = read_studies([file]).studies[0].scans[0]
        image = reconstruct_scan(scan, Options(), name=file.stem).summed
        page.append(measure(file.stem, image, find_lv(image)))
        rows.append(row_of(page[-1]))
        if len(page) == ROWS or file == files[-1]:
            draw_page(page, REAL / f"real-{number}.png")
            page, number = [], number + 1
    pd.DataFrame(rows).to_csv(TABLE, index=False, float_format="%.1f")


def draw_simulated(count: int = 4) -> None:
    """Draw a few simulated patients, imaged by full physics."""
    find_lv, page = load_models(diagnosis=False).find_lv, []
    for index in range(count):
        rng = np.random.default_rng([SEED, index])
        scan = acquire(draw_patient(rng), "stress", rng, Protocol(gates=1))
        image = reconstruct(scan.projections).volume.summed()
        page.append(measure(f"simulated {index + 1}", image, find_lv(image)))
    draw_page(page, SIMULATED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("real", "simulated"))
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "../shared/real")
    given = parser.parse_args()
    draw_real(given.folder) if given.what == "real" else draw_simulated()


if __name__ == "__main__":
    main()
