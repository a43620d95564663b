"""Scans written as NIfTI with a JSON file beside them are read back as they were, and name nobody."""

import json

import nibabel as nib
import numpy as np
import pytest

from myoperf.errors import GeometryError, InputError
from myoperf.io import read_nifti, read_studies, write_nifti
from myoperf.types import Projections, Volume
from support.command import run_command
from support.dicom import PATIENT_ID, STUDY_UID, counts_of, pet_slices, raw_nm, recon_nm

FIELDS = ("state", "modality", "framing", "orientation", "position", "attenuation_corrected", "tracer", "camera")


def convert(*words):
    done = run_command("convert", *words, "--quiet")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def assert_same(one, other):
    """Every field of a scan but its source is as it was."""
    assert [getattr(other, name) for name in FIELDS] == [getattr(one, name) for name in FIELDS]
    assert other.series_number == one.series_number
    assert {f.code for f in other.findings} == {f.code for f in one.findings}
    for name in ("frame_duration_ms", "frame_start_ms"):
        np.testing.assert_equal(getattr(other, name), getattr(one, name))
    np.testing.assert_array_equal(other.image.array, one.image.array)
    assert other.image.array.dtype == one.image.array.dtype
    if isinstance(one.image, Volume):
        np.testing.assert_allclose(other.image.lps_from_index, one.image.lps_from_index, atol=1e-4)
    else:
        for name in ("angles_deg", "pixel_mm", "radius_mm", "axis_lps_mm", "axis_offset_mm"):
            np.testing.assert_equal(getattr(other.image, name), getattr(one.image, name))


def raw():
    dataset = raw_nm(counts_of(8, 1, 9, 7, 8))
    dataset.PatientPosition = "HFP"
    return [dataset]


def reconstructed():
    stress, rest = recon_nm(counts_of(8, 7, 8, 9)), recon_nm(counts_of(1, 7, 8, 9, seed=6))
    stress.ImageID, stress.SeriesNumber = "STRESS_IRACSC", 4
    return [stress, rest]


def dynamic():
    return pet_slices(counts_of(4, 7, 8, 9), kind="DYNAMIC")


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (raw, ["stress_gated_spect_proj"]),
        (reconstructed, ["stress_gated_spect", "rest_static_spect"]),
        (dynamic, ["stress_dynamic_pet"]),
    ],
)
def test_a_round_trip_keeps_all_of_a_scan(save, tmp_path, make, names):
    for number, dataset in enumerate(make()):
        save(dataset, f"{number}.dcm", tmp_path / "in")
    files = convert(tmp_path / "in", "-o", tmp_path / "out")
    assert files == [str(tmp_path / "out" / f"{name}.nii.gz") for name in names]
    (before,), (after,) = (read_studies([tmp_path / name]).studies for name in ("in", "out"))
    assert len(after.scans) == len(before.scans) == len(names)
    for one, other in zip(before.scans, after.scans, strict=True):
        assert_same(one, other)


def test_the_json_has_what_is_known_and_names_nobody(save, tmp_path):
    for number, dataset in enumerate(dynamic()):
        save(dataset, f"{PATIENT_ID}-{number}.dcm", tmp_path / "in")
    convert(tmp_path / "in", "-o", tmp_path / "out")
    content = json.loads((tmp_path / "out" / "stress_dynamic_pet.json").read_text())
    assert content["FrameTimesStart"] == [0.0, 5.0, 10.0, 15.0]
    assert content["FrameDuration"] == [5.0] * 4
    assert (content["Modality"], content["AttenuationCorrection"]) == ("PT", "corrected")
    assert content["MyoPerf"]["framing"] == "dynamic"
    for file in (tmp_path / "out").iterdir():
        for word in (PATIENT_ID, "Quentin", "Zacharias", STUDY_UID, "20200102"):
            assert word.encode() not in (
                file.read_bytes() if file.suffix == ".json" else nib.load(file).header.binaryblock
            )


def test_every_series_is_converted_also_one_that_repeats_another(save, tmp_path):
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "raw.dcm", tmp_path / "in")
    recon = recon_nm(counts_of(1, 7, 8, 9))
    recon.ImageID = "STRESS"
    save(recon, "recon.dcm", tmp_path / "in")
    names = [path.rpartition("/")[2] for path in convert(tmp_path / "in", "-o", tmp_path / "out")]
    assert names == ["stress_static_spect_proj.nii.gz", "stress-2_static_spect.nii.gz"]


def test_raw_views_are_no_volume_to_anyone(save, tmp_path):
    save(raw()[0], "raw.dcm", tmp_path / "in")
    (path,) = convert(tmp_path / "in", "-o", tmp_path / "out")
    with pytest.raises(GeometryError, match="neither sform nor qform"):
        read_nifti(path)
    assert nib.load(path).shape == (8, 7, 9, 8)
    assert isinstance(read_studies(path).studies[0].scans[0].image, Projections)
    (tmp_path / "out" / "stress_gated_spect_proj.json").unlink()
    with pytest.raises(GeometryError):
        read_studies(path)


