"""Repeatability coefficients that ``myoperf analyze --prior`` holds changes against.

    python benchmarks/repeatability_limits.py

reads ``docs/results/repeatability.csv`` (`repeatability.py`) and writes ``src/myoperf/pipeline/repeatability.csv``:
1.96 x sqrt(2) x the within-patient SD (Bland and Altman, Lancet 1986;1:307) of every single number.
"""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FEWEST = 20
"""Pairs below which no coefficient is given."""


def coefficients(source: Path) -> dict[str, tuple[float, int]]:
    """Return coefficient and number of pairs of every number."""
    gaps: dict[str, list[float]] = defaultdict(list)
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            last = row["number"].rpartition(".")[2]
            if row["number"] != "failed" and not last.isdigit() and last != "doubt":
                gaps[row["number"]].append(float(row["second"]) - float(row["first"]))
    kept = {name: np.array(gap) for name, gap in gaps.items() if len(gap) >= FEWEST}
    return {name: (1.96 * float(np.sqrt((gap**2).mean())), gap.size) for name, gap in sorted(kept.items())}


def main() -> None:
    """Write the table."""
    path = ROOT / "src" / "myoperf" / "pipeline" / "repeatability.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("number", "coefficient", "pairs"))
        for name, (coefficient, pairs) in coefficients(ROOT / "docs" / "results" / "repeatability.csv").items():
            writer.writerow((name, f"{coefficient:.4g}", pairs))


if __name__ == "__main__":
    main()
