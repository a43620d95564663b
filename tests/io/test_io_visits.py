"""What a patient came for: scans of one state side by side, stress and rest of two days, and what came with them."""

from zipfile import ZipFile

import numpy as np
import pytest
from pydicom.uid import generate_uid

from myoperf.errors import InputError
from myoperf.io import read_attenuation, read_studies
from support.dicom import CT_STORAGE, STUDY_UID, base, counts_of, pet_slices, raw_nm, recon_nm


def named(name, seed=5, **attributes):
    """Return a reconstruction of the given Image ID."""
    dataset = recon_nm(counts_of(1, 7, 8, 9, seed=seed))
    dataset.ImageID = name
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def codes(study):
    return [finding.code for finding in study.findings]


def scans(study):
    return [(s.state, s.position, s.attenuation_corrected, s.source[0]) for s in study.scans]


def test_corrected_and_uncorrected_are_kept_and_the_uncorrected_comes_first(save, tmp_path):
    save(named("STRESS_IRACSCRR", SeriesNumber=1), "a.dcm")
    save(named("STRESS_IRNC", 6, SeriesNumber=2), "b.dcm")
    save(named("REST_IRNC", 7, SeriesNumber=3), "c.dcm")
    result = read_studies([tmp_path])
    assert scans(result.studies[0]) == [
        ("stress", None, False, "b.dcm"),
        ("rest", None, False, "c.dcm"),
        ("stress", None, True, "a.dcm"),
    ]
    assert result.skipped == ()


def test_the_corrected_pet_comes_first_whatever_its_name_says(save, tmp_path):
    for name, corrected, number in (("stress PET NoAC", ["DECY"], 2), ("stress PET", ["DECY", "ATTN"], 9)):
        for n, dataset in enumerate(pet_slices(counts_of(1, 7, 8, 9, seed=number))):
            dataset.SeriesDescription, dataset.CorrectedImage, dataset.SeriesNumber = name, corrected, number
            save(dataset, f"{number}-{n}.dcm")
    (study,) = read_studies([tmp_path]).studies
    assert [(scan.series_number, scan.attenuation_corrected) for scan in study.scans] == [(9, True), (2, False)]


def test_a_name_that_contradicts_the_attributes_is_said(save):
    path = save(named("STRESS_IRAC", CorrectedImage=["UNIF"]))
    (scan,) = read_studies([path]).studies[0].scans
    assert scan.attenuation_corrected is False
    assert "correction-conflict" in [f.code for f in scan.findings]


def test_supine_and_prone_are_kept(save, tmp_path):
    save(named("Stress prone", SeriesNumber=1), "prone.dcm")
    save(named("Stress", 6, SeriesNumber=2, PatientPosition="HFS"), "supine.dcm")
    (study,) = read_studies([tmp_path]).studies
    assert scans(study) == [("stress", "supine", False, "supine.dcm"), ("stress", "prone", False, "prone.dcm")]


@pytest.mark.parametrize("wanted", ["2", "uid"])
def test_the_user_chooses_series(save, tmp_path, wanted):
    uid = generate_uid()
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "raw.dcm")
    save(named("STRESS_IRAC", SeriesNumber=2, SeriesInstanceUID=uid), "ac.dcm")
    result = read_studies([tmp_path], series=[uid if wanted == "uid" else wanted])
    assert [scan.source for scan in result.studies[0].scans] == [("ac.dcm",)]
    assert [(s.file, "--series" in s.reason) for s in result.skipped] == [("raw.dcm", True)]
    with pytest.raises(InputError, match="No series 7 among the scans; their series numbers: 2"):
        read_studies([tmp_path], series=["7"])


