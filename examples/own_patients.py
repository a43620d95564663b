"""From a table of one's own polar maps to a trained model, its predictions on other patients, and their ROC curve.

The same from the command line: myoperf train transfer, myoperf predict, myoperf evaluate. Here the maps are simulated.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth_polar
from myoperf.research.training.options import RunOptions
from myoperf.research.transfer_learning import recipe
from myoperf.research.transfer_learning.prediction import predict_maps
from myoperf.stats import delong_table, roc_curve

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# One row a patient: an array (rings, angles) in a file, and whether angiography found disease.
rows = []
for index in range(120):
    patient = draw_patient(np.random.default_rng(index))
    np.save(out / f"{index}.npy", truth_polar(patient, "stress", 24, 72))
    rows.append({"patient": f"P{index}", "map": f"{index}.npy", "label": ica_labels(patient.coronary)["patient"]})
pd.DataFrame(rows[:80]).to_csv(out / "train.csv", index=False)
pd.DataFrame(rows[80:]).to_csv(out / "others.csv", index=False)

# Small pictures, random weights and a few epochs of the head alone: quick, and no more than that.
options = RunOptions(data=out / "train.csv", networks=("VGG16",), strategies=("4",), epochs=40, quiet=True)
recipe.run("smoke", out / "model", 0, options=options)
predicted = predict_maps(out / "model", out / "others.csv").predictions
truth, score = predicted["truth"].to_numpy(int), predicted["two-stage"].to_numpy()
table = delong_table(truth, score)
area = table.interval(0)
print(f"AUC {table.auc[0]:.2f} ({area.lo:.2f} to {area.hi:.2f}) of {len(truth)} patients that were not trained on")

figure, axis = plt.subplots(figsize=(3.4, 3.2), layout="constrained")
axis.plot(*roc_curve(truth, score), color="#1f5fa8")
axis.fill_between(*roc_curve(truth, score), alpha=0.3)
axis.plot((0, 1), (0, 1), lw=0.8, color="0.5")
axis.set(xlabel="1 - specificity", ylabel="sensitivity", title=f"AUC {table.auc[0]:.2f}")
figure.savefig(out / "own_patients.png", dpi=100)
