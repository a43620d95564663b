"""What cannot be an image of a heart is refused at once, by the value and its limit."""

import os
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from pydicom.sequence import Sequence

from myoperf.errors import InputError
from myoperf.io import read_studies
from support.dicom import counts_of, item, pet_slices, raw_nm, recon_nm

IMPLAUSIBLE = {
    "tiny pixels": (lambda d: setattr(d, "PixelSpacing", [0.0001, 6.0]), "Pixel Spacing is 0.0001 mm; 0.4 to 20 mm"),
    "huge pixels": (lambda d: setattr(d, "PixelSpacing", ["1e308", "6.0"]), r"Pixel Spacing is 1e\+308 mm; 0.4 to 20"),
    "far away": (
        lambda d: setattr(d.DetectorInformationSequence[0], "ImagePositionPatient", ["0", "0", "1e300"]),
        r"Image Position is 1e\+300 mm; at most 10000 mm",
    ),
    "small": (
        lambda d: setattr(d, "PixelSpacing", [5.0, 6.0]),
        "35 mm long along an axis of 7 pixels or slices; 40 to",
    ),
    "vector": (
        lambda d: setattr(d, "AngularViewVector", [0, *range(1, 9)]),
        "values from 0 to 8; whole numbers from 1",
    ),
    "start": (
        lambda d: setattr(d.RotationInformationSequence[0], "StartAngle", "1e30"),
        r"Start Angle is 1e\+30 degrees; -720 to 720",
    ),
    "step": (
        lambda d: setattr(d.RotationInformationSequence[0], "AngularStep", "721"),
        "Angular Step is 721 degrees; -720 to 720",
    ),
    "vector high": (lambda d: setattr(d, "TimeSlotVector", [1] * 8 + [900]), "values from 1 to 900"),
}


