"""Reconstruct raw SPECT views without and with correction for attenuation."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import myoperf
from myoperf.geometry import index_from_lps, transform_points

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# Raw views of a patient without coronary disease, with the map of a transmission scan (attenuation in 1/cm).
protocol = myoperf.Protocol(views=32, arc_deg=360, gates=1, motion_probability=0.0)
healthy = myoperf.PopulationOptions(normal=True, male=1.0)
options = myoperf.CohortOptions(attenuation_map=True, protocol=protocol, population=healthy)
patient = myoperf.simulate_patient(5, options=options)
views = patient.study.scans[0].image

plain = myoperf.reconstruct(views)
corrected = myoperf.reconstruct(views, attenuation=patient.attenuation["stress"])
print(f"{plain.record.method}, {plain.record.iterations} iterations of {plain.record.subsets} subsets")

# The plane through the middle of the left ventricle: attenuation darkens what lies deep in the body, above all the
# inferior wall and the septum.
centre = patient.truth.lv_frame.centre_mm
plane, row, column = np.rint(transform_points(index_from_lps(plain.volume.lps_from_index), centre)).astype(int)
wall = patient.labels["stress"].array[0] == 1

figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for axis, done, title in zip(axes, (plain, corrected), ("without", "with"), strict=True):
    image = done.volume.array[0]
    spread = image[wall].std() / image[wall].mean()
    print(f"{title} correction: counts over the wall vary by {100 * spread:.0f} %")
    axis.imshow(image[plane, row - 14 : row + 14, column - 14 : column + 14], cmap="inferno", vmin=0)
    axis.contour(wall[plane, row - 14 : row + 14, column - 14 : column + 14], levels=[0.5], colors="cyan", linewidths=1)
    axis.set_title(f"{title} attenuation correction\nvariation over the wall {100 * spread:.0f} %")
    axis.set_axis_off()
figure.savefig(out / "reconstruct.png", dpi=90)
