"""Measure volumes and ejection fraction of a gated scan and compare them with the truth."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import myoperf

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

options = myoperf.CohortOptions(fast=True, protocol=myoperf.Protocol(gates=8))
patient = myoperf.simulate_patient(4, options=options)
scan = next(scan for scan in patient.study.scans if scan.state == "rest")

# The wall is followed through the beat from the mid-wall of the summed image's polar map. The R wave opens gate 1.
frame = patient.truth.lv_frame
polar = myoperf.sample_polar_map(scan.image.summed(), patient.labels["rest"], frame).maximum
function = myoperf.measure_function(scan.image, frame, polar, frame_duration_ms=scan.frame_duration_ms)
truth = patient.truth
for name in ("edv_ml", "esv_ml", "lvef_percent"):
    print(f"{name}: measured {getattr(function, name):.0f}, true {getattr(truth, name)['rest']:.0f}")

figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
times = (np.arange(8) + 0.5) / 8
axis.plot(times, function.volumes_ml, "o", label="gates")
axis.plot(function.curve.time_cycles, function.curve.volume_ml, label="fitted curve")
for volume, name in ((truth.edv_ml["rest"], "true EDV"), (truth.esv_ml["rest"], "true ESV")):
    axis.axhline(volume, color="grey", linestyle="--", linewidth=1)
    axis.annotate(name, (0.99, volume), ha="right", va="bottom", color="grey")
axis.set(xlabel="part of the cycle from the R wave", ylabel="cavity, ml", xlim=(0, 1), ylim=(0, None))
axis.set_title(f"LVEF {function.lvef_percent:.0f} % (true {truth.lvef_percent['rest']:.0f} %)")
axis.legend(loc="lower left")
figure.savefig(out / "gated_volumes.png", dpi=90)
