"""Records: what they check, and that printing one shows no patient."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from myoperf.errors import AnalysisError, GeometryError, InputError
from myoperf.types import LVFrame, PolarMap, Projections, Scan, Study, Volume


def volume(frames: int = 1) -> Volume:
    return Volume(np.ones((frames, 2, 3, 4), dtype=np.float32), np.diag([2.0, 3.0, 4.0, 1.0]))


def test_printing_a_study_shows_neither_the_patient_nor_the_headers():
    scan = Scan(volume(), source_headers=(b"PatientName=Doe",))
    text = repr(Study((scan,), patient_id="12345", study_uid="1.2.3"))
    assert "12345" not in text
    assert "Doe" not in text
    assert "1.2.3" not in text
    assert "shape=(1, 2, 3, 4)" in text


def test_a_record_cannot_be_changed_and_leaves_its_input_writable():
    array = np.ones((2, 3, 4))
    held = Volume(array, np.eye(4))
    with pytest.raises(ValueError, match="read-only"):
        held.array[0] = 0
    array[0] = 5


def test_voxel_volume_and_spacing_come_from_the_affine():
    assert volume().voxel_ml == pytest.approx(0.024)
    assert volume().spacing_mm.tolist() == [2, 3, 4]


def test_summing_gates_keeps_the_grid():
    summed = volume(8).summed()
    assert summed.frames == 1
    assert (summed.array == 8).all()


def test_a_static_scan_has_one_frame():
    with pytest.raises(InputError, match="one frame"):
        Scan(volume(8))


def test_views_need_as_many_angles_and_a_positive_spacing():
    with pytest.raises(GeometryError, match="angles"):
        Projections(np.ones((5, 2, 2)), np.arange(4.0), (6.8, 6.8))
    with pytest.raises(GeometryError, match="positive"):
        Projections(np.ones((4, 2, 2)), np.arange(4.0), (6.8, 0.0))


def test_a_frame_needs_two_points_and_a_direction_off_the_axis():
    with pytest.raises(GeometryError, match="apart"):
        LVFrame((0, 0, 0), (0, 0, 0.1), (1, 0, 0))
    with pytest.raises(GeometryError, match="parallel"):
        LVFrame((0, 0, 0), (0, 0, 80), (0, 0, 1))


def test_a_polar_map_shows_its_shape_and_not_its_values():
    polar = PolarMap(np.full((7, 9), 81.5), np.zeros((7, 9, 3)), np.full((7, 9), 10.0), statistic="mean")
    assert repr(polar) == "PolarMap(shape=(7, 9), statistic='mean')"


def test_a_polar_map_with_nan_is_refused():
    with pytest.raises(AnalysisError, match="NaN"):
        PolarMap(np.full((4, 8), np.nan), np.zeros((4, 8, 3)), np.ones((4, 8)))


VECTOR = st.tuples(*(st.floats(-300.0, 300.0) for _ in range(3))).map(np.array)


@settings(max_examples=60, deadline=None)
@given(apex=VECTOR, base=VECTOR, anterior=VECTOR)
def test_any_pose_has_three_directions_at_right_angles(apex, base, anterior):
    """Whatever the points: axis, anterior and lateral are unit vectors at right angles, right-handed in that order."""
    assume(np.linalg.norm(base - apex) >= 1.0)
    axis = (base - apex) / np.linalg.norm(base - apex)
    assume(np.linalg.norm(anterior - axis * (anterior @ axis)) > 1e-3)
    frame = LVFrame(apex, base, anterior)
    directions = np.stack([frame.axis, frame.anterior, frame.lateral])
    assert np.allclose(directions @ directions.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(directions) == pytest.approx(1.0, abs=1e-6)
    assert frame.anterior @ anterior > 0
