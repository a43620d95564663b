"""How the multi-branch transformer learns at some rates: loss and validation area after every epoch.

    python benchmarks/mit_learning.py FOLDER --views sa --rates 1e-4 3e-4 1e-3 --epochs 12

FOLDER of benchmarks/mit_ceiling.py: its patients are of a seed that neither the study nor the recipe uses, so the
settings of scale small are chosen on none of the patients that they are reported on. Adds rows to
docs/results/mit_learning.csv.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from myoperf.research.slice_transformer.cases import collect_cases
from myoperf.research.slice_transformer.mit_weights import read_checkpoint
from myoperf.research.slice_transformer.multi_branch import MultiBranchConfig, build_multi_branch, load_branches
from myoperf.research.slice_transformer.study import RECIPES
from myoperf.research.slice_transformer.training import FitOptions, fit, predict, split_patients
from myoperf.stats import delong_table

OUT = Path(__file__).parents[1] / "docs" / "results" / "mit_learning.csv"
SEED, PATIENTS = 501, 240
VIEWS = ("sa", "hla", "vla")


def curve(
    stacks: np.ndarray, truth: np.ndarray, views: tuple[str, ...], options: FitOptions, weights: Path | None
) -> pd.DataFrame:
    """Train on 70 % of the patients; measure the others after every third epoch and the last (frozen: the last)."""
    train, test = split_patients(truth.tolist(), share=0.3, rng=np.random.default_rng(SEED))
    chosen = [VIEWS.index(view) for view in views]
    encoder = RECIPES["small"].encoder
    network = build_multi_branch(MultiBranchConfig(views=views, encoder=encoder), seed=0)
    if weights is not None:
        load_branches(network, read_checkpoint(weights, "teacher"))
    rows, began = [], time.process_time()

    def measure(epoch: int, loss: float) -> None:
        if epoch + 1 != options.epochs and (epoch % 3 != 2 or options.frozen):
            return
        area = delong_table(truth[test], predict(network, stacks[test][:, chosen])).auc[0]
        network.train()
        row = {"views": " ".join(views), "rate": options.learning_rate, "epochs": options.epochs, "epoch": epoch + 1}
        row |= {"start": "UniMiSS" if weights else "random", "frozen": options.frozen, "n_train": len(train)}
        row |= {"n_validation": len(test), "loss": loss, "auc": area, "cpu_s": time.process_time() - began}
        rows.append(row)
        print(row, flush=True)

    torch.manual_seed(0)
    fit(network, stacks[train][:, chosen], truth[train].tolist(), options=options, report=measure)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--views", nargs="+", default=["sa"], choices=VIEWS)
    parser.add_argument("--rates", nargs="+", type=float, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--frozen", action="store_true")
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    shape = RECIPES["small"].encoder.volume_shape
    cases = collect_cases(given.folder / "patients", PATIENTS, SEED, shape=shape, quiet=False)
    for rate in given.rates:
        options = FitOptions(epochs=given.epochs, batch=16, learning_rate=rate, cosine=True, frozen=given.frozen)
        found = curve(cases.stacks.astype(np.float32), cases.expert, tuple(given.views), options, given.weights)
        before = [pd.read_csv(OUT)] if OUT.exists() else []
        pd.concat([*before, found]).to_csv(OUT, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
