"""Tables 3 to 6 of paper 000 at scale small, in slices of time: pre-train, then train the study's models.

    python benchmarks/mit_tables.py FOLDER --part patients
    python benchmarks/mit_tables.py FOLDER --part unimiss
    python benchmarks/mit_tables.py FOLDER --part study --minutes 10       # again until it says that all is done
    python benchmarks/mit_tables.py FOLDER --part slices

FOLDER keeps what was done; the tables so far are copied to docs/results/mit_*.csv.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch

from myoperf.studies.multi_branch_baselines import keras_baselines
from myoperf.studies.multi_branch_mit import SCALES, run
from myoperf.train import slices_recipe, unimiss_recipe
from myoperf.train.slice_cases import PAPER_POPULATION, collect_cases

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SEED = 501 + unimiss_recipe.PROBE_OFFSET
"""Of the study's patients. UniMiSS learns, without labels, from patients of seed 501, on which settings were chosen."""


def copy(source: Path, names: dict[str, str]) -> None:
    """Copy tables to the results, under the names the page reads."""
    for name, to in names.items():
        shutil.copyfile(source / name, RESULTS / to)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0, help="Start no further training after so many minutes.")
    parser.add_argument("--part", choices=("patients", "unimiss", "study", "baselines", "slices"), required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    patients, size = given.folder / "patients", SCALES["small"]
    if given.part == "patients":
        shape = size.encoder.volume_shape
        collect_cases(patients, size.patients, SEED, shape=shape, options=PAPER_POPULATION, report=print)
    elif given.part == "unimiss":
        out, seed = given.folder / "unimiss", SEED - unimiss_recipe.PROBE_OFFSET
        unimiss_recipe.run("small", out, seed, data=None, resume=True, quiet=True, patients=patients)
        copy(out, {"epochs.csv": "mit_unimiss.csv", "probe.csv": "mit_probe.csv"})
    elif given.part == "slices":
        out = given.folder / "slices"
        slices_recipe.run("small", out, SEED, data=None, resume=True, quiet=True, patients=patients)
        copy(out, {"held_out.csv": "mit_held_out.csv", "versus_polar.csv": "mit_versus_polar.csv"})
    else:
        out = given.folder / "study"
        baselines = keras_baselines(epochs=size.baseline_epochs, batch=16, side=size.baseline_side)
        done = run(
            "small",
            out,
            SEED,
            weights=given.folder / "unimiss" / "unimiss.pt",
            baselines=baselines,
            minutes=given.minutes,
            patients=patients,
            models=list(baselines) if given.part == "baselines" else None,
            report=lambda line: print(line, flush=True),
        )
        copy(out, {"table.csv": "mit_tables.csv", "answers.csv": "mit_answers.csv"})
        if done is None:
            print("more is left to do")
            return
    print("all is done")


if __name__ == "__main__":
    main()
