"""Train a small network on simulated perfusion and predict coronary disease in other patients."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import myoperf
from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth_polar
from myoperf.research.polar_classifier.network import PolarClassifier

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# Perfusion at stress and disease by angiography of patients drawn one by one; patients, not maps, are split.
patients = [draw_patient(np.random.default_rng(i), myoperf.PopulationOptions()) for i in range(180)]
stress = torch.tensor(np.stack([truth_polar(p, "stress", 24, 72) for p in patients]), dtype=torch.float32)
disease = torch.tensor([[ica_labels(p.coronary)[v] for v in ("LAD", "LCX", "RCA")] for p in patients]).float()
empty = torch.zeros_like(stress)  # this example shows the network the stress map alone, and no clinical values
maps, clinical = torch.stack([stress, empty, empty, empty], dim=1), torch.zeros(len(patients), 8)
train, test = slice(0, 120), slice(120, None)

torch.manual_seed(0)
network = PolarClassifier(width=8)
optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
for _ in range(20):
    for batch in torch.randperm(120).split(32):
        loss = binary_cross_entropy_with_logits(network(maps[batch], clinical[batch]), disease[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
network.eval()
with torch.no_grad():
    probability = network(maps[test], clinical[test]).sigmoid()[:, 0].numpy()

# The file that myoperf evaluate reads: one row a patient, one column of probabilities a model.
truth = disease[test, 0].int().numpy()
names = [f"simulated-{i}" for i in range(120, 180)]
pd.DataFrame({"patient": names, "truth": truth, "network": probability}).to_csv(out / "predictions.csv", index=False)
figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
groups = [probability[truth == 0], probability[truth == 1]]
axis.hist(groups, bins=np.linspace(0, 1, 11), label=["no LAD disease", "LAD disease"])
axis.set(xlabel="predicted probability of LAD disease", ylabel="patients not trained on")
axis.legend()
figure.savefig(out / "train_and_predict.png", dpi=90)
