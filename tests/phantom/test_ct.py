"""Options of the simulated CT, and of energy windows for scatter."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from myoperf.errors import InputError
from myoperf.phantom.acquire import Protocol
from myoperf.phantom.cohort_scans import CohortOptions
from myoperf.phantom.windows import TRIPLE_KEV, scatter_windows


@pytest.mark.parametrize(
    "options",
    [
        {"ct": True, "fast": True},
        {"ct": True, "as_": "nifti"},
        {"breath_mismatch_mm": 4.0},
        {"ct": True, "breath_mismatch_mm": -1.0},
        {"misregistration_mm": 4.0},
    ],
)
def test_a_ct_needs_raw_views_as_dicom_and_its_errors_need_a_ct(options):
    with pytest.raises(InputError):
        CohortOptions(**options)


def test_with_a_ct_the_couch_attenuates_the_emission_too():
    assert CohortOptions(ct=True, protocol=Protocol(gates=1)).protocol.couch
    assert not CohortOptions(protocol=Protocol(gates=1)).protocol.couch


def test_the_windows_give_back_the_scatter_and_a_few_percent_of_spilled_primary_photons():
    scattered, primary = np.full((2, 3, 4), 100.0, np.float32), np.full((2, 3, 4), 300.0, np.float32)
    low, high = scatter_windows(0 * primary, scattered)
    assert (low.limits_kev, high.limits_kev) == TRIPLE_KEV
    estimate = (low.counts / 7 + high.counts / 7) * 28 / 2
    assert_allclose(estimate, scattered, rtol=1e-5)
    spilled = sum(one.counts for one in scatter_windows(primary, 0 * scattered)) / 7 * 28 / 2
    assert 0.0 < spilled.max() < 0.06 * primary.max()
