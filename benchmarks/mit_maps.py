"""Draw a simulated patient's stacks, and where the network looks on them: docs/images/mit_stacks.png, mit_maps.png.

python benchmarks/mit_maps.py [FOLDER]       with FOLDER of benchmarks/mit_tables.py --part slices; without, the stacks
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from safetensors.torch import load_file

from myoperf.research.slice_transformer.cases import draw_slice_cases
from myoperf.research.slice_transformer.multi_branch import (
    MultiBranchConfig,
    attention_maps,
    build_multi_branch,
    grad_cam,
)
from myoperf.research.slice_transformer.recipe import RECIPES
from myoperf.research.slice_transformer.training import predict

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SEED, PLANES = 77, (2, 4, 6)


def draw_stacks() -> None:
    """Draw all planes of one patient, stress above rest."""
    cases = draw_slice_cases(6, SEED)
    stacks = cases.stacks[int(np.flatnonzero(cases.expert & cases.ica)[0])].astype(np.float32)
    half = stacks.shape[1] // 2
    figure, axes = plt.subplots(6, half, figsize=(half * 0.95, 6.0))
    for v, view in enumerate(("SA", "HLA", "VLA")):
        for s, state in enumerate(("stress", "rest")):
            for k, axis in enumerate(axes[2 * v + s]):
                axis.imshow(stacks[v, s * half + k], cmap="inferno", vmin=0, vmax=1)
                axis.set_xticks([])
                axis.set_yticks([])
            axes[2 * v + s, 0].set_ylabel(f"{view} {state}", fontsize=8)
    figure.tight_layout(pad=0.3)
    figure.savefig(IMAGES / "mit_stacks.png", dpi=80)


def draw_maps(folder: Path) -> None:
    """Draw Grad-CAM, and attention where it tells places apart, on some planes."""
    network = build_multi_branch(MultiBranchConfig(encoder=RECIPES["small"].encoder))
    network.load_state_dict(load_file(folder / "slices" / "model.safetensors"))
    network.eval()
    cases = draw_slice_cases(6, SEED)
    index = int(np.flatnonzero(cases.expert & cases.ica)[0])
    stacks = cases.stacks[index : index + 1].astype(np.float32)
    probability = predict(network, stacks)[0]
    given = torch.from_numpy(stacks)
    shown = {
        "slices": np.zeros_like(stacks[0]),
        "Grad-CAM": grad_cam(network, given, stage=2)[0].numpy(),
    }
    attention = attention_maps(network, given)[0].numpy()
    if np.ptp(attention) > 0:  # one token for the whole stack, as at scale small, sees everything alike
        shown["CLS attention"] = attention
    half = stacks.shape[2] // 2
    figure, axes = plt.subplots(6, 3 * len(shown), figsize=(3.7 * len(shown), 7.6))
    for v, view in enumerate(("SA", "HLA", "VLA")):
        for s, state in enumerate(("stress", "rest")):
            for m, (name, maps) in enumerate(shown.items()):
                for k, plane in enumerate(PLANES):
                    axis = axes[2 * v + s, 3 * m + k]
                    axis.imshow(stacks[0, v, s * half + plane], cmap="gray", vmin=0, vmax=1)
                    heat = maps[v, s * half + plane]
                    axis.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.6 * heat)
                    axis.set_xticks([])
                    axis.set_yticks([])
                    if k == 0 and m == 0:
                        axis.set_ylabel(f"{view} {state}", fontsize=8)
                    if v == s == 0 and k == 1:
                        axis.set_title(name, fontsize=9)
    words = f"Simulated patient with obstructive disease; the network's probability is {probability:.2f}."
    figure.text(0.01, 0.01, words, fontsize=9)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(IMAGES / "mit_maps.png", dpi=80)


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    draw_stacks()
    if len(sys.argv) > 1:
        draw_maps(Path(sys.argv[1]))
