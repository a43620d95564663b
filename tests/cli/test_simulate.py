"""``myoperf simulate``: what the flags set arrives; what cannot be is one line."""

import csv
import json

import pytest

from myoperf.phantom.acquire import Protocol
from myoperf.phantom.cohort_scans import CohortOptions
from myoperf.phantom.records import PopulationOptions
from support.command import run_command

SPECT = (
    *("--seed", 5, "--workers", 2, "--reconstructed", "--attenuation-map", "--misregistration", 5),
    *("--male", 0.25, "--prevalence", "0.3,0.2,0.1,0.4"),
    *("--gates", 16, "--views", 30, "--arc", 360, "--pixel", 6.4, "--dose", "half"),
)
PET = ("--modality", "pet", "--tracer", "Rb-82", "--as", "nifti", "--fast", "--normal")


def simulate(*words: object):
    return run_command("simulate", *words, "--quiet")


def test_a_patient_is_written_with_a_table_and_its_truth(tmp_path):
    done = simulate(1, "-o", tmp_path / "c", "--fast", "--gates", 1, "--prevalence", "1,0,0,1")
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


def test_every_flag_reaches_the_cohort(tmp_path, monkeypatch):
    """A flag that is dropped, or set on another's field, changes one of these."""
    calls = []
    monkeypatch.setattr("myoperf.phantom.cohort.simulate_cohort", lambda *given, **named: calls.append((given, named)))
    assert simulate(3, "-o", tmp_path / "c", *SPECT).returncode == 0
    assert simulate(1, "-o", tmp_path / "c", *PET).returncode == 0
    ((n, out), spect), (_, pet) = calls
    assert (n, out, spect["seed"], spect["workers"]) == (3, tmp_path / "c", 5, 2)
    shares = {"prevalence": {"LAD": 0.3, "LCX": 0.2, "RCA": 0.1}, "patient_prevalence": 0.4}
    assert spect["options"] == CohortOptions(
        reconstructed=True,
        attenuation_map=True,
        misregistration_mm=5.0,
        population=PopulationOptions(male=0.25, **shares),
        protocol=Protocol(gates=16, views=30, arc_deg=360, pixel_mm=6.4, dose="half"),
    )
    population = PopulationOptions(normal=True, tracer="Rb-82")
    assert pet["options"] == CohortOptions(as_="nifti", modality="pet", fast=True, population=population)
