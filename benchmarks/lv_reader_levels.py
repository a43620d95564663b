"""How high an overlap the open masks allow: at which level of the counts each was drawn, what one level would get.

``python benchmarks/lv_reader_levels.py ../shared/real/physionet_mps`` writes docs/results/lv_reader_levels.csv (the
best level of each volume) and lv_reader_levels.json (the best single level).
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from myoperf.lv.metrics import dice
from myoperf.research.lv_network.cases import Case, read_real

RESULTS = Path(__file__).parents[1] / "docs" / "results"
LEVELS = np.round(np.arange(0.20, 0.801, 0.02), 2)
REFERENCES = {"maximum": np.max, "mean": np.mean}


def measure(case: Case) -> list[dict[str, object]]:
    """Overlap of the drawn wall with what lies above a level near the ventricle: the drawn mask itself tells where."""
    image, wall = case.image.array[0].astype(float), case.labels.array[0] == 1
    near = ndimage.binary_dilation(case.labels.array[0] > 0, iterations=3)
    rows: list[dict[str, object]] = []
    for name, reference in REFERENCES.items():
        scale = float(reference(image[wall]))
        for level in LEVELS:
            above = (image > level * scale) & near
            overlap = dice(above, wall) if above.any() else 0.0
            rows.append({"case": case.name, "level_of": name, "level": level, "dice": round(overlap, 5)})
    return rows


def _by_case(rows: list[dict[str, object]]) -> list[list[dict[str, object]]]:
    keys = dict.fromkeys((r["case"], r["level_of"]) for r in rows)
    return [[r for r in rows if (r["case"], r["level_of"]) == key] for key in keys]


def best_level(rows: list[dict[str, object]], name: str) -> dict[str, float]:
    """Return the single level that overlaps most on average."""
    of_name = pd.DataFrame(rows).query("level_of == @name")
    by_level = of_name.pivot(index="case", columns="level", values="dice")
    level = by_level.mean().idxmax()
    overlaps = by_level[level]
    return {"level": level, "mean_dice": round(overlaps.mean(), 5), "least_dice": round(overlaps.min(), 5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    rows = [row for case in read_real(args.folder) for row in measure(case)]
    with (RESULTS / "lv_reader_levels.csv").open("w", newline="") as lines:
        table = csv.DictWriter(lines, list(rows[0]))
        table.writeheader()
        table.writerows(max(same, key=lambda r: float(str(r["dice"]))) for same in _by_case(rows))
    best = {name: best_level(rows, name) for name in REFERENCES}
    (RESULTS / "lv_reader_levels.json").write_text(json.dumps(best, indent=1) + "\n", encoding="utf-8")
    print(best)


if __name__ == "__main__":
    main()