def test_what_is_there_stays_without_overwrite(save, tmp_path):
    save(recon_nm(counts_of(1, 7, 8, 9)), "a.dcm", tmp_path / "in")
    (path,) = convert(tmp_path / "in", "-o", tmp_path / "out")
    nib.load(path)
    (tmp_path / "out" / "rest_static_spect.nii.gz").write_bytes(b"mine")
    done = run_command("convert", tmp_path / "in", "-o", tmp_path / "out", "--quiet")
    assert (done.returncode, "--overwrite" in done.stderr) == (2, True)
    assert (tmp_path / "out" / "rest_static_spect.nii.gz").read_bytes() == b"mine"
    convert(tmp_path / "in", "-o", tmp_path / "out", "--overwrite")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"rest_static_spect.json", "rest_static_spect.nii.gz"}
    assert nib.load(path).shape == (9, 8, 7)


def test_a_file_in_the_folders_place_is_told_before_the_work(tmp_path):
    (tmp_path / "out").write_text("mine")
    done = run_command("convert", tmp_path / "nothing", "-o", tmp_path / "out", "--quiet")
    assert (done.returncode, "out is a file; choose a folder" in done.stderr) == (2, True)
    assert (tmp_path / "out").read_text() == "mine"


def test_several_studies_get_a_folder_each(save, tmp_path):
    for n, name in enumerate(("anna", "bert")):
        dataset = recon_nm(counts_of(1, 7, 8, 9, seed=n))
        dataset.StudyInstanceUID, dataset.PatientID = f"1.2.{n}", name
        save(dataset, "a.dcm", tmp_path / "in" / name)
    convert(tmp_path / "in", "-o", tmp_path / "out")
    studies = read_studies([tmp_path / "out"]).studies
    assert [study.name for study in studies] == ["anna", "bert"]


@pytest.mark.parametrize("text", ['{"MyoPerf": {"schema"', "[" * 100_000, "\x00", '{"MyoPerf": ' + '{"a":' * 5000])
def test_a_damaged_json_file_is_not_passed_over(save, tmp_path, text):
    """It may say that the image is of the short axis, or made of views."""
    path = tmp_path / "stress.nii.gz"
    write_nifti(path, Volume(counts_of(1, 12, 11, 10).astype(np.float32), np.diag([6.0, 6.0, 6.0, 1.0])))
    (tmp_path / "stress.json").write_text(text)
    with pytest.raises(InputError, match="JSON file beside it is damaged"):
        read_studies([path])


def test_a_sidecar_that_does_not_fit_is_refused(save, tmp_path):
    save(raw()[0], "raw.dcm", tmp_path / "in")
    (path,) = convert(tmp_path / "in", "-o", tmp_path / "out")
    sidecar = tmp_path / "out" / "stress_gated_spect_proj.json"
    whole = json.loads(sidecar.read_text())
    for change in ({"projections": {"angles_deg": [1.0]}}, {"findings": [[1]]}, {"framing": "static"}, {"tracer": ...}):
        block = {**whole["MyoPerf"], **change}
        block = {key: value for key, value in block.items() if value is not ...}
        sidecar.write_text(json.dumps({"MyoPerf": block}))
        with pytest.raises(InputError, match="convert the study again"):
            read_studies(path)


@pytest.mark.parametrize(
    "change",
    [
        {"tracer": 5},
        {"state": "exercise"},
        {"framing": "gate"},
        {"modality": ["NM"]},
        {"attenuation_corrected": "yes"},
        {"description": None},
        {"series_number": "four"},
        {"orientation": ...},
        {"findings": [["a-code", "fatal", "A message."]]},
    ],
)
def test_a_sidecar_that_says_what_no_scan_is_is_refused(save, tmp_path, change):
    """A tracer that is a number ended in a fault of the program."""
    save(recon_nm(counts_of(1, 7, 8, 9)), "in/one.dcm")
    convert(tmp_path / "in", "-o", tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.json")
    content = json.loads(path.read_text())
    block = content["MyoPerf"] | {key: value for key, value in change.items() if value is not ...}
    content["MyoPerf"] = {key: value for key, value in block.items() if change.get(key) is not ...}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="JSON file beside it is not complete"):
        read_studies(tmp_path / "out")


@pytest.mark.parametrize("shape", [(8, 7, 9, 2, 3), (2, 2, 2, 2, 2, 2)])
def test_raw_views_of_more_axes_than_there_are_are_refused(save, tmp_path, shape):
    save(raw()[0], "in/one.dcm")
    convert(tmp_path / "in", "-o", tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.nii.gz")
    nib.save(nib.Nifti1Image(np.ones(shape, np.int16), np.eye(4)), path)
    with pytest.raises(InputError, match=f"got {len(shape)} axes"):
        read_studies(tmp_path / "out")
