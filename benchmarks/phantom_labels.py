"""Measure how hard the labels of simulated patients are: perfect perfusion against angiography and expert.

Run: ``python benchmarks/phantom_labels.py [patients]``. Prints prevalences and areas under the ROC curve,
with the noiseless uptake of the 17 segments (per cent of the maximum) as the only predictor: the mean
loss in a vessel's territory, and a logistic regression on stress and rest segments (5-fold cross-validated).
No images, no acquisition noise: what an image can give lies below.
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions, Truth
from myoperf.phantom.truth import truth
from myoperf.segments import TERRITORIES
from myoperf.types import VESSELS


def _cohort(n: int, options: PopulationOptions) -> tuple[list[Truth], np.ndarray]:
    truths, features = [], []
    for child in np.random.SeedSequence(2025).spawn(n):
        patient = draw_patient(np.random.default_rng(child), options)
        truths.append(truth(patient))
        features.append([truths[-1].segments_percent[state] / 100.0 for state in ("stress", "rest")])
    return truths, np.asarray(features)


def _report(name: str, truths: list[Truth], features: np.ndarray) -> None:
    print(f"\n{name}: {len(truths)} simulated patients")
    flat = features.reshape(len(features), -1)
    for label in ("ica", "expert"):
        targets = {v: np.array([getattr(t, label)[v] for t in truths]) for v in (*VESSELS, "patient")}
        shares = " ".join(f"{v} {y.mean():.3f}" for v, y in targets.items())
        loss = {v: 1 - features[:, 0, [s - 1 for s in TERRITORIES[v]]].mean(axis=1) for v in VESSELS}
        worst = np.max([loss[v] for v in VESSELS], axis=0)
        fit = LogisticRegression(C=10.0, max_iter=2000)
        model = {v: cross_val_predict(fit, flat, targets[v], method="predict_proba")[:, 1] for v in VESSELS}
        joined = np.concatenate([targets[v] for v in VESSELS])
        print(f"  {label}: abnormal {shares}")
        for kind, score in (("territory loss", loss), ("regression", model)):
            parts = " ".join(f"{v} {roc_auc_score(targets[v], score[v]):.3f}" for v in VESSELS)
            whole = roc_auc_score(joined, np.concatenate([score[v] for v in VESSELS]))
            top = worst if kind == "territory loss" else np.max([model[v] for v in VESSELS], axis=0)
            patient = roc_auc_score(targets["patient"], top)
            print(f"    {kind:15s} AUC per vessel {whole:.3f} ({parts}), per patient {patient:.3f}")


def main() -> None:
    """Measure the angiography cohort and the mixed cohort of the disease table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    _report("angiography cohort", *_cohort(n, PopulationOptions()))
    mixed = PopulationOptions(prevalence={"LAD": 0.344, "LCX": 0.270, "RCA": 0.237}, patient_prevalence=0.499)
    _report("disease table", *_cohort(n, mixed))


if __name__ == "__main__":
    main()
