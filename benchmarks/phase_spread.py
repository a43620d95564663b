"""The measured spread of the phase of hearts whose delay is known.

    python benchmarks/phase_spread.py --hearts 60 --patients 40

Independent hearts (for development, found as ``myoperf analyze`` does) and simulated patients of the cohort
dyssynchrony by the image-space model (noise included, true pose); see ``phase_hearts.py``. One row a heart in
``docs/results/phase_spread.csv``; walls are kept under ``runs/phase``, so a run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from myoperf.gated.regional import PHASE_RESPONSE
from myoperf.gated.synchrony import measure_synchrony
from phase_hearts import heart_of

ROOT = Path(__file__).parents[1]
WALLS = ROOT / "runs/phase"
TABLE = ROOT / "docs/results/phase_spread.csv"


def row_of(family: str, number: int) -> dict[str, object]:
    """Return what is measured of a heart beside the truth; numbers that are not given are NaN."""
    heart = heart_of(WALLS, family, number)
    found = measure_synchrony(heart.thickness, heart.motion, heart.level, response=PHASE_RESPONSE)
    low, high = found.phase_sd_interval_deg or (np.nan, np.nan)
    return {
        "family": family,
        "heart": number,
        "gates": len(heart.thickness),
        "edv_ml_true": heart.edv_ml,
        "phase_sd_deg_true": heart.phase_sd_deg,
        "phase_sd_deg": np.nan if found.phase_sd_deg is None else found.phase_sd_deg,
        "phase_sd_deg_low": low,
        "phase_sd_deg_high": high,
        "phase_sd_uncorrected_deg": found.phase_sd_uncorrected_deg,
        "phase_noise_deg": found.phase_noise_deg,
        "phase_disagreement": found.phase_disagreement,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearts", type=int, default=60)
    parser.add_argument("--patients", type=int, default=40)
    options = parser.parse_args()
    rows = []
    for family, count in (("independent", options.hearts), ("simulated", options.patients)):
        rows += [row_of(family, number) for number in range(count)]
    table = pd.DataFrame(rows)
    table.to_csv(TABLE, index=False, float_format="%.3f")
    print(table.describe().to_string())


if __name__ == "__main__":
    main()
