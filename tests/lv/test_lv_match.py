"""A pose taken from the patient's other scan: a known rigid movement comes back, a stranger is refused."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from myoperf.errors import AnalysisError
from myoperf.geometry import rotate_frame
from myoperf.lv import LVFit, find_lv_like, match_scans, share_pose
from myoperf.types import LVFrame, Volume
from support.torso import make, shell


def angle_deg(one, other):
    return float(np.rad2deg(np.arccos(np.clip(one @ other, -1, 1))))


def moved(volume: Volume, turn_deg, shift_mm) -> tuple[Volume, np.ndarray]:
    """Lay the same voxels elsewhere: (volume, the movement)."""
    move = np.eye(4)
    move[:3, :3] = Rotation.from_rotvec(np.deg2rad(turn_deg)).as_matrix()
    move[:3, 3] = shift_mm
    return Volume(volume.array, move @ volume.lps_from_index), move


@pytest.fixture(scope="module")
def scans():
    """Rest, and stress: a defect at the inferior wall, other noise, the patient lying 20 mm off and turned."""
    rest, labels = make(shell(), noise=0.03, seed=1)
    stress, _ = make(shell(), noise=0.03, seed=2, defect=(180.0, 60.0, 0.3))
    stress, move = moved(stress, (3.0, -5.0, 6.0), (14.0, -9.0, 11.0))
    return rest, labels, stress, move


def test_a_known_movement_is_found_through_a_defect(scans):
    rest, _, stress, move = scans
    match = match_scans(rest, stress, shell().frame)
    found, wanted = (rotate_frame(shell().frame, one) for one in (match.moving_from_reference, move))
    assert match.correlation > 0.8
    assert np.linalg.norm(found.base_mm - wanted.base_mm) < 2.0
    # A defect in one of the scans alone leans the axis by a few degrees.
    assert np.linalg.norm(found.apex_mm - wanted.apex_mm) < 7.0
    assert angle_deg(found.axis, wanted.axis) < 5.0
    assert angle_deg(found.anterior, wanted.anterior) < 6.0


def test_without_a_defect_the_movement_comes_back_to_a_degree():
    rest, _ = make(shell(), noise=0.03, seed=1)
    stress, move = moved(make(shell(), noise=0.03, seed=2)[0], (3.0, -5.0, 6.0), (14.0, -9.0, 11.0))
    found = rotate_frame(shell().frame, match_scans(rest, stress, shell().frame).moving_from_reference)
    wanted = rotate_frame(shell().frame, move)
    assert angle_deg(found.axis, wanted.axis) < 1.0
    assert np.linalg.norm(found.apex_mm - wanted.apex_mm) < 1.5


def test_the_other_scan_gives_the_pose_and_the_finding_says_so(scans):
    rest, labels, stress, move = scans
    seen = []

    def segment(volume, frame):
        seen.append((volume, frame))
        return volume.with_array(labels.array.astype(np.uint8)), ()

    fit = find_lv_like(stress, rest, LVFit(shell().frame, labels, 0.9, ()), segment)
    assert seen[0][0] is stress
    assert fit.frame is seen[0][1]
    assert np.linalg.norm(fit.frame.base_mm - rotate_frame(shell().frame, move).base_mm) < 3.0
    assert [(f.code, f.severity) for f in fit.findings] == [("frame-from-other-scan", "warning")]
    assert fit.confidence <= 0.9


def test_another_patient_s_scan_or_an_empty_one_is_refused(scans):
    rest, labels, stress, _ = scans
    noise = stress.with_array(np.random.default_rng(0).random(stress.array.shape).astype(np.float32))
    fit = LVFit(shell().frame, labels, 0.9, ())
    with pytest.raises(AnalysisError, match="do not match"):
        find_lv_like(noise, rest, fit, lambda volume, frame: pytest.fail("went on"))
    for one, two in ((rest, stress.with_array(0 * stress.array)), (rest.with_array(0 * rest.array), stress)):
        with pytest.raises(AnalysisError, match="no counts"):
            match_scans(one, two, shell().frame)


def test_errors_of_two_poses_of_one_heart_become_one_error(scans):
    """The poses lean and shift opposite ways; in the shared pose the errors cancel, in both scans alike."""
    rest, _, _, _ = scans
    stress, move = moved(make(shell(), noise=0.03, seed=2)[0], (3.0, -5.0, 6.0), (14.0, -9.0, 11.0))
    true, off = shell().frame, 5.0 * shell().frame.lateral
    leaning = LVFrame(true.apex_mm + off, true.base_mm - off, true.anterior)
    other_way = rotate_frame(LVFrame(true.apex_mm - off, true.base_mm + off, true.anterior), move)
    at_rest, at_stress = share_pose(rest, stress, (leaning, other_way))
    for found, wanted in ((at_rest, true), (at_stress, rotate_frame(true, move))):
        assert angle_deg(found.axis, wanted.axis) < 1.5
        assert np.linalg.norm(found.apex_mm - wanted.apex_mm) < 2.0
    assert at_rest.length_mm == pytest.approx(at_stress.length_mm)


def test_scans_that_do_not_match_keep_their_own_poses(scans):
    rest, _, stress, move = scans
    noise = stress.with_array(np.random.default_rng(0).random(stress.array.shape).astype(np.float32))
    own = shell().frame, rotate_frame(shell().frame, move)
    assert share_pose(rest, noise, own) == own
