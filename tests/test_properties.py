"""What holds for every grid and every number, tried on many of them; the same ones on every run."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from myoperf.dicom import decimal_string
from myoperf.geometry import affine_from_axes, index_from_lps, lps_from_ras, transform_points

steady = settings(derandomize=True, deadline=None, max_examples=60)
lengths = st.floats(0.5, 20.0)
places = st.floats(-2000.0, 2000.0)
angles = st.floats(-180.0, 180.0)


@steady
@given(st.tuples(angles, angles, angles), st.tuples(lengths, lengths, lengths), st.tuples(places, places, places))
def test_an_affine_and_its_inverse_leave_every_point_where_it_is(turn, spacing, origin):
    axes = Rotation.from_euler("zyx", turn, degrees=True).as_matrix()
    affine = affine_from_axes(origin, axes, spacing)
    index = np.array([[0.0, 0.0, 0.0], [6.0, 7.0, 8.0], [-1.5, 2.25, 40.0]])
    points = transform_points(affine, index)
    assert points[0] == pytest.approx(origin)
    assert np.linalg.norm(points[1] - points[0]) == pytest.approx(np.linalg.norm(index[1] * spacing))
    assert transform_points(index_from_lps(affine), points) == pytest.approx(index, abs=1e-6)
    assert lps_from_ras(lps_from_ras(affine)) == pytest.approx(affine)


@steady
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300, allow_subnormal=False))
def test_a_decimal_string_fits_and_reads_back_as_the_number(value):
    text = decimal_string(value)
    assert len(text) <= 16
    assert set(text) <= set("0123456789+-e.")
    assert math.isclose(float(text), value, rel_tol=5e-6)


@steady
@given(places)
def test_a_decimal_string_of_a_place_is_right_to_a_nanometre(value):
    assert float(decimal_string(value)) == pytest.approx(value, abs=1e-6)
