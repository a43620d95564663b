"""Tables 3 to 6 of Zhao et al. at scale small, pre-training and the comparison with polar maps, in slices of time.

    python benchmarks/mit_tables.py FOLDER --minutes 10       # again until it says that all is done
    python benchmarks/mit_tables.py FOLDER --part study       # one part: patients, unimiss, slices or study
    python benchmarks/mit_tables.py FOLDER --part real --data REAL   # pre-training again, with real volumes as well
    python benchmarks/mit_tables.py OTHER --part study --again --networks fusion_average,SA-only,HLA-only,VLA-only

FOLDER keeps what was done, each simulated chunk, epoch of pre-training and training; a run that is stopped loses no
more than the one at work. The tables so far are copied to docs/results/mit_*.csv, with a JSON file that says what made
them. ``--again`` has other patients, splits and weights, in a folder of its own; its tables end in ``_again``.
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

AGAIN = 1
"""Added to `SEED` for the study's other patients."""

PARTS = ("unimiss", "slices", "study")


def copy(source: Path, names: dict[str, str], *, about: str) -> None:
    """Copy tables to the results, under the names the page reads, with what the run's card or manifest says of it."""
    for name, to in names.items():
        shutil.copyfile(source / name, RESULTS / to)
    file = next(source / name for name in ("card.json", "manifest.json") if (source / name).exists())
    made = json.loads(file.read_text(encoding="utf-8"))
    kept = {name: made.get(name) for name in ("myoperf", "scale", "seed")}
    (RESULTS / about).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


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
    copy(out, {"epochs.csv": "mit_unimiss.csv", "probe.csv": "mit_probe.csv"}, about="mit_unimiss.json")


def pre_train_with(folder: Path, data: Path) -> None:
    """Pre-train on the volumes of a folder together with the simulated ones, and probe."""
    out, seed = folder / "unimiss-real", SEED - unimiss_recipe.PROBE_OFFSET
    if not (out / "card.json").exists():
        options = RunOptions(data=data, resume=True, quiet=True)
        unimiss_recipe.run("small", share_patients(folder, out), seed, options=options)
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    copy(out, {"epochs.csv": "mit_unimiss_real.csv", "probe.csv": "mit_probe_real.csv"}, about="mit_unimiss_real.json")
    said = {name: card[name] for name in ("training_data", "not_read_of_data", "command", "myoperf")}
    (RESULTS / "mit_unimiss_real.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def train_study(folder: Path, minutes: float, networks: tuple[str, ...], *, again: bool) -> bool:
    """Train the study's models until time is up; tell whether all are done."""
    out, weights = share_patients(folder, folder / "study", name="cohort"), folder / "unimiss" / "unimiss.pt"
    options = RunOptions(weights=str(weights) if weights.exists() else None, networks=networks)
    done = run("small", out, SEED + AGAIN * again, options=options, minutes=minutes)
    if (out / "table.csv").exists():
        end = "_again" if again else ""
        names = {"table.csv": f"mit_tables{end}.csv", "answers.csv": f"mit_answers{end}.csv"}
        copy(out, names, about=f"mit_study{end}.json")
    return done is not None


def compare_with_polar(folder: Path) -> None:
    """Train the recipe and compare it with the classifier of polar maps."""
    out = folder / "slices"
    if not (out / "card.json").exists():
        options = RunOptions(resume=True, quiet=True)
        slices_recipe.run("small", share_patients(folder, out), SEED, options=options)
    names = {"held_out_metrics.csv": "mit_held_out.csv", "versus_polar.csv": "mit_versus_polar.csv"}
    copy(out, names, about="mit_slices.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0, help="Start nothing further after so many minutes.")
    parser.add_argument("--part", choices=("patients", *PARTS, "real", "all"), default="all")
    parser.add_argument("--data", type=Path, help="Of the part real: a folder of studies.")
    parser.add_argument("--networks", default="", help="Of the part study: only these models, separated by commas.")
    parser.add_argument("--again", action="store_true", help="Of the part study: with another seed.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    began, recipe = time.monotonic(), RECIPES["small"]
    shape = recipe.encoder.volume_shape
    if given.again and given.part != "study":
        parser.error("--again is for --part study")
    networks = tuple(name for name in given.networks.split(",") if name)
    collect_cases(given.folder / "patients", recipe.patients, SEED + AGAIN * given.again, shape=shape, quiet=False)
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
        elif part == "study" and not train_study(given.folder, left, networks, again=given.again):
            print("more is left to do")
            return
    print("all is done")


if __name__ == "__main__":
    main()
