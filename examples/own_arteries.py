"""From a table of one's own stress and rest maps with labels of each artery to a model, and its ROC curve of each.

The same from the command line: myoperf train label-strategies, myoperf predict, myoperf evaluate. Here the maps are
simulated; angiography is known in half of the patients, an expert's reading in all.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth_polar
from myoperf.research.label_strategies import recipe
from myoperf.research.label_strategies.prediction import predict_patients
from myoperf.research.training.options import RunOptions
from myoperf.stats import delong_table, roc_curve
from myoperf.types import VESSELS

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# One row a patient: maps (rings, angles) in files, and whether angiography and the expert found each artery diseased.
rows = []
for index in range(160):
    patient = draw_patient(np.random.default_rng(index))
    row = {"patient": f"P{index}", "age": patient.clinical.age_years, "sex": patient.clinical.sex}
    for state in ("stress", "rest"):
        row[state] = f"{index}-{state}.npy"
        np.save(out / row[state], truth_polar(patient, state, 24, 72))
    for vessel in VESSELS:
        found = ica_labels(patient.coronary)[vessel]
        row |= {f"ica_{vessel}": found if index % 2 or index > 99 else "", f"expert_{vessel}": found}
    rows.append(row)
pd.DataFrame(rows[:100]).to_csv(out / "train.csv", index=False)
pd.DataFrame(rows[100:]).to_csv(out / "others.csv", index=False)

# A small network on both maps, angiography's labels with the expert's where that is all there is (strategy 2).
options = RunOptions(data=out / "train.csv", strategies=("2",), epochs=15, quiet=True)
recipe.run("smoke", out / "model", 0, options=options)
predicted = predict_patients(out / "model", out / "others.csv").predictions
figure, axis = plt.subplots(figsize=(3.4, 3.2), layout="constrained")
for vessel, part in predicted.groupby("vessel"):
    truth, score = part["truth"].to_numpy(int), part["label-strategies"].to_numpy()
    area = delong_table(truth, score).auc[0]
    print(f"{vessel}: AUC {area:.2f} in {len(truth)} patients that were not trained on")
    axis.plot(*roc_curve(truth, score), label=f"{vessel}, AUC {area:.2f}")
axis.plot((0, 1), (0, 1), lw=0.8, color="0.5")
axis.set(xlabel="1 - specificity", ylabel="sensitivity")
axis.legend()
figure.savefig(out / "own_arteries.png", dpi=100)
