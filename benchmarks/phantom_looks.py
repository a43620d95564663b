"""Compare simulated images with the real studies in numbers.

Writes docs/results/phantom_looks.csv.

    python benchmarks/phantom_looks.py ../shared/real [--fast 40] [--full 24] [--resume]

Real and simulated go through the same code: `myoperf.lv.find_lv`, then samples about the found heart. Ranges of
the simulation were tuned on P01-P25 of the PhysioNet volumes and on the GE acquisition; the table printed P26-P50
beside them all along, so that half is no untouched check. See docs/phantom-physics.md.
Every image's row is written as it is measured; `--resume` keeps the rows already there.
`benchmarks/phantom_looks_page.py` draws slices of both.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from myoperf.errors import AnalysisError
from myoperf.geometry import sample, transform_points
from myoperf.io import read_studies
from myoperf.lv import find_lv
from myoperf.phantom.acquire import Protocol, acquire
from myoperf.phantom.fast import czt_field, image_model, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid
from myoperf.recon import reconstruct
from myoperf.types import LVFrame, Projections, Volume

Job = tuple[str, str, str, Callable[[], dict[str, float] | None]]
ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results/phantom_looks.csv"
NUMBERS = {
    "radius_mm": "radius of the wall's ridge at mid-ventricle, mm",
    "length_mm": "length of the found ventricle, mm",
    "wall_fwhm_mm": "FWHM of the wall across, mm",
    "wall_to_cavity": "wall / cavity at mid-ventricle",
    "right_heart_to_wall": "brightest beyond the septum / wall",
    "below_right_to_wall": "below right of the heart (liver) / wall",
    "background_to_wall": "above and about the heart / wall",
    "lung_to_wall": "darkest tenth about the heart / wall",
    "background_cv": "SD / mean of the background after taking off a 15 mm mean",
    "grain_mm": "distance to half the background's autocorrelation, mm",
    "wall_cv": "SD / mean of the ridge around mid-ventricle",
    "counts_million": "counts of all views, million",
    "peak_counts": "counts of the brightest pixel, mean over views",
}


def rays(frame: LVFrame, level: float, reach_mm: np.ndarray) -> np.ndarray:
    """Points along 36 rays from the long axis, (36, n, 3); angle 0 anterior, through the septum."""
    turn = np.deg2rad(np.arange(0.0, 360.0, 10.0))[:, None]
    out = np.cos(turn) * frame.anterior + np.sin(turn) * frame.septal
    centre = frame.apex_mm + level * (frame.base_mm - frame.apex_mm)
    return np.asarray(centre + reach_mm[:, None] * out[:, None, :])


def width(profile: np.ndarray, top: int, level: float) -> float:
    """Full width of a peak at a level, mm (1 mm steps); NaN where a side does not fall to it."""
    below = np.flatnonzero(profile < level)
    left, right = below[below < top], below[below > top]
    if not left.size or not right.size or right[0] - left[-1] > 45:
        return float("nan")
    a, b = int(left[-1]), int(right[0])
    start = a + (level - profile[a]) / (profile[a + 1] - profile[a])
    end = b - (level - profile[b]) / (profile[b - 1] - profile[b])
    return float(end - start)


def wall_numbers(volume: Volume, frame: LVFrame) -> dict[str, float]:
    """Profiles across the wall of the middle third of the ventricle."""
    reach = np.arange(0.0, 90.0)
    levels = [np.asarray(sample(volume, rays(frame, level, reach))[0]) for level in (0.45, 0.55, 0.65)]
    values = np.mean(levels, axis=0)
    ring = values.mean(axis=0)[:50]
    ridge = 8 + int(np.argmax(ring[8:42]))
    low, high = max(ridge - 12, 4), ridge + 13
    tops = low + np.argmax(values[:, low:high], axis=1)
    peaks = values[np.arange(36), tops]
    cavity = float(values[:, :6].mean())
    widths = [width(v[:60], int(t), 0.5 * (p + cavity)) for v, t, p in zip(values, tops, peaks, strict=True)]
    septum = [values[i, tops[i] + 15 : tops[i] + 41].max() for i in range(6, 13)]
    return {
        "radius_mm": float(np.median(tops)),
        "length_mm": frame.length_mm,
        "wall_fwhm_mm": float(np.nanmedian(widths)),
        "wall_to_cavity": float(peaks.mean() / max(cavity, 1e-9)),
        "right_heart_to_wall": float(np.median(septum) / peaks.mean()),
        "wall_cv": float(peaks.std() / peaks.mean()),
        "_wall": float(peaks.mean()),
    }


def correlation_length(noise: np.ndarray, inside: np.ndarray, spacing_mm: float) -> float:
    """Distance at which the autocorrelation falls to a half, averaged over the axes."""
    found = []
    for axis in range(3):
        before = 1.0
        for lag in range(1, 8):
            n = noise.shape[axis]
            a, b = (noise.take(range(*r), axis) for r in ((0, n - lag), (lag, n)))
            both = inside.take(range(n - lag), axis) & inside.take(range(lag, n), axis)
            now = float(np.corrcoef(a[both], b[both])[0, 1])
            if now < 0.5:
                found.append(spacing_mm * (lag - 1 + (before - 0.5) / (before - now)))
                break
            before = now
    return float(np.mean(found)) if found else float("nan")


def surroundings(volume: Volume, frame: LVFrame, labels: np.ndarray, wall: float) -> dict[str, float]:
    """Liver's side, background and noise, in boxes and shells fixed to the heart."""
    array = volume.array[0].astype(np.float64)
    spacing = float(np.cbrt(volume.voxel_ml * 1000.0))
    seen = ndimage.binary_erosion(ndimage.gaussian_filter(array, 8.0 / spacing) > 0.02 * wall, iterations=2)
    if (array == 0).mean() > 0.2:  # a field of view with an edge: 16 mm of it are left out
        seen &= ndimage.binary_erosion(ndimage.binary_closing(array > 0), iterations=round(16.0 / spacing))
    middle = 0.5 * (frame.apex_mm + frame.base_mm)
    at = transform_points(volume.lps_from_index, np.argwhere(np.ones(array.shape))).reshape(*array.shape, 3) - middle
    x, y, z = np.moveaxis(at, -1, 0)
    far = ndimage.distance_transform_edt(labels == 0) * spacing
    shell = seen & (far > 16.0) & (far < 50.0) & (z > -10.0)
    liver = seen & (x > -95.0) & (x < -20.0) & (np.abs(y) < 45.0) & (z > -75.0) & (z < -35.0)
    weight = np.maximum(ndimage.gaussian_filter(shell.astype(float), 15.0 / spacing), 1e-6)
    smooth = ndimage.gaussian_filter(np.where(shell, array, 0.0), 15.0 / spacing) / weight
    noise = np.where(shell, array - smooth, 0.0)
    return {
        "below_right_to_wall": float(np.median(array[liver]) / wall) if liver.sum() > 30 else float("nan"),
        "background_to_wall": float(np.median(array[shell]) / wall),
        "lung_to_wall": float(np.percentile(array[shell], 10) / wall),
        "background_cv": float(noise[shell].std() / array[shell].mean()),
        "grain_mm": correlation_length(noise, shell, spacing),
    }


