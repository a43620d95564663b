"""What reading and reporting share of DICOM: values, identifiers, grids and the saved file."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from myoperf.dicom import decimal_string, plane_geometry, plane_origins, save_dataset, uid_from, valid_text
from myoperf.errors import GeometryError, OutputExistsError
from myoperf.types import Volume
from support.dicom import oblique_affine


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (6.8, "6.8"),
        (-101.123456789012, "-101.123456789"),
        (-1.2345678901e-100, "-1.23456789e-100"),
    ],
)
def test_decimal_strings_hold_at_most_16_characters(value, text):
    assert decimal_string(value) == text
    assert len(text) <= 16


def test_uids_are_valid_and_of_their_parts():
    assert pydicom.uid.UID(uid_from("a", 1)).is_valid
    assert uid_from("a", 1) == uid_from("a", 1)
    assert uid_from("a", "b") != uid_from("ab")


def test_values_that_break_their_representation_are_left_empty():
    assert valid_text("StudyDate", "20260102") == "20260102"
    assert [valid_text("StudyDate", value) for value in ("2026.01.02", None)] == ["", ""]
    assert valid_text("PatientID", "P" * 80) == ""


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_grid_comes_back_from_its_dicom_geometry(mirrored):
    volume = Volume(np.ones((7, 8, 9)), oblique_affine(mirrored=mirrored))
    grid = plane_geometry(volume)
    along_row, down_column = np.array(grid.orientation, float).reshape(2, 3)
    row_mm, column_mm = map(float, grid.pixel_spacing)
    step = float(grid.step) * np.cross(along_row, down_column)
    assert np.column_stack([step, row_mm * down_column, column_mm * along_row]) == pytest.approx(
        volume.lps_from_index[:3, :3], abs=1e-6
    )
    assert plane_origins(volume)[6] == pytest.approx((volume.lps_from_index @ (6, 0, 0, 1))[:3])


def test_a_sheared_grid_has_no_dicom_geometry():
    sheared = np.eye(4)
    sheared[0, 1] = 0.4
    with pytest.raises(GeometryError, match="right angles"):
        plane_geometry(Volume(np.ones((2, 3, 4)), sheared))


def test_a_file_is_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.NuclearMedicineImageStorage, uid_from("instance")
    path = save_dataset(dataset, tmp_path / "a.dcm")
    assert pydicom.dcmread(path).file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    with pytest.raises(OutputExistsError, match=r"a\.dcm"):
        save_dataset(dataset, path)
    monkeypatch.setattr(Dataset, "save_as", lambda self, path, **_: path.write_bytes(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_dataset(dataset, tmp_path / "b.dcm")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.dcm"]
