"""Simulated cohorts of slices: repeatable, resumable, and of the population asked for."""

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.phantom.records import PopulationOptions
from myoperf.research.slice_transformer.cases import SliceCases, collect_cases, draw_slice_cases


@pytest.fixture(scope="module")
def three():
    return draw_slice_cases(3, 5)


def test_a_patient_is_the_same_whatever_is_drawn_with_it(three):
    alone = draw_slice_cases(1, 5, first=2)
    np.testing.assert_array_equal(alone.stacks[0], three.stacks[2])
    np.testing.assert_array_equal(alone.polar[0], three.polar[2])
    assert three.stacks.shape == (3, 3, 16, 32, 32)
    assert three.stacks.dtype == np.float16
    assert 0 <= three.stacks.min() < 0.1
    assert 0.99 < three.stacks.max() <= 1
    assert three.polar.shape == (3, 2, 24, 72)
    assert set(three.ica) | set(three.expert) <= {0, 1}
    assert len(three.take(np.array([2, 0]))) == 2
    with pytest.raises(InputError, match="one row per patient"):
        SliceCases(three.stacks, three.polar[:2], three.clinical, three.ica, three.expert)


def test_patients_without_disease_are_normal():
    healthy = draw_slice_cases(1, 5, options=PopulationOptions(normal=True))
    assert healthy.ica.tolist() == [0]


def test_a_stopped_run_goes_on_and_refuses_another_shape(tmp_path, three):
    first = collect_cases(tmp_path, 2, 5, chunk=1)
    files = sorted(tmp_path.iterdir())
    stamps = [f.stat().st_mtime_ns for f in files]
    again = collect_cases(tmp_path, 2, 5, chunk=1)
    assert [f.stat().st_mtime_ns for f in files] == stamps
    np.testing.assert_array_equal(first.stacks, again.stacks)
    np.testing.assert_array_equal(first.stacks, three.stacks[:2])
    with pytest.raises(InputError, match=r"holds stacks of \(16, 32, 32\)"):
        collect_cases(tmp_path, 1, 5, shape=(32, 32, 32), chunk=1)
