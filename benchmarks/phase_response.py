"""How much of a delay of contraction shows in the wall's thickness and motion as they are followed in images.

    python benchmarks/phase_response.py --patients 24 --seed 8101

Gated images of simulated patients without noise (image-space model: blur, haze, attenuation), the true pose and
labels; the delay of each patient is spread widely (cohort ``dyssynchrony``). The five terms of the field of delay are
fitted to each harmonic alone as if it showed the whole delay, and held against the true terms: the slope through
zero (least absolute gaps) is what `myoperf.gated.regional.PHASE_RESPONSE` holds, rounded. Writes
``docs/results/phase_response.csv``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from function_cohort import patient_of
from myoperf.gated.delay import delay_terms, fit_delay
from myoperf.gated.regional import PHASE_RESPONSE, moving_wall
from myoperf.gated.synchrony import _maps, measure_synchrony
from myoperf.gated.tracking import track_wall
from myoperf.phantom.fast import image_model, simulate_fast
from myoperf.phantom.motion import phase_deg
from myoperf.phantom.records import PatientModel
from myoperf.polar import sample_polar_map
from myoperf.types import Float

TABLE = Path(__file__).parents[1] / "docs/results/phase_response.csv"
RINGS, ANGLES, GATES = 24, 36, 8
TERMS = ("apex to base", "cos a", "sin a", "cos 2a", "sin 2a")
MAPS = ("thickness, first", "thickness, second", "motion, first", "motion, second")


def true_terms(patient: PatientModel, basis: Float) -> Float:
    """Return the five terms of a patient's true delay, radians."""
    share = ((np.arange(RINGS) + 0.5) / RINGS)[:, None]
    angle = (np.arange(ANGLES) * 360.0 / ANGLES)[None]
    delay = np.deg2rad(phase_deg(patient.function, share, angle)).ravel()
    return np.asarray(np.linalg.lstsq(basis, delay - delay.mean(), rcond=None)[0])


def followed(patient: PatientModel, rng: np.random.Generator) -> tuple[Float, Float, Float]:
    """Simulate a patient's gates without noise and follow the wall."""
    model = replace(image_model("spect", rng, tracer=patient.tracer), noise=0.0)
    gated, labels, frame = simulate_fast(patient, rng, model=model, gates=GATES, quick_labels=True)
    polar = sample_polar_map(gated.summed(), labels, frame).maximum
    return moving_wall(track_wall(gated, frame, polar))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--seed", type=int, default=8101)
    options = parser.parse_args()
    basis, rows = delay_terms(RINGS, ANGLES), []
    for index in range(options.patients):
        patient, _ = patient_of("dyssynchrony", options.seed, index)
        thickness, motion, level = followed(patient, np.random.default_rng([options.seed, index, 7]))
        whole = measure_synchrony(thickness, motion, level, response=PHASE_RESPONSE).phase_sd_deg
        true = true_terms(patient, basis)
        for name, one in zip(MAPS, _maps(thickness / thickness.mean(), motion, level, np.ones((4, 5))), strict=True):
            seen = fit_delay([one], basis, 0.0).terms
            for term, known, told in zip(TERMS, true, seen, strict=True):
                spread = patient.function.phase_sd_deg
                rows.append((index, name, term, np.rad2deg(known), np.rad2deg(told), spread, whole))
    columns = ["patient", "map", "term", "true_deg", "seen_deg", "phase_sd_deg_true", "phase_sd_deg"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(TABLE, index=False, float_format="%.3f")
    print(table.describe().to_string())


if __name__ == "__main__":
    main()