def measure(volume: Volume) -> dict[str, float] | None:
    """Measure one image; None where no ventricle is found."""
    try:
        fit = find_lv(volume)
    except AnalysisError:
        return None
    out = wall_numbers(volume.summed(), fit.frame)
    wall = out.pop("_wall")
    out.update(surroundings(volume.summed(), fit.frame, fit.labels.array[0], wall))
    return {"confidence": fit.confidence, **out}


def view_numbers(views: Projections) -> dict[str, float]:
    array = views.array.sum(axis=0, dtype=np.float64)
    return {"counts_million": float(array.sum()) / 1e6, "peak_counts": float(array.max(axis=(1, 2)).mean())}


def real_jobs(folder: Path) -> list[Job]:
    """Return (kind, group, name, measurement) of every real image."""
    jobs: list[Job] = []
    with (folder / "physionet_mps/index.csv").open() as file:
        index = list(csv.DictReader(file))
    for entry in index:
        group = "real P01-P25" if int(entry["patient"][1:]) <= 25 else "real P26-P50"
        path = folder / "physionet_mps" / entry["dicom"]
        jobs.append(("czt", group, f"{entry['patient']} {entry['image_id']}", partial(measure_file, path)))
    jobs.append(("spect", "real GE", "stress", partial(measure_file, folder / "ge_projections/stress_tomo.dcm")))
    return jobs


