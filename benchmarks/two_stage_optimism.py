"""How optimistic the training of Hai et al. 2022 is: the epoch chosen on the pictures that are reported.

    python benchmarks/two_stage_optimism.py STUDY        # folder of myoperf study two-stage --scale small

EfficientNet-Lite0 with ImageNet weights (extra ``pretrained``), stage 1, the study's simulated patients, split many
times; each head is trained once and its epoch chosen twice, on validation and on test. Fresh patients, in no
split, tell what either is worth. Writes ``docs/results/two_stage_optimism.csv``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from myoperf.research.backbones.efficientnet_lite0 import LITE0, EfficientNetLite0
from myoperf.research.transfer_learning.data import split
from myoperf.research.transfer_learning.networks import make_backbone, to_range
from myoperf.research.transfer_learning.recipes import RECIPES
from myoperf.research.transfer_learning.training import Examples, backbone_features, warm_up

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "two_stage_optimism.csv"
SPLITS = 40


def measure(study: Path, splits: int) -> pd.DataFrame:
    """Return accuracy on test and on fresh patients, a row a split and way of choosing."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--splits", type=int, default=SPLITS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    measure(given.study, given.splits).to_csv(RESULTS, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
