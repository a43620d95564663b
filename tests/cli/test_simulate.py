"""``myoperf simulate``: what the flags set arrives; what cannot be is one line."""

import csv
import json

import pytest

from support.command import run_command


def simulate(*words: object):
    return run_command("simulate", *words, "--quiet")


@pytest.mark.slow
def test_flags_reach_the_cohort(tmp_path):
    done = simulate(1, "-o", tmp_path / "c", "--gates", 1, "--views", 30, "--dose", "half", "--prevalence", "1,0,0,1")
    assert done.returncode == 0, done.stderr
    truth = json.loads((tmp_path / "c" / "patient-0001" / "truth.json").read_text())
    assert truth["ica"] == {"LAD": 1, "LCX": 0, "RCA": 0, "patient": 1}
    assert truth["schema"] == "myoperf.truth/1"
    (row,) = csv.DictReader((tmp_path / "c" / "cohort.csv").read_text().splitlines())
    assert row["patient"] == "patient-0001"


@pytest.mark.parametrize(
    "words",
    [
        ("--dose", "double"),
        ("--prevalence", "0.5"),
        ("--prevalence", "0.5,0.1,0.1,0.2"),
        ("--as", "png"),
        ("--modality", "mri"),
        ("--arc", "90"),
    ],
)
def test_what_cannot_be_gives_one_line_and_writes_nothing(tmp_path, words):
    done = simulate(1, "-o", tmp_path / "c", *words)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "c").exists()


def test_modality_arc_and_pixels_reach_the_files(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("myoperf.phantom.cohort.simulate_cohort", lambda n, out, **given: seen.append(given) or out)
    words = (1, "-o", tmp_path / "c")
    flags = ("--arc", "360", "--pixel", "6.4", "--attenuation-map", "--misregistration", "5")
    assert simulate(*words, *flags).returncode == 0
    assert simulate(*words, "--modality", "pet", "--tracer", "Rb-82", "--as", "nifti").returncode == 0
    spect, pet = (given["options"] for given in seen)
    assert (spect.protocol.arc_deg, spect.protocol.pixel_mm, spect.misregistration_mm) == (360, 6.4, 5.0)
    assert (pet.modality, pet.population.tracer, pet.as_) == ("pet", "Rb-82", "nifti")
