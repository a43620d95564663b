"""Volumes, motion and thickening of simulated gated PET, beside the truth.

    python benchmarks/function_pet.py --patients 30
    python docs/pages.py function

Simulated patients by the image-space model of PET, noise included, 8 gates, in the true pose. One row a patient in
``docs/results/function_pet.csv``; it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf.gated import PET_BLUR, measure_function
from myoperf.phantom.fast import image_model, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions
from myoperf.phantom.truth import truth
from myoperf.polar import sample_polar_map

TABLE = Path(__file__).parents[1] / "docs/results/function_pet.csv"
SEED = 9605


def row_of(number: int) -> dict[str, Any]:
    """Return what is measured of a patient beside the truth."""
    rng = np.random.default_rng([SEED, number])
    patient = draw_patient(rng, PopulationOptions())
    gated, labels, frame = simulate_fast(patient, rng, model=image_model("pet", rng), gates=8, quick_labels=True)
    polar = sample_polar_map(gated.summed(), labels, frame).maximum
    found, known = measure_function(gated, frame, polar, prior=PET_BLUR), truth(patient)
    row: dict[str, Any] = {"patient": number}
    for name in ("edv_ml", "esv_ml", "lvef_percent"):
        row |= {f"{name}_true": getattr(known, name)["stress"], name: getattr(found, name)}
    for k in range(17):
        row |= {f"thickening_{k + 1}": found.wall.thickening_percent[k], f"motion_{k + 1}": found.wall.motion_mm[k]}
        row[f"thickening_{k + 1}_true"] = known.segment_thickening_percent["stress"][k]
        row[f"motion_{k + 1}_true"] = known.segment_motion_mm["stress"][k]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=12)
    options = parser.parse_args()
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.exists() else []
    for number in range(len(rows), options.patients):
        rows.append(row_of(number))
        pd.DataFrame(rows).to_csv(TABLE, index=False, float_format="%.3f")
    print(f"{len(rows)} patients")


if __name__ == "__main__":
    main()
