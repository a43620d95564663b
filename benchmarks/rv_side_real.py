"""How often the right ventricle's side is read rightly in the open real volumes.

    python benchmarks/rv_side_real.py ../shared/real

The volumes of Calixto et al. (doi:10.13026/ce2z-dw74) that did not serve to shape the rule. Each is checked as it
is and with its frame turned by 180 degrees about the long axis, which exchanges septum and lateral wall. Writes
``docs/results/rv_side_real.csv``.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from myoperf.io import read_studies
from myoperf.lv import find_lv
from myoperf.polar import check_rv_side, find_rv_insertions
from myoperf.types import LVFrame, Volume
from myoperf.ventricle import fit_surface

ROOT = Path(__file__).parents[1]


def measure(path: Path, name: str) -> dict[str, object]:
    image = read_studies([path]).studies[0].scans[0].image
    assert isinstance(image, Volume)
    volume = image.summed()
    fit = find_lv(volume)
    surface = fit_surface(fit.labels, fit.frame)
    upside_down = LVFrame(fit.frame.apex_mm, fit.frame.base_mm, -fit.frame.anterior)
    found = find_rv_insertions(volume, surface)
    return {
        "image": name,
        "anterior_deg": found.anterior_deg if found else "",
        "inferior_deg": found.inferior_deg if found else "",
        "contrast": round(found.contrast, 2) if found else "",
        "doubt": int(bool(check_rv_side(volume, surface))),
        "doubt_turned": int(bool(check_rv_side(volume, fit_surface(fit.labels, upside_down)))),
    }


def main(folder: Path) -> None:
    with (folder / "physionet_mps/index.csv").open() as file:
        names = [row["dicom"] for row in csv.DictReader(file)]
    chosen = [name for i, name in enumerate(names) if i % 5 in (2, 4)]
    rows = [measure(folder / "physionet_mps" / name, Path(name).stem) for name in chosen]
    with (ROOT / "docs/results/rv_side_real.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    print(*rows, sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
