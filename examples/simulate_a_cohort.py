"""Simulate a small cohort and look at its patients next to their truth."""

import json
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import myoperf
from myoperf.phantom.cohort import simulate_cohort
from myoperf.report.bullseye import segment_disc

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# Patient i depends on the seed and on i alone: a larger cohort begins with the same patients.
options = myoperf.CohortOptions(as_="nifti", fast=True, protocol=myoperf.Protocol(gates=1))
figure, axes = plt.subplots(2, 3, figsize=(9, 6.2), layout="constrained")
with tempfile.TemporaryDirectory() as folder:
    table = pd.read_csv(simulate_cohort(3, Path(folder) / "cohort", seed=2, options=options))
    for column, name in zip(axes.T, table["patient"], strict=True):
        patient = Path(folder) / "cohort" / name
        truth = json.loads((patient / "truth.json").read_text(encoding="utf-8"))
        image = myoperf.read_nifti(patient / "nifti" / "stress_volume.nii.gz").array[0]
        labels = myoperf.read_nifti(patient / "truth_stress_labels.nii.gz").array[0]
        # Above, the image at stress through the middle of the true wall; below, the true perfusion of its segments.
        plane = int(np.argwhere(labels == 1)[:, 0].mean())
        column[0].imshow(image[plane], cmap="inferno", vmin=0)
        column[0].set_title(name)
        column[1].imshow(segment_disc(truth["stress"]["segments_percent"]), cmap="inferno", vmin=0, vmax=100)
        stenosis = ", ".join(f"{v} {truth['stenosis_percent'][v]:.0f} %" for v in ("LAD", "LCX", "RCA"))
        column[1].set_title(f"stenosis {stenosis}", fontsize=9)
        for axis in column:
            axis.set_axis_off()
print(table[["patient", "sex", "age_years", "ica_patient", "sss", "lvef_percent"]].to_string(index=False))
figure.savefig(out / "simulate_a_cohort.png", dpi=60)