def measure_file(path: Path) -> dict[str, float] | None:
    """Measure a volume, or views and their reconstruction."""
    image = read_studies([path]).studies[0].scans[0].image
    return measure(image) if isinstance(image, Volume) else measure_views(image)


def measure_views(views: Projections) -> dict[str, float] | None:
    found = measure(reconstruct(views).volume)
    return found and {**found, **view_numbers(views)}


def _row(kind: str, group: str, name: str, found: dict[str, float] | None) -> dict[str, Any]:
    return {"kind": kind, "group": group, "image": name, "found": int(found is not None), **(found or {})}


def simulated_czt(index: int) -> Volume:
    """Return one simulated rest image in the camera's small field of view."""
    rng = np.random.default_rng([2718, index])
    patient = draw_patient(rng)
    grid = Grid.centred((96, 110, 110), 4.0, patient.scan_centre_mm)
    image, _, frame = simulate_fast(patient, rng, state="rest", model=image_model("czt", rng), grid=grid)
    return czt_field(image, frame.centre_mm, rng)


def simulated_views(index: int) -> Projections:
    """Return stress views of the public acquisition's protocol: 30 over 180 degrees of 6.8 mm, a circle of 327 mm."""
    rng = np.random.default_rng([1618, index])
    protocol = Protocol(views=30, pixel_mm=6.8, gates=1, circular=True, radius_mm=327.3)
    return acquire(draw_patient(rng), "stress", rng, protocol).projections


def simulated_jobs(fast: int, full: int) -> list[Job]:
    jobs: list[Job] = [("czt", "simulated", f"{i}", lambda i=i: measure(simulated_czt(i))) for i in range(fast)]
    jobs += [("spect", "simulated", f"{i}", lambda i=i: measure_views(simulated_views(i))) for i in range(full)]
    return jobs


def measured(jobs: list[Job], *, resume: bool) -> list[dict[str, Any]]:
    """Measure what is missing, writing every row at once, and give the rows of all jobs."""
    columns = ["kind", "group", "image", "found", "confidence", *NUMBERS]
    there: dict[tuple[str, ...], dict[str, Any]] = {}
    if resume and RESULTS.exists():
        with RESULTS.open(encoding="utf-8") as file:
            there = {(r["kind"], r["group"], r["image"]): r for r in csv.DictReader(file)}
    rows = []
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for key, row in there.items() if key in {job[:3] for job in jobs})
    for kind, group, name, look in jobs:
        row = there.get((kind, group, name))
        if row is None:
            row = {k: round(v, 4) if isinstance(v, float) else v for k, v in _row(kind, group, name, look()).items()}
            with RESULTS.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, columns, lineterminator="\n").writerow(row)
        numbers = {k: float(row[k]) for k in NUMBERS if row.get(k) not in (None, "")}
        rows.append({**row, "found": int(row["found"]), **numbers})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("real", type=Path)
    parser.add_argument("--fast", type=int, default=40)
    parser.add_argument("--full", type=int, default=24)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    jobs = real_jobs(options.real) + simulated_jobs(options.fast, options.full)
    rows = measured(jobs, resume=options.resume)
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
