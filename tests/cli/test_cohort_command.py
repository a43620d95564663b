"""``myoperf cohort`` from the command line, with real processes on simulated studies."""

import csv
import json
from html import unescape

import pytest

from myoperf.phantom.acquire import Protocol
from myoperf.phantom.cohort import simulate_cohort
from myoperf.phantom.cohort_scans import CohortOptions
from support.command import run_command

FAST = ("--lv", "classical", "--no-diagnosis", "--no-intervals", "--quiet")


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """Return a folder of one simulated patient and one folder that is no study."""
    folder = tmp_path_factory.mktemp("cohort") / "patients"
    simulate_cohort(1, folder, seed=3, options=CohortOptions(fast=True, protocol=Protocol(gates=1)))
    (folder / "no-study").mkdir()
    (folder / "no-study" / "notes.txt").write_text("nothing")
    return folder


@pytest.mark.slow
def test_a_cohort_has_a_table_a_summary_and_its_failures(patients, tmp_path):
    out = tmp_path / "out"
    done = run_command("cohort", patients, "-o", out, "--workers", "1", *FAST)
    assert done.returncode == 1
    assert "failed no-study:" in done.stderr
    with (out / "cohort.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["study"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in rows.items()} == {"no-study": "failed", "patient-0001": "ok"}
    result = json.loads((out / "studies" / "patient-0001" / "results.json").read_text())
    assert float(rows["patient-0001"]["srs"]) == result["scores"]["srs"]
    page = (out / "summary.html").read_text(encoding="utf-8")
    assert 'href="studies/patient-0001/results.json"' in page
    assert rows["no-study"]["reason"] in unescape(page)
    again = run_command("cohort", patients, "-o", out, "--resume", *FAST)
    assert again.returncode == 1  # nothing is left to do; the failure is still there
    assert "--resume" in run_command("cohort", patients, "-o", out, *FAST).stderr


def test_a_dry_run_lists_the_studies_and_writes_nothing(patients, tmp_path):
    done = run_command("cohort", patients, "-o", tmp_path / "out", "--dry-run")
    assert done.returncode == 0
    assert "2 studies, 0 done, 2 to analyse" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engine", "spark"), "--engine is local or dask; got spark"),
        (("--scheduler", "tcp://here:1"), "--scheduler is for --engine dask"),
        (("--formats", "docx"), "Unknown format docx"),
        (("--lv", "by-eye"), "--lv is network or classical"),
        (("--merge",), "--merge needs two cohorts or more"),
    ],
)
def test_options_that_cannot_be_used_are_refused_before_the_work(patients, tmp_path, words, message):
    done = run_command("cohort", patients, "-o", tmp_path / "out", *words, "--quiet")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_results_do_not_lie_among_the_studies(patients):
    done = run_command("cohort", patients, "-o", patients / "out", "--quiet")
    assert done.returncode == 2
    assert "choose a folder outside patients" in done.stderr
