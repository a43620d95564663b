"""The shipped normal limits of CZT SPECT and Rb-82 PET on simulated normals that they were not built from.

    python benchmarks/limits_simulated.py draw czt --count 60
    python benchmarks/limits_simulated.py table

``draw`` images other normals (another seed) by the recipe of the limits (`myoperf.research.normal_limits`) and keeps
the maps in ``runs/limits``; it resumes where it stopped and ends by itself after ``--minutes``. ``table`` scores them
against the shipped limits and against those of SPECT, which they would get without, and writes
``docs/results/normal_limits.csv``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd

from myoperf.perfusion import NormalLimits, choose_limits, measure_perfusion, shipped_limits
from myoperf.research.normal_limits.recipe import RECIPES, draw_normals, map_without_geometry, read_normals

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/normal_limits.csv"
MAPS = ROOT / "runs" / "limits"
SEED_OF_CHECKS = 7000
"""Added to a recipe's seed."""


def rows_of(name: str, new: tuple[NormalLimits, ...], spect: tuple[NormalLimits, ...]) -> list[dict[str, Any]]:
    """Score a protocol's check set against the new limits and against those of SPECT, one row a patient."""
    recipe, rows = RECIPES[name], []
    for index, normal in enumerate(read_normals(MAPS, f"{name}-check")):
        row: dict[str, Any] = {"protocol": name, "patient": f"{name}-check-{index:04d}", "sex": normal.sex}
        for state, values in normal.maps.items():
            for which, limits in (("new", new), ("spect", spect)):
                chosen, _ = choose_limits(
                    limits, state=state, sex=normal.sex, tracer=recipe.tracer, camera=recipe.camera
                )
                measured = measure_perfusion(map_without_geometry(values), chosen)
                row[f"tpd_{state}_{which}"] = round(float(measured.tpd_percent or 0.0), 3)
        rows.append(row)
    return rows


def table() -> None:
    """Write the rows of the check sets."""
    shipped = shipped_limits()
    spect = tuple(one for one in shipped if one.name.startswith("simulated-tc99m"))
    rows: list[dict[str, Any]] = []
    for name in RECIPES:
        new = tuple(one for one in shipped if one.name.startswith(f"simulated-{name}-"))
        rows += rows_of(name, new, spect) if new else []
    pd.DataFrame(rows).to_csv(TABLE, index=False)
    print(pd.DataFrame(rows).describe().to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("draw", "table"))
    parser.add_argument("protocol", choices=RECIPES, nargs="?", default="czt")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=11.0)
    given = parser.parse_args()
    if given.step == "table":
        table()
        return
    recipe = RECIPES[given.protocol]
    draw_normals(
        recipe,
        MAPS,
        name=f"{given.protocol}-check",
        count=given.count,
        seed=recipe.seed + SEED_OF_CHECKS,
        until=time.monotonic() + 60.0 * given.minutes,
    )


if __name__ == "__main__":
    main()
