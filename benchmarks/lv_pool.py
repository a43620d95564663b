"""Why the blood pool overlaps less than the wall: by volume, wall and camera, and against what half a voxel does.

    python benchmarks/lv_pool.py TRAINING

after ``myoperf train lv -o TRAINING``. Takes the judged rows of the shipped network on simulated patients whom it has
not seen (``judged.csv``, ``testing.npz``). For each true pool: its volume, its number of voxels, the thickness of
the patient's anatomical wall (mean, from the same draw), and the overlap of the pool with itself made larger or smaller
by a quarter and by half a voxel all round (on a grid four times as fine). Writes docs/results/lv_pool.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from myoperf.phantom.population import draw_patient
from myoperf.research.lv_network.cases import Case, read_cases
from myoperf.research.lv_network.simulated import KINDS

ROOT = Path(__file__).parents[1]
SET = "shipped, simulated volumes"
FINE = 4
SHIFTS = (-0.5, -0.25, 0.25, 0.5)


def overlaps_when_moved(mask: np.ndarray) -> dict[str, float]:
    """Overlap of a mask (3D) with itself grown (+) or shrunk (-) by parts of a voxel."""
    places = np.argwhere(mask)
    low, high = places.min(0), places.max(0) + 1
    cut = np.pad(mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float32), 2)
    fine = ndimage.zoom(cut, FINE, order=1, grid_mode=True, mode="nearest") > 0.5
    away, depth = ndimage.distance_transform_edt(~fine), ndimage.distance_transform_edt(fine)
    signed = np.where(fine, 0.5 - depth, away - 0.5)  # fine voxels from the edge, which lies between two of them
    found = {}
    for shift in SHIFTS:
        moved = signed <= shift * FINE
        found[f"dice_moved_{shift:+g}"] = 2 * float((moved & fine).sum()) / max(float(moved.sum() + fine.sum()), 1)
    return found


def wall_mm(case: Case) -> float:
    """Mean thickness of the anatomical wall of a simulated patient, drawn again as for the case."""
    kind, seed, index = case.name.split("-")
    rng = np.random.default_rng([int(seed), sorted(KINDS).index(kind), int(index)])
    return float(np.mean(draw_patient(rng, None).ventricle.wall_mm))


def rows_of(training: Path) -> pd.DataFrame:
    judged = pd.read_csv(training / "judged.csv")
    judged = judged[judged["set"] == SET].set_index("case")
    rows = []
    for case in read_cases(training / "testing.npz"):
        if case.name not in judged.index:
            continue
        pool = case.labels.array[0] == 2
        if not pool.any():
            continue
        row = {
            "case": case.name,
            "camera": case.name.split("-")[0],
            "voxel_mm": round(float(case.image.spacing_mm.mean()), 2),
            "pool_ml": round(case.labels.label_ml(2), 1),
            "pool_voxels": int(pool.sum()),
            "wall_mm": round(wall_mm(case), 2),
            "pool_dice": round(float(judged.loc[case.name, "pool_dice"]), 4),
            "wall_dice": round(float(judged.loc[case.name, "wall_dice"]), 4),
        }
        rows.append(row | {key: round(value, 4) for key, value in overlaps_when_moved(pool).items()})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    rows = rows_of(parser.parse_args().training)
    rows.to_csv(ROOT / "docs" / "results" / "lv_pool.csv", index=False)
    print(rows.to_string(index=False))


if __name__ == "__main__":
    main()
