"""Raw NM tomography: angles, detectors, gates and windows as PS3.3 C.8.4 tells them."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.sequence import Sequence

from myoperf.errors import GeometryError, InputError
from myoperf.io import read_studies
from myoperf.types import Projections, Scan
from support.dicom import counts_of, item, raw_nm


def read(path) -> Scan:
    return read_studies([path]).studies[0].scans[0]


def projections(path) -> Projections:
    image = read(path).image
    assert isinstance(image, Projections)
    return image


@pytest.mark.parametrize(("direction", "sign"), [("CW", -1), ("CC", 1), ("CCW", 1)])
def test_angles_follow_the_direction_of_rotation(save, direction, sign):
    counts = counts_of(1, 1, 9, 7, 8)
    got = projections(save(raw_nm(counts, direction=direction)))
    assert got.array.shape == (1, 9, 7, 8)
    np.testing.assert_allclose(got.angles_deg, (225.0 + sign * 20.0 * np.arange(9)) % 360.0)
    np.testing.assert_array_equal(got.array[0], counts[0, 0])
    assert got.pixel_mm == (6.5, 6.0)


def test_views_are_ordered_by_their_vector_not_by_their_place(save):
    counts = counts_of(1, 1, 9, 7, 8)
    got = projections(save(raw_nm(counts, shuffle=3)))
    np.testing.assert_array_equal(got.array[0], counts[0, 0])


def test_gates_are_ordered_by_the_time_slot_vector(save):
    counts = counts_of(8, 1, 9, 8, 7)
    scan = read(save(raw_nm(counts, shuffle=4)))
    assert scan.framing == "gated"
    np.testing.assert_array_equal(scan.image.array, counts[:, 0])
    np.testing.assert_allclose(scan.frame_duration_ms, 112.5)


@pytest.mark.parametrize("run_on", [False, True])
def test_two_detectors_are_joined_along_the_orbit(save, run_on):
    counts = counts_of(1, 2, 5, 7, 8)
    dataset = raw_nm(counts, step=18.0, detector_starts=(225.0, 135.0), shuffle=1)
    dataset.RotationInformationSequence[0].ScanArc = 90.0
    dataset.DetectorInformationSequence[1].RadialPosition = [210.0, 220.0, 230.0, 240.0, 250.0]
    if run_on:  # some exports number the second head's views 6-10
        heads = np.array(dataset.DetectorVector)
        dataset.AngularViewVector = (np.array(dataset.AngularViewVector) + 5 * (heads == 2)).tolist()
    got = projections(save(dataset))
    np.testing.assert_allclose(got.angles_deg, 225.0 - 18.0 * np.arange(10))
    np.testing.assert_array_equal(got.array[0], counts[0].reshape(10, 7, 8))
    np.testing.assert_allclose(got.radius_mm, [250.0] * 5 + [210.0, 220.0, 230.0, 240.0, 250.0])


def test_rising_heads_given_in_the_other_order_come_out_along_the_orbit(save):
    counts = counts_of(1, 2, 5, 7, 8)
    dataset = raw_nm(counts, step=18.0, direction="CC", detector_starts=(135.0, 45.0))
    got = projections(save(dataset))
    np.testing.assert_allclose(got.angles_deg, 45.0 + 18.0 * np.arange(10))
    np.testing.assert_array_equal(got.array[0], counts[0, ::-1].reshape(10, 7, 8))


def test_a_full_turn_keeps_the_first_view_first(save):
    counts = counts_of(1, 1, 12, 7, 8)
    got = projections(save(raw_nm(counts, start=100.0, step=30.0)))
    np.testing.assert_allclose(got.angles_deg, (100.0 - 30.0 * np.arange(12)) % 360.0)
    np.testing.assert_array_equal(got.array[0], counts[0, 0])


def test_second_detector_without_start_angle_is_refused(save):
    dataset = raw_nm(counts_of(1, 2, 5, 7, 8), step=18.0)
    with pytest.raises(GeometryError, match="no Start Angle"):
        read(save(dataset))


@pytest.mark.parametrize("keyword", ["StartAngle", "AngularStep", "RotationDirection"])
def test_missing_angles_are_refused_by_name(save, keyword):
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    delattr(dataset.RotationInformationSequence[0], keyword)
    with pytest.raises(GeometryError, match="is missing"):
        read(save(dataset))


def test_no_rotation_at_all_is_refused(save):
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    del dataset.RotationInformationSequence
    with pytest.raises(GeometryError, match="angles are missing"):
        read(save(dataset))


def test_arc_and_step_must_agree(save):
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    dataset.RotationInformationSequence[0].ScanArc = 360.0
    with pytest.raises(GeometryError, match="scan arc"):
        read(save(dataset))


def test_arc_counted_between_first_and_last_view_is_believed(save):
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    dataset.RotationInformationSequence[0].ScanArc = 160.0
    assert projections(save(dataset)).views == 9


def test_missing_view_is_refused(save):
    counts = counts_of(2, 1, 9, 7, 8)
    dataset = raw_nm(counts)
    dataset.AngularViewVector = [1, 1, *list(dataset.AngularViewVector)[2:]]
    with pytest.raises(InputError, match="missing"):
        read(save(dataset))


def test_rows_running_to_the_head_are_turned(save):
    counts = counts_of(1, 1, 9, 7, 8)
    dataset = raw_nm(counts)
    dataset.DetectorInformationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 0, 1]
    got = projections(save(dataset))
    np.testing.assert_array_equal(got.array[0], counts[0, 0, :, ::-1])
    assert got.axis_lps_mm == (0.0, 0.0, 100.0 + 6.5 * 3)


def test_height_of_the_middle_row_comes_from_the_detector(save):
    got = projections(save(raw_nm(counts_of(1, 1, 9, 7, 8))))
    assert got.axis_lps_mm == (0.0, 0.0, 100.0 - 6.5 * 3)


def test_orientation_against_the_start_angle_is_said(save):
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    angle = np.deg2rad(225.0)
    right = [-np.cos(angle), np.sin(angle), 0, 0, 0, -1]
    dataset.DetectorInformationSequence[0].ImageOrientationPatient = [round(v, 6) for v in right]
    assert "detector-orientation" not in [f.code for f in read(save(dataset, "a.dcm")).findings]
    dataset.DetectorInformationSequence[0].ImageOrientationPatient = [round(-v, 6) for v in right[:3]] + right[3:]
    assert "detector-orientation" in [f.code for f in read(save(dataset, "b.dcm")).findings]


def test_no_radius_is_none_and_said(save):
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    del dataset.RotationInformationSequence[0].RadialPosition
    scan = read(save(dataset))
    assert scan.image.radius_mm is None
    assert "no-radius" in [finding.code for finding in scan.findings]


def test_photopeak_window_is_chosen(save):
    peak, scatter = counts_of(1, 1, 9, 7, 8, seed=1), counts_of(1, 1, 9, 7, 8, seed=2) * 3
    dataset = raw_nm(np.concatenate([scatter, peak], axis=1))
    dataset.EnergyWindowVector = list(dataset.DetectorVector)
    dataset.DetectorVector = [1] * 18
    dataset.EnergyWindowInformationSequence = Sequence(
        [
            item(EnergyWindowRangeSequence=Sequence([item(EnergyWindowLowerLimit=lo, EnergyWindowUpperLimit=hi)]))
            for lo, hi in ((90.0, 125.0), (126.0, 154.0))
        ]
    )
    scan = read(save(dataset))
    np.testing.assert_array_equal(scan.image.array[0], peak[0, 0])
    assert [(f.code, f.severity) for f in scan.findings] == [("energy-windows", "info")]


def test_rejected_beats_are_left_out(save):
    counts = counts_of(4, 1, 9, 7, 8)
    dataset = raw_nm(np.concatenate([counts, counts // 50]))
    dataset.RRIntervalVector = [1] * 36 + [2] * 36
    dataset.TimeSlotVector = np.repeat([1, 2, 3, 4, 1, 2, 3, 4], 9).tolist()
    scan = read(save(dataset))
    np.testing.assert_array_equal(scan.image.array, counts[:, 0])
    assert "rr-windows" in [finding.code for finding in scan.findings]


def test_short_arc_is_said(save):
    scan = read(save(raw_nm(counts_of(1, 1, 9, 7, 8), step=10.0)))
    assert "short-arc" in [finding.code for finding in scan.findings]


def test_zero_counts_are_refused(save):
    with pytest.raises(InputError, match="no counts"):
        read(save(raw_nm(np.zeros((1, 1, 9, 7, 8), dtype=int))))


def test_vector_of_another_length_is_refused(save):
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    dataset.AngularViewVector = list(range(1, 9))
    with pytest.raises(InputError, match="Angular View Vector has 8 values for 9 frames"):
        read(save(dataset))
