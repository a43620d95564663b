"""From files to studies: grouping, choice among scans of one state, and what a study carries."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sequence import Sequence

from myoperf.dicom import code_item
from myoperf.errors import InputError, UnsupportedInputError
from myoperf.io import read_studies
from myoperf.io.assemble.choice import Candidate, choose
from myoperf.io.kinds import position_of
from myoperf.io.nifti import write_nifti
from myoperf.types import Volume
from support.dicom import PATIENT_ID, STUDY_UID, counts_of, item, pet_slices, raw_nm, recon_nm


def test_a_study_carries_the_patient_and_its_scans(save, tmp_path):
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "a.dcm")
    save(recon_nm(counts_of(1, 7, 8, 9)), "b.dcm")
    (study,) = read_studies([tmp_path]).studies
    assert [(scan.state, scan.is_raw) for scan in study.scans] == [("stress", True), ("rest", False)]
    assert (study.study_uid, study.patient_id, study.sex, study.age_years) == (STUDY_UID, PATIENT_ID, "F", 63.0)
    assert (study.height_m, study.weight_kg) == (1.66, 71.5)
    scan = study.scans[0]
    assert (scan.tracer, scan.camera, scan.source) == ("Tc-99m sestamibi", "Maker Camera", ("a.dcm",))


def test_source_headers_are_dicom_without_pixels(save):
    path = save(raw_nm(counts_of(1, 1, 9, 7, 8)))
    scan = read_studies([path]).studies[0].scans[0]
    header, original = dcmread(io.BytesIO(scan.source_headers[0])), dcmread(path)
    assert "PixelData" not in header
    del original.PixelData
    assert header == original


def test_without_study_uid_the_patient_groups(save, tmp_path):
    for number, (name, patient) in enumerate((("a", "one"), ("b", "one"), ("c", "two"))):
        dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
        del dataset.StudyInstanceUID
        dataset.PatientID, dataset.ImageID = patient, ("SGATE", "RGATE")[number % 2]
        save(dataset, f"{name}.dcm")
    studies = read_studies([tmp_path]).studies
    assert [(study.patient_id, len(study.scans)) for study in studies] == [("one", 2), ("two", 1)]


def test_raw_is_preferred_to_its_reconstruction(save, tmp_path):
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "z_raw.dcm")
    recon = recon_nm(counts_of(1, 7, 8, 9))
    recon.ImageID = "ReconStress"
    save(recon, "a_recon.dcm")
    result = read_studies([tmp_path])
    (scan,) = result.studies[0].scans
    assert scan.source == ("z_raw.dcm",)
    assert [s.file for s in result.skipped] == ["a_recon.dcm"]
    assert "z_raw.dcm (static raw SPECT) is used" in result.skipped[0].reason
    assert [f.code for f in result.studies[0].findings] == ["scans-set-aside"]


def test_gated_is_preferred_to_ungated(save, tmp_path):
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "a.dcm")
    save(raw_nm(counts_of(8, 1, 9, 7, 8)), "b.dcm")
    (scan,) = read_studies([tmp_path]).studies[0].scans
    assert scan.framing == "gated"


def test_a_damaged_first_choice_is_replaced_by_the_next(save, tmp_path):
    path = save(raw_nm(counts_of(1, 1, 9, 7, 8)), "raw.dcm")
    path.write_bytes(path.read_bytes()[:-50])
    recon = recon_nm(counts_of(1, 7, 8, 9))
    recon.ImageID = "ReconStress"
    save(recon, "recon.dcm")
    result = read_studies([tmp_path])
    assert result.studies[0].scans[0].source == ("recon.dcm",)
    assert [(s.file, "incomplete" in s.reason) for s in result.skipped] == [("raw.dcm", True)]


def test_a_copy_is_not_read_twice(save, tmp_path):
    path = save(raw_nm(counts_of(1, 1, 9, 7, 8)), "a.dcm")
    (tmp_path / "b.dcm").write_bytes(path.read_bytes())
    result = read_studies([tmp_path])
    assert len(result.studies[0].scans) == 1
    assert "copy of a.dcm" in result.skipped[0].reason


def test_scans_of_unknown_state_are_all_kept(save, tmp_path):
    for name in ("a.dcm", "b.dcm"):
        dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
        dataset.ImageID = "Tomo"
        save(dataset, name)
    (study,) = read_studies([tmp_path]).studies
    assert [scan.state for scan in study.scans] == [None, None]


@pytest.mark.parametrize(
    "name",
    [
        "Stress Bauchlage",
        "procubitus",
        "STRESS PRONO",
        "decúbito ventral",
        "yüzüstü",
        "na brzuchu",
        "腹臥位 負荷",
        "на животе",
        "STRESSPRONE",
        "bugleje",
        "복와위",
    ],
)
def test_prone_in_other_languages(name):
    assert position_of(item(SeriesDescription=name)) == "prone"
    assert position_of(item(SeriesDescription=name, PatientPosition="HFS")) == "prone"


@pytest.mark.parametrize("name", ["Rückenlage", "decubito supino", "décubitus dorsal", "仰臥位", "STRESS SUP"])
def test_supine_in_other_languages(name):
    assert position_of(item(SeriesDescription=name)) == "supine"


def test_prone_is_said_and_comes_after_supine(save, tmp_path):
    prone = raw_nm(counts_of(1, 1, 9, 7, 8))
    modifier = item(PatientOrientationModifierCodeSequence=Sequence([code_item("F-10310", "SRT", "prone")]))
    prone.PatientOrientationCodeSequence = Sequence([modifier])
    path = save(prone, "a.dcm")
    assert "prone" in [f.code for f in read_studies([path]).studies[0].scans[0].findings]
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "b.dcm")
    assert read_studies([tmp_path]).studies[0].scans[0].source == ("b.dcm",)


def test_pet_series_are_kept_apart(save, tmp_path):
    for number, name in enumerate(("Stress", "Rest")):
        for dataset in pet_slices(counts_of(1, 7, 8, 9, seed=number)):
            dataset.SeriesDescription = name
            save(dataset, f"{name}{dataset.ImagePositionPatient[2]:.0f}.dcm")
    (study,) = read_studies([tmp_path]).studies
    assert [(scan.state, scan.image.array.shape) for scan in study.scans] == [
        ("stress", (1, 7, 8, 9)),
        ("rest", (1, 7, 8, 9)),
    ]


def test_progress_runs_to_the_end(save, tmp_path):
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "a.dcm")
    save(recon_nm(counts_of(1, 7, 8, 9)), "b.dcm")
    seen: list[tuple[int, int]] = []
    read_studies([tmp_path], progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 2)
    assert seen[-1][0] == seen[-1][1]
    assert np.all(np.diff([done for done, _ in seen]) >= 0)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"raw": True}, {"raw": False}),
        ({"framing": "gated"}, {"framing": "static"}),
        ({"framing": "static"}, {"framing": "dynamic"}),
        ({"orientation": "transaxial"}, {"orientation": "short_axis", "framing": "gated"}),
        ({"position": "supine"}, {"position": "prone", "raw": True, "framing": "gated"}),
        ({"corrected": False}, {"corrected": True, "framing": "gated"}),
        ({"tracer": "N-13 ammonia", "modality": "PT"}, {"tracer": "F-18 FDG", "modality": "PT", "framing": "gated"}),
        ({"position": "supine"}, {"position": "prone"}),
        ({"position": None}, {"position": "prone"}),
        ({"corrected": False}, {"corrected": True}),
        ({"modality": "PT", "corrected": True}, {"modality": "PT", "corrected": False}),
        ({"series": 2.0}, {"series": 3.0}),
    ],
)
def test_order_of_preference(better, worse):
    plain = {"name": "n", "state": "rest", "modality": "NM", "raw": False, "framing": "static"}
    plain["orientation"] = "transaxial"
    candidates = [Candidate(**{**plain, **worse}), Candidate(**{**plain, **better})]
    assert choose(candidates)[0][0] == 1


@pytest.mark.parametrize(
    ("first", "repeat"),
    [
        ({"raw": True}, {"raw": False}),
        ({"raw": True, "framing": "gated"}, {"raw": False}),
        ({"framing": "gated"}, {"framing": "static"}),
        ({"orientation": "transaxial"}, {"orientation": "short_axis"}),
        ({"raw": True, "tracer": "Tc-99m sestamibi"}, {"raw": False}),
    ],
)
def test_a_series_made_from_another_is_set_aside(first, repeat):
    plain = {"name": "n", "state": "rest", "modality": "NM", "raw": False, "framing": "static"}
    plain["orientation"] = "transaxial"
    assert choose([Candidate(**{**plain, **repeat}), Candidate(**{**plain, **first})]) == ((1, 0),)


@pytest.mark.parametrize(
    "other",
    [
        {"position": "prone"},
        {"corrected": True},
        {"framing": "gated"},  # never made from ungated views
        {"raw": True, "series": 5.0},
        {"raw": True, "tracer": "Tl-201"},
        {"state": "stress"},
        {"modality": "PT"},
    ],
)
def test_a_scan_of_its_own_is_kept(other):
    plain = {"name": "n", "state": "rest", "modality": "NM", "raw": True, "framing": "static"}
    plain |= {"orientation": "transaxial", "tracer": "Tc-99m"}
    groups = choose([Candidate(**plain), Candidate(**{**plain, "raw": False, **other})])
    assert sorted(map(len, groups)) == [1, 1]


@pytest.mark.parametrize(
    "name",
    ["Stress MIP", "Bull's eye", "BULLSEYE REST", "Polar Map", "Reprojection", "Rest difference", "PolarMap"],
)
def test_pictures_derived_from_a_scan_are_no_scan(save, name):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.SeriesDescription = name
    with pytest.raises(UnsupportedInputError, match="derived from images"):
        read_studies([save(dataset)])


def test_reprojected_pet_is_no_scan(save, tmp_path):
    for number, dataset in enumerate(pet_slices(counts_of(1, 7, 8, 9))):
        dataset.SeriesType = ["STATIC", "REPROJECTION"]
        save(dataset, f"{number}.dcm")
    with pytest.raises(InputError, match="derived from images"):
        read_studies([tmp_path])


def test_links_to_folders_are_followed_once(save, tmp_path):
    elsewhere, given = tmp_path / "elsewhere", tmp_path / "given"
    save(recon_nm(counts_of(1, 7, 8, 9)), "x.dcm")
    elsewhere.mkdir()
    (tmp_path / "x.dcm").rename(elsewhere / "x.dcm")
    given.mkdir()
    (given / "link").symlink_to(elsewhere)
    (elsewhere / "circle").symlink_to(given)
    result = read_studies([given])
    assert [scan.source for study in result.studies for scan in study.scans] == [("x.dcm",)]
    assert result.skipped == ()


def derived_nm(name):
    """Return a volume as MyoPerf writes it among its results, marked as corrected so that it repeats no raw views."""
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.DerivationDescription, dataset.SeriesDescription = "MyoPerf 0.2.0: reconstruction", name
    return dataset


def test_what_an_earlier_analysis_derived_is_no_further_scan(save, tmp_path):
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "a.dcm")
    save(derived_nm("RESEARCH reconstruction rest"), "rest_recon.dcm")
    result = read_studies([tmp_path])
    (study,) = result.studies
    assert [scan.source for scan in study.scans] == [("a.dcm",)]
    assert [(one.file, one.reason) for one in result.skipped] == [
        ("rest_recon.dcm", "a result of MyoPerf; what it was made from is used")
    ]


def test_results_alone_are_read(save, tmp_path):
    save(derived_nm("RESEARCH reconstruction rest"), "rest_recon.dcm")
    (study,) = read_studies([tmp_path]).studies
    assert [scan.source for scan in study.scans] == [("rest_recon.dcm",)]


@pytest.mark.parametrize(
    ("content", "count"), [('{"schema": "myoperf.report/1", "scans": [{"name": "rest"}]}', 1), ("[]", 2)]
)
def test_volumes_beside_their_results_are_no_further_studies(save, tmp_path, content, count):
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "a.dcm")
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.json").write_text(content)
    write_nifti(out / "rest_volume.nii.gz", Volume(counts_of(1, 7, 8, 9), np.diag([12.0, 11.0, 10.0, 1.0])))
    assert len(read_studies([tmp_path]).studies) == count
    assert read_studies([out / "rest_volume.nii.gz"]).studies
