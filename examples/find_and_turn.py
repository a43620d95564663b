"""Find the left ventricle in a transaxial volume and turn it to short and long axes."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import myoperf
from myoperf.geometry import horizontal_long_axis, short_axis, vertical_long_axis

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

options = myoperf.CohortOptions(fast=True, protocol=myoperf.Protocol(gates=1))
patient = myoperf.simulate_patient(11, options=options)
volume = patient.study.scans[0].image

# The network that the command uses. The classical method, myoperf.find_lv(volume), finds fewer hearts.
fit = myoperf.load_models(diagnosis=False).find_lv(volume)
cosine = fit.frame.axis @ patient.truth.lv_frame.axis
distance = np.linalg.norm(fit.frame.centre_mm - patient.truth.lv_frame.centre_mm)
print(f"confidence {fit.confidence:.2f}")
print(f"difference from the truth: axis {np.degrees(np.arccos(cosine)):.1f} degrees, centre {distance:.1f} mm")

# The pose turns the volume; labels are resliced with the nearest neighbour (order 0), so that they stay whole numbers.
turned = short_axis(volume, fit.frame, spacing_mm=2.0)
labels = short_axis(fit.labels, fit.frame, spacing_mm=2.0, order=0)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
views = {
    "short axis": lambda v: v,
    "vertical long axis": vertical_long_axis,
    "horizontal long axis": horizontal_long_axis,
}
for axis, (name, view) in zip(axes, views.items(), strict=True):
    image, wall = view(turned).array[0], view(labels).array[0] == 1
    middle = image.shape[0] // 2
    axis.imshow(image[middle], cmap="inferno", vmin=0, vmax=image[wall].max())
    axis.contour(wall[middle], levels=[0.5], colors="cyan", linewidths=1)
    axis.set_title(name)
    axis.set_axis_off()
figure.savefig(out / "find_and_turn.png", dpi=90)
