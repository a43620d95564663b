"""Measure and compare two classifiers: areas with intervals, DeLong's test, ROC curves."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from myoperf.stats.evaluation import evaluate, model_curves
from myoperf.stats.predictions import read_predictions

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# Predictions of two models for 120 patients, made up: the second tells the diseased apart less well.
rng = np.random.default_rng(0)
truth = (rng.random(120) < 0.4).astype(int)
shared = rng.normal(size=120)
columns = {
    name: 1 / (1 + np.exp(-(shift * truth + shared + 0.7 * rng.normal(size=120) - 0.5)))
    for name, shift in (("network", 2.0), ("summed stress score", 1.5))
}
table = pd.DataFrame({"patient": [f"p{i}" for i in range(120)], "truth": truth, **columns})
table.to_csv(out / "example_predictions.csv", index=False)

# The threshold must come from other patients; intervals are of the bootstrap by patient, of Wilson and of DeLong.
predictions = read_predictions(out / "example_predictions.csv")
done = evaluate(predictions, threshold=0.5, resamples=200, seed=0)
print(
    done.metrics[["model", "n", "auc", "auc_lo", "auc_hi", "sensitivity", "specificity"]]
    .round(3)
    .to_string(index=False)
)
print(done.delong[["model_a", "model_b", "difference", "p"]].round(4).to_string(index=False))

figure, axis = plt.subplots(figsize=(4.6, 4.6), layout="constrained")
for index, row in done.metrics.iterrows():
    roc = model_curves(predictions, index)["roc"]
    axis.plot(*roc.T, label=f"{row['model']}: {row['auc']:.2f} ({row['auc_lo']:.2f} to {row['auc_hi']:.2f})")
axis.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
axis.set(xlabel="1 - specificity", ylabel="sensitivity", title=f"DeLong's test: p = {done.delong['p'][0]:.2g}")
axis.legend(title="area under the curve (95 % interval)", loc="lower right", fontsize=8)
figure.savefig(out / "evaluate.png", dpi=90)
