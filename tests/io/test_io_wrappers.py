"""Studies as media, archives and old exports wrap them: read, or named with the way out."""

import gzip
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)

from myoperf.errors import InputError
from myoperf.io import files, read_studies
from support.dicom import counts_of, item, recon_nm

VALUES = counts_of(1, 7, 8, 9)


def image(paths):
    return read_studies(paths).studies[0].scans[0].image.array


@pytest.fixture
def bare(tmp_path):
    def write(*, implicit=True, little=True):
        path = tmp_path / "IM000001"
        recon_nm(VALUES).save_as(path, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
        return path

    return write


@pytest.mark.parametrize(("implicit", "little"), [(True, True), (False, True), (False, False)])
def test_no_preamble_no_meta_group_no_transfer_syntax(bare, implicit, little):
    path = bare(implicit=implicit, little=little)
    assert path.read_bytes()[128:132] != b"DICM"
    scan = read_studies([path]).studies[0].scans[0]
    assert_array_equal(scan.image.array if little else scan.image.array.astype("<u2").byteswap(), VALUES)
    assert dcmread(BytesIO(scan.source_headers[0])).ImageID == "ReconRest"


def test_meta_group_without_a_transfer_syntax(save):
    path = save(recon_nm(VALUES))
    dataset = dcmread(path)
    del dataset.file_meta.TransferSyntaxUID
    dataset.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[128:132] == b"DICM"
    assert_array_equal(image([path]), VALUES)


def test_a_zipped_study_is_read_with_its_folders(save, tmp_path):
    rest = recon_nm(VALUES)
    stress = recon_nm(counts_of(1, 7, 8, 9, seed=6))
    stress.ImageID = "ReconStress"
    with zipfile.ZipFile(tmp_path / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, dataset in (("A", rest), ("B", stress)):
            path = save(dataset, "IM1", tmp_path / "in")
            archive.write(path, f"DICOM/{folder}/IM1")
            path.unlink()
        archive.writestr("DICOM/notes.txt", "hello")
    before = sorted(tmp_path.rglob("*"))
    result = read_studies([tmp_path / "study.zip"])
    assert {scan.state: scan.source for scan in result.studies[0].scans} == {"stress": ("IM1",), "rest": ("IM1",)}
    assert [s.file for s in result.skipped] == ["notes.txt"]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["rest.nii", "rest.nii.gz"])
def test_nifti_in_a_zip(tmp_path, name):
    path = tmp_path / name
    nib.save(nib.Nifti1Image(VALUES[0].T.astype(np.int32), np.diag([-6.0, -6.5, 6.0, 1.0])), path)
    expected = image([path])
    with zipfile.ZipFile(tmp_path / "n.zip", "w") as archive:
        archive.write(path, name)
    assert_array_equal(image([tmp_path / "n.zip"]), expected)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_SMALL_MEMBER", 2**16)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("IM1", bytes(2**20))
    with pytest.raises(InputError, match="times its packed size"):
        read_studies([path])
    monkeypatch.setattr(files, "LARGEST_ARCHIVE", 2**19)
    with pytest.raises(InputError, match="the archive announces 1 files of 1 MiB"):
        read_studies([path])


def test_a_member_that_lies_about_its_size_is_not_unpacked_beyond_it(save, tmp_path):
    path = tmp_path / "lie.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("IM1", bytes(2**20))
    data = path.read_bytes().replace(struct.pack("<I", 2**20), struct.pack("<I", 2000))
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged in the archive"):
        read_studies([path])


def test_names_that_lead_out_of_an_archive_are_skipped_and_named(save, tmp_path):
    path = save(recon_nm(VALUES))
    with zipfile.ZipFile(tmp_path / "up.zip", "w") as archive:
        archive.write(path, "../../IM1")
        archive.write(path, "ok/IM2")
    result = read_studies([tmp_path / "up.zip"])
    assert result.studies[0].scans[0].source == ("IM2",)
    assert [(s.file, s.reason) for s in result.skipped] == [
        ("IM1", "its name leads out of the archive; unpack it and give the folder.")
    ]


def test_names_that_begin_with_the_archives_own_folder_are_read(save, tmp_path):
    path = save(recon_nm(VALUES))
    with zipfile.ZipFile(tmp_path / "dot.zip", "w") as archive:
        archive.writestr("./here/./IM1", path.read_bytes())
    (study,) = read_studies([tmp_path / "dot.zip"]).studies
    assert study.scans[0].source == ("IM1",)


@pytest.mark.parametrize("member", ["study.zip", "IM1"])
def test_an_archive_in_an_archive_is_named_as_such(save, tmp_path, member):
    inner = BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.write(save(recon_nm(VALUES)), "IM1")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr(member, inner.getvalue())
    with pytest.raises(InputError, match=r"^The archive's only file .* a zip archive inside another"):
        read_studies([tmp_path / "outer.zip"])


def test_an_encrypted_member_is_said_to_be_encrypted(save, tmp_path):
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.write(save(recon_nm(VALUES)), "IM1")
    raw = bytearray((tmp_path / "study.zip").read_bytes())
    raw[6] |= 1
    raw[raw.rfind(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "study.zip").write_bytes(raw)
    with pytest.raises(InputError, match="encrypted; unpack the archive with its password"):
        read_studies([tmp_path / "study.zip"])


def test_an_empty_archive_is_said_to_be_empty(tmp_path):
    with zipfile.ZipFile(tmp_path / "study.zip", "w"):
        pass
    with pytest.raises(InputError, match="an empty zip archive"):
        read_studies([tmp_path / "study.zip"])


def test_a_header_that_ends_early_is_not_called_another_format(save, tmp_path):
    (tmp_path / "cut.dcm").write_bytes(save(recon_nm(VALUES)).read_bytes()[:300])
    with pytest.raises(InputError, match="begins as DICOM, but no SOP Class UID can be read"):
        read_studies([tmp_path / "cut.dcm"])


def test_a_damaged_archive_is_named(tmp_path):
    path = tmp_path / "study.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(300))
    with pytest.raises(InputError, match="a zip archive that is damaged"):
        read_studies([path])


def medium(tmp_path, save, *records):
    """Write a DICOMDIR of these file names beside the one image that is there."""
    save(recon_nm(VALUES), "im0001", tmp_path / "dicom")
    index = Dataset()
    index.FileSetID = "TEST"
    index.DirectoryRecordSequence = Sequence(
        [item(DirectoryRecordType="IMAGE", ReferencedFileID=list(record)) for record in records]
    )
    index.file_meta = FileMetaDataset()
    index.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    index.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    index.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = tmp_path / "DICOMDIR"
    index.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("whole_folder", [False, True])
def test_a_dicomdir_is_followed_and_missing_files_are_named(save, tmp_path, whole_folder):
    path = medium(tmp_path, save, ("DICOM", "IM0001"), ("DICOM", "IM0002"))
    result = read_studies([tmp_path if whole_folder else path])
    assert [scan.source for scan in result.studies[0].scans] == [("im0001",)]
    assert [(s.file, "does not exist" in s.reason) for s in result.skipped] == [("IM0002", True)]


def test_the_only_file_of_a_dicomdir_is_the_subject_of_its_reason(save, tmp_path):
    path = medium(tmp_path, save, ("DICOM", "IM0002"))
    with pytest.raises(InputError, match=r"^The DICOMDIR's only file .* does not exist"):
        read_studies([path])


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_a_dicomdir_does_not_lead_out_of_its_folder(save, tmp_path):
    secret = save(recon_nm(counts_of(1, 7, 8, 9, seed=9)), "secret.dcm")
    path = medium(tmp_path / "disc", save, ("..", secret.name), ("DICOM", "IM0001"))
    result = read_studies([path])
    assert [scan.source for study in result.studies for scan in study.scans] == [("im0001",)]


@pytest.mark.parametrize(("tag", "to"), [(b"\x04\x00\x00\x15CS", b"\x04\x00\x00\x15QQ"), (b"IM0002", b"IM\x00002")])
def test_a_damaged_record_of_a_dicomdir_leaves_the_others(save, tmp_path, tag, to):
    """A kind of value that there is none of, and a name with a zero byte, ended in faults."""
    path = medium(tmp_path, save, ("DICOM", "IM0001"), ("DICOM", "IM0002"))
    data = path.read_bytes()
    at = data.rindex(tag)
    path.write_bytes(data[:at] + to + data[at + len(tag) :])
    assert [scan.source for scan in read_studies([path]).studies[0].scans] == [("im0001",)]


@pytest.mark.parametrize(
    "text",
    [
        "\n\n!INTERFILE :=\n!imaging modality := nucmed\n",
        "; made by a converter of ours, on Tuesday\n; and again\n!INTERFILE :=\n",
        "\r\n!INTERFILE :=\r\n!imaging modality := nucmed\r\n",
        ";" + "comment " * 200 + "\n! Interfile := \n",
        "!imaging modality := nucmed\n!originating system := camera\n!version of keys := 3.3\n",
        "INTERFILE :=\r!imaging modality := PT\r",
        "\ufeff;\n!INTERFILE :=\n",
        "GENERAL IMAGE DATA :=\n!name of data file := a.s\n",
    ],
)
def test_interfile_is_named_however_its_header_begins(tmp_path, text):
    path = tmp_path / "recon.hv"
    path.write_bytes(text.encode())
    with pytest.raises(InputError, match=r"Interfile header.* Export the study as DICOM"):
        read_studies([path])


@pytest.mark.parametrize("text", ["notes on interfile :=", "a := b\n", "; a comment\n"])
def test_other_text_is_no_interfile(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(InputError, match="neither DICOM nor NIfTI;"):
        read_studies([path])


def test_interfile_is_named_and_the_way_out_is_said(tmp_path):
    path = tmp_path / "stress.hv"
    path.write_text("!INTERFILE  :=\n!imaging modality := nucmed\n")
    with pytest.raises(InputError, match=r"Interfile header.* Export the study as DICOM"):
        read_studies([path])


def test_nifti_packed_by_zstd_is_named(tmp_path):
    path = tmp_path / "stress.nii.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(40))
    with pytest.raises(InputError, match="zstd"):
        read_studies([path])


def test_gzipped_dicom_is_named(save, tmp_path):
    path = tmp_path / "image.dcm.gz"
    path.write_bytes(gzip.compress(save(recon_nm(VALUES)).read_bytes()))
    with pytest.raises(InputError, match="gunzip"):
        read_studies([path])


def test_deflated_dicom_is_read_and_a_bomb_is_refused(save, tmp_path):
    path = save(recon_nm(VALUES))
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    assert_array_equal(image([path]), VALUES)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(bytes(2**20)) + packer.flush()
    with pytest.raises(InputError, match="unpacks to more than 0 MiB"):
        files.inflate(packed, 2**19, "x")


def test_the_message_without_orientation_gives_the_way_out(save):
    dataset = recon_nm(VALUES)
    del dataset.DetectorInformationSequence[0].ImageOrientationPatient
    with pytest.raises(InputError, match=r"never guessed\. Export the file with its geometry; for short-axis slices"):
        read_studies([save(dataset)])


def test_paths_in_archives_are_ordinary_paths(save, tmp_path):
    path = save(recon_nm(VALUES))
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.write(path, "deep/er/IM1")
    assert files.archive_members(tmp_path / "one.zip") == (Path(tmp_path / "one.zip" / "deep" / "er" / "IM1"),)


def test_an_office_document_in_a_folder_is_one_file(save, tmp_path):
    save(recon_nm(VALUES))
    with zipfile.ZipFile(tmp_path / "letter.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<document/>")
    assert [skipped.file for skipped in read_studies([tmp_path]).skipped] == ["letter.docx"]


def test_an_archive_is_opened_once_whatever_it_holds(save, tmp_path, monkeypatch):
    """A PET study has thousands of slices, and an archive's directory takes time to read."""
    opened = []

    class Counted(zipfile.ZipFile):
        def __init__(self, *args, **kwargs):
            opened.append(1)
            super().__init__(*args, **kwargs)

    path = save(recon_nm(VALUES))
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.write(path, "IM1")
        for number in range(30):
            archive.writestr(f"notes-{number}.txt", "hello")
    monkeypatch.setattr(files.zipfile, "ZipFile", Counted)
    assert len(read_studies([tmp_path / "study.zip"]).skipped) == 30
    assert len(opened) <= 2


def test_another_archive_of_the_same_name_is_read_anew(save, tmp_path):
    path = tmp_path / "study.zip"
    for values in (VALUES, VALUES * 2):
        source = save(recon_nm(values))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(source, "IM1")
        assert_array_equal(image([path]), image([source]))


def test_a_file_that_the_disk_cannot_read_is_skipped_and_named(save, tmp_path):
    """As a bad sector of a CD: reading this file of Linux gives the error EIO."""
    folder = save(recon_nm(VALUES), "good", tmp_path / "medium").parent
    (folder / "bad").symlink_to("/proc/self/mem")
    result = read_studies([folder])
    (skipped,) = result.skipped
    assert skipped.file == "bad"
    assert skipped.reason == "cannot be read from its medium (Input/output error); copy it again."
    assert len(result.studies) == 1
    with pytest.raises(InputError, match="bad: cannot be read from its medium"):
        read_studies([folder / "bad"])


def test_a_name_too_long_for_the_system_does_not_cost_the_study(save, tmp_path):
    path = save(recon_nm(VALUES))
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.write(path, "a/" * 3000 + "IM1")
        archive.write(path, "IM2")
    result = read_studies([tmp_path / "study.zip"])
    assert [scan.source for scan in result.studies[0].scans] == [("IM2",)]
    assert [(s.file, "too long" in s.reason) for s in result.skipped] == [("IM1", True)]
