"""How priors of the wall's thickness and of the blur bear on ventricular function, on simulated hearts of two kinds.

    python benchmarks/wall_prior.py patients --count 8
    python benchmarks/wall_prior.py hearts --count 60 --keep FOLDER
    python docs/pages.py function

``patients`` are simulated by full physics (gated stress, ``function_cohort.py``) and found as `analyze` does;
``hearts`` are the independent ones for development (``independent_hearts.py``), in their true pose. Function is
measured of both with the earlier prior of the thickness, the shipped one and a wider one, and of patients also with the
resolution by `image_resolution` (mean of four places in the wall, SD 0.7 mm) as the prior of the blur. One row a case
and prior in ``docs/results/wall_prior.csv``; a call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from function_cohort import patient_of, views_of
from independent_hearts import draw
from myoperf import Options, load_models
from myoperf.gated import SPECT_BLUR, WallBlur, measure_function
from myoperf.phantom.truth import truth
from myoperf.pipeline.scan import LocatedScan, locate_ventricle, reconstruct_scan
from myoperf.polar import sample_polar_map
from myoperf.recon import GE_LEHR, image_resolution
from myoperf.types import LVFrame, PolarMap, Projections, Scan, Volume

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/wall_prior.csv"
SEED, SIGMA_SD_MM, RADIUS_MM = 8105, 0.7, 28.0
MODELS, OPTIONS = load_models(diagnosis=False), Options(motion="off")
PRIORS: Mapping[str, WallBlur] = {
    "7.5 mm, SD 2.6": replace(SPECT_BLUR, thickness_mm=7.5, thickness_sd_mm=2.6),
    "9 mm, SD 3.6": replace(SPECT_BLUR, thickness_mm=9.0, thickness_sd_mm=3.6),
    "10.5 mm, SD 4.5": replace(SPECT_BLUR, thickness_mm=10.5, thickness_sd_mm=4.5),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Gated:
    """A gated scan in its pose with what is true of it; `sigma_mm` is the resolution measured on it, where it was."""

    frames: Volume
    frame: LVFrame
    polar: PolarMap
    edv_ml: float
    esv_ml: float
    lvef_percent: float
    wall_mm: float
    sigma_mm: float = float("nan")


def resolution_mm(views: Projections, found: LocatedScan) -> float:
    """Return the SD of the resolution, mean of four places of the wall."""
    frame = found.fit.frame
    sides = (frame.anterior, -frame.anterior, frame.septal, -frame.septal)
    places = [tuple(frame.centre_mm + RADIUS_MM * side) for side in sides]
    return float(np.mean([image_resolution(views, one, GE_LEHR, OPTIONS.recon).fwhm_mm for one in places])) / 2.3548


def patient(number: int) -> Gated:
    """Simulate a patient, and find the ventricle."""
    views = views_of(ROOT / "runs/function", "population", SEED, number, 8)["stress"]
    image = reconstruct_scan(Scan(views, state="stress", framing="gated"), OPTIONS, name="stress")
    found = locate_ventricle(image, MODELS, OPTIONS)
    model, _ = patient_of("population", SEED, number)
    known = truth(model)
    return Gated(
        frames=found.frames,
        frame=found.fit.frame,
        polar=sample_polar_map(found.summed, found.fit.labels, found.fit.frame, rim_mm=found.fit.rim_mm).maximum,
        edv_ml=known.edv_ml["stress"],
        esv_ml=known.esv_ml["stress"],
        lvef_percent=known.lvef_percent["stress"],
        wall_mm=float(np.mean(model.ventricle.wall_mm)),
        sigma_mm=resolution_mm(views, found),
    )


def heart(number: int, keep: Path | None) -> Gated:
    """Return an independent heart in its true pose."""
    drawn = draw("development", number, keep)
    frames = drawn.study.scans[0].image
    summed = frames.summed()
    labels = MODELS.segment_lv(summed, drawn.frame)[0]
    return Gated(
        frames=frames,
        frame=drawn.frame,
        polar=sample_polar_map(summed, labels, drawn.frame, rings=OPTIONS.rings, angles=OPTIONS.angles).maximum,
        edv_ml=drawn.truth.edv_ml,
        esv_ml=drawn.truth.esv_ml,
        lvef_percent=drawn.truth.lvef_percent,
        wall_mm=drawn.truth.wall_mm,
    )


def rows_of(case: Gated) -> Iterator[dict[str, Any]]:
    """Return what is measured with each prior, beside the truth."""
    priors = dict(PRIORS)
    if np.isfinite(case.sigma_mm):
        shipped = priors["9 mm, SD 3.6"]
        priors["9 mm, SD 3.6, measured blur"] = replace(shipped, sigma_mm=case.sigma_mm, sigma_sd_mm=SIGMA_SD_MM)
    for name, prior in priors.items():
        function = measure_function(case.frames, case.frame, case.polar, prior=prior)
        row: dict[str, Any] = {"prior": name, "measured_fwhm_mm": 2.3548 * case.sigma_mm}
        row |= {"edv_error_percent": 100.0 * (function.edv_ml / case.edv_ml - 1.0)}
        row |= {"esv_error_percent": 100.0 * (function.esv_ml / case.esv_ml - 1.0)}
        row |= {"lvef_error_points": function.lvef_percent - case.lvef_percent}
        row |= {"wall_ed_mm": function.wall.wall_ed_mm, "fitted_fwhm_mm": function.wall.resolution_fwhm_mm}
        yield row | {"wall_mm_true": case.wall_mm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=("patients", "hearts"))
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.exists() else []
    done = {row["case"] for row in rows if row["set"] == options.set}
    for number in (n for n in range(options.count) if n not in done):
        case = patient(number) if options.set == "patients" else heart(number, options.keep)
        rows += [{"set": options.set, "case": number} | row for row in rows_of(case)]
        pd.DataFrame(rows).to_csv(TABLE, index=False, float_format="%.3f")
    print(f"{len(rows)} rows in {TABLE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
