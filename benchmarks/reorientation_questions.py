"""The questions of Ni et al. 2023 on the present code: joint or separate, multi-scale or single, each from two seeds.

    python benchmarks/reorientation_questions.py FOLDER [--seeds 0,1] [--epochs 600]     # again until all is done

Compact networks on simulated SPECT, 64^3 voxels of 5 mm (`myoperf study ms-st-unet --scale small --inputs spect`).
FOLDER keeps every finished network and the state of the one in training; a run that is stopped resumes there. After
each network the paired differences of all seeds go to docs/results/ms_st_unet_questions.csv, the settings beside it.
What this size can tell: a difference in networks trained for minutes on simulated patients, and whether it stands with
other patients and weights. What it cannot: how the paper's full-size networks compare after 20,000 iterations.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
import torch

from myoperf.research.reorientation.study import run
from myoperf.research.training.options import RunOptions

RESULTS = Path(__file__).parents[1] / "docs" / "results"
NETWORKS = ("rot-op2-seg-op2", "rot-op1-seg-op1", "sep-rot-op2-seg-op2", "seg-op1", "seg-op2")
"""In this order the pose's questions are answered before the one of segmentation alone."""
KEPT = ("myoperf", "scale", "size", "field", "recipe", "training", "testing")


def keep(folders: dict[int, Path]) -> None:
    """Write the differences of every seed, and the settings, which all seeds share."""
    tables, settings = [], {}
    for seed, folder in folders.items():
        if (folder / "differences.csv").exists() and (folder / "differences.csv").stat().st_size > 1:
            tables.append(pd.read_csv(folder / "differences.csv").assign(seed=seed))
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            settings = {name: manifest[name] for name in KEPT}
    if not tables:
        return
    rows = pd.concat(tables)
    rows = rows[["claim", "seed", *(name for name in rows if name not in ("claim", "seed", "tested_on"))]]
    order = {claim: place for place, claim in enumerate(dict.fromkeys(rows["claim"]))}
    rows = rows.sort_values(
        ["claim", "seed"], key=lambda column: column.map(order) if column.name == "claim" else column
    )
    rows.to_csv(RESULTS / "ms_st_unet_questions.csv", index=False, float_format="%.5g")
    text = json.dumps(settings | {"seeds": [int(table["seed"].iloc[0]) for table in tables]}, indent=1)
    (RESULTS / "ms_st_unet_questions.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Train every network with every seed, the networks of one question with all seeds before the next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--epochs", type=int, help="Iterations of each network; default: those of the scale.")
    parser.add_argument("--scale", default="small", help="smoke: a test of the code.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    folders = {int(seed): given.folder / f"seed-{seed}" for seed in given.seeds.split(",")}
    for count in range(1, len(NETWORKS) + 1):
        for seed, folder in folders.items():
            options = RunOptions(networks=NETWORKS[:count], inputs=("spect",), epochs=given.epochs, resume=True)
            run(given.scale, folder, seed, options=options)
            if given.scale != "smoke":
                keep(folders)
    print("all is done")


if __name__ == "__main__":
    main()
