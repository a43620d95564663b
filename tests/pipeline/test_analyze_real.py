"""The main job on real studies, as a user runs it: every file of the contract, in the right place."""

import json
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from myoperf import pipeline
from support.command import run_command

pytestmark = pytest.mark.real

STUDY_KEYS = {"study_uid", "patient_id", "sex", "age_years"}
SCAN_KEYS = {
    "name", "state", "modality", "framing", "source", "reconstruction", "lv_frame", "volumes_ml", "segments_percent",
    "function", "findings",
}  # fmt: skip
SCORE_KEYS = {
    "sss", "srs", "sds", "tpd_stress_percent", "tpd_rest_percent", "tpd_ischemic_percent", "tid_ratio", "territories",
    "normal_limits",
}  # fmt: skip
STAGES = {"read", "reconstruct", "orient", "segment", "polar", "quantify", "diagnose", "report", "total"}


def analyze(*words: object):
    return run_command("analyze", *words, "--quiet")


@pytest.fixture(scope="module")
def ge(real, tmp_path_factory) -> Path:
    """The raw GE study, analysed."""
    out = tmp_path_factory.mktemp("ge") / "out"
    done = analyze(real / "ge_projections" / "stress_tomo.dcm", "-o", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def without_intervals(monkeypatch):
    """Leave out what measures a study some twenty times, in tests of something else."""
    monkeypatch.setattr(pipeline, "Options", partial(pipeline.Options, interval_draws=0))


@pytest.mark.slow
def test_every_file_of_the_contract_is_there(ge):
    names = {str(p.relative_to(ge)) for p in ge.rglob("*") if p.is_file()}
    assert {
        "report.html", "report.pdf", "results.json", "stress_volume.nii.gz", "stress_lv_labels.nii.gz",
        "stress_short_axis.nii.gz", "stress_polar.npz", "stress_polar.png",
    } <= names  # fmt: skip
    objects = {"sr", "report_pdf", "report_page", "stress_seg", "stress_recon", "stress_short_axis"}
    assert {name for name in names if name.startswith("dicom/")} == {f"dicom/{name}.dcm" for name in objects}
    assert not list(ge.parent.glob(".*")), "a temporary folder was left"


def test_the_json_has_the_contracts_keys(ge):
    results = json.loads((ge / "results.json").read_text())
    assert results["schema"] == "myoperf.report/1"
    assert set(results["study"]) == STUDY_KEYS
    (scan,) = results["scans"]
    assert set(scan) == SCAN_KEYS | {"lung_heart_ratio", "position"}
    assert scan["position"] == "supine"
    assert 0.05 < scan["lung_heart_ratio"] < 1
    assert set(results["scores"]) >= SCORE_KEYS
    assert scan["state"] == "stress"
    assert scan["reconstruction"]["iterations"] == 4
    assert len(scan["segments_percent"]) == 17
    assert max(scan["segments_percent"]) <= 100
    assert set(results["provenance"]["timings_s"]) >= STAGES
    assert results["provenance"]["peak_memory_mb"]["total"] > 10


def test_the_heart_of_the_raw_study_lies_and_points_where_hearts_do(ge):
    frame = json.loads((ge / "results.json").read_text())["scans"][0]["lv_frame"]
    apex, base = np.array(frame["apex_mm"]), np.array(frame["base_mm"])
    assert apex[0] > base[0], "the apex points to the patient's left"
    assert apex[1] < base[1], "and to the front"
    assert 55 < np.linalg.norm(apex - base) < 130


def test_labels_lie_on_the_volumes_grid_and_on_its_heat(ge):
    volume, labels = (nib.load(ge / f"stress_{name}.nii.gz") for name in ("volume", "lv_labels"))
    assert volume.shape == labels.shape
    assert np.allclose(volume.affine, labels.affine)
    counts, label = np.asarray(volume.dataobj), np.asarray(labels.dataobj)
    assert set(np.unique(label)) == {0, 1, 2}
    assert counts[label == 1].mean() > 1.3 * counts[label == 2].mean()


def test_an_existing_result_is_kept_without_overwrite(ge, real):
    before = (ge / "results.json").stat().st_mtime_ns
    done = analyze(real / "ge_projections" / "stress_tomo.dcm", "-o", ge)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (ge / "results.json").stat().st_mtime_ns == before


def test_a_reconstructed_study_passes_through_with_stress_and_rest(real, tmp_path, without_intervals):
    folder = real / "physionet_mps" / "dicom"
    files = folder / "P20_ReconRest.dcm", folder / "P20_ReconStress_gate.dcm"
    done = analyze(*files, "-o", tmp_path / "out", "--formats", "json")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {scan["name"] for scan in results["scans"]} == {"stress", "rest"}
    assert all(scan["reconstruction"] is None for scan in results["scans"])
    assert results["scores"]["tid_ratio"] is not None
    assert results["scores"]["sss"] is not None


def test_the_operators_frame_wins(real, tmp_path, without_intervals):
    file = real / "physionet_mps" / "dicom" / "P01_ReconRest.dcm"
    done = analyze(file, "-o", tmp_path / "a", "--formats", "json")
    assert done.returncode == 0, done.stderr
    frame = json.loads((tmp_path / "a" / "results.json").read_text())["scans"][0]["lv_frame"]
    given = ";".join(",".join(f"{v:.3f}" for v in frame[k]) for k in ("apex_mm", "base_mm", "anterior"))
    done = analyze(file, "-o", tmp_path / "b", "--formats", "json", f"--frame={given}")
    assert done.returncode == 0, done.stderr
    scan = json.loads((tmp_path / "b" / "results.json").read_text())["scans"][0]
    assert np.allclose(scan["lv_frame"]["apex_mm"], frame["apex_mm"], atol=0.01)
    assert "frame-given" in {finding["code"] for finding in scan["findings"]}
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["results.json"]


def test_the_diagnosis_says_what_it_learned_from_and_can_be_left_out(ge, real, tmp_path, without_intervals):
    made = json.loads((ge / "results.json").read_text())
    assert set(made["diagnosis"]["per_vessel"]) == {"LAD", "LCX", "RCA"}
    assert "simulated patients only" in made["diagnosis"]["reason"]
    assert ("diagnosis-simulated", "info") in {(f["code"], f["severity"]) for f in made["findings"]}
    raw = real / "ge_projections" / "stress_tomo.dcm"
    done = analyze(raw, "-o", tmp_path / "out", "--formats", "json", "--no-diagnosis")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "results.json").read_text())["diagnosis"] is None
