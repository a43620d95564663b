"""What simple readers reach on the stacks that the multi-branch transformer reads: the mark it is measured by.

    python benchmarks/mit_ceiling.py FOLDER

On simulated patients of a seed of their own, in five folds: logistic regression and a small 3D convolutional network on
the stacks, logistic regression on the polar maps of the same images; without folds, the shipped classifier of polar
maps and the patient's true uptake, which no image tells better. Labels: the simulated reader, and obstructive
disease by angiography. Writes docs/results/mit_ceiling.csv. FOLDER keeps the patients.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.diagnosis.classifier import load_classifier
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth
from myoperf.research.slice_transformer.cases import SPECT_MPI_POPULATION, SliceCases, collect_cases
from myoperf.research.slice_transformer.recipe import polar_probability
from myoperf.research.slice_transformer.study import RECIPES
from myoperf.research.slice_transformer.training import balanced_order
from myoperf.segments import TERRITORIES
from myoperf.stats import bootstrap_auc, delong_table, percentile_interval, resample_counts
from myoperf.types import Float

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SEED, PATIENTS, FOLDS = 501, 240, 5  # no patient of the study
Reader = Callable[[Float, NDArray[np.int64], Float, int], Float]
"""(training inputs, labels, test inputs, seed) -> score of each test patient."""


class SmallCNN(nn.Module):
    """Three convolutions a view, stress and rest as channels; the views' logits are added."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        sides = [(side + 3) // 4 for side in shape]
        self.views = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(2, 12, 3, padding=1, stride=(1, 2, 2)),
                nn.BatchNorm3d(12),
                nn.ReLU(),
                nn.Conv3d(12, 24, 3, padding=1, stride=2),
                nn.BatchNorm3d(24),
                nn.ReLU(),
                nn.Conv3d(24, 16, 3, padding=1, stride=(2, 1, 1)),
                nn.BatchNorm3d(16),
                nn.ReLU(),
                nn.Flatten(),
                nn.Dropout(0.5),
                nn.Linear(16 * int(np.prod(sides)), 1),
            )
            for _ in range(3)
        )

    def forward(self, stacks: Tensor) -> Tensor:
        """(B, 3, 2, planes, rows, columns) to logits (B,)."""
        return sum((net(stacks[:, i])[:, 0] for i, net in enumerate(self.views)), start=torch.zeros(()))


def regression(train: Float, labels: NDArray[np.int64], test: Float, seed: int) -> Float:
    """Logistic regression on standardised values."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=2000, class_weight="balanced"))
    return np.asarray(model.fit(train, labels).decision_function(test))


def convolutions(train: Float, labels: NDArray[np.int64], test: Float, seed: int, *, epochs: int = 12) -> Float:
    """Train the small network with shifts of a pixel and noise."""
    torch.manual_seed(seed)
    rng, network = np.random.default_rng(seed), SmallCNN(train.shape[3:])
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05)
    steps = epochs * -(-len(balanced_order(labels, np.random.default_rng(0))) // 32)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(epochs):
        order = balanced_order(labels, rng)
        for first in range(0, len(order), 32):
            chosen = order[first : first + 32]
            batch = np.roll(train[chosen], rng.integers(-1, 2, 2), axis=(-2, -1))
            batch = batch + rng.normal(0.0, 0.03, batch.shape)
            logits = network(torch.from_numpy(batch.astype(np.float32)))
            loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels[chosen].astype(np.float32)))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        return np.asarray(network(torch.from_numpy(test)).numpy())


def true_uptake(n: int) -> Float:
    """Return how far the worst territory's true stress uptake falls below what a reader calls normal, (n,)."""
    scores = []
    for index in range(n):
        patient = draw_patient(np.random.default_rng((SEED, index)), SPECT_MPI_POPULATION)
        uptake = np.asarray(truth(patient).segments_percent["stress"])
        missing = 1.0 - uptake / uptake.max()
        worst = [missing[[s - 1 for s in segments]] for segments in TERRITORIES.values()]
        scores.append(max(np.clip(m - 0.18, 0.0, None).sum() + 1e-3 * m.sum() for m in worst))
    return np.array(scores)


def inputs(cases: SliceCases) -> dict[str, tuple[Float, Reader]]:
    """Return what each reader sees."""
    n, views, planes, rows, columns = cases.stacks.shape
    stacks = cases.stacks.astype(np.float32).reshape(n, views, 2, planes // 2, rows, columns)
    coarse = stacks.reshape(n, views * planes, rows // 2, 2, columns // 2, 2).mean(axis=(3, 5)).reshape(n, -1)
    maps = cases.polar / cases.polar.max(axis=(2, 3), keepdims=True)
    segments = maps.reshape(n, 2, 8, 3, 18, 4).mean(axis=(3, 5)).reshape(n, -1)
    return {
        "logistic regression, polar maps": (segments, regression),
        "logistic regression, stacks": (coarse, regression),
        "small 3D network, stacks": (stacks, convolutions),
    }


def measure(cases: SliceCases) -> pd.DataFrame:
    """Score every reader for both labels."""
    fixed = {"true uptake": true_uptake(len(cases)), f"shipped {load_classifier().name}": polar_probability(cases)}
    rows = []
    for label in ("expert", "ica"):
        labels: NDArray[np.int64] = getattr(cases, label)
        scores = dict(fixed)
        for name, (seen, reader) in inputs(cases).items():
            scores[name] = np.zeros(len(cases))
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(seen, labels)
            for fold, (train, test) in enumerate(folds):
                found = reader(seen[train], labels[train], seen[test], fold)
                scores[name][test] = found - np.median(found)
        matrix = np.stack(list(scores.values()))
        counts = resample_counts(labels, resamples=2000, rng=np.random.default_rng(0))
        areas, drawn = delong_table(labels, matrix).auc, bootstrap_auc(labels, matrix, counts)
        for i, name in enumerate(scores):
            interval = percentile_interval(drawn[i])
            row = {"label": label, "reader": name, "n": len(labels), "n_positive": int(labels.sum())}
            rows.append(row | {"auc": areas[i], "auc_lo": interval.lo, "auc_hi": interval.hi})
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    shape = RECIPES["small"].encoder.volume_shape
    cases = collect_cases(given.folder / "patients", given.patients, SEED, shape=shape, quiet=False)
    table = measure(cases)
    if given.patients == PATIENTS:
        table.to_csv(RESULTS / "mit_ceiling.csv", index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
