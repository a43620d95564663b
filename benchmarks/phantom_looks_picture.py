"""Draw real slices next to simulated ones, CZT and parallel-hole SPECT: docs/images/phantom_looks.png.

    python benchmarks/phantom_looks_picture.py ../shared/real

Cut along short and long axes by the pose `myoperf.lv.find_lv` finds in each.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from myoperf.geometry import horizontal_long_axis, short_axis, vertical_long_axis
from myoperf.io import read_studies
from myoperf.lv import find_lv
from myoperf.recon import reconstruct
from myoperf.types import Projections, Volume
from phantom_looks import simulated_czt, simulated_views

CAPTION = (
    "Row 1: real CZT (Calixto et al., PhysioNet, doi:10.13026/ce2z-dw74, CC BY 4.0, resliced). Row 2: simulated CZT. "
    "Row 3: left, real GE SPECT (RIMD-DLAC-SPECT-MPI, Apache-2.0); the others simulated SPECT, same protocol."
)


def slices(volume: Volume) -> list[np.ndarray]:
    """Return the middle short-axis, vertical and horizontal long-axis slices, 0-1."""
    cut = short_axis(volume, find_lv(volume).frame, spacing_mm=3.0)
    out = []
    for view in (cut, vertical_long_axis(cut), horizontal_long_axis(cut)):
        image = view.array[0][view.array.shape[1] // 2]
        out.append(np.clip(image / np.percentile(cut.array, 99.7), 0, 1))
    return out


def main(folder: Path) -> None:
    with (folder / "physionet_mps/index.csv").open() as file:
        chosen = [row["dicom"] for row in csv.DictReader(file)][0:16:4]
    volumes = []
    for name in chosen:
        image = read_studies([folder / "physionet_mps" / name]).studies[0].scans[0].image
        assert isinstance(image, Volume)
        volumes.append(image)
    volumes += [simulated_czt(i) for i in range(4)]
    views = read_studies([folder / "ge_projections/stress_tomo.dcm"]).studies[0].scans[0].image
    assert isinstance(views, Projections)
    volumes += [reconstruct(given).volume for given in (views, *(simulated_views(i) for i in range(3)))]
    figure, axes = plt.subplots(3, 12, figsize=(18, 5.4))
    for index, volume in enumerate(volumes):
        for view, (title, image) in enumerate(zip(("SA", "VLA", "HLA"), slices(volume), strict=True)):
            panel = axes[index // 4, 3 * (index % 4) + view]
            panel.imshow(image, cmap="gray", vmin=0, vmax=1)
            panel.set_title(title if index < 4 else "", fontsize=9)
            panel.axis("off")
    figure.text(0.01, 0.01, CAPTION, fontsize=9)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    out = Path(__file__).parents[1] / "docs/images/phantom_looks.png"
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=70)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
