"""From a table of one's own volumes and drawn walls to a trained network, and its labels on another patient's volume.

The same from the command line: myoperf train reorientation, myoperf predict. Here the volumes are simulated.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from myoperf.io.nifti import read_nifti, write_nifti
from myoperf.phantom.fast import simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.research.reorientation import recipe
from myoperf.research.reorientation.own_cases import POINTS
from myoperf.research.reorientation.prediction import predict_volumes
from myoperf.research.training.options import RunOptions

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# One row a volume: the image, its wall (1) and blood pool (2), and a pose: apex and base, LPS mm, and what is anterior.
rows = []
for index in range(8):
    rng = np.random.default_rng(index)
    volume, labels, frame = simulate_fast(draw_patient(rng), rng, state="stress")
    write_nifti(out / f"{index}.nii.gz", volume)
    write_nifti(out / f"{index}-mask.nii.gz", labels)
    pose = dict(zip(POINTS, np.concatenate([frame.apex_mm, frame.base_mm, frame.anterior]), strict=True))
    rows.append({"patient": f"P{index}", "volume": f"{index}.nii.gz", "mask": f"{index}-mask.nii.gz", **pose})
pd.DataFrame(rows[:7]).to_csv(out / "train.csv", index=False)
pd.DataFrame(rows[7:]).to_csv(out / "others.csv", index=False)

# A small network without a pose on voxels of 10 mm, and few iterations: quick, and no more than that.
options = RunOptions(data=out / "train.csv", networks=("seg-op1",), epochs=80, quiet=True)
recipe.run("smoke", out / "model", 0, options=options)
predicted = predict_volumes(out / "model", out / "others.csv")
predicted.write(out / "predictions")
print(f"overlap of the wall {predicted.tables['scores']['wall_dice'][0]:.2f} in a patient that was not trained on")

image, drawn = read_nifti(out / "7.nii.gz"), read_nifti(out / "7-mask.nii.gz")
made = read_nifti(next((out / "predictions" / "masks").glob("*.nii.gz")))
plane = int(np.argmax((drawn.array[0] == 1).sum(axis=(1, 2))))
figure, axis = plt.subplots(figsize=(3.4, 3.2), layout="constrained")
axis.imshow(image.array[0, plane], cmap="gray")
for labels, colour in ((drawn, "#5fb85f"), (made, "#e0812b")):
    axis.contour(labels.array[0, plane] == 1, levels=[0.5], colors=colour)
axis.set(title="wall: drawn (green), by the network (orange)", xticks=[], yticks=[])
figure.savefig(out / "own_volumes.png", dpi=100)
