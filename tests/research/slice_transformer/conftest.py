"""Images of a few simulated patients for all those that a smoke run learns from: drawing them takes longest."""

from functools import cache

import numpy as np
import pytest

from myoperf.phantom.fast import simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.research.slice_transformer import cases

DIFFERENT = 3


@cache
def image_of(number, state):
    rng = np.random.default_rng((7, number))
    return simulate_fast(draw_patient(rng, cases.SPECT_MPI_POPULATION), rng, state=state, quick_labels=True)


@pytest.fixture
def few_images(monkeypatch):
    """Give every patient one of a few images; labels and clinical values stay the patient's own."""
    monkeypatch.setattr(
        cases, "simulate_fast", lambda patient, rng, *, state, **_: image_of(int(rng.integers(DIFFERENT)), state)
    )
