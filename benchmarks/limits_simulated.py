"""The shipped normal limits of CZT SPECT and Rb-82 PET on simulated normals that they were not built from.

    python benchmarks/limits_simulated.py draw czt --count 60
    python benchmarks/limits_simulated.py table

``draw`` images other normals (another seed) by the recipe of the limits (`myoperf.research.normal_limits`) and keeps
the maps in ``runs/limits``; it resumes where it stopped and ends by itself after ``--minutes``. ``table`` scores them
against the shipped limits and against those of SPECT, which they would get without, and writes
``docs/results/normal_limits.csv`` and the table in ``docs/perfusion.md``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd

from myoperf.perfusion import NormalLimits, choose_limits, measure_perfusion, shipped_limits
from myoperf.research.normal_limits.recipe import RECIPES, STATES, draw_normals, map_without_geometry, read_normals
from myoperf.stats import wilson_interval

ROOT = Path(__file__).parents[1]
TABLE, PAGE = ROOT / "docs/results/normal_limits.csv", ROOT / "docs/perfusion.md"
MARKS = ("<!-- normal_limits -->", "<!-- end of normal_limits -->")
TPD_PERCENT = 5.0
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


def share(found: pd.Series) -> str:
    """Give how many have an abnormal TPD, with the Wilson interval."""
    known = found.dropna()
    count = int((known >= TPD_PERCENT).sum())
    ends = wilson_interval(count, len(known))
    return (
        f"{100 * count / len(known):.1f} % ({100 * ends.lo:.1f} to {100 * ends.hi:.1f}), {count} of {len(known)}; "
        f"mean {known.mean():.1f} %"
    )


def table() -> None:
    """Write the rows of the check sets and the page's table."""
    shipped = shipped_limits()
    spect = tuple(one for one in shipped if one.name.startswith("simulated-tc99m"))
    rows: list[dict[str, Any]] = []
    lines = [
        "| protocol | state | limits from | new normals with TPD >= 5 %, own limits | the same with SPECT's limits |",
        "|---|---|---|---|---|",
    ]
    for name, recipe in RECIPES.items():
        new = tuple(one for one in shipped if one.name.startswith(f"simulated-{name}-"))
        own = rows_of(name, new, spect) if new else []
        if not own:
            continue
        rows += own
        both = pd.DataFrame(own)
        for state in STATES:
            n = {one.sex: one.n for one in new if one.state == state}
            lines.append(
                f"| {recipe.tracer}{', CZT' if recipe.camera else ''} | {state} | {n['M']} men, {n['F']} women | "
                f"{share(both[f'tpd_{state}_new'])} | {share(both[f'tpd_{state}_spect'])} |"
            )
    pd.DataFrame(rows).to_csv(TABLE, index=False)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    body = "\n".join(lines)
    PAGE.write_text(f"{before}{MARKS[0]}\n{body}\n{MARKS[1]}{rest.split(MARKS[1])[1]}", encoding="utf-8")


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
