"""The shipped normal limits of CZT SPECT and PET on simulated patients that they were not built from.

    python benchmarks/limits_simulated.py draw czt --count 100
    python benchmarks/limits_simulated.py draw n13 --set three-vessel --count 10
    python benchmarks/limits_simulated.py table

``draw`` images patients (of another seed) by the recipe of the limits (`myoperf.research.normal_limits`): normal ones,
or those with disease of three vessels and at least 60 % of the wall. The maps lie in ``runs/limits``; a call goes on
where the last one stopped and ends by itself after ``--minutes``. ``table`` decides on them by the shipped limits, with
their own cut-offs, and by those of SPECT, which they would get without, and writes ``docs/results/normal_limits.csv``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from called_maps import WIDE_PERCENT, call_maps
from myoperf.perfusion import Condition, NormalLimits, choose_limits, shipped_limits
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.phantom.truth import truth
from myoperf.pipeline import load_models
from myoperf.pipeline.jobs import run_jobs
from myoperf.research.normal_limits.recipe import (
    RECIPES,
    STATES,
    Normal,
    Recipe,
    draw_normals,
    image_patient,
    map_without_geometry,
    read_normals,
    write_normal,
)
from myoperf.types import VESSELS

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/normal_limits.csv"
MAPS = ROOT / "runs" / "limits"
SEED_OF_CHECKS = 7000
"""Added to a recipe's seed."""


def severe(recipe: Recipe, index: int) -> tuple[PatientModel, np.random.Generator]:
    """Draw patients with disease of three vessels until one has enough of the wall ill."""
    rng = np.random.default_rng([recipe.seed + SEED_OF_CHECKS, 1, index])
    wanted = PopulationOptions(
        prevalence=dict.fromkeys(VESSELS, 1.0), patient_prevalence=1.0, male=0.5, tracer=recipe.tracer
    )
    while True:
        patient = draw_patient(rng, wanted)
        if truth(patient).defect_extent_percent["stress"] >= WIDE_PERCENT:
            return patient, rng


def draw_severe(recipe: Recipe, name: str, count: int, until: float) -> None:
    """Image patients with severe disease of three vessels into the folder of maps."""
    find_lv = load_models(diagnosis=False).find_lv

    def image(index: int, path: Path) -> None:
        write_normal(path, image_patient(recipe, *severe(recipe, index), find_lv=find_lv))

    run_jobs({MAPS / f"{name}-{index:04d}.npz": index for index in range(count)}, image, title=name, until=until)


def row_of(normal: Normal, recipe: Recipe, limits: tuple[NormalLimits, ...], which: str) -> dict[str, Any]:
    """Score and decide on a patient by some limits."""
    scan = {"sex": normal.sex, "tracer": recipe.tracer, "camera": recipe.camera}
    condition = Condition(position=recipe.position)
    chosen = {state: choose_limits(limits, state=state, condition=condition, **scan)[0] for state in STATES}
    maps = {state: map_without_geometry(normal.maps[state]) if state in normal.maps else None for state in STATES}
    scores, called = call_maps(maps, chosen, normal.sex)
    row = {"tpd_stress": scores.tpd_stress_percent, "tpd_rest": scores.tpd_rest_percent} | called
    return {f"{name}_{which}": value for name, value in row.items()}


def limits_name(limits: NormalLimits) -> str:
    """Return the name of limits without sex and state."""
    return limits.name.rsplit("-", 2)[0]


def table() -> None:
    """Write a row a patient; protocols without a patient in `MAPS` keep their rows."""
    shipped = shipped_limits()
    spect = tuple(one for one in shipped if limits_name(one) == "simulated-tc99m")
    rows: list[dict[str, Any]] = []
    for name, recipe in RECIPES.items():
        own = tuple(one for one in shipped if limits_name(one) == f"simulated-{name}")
        for of, file in (("normals", f"{name}-check"), ("three-vessel", f"{name}-three-vessel")):
            for index, normal in enumerate(read_normals(MAPS, file)):
                row = {"protocol": name, "set": of, "patient": index, "sex": normal.sex}
                rows.append(row | row_of(normal, recipe, own, "own") | row_of(normal, recipe, spect, "spect"))
    new = pd.DataFrame(rows)
    if TABLE.exists():
        before = pd.read_csv(TABLE, keep_default_na=False, dtype=str)
        new = pd.concat([before[~before["protocol"].isin(set(new["protocol"]))], new])
    new.to_csv(TABLE, index=False, float_format="%.3f")
    print(f"{len(rows)} patients in {TABLE.relative_to(ROOT)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("draw", "table"))
    parser.add_argument("protocol", choices=RECIPES, nargs="?", default="czt")
    parser.add_argument("--set", choices=("normals", "three-vessel"), default="normals")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=11.0)
    given = parser.parse_args()
    recipe, until = RECIPES[given.protocol], time.monotonic() + 60.0 * given.minutes
    if given.step == "table":
        table()
    elif given.set == "normals":
        name, seed = f"{given.protocol}-check", recipe.seed + SEED_OF_CHECKS
        draw_normals(recipe, MAPS, name=name, count=given.count, seed=seed, until=until)
    else:
        draw_severe(recipe, f"{given.protocol}-three-vessel", given.count, until)


if __name__ == "__main__":
    main()
