"""What reading and reporting share of DICOM: values, identifiers, grids and the saved file."""

from __future__ import annotations

import io
import logging
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from myoperf.dicom import (
    decimal_string,
    encode_dataset,
    faulty_values,
    plane_geometry,
    plane_origins,
    quiet_pydicom,
    save_dataset,
    uid_from,
    valid_text,
)
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


def test_a_dataset_is_written_as_pydicom_writes_it():
    deep, item, dataset = Dataset(), Dataset(), Dataset()
    deep.CodeValue, deep.CodeMeaning, deep.ReferencedFrameNumber = "7", "Größe", [1, 2]
    item.ConceptNameCodeSequence, item.TextValue, item.NumericValue = [deep, Dataset()], "", ["1.5", "2"]
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.34", "2.25.7"
    dataset.PatientName, dataset.ImageType, dataset.StudyDate = "Ä^B", ["DERIVED", "PRIMARY"], "20200102"
    dataset.ContentSequence, dataset.PerformedProcedureCodeSequence = [item, item], []
    dataset.PixelRepresentation, dataset.SmallestImagePixelValue = 1, -3  # its kind depends on the representation
    dataset.BitsAllocated, dataset.PixelData = 16, b"\0\1"
    encoded, expected = encode_dataset(dataset), io.BytesIO()
    dataset.save_as(expected, enforce_file_format=True)
    assert encoded == expected.getvalue()


def test_a_file_is_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.NuclearMedicineImageStorage, uid_from("instance")
    path = save_dataset(dataset, tmp_path / "a.dcm")
    assert pydicom.dcmread(path).file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    with pytest.raises(OutputExistsError, match=r"a\.dcm"):
        save_dataset(dataset, path)
    monkeypatch.setattr(Dataset, "save_as", lambda self, file, **_: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_dataset(dataset, tmp_path / "b.dcm")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.dcm"]


@pytest.mark.parametrize(
    ("keyword", "value", "valid"),
    [
        ("PatientSex", "U", ""),
        ("PatientSex", "F", "F"),
        ("PatientID", "x" * 65, "x" * 64),
        ("PatientID", ["one", "two"], "one"),
        ("PatientName", "A^B=\x1b$B=C" + "c" * 80, "A^B=$B=C" + "c" * 63),
        ("StudyInstanceUID", "1.2.3", "1.2.3"),
        ("StudyInstanceUID", ["1.2.3", "1.2.4"], "1.2.3"),
        ("StudyInstanceUID", "1.02.3", uid_from("valid", "1.02.3")),
        ("DeidentificationMethod", ["one", "two"], "one\\two"),
        ("StudyDate", "2026.01.02", ""),
        ("PatientAge", "63", ""),
        ("PatientSize", "1,80", ""),
        ("AccessionNumber", None, ""),
    ],
)
def test_values_are_made_valid(keyword, value, valid):
    assert valid_text(keyword, value) == valid


def test_faulty_values_are_named_and_right_ones_are_not():
    header = Dataset()
    header.PatientName, header.PatientID, header.PatientSex = "Zacharias^Quentin", "ID-1", "F"
    header.StudyInstanceUID, header.PatientWeight, header.PatientBirthDate = "1.2.3", "71.5", ""
    assert faulty_values(header) == ()
    with quiet_pydicom():
        header.PatientSex, header.StudyInstanceUID = "W", "1.2.x"
    assert faulty_values(header) == ("PatientSex", "StudyInstanceUID")


def test_pydicom_is_quiet_inside_a_quiet_block_and_loud_after_it():
    log = logging.getLogger("pydicom")
    level = log.level
    with quiet_pydicom():
        for _ in range(2):  # leaving an inner block does not end the outer one
            with quiet_pydicom():
                assert log.level > logging.CRITICAL
            assert log.level > logging.CRITICAL
            warnings.warn("a patient's name", UserWarning, stacklevel=1)
    assert log.level == level
    with pytest.warns(UserWarning, match="said"):
        warnings.warn("said", UserWarning, stacklevel=1)
