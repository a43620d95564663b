"""Tables 3 to 6 of Zhao et al. at scale small, pre-training and the comparison with polar maps, in slices of time.

    python benchmarks/mit_tables.py FOLDER --minutes 10       # again until it says that all is done
    python benchmarks/mit_tables.py FOLDER --part study       # one part: patients, unimiss, slices or study
    python benchmarks/mit_tables.py FOLDER --part real --data REAL   # pre-training again, with real volumes as well

FOLDER keeps what was done, each simulated chunk, epoch of pre-training and training; a run that is stopped loses no
more than the one at work. The tables so far are copied to docs/results/mit_*.csv.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

import torch

from myoperf.research.slice_transformer import recipe as slices_recipe
from myoperf.research.slice_transformer.cases import collect_cases
from myoperf.research.slice_transformer.study import RECIPES, run
from myoperf.research.slice_transformer.unimiss import recipe as unimiss_recipe
from myoperf.research.training.options import RunOptions

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SEED = 501 + unimiss_recipe.PROBE_OFFSET
"""Of the study's patients. UniMiSS learns, without labels, from patients of seed 501, on which settings were chosen."""

PARTS = ("unimiss", "slices", "study")


def copy(source: Path, names: dict[str, str]) -> None:
    """Copy tables to the results, under the names the page reads."""
    for name, to in names.items():
        shutil.copyfile(source / name, RESULTS / to)


def share_patients(folder: Path, out: Path, *, name: str = "patients") -> Path:
    """Link the folder of simulated patients into a run's folder, and return the run's folder."""
    out.mkdir(parents=True, exist_ok=True)
    link = out / name
    if not link.exists():
        link.symlink_to((folder / "patients").resolve(), target_is_directory=True)
    return out


def pre_train(folder: Path) -> None:
    """Pre-train and probe; a run that stopped goes on after its last epoch."""
    out, seed = folder / "unimiss", SEED - unimiss_recipe.PROBE_OFFSET
    if not (out / "card.json").exists():
        unimiss_recipe.run("small", share_patients(folder, out), seed, options=RunOptions(resume=True, quiet=True))
    copy(out, {"epochs.csv": "mit_unimiss.csv", "probe.csv": "mit_probe.csv"})


def pre_train_with(folder: Path, data: Path) -> None:
    """Pre-train on the volumes of a folder together with the simulated ones, and probe."""
    out, seed = folder / "unimiss-real", SEED - unimiss_recipe.PROBE_OFFSET
    if not (out / "card.json").exists():
        options = RunOptions(data=data, resume=True, quiet=True)
        unimiss_recipe.run("small", share_patients(folder, out), seed, options=options)
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    copy(out, {"epochs.csv": "mit_unimiss_real.csv", "probe.csv": "mit_probe_real.csv"})
    said = {name: card[name] for name in ("training_data", "not_read_of_data", "command")}
    (RESULTS / "mit_unimiss_real.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def train_study(folder: Path, minutes: float) -> bool:
    """Train the study's models until time is up; tell whether all are done."""
    out, weights = share_patients(folder, folder / "study", name="cohort"), folder / "unimiss" / "unimiss.pt"
    options = RunOptions(weights=str(weights) if weights.exists() else None)
    done = run("small", out, SEED, options=options, minutes=minutes)
    if (out / "table.csv").exists():
        copy(out, {"table.csv": "mit_tables.csv", "answers.csv": "mit_answers.csv"})
    return done is not None


def compare_with_polar(folder: Path) -> None:
    """Train the recipe and compare it with the classifier of polar maps."""
    out = folder / "slices"
    if not (out / "card.json").exists():
        options = RunOptions(resume=True, quiet=True)
        slices_recipe.run("small", share_patients(folder, out), SEED, options=options)
    copy(out, {"held_out_metrics.csv": "mit_held_out.csv", "versus_polar.csv": "mit_versus_polar.csv"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0, help="Start nothing further after so many minutes.")
    parser.add_argument("--part", choices=("patients", *PARTS, "real", "all"), default="all")
    parser.add_argument("--data", type=Path, help="Of the part real: a folder of studies.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    began, recipe = time.monotonic(), RECIPES["small"]
    shape = recipe.encoder.volume_shape
    collect_cases(given.folder / "patients", recipe.patients, SEED, shape=shape, quiet=False)
    for part in PARTS if given.part == "all" else [given.part]:
        left = given.minutes - (time.monotonic() - began) / 60.0
        if left < 0:
            print(f"time is up before the part {part}; more is left to do")
            return
        if part == "unimiss":
            pre_train(given.folder)
        elif part == "real":
            if given.data is None:
                parser.error("--part real needs --data FOLDER")
            pre_train_with(given.folder, given.data)
        elif part == "slices":
            compare_with_polar(given.folder)
        elif part == "study" and not train_study(given.folder, left):
            print("more is left to do")
            return
    print("all is done")


if __name__ == "__main__":
    main()
