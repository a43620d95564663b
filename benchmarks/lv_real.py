"""Measure the classical left ventricle on the 61 real volumes: writes docs/results/lv_real.csv and docs/lv.md's table.

Run from the repository's root: python benchmarks/lv_real.py ../shared/real/physionet_mps
The method was developed on patients 1-25 and checked on 26-50; docs/lv.md says what was seen when. As a negative
control each heart is also wiped out (its closed mask, widened by 12 mm, filled with the counts around it):
finding one there without a warning is a false find.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from myoperf.errors import AnalysisError
from myoperf.geometry import largest_piece, reslice, transform_points
from myoperf.io import read_nifti, read_studies
from myoperf.lv import find_lv, frame_from_mask
from myoperf.stats import bootstrap_statistic, percentile_interval, wilson_interval
from myoperf.types import Volume

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results/lv_real.csv"
PAGE = ROOT / "docs/lv.md"
START, END = "<!-- lv_real: start -->", "<!-- lv_real: end -->"


def largest(mask: Volume) -> Volume:
    """Keep the largest connected piece."""
    return mask.with_array(largest_piece(mask.array[0]).astype(np.uint8))


def wiped(volume: Volume, wall: np.ndarray) -> Volume:
    """Fill heart and surroundings with counts drawn from just outside."""
    convex = ndimage.binary_closing(np.pad(wall, 12), iterations=10)[12:-12, 12:-12, 12:-12]
    hole = ndimage.binary_dilation(convex, iterations=3)
    ring = ndimage.binary_dilation(hole, iterations=2) & ~hole
    array = volume.array[0].astype(np.float32).copy()
    array[hole] = np.random.default_rng(0).choice(array[ring], int(hole.sum()))
    smooth = ndimage.gaussian_filter(array, 1.0)
    array[hole] = smooth[hole]
    return volume.with_array(array)


def measure(row: dict[str, str], folder: Path) -> dict[str, Any]:
    volume = read_studies([folder / row["dicom"]]).studies[0].scans[0].image
    assert isinstance(volume, Volume)
    start = time.process_time()
    fit = find_lv(volume)
    out: dict[str, Any] = {"patient": row["patient"], "image": row["image_id"].replace(" ", "_")}
    out["seconds"] = round(time.process_time() - start, 2)
    out["confidence"] = round(fit.confidence, 3)
    out["warnings"] = " ".join(f.code for f in fit.findings if f.severity == "warning")
    found = fit.labels.array[0] == 1
    out["wall_ml"] = round(float(found.sum()) * volume.voxel_ml, 1)
    out["cavity_ml"] = round(float((fit.labels.array[0] == 2).sum()) * volume.voxel_ml, 1)
    if not row["mask"]:
        return out
    mask = largest(read_nifti(folder / row["mask"]))
    wall = reslice(mask, volume.lps_from_index, volume.grid_shape, order=0).array[0] > 0
    centres = [transform_points(volume.lps_from_index, np.argwhere(m)).mean(axis=0) for m in (found, wall)]
    pose = frame_from_mask(mask)
    out["centre_error_mm"] = round(float(np.linalg.norm(centres[0] - centres[1])), 2)
    out["wall_dice"] = round(float(2 * (found & wall).sum() / (found.sum() + wall.sum())), 4)
    out["axis_error_deg"] = round(float(np.rad2deg(np.arccos(np.clip(pose.axis @ fit.frame.axis, -1, 1)))), 1)
    out["apex_shift_mm"] = round(float((fit.frame.apex_mm - pose.apex_mm) @ pose.axis), 1)
    out["base_shift_mm"] = round(float((fit.frame.base_mm - pose.base_mm) @ pose.axis), 1)
    out["mask_ml"] = round(float(wall.sum()) * volume.voxel_ml, 1)
    try:
        control = find_lv(wiped(volume, wall))
        said = any(f.code == "lv-uncertain" for f in control.findings)
        out["control"] = "warned" if said else "false find"
        out["control_confidence"] = round(control.confidence, 3)
    except AnalysisError:
        out["control"] = "refused"
    return out


def wilson(hits: int, n: int) -> str:
    """Write a share with its 95 % Wilson interval."""
    ends = wilson_interval(hits, n)
    return f"{hits}/{n} = {100 * hits / n:.1f} % ({100 * ends.lo:.1f}-{100 * ends.hi:.1f})"


def interval(rows: list[dict[str, Any]], key: str, digits: int) -> str:
    """Write a median with its 95 % interval, resampling patients."""
    values, patients = np.array([float(row[key]) for row in rows]), [row["patient"] for row in rows]
    samples = bootstrap_statistic(values, np.median, rng=np.random.default_rng(0), resamples=1000, patient=patients)
    ends = percentile_interval(samples)
    middle, worst = float(np.median(values)), _worst(values, key)
    return f"{middle:.{digits}f} ({ends.lo:.{digits}f} to {ends.hi:.{digits}f}); worst {worst:.{digits}f}"


def _worst(values: np.ndarray, key: str) -> float:
    return float(values.min() if key == "wall_dice" else values[np.argmax(np.abs(values))])


def table(rows: list[dict[str, Any]]) -> str:
    masked = [row for row in rows if "centre_error_mm" in row]
    first = [row for row in masked if int(row["patient"][1:]) <= 25]
    parts = {"all": masked, "P01-P25 (developed on)": first, "P26-P50 (check)": [r for r in masked if r not in first]}
    lines = ["| | " + " | ".join(parts) + " |", "|---|" + "---|" * len(parts)]

    def line(title: str, cells: list[str]) -> None:
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    sets = list(parts.values())
    line("volumes with a mask (patients)", [f"{len(s)} ({len({r['patient'] for r in s})})" for s in sets])
    line("centre within 15 mm", [wilson(sum(r["centre_error_mm"] <= 15 for r in s), len(s)) for s in sets])
    misses = [[r for r in s if r["centre_error_mm"] > 15] for s in sets]
    line("misses with a warning", [f"{sum(bool(r['warnings']) for r in m)} of {len(m)}" for m in misses])
    for title, key, digits in (
        ("centre error, mm", "centre_error_mm", 1),
        ("Dice of the wall", "wall_dice", 3),
        ("axis against the mask's, degrees", "axis_error_deg", 1),
        ("apex against the mask's along the axis, mm", "apex_shift_mm", 1),
        ("base against the mask's along the axis, mm", "base_shift_mm", 1),
        ("processor time, s", "seconds", 2),
    ):
        line(title, [interval(s, key, digits) for s in sets])
    line("`lv-uncertain` on these", [wilson(sum("lv-uncertain" in r["warnings"] for r in s), len(s)) for s in sets])
    line(
        "heart wiped out: refused or warned",
        [wilson(sum(r["control"] != "false find" for r in s), len(s)) for s in sets],
    )
    return "\n".join(lines)


def main(folder: Path) -> None:
    rows = []
    with (folder / "index.csv").open() as file:
        for row in csv.DictReader(file):
            rows.append(measure(row, folder))
            print(rows[-1], flush=True)
    names = list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    text = PAGE.read_text()
    before, after = text.split(START)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{START}\n{len(rows)} volumes went through.\n\n{table(rows)}\n{END}{after}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
