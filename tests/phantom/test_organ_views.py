"""Organs projected one by one sum to the patient, and one can be changed alone."""

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.phantom.acquire import Protocol, expected_views
from myoperf.phantom.organ_views import project_organs
from myoperf.phantom.population import draw_patient

PROTOCOL = Protocol(views=6, pixels=32, pixel_mm=12.0, gates=1, oversampling=1.5)


def test_organs_sum_to_the_patient_and_one_can_be_changed_alone():
    patient = draw_patient(np.random.default_rng(3))
    organs = project_organs(patient, "stress", PROTOCOL, np.random.default_rng(4))
    whole, _ = expected_views(patient, "stress", PROTOCOL, np.random.default_rng(4))
    np.testing.assert_allclose(organs.mixed().array, whole.array, atol=0.02 * float(whole.array.max()))
    assert organs.mixed().array.sum() == pytest.approx(float(whole.array.sum()), rel=0.002)
    np.testing.assert_array_equal(organs.geometry.angles_deg, whole.angles_deg)
    liver = organs.uptake["liver"]
    difference = organs.mixed(liver=liver + 1.0).array - organs.mixed().array
    np.testing.assert_allclose(difference[0], organs.unit["liver"], atol=1e-4 * float(whole.array.max()))
    assert organs.unit["liver"].max() > 0
    for wrong in ({"teeth": 1.0}, {"liver": -1.0}):
        with pytest.raises(InputError, match="Uptake is 0 or more"):
            organs.mixed(**wrong)
    with pytest.raises(InputError, match="ungated"):
        project_organs(patient, "stress", Protocol(gates=8), np.random.default_rng(0))
