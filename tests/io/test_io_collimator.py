"""Only views through parallel holes are reconstructed; the centre of rotation is where the file says."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from myoperf.errors import GeometryError, UnsupportedInputError
from myoperf.io import read_studies
from myoperf.types import Scan
from support.dicom import counts_of, raw_nm, recon_nm


def read(path) -> Scan:
    return read_studies([path]).studies[0].scans[0]


def codes(scan):
    return [finding.code for finding in scan.findings]


def raw(kind="PARA", grid="LEHR", heads=1):
    starts = (225.0, 135.0)[:heads] if heads > 1 else ()
    dataset = raw_nm(counts_of(1, heads, 10 // heads, 7, 8), step=18.0, detector_starts=starts)
    dataset.RotationInformationSequence[0].ScanArc = 180.0 / heads
    for detector in dataset.DetectorInformationSequence:
        detector.CollimatorType, detector.CollimatorGridName = kind, grid
    return dataset


@pytest.mark.parametrize("kind", ["PINH", "FANB", "CONE", "SLNT", "ASTG", "DIVG"])
def test_raw_views_through_other_collimators_are_refused(save, kind):
    with pytest.raises(UnsupportedInputError, match=r"raw views through .* collimators"):
        read(save(raw(kind)))


@pytest.mark.parametrize(
    "grid", ["MPH_27_45", "Pinhole 4mm", "SMARTZOOM", "FANBEAM", "Fan-Beam", "LEHR_FAN", "Pin-Hole"]
)
def test_a_name_that_leaves_no_doubt_is_enough(save, grid):
    with pytest.raises(UnsupportedInputError, match="other than parallel-hole"):
        read(save(raw("UNKN", grid)))


@pytest.mark.parametrize("kind", ["PINHOLE", "FANBEAM", "FAN", "CONVERGING", "SLANT", "CONE BEAM"])
def test_a_type_in_other_words_than_the_standards_is_understood(save, kind):
    with pytest.raises(UnsupportedInputError, match="other than parallel-hole"):
        read(save(raw(kind)))
    assert "collimator-assumed" not in codes(read(save(raw("PARALLEL"))))


def test_a_collimator_at_the_top_level_counts(save):
    dataset = raw("", "")
    dataset.CollimatorType = "PINH"
    with pytest.raises(UnsupportedInputError, match="pinhole"):
        read(save(dataset))


@pytest.mark.parametrize("grid", ["IQ-SPECT", "Multi-Pinhole", "Cardiofocal", "converging"])
def test_a_focusing_collimator_by_its_name(save, grid):
    with pytest.raises(UnsupportedInputError, match="other than parallel-hole"):
        read(save(raw("PARA", grid)))


@pytest.mark.parametrize("keyword", ["GantryDetectorTilt", "GantryDetectorSlew"])
def test_views_of_a_tilted_detector_are_refused(save, keyword):
    dataset = raw()
    setattr(dataset.DetectorInformationSequence[0], keyword, "0.5")
    read(save(dataset))
    setattr(dataset.DetectorInformationSequence[0], keyword, "-10")
    with pytest.raises(UnsupportedInputError, match=r"is -10 degrees"):
        read(save(dataset))


def test_a_focal_distance_is_no_parallel_collimator(save):
    dataset = raw("")
    dataset.DetectorInformationSequence[0].FocalDistance = "0"
    assert "collimator-assumed" in codes(read(save(dataset)))
    dataset.DetectorInformationSequence[0].FocalDistance = "650"
    with pytest.raises(UnsupportedInputError, match="Focal Distance is not 0"):
        read(save(dataset))
    dataset.DetectorInformationSequence[0].CollimatorType = "PARA"
    assert "collimator-conflict" in codes(read(save(dataset)))


def test_one_head_of_two_is_enough(save):
    dataset = raw(heads=2)
    dataset.DetectorInformationSequence[1].CollimatorType = "FANB"
    with pytest.raises(UnsupportedInputError, match="fan-beam"):
        read(save(dataset))


def test_an_unknown_collimator_is_said(save):
    assert "collimator-assumed" not in codes(read(save(raw(), "known.dcm")))
    assert "collimator-assumed" in codes(read(save(raw("", ""), "empty.dcm")))


def test_reconstructions_of_a_pinhole_camera_are_read(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.ManufacturerModelName = "UFC"
    detector = dataset.DetectorInformationSequence[0]
    detector.CollimatorType, detector.CollimatorGridName = "PINH", "MPH_27_45"
    scan = read(save(dataset))
    assert_allclose(scan.image.array, counts_of(1, 7, 8, 9))
    assert "collimator-assumed" not in codes(scan)


@pytest.mark.parametrize("make", [raw, lambda: recon_nm(counts_of(1, 7, 8, 9))], ids=["raw", "reconstructed"])
def test_another_modality_with_the_nm_class_is_nm(save, make):
    dataset = make()
    dataset.Modality = "OT"
    scan = read(save(dataset))
    assert scan.modality == "NM"


def test_the_centre_of_rotation_of_each_head_is_applied_and_said(save):
    dataset = raw(heads=2)
    dataset.DetectorInformationSequence[0].CenterOfRotationOffset = "2.5"
    dataset.DetectorInformationSequence[1].CenterOfRotationOffset = "-1.5"
    scan = read(save(dataset))
    assert_allclose(scan.image.axis_offset_mm, [2.5] * 5 + [-1.5] * 5)
    assert [f.message[:55] for f in scan.findings if f.code == "rotation-centre-moved"] == [
        "The centre of rotation was moved by +2.5 and -1.5 mm al"
    ]


def test_no_offset_changes_nothing(save):
    dataset = raw()
    dataset.DetectorInformationSequence[0].CenterOfRotationOffset = "0"
    scan = read(save(dataset))
    assert scan.image.axis_offset_mm is None
    assert "rotation-centre-moved" not in codes(scan)


def test_an_offset_that_no_camera_has_is_refused(save):
    dataset = raw()
    dataset.DetectorInformationSequence[0].CenterOfRotationOffset = "60"
    with pytest.raises(GeometryError, match="at most 50 mm"):
        read(save(dataset))


def test_offsets_follow_their_views_when_these_are_sorted(save):
    dataset = raw(heads=2)
    dataset.RotationInformationSequence[0].RotationDirection = "CC"
    dataset.DetectorInformationSequence[0].StartAngle = 135.0
    dataset.DetectorInformationSequence[1].StartAngle = 45.0
    dataset.DetectorInformationSequence[0].CenterOfRotationOffset = "3"
    image = read(save(dataset)).image
    assert_allclose(image.axis_offset_mm, np.where(image.angles_deg >= 134.0, 3.0, 0.0))


def test_views_know_their_head_and_collimator(save):
    one, two = read(save(raw(), "one.dcm")).image, read(save(raw(heads=2), "two.dcm")).image
    assert one.heads is None
    assert one.collimator == "LEHR"
    assert two.heads.tolist() == [1] * 5 + [2] * 5
    dataset = raw(heads=2)
    dataset.DetectorInformationSequence[1].CollimatorGridName = "LEAP"
    assert read(save(dataset, "mixed.dcm")).image.collimator is None
