"""Time the 95th percentile surface distance against MONAI's, in one process, alternating.

    python benchmarks/hd95_speed.py

Two cut shells in 128^3, as a predicted and a true wall: one that nearly agrees, one that is off by a wall's width,
one somewhere else. One thread, processor time. Checks that both agree to 1e-6 and writes docs/results/hd95_speed.csv.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from monai.metrics import compute_hausdorff_distance
from numpy.typing import NDArray

from myoperf.lv.metrics import hausdorff95_mm

SIDE, SPACING, ROUNDS = 128, (2.0, 2.0, 2.0), 15
TRUTH = (64.0, 62.0, 60.0, 26.0, 8.0)
PREDICTED = {
    "nearly agrees": (65.0, 61.0, 61.5, 25.0, 9.0),
    "off by a wall's width": (70.0, 66.0, 60.0, 24.0, 8.0),
    "somewhere else": (84.0, 40.0, 75.0, 22.0, 8.0),
}


def shell(plane: float, row: float, column: float, radius: float, wall: float) -> NDArray[np.bool_]:
    """Return a sphere's shell, cut off beyond 0.6 radii."""
    z, y, x = np.mgrid[:SIDE, :SIDE, :SIDE]
    away = np.sqrt((z - plane) ** 2 + (y - row) ** 2 + (x - column) ** 2)
    return np.asarray((away < radius) & (away >= radius - wall) & (z < plane + 0.6 * radius))


def seconds(job: Callable[[], object]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def main() -> None:
    warnings.simplefilter("ignore")  # MONAI's notes on its own deprecations
    torch.set_num_threads(1)
    truth = shell(*TRUTH)
    table = []
    for name, place in PREDICTED.items():
        mask = shell(*place)
        batch = [torch.from_numpy(m[None, None]) for m in (mask, truth)]

        def ours(mask: NDArray[np.bool_] = mask) -> float:
            return hausdorff95_mm(mask, truth, SPACING)

        def peer(batch: list[torch.Tensor] = batch) -> float:
            return float(
                compute_hausdorff_distance(*batch, include_background=True, percentile=95, spacing=list(SPACING))
            )

        value, theirs = ours(), peer()
        if abs(value - theirs) > 1e-6 * theirs:
            raise SystemExit(f"The values differ: {value} here, {theirs} from MONAI.")
        both = [(seconds(ours), seconds(peer)) for _ in range(ROUNDS)]
        table.append(
            {
                "case": name,
                "side": SIDE,
                "rounds": ROUNDS,
                "hd95_mm": round(value, 3),
                "myoperf_ms": round(1000 * median(a for a, _ in both), 2),
                "monai_ms": round(1000 * median(b for _, b in both), 2),
                "ratio": round(median(b / a for a, b in both), 1),
            }
        )
    out = Path(__file__).parents[1] / "docs" / "results" / "hd95_speed.csv"
    pd.DataFrame(table).to_csv(out, index=False)
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
