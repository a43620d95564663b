"""CT slices: written, read slice by slice, and refused where they cannot correct attenuation."""

from dataclasses import replace
from functools import partial

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose

from myoperf.errors import InputError, MyoPerfError
from myoperf.geometry import sample
from myoperf.io import find_attenuation
from myoperf.io.ct import coarse_ct, read_ct_series
from myoperf.io.ct_writer import write_ct
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.recon import attenuation_per_cm, hounsfield_line
from myoperf.types import Volume

HEADER = SimulatedHeader(patient_id="SIM-1", state="stress", series_description="Simulated stress CT")


def body_hu(shape=(12, 40, 44), spacing=(5.0, 2.0, 2.0)):
    """Water from -30 to 30 mm across in air, a rod of bone at (10, -6)."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:3, 3] = [-0.5 * (shape[2] - 1) * 2.0, -0.5 * (shape[1] - 1) * 2.0, 100.0]
    affine[3, 3] = 1.0
    y, x = (affine[row, 3] + 2.0 * np.arange(n) for row, n in ((1, shape[1]), (0, shape[2])))
    plane = np.where(np.hypot(x[None], y[:, None]) < 30.0, 0.0, -1000.0)
    plane[np.hypot(x[None] - 10.0, y[:, None] + 6.0) < 6.0] = 800.0
    return Volume(np.repeat(plane[None], shape[0], axis=0).astype(np.float32), affine)


@pytest.fixture
def series(tmp_path):
    """A CT on disk, and a function that changes an attribute of some slices."""
    folder = write_ct(tmp_path / "ct", body_hu(), HEADER, kvp=120.0)

    def change(edit, only=slice(None)):
        for path in sorted(folder.iterdir())[only]:
            dataset = pydicom.dcmread(path)
            edit(dataset)
            dataset.save_as(path)
        return folder

    return change


def read(folder):
    return read_ct_series(find_attenuation(folder))


def test_what_is_written_comes_back_in_its_place_and_unit(series):
    found = read(series(lambda dataset: None))
    assert (found.kvp, found.scanner) == (120.0, "MyoPerf simulated camera")
    convert = partial(attenuation_per_cm, line=hounsfield_line(found.scanner, found.kvp))
    coarse = coarse_ct(found, convert, pixel_mm=4.0)
    assert coarse.converted.grid_shape == (12, 20, 22)  # 5 mm planes stay, pixels of 2 mm are averaged in fours
    here = np.array([[0.0, 0.0, 110.0], [-15.0, 8.0, 130.0], [10.0, -6.0, 120.0], [0.0, 36.0, 120.0]])
    expected = [0.1538, 0.1538, 0.1538 + 800 * hounsfield_line(None, 120.0).above, 0.0]
    assert_allclose(sample(coarse.converted, here)[0], expected, atol=0.005)


def test_conversion_comes_before_averaging(series):
    found = read(series(lambda dataset: None))
    mean = coarse_ct(found, lambda hu: hu.astype(np.float32), pixel_mm=4.0)
    square = coarse_ct(found, lambda hu: np.square(hu).astype(np.float32), pixel_mm=4.0)
    assert (square.converted.array >= np.square(mean.converted.array) - 1.0).all()
    assert (square.converted.array - np.square(mean.converted.array)).max() > 1e5


def test_outside_the_circle_nothing_was_measured_and_nothing_attenuates(series):
    coarse = coarse_ct(read(series(lambda dataset: None)), lambda hu: np.ones_like(hu, dtype=np.float32), pixel_mm=4.0)
    assert coarse.measured[:, 0, 0].max() == 0.0
    assert coarse.measured[:, 10, 11].min() == 1.0
    assert coarse.converted.array[0, :, 0, 0].max() == 0.0


def test_order_follows_position_whatever_the_files_are_called(series):
    folder = series(lambda dataset: None)
    paths = sorted(folder.iterdir())
    for number, path in enumerate(reversed(paths)):
        path.rename(folder / f"x{number:03d}.dcm")
    heights = [pydicom.dcmread(path).ImagePositionPatient[2] for path in read(folder).files]
    assert list(heights) == sorted(heights)


def tilt(dataset):
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, y + 0.3 * (z - 100.0), z]


def lean(dataset):
    dataset.ImageOrientationPatient = [1, 0, 0, 0, np.cos(0.2), np.sin(0.2)]


def contrast(dataset):
    dataset.ContrastBolusAgent = "Iodine"


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (contrast, "contrast"),
        (lambda dataset: delattr(dataset, "KVP"), "voltage"),
        (tilt, "tilted"),
        (lean, "not axial"),
        (lambda dataset: delattr(dataset, "ImagePositionPatient"), "Image Position"),
        (lambda dataset: setattr(dataset, "ContrastBolusVolume", "80"), "contrast"),
        (lambda dataset: setattr(dataset, "ContrastBolusAgentSequence", [pydicom.Dataset()]), "contrast"),
        (lambda dataset: delattr(dataset, "RescaleIntercept"), "Hounsfield"),
        (lambda dataset: setattr(dataset, "RescaleSlope", 0), "Hounsfield"),
        (lambda dataset: setattr(dataset, "RescaleType", "ED"), "in ED, not in Hounsfield"),
    ],
)
def test_a_ct_that_cannot_correct_is_refused_with_its_reason(series, edit, match):
    with pytest.raises(MyoPerfError, match=match):
        read(series(edit))


@pytest.mark.parametrize("word", ["", "NONE", "No contrast"])
def test_a_ct_that_says_that_no_contrast_was_given_is_read(series, word):
    assert read(series(lambda dataset: setattr(dataset, "ContrastBolusAgent", word))).kvp == 120.0


@pytest.mark.parametrize(("step", "refused"), [(4, False), (5, True)])
def test_slices_far_apart_are_refused(series, step, refused):
    """Slices of 20 mm are read, of 25 mm not."""
    folder = series(lambda dataset: None)
    for position, path in enumerate(sorted(folder.iterdir())):
        if position % step:
            path.unlink()
    if refused:
        with pytest.raises(MyoPerfError, match="25 mm apart"):
            read(folder)
    else:
        assert read(folder).shape[0] == 3


def test_missing_slices_are_refused(series):
    folder = series(lambda dataset: None)
    sorted(folder.iterdir())[5].unlink()
    with pytest.raises(MyoPerfError, match="missing"):
        read(folder)


def test_two_series_in_a_folder_are_refused(tmp_path):
    for number in (1, 2):
        header = replace(HEADER, series_number=number)
        write_ct(tmp_path / "both" / str(number), body_hu(shape=(3, 20, 22)), header, kvp=120.0)
    with pytest.raises(InputError, match="holds 2 CTs"):
        find_attenuation(tmp_path / "both")


def test_the_frame_of_reference_is_that_of_the_scan(tmp_path):
    from myoperf.io.nm.writer import write_projections
    from myoperf.types import Projections

    views = Projections(np.full((1, 8, 8, 8), 9.0), 20.0 * np.arange(8), (6.0, 6.0), np.full(8, 200.0))
    nm = pydicom.dcmread(write_projections(tmp_path / "nm.dcm", views, HEADER))
    folder = write_ct(tmp_path / "ct", body_hu(shape=(3, 20, 22)), HEADER, kvp=120.0)
    image = find_attenuation(folder)
    assert image.frame_of_reference == nm.FrameOfReferenceUID
    assert image.state == "stress"
    assert image.patient_id == "SIM-1"


def test_a_ct_out_of_range_is_not_written(tmp_path):
    with pytest.raises(InputError, match="HU"):
        write_ct(tmp_path / "ct", body_hu().with_array(np.full((1, 12, 40, 44), 4e4)), HEADER, kvp=120.0)
