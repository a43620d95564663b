"""How high an overlap the open masks allow: at which level of the counts each was drawn, what one level would get.

``python benchmarks/lv_reader_levels.py ../shared/real/physionet_mps`` writes docs/results/lv_reader_levels.csv (the
best level of each volume) and the lines between the marks in docs/ms-st-unet.md.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

import numpy as np
from scipy import ndimage

from myoperf.lv.metrics import dice
from myoperf.research.lv_network.cases import Case, read_real

ROOT = Path(__file__).parents[1]
PAGE, TABLE = ROOT / "docs" / "ms-st-unet.md", ROOT / "docs" / "results" / "lv_reader_levels.csv"
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


def summary(rows: list[dict[str, object]]) -> str:
    lines = []
    for name in REFERENCES:
        mine = [r for r in rows if r["level_of"] == name]
        cases = sorted({str(r["case"]) for r in mine})
        grid = np.array([[float(str(r["dice"])) for r in mine if r["case"] == c] for c in cases])
        best, one = LEVELS[grid.argmax(1)], int(grid.mean(0).argmax())
        lines.append(
            f"- level as a share of the wall's {name}: each volume's own best level goes from {best.min():.2f} to "
            f"{best.max():.2f} (median {np.median(best):.2f}) and then overlaps by {grid.max(1).mean():.3f} on average "
            f"({int((grid.max(1) > 0.995).sum())} of {len(cases)} volumes by more than 0.995); the best single level, "
            f"{LEVELS[one]:.2f}, by {grid[:, one].mean():.3f} (least {grid[:, one].min():.3f})."
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    rows = [row for case in read_real(args.folder) for row in measure(case)]
    with TABLE.open("w", newline="") as lines:
        table = csv.DictWriter(lines, list(rows[0]))
        table.writeheader()
        table.writerows(max(same, key=lambda r: float(str(r["dice"]))) for same in _by_case(rows))
    start, end = "<!-- readers: start -->", "<!-- readers: end -->"
    text = re.sub(f"{start}.*?{end}", lambda _: f"{start}\n{summary(rows)}\n{end}", PAGE.read_text(), flags=re.DOTALL)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
