"""Whether the measured resolution of a reconstruction helps the wall's fit as its prior.

    python benchmarks/resolution_prior.py --patients 3
    python docs/pages.py function

Simulated patients by full physics, gated stress (``function_cohort.py``), found as `analyze` does. Function is measured
with the usual prior of the blur, with the resolution by `image_resolution` (mean of four places in the wall, SD 0.7 mm)
as that prior, and with a wider prior of the thickness. One row a patient and prior in
``docs/results/resolution_prior.csv``; it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from function_cohort import patient_of, views_of
from myoperf import Options, load_models
from myoperf.gated import SPECT_BLUR, measure_function
from myoperf.phantom.truth import truth
from myoperf.pipeline.scan import LocatedScan, locate_ventricle, reconstruct_scan
from myoperf.polar import sample_polar_map
from myoperf.recon import GE_LEHR, image_resolution
from myoperf.types import Projections, Scan

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/resolution_prior.csv"
SEED, SIGMA_SD_MM, WIDE_MM, RADIUS_MM = 8105, 0.7, 3.6, 28.0
MODELS, OPTIONS = load_models(diagnosis=False), Options(motion="off")


def resolution_mm(views: Projections, found: LocatedScan) -> float:
    """Return the SD of the resolution, mean of four places of the wall."""
    frame = found.fit.frame
    sides = (frame.anterior, -frame.anterior, frame.septal, -frame.septal)
    places = [tuple(frame.centre_mm + RADIUS_MM * side) for side in sides]
    return float(np.mean([image_resolution(views, one, GE_LEHR, OPTIONS.recon).fwhm_mm for one in places])) / 2.3548


def rows_of(number: int) -> list[dict[str, Any]]:
    """Return what is measured of a patient with each prior, beside the truth."""
    views = views_of(ROOT / "runs/function", "population", SEED, number, 8)["stress"]
    image = reconstruct_scan(Scan(views, state="stress", framing="gated"), OPTIONS, name="stress")
    found = locate_ventricle(image, MODELS, OPTIONS)
    polar = sample_polar_map(found.summed, found.fit.labels, found.fit.frame, rim_mm=found.fit.rim_mm).maximum
    patient, _ = patient_of("population", SEED, number)
    known, sigma = truth(patient), resolution_mm(views, found)
    priors = {
        "usual": SPECT_BLUR,
        "measured resolution": replace(SPECT_BLUR, sigma_mm=sigma, sigma_sd_mm=SIGMA_SD_MM),
        "wider thickness": replace(SPECT_BLUR, thickness_sd_mm=WIDE_MM),
    }
    rows = []
    for name, prior in priors.items():
        function = measure_function(found.frames, found.fit.frame, polar, prior=prior)
        row: dict[str, Any] = {"patient": number, "prior": name, "measured_fwhm_mm": 2.3548 * sigma}
        row |= {"edv_error_percent": 100.0 * (function.edv_ml / known.edv_ml["stress"] - 1.0)}
        row |= {"esv_error_percent": 100.0 * (function.esv_ml / known.esv_ml["stress"] - 1.0)}
        row |= {"lvef_error_points": function.lvef_percent - known.lvef_percent["stress"]}
        row |= {"wall_ed_mm": function.wall.wall_ed_mm, "fitted_fwhm_mm": function.wall.resolution_fwhm_mm}
        rows.append(row | {"wall_mm_true": float(np.mean(patient.ventricle.wall_mm))})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=3)
    options = parser.parse_args()
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.exists() else []
    for number in range(len({row["patient"] for row in rows}), options.patients):
        rows += rows_of(number)
        pd.DataFrame(rows).to_csv(TABLE, index=False, float_format="%.3f")
    print(pd.DataFrame(rows).to_string())


if __name__ == "__main__":
    main()
