"""Measure how hard the labels of simulated patients are: perfect perfusion against angiography and expert.

    python benchmarks/phantom_labels.py [--patients 1000]

Writes docs/results/phantom_labels.csv: prevalences and areas under the ROC curve,
with the noiseless uptake of the 17 segments (per cent of the maximum) as the only predictor: the mean loss in a
vessel's territory, and a logistic regression on stress and rest segments (5-fold cross-validated). No images, no
acquisition noise: what an image can give lies below. Intervals: 1000 bootstraps of patients (95 %).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions, Truth
from myoperf.phantom.truth import truth
from myoperf.segments import TERRITORIES
from myoperf.stats.bootstrap import bootstrap_auc, percentile_interval, resample_counts
from myoperf.types import VESSELS

ROOT = Path(__file__).parents[1]
COHORTS = {
    "angiography cohort": PopulationOptions(),
    "disease table": PopulationOptions(prevalence={"LAD": 0.344, "LCX": 0.270, "RCA": 0.237}, patient_prevalence=0.499),
}


def draw(n: int, options: PopulationOptions) -> tuple[list[Truth], np.ndarray]:
    """Draw truths and their segments, (n, 2 states, 17), 0-1."""
    truths, features = [], []
    for child in np.random.SeedSequence(2025).spawn(n):
        truths.append(truth(draw_patient(np.random.default_rng(child), options)))
        features.append([truths[-1].segments_percent[state] / 100.0 for state in ("stress", "rest")])
    return truths, np.asarray(features)


def auc(labels: np.ndarray, scores: np.ndarray, patient: np.ndarray) -> tuple[float, float, float]:
    """Return the area and its interval; rows of one patient are drawn together."""
    counts = resample_counts(labels, resamples=1000, rng=np.random.default_rng(1), patient=patient)
    samples = bootstrap_auc(labels, scores, counts)
    whole = bootstrap_auc(labels, scores, np.ones((1, labels.size), np.int32))
    interval = percentile_interval(samples.ravel())
    return float(whole.ravel()[0]), interval.lo, interval.hi


def measure(name: str, label: str, truths: list[Truth], features: np.ndarray) -> list[dict[str, Any]]:
    """Return one row a predictor and level (per vessel, per patient)."""
    targets = {v: np.array([getattr(t, label)[v] for t in truths]) for v in (*VESSELS, "patient")}
    loss = {v: 1 - features[:, 0, [s - 1 for s in TERRITORIES[v]]].mean(axis=1) for v in VESSELS}
    fit = LogisticRegression(C=10.0, max_iter=2000)
    flat = features.reshape(len(features), -1)
    model = {v: cross_val_predict(fit, flat, targets[v], method="predict_proba")[:, 1] for v in VESSELS}
    shares = {f"abnormal_{v}": float(y.mean()) for v, y in targets.items()}
    who, rows = np.arange(len(truths)), []
    for predictor, score in (("territory loss", loss), ("regression", model)):
        joined = np.concatenate([targets[v] for v in VESSELS]), np.concatenate([score[v] for v in VESSELS])
        top = np.max([score[v] for v in VESSELS], axis=0)
        for level, found in (
            ("vessel", auc(*joined, np.tile(who, 3))),
            ("patient", auc(targets["patient"], top, who)),
        ):
            keys = ("auc", "auc_lo", "auc_hi")
            row = {"cohort": name, "n": len(truths), "label": label, "predictor": predictor, "level": level}
            rows.append({**row, **dict(zip(keys, found, strict=True)), **shares})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=1000)
    n = parser.parse_args().patients
    rows = []
    for name, options in COHORTS.items():
        truths, features = draw(n, options)
        for label in ("ica", "expert"):
            rows += measure(name, label, truths, features)
    path = ROOT / "docs/results/phantom_labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