def test_maps_and_cts_are_kept_with_the_study_and_never_read_as_emission(save, tmp_path):
    save(named("STRESS", SeriesNumber=9), "z.dcm")
    for n, (image_id, description) in enumerate(
        (("STRESS", "Stress Mu Map"), ("STRESS", "Stress_ACMAP_TC"), ("STRESS_CTACMAP", "x"))
    ):
        save(named(image_id, 10 + n, SeriesDescription=description, SeriesNumber=n + 1), f"m{n}.dcm")
    series = generate_uid()
    for plane in range(9):
        ct = base(CT_STORAGE, "CT", counts_of(1, 8, 9, seed=plane))
        ct.ImageType, ct.SeriesInstanceUID = ["ORIGINAL", "PRIMARY", "AXIAL"], series
        ct.ImageOrientationPatient, ct.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-20.0, -30.0, 5.0 * plane]
        ct.RescaleSlope, ct.RescaleIntercept = 1.0, -1024.0
        save(ct, f"ct{plane}.dcm")
    result = read_studies([tmp_path])
    (study,) = result.studies
    assert [scan.source for scan in study.scans] == [("z.dcm",)]
    assert [(image.kind, len(image.files)) for image in study.attenuation] == [("map", 1)] * 3 + [("ct", 9)]
    assert study.attenuation[0].state == "stress"
    assert "attenuation-images" in codes(study)
    assert result.skipped == ()
    volume = read_attenuation(study.attenuation[-1])
    np.testing.assert_allclose(volume.spacing_mm, [5.0, 6.5, 6.0])
    np.testing.assert_array_equal(volume.array[0, 2], counts_of(1, 8, 9, seed=2)[0] - 1024.0)
    np.testing.assert_array_equal(read_attenuation(study.attenuation[0]).array, counts_of(1, 7, 8, 9, seed=10))


def test_a_ct_of_nobody_here_is_left_out(save, tmp_path):
    save(named("STRESS"), "z.dcm")
    ct = base(CT_STORAGE, "CT", counts_of(1, 8, 9))
    ct.ImageType, ct.StudyInstanceUID, ct.PatientID = ["ORIGINAL", "PRIMARY", "AXIAL"], "1.2.3.4", "another"
    save(ct, "ct.dcm")
    result = read_studies([tmp_path])
    assert result.studies[0].attenuation == ()
    assert [(s.file, "modality CT" in s.reason) for s in result.skipped] == [("ct.dcm", True)]


def test_different_images_of_one_identifier_are_read_and_said(save, tmp_path):
    for name, seed in (("STRESS", 5), ("REST", 6)):
        save(named(name, seed, SOPInstanceUID="1.2.3.4"), f"{name}.dcm")
    (study,) = read_studies([tmp_path]).studies
    assert [scan.state for scan in study.scans] == ["stress", "rest"]
    assert "instance-uid-repeated" in codes(study)


def test_empty_slices_of_one_identifier_are_no_copies(save, tmp_path):
    values = counts_of(1, 7, 8, 9)
    values[0, :2] = 0
    for n, dataset in enumerate(pet_slices(values)):
        dataset.SOPInstanceUID = "1.2.3.4"
        save(dataset, f"{n}.dcm")
    (scan,) = read_studies([tmp_path]).studies[0].scans
    assert scan.image.array.shape == (1, 7, 8, 9)


def test_the_reason_of_a_series_does_not_repeat_the_files_name(save, tmp_path):
    save(named("STRESS"), "a.dcm")
    cut = save(named("REST", 6), "b.dcm")
    cut.write_bytes(cut.read_bytes()[:-20])
    (skipped,) = read_studies([tmp_path]).skipped
    assert (skipped.file, skipped.reason[:14]) == ("b.dcm", "the pixel data")


def two_days(save, first=None, second=None):
    """Save stress and rest of one patient as two studies, with changed attributes."""
    changed = {"StudyInstanceUID": "1.2.3.1", "StudyDate": "20200102", "PatientBirthDate": "19570101"}
    save(named("STRESS", 5, **changed | (first or {})), "stress.dcm")
    changed |= {"StudyInstanceUID": "1.2.3.2", "StudyDate": "20200104"}
    save(named("REST", 6, **changed | (second or {})), "rest.dcm")


def test_stress_and_rest_of_two_days_are_one_study(save, tmp_path):
    two_days(save)
    (study,) = read_studies([tmp_path]).studies
    assert [scan.state for scan in study.scans] == ["stress", "rest"]
    assert (study.study_uid, study.study_uids) == ("1.2.3.1", ("1.2.3.1", "1.2.3.2"))
    (finding,) = study.findings
    assert (finding.code, finding.severity) == ("studies-paired", "info")
    assert "2 days apart" in finding.message


@pytest.mark.parametrize(
    "second",
    [{"PatientID": "other"}, {"PatientID": ""}, {"StudyDate": "20200201"}],
    ids=["name and birth date", "no ID", "30 days"],
)
def test_paired_all_the_same(save, tmp_path, second):
    two_days(save, second=second)
    assert len(read_studies([tmp_path]).studies) == 1


