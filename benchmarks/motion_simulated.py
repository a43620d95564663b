"""Motion correction on simulated scans of full physics: how often it moves still views, and how well it undoes motion.

    python benchmarks/recovery_simulated.py draw --count 48
    python benchmarks/motion_simulated.py
    python docs/pages.py quality

Uses the views without noise that the first command keeps. Still scans with one head and with two, with a truncated
field, decay or an offset of the second head; steps, creep and motion that returns, by cubic splines along the body in
the views without noise, which is exact for parallel rays. Then Poisson noise. The heart's place is the true one with
errors of 7 mm SD along each axis. Writes one row a trial to ``docs/results/motion_simulated.csv``, resumes where it
stopped and ends by itself after ``--minutes``; the summary is ``docs/results/motion_summary.csv``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from myoperf.recon import ReconOptions, correct_motion, estimate_motion, reconstruct
from myoperf.stats import wilson_interval
from myoperf.types import Projections

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "recovery"
TABLE, SUMMARY = ROOT / "docs/results/motion_simulated.csv", ROOT / "docs/results/motion_summary.csv"
WALL_SHARE, HEART_MM = 0.5, 70.0


def truncated(mean: Any) -> Any:
    """Cut the second head's field."""
    cut = mean.copy()
    cut[len(cut) // 2 :, :, -9:] = 0.0
    cut[len(cut) // 2 :, -6:] = 0.0
    return cut


def decayed(mean: Any) -> Any:
    """Let the second head count a fifth less, and all views fall by 15 % over the scan."""
    half = len(mean) // 2
    falls = np.tile(0.85 ** (np.arange(half) / half), 2) * np.repeat([1.0, 0.8], half)
    return mean * falls[:, None, None]


def offset(mean: Any) -> Any:
    """Put the second head's image two rows lower."""
    out = mean.copy()
    out[len(out) // 2 :, 2:] = mean[len(out) // 2 :, :-2]
    return out


STILL: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "still, one head": (1, lambda mean: mean),
    "still, two heads": (2, lambda mean: mean),
    "still, second head truncated": (2, truncated),
    "still, decay and unequal heads": (2, decayed),
    "still, second head lower by 2 rows": (2, offset),
}
MOVES: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "step of 1 pixel": (1, lambda t: 1.0 * (t >= 0.6)),
    "step of 2 pixels": (1, lambda t: -2.0 * (t >= 0.7)),
    "step of 3 pixels": (1, lambda t: 3.0 * (t < 0.35)),
    "creep of 2.5 pixels": (1, lambda t: -2.5 * t),
    "2 pixels and back": (1, lambda t: 2.0 * ((t >= 0.35) & (t < 0.6))),
    "step of 2 pixels, two heads": (2, lambda t: 2.0 * (t >= 0.6)),
}


def stored(path: Path) -> tuple[Projections, Any]:
    """Return the views without noise, summed over gates, and the true centre of the heart."""
    with np.load(path) as scan:
        (row_mm, column_mm), (x, y, z) = ([float(v) for v in scan[name]] for name in ("pixel", "axis"))
        mean = scan["expected"].astype(np.float64)
        views = Projections(mean, scan["angles"], (row_mm, column_mm), scan["radius"], (x, y, z))
        return views, 0.5 * (scan["apex"] + scan["base"])


def shifted(mean: Any, rows: Any) -> Any:
    """Shift views along the body."""
    moved = [ndimage.shift(v, (s, 0.0), order=3, mode="nearest") for v, s in zip(mean, rows, strict=True)]
    return np.maximum(np.stack(moved), 0.0)


def wall_difference_percent(views: Projections, reference: Projections, place: Any) -> float:
    """Return the mean absolute difference of the wall's counts from a reference image, of its mean."""
    image, still = (reconstruct(each, ReconOptions()).volume for each in (views, reference))
    index = np.indices(still.grid_shape).reshape(3, -1)
    away = (still.lps_from_index[:3, :3] @ index).T + still.lps_from_index[:3, 3] - place
    near = (np.linalg.norm(away, axis=1) < HEART_MM).reshape(still.grid_shape)
    wall = near & (still.array[0] > WALL_SHARE * np.percentile(still.array[0][near], 99.0))
    return float(100.0 * np.abs(image.array[0] - still.array[0])[wall].mean() / still.array[0][wall].mean())


def trial(path: Path, case: str) -> dict[str, Any]:
    """Return one row of the table."""
    views, heart = stored(path)
    rng = np.random.default_rng([int(path.stem[-4:]), *case.encode()])
    x, y, z = (float(v) for v in heart + rng.normal(0.0, 7.0, 3))
    heads, change = (STILL | MOVES)[case]
    part = views.views // heads
    when = np.tile(np.arange(part) / part, heads)
    rows = np.zeros(views.views) if case in STILL else np.asarray(change(when), dtype=np.float64)
    mean = change(views.array[0]) if case in STILL else shifted(views.array[0], rows)
    numbers = None if heads == 1 else np.repeat(np.arange(heads), part)
    noisy = replace(views, array=rng.poisson(mean)[None].astype(np.float32), heads=numbers)
    found = estimate_motion(noisy, (x, y, z))
    error, left = (e - np.median(e) for e in (rows, found.shift_mm[:, 0] / views.pixel_mm[0] - rows))
    row: dict[str, Any] = {"case": case, "scan": path.stem, "shifted": int(found.is_motion)}
    row |= {"doubtful_mm": found.doubtful_mm, "before": found.disagreement_before, "after": found.disagreement_after}
    row |= {"error_before": float(np.abs(error).max()), "error_after": float(np.abs(left).max())}
    if case in MOVES and found.is_motion:
        quiet = shifted(views.array[0], np.full(views.views, np.median(rows)))
        still = replace(views, array=np.random.default_rng(1).poisson(quiet)[None].astype(np.float32))
        again = replace(still, array=np.random.default_rng(2).poisson(quiet)[None].astype(np.float32))
        mended = correct_motion(noisy, found)
        row |= {"wall_before": wall_difference_percent(noisy, still, heart)}
        row |= {"wall_after": wall_difference_percent(mended, still, heart)}
        row |= {"wall_noise": wall_difference_percent(again, still, heart)}
    return row


def summarise(table: pd.DataFrame) -> None:
    """Write the summary that the page shows."""
    rows = []
    for case in STILL | MOVES:
        of_case = table[table.case == case]
        if of_case.empty:
            continue
        ends = wilson_interval(int(of_case.shifted.sum()), len(of_case))
        row: dict[str, Any] = {"case": case, "n": len(of_case), "shifted": int(of_case.shifted.sum())}
        row |= {"shifted_lo": 100.0 * ends.lo, "shifted_hi": 100.0 * ends.hi}
        names = ("error_before", "error_after", "wall_before", "wall_after", "wall_noise")
        row |= {name: of_case[name].median() for name in names} | {"reported": int((of_case.doubtful_mm > 0).sum())}
        rows.append(row | {"error_after_p90": of_case.error_after.quantile(0.9)})
    pd.DataFrame(rows).to_csv(SUMMARY, index=False, float_format="%.3f")
    print(pd.DataFrame(rows).to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=11.0)
    given = parser.parse_args()
    start = time.monotonic()
    table = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=["case", "scan"])
    there = set(table[["case", "scan"]].itertuples(index=False, name=None))
    for path in sorted(RUNS.glob("scan-????.npz")):
        for case in STILL | MOVES:
            if (case, path.stem) in there or time.monotonic() - start > 60.0 * given.minutes:
                continue
            table = pd.concat([table, pd.DataFrame([trial(path, case)])], ignore_index=True)
        table.to_csv(TABLE, index=False, float_format="%.4f")
    summarise(table)


if __name__ == "__main__":
    main()
