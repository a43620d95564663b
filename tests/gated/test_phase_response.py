"""The response of the measured phase: each of its values, and that measured function uses it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from myoperf.gated import measure_function
from myoperf.gated.regional import PHASE_RESPONSE
from myoperf.phantom.fast import image_model, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PopulationOptions
from myoperf.polar import sample_polar_map

TABLE = Path(__file__).parents[2] / "docs/results/phase_response.csv"
HARMONICS = ("thickness, first", "thickness, second", "motion, first", "motion, second")


def test_every_response_in_use_was_measured_on_independent_hearts():
    """Any value halved, or exchanged with another harmonic's, fails; of order 3 thickness shows too little to say."""
    table = pd.read_csv(TABLE).query("family == 'independent'")
    for harmonic, shown in zip(HARMONICS, PHASE_RESPONSE, strict=True):
        measured = table[table["map"] == harmonic].response.to_numpy()
        used = (shown > 0) & ~((np.arange(4) == 3) & harmonic.startswith("thickness"))
        assert shown[used] == pytest.approx(measured[used], abs=0.25)


def test_the_spread_of_a_simulated_heart_is_measured_in_full():
    """A response halved doubles the spread; one of ones, or with thickness and motion exchanged, loses a sixth."""
    rng = np.random.default_rng([8101, 1])
    patient = draw_patient(rng, PopulationOptions())
    patient = replace(patient, function=replace(patient.function, phase_sd_deg=28.0))
    model = replace(image_model("spect", rng, tracer=patient.tracer), noise=0.0)
    grid = Grid.centred((44, 44, 44), 6.6, patient.scan_centre_mm)
    gated, labels, frame = simulate_fast(patient, rng, model=model, gates=8, quick_labels=True, grid=grid)
    polar = sample_polar_map(gated.summed(), labels, frame).maximum
    synchrony = measure_function(gated, frame, polar).synchrony
    assert synchrony.phase_sd_deg == pytest.approx(28.0, rel=0.1)
