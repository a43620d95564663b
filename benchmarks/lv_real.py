"""Measure the classical left ventricle on the 61 real volumes: writes docs/results/lv_real.csv.

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
from myoperf.types import Volume

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results/lv_real.csv"


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
