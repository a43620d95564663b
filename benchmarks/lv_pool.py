"""Why the blood pool overlaps less than the wall: by volume, wall and camera, and against what half a voxel does.

    python benchmarks/lv_pool.py [TRAINING]     (without TRAINING: the table anew from the rows)

after ``myoperf train lv -o TRAINING``. Takes the judged rows of the shipped network on simulated patients whom it has
not seen (``judged.csv``, ``testing.npz``). For each true pool: its volume, its number of voxels, the thickness of
the patient's anatomical wall (mean, from the same draw), and the overlap of the pool with itself made larger or smaller
by a quarter and by half a voxel all round (on a grid four times as fine). Writes docs/results/lv_pool.csv and
the table between the marks in docs/ms-st-unet.md.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from myoperf.phantom.population import draw_patient
from myoperf.research.lv_network.cases import Case, read_cases
from myoperf.research.lv_network.simulated import KINDS
from myoperf.stats import bootstrap_statistic, percentile_interval

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ms-st-unet.md"
SET = "shipped, simulated volumes"
FINE = 4
SHIFTS = (-0.5, -0.25, 0.25, 0.5)
GOAL = 0.95


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


def interval(values: np.ndarray) -> str:
    ends = percentile_interval(bootstrap_statistic(values, rng=np.random.default_rng(0)))
    return f"{values.mean():.3f} ({ends.lo:.3f} to {ends.hi:.3f})"


def groups(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    out = [("all", rows)]
    for camera in ("spect", "czt", "pet"):
        out.append((camera, rows[rows["camera"] == camera]))
    spect = rows[rows["camera"] == "spect"]
    for column, title, unit in (("pool_ml", "true pool", "ml"), ("wall_mm", "anatomical wall", "mm")):
        edges = spect[column].quantile([1 / 3, 2 / 3]).to_numpy()
        third = np.digitize(spect[column], edges)
        for k in range(3):
            part = spect[third == k]
            span = f"{part[column].min():.3g} to {part[column].max():.3g} {unit}"
            out.append((f"spect, {title} {span}", part))
    return out


def edge_error_voxels(rows: pd.DataFrame) -> pd.Series:
    """Shift of the whole edge that would cost as much overlap, from what a quarter of a voxel costs, in proportion."""
    quarter = 1 - rows[["dice_moved_-0.25", "dice_moved_+0.25"]].mean(axis=1)
    return 0.25 * (1 - rows["pool_dice"]) / quarter


def table(rows: pd.DataFrame) -> str:
    lines = [
        "| | n | voxels of the true pool, median | pool DSC | share with 0.95 or more | pool against itself, 1/4 voxel "
        "smaller / larger | 1/2 voxel smaller / larger | edge off by about, voxel, median | mm |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, part in groups(rows):
        quarter, half = (
            " / ".join(f"{part[f'dice_moved_{sign}{size}'].mean():.3f}" for sign in "-+") for size in ("0.25", "0.5")
        )
        share = f"{(part['pool_dice'] >= GOAL).mean():.2f}"
        pool = interval(part["pool_dice"].to_numpy())
        off = edge_error_voxels(part)
        lines.append(
            f"| {name} | {len(part)} | {part['pool_voxels'].median():.0f} | {pool} | {share} | {quarter} | {half} "
            f"| {off.median():.2f} | {(off * part['voxel_mm']).median():.1f} |"
        )
    spect = rows[rows["camera"] == "spect"]
    rank = spect[["pool_dice", "pool_voxels"]].rank().corr().iloc[0, 1]
    against = spect[["pool_dice", "dice_moved_-0.25"]].rank().corr().iloc[0, 1]
    larger = spect[spect["pool_voxels"] >= 100]
    lines += [
        "",
        f"SPECT: rank correlation of the pool's DSC with its number of voxels {rank:.2f}, with what a quarter of a "
        f"voxel less leaves {against:.2f}; {len(spect) - len(larger)} of {len(spect)} true pools have fewer than 100 "
        f"voxels; the others reach {interval(larger['pool_dice'].to_numpy())}.",
        "",
        f"For 0.95 the edge of the median SPECT pool would have to be right to "
        f"{0.25 * (1 - GOAL) / (1 - spect[['dice_moved_-0.25', 'dice_moved_+0.25']].mean(axis=1)).median():.2f} voxel.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path, nargs="?")
    training, file = parser.parse_args().training, ROOT / "docs" / "results" / "lv_pool.csv"
    if training is not None:
        rows_of(training).to_csv(file, index=False)
    rows = pd.read_csv(file)
    start, end = "<!-- pool: start -->", "<!-- pool: end -->"
    text = PAGE.read_text()
    if start not in text:
        raise SystemExit(f"{PAGE.name} has no marks for the pool.")
    found = table(rows)
    PAGE.write_text(re.sub(f"{start}.*?{end}", lambda _: f"{start}\n{found}\n{end}", text, flags=re.DOTALL))
    print(found)


if __name__ == "__main__":
    main()
