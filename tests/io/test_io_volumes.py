"""Reconstructed NM volumes and PET slices: where every voxel lies."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.sequence import Sequence

from myoperf.dicom import code_item
from myoperf.errors import GeometryError, InputError, UnsupportedInputError
from myoperf.geometry import transform_points
from myoperf.io import read_studies
from myoperf.types import Scan
from support.dicom import counts_of, pet_slices, recon_nm


def read(*paths) -> Scan:
    return read_studies(list(paths)).studies[0].scans[0]


def codes(scan: Scan) -> list[str]:
    return [finding.code for finding in scan.findings]


@pytest.mark.parametrize("spacing", [-7.0, 7.0])
def test_slices_stack_along_the_sign_of_their_spacing(save, spacing):
    values = counts_of(1, 7, 8, 9)
    scan = read(save(recon_nm(values, spacing=spacing, shuffle=2)))
    np.testing.assert_array_equal(scan.image.array, values)
    np.testing.assert_allclose(
        transform_points(scan.image.lps_from_index, [[0, 0, 0], [2, 3, 4]]),
        [[-50.0, -190.0, 600.0], [-50.0 + 4 * 6.0, -190.0 + 3 * 6.5, 600.0 + 2 * spacing]],
    )
    assert (scan.state, scan.orientation, scan.framing) == ("rest", "transaxial", "static")


def test_gated_slices_are_ordered_by_both_vectors(save):
    values = counts_of(8, 7, 10, 9)
    scan = read(save(recon_nm(values, shuffle=7)))
    assert scan.framing == "gated"
    np.testing.assert_array_equal(scan.image.array, values)


def test_geometry_at_the_top_level_is_read_too(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    geometry = dataset.DetectorInformationSequence[0]
    dataset.ImageOrientationPatient = geometry.ImageOrientationPatient
    dataset.ImagePositionPatient = geometry.ImagePositionPatient
    del dataset.DetectorInformationSequence
    np.testing.assert_allclose(read(save(dataset)).image.lps_from_index[:3, 3], [-50, -190, 600])


@pytest.mark.parametrize("keyword", ["ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"])
def test_numbers_too_few_are_not_called_missing(save, keyword):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    holder = dataset if keyword == "PixelSpacing" else dataset.DetectorInformationSequence[0]
    setattr(holder, keyword, [6.0])
    with pytest.raises(InputError, match=r"holds 1 of \d numbers"):
        read(save(dataset))


def test_a_missing_gate_is_named(save):
    dataset = recon_nm(counts_of(3, 7, 8, 9))
    dataset.TimeSlotVector = [1] * 7 + [2] * 7 + [4] * 7
    with pytest.raises(InputError, match="gates are missing between 1 and 4"):
        read(save(dataset))


def test_missing_orientation_is_refused(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    del dataset.DetectorInformationSequence[0].ImageOrientationPatient
    with pytest.raises(GeometryError, match="Image Orientation is missing"):
        read(save(dataset))


def test_missing_pixel_spacing_is_refused(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    del dataset.PixelSpacing
    with pytest.raises(GeometryError, match="Pixel Spacing is missing"):
        read(save(dataset))


def test_thickness_stands_in_for_the_step_and_is_said(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    del dataset.SpacingBetweenSlices
    with pytest.raises(GeometryError, match="never guessed"):
        read(save(dataset, "none.dcm"))
    dataset.SliceThickness = 7.5
    scan = read(save(dataset, "thick.dcm"))
    assert scan.image.spacing_mm[0] == pytest.approx(7.5)
    assert "slice-step" in codes(scan)


def test_missing_position_centres_the_volume_and_is_said(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    del dataset.DetectorInformationSequence[0].ImagePositionPatient
    scan = read(save(dataset))
    middle = transform_points(scan.image.lps_from_index, [3.0, 3.5, 4.0])
    np.testing.assert_allclose(middle, 0.0, atol=1e-9)
    assert "position-missing" in codes(scan)


def test_missing_slice_is_refused(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.SliceVector = [1, 2, 3, 5, 6, 7, 8]
    with pytest.raises(InputError, match="slices are missing"):
        read(save(dataset))


def test_gate_without_all_slices_is_refused(save):
    dataset = recon_nm(counts_of(2, 7, 8, 9))
    dataset.TimeSlotVector = [1] * 8 + [2] * 6
    with pytest.raises(InputError, match="1 slices are missing and 1 slices are there more than once"):
        read(save(dataset))


def test_oblique_short_axis_lies_where_the_file_says(save):
    along, down = np.array([0.6, 0.64, 0.48]), np.array([0.0, 0.6, -0.8])
    dataset = recon_nm(counts_of(1, 11, 8, 9), spacing=4.0)
    geometry = dataset.DetectorInformationSequence[0]
    geometry.ImageOrientationPatient = [*along, *down]
    dataset.ImageID = "Stress SAX"
    scan = read(save(dataset))
    assert scan.orientation == "short_axis"
    normal = np.cross(along, down)
    expected = [-50.0, -190.0, 600.0] + 2 * 4.0 * normal + 3 * 6.5 * down + 4 * 6.0 * along
    np.testing.assert_allclose(transform_points(scan.image.lps_from_index, [2, 3, 4]), expected, atol=1e-6)


def test_short_axis_by_view_code_without_patient_space_is_nominal_and_said(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    view = Sequence([code_item("G-A186", "SRT", "Short Axis")])
    dataset.DetectorInformationSequence[0].ViewCodeSequence = view
    scan = read(save(dataset))
    assert scan.orientation == "short_axis"
    assert "orientation-nominal" in codes(scan)
    base, inferior, lateral = (scan.image.lps_from_index[:3, :3] / scan.image.spacing_mm).T
    assert base[0] < 0 < base[1]  # from the apex the base lies to the right and the back
    assert inferior[2] < -0.8
    np.testing.assert_allclose(lateral, np.cross(base, -inferior), atol=1e-9)  # LVFrame's handedness


def test_long_axis_slices_are_refused(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.ImageID = "Stress VLA"
    with pytest.raises(UnsupportedInputError, match="long-axis"):
        read(save(dataset))


def test_empty_volume_is_refused(save):
    with pytest.raises(InputError, match="no counts"):
        read(save(recon_nm(np.zeros((1, 7, 8, 9), dtype=int))))


def test_stretched_volume_is_said(save):
    values = counts_of(1, 7, 8, 9)
    values[0, 3, 3, 3] = 32767
    assert "counts-stretched" in codes(read(save(recon_nm(values))))


def saved_slices(save, tmp_path, slices, seed=0):
    names = np.random.default_rng(seed).permutation(len(slices))
    for name, dataset in zip(names, slices, strict=True):
        save(dataset, f"slice{name:03d}.dcm", tmp_path / "pet")
    return tmp_path / "pet"


def test_pet_slices_are_ordered_by_geometry_with_their_own_slope(save, tmp_path):
    values = counts_of(1, 7, 8, 9)
    scan = read(saved_slices(save, tmp_path, pet_slices(values)))
    slope = 1.0 + 0.5 * np.arange(7)[:, None, None]
    np.testing.assert_allclose(scan.image.array[0], values[0] * slope)
    np.testing.assert_allclose(transform_points(scan.image.lps_from_index, [2, 3, 4]), [-16.0, -40.5, 22.0])
    assert (scan.modality, scan.framing, scan.state) == ("PT", "static", "stress")
    assert len(scan.source_headers) == 7


@pytest.mark.parametrize(("kind", "framing"), [("GATED", "gated"), ("DYNAMIC", "dynamic")])
def test_pet_frames_are_ordered_by_time(save, tmp_path, kind, framing):
    values = counts_of(5, 7, 8, 9)
    scan = read(saved_slices(save, tmp_path, pet_slices(values, kind=kind)))
    slope = 1.0 + 0.5 * np.arange(7)[:, None, None]
    np.testing.assert_allclose(scan.image.array, values * slope)
    assert scan.framing == framing
    np.testing.assert_allclose(scan.frame_duration_ms, 100.0 if kind == "GATED" else 5000.0)


def test_pet_gates_are_ordered_by_image_index_where_no_time_is_told(save, tmp_path):
    values = counts_of(4, 7, 8, 9)
    slices = pet_slices(values, kind="GATED")
    for number, dataset in enumerate(slices):
        del dataset.TriggerTime
        dataset.ImageIndex = number + 1
    scan = read(saved_slices(save, tmp_path, slices))
    np.testing.assert_allclose(scan.image.array[:, 0], values[:, 0])


def test_pet_with_a_missing_slice_is_refused(save, tmp_path):
    slices = pet_slices(counts_of(1, 7, 8, 9))
    with pytest.raises(InputError, match="some are missing"):
        read(saved_slices(save, tmp_path, slices[:3] + slices[4:]))


def test_pet_frames_that_nothing_orders_are_refused(save, tmp_path):
    slices = pet_slices(counts_of(2, 7, 8, 9), kind="DYNAMIC")
    for dataset in slices:
        del dataset.FrameReferenceTime
    with pytest.raises(InputError, match="nothing to order"):
        read(saved_slices(save, tmp_path, slices))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PixelSpacing": [3.0, 3.0]}, "differ in Pixel Spacing"),
        ({"PixelSpacing": None}, "differ in Pixel Spacing"),
        ({"Units": "CNTS"}, "several units"),
        ({"PatientID": "ID-4711"}, "several patients"),
        ({"ImagePositionPatient": [-36.0, -60.0, 28.0]}, "shifted against each other"),
        ({"SeriesDescription": "Rest perfusion"}, "some are missing"),
    ],
)
def test_pet_slices_that_cannot_be_of_one_image_are_refused(save, tmp_path, changes, message):
    for number, dataset in enumerate(pet_slices(counts_of(1, 7, 8, 9))):
        dataset.Units = "BQML"
        for keyword, value in changes.items() if number == 3 else ():
            setattr(dataset, keyword, value)
        save(dataset, f"{number}.dcm")
    with pytest.raises(InputError, match=message):
        read_studies([tmp_path])


@pytest.mark.parametrize(
    "changes", [{"SeriesDescription": "Rest perfusion"}, {"SeriesNumber": 7}, {"SeriesType": ["GATED", "IMAGE"]}]
)
def test_pet_series_that_share_their_uid_are_told_apart(save, tmp_path, changes):
    values = counts_of(2, 7, 8, 9)
    one, other = pet_slices(values[:1]), pet_slices(values[1:])
    for dataset in other:
        dataset.SeriesInstanceUID = one[0].SeriesInstanceUID
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
    for number, dataset in enumerate([*one, *other]):
        save(dataset, f"{number:02d}.dcm")
    (study,) = read_studies([tmp_path]).studies
    slope = 1.0 + 0.5 * np.arange(7)[:, None, None]
    sums = sorted(float(scan.image.array.sum()) for scan in study.scans)
    assert len(sums) == (1 if "SeriesType" in changes else 2)  # the static sum of a gated scan is set aside
    assert sums == pytest.approx(sorted((value * slope).sum() for value in values[-len(sums) :]))