@pytest.mark.parametrize(("day", "said"), [("20200201", None), ("20200202", "31 days"), ("20210102", "366 days")])
def test_states_of_one_study_uid_that_are_weeks_apart_are_said(save, tmp_path, day, said):
    two_days(save, second={"StudyInstanceUID": "1.2.3.1", "AcquisitionDate": day, "StudyDate": "20200102"})
    (study,) = read_studies([tmp_path]).studies
    assert [scan.state for scan in study.scans] == ["stress", "rest"]
    messages = [f.message for f in study.findings if (f.code, f.severity) == ("states-days-apart", "warning")]
    assert len(messages) == (said is not None)
    assert said is None or said in messages[0]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"StudyDate": "20200202"}, "31 days apart"),
        ({"StudyDate": ""}, "a date is missing"),
        ({"ImageID": "STRESS"}, "stress alone and the other rest alone"),
        ({"ImageID": "Tomo"}, "stress alone and the other rest alone"),
        ({"PatientBirthDate": "19600101"}, None),
        ({"PatientSex": "M"}, None),
        ({"PatientName": "Nemo"}, None),
        ({"PatientID": "other", "PatientBirthDate": ""}, None),
    ],
)
def test_kept_apart(save, tmp_path, second, said):
    two_days(save, second=second)
    studies = read_studies([tmp_path]).studies
    assert len(studies) == 2
    for study in studies:
        messages = [f.message for f in study.findings if f.code == "studies-apart"]
        assert len(messages) == (said is not None)
        assert said is None or said in messages[0]


@pytest.mark.parametrize("shared", ["ANONYMOUS", "Anon123", "0", "000000", "unknown", "XXX", "de-identified"])
def test_an_id_that_many_share_pairs_nobody(save, tmp_path, shared):
    nobody = {"PatientID": shared, "PatientName": "", "PatientBirthDate": ""}
    two_days(save, nobody, nobody)
    assert len(read_studies([tmp_path]).studies) == 2


@pytest.mark.parametrize("shared", ["ANONYMOUS", "Anonymous^Patient", "XXXX", "Anon1", "removed"])
def test_a_name_that_many_share_pairs_nobody(save, tmp_path, shared):
    nobody = {"PatientName": shared, "PatientBirthDate": "19000101"}
    two_days(save, nobody | {"PatientID": "A-1"}, nobody | {"PatientID": "A-2"})
    assert len(read_studies([tmp_path]).studies) == 2
    two_days(save, nobody | {"PatientID": "A-1"}, nobody | {"PatientID": "A-1"})
    assert len(read_studies([tmp_path]).studies) == 1


def test_another_tracer_is_no_pair(save, tmp_path):
    thallium = named("REST", 6, StudyInstanceUID="1.2.3.2", EnergyWindowInformationSequence=[])
    window = base(CT_STORAGE, "NM", counts_of(1, 2, 2))
    window.EnergyWindowName = "Tl-201"
    thallium.EnergyWindowInformationSequence = [window]
    save(raw_nm(counts_of(1, 1, 9, 7, 8)), "stress.dcm")
    save(thallium, "rest.dcm")
    studies = read_studies([tmp_path]).studies
    assert [codes(study) for study in studies] == [["studies-apart"], ["studies-apart"]]


def test_a_state_cannot_hold_for_two_unknown_scans(save, tmp_path):
    for n in (1, 2):
        save(named("Tomo", n, SeriesNumber=n), f"{n}.dcm")
    assert [scan.state for scan in read_studies([tmp_path]).studies[0].scans] == [None, None]
    with pytest.raises(InputError, match=r"cannot apply to all of them; .* --series"):
        read_studies([tmp_path], state="stress")
    (scan,) = read_studies([tmp_path], state="stress", series=["2"]).studies[0].scans
    assert (scan.state, scan.series_number) == ("stress", 2)


def test_a_state_holds_for_supine_and_prone(save, tmp_path):
    for n, name in enumerate(("Tomo", "Tomo prone")):
        save(named(name, n, SeriesNumber=n), f"{n}.dcm")
    (study,) = read_studies([tmp_path], state="rest").studies
    assert [(scan.state, scan.position) for scan in study.scans] == [("rest", None), ("rest", "prone")]


