"""What holds for every polar map sampled from an image, tried on many; the same ones on every run."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from myoperf import polar
from myoperf.geometry import rotate_frame
from myoperf.segments import segment_means
from myoperf.types import LVFrame, Volume
from support.ventricle import grid_about, thick_ventricle, voxelise

steady = settings(derandomize=True, deadline=None, max_examples=8)
angles = st.floats(-180.0, 180.0)
UPTAKE = tuple(np.linspace(40.0, 100.0, 17))
VENTRICLE = thick_ventricle()
IMAGE, LABELS = voxelise(
    VENTRICLE, grid_about((4.0, -3.0, -2.0), (27, 28, 29), 4.5), (27, 28, 29), values=UPTAKE, oversample=2
)


def sampled(image=IMAGE, labels=LABELS, frame=VENTRICLE.frame):
    return polar.sample_polar_map(image, labels, frame).maximum.values


PLAIN = sampled()


@steady
@given(st.floats(1e-3, 1e4))
def test_a_map_is_in_proportion_to_the_counts(factor):
    image = IMAGE.with_array((factor * IMAGE.array).astype(np.float32))
    assert sampled(image) == pytest.approx(factor * PLAIN, rel=1e-4, abs=1e-4 * factor)


@steady
@given(st.tuples(angles, angles, angles), st.tuples(*[st.floats(-500.0, 500.0)] * 3))
def test_a_map_does_not_depend_on_where_the_patient_lies(turn, shift):
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    move[:3, 3] = shift
    image, labels = (Volume(v.array, move @ v.lps_from_index) for v in (IMAGE, LABELS))
    assert sampled(image, labels, rotate_frame(VENTRICLE.frame, move)) == pytest.approx(PLAIN, abs=0.05)


@steady
@given(st.integers(-35, 36))
def test_a_frame_turned_about_the_long_axis_rolls_the_map(columns):
    """Angle 0 is where the frame says that the anterior wall is; angles rise through the septum."""
    frame, turn = VENTRICLE.frame, np.deg2rad(5.0 * columns)
    anterior = np.cos(turn) * frame.anterior + np.sin(turn) * frame.septal
    rolled = np.roll(sampled(frame=LVFrame(frame.apex_mm, frame.base_mm, anterior)), columns, axis=1)
    assert np.abs(rolled - PLAIN).mean() < 0.02 * PLAIN.mean()


@steady
@given(st.permutations(range(17)))
def test_segments_get_their_own_uptake_wherever_it_is(order):
    values = np.array(UPTAKE)[list(order)]
    found = segment_means(
        sampled(voxelise(VENTRICLE, IMAGE.lps_from_index, IMAGE.grid_shape, values=values, oversample=2)[0])
    )
    assert np.corrcoef(found, values)[0, 1] > 0.9
