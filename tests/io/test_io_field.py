"""The field cases: files with properties that users of other programs met, read right or refused with the cause."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from myoperf.errors import InputError
from myoperf.io import ReadResult, read_studies
from myoperf.recon import reconstruct
from myoperf.types import Scan, Volume
from support.field import field_folder, make_case, simulated_base

pytestmark = pytest.mark.slow
SAME = {
    "03_short_ax_name": "B5_sax",
    "05_base_to_apex": "B5_sax",
    "27_coronal": "B1_recon_static",
    "28_raw_slope": "B2_raw_static",
    "37b_pet_noac_name": "B3_pet_static",
    "38_nm_ac_names": "B1_recon_static",
    "41_dyn_midnight": "B4_dyn",
    "54_zip": "B1_recon_static",
    "56a_no_preamble_no_meta": "B1_recon_static",
    "61_map_names": "B1_recon_static",
    "76_nm_single_frames": "B1_recon_static",
}
REFUSED = {
    "02_long_ax_name": "long-axis slices",
    "18_decimal_comma": "Pixel Spacing has a value that is not a number",
    "32_pinhole": "pinhole collimators",
}
BOTH_STATES = ("50_same_instance_uid", "53_study_per_file", "63_two_unknown")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    field_folder()
    return simulated_base(tmp_path_factory.mktemp("field-base"))


@pytest.fixture(scope="module")
def case(base):
    """Read a case by its name; each is made and read once."""

    @cache
    def read(name: str) -> ReadResult:
        return read_studies(make_case(field_folder() / f"{name}.py", base, base / "cases" / name))

    return read


def first_scan(result: ReadResult) -> Scan:
    return result.studies[0].scans[0]


def assert_same_image(got: Scan, expected: Scan) -> None:
    """Assert equal values at equal places of the patient, however the voxels are ordered."""
    one, other = got.image, expected.image
    if isinstance(one, Volume):
        assert isinstance(other, Volume)
        there = np.linalg.solve(other.lps_from_index, one.lps_from_index)
        assert_allclose(there, np.round(there), atol=1e-3)
        index = np.indices(one.grid_shape).reshape(3, -1)
        place = np.round(there[:3, :3] @ index + there[:3, 3:]).astype(int)
        assert_allclose(one.array.reshape(one.frames, -1), other.array[:, *place], rtol=1e-6)
    else:
        assert_array_equal(one.array, other.array)
        assert_array_equal(one.angles_deg, other.angles_deg)


def test_every_case_has_a_test():
    scripts = {path.stem for path in field_folder().glob("[0-9]*.py")}
    assert scripts == {*SAME, *REFUSED, *BOTH_STATES, "34_counterclockwise", "66_no_slot_vector"}


@pytest.mark.parametrize("name", SAME)
def test_read_as_the_unmodified_study(case, name):
    got, expected = first_scan(case(name)), first_scan(case(SAME[name]))
    assert (got.state, got.framing, got.orientation) == (expected.state, expected.framing, expected.orientation)
    assert_same_image(got, expected)
    if expected.frame_start_ms is not None:
        assert_allclose(got.frame_start_ms, expected.frame_start_ms, atol=1.0)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_cause(case, name):
    with pytest.raises(InputError, match=REFUSED[name]):
        case(name)


@pytest.mark.parametrize("name", BOTH_STATES)
def test_stress_and_rest_are_one_study(case, name):
    (study,) = case(name).studies
    assert [scan.state for scan in study.scans] == ["stress", "rest"]
    assert not np.array_equal(study.scans[0].image.array, study.scans[1].image.array)


def test_the_same_views_give_the_same_image_whichever_way_they_are_told(case):
    one, other = (
        reconstruct(first_scan(case(name)).image).volume.array for name in ("B2_raw_static", "34_counterclockwise")
    )
    assert_allclose(other, one, atol=1e-4 * one.max())


def test_time_slots_without_their_vector(case, base):
    scan = first_scan(case("66_no_slot_vector"))
    whole = first_scan(read_studies(Path(base) / "spect/patient-0001/dicom/stress_tomo.dcm"))
    assert_array_equal(scan.image.array, whole.image.array)
    assert "time-slots-in-order" in [finding.code for finding in scan.findings]
