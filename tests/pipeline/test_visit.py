"""A visit from files to a folder of results: supine and prone side by side, and the same after a conversion."""

import json

import numpy as np
import pytest
from pydicom import dcmread

from myoperf.io import read_studies
from myoperf.io.nm.writer import write_volume
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.pipeline import Models, Options, analyze, write_report
from support.command import run_command
from support.torso import make

INFERIOR = (180.0, 40.0, 0.35)
OPTIONS = Options(interval_draws=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Stress with an inferior defect, and stress prone without."""
    folder = tmp_path_factory.mktemp("visit") / "patient"
    folder.mkdir()
    for name, position, defect in (("supine", "HFS", INFERIOR), ("prone", "HFP", None)):
        path = write_volume(folder / f"{name}.dcm", make(defect=defect)[0], SimulatedHeader("P1", state="stress"))
        dataset = dcmread(path)
        dataset.PatientPosition = position
        dataset.save_as(path)
    return folder


@pytest.fixture(scope="module")
def report(folder):
    return analyze(read_studies(folder).studies[0], Models(limits=()), OPTIONS)


def test_both_are_measured_and_the_defect_that_is_gone_prone_is_said(report):
    assert [result.name for result in report.results] == ["stress", "stress-prone"]
    assert report.scores.scans == {"stress": "stress"}
    assert report.scores.sss >= 4
    assert report.scan_scores["stress-prone"].sss <= 2
    messages = {f.code: f.message for f in report.findings}
    assert messages["defect-gone"].startswith("The inferior defect of stress ")
    assert "stress (static, supine, not corrected for attenuation) was scored" in messages["scan-choice"]


def test_every_scan_has_its_files(report, tmp_path):
    write_report(report, tmp_path / "out", formats=("nifti", "json"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    for scan in ("stress", "stress-prone"):
        assert {f"{scan}_volume.nii.gz", f"{scan}_lv_labels.nii.gz", f"{scan}_short_axis.nii.gz"} <= names
    out = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [scan["name"] for scan in out["scans"]] == ["stress", "stress-prone"]
    assert out["scans"][1]["scores"]["sss"] == report.scan_scores["stress-prone"].sss


def test_a_conversion_is_analysed_alike(report, folder, tmp_path):
    done = run_command("convert", folder, "-o", tmp_path / "nifti", "--quiet")
    assert done.returncode == 0, done.stderr
    again = analyze(read_studies(tmp_path / "nifti").studies[0], Models(limits=()), OPTIONS)
    assert [result.name for result in again.results] == ["stress", "stress-prone"]
    for before, after in zip(report.results, again.results, strict=True):
        np.testing.assert_allclose(after.frame.apex_mm, before.frame.apex_mm, atol=0.1)
        np.testing.assert_allclose(after.frame.base_mm, before.frame.base_mm, atol=0.1)
        np.testing.assert_allclose(after.segments_percent, before.segments_percent, atol=0.1)
