"""Views of simulated patients for the benchmarks of function, kept in a folder so that a run can be resumed.

Full physics: a gated stress and an ungated rest acquisition of every patient, 60 views over 180 degrees,
full dose, breathing, no other movement, Poisson noise. Cohorts: ``population`` (one patient in four
low-likelihood), ``dyssynchrony`` (the same, with the SD of phase drawn evenly in logarithm from 4 to 45 degrees),
``dilation`` (the same, the ventricle at stress larger than at rest by -5 to 35 %, evenly).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from myoperf.phantom.acquire import DOSES, Protocol, expected_views
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.types import Projections, State

COHORTS = ("population", "dyssynchrony", "dilation")
COUNTS: dict[State, float] = {"stress": 4.5e6, "rest": 2.2e6}
"""Median counts of all views at full dose, as `myoperf.phantom.acquire` has them."""


def patient_of(cohort: str, seed: int, index: int) -> tuple[PatientModel, np.random.Generator]:
    """Draw a patient, with the generator that its acquisitions go on with."""
    rng = np.random.default_rng([seed, index])
    patient = draw_patient(rng, PopulationOptions(normal=index % 4 == 0))
    if cohort == "dyssynchrony":
        spread = float(np.exp(rng.uniform(np.log(4.0), np.log(45.0))))
        patient = replace(patient, function=replace(patient.function, phase_sd_deg=spread))
    if cohort == "dilation":
        patient = replace(patient, function=replace(patient.function, stress_dilation=float(rng.uniform(-0.05, 0.35))))
    return patient, rng


def acquire_twice(
    patient: PatientModel, state: State, gates: int, rng: np.random.Generator
) -> tuple[Projections, Projections]:
    """Acquire once and draw the noise twice: (first, second), uint16; the patient lies still."""
    expected, _ = expected_views(patient, state, Protocol(gates=gates, motion_probability=0.0), rng)
    counts = COUNTS[state] * DOSES["full"] * float(np.exp(rng.normal(0.0, 0.25)))
    mean = expected.array * (counts / float(expected.array.sum(dtype=np.float64)))
    first, second = (replace(expected, array=rng.poisson(mean).astype(np.uint16)) for _ in range(2))
    return first, second


def views_of(folder: Path, cohort: str, seed: int, index: int, gates: int) -> dict[str, Projections]:
    """Return the patient's views by name (stress, stress_again, rest, rest_again), simulated where they are missing."""
    path = folder / f"{cohort}-{seed}-{index:04d}-{gates}.npz"
    if not path.exists():
        patient, rng = patient_of(cohort, seed, index)
        made = {}
        made["stress"], made["stress_again"] = acquire_twice(patient, "stress", gates, rng)
        made["rest"], made["rest_again"] = acquire_twice(patient, "rest", 1, rng)
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, **_arrays(made))
        part.rename(path)
    with np.load(path) as stored:
        return {name: _projections(stored, name) for name in ("stress", "stress_again", "rest", "rest_again")}


def _arrays(made: dict[str, Projections]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, views in made.items():
        out[name] = views.array
        out[f"{name}_angles"] = views.angles_deg
        out[f"{name}_radius"] = views.radius_mm
        out[f"{name}_place"] = [*views.pixel_mm, *views.axis_lps_mm]
    return out


def _projections(stored: Any, name: str) -> Projections:
    place = [float(v) for v in stored[f"{name}_place"]]
    return Projections(
        stored[name],
        stored[f"{name}_angles"],
        (place[0], place[1]),
        stored[f"{name}_radius"],
        (place[2], place[3], place[4]),
    )
