"""What a stress scan was made under: by code, by words, by the operator; never by guess."""

from dataclasses import replace

import pytest

from myoperf.dicom import code_item, save_dataset
from myoperf.errors import InputError
from myoperf.io import read_studies, with_stressors
from myoperf.io.stressor import stressors_of
from support.command import run_command
from support.dicom import counts_of, item, recon_nm


def coded(sequence, inner, *codes):
    return item(**{sequence: [item(**{inner: [code_item(*code) for code in codes]})]})


ADENOSINE, REGADENOSON = ("108502004", "SCT", "Adenosine"), ("C-80012", "SRT", "Adenosine A2 receptor agonist")
BRUCE = ("129095002", "SCT", "Bruce protocol")


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (coded("InterventionDrugInformationSequence", "InterventionDrugCodeSequence", ADENOSINE), ("adenosine",)),
        (coded("InterventionSequence", "InterventionDrugCodeSequence", REGADENOSON), ("regadenoson",)),
        (coded("AcquisitionContextSequence", "ConceptCodeSequence", ADENOSINE, BRUCE), ("exercise", "adenosine")),
        (coded("AcquisitionContextSequence", "ConceptCodeSequence", ("1", "L", "Lexiscan")), ("regadenoson",)),
        (coded("AcquisitionContextSequence", "ConceptCodeSequence", ("432655005", "SCT", "Stress")), ()),
    ],
)
def test_codes_tell_the_stressor(dataset, expected):
    assert stressors_of(dataset) == expected


def test_a_drug_is_known_by_its_name():
    drug = item(InterventionDrugName="PERSANTINE 0.56 mg/kg")
    assert stressors_of(item(InterventionDrugInformationSequence=[drug])) == ("dipyridamole",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Stress_Lexiscan", ("regadenoson",)),
        ("Belastung Adenosin", ("adenosine",)),
        ("Dobutamina esfuerzo", ("dobutamine",)),
        ("Treadmill stress gated", ("exercise",)),
        ("腺苷负荷", ("adenosine",)),
        *[(text, ()) for text in ("Stress", "Effort", "Belastung", "pharmacologic stress")],
        *[(text, ()) for text in ("non exercise stress", "ohne Adenosin", "Exercise or pharmacologic stress")],
        ("adenosine or regadenoson", ()),
    ],
)
def test_words_tell_the_stressor_where_they_name_one(text, expected):
    assert stressors_of(item(SeriesDescription=text)) == expected


def test_the_series_goes_before_the_study_and_a_code_before_both():
    both = item(SeriesDescription="Stress exercise", StudyDescription="MPI adenosine")
    assert stressors_of(both) == ("exercise",)
    both.update(coded("InterventionSequence", "InterventionDrugCodeSequence", REGADENOSON))
    assert stressors_of(both) == ("regadenoson",)


@pytest.fixture
def study(tmp_path):
    """Read stress under adenosine and rest of one visit, whose study's name names the drug."""
    for state in ("Stress", "Rest"):
        dataset = recon_nm(counts_of(1, 7, 8, 9))
        dataset.ImageID, dataset.StudyDescription = state, "MPI adenosine"
        save_dataset(dataset, tmp_path / f"{state}.dcm")
    (study,) = read_studies([tmp_path]).studies
    return study


def test_only_the_stress_scan_has_a_stressor(study):
    assert {scan.state: scan.stressors for scan in study.scans} == {"stress": ("adenosine",), "rest": ()}


def test_the_operator_s_stressor_goes_before_the_file_s(study):
    changed = with_stressors(study, ["dobutamine", "exercise"])
    assert {scan.state: scan.stressors for scan in changed.scans} == {"stress": ("exercise", "dobutamine"), "rest": ()}


@pytest.mark.parametrize(
    ("stressors", "message"),
    [(["caffeine"], "one of exercise"), (["adenosine", "dobutamine"], "One drug")],
)
def test_other_stressors_are_refused(study, stressors, message):
    with pytest.raises(InputError, match=message):
        with_stressors(study, stressors)


def test_a_stressor_needs_a_stress_scan(study):
    rest = replace(study, scans=tuple(scan for scan in study.scans if scan.state == "rest"))
    with pytest.raises(InputError, match="no stress scan"):
        with_stressors(rest, ["adenosine"])


@pytest.mark.parametrize(
    ("stressor", "code", "told"),
    [
        ("Adenosine, exercise", 0, "stress by exercise and adenosine"),
        ("caffeine", 2, "--stressor is exercise"),
        ("adenosine,dobutamine", 2, "One drug may be named"),
    ],
)
def test_the_command_takes_the_operator_s_stressor(study, tmp_path, stressor, code, told):
    done = run_command("analyze", tmp_path, "-o", tmp_path / "out", "--dry-run", "--stressor", stressor, "--quiet")
    assert done.returncode == code
    assert told in done.stdout + done.stderr


def test_a_stressor_cannot_hold_for_two_patients(study, tmp_path):
    other = recon_nm(counts_of(1, 7, 8, 9, seed=6))
    other.PatientID, other.StudyInstanceUID, other.ImageID = "another", "1.2.3.4", "Stress"
    (tmp_path / "other").mkdir()
    save_dataset(other, tmp_path / "other" / "one.dcm")
    done = run_command("analyze", tmp_path, "-o", tmp_path / "out", "--dry-run", "--stressor", "exercise", "--quiet")
    assert done.returncode == 2
    assert "applies to one study" in done.stderr
