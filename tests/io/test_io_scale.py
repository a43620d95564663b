"""Stored values become counts or activity before anything is judged by them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pydicom.sequence import Sequence

from myoperf.errors import InputError
from myoperf.io import read_studies
from myoperf.types import Scan
from support.dicom import counts_of, item, pet_slices, raw_nm, recon_nm

COUNTS = counts_of(1, 1, 9, 7, 8)


def read(*paths) -> Scan:
    return read_studies(list(paths)).studies[0].scans[0]


def mapping(slope, intercept=0.0):
    return Sequence([item(RealWorldValueSlope=slope, RealWorldValueIntercept=intercept)])


def add_philips(dataset, element, value):
    dataset.private_block(0x7053, "Philips PET Private Group", create=True).add_new(element, "DS", value)


@pytest.mark.parametrize("attribute", ["rescale", "mapping", "philips"])
def test_projections_are_counts_not_stored_values(save, attribute):
    dataset = raw_nm(COUNTS * 4)
    if attribute == "rescale":
        dataset.RescaleSlope, dataset.RescaleIntercept = "0.25", "0"
    elif attribute == "mapping":
        dataset.RealWorldValueMappingSequence = mapping(0.25)
    else:
        add_philips(dataset, 0x09, "0.25")
    assert_allclose(read(save(dataset)).image.array[0], COUNTS[0, 0])


@pytest.mark.parametrize("values", [("1e300", "0"), ("1", "-1e30")])
def test_a_scale_beyond_single_precision_is_refused_by_its_name(save, values):
    dataset = recon_nm(COUNTS[0])
    dataset.RescaleSlope, dataset.RescaleIntercept = values
    with pytest.raises(InputError, match=r"Correct Rescale Slope and Intercept"):
        read(save(dataset))


def test_negative_counts_are_judged_after_the_scale(save):
    dataset = raw_nm(COUNTS)
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", str(-int(COUNTS.max()))
    with pytest.raises(InputError, match="negative counts"):
        read(save(dataset, "negative.dcm"))
    dataset.PixelRepresentation = 1
    dataset.PixelData = (COUNTS - COUNTS.max()).astype("<i2").tobytes()
    dataset.RescaleIntercept = str(int(COUNTS.max()))
    assert_allclose(read(save(dataset, "signed.dcm")).image.array[0], COUNTS[0, 0])


def test_rescale_and_real_world_values_are_not_applied_one_after_the_other(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "0"
    dataset.RealWorldValueMappingSequence = mapping(0.125)
    assert_allclose(read(save(dataset, "both.dcm")).image.array, counts_of(1, 7, 8, 9) * 0.5)
    dataset.RescaleSlope = "1"  # changes nothing: the mapping does
    assert_allclose(read(save(dataset, "identity.dcm")).image.array, counts_of(1, 7, 8, 9) * 0.125)


def test_a_negative_slope_is_refused(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.RescaleSlope, dataset.RescaleIntercept = "-1", "5000"
    with pytest.raises(InputError, match="slope from stored values"):
        read(save(dataset))


@pytest.mark.parametrize(("element", "units", "factor"), [(0x09, "CNTS", 2.5), (0x00, "CNTS", 2.5), (0x09, "BQML", 1)])
@pytest.mark.parametrize("creator", [True, False])
def test_philips_pet_in_counts_is_turned_into_activity_slice_by_slice(save, element, units, factor, creator):
    values = counts_of(1, 15, 8, 9)
    slices = pet_slices(values)
    for plane, dataset in enumerate(slices):
        dataset.Units = units
        add_philips(dataset, element, 2.5 + plane)
        if not creator:
            del dataset[0x7053, 0x0010]
    image = read(*[save(dataset, f"{i}.dcm") for i, dataset in enumerate(slices)]).image
    plane = np.arange(15)[:, None, None]
    expected = values[0] * (1.0 + 0.5 * plane) * ((2.5 + plane) if factor == 2.5 else 1.0)
    assert_allclose(image.array[0], expected, rtol=1e-6)


def test_real_world_values_of_pet_are_used_where_rescale_changes_nothing(save):
    slices = pet_slices(counts_of(1, 15, 8, 9))
    for plane, dataset in enumerate(slices):
        dataset.RescaleSlope = 1.0
        dataset.RealWorldValueMappingSequence = mapping(1.0 + plane)
    image = read(*[save(dataset, f"{i}.dcm") for i, dataset in enumerate(slices)]).image
    assert_allclose(image.array[0], counts_of(1, 15, 8, 9)[0] * (1.0 + np.arange(15)[:, None, None]), rtol=1e-6)


@pytest.mark.parametrize("keyword", ["RescaleSlope", "PixelSpacing", "SpacingBetweenSlices"])
def test_a_value_that_is_there_but_is_no_number_is_not_called_missing(save, keyword):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.RescaleSlope, dataset.SliceThickness = "1.5", "5.0"
    path = save(dataset)
    good = {"RescaleSlope": b"1.5 ", "PixelSpacing": b"6.5\\6.0 ", "SpacingBetweenSlices": b"-6.0"}[keyword]
    data = path.read_bytes()
    assert data.count(good) == 1
    path.write_bytes(data.replace(good, good.replace(b".", b",")))
    label = {"RescaleSlope": "Rescale Slope", "PixelSpacing": "Pixel Spacing"}.get(keyword, "Spacing Between Slices")
    with pytest.raises(InputError, match=f"{label} has a value that is not a number") as caught:
        read(path)
    assert "missing" not in str(caught.value)
    assert "," not in str(caught.value).split("(")[0]
