"""How optimistic the training of Hai et al. 2022 is: the epoch chosen on the pictures that are reported.

    python benchmarks/two_stage_optimism.py STUDY        # folder of myoperf study two-stage --scale small

EfficientNet-Lite0 with ImageNet weights (extra ``pretrained``), stage 1, the study's simulated patients, split many
times; each head is trained once and its epoch chosen twice, on validation and on test. Fresh patients, in no
split, tell what either is worth. Writes ``docs/results/two_stage_optimism.csv`` and a table in ``docs/two-stage.md``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from myoperf.research.backbones.efficientnet_lite0 import LITE0, EfficientNetLite0
from myoperf.research.transfer_learning.data import split
from myoperf.research.transfer_learning.study import RECIPES, make_backbone, to_range
from myoperf.research.transfer_learning.training import Examples, backbone_features, warm_up

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "two_stage_optimism.csv"
PAGE = ROOT / "docs" / "two-stage.md"
MARKS = ("<!-- optimism -->", "<!-- end of optimism -->")
SPLITS = 40


def measure(study: Path, splits: int) -> pd.DataFrame:
    """Give accuracy on test and on fresh patients, a row a split and way of choosing."""
    file = next((study / "jobs").glob("discs-*.npz"))
    with np.load(file) as kept:
        discs = np.concatenate([kept["discs"], kept["more"]])
        labels = torch.from_numpy(np.concatenate([kept["labels"], kept["more_labels"]]))
        count = len(kept["labels"])
    backbone = make_backbone(LITE0, "imagenet", discs.shape[1], 0)
    features = backbone_features(backbone, to_range(discs, EfficientNetLite0.input_range))
    schedule = RECIPES["small"].schedule
    fresh = np.arange(count, len(labels))
    rows = []
    for number in range(splits):
        rows_of = split(labels[:count].numpy(), number)
        examples = {name: Examples((features[part],), labels[part]) for name, part in rows_of.items()}
        for choose in ("validation", "test"):
            fitted = warm_up(examples["train"], examples[choose], schedule, seed=number)
            row: dict[str, object] = {"split": number, "chosen_on": choose, "epoch": fitted.chosen_epoch}
            for name, part in (("test", rows_of["test"]), ("fresh", fresh)):
                with torch.no_grad():
                    right = fitted.head.eval()(features[part]).argmax(1) == labels[part]
                row |= {f"{name}_accuracy": float(right.float().mean()), f"n_{name}": len(part)}
            rows.append(row)
    return pd.DataFrame(rows)


def table(rows: pd.DataFrame) -> str:
    """Give the page's table: means over splits, with the middle 95 % of the splits."""
    lines = ["| epoch chosen on | splits | accuracy, test | accuracy, fresh patients | test less fresh |"]
    lines.append("|---|---|---|---|---|")
    for choose, part in rows.groupby("chosen_on", sort=False):
        gap = part["test_accuracy"] - part["fresh_accuracy"]
        cells = []
        for values, sign in ((part["test_accuracy"], ""), (part["fresh_accuracy"], ""), (gap, "+")):
            low, high = np.percentile(values, [2.5, 97.5])
            cells.append(f"{values.mean():{sign}.3f} ({low:{sign}.2f} to {high:{sign}.2f})")
        lines.append(f"| {choose} | {len(part)} | " + " | ".join(cells) + " |")
    wide = rows.pivot_table(index="split", columns="chosen_on", values="test_accuracy")
    gain = wide["test"] - wide["validation"]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    n_test, n_fresh = rows["n_test"].iloc[0], rows["n_fresh"].iloc[0]
    lines += [
        "",
        f"Simulated patients; {n_test} in each test part, {n_fresh} fresh; in brackets the middle 95 % of the splits. "
        f"Choosing on the pictures that are reported adds {gain.mean():+.3f} to their accuracy (mean over splits, "
        f"standard error {error:.3f}; the splits share patients, so it is too small).",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--splits", type=int, default=SPLITS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    measure(given.study, given.splits).to_csv(RESULTS, index=False, float_format="%.4f")
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    PAGE.write_text(f"{before}{MARKS[0]}\n{table(pd.read_csv(RESULTS))}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
