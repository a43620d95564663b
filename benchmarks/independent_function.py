"""Volumes, wall, motion and thickening of phantom hearts that the simulator did not make, beside their truth.

    python benchmarks/independent_function.py --hearts 60                     hearts for development
    python benchmarks/independent_function.py --hearts 60 --keep FOLDER       keep what was drawn and found there
    python docs/pages.py independent-hearts

Unlike `independent_hearts.py`, which runs the whole of `analyze`, only the pose, the polar map and the function are
measured, twice: with the pose as found, and with the true pose (what a perfect search would give). One row a heart and
pose in ``docs/results/independent_function.csv``; it goes on where it stopped. Only hearts for development.
"""

from __future__ import annotations

import argparse
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf import Options, load_models
from myoperf.errors import MyoPerfError
from myoperf.gated import measure_function
from myoperf.phantom.independent import draw_heart
from myoperf.phantom.independent.draw import DrawnHeart
from myoperf.phantom.independent.shape import Heart, Surfaces, grid, moments
from myoperf.polar import sample_polar_map
from myoperf.segments import segment_means
from myoperf.types import Float

ROOT = Path(__file__).parents[1]
RINGS, ANGLES, INSTANTS = 24, 72, 64
PLACES = {"apical": slice(12, 16), "middle": slice(6, 12), "basal": slice(0, 6)}


def regional_truth(heart: Heart) -> tuple[Float, Float]:
    """Return the thickening (percent) and the inward motion of the endocardium (mm) of the 17 segments."""
    beat = moments(heart, INSTANTS)
    volumes = [moment.cavity_ml for moment in beat]
    full, empty = beat[int(np.argmax(volumes))], beat[int(np.argmin(volumes))]
    thickening = 100.0 * (_thickness(empty) / np.maximum(_thickness(full), 0.5) - 1.0)
    along, up = np.gradient(full.inner_mm, axis=0), np.gradient(full.inner_height_mm, axis=0)
    outwards = (empty.inner_mm - full.inner_mm) * up - (empty.inner_height_mm - full.inner_height_mm) * along
    motion = -outwards / np.maximum(np.hypot(along, up), 1e-9)
    return segment_means(_unrolled(full, thickening)), segment_means(_unrolled(full, motion))


def _thickness(moment: Surfaces) -> Float:
    return np.hypot(moment.outer_mm - moment.inner_mm, moment.outer_height_mm - moment.inner_height_mm)


def _unrolled(moment: Surfaces, values: Float) -> Float:
    """Return values at equal steps of the mid-wall's arc and of the angle: a polar map."""
    radius = 0.5 * (moment.inner_mm + moment.outer_mm)
    height = 0.5 * (moment.inner_height_mm + moment.outer_height_mm)
    steps = np.hypot(np.diff(radius, axis=0), np.diff(height, axis=0))
    arc = np.concatenate([np.zeros((1, radius.shape[1])), np.cumsum(steps, axis=0)]) / steps.sum(axis=0)
    share = (np.arange(RINGS) + 0.5) / RINGS
    columns = (np.arange(ANGLES) * grid()[1].size / ANGLES).astype(int)
    return np.stack([np.interp(share, arc[:, k], values[:, k]) for k in columns], axis=1)


def draw(number: int, keep: Path | None) -> DrawnHeart:
    """Return a heart for development, from `keep` where it lies there."""
    path = keep / f"dev-{number:03d}.pkl" if keep else None
    if path is not None and path.exists():
        return pickle.loads(path.read_bytes())  # a file that this command wrote
    drawn = draw_heart(number)
    if path is not None:
        path.write_bytes(pickle.dumps(drawn))
    return drawn


def measure(drawn: DrawnHeart, models: Any, options: Options, *, true_pose: bool) -> dict[str, Any]:
    """Return what is measured of a heart, with the pose as found or the true one."""
    volume = drawn.study.scans[0].image
    summed = volume.summed()
    if true_pose:
        frame, labels = drawn.frame, models.segment_lv(summed, drawn.frame)[0]
    else:
        fit = models.find_lv(summed)
        frame, labels = fit.frame, fit.labels
    polar = sample_polar_map(summed, labels, frame, rings=options.rings, angles=options.angles).maximum
    start = time.perf_counter()
    function = measure_function(volume, frame, polar)
    wall = function.wall
    row: dict[str, Any] = {"seconds": time.perf_counter() - start, "length_mm": frame.length_mm}
    row |= {name: getattr(function, name) for name in ("edv_ml", "esv_ml", "lvef_percent")}
    row |= {name: getattr(wall, name) for name in ("mass_g", "wall_ed_mm", "wall_es_mm", "wall_sd_mm")}
    row |= {"resolution_fwhm_mm": wall.resolution_fwhm_mm}
    for k in range(17):
        row |= {f"thickening_{k + 1}": wall.thickening_percent[k], f"motion_{k + 1}": wall.motion_mm[k]}
    return row


def truth_of(drawn: DrawnHeart) -> dict[str, Any]:
    """Return the columns of the truth."""
    truth, camera = drawn.truth, drawn.camera
    row: dict[str, Any] = {f"{n}_true": getattr(truth, n) for n in ("edv_ml", "esv_ml", "lvef_percent", "mass_g")}
    row |= {"wall_ed_mm_true": truth.wall_mm, "gates": camera.gates, "moves": camera.movement_share > 0}
    for k, (thickening, motion) in enumerate(zip(*regional_truth(drawn.heart), strict=True), start=1):
        row |= {f"thickening_{k}_true": thickening, f"motion_{k}_true": motion}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearts", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--keep", type=Path, help="folder for drawn hearts, which take longest")
    options = parser.parse_args()
    path = ROOT / "docs/results/independent_function.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame({"heart": [], "pose": []})
    models, settings, start = load_models(diagnosis=False), Options(), time.monotonic()
    for number in range(options.hearts):
        if number in set(table.heart) or time.monotonic() - start > 60.0 * options.minutes:
            continue
        drawn = draw(number, options.keep)
        rows = []
        for pose in ("found", "true"):
            row = {"heart": number, "pose": pose} | truth_of(drawn)
            try:
                row |= measure(drawn, models, settings, true_pose=pose == "true")
            except MyoPerfError as error:
                row |= {"failed": str(error).split(".")[0]}
            rows.append(row)
        new = pd.DataFrame(rows)
        table = pd.concat([table, new], ignore_index=True) if len(table) else new
        table.sort_values(["heart", "pose"]).to_csv(path, index=False, float_format="%.3f")
    print(f"{table.heart.nunique()} of {options.hearts} hearts")


if __name__ == "__main__":
    main()