def refused(paths, match):
    """Assert that reading ends with this message, before memory for what the header promises is taken."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=match):
            read_studies(paths)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", IMPLAUSIBLE)
def test_implausible_raw_views_are_refused(save, case):
    change, match = IMPLAUSIBLE[case]
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    change(dataset)
    refused([save(dataset)], match)


def test_three_views_are_no_tomography(save):
    refused([save(raw_nm(counts_of(1, 1, 3, 7, 8)))], "3 raw views; at least 4 are needed")


def test_a_missing_number_of_frames_is_named(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    del dataset.NumberOfFrames
    refused([save(dataset)], "504 pixels decoded; Number of Frames, Rows and Columns announce 72")


def test_no_rows_are_named(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.Rows = 0
    refused([save(dataset)], "7 images of 0 x 9 pixels")


@pytest.mark.parametrize("step", ["0.0001", "1e308", "-30"])
def test_implausible_steps_between_slices_are_refused(save, step):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.SpacingBetweenSlices = step
    refused([save(dataset)], "Spacing Between Slices is")


def test_three_columns_are_no_heart_study(save):
    refused([save(recon_nm(counts_of(1, 7, 8, 3)))], "18 mm long along an axis of 3 pixels")


def test_slices_beyond_any_patient_are_refused(save, tmp_path):
    slices = pet_slices(counts_of(1, 130, 8, 9), step=18.0)
    for number, dataset in enumerate(slices):
        save(dataset, f"{number}.dcm")
    refused([tmp_path], "2340 mm long")


def test_more_gates_than_a_study_has_are_refused(save):
    refused([save(raw_nm(counts_of(65, 1, 4, 7, 8), step=45.0))], "65 gates or time frames; at most 64")


@pytest.mark.parametrize(
    ("keyword", "value", "match"),
    [
        ("NumberOfFrames", 100_000, "Number of Frames is 100000; 1 to 8192"),
        ("Rows", 65535, "images of 65535 x 65535 pixels; 1 to 536870912"),
    ],
)
def test_pixels_are_counted_before_they_are_unpacked(save, keyword, value, match):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    setattr(dataset, keyword, value)
    if keyword == "Rows":
        dataset.Columns = value
    refused([save(dataset)], match)


def test_nifti_is_counted_before_it_is_unpacked(tmp_path):
    path = tmp_path / "stress.nii"
    nib.save(nib.Nifti1Image(np.ones((8, 8, 8), np.uint8), np.diag([8.0, 8, 8, 1])), path)
    header = bytearray(path.read_bytes())
    header[42:48] = np.array([8192, 8192, 8192], "<i2").tobytes()
    path.write_bytes(header)
    refused([path], "at most 536870912 are expected")


def test_nifti_of_an_implausible_size_is_refused(tmp_path):
    path = tmp_path / "stress.nii"
    nib.save(nib.Nifti1Image(np.arange(512.0).reshape(8, 8, 8), np.diag([8.0, 8, 0.1, 1])), path)
    refused([path], "is 0.1 mm; 0.4 to 20")


@pytest.mark.parametrize("name", ["pipe", "pipe.nii", "/dev/zero"])
def test_only_regular_files_are_opened(tmp_path, name):
    path = tmp_path / name
    if name != "/dev/zero":
        os.mkfifo(path)
    refused([path], "not a regular file")


def test_a_pipe_in_a_folder_is_named(save, tmp_path):
    save(recon_nm(counts_of(1, 7, 8, 9)))
    os.mkfifo(tmp_path / "pipe")
    (skipped,) = read_studies([tmp_path]).skipped
    assert (skipped.file, "regular file" in skipped.reason) == ("pipe", True)


def test_slots_are_taken_in_order_where_only_their_vector_is_missing(save):
    counts = counts_of(8, 1, 9, 7, 8)
    dataset = raw_nm(counts)
    del dataset.TimeSlotVector
    dataset.NumberOfTimeSlots = 8
    scan = read_studies([save(dataset)]).studies[0].scans[0]
    np.testing.assert_array_equal(scan.image.array, counts[:, 0])
    assert "time-slots-in-order" in [finding.code for finding in scan.findings]


def test_slots_that_do_not_come_out_even_are_refused(save):
    dataset = raw_nm(counts_of(8, 1, 9, 7, 8))
    del dataset.TimeSlotVector
    dataset.NumberOfTimeSlots = 6
    refused([save(dataset)], "Time Slot Vector is missing")


@pytest.mark.parametrize("make", [lambda: raw_nm(counts_of(7, 1, 9, 7, 8)), lambda: recon_nm(counts_of(7, 7, 8, 9))])
def test_fewer_time_slots_than_the_file_states_are_refused(save, make):
    dataset = make()
    dataset.NumberOfTimeSlots = 8
    refused([save(dataset)], "7 of 8 time slots")


def test_one_gate_of_several_is_no_scan(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"]
    dataset.TimeSlotVector, dataset.NumberOfTimeSlots = [3] * 7, 8
    refused([save(dataset)], "1 of 8 time slots")


def test_a_sum_over_gates_may_keep_their_number(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.NumberOfTimeSlots = 8
    scan = read_studies([save(dataset)]).studies[0].scans[0]
    assert scan.framing == "static"
    assert "gated-single" in [finding.code for finding in scan.findings]


def test_gated_pet_of_fewer_gates_than_stated_is_refused(save, tmp_path):
    for number, dataset in enumerate(pet_slices(counts_of(7, 7, 8, 9), kind="GATED")):
        dataset.NumberOfTimeSlots = 8
        save(dataset, f"{number}.dcm")
    refused([tmp_path], "7 of 8 time slots")


def test_a_missing_detector_vector_is_named(save):
    dataset = raw_nm(counts_of(1, 2, 5, 7, 8), step=18.0, detector_starts=(225.0, 135.0))
    dataset.NumberOfDetectors = 2
    del dataset.DetectorVector
    refused([save(dataset)], "Detector Vector is missing or constant, and the file holds 2 detectors")


def test_reconstructions_need_no_detector_vector(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.NumberOfDetectors = 2
    assert read_studies([save(dataset)]).studies


def test_negative_numbers_of_a_gate_vector_are_refused(save):
    dataset = recon_nm(counts_of(2, 7, 8, 9))
    dataset.TimeSlotVector = [1] * 7 + [65535] * 7
    dataset.GatedInformationSequence = Sequence([item()])
    refused([save(dataset)], "Time Slot Vector has values from 1 to 65535")
