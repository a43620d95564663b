"""Every bad input gives one clear line without patient data; in a folder it is listed and skipped."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1, RLELossless

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.io import read_studies
from support.dicom import (
    CT_STORAGE,
    NM_STORAGE,
    PATIENT_ID,
    PATIENT_NAME,
    base,
    counts_of,
    item,
    pet_slices,
    raw_nm,
    recon_nm,
)


def ct():
    dataset = base(CT_STORAGE, "CT", counts_of(1, 8, 9))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    return dataset


def planar(kind):
    dataset = base(NM_STORAGE, "NM", counts_of(2, 64, 32))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    return dataset


def capture():
    dataset = base("1.2.840.10008.5.1.4.1.1.7", "NM", counts_of(1, 8, 9))
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    return dataset


def transmission():
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "TRANSMISSION"]
    return dataset


def exotic():
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.PixelData = encapsulate([b"not a codestream"] * 7)
    dataset["PixelData"].is_undefined_length = True
    return dataset


BAD = {
    "ct": (ct, "modality CT"),
    "bone": (lambda: planar("WHOLE BODY"), "whole-body"),
    "static": (lambda: planar("STATIC"), "planar image"),
    "odd": (lambda: planar("ODD"), "Image Type value 3 is ODD"),
    "capture": (capture, "screen capture"),
    "mu": (transmission, "attenuation map"),
    "one slice": (lambda: pet_slices(counts_of(1, 1, 8, 9))[0], "a single slice is not a volume"),
    "empty": (lambda: raw_nm(np.zeros((1, 1, 9, 7, 8), dtype=int)), "no counts"),
}


NOT_DICOM = (
    b"",
    b"hello, this is text\n" * 40,
    np.random.default_rng(0).bytes(5000),
    b"PK\x03\x04" + bytes(300),
)


def one_line_without_patient(error, name):
    text = str(error)
    assert text.startswith(f"{name}: ")
    assert "\n" not in text
    assert "Zacharias" not in text
    assert "Quentin" not in text
    assert PATIENT_NAME not in text
    assert PATIENT_ID not in text


@pytest.mark.parametrize("kind", BAD)
def test_kinds_not_analysed(save, kind, capfd):
    make, word = BAD[kind]
    with pytest.raises(InputError, match=word) as caught:
        read_studies([save(make(), "bad.dcm")])
    one_line_without_patient(caught.value, "bad.dcm")
    assert capfd.readouterr() == ("", "")


def test_a_whole_body_scan_is_unsupported_not_damaged(save):
    with pytest.raises(UnsupportedInputError):
        read_studies([save(planar("WHOLE BODY"))])


@pytest.mark.parametrize("keep", [0, 60, 140, 400, 1500, -20])
def test_truncated_file(save, tmp_path, keep, capfd):
    whole = save(raw_nm(counts_of(1, 1, 9, 7, 8)), "whole.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:keep])
    with pytest.raises(InputError) as caught:
        read_studies([tmp_path / "cut.dcm"])
    one_line_without_patient(caught.value, "cut.dcm")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, this is text\n" * 40, np.random.default_rng(0).bytes(5000), b"PK\x03\x04" + bytes(300)],
    ids=range(4),
)
def test_not_dicom(tmp_path, content):
    (tmp_path / "notes.txt").write_bytes(content)
    with pytest.raises(InputError, match="neither DICOM nor NIfTI"):
        read_studies([tmp_path / "notes.txt"])


def test_a_transfer_syntax_no_decoder_reads(save, tmp_path):
    dataset = exotic()
    path = save(dataset, "odd.dcm")
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG2
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(InputError, match=r"no installed decoder.*1\.2\.840\.10008\.1\.2\.4\.100") as caught:
        read_studies([path])
    one_line_without_patient(caught.value, "odd.dcm")


def test_rle_is_read(save):
    values = counts_of(1, 7, 8, 9)
    path = save(recon_nm(values), "rle.dcm")
    dataset = dcmread(path)
    dataset.compress(RLELossless)
    dataset.save_as(path, enforce_file_format=True)
    scan = read_studies([path]).studies[0].scans[0]
    np.testing.assert_array_equal(scan.image.array, values)
    header = dcmread(io.BytesIO(scan.source_headers[0]))
    assert header.SOPInstanceUID == dataset.SOPInstanceUID
    assert "PixelData" not in header


def test_jpeg_lossless_is_read(save, tmp_path):
    import gdcm

    values = counts_of(1, 7, 8, 9)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(save(recon_nm(values), "plain.dcm")))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(tmp_path / "jpeg.dcm"))
    assert writer.Write()
    assert dcmread(tmp_path / "jpeg.dcm").file_meta.TransferSyntaxUID == JPEGLosslessSV1
    scan = read_studies([tmp_path / "jpeg.dcm"]).studies[0].scans[0]
    np.testing.assert_array_equal(scan.image.array, values)


def test_missing_path_names_the_file_only(tmp_path):
    with pytest.raises(InputError, match=r"^gone: no such file") as caught:
        read_studies([tmp_path / "gone"])
    assert str(tmp_path) not in str(caught.value)


def test_empty_folder(tmp_path):
    with pytest.raises(InputError, match="holds no files"):
        read_studies([tmp_path])


def test_the_only_file_of_a_folder_is_the_subject_of_its_reason(tmp_path):
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(InputError, match=r"^The folder's only file is not a usable perfusion study: neither DICOM"):
        read_studies([tmp_path])


def test_folder_of_nothing_usable_says_the_commonest_reason(save, tmp_path):
    for number in range(3):
        save(ct(), f"ct{number}.dcm")
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(InputError, match="None of 4 files is a usable perfusion study; 3 of them: modality CT"):
        read_studies([tmp_path])


def test_mixed_up_folder_is_sorted_and_the_rest_listed(save, tmp_path):
    for number, (make, _) in enumerate(BAD.values()):
        save(make(), f"bad{number}.dcm", tmp_path / "deep" / "er")
    (tmp_path / "readme.txt").write_text("hello")
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "stress.dcm")
    save(recon_nm(counts_of(1, 7, 8, 9)), "rest.dcm", tmp_path / "deep")
    other = recon_nm(counts_of(1, 7, 8, 9))
    other.StudyInstanceUID, other.PatientID = "1.2.3", "another"
    save(other, "other.dcm")
    result = read_studies([tmp_path])
    assert [[(s.state, s.source) for s in study.scans] for study in result.studies] == [
        [("stress", ("stress.dcm",)), ("rest", ("rest.dcm",))],
        [("rest", ("other.dcm",))],
    ]
    kept = [(image.kind, image.files[0].name) for image in result.studies[0].attenuation]
    assert kept == [("map", "bad5.dcm"), ("ct", "bad0.dcm")]
    left = [f"bad{n}.dcm" for n in range(len(BAD)) if n not in (0, 5)]
    assert sorted(s.file for s in result.skipped) == [*left, "readme.txt"]
    for skipped in result.skipped:
        assert "Zacharias" not in skipped.reason
        assert PATIENT_ID not in skipped.reason


def test_broken_values_in_the_header_are_not_quoted(save, tmp_path, capfd, caplog):
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    whole = save(dataset, "whole.dcm").read_bytes()
    (tmp_path / "odd.dcm").write_bytes(whole.replace(b"063Y", b"Zac\\").replace(b"ISO_IR 192", b"ISO_IR 999"))
    scan = read_studies([tmp_path / "odd.dcm"]).studies[0].scans[0]
    assert scan.image.array.any()
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


def test_an_impossible_value_representation_is_a_damaged_header(save, tmp_path):
    whole = save(raw_nm(counts_of(1, 1, 9, 7, 8)), "whole.dcm").read_bytes()
    at = whole.index(b"063Y") - 4
    (tmp_path / "odd.dcm").write_bytes(whole[:at] + b"QQ" + whole[at + 2 :])
    with pytest.raises(InputError, match=r"damaged|neither DICOM") as caught:
        read_studies([tmp_path / "odd.dcm"])
    one_line_without_patient(caught.value, "odd.dcm")


def test_corrupted_bytes_never_give_another_error(save, tmp_path, capfd):
    whole = save(recon_nm(counts_of(2, 7, 8, 9)), "whole.dcm").read_bytes()
    rng, refused = np.random.default_rng(8), 0
    for _ in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(128, len(whole) - 2 * 7 * 8 * 9 * 2, size=4)] = rng.integers(0, 256, size=4)
        (tmp_path / "hit.dcm").write_bytes(damaged.tobytes())
        try:
            read_studies([tmp_path / "hit.dcm"])
        except InputError as error:
            one_line_without_patient(error, "hit.dcm")
            refused += 1
    assert 0 < refused < 150
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"", "an empty file"),
        (b"DICM" + bytes(200), r"without its first 128 bytes"),
        (b"NRRD0004", "an NRRD volume"),
        (b"ObjectType = Image", "a MetaImage volume"),
        (b"MATRIX72v", "an ECAT volume"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\xfd7zXZ", "compressed by xz"),
        (bytes(257) + b"ustar", "a tar archive"),
        (b"\xef\xbb\xbf!INTERFILE :=", "an Interfile header"),
        (b"%PDF-1.4", "a PDF document"),
        (b"<html>", "an XML or HTML document"),
    ],
)
def test_other_formats_are_named(tmp_path, start, what):
    (tmp_path / "export").write_bytes(start)
    with pytest.raises(InputError, match=what):
        read_studies([tmp_path / "export"])


def test_the_retired_class_of_nm_is_named(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.5"
    with pytest.raises(UnsupportedInputError, match="retired class"):
        read_studies([save(dataset)])


def test_floating_point_pixels_are_read(save):
    values = counts_of(1, 7, 8, 9)
    dataset = recon_nm(values)
    expected = read_studies([save(dataset, "whole.dcm")]).studies[0].scans[0].image.array
    dataset.FloatPixelData, dataset.BitsAllocated = dataset.pixel_array.astype("<f4").tobytes(), 32
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    np.testing.assert_allclose(read_studies([save(dataset, "float.dcm")]).studies[0].scans[0].image.array, expected)


@pytest.mark.parametrize(("direction", "what"), [("", "is missing"), ("CLOCKWISE", "is neither CW nor CC")])
def test_a_direction_that_cannot_be_understood_is_not_called_missing(save, direction, what):
    dataset = raw_nm(counts_of(1, 1, 10, 7, 8), step=18.0)
    dataset.RotationInformationSequence[0].RotationDirection = direction
    with pytest.raises(InputError, match=f"Rotation Direction {what}"):
        read_studies([save(dataset)])


def test_a_radius_that_cannot_be_understood_is_not_called_missing(save):
    dataset = raw_nm(counts_of(1, 1, 10, 7, 8), step=18.0)
    rotation = dataset.RotationInformationSequence[0]
    rotation.RadialPosition = "200.50"
    path = save(dataset)
    path.write_bytes(path.read_bytes().replace(b"200.50", b"200,50"))
    (finding,) = [f for f in read_studies([path]).studies[0].scans[0].findings if f.code == "no-radius"]
    assert "not a number" in finding.message


def test_a_slice_that_comes_twice_is_not_called_missing(save, tmp_path):
    slices = pet_slices(counts_of(1, 5, 8, 9))
    for number, dataset in enumerate([*slices, slices[2]]):
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        save(dataset, f"{number}.dcm")
    with pytest.raises(InputError, match="at 1 of them slices are there more than once"):
        read_studies([tmp_path])


@pytest.mark.parametrize(("half_life_s", "modality"), [("21624.12", "NM"), ("263000", "NM"), ("6586.2", "PT")])
def test_the_half_life_names_the_radionuclide(save, tmp_path, half_life_s, modality):
    for number, dataset in enumerate(pet_slices(counts_of(1, 9, 8, 9))):
        dataset.RadiopharmaceuticalInformationSequence = [
            item(Radiopharmaceutical="Solution", RadionuclideHalfLife=half_life_s)
        ]
        save(dataset, f"{number}.dcm")
    assert read_studies([tmp_path]).studies[0].scans[0].modality == modality


@pytest.mark.parametrize(("method", "corrected"), [("Off", False), ("keine", False), ("NONE", False), ("CT", True)])
def test_the_method_of_correction_may_be_none(save, method, corrected):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.AttenuationCorrectionMethod = method
    assert read_studies([save(dataset)]).studies[0].scans[0].attenuation_corrected is corrected