def test_the_user_gives_the_sex(save, tmp_path):
    save(named("STRESS", PatientSex=""), "a.dcm")
    (study,) = read_studies([tmp_path], sex="M").studies
    assert (study.sex, codes(study)) == ("M", ["sex-given"])
    save(named("STRESS", PatientSex="F"), "a.dcm")
    assert codes(read_studies([tmp_path], sex="F").studies[0]) == []
    with pytest.raises(InputError, match="--sex contradicts"):
        read_studies([tmp_path], sex="M")


def test_studies_are_called_by_what_tells_their_folders_apart(save, tmp_path):
    for n, folder in enumerate(("ward/anna/dicom", "ward/bert", "ward/bert")):
        save(named("STRESS", n, StudyInstanceUID=f"1.2.{n}", PatientID=f"p{n}"), f"file {n}.dcm", tmp_path / folder)
    names = [study.name for study in read_studies([tmp_path]).studies]
    assert names == ["ward-anna", "ward-bert-file_1", "ward-bert-file_2"]
    assert [s.name for s in read_studies([tmp_path / "ward"]).studies] == ["anna", "bert-file_1", "bert-file_2"]
    given = [tmp_path / "ward/anna", tmp_path / "ward/bert"]
    assert [s.name for s in read_studies(given).studies] == ["anna", "bert-file_1", "bert-file_2"]
    assert STUDY_UID not in names
    with ZipFile(tmp_path / "ward" / "carl.zip", "w") as archive:
        save(named("STRESS", 9, StudyInstanceUID="1.2.9", PatientID="p9"), "9.dcm", tmp_path / "apart")
        for name in ("a.dcm", "b.dcm"):
            archive.write(tmp_path / "apart" / "9.dcm", name)
    assert [s.name for s in read_studies([tmp_path / "ward" / "carl.zip"]).studies] == ["a"]


OTHER = {"PatientID": "ID-4711", "PatientName": "Quist^Ebba", "PatientBirthDate": "19410203"}


@pytest.mark.parametrize(
    "other",
    [
        OTHER,
        OTHER | {"PatientName": "", "PatientBirthDate": ""},
        OTHER | {"PatientID": "", "PatientBirthDate": ""},
        OTHER | {"PatientID": "", "PatientName": ""},
        {"PatientID": "", "PatientName": "", "PatientSex": "M"},
    ],
)
def test_two_patients_under_one_study_uid_are_two_studies(save, tmp_path, other):
    mine = {"PatientBirthDate": "19560910"}
    save(named("STRESS", **mine), "a.dcm")
    save(named("REST", 6, **mine | other), "b.dcm")
    result = read_studies([tmp_path])
    assert [[scan.state for scan in study.scans] for study in result.studies] == [["stress"], ["rest"]]
    for study in result.studies:
        assert ("study-uid-shared", "warning") in [(f.code, f.severity) for f in study.findings]


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"PatientID": ""},
        {"PatientName": ""},
        {"PatientID": "0008812764"},  # another form of the same ID; name and birth date agree
        {"PatientName": "ZACHARIAS^Q"},
        {"PatientName": "Smith^Quentin"},  # a new name; the ID is the same
        {"PatientID": "ANON7", "PatientName": "ANONYMOUS", "PatientBirthDate": "", "PatientSex": ""},
    ],
)
def test_one_patient_written_in_two_ways_is_one_study(save, tmp_path, other):
    mine = {"PatientBirthDate": "19560910"}
    save(named("STRESS", **mine), "a.dcm")
    save(named("REST", 6, **mine | other), "b.dcm")
    (study,) = read_studies([tmp_path]).studies
    assert {scan.state for scan in study.scans} == {"stress", "rest"}
    assert "study-uid-shared" not in codes(study)


def test_the_ct_of_another_patient_is_not_used_for_the_study_uid_alone(save, tmp_path):
    save(named("STRESS"), "a.dcm")
    for number, position in enumerate((0.0, 5.0, 10.0)):
        ct = base(CT_STORAGE, "CT", counts_of(8, 9))
        ct.SeriesInstanceUID, ct.ImageType, ct.PatientID = "1.2.77", ["ORIGINAL", "PRIMARY", "AXIAL"], "ID-4711"
        ct.ImageOrientationPatient, ct.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0.0, 0.0, position]
        save(ct, f"ct{number}.dcm")
    result = read_studies([tmp_path])
    assert result.studies[0].attenuation == ()
    assert {skipped.file for skipped in result.skipped} == {"ct0.dcm", "ct1.dcm", "ct2.dcm"}
