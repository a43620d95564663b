"""Several studies in a folder, and what would be done with them."""

import json

import pytest

from myoperf import pipeline
from myoperf.errors import AnalysisError
from myoperf.pipeline import Models
from support.command import run_command
from support.dicom import counts_of, raw_nm, recon_nm
from support.report import make_report


@pytest.fixture
def folder(save, tmp_path):
    """Two patients: anna with stress and an attenuation-corrected stress, bert with rest."""
    stress, corrected, rest = (
        raw_nm(counts_of(1, 1, 9, 7, 8)),
        recon_nm(counts_of(1, 7, 8, 9)),
        recon_nm(counts_of(1, 7, 8, 9, seed=6)),
    )
    corrected.ImageID, corrected.SeriesNumber = "STRESS_IRAC", 4
    rest.StudyInstanceUID, rest.PatientID = "1.2.3", "another"
    save(stress, "raw.dcm", tmp_path / "in" / "anna" / "dicom")
    save(corrected, "ac.dcm", tmp_path / "in" / "anna" / "dicom")
    save(rest, "rest.dcm", tmp_path / "in" / "bert")
    return tmp_path / "in"


def test_a_dry_run_says_what_would_be_done_and_does_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "analyze", None)
    done = run_command("analyze", folder, "-o", tmp_path / "out", "--dry-run", "--quiet")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert f"anna: to {tmp_path / 'out' / 'anna'}" in text
    assert "  stress: ungated SPECT raw projections, not corrected for attenuation, Tc-99m sestamibi" in text
    assert "series 4, ac.dcm; scored on its own" in text
    assert "  rest: ungated SPECT reconstruction" in text
    assert "Quentin" not in text
    assert not (tmp_path / "out").exists()


def test_one_that_fails_is_named_and_the_others_go_on(folder, tmp_path, monkeypatch):
    def fails_for_bert(study, *_, **__):
        if study.name == "bert":
            raise AnalysisError("No heart was found.")
        return make_report()

    monkeypatch.setattr(pipeline, "load_models", lambda **_: Models(limits=()))
    monkeypatch.setattr(pipeline, "analyze", fails_for_bert)
    done = run_command("analyze", folder, "-o", tmp_path / "out", "--formats", "json", "--quiet")
    assert done.returncode == 1
    assert "failed bert: No heart was found." in done.stderr
    assert done.stdout.split() == [str(tmp_path / "out" / "anna" / "results.json")]
    assert json.loads((tmp_path / "out" / "anna" / "results.json").read_text())["scans"]
    assert not (tmp_path / "out" / "bert").exists()


def test_series_and_sex_reach_the_reader(folder, tmp_path):
    done = run_command("analyze", folder / "anna", "-o", tmp_path / "out", "--dry-run", "--series", 4, "--quiet")
    assert "  stress: ungated SPECT reconstruction, corrected for attenuation" in done.stdout
    assert "raw.dcm: not one of the series" in done.stderr
    done = run_command("analyze", folder / "anna", "-o", tmp_path / "out", "--dry-run", "--sex", "M", "--quiet")
    assert (done.returncode, "--sex contradicts" in done.stderr) == (2, True)
    done = run_command("analyze", folder / "anna", "-o", tmp_path / "out", "--dry-run", "--sex", "X", "--quiet")
    assert (done.returncode, "--sex is M or F; got X." in done.stderr) == (2, True)


def test_results_of_several_studies_are_replaced_on_request_alone(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "load_models", lambda **_: Models(limits=()))
    monkeypatch.setattr(pipeline, "analyze", lambda *_, **__: make_report())
    words = ("analyze", folder, "-o", tmp_path / "out", "--formats", "json", "--quiet")
    assert run_command(*words).returncode == 0
    again = run_command(*words)
    assert (again.returncode, "not empty" in again.stderr) == (2, True)
    assert run_command(*words, "--overwrite").returncode == 0
    (tmp_path / "out" / "bert" / "results.json").write_text("mine")
    assert run_command(*words, "--overwrite").returncode == 2
    assert (tmp_path / "out" / "bert" / "results.json").read_text() == "mine"
