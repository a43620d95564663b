"""Simulated cohorts on disk."""

import csv
import hashlib
import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import InputError, OutputExistsError
from myoperf.io import read_nifti, read_studies
from myoperf.phantom.acquire import Protocol, acquire, attenuation_map
from myoperf.phantom.cohort import CohortOptions, simulate_cohort
from myoperf.phantom.population import draw_patient
from myoperf.recon import reconstruct

SMALL = Protocol(views=12, pixels=32, pixel_mm=13.2 / 1.1, gates=2, oversampling=1.7)


def digest(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    out = tmp_path_factory.mktemp("cohort") / "a"
    seen = []
    simulate_cohort(2, out, seed=5, options=CohortOptions(protocol=SMALL, reconstructed=True), progress=seen.append)
    assert seen == [1, 2]
    return out


@pytest.mark.slow
def test_same_seed_same_bytes_on_two_workers(cohort, tmp_path):
    options = CohortOptions(protocol=SMALL, reconstructed=True)
    simulate_cohort(2, tmp_path / "b", seed=5, options=options, workers=2)
    assert digest(cohort) == digest(tmp_path / "b")


def test_the_truth_file_keeps_the_contract(cohort):
    truth = json.loads((cohort / "patient-0001" / "truth.json").read_text())
    assert truth["schema"] == "myoperf.truth/1"
    assert {"seed", "lv_frame", "edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg", "phase_bandwidth_deg", "stress",
            "rest", "stenosis_percent", "ica", "expert", "acquisition"} <= set(truth)  # fmt: skip
    assert set(truth["lv_frame"]) == {"apex_mm", "base_mm", "anterior"}
    assert set(truth["stenosis_percent"]) == {"LM", "LAD", "LCX", "RCA"}
    assert set(truth["ica"]) == {"LAD", "LCX", "RCA", "patient"}
    assert set(truth["expert"]) == {"stress_scores", "rest_scores", "LAD", "LCX", "RCA", "patient"}
    for state in ("stress", "rest"):
        assert len(truth[state]["segments_percent"]) == len(truth["expert"][f"{state}_scores"]) == 17
        assert 0 <= truth[state]["defect_extent_percent"] <= 100
        assert truth["acquisition"][state]["gates"] == 2
    ef = 100 * (1 - truth["esv_ml"] / truth["edv_ml"])
    assert truth["lvef_percent"] == pytest.approx(ef, abs=0.01)


def test_the_table_has_one_row_a_patient(cohort):
    with (cohort / "cohort.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["patient"] for row in rows] == ["patient-0001", "patient-0002"]
    assert {"sex", "age_years", "height_m", "weight_kg", "ica_patient", "expert_LAD"} <= set(rows[0])


def test_dicom_reads_back_with_state_and_pose(cohort):
    studies = read_studies([cohort / "patient-0001" / "dicom"]).studies
    assert len(studies) == 1
    raw = {scan.state: scan for scan in studies[0].scans if scan.is_raw}
    assert set(raw) == {"stress", "rest"}
    truth = json.loads((cohort / "patient-0001" / "truth.json").read_text())
    for state, scan in raw.items():
        assert scan.framing == "gated"
        assert scan.image.array.sum() == truth["acquisition"][state]["counts"]
        volume = reconstruct(scan.image).volume
        labels = read_nifti(cohort / "patient-0001" / f"truth_{state}_labels.nii.gz")
        assert labels.grid_shape == volume.grid_shape
        index = np.argwhere(labels.array[0] == 1).mean(axis=0)
        world = labels.lps_from_index[:3, :3] @ index + labels.lps_from_index[:3, 3]
        middle = 0.5 * (np.array(truth["lv_frame"]["apex_mm"]) + np.array(truth["lv_frame"]["base_mm"]))
        assert np.linalg.norm(world - middle) < 25.0
        np.testing.assert_allclose(labels.lps_from_index, volume.lps_from_index, atol=0.01)
        wall = volume.summed().array[0][labels.array[0] == 1].mean()
        assert wall > 2 * volume.summed().array.mean()


def test_arrays_are_compact_and_on_one_grid(tmp_path):
    simulate_cohort(1, tmp_path / "c", seed=1, options=CohortOptions(as_="arrays", protocol=SMALL))
    with np.load(tmp_path / "c" / "patient-0001" / "arrays.npz") as arrays:
        assert arrays["stress_volume"].shape == arrays["stress_labels"].shape == (32, 32, 32)
        assert arrays["stress_volume"].dtype == np.float16
        assert set(np.unique(arrays["rest_labels"])) == {0, 1, 2}


def test_nothing_is_overwritten_and_bad_use_is_refused(cohort, tmp_path):
    with pytest.raises(OutputExistsError, match="choose another"):
        simulate_cohort(1, cohort)
    with pytest.raises(InputError, match="n and workers"):
        simulate_cohort(0, tmp_path / "x")
    with pytest.raises(InputError, match="dicom"):
        CohortOptions(as_="text")
    for wrong in ({"views": 1}, {"gates": 0}, {"oversampling": 1.0}):
        with pytest.raises(InputError):
            Protocol(**wrong)


def test_dose_scales_counts_and_the_map_can_be_moved():
    patient = draw_patient(np.random.default_rng(3))
    full, quarter = (
        acquire(patient, "rest", np.random.default_rng(4), Protocol(views=6, pixels=32, pixel_mm=12.0, gates=1,
                oversampling=1.5, dose=dose))
        for dose in ("full", "quarter")
    )  # fmt: skip
    assert quarter.record["counts"] == pytest.approx(0.25 * full.record["counts"], rel=0.01)
    still = attenuation_map(patient, full.projections)
    moved = attenuation_map(patient, full.projections, offset_mm=(0.0, 0.0, 10.0))
    np.testing.assert_allclose(moved.lps_from_index[:3, 3] - still.lps_from_index[:3, 3], (0, 0, 10.0))
    assert 0.13 < np.percentile(still.array[still.array > 0.05], 60) < 0.17


def test_dicom_passes_dciodvfy(cohort):
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    files = sorted((cohort / "patient-0001" / "dicom").glob("*.dcm"))
    assert len(files) == 4
    for path in files:
        said = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False).stderr
        assert "NMImage" in said
        assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_a_whole_turn_doubles_counts_and_sees_the_back_mirrored():
    patient = draw_patient(np.random.default_rng(3))
    protocol = Protocol(views=12, arc_deg=360, pixels=32, pixel_mm=12.0, gates=1, oversampling=1.5)
    whole = acquire(patient, "stress", np.random.default_rng(4), protocol)
    half = acquire(patient, "stress", np.random.default_rng(4), replace(protocol, arc_deg=180))
    np.testing.assert_allclose(np.diff(np.unwrap(whole.projections.angles_deg, period=360.0)), -30.0)
    assert len(set(whole.projections.angles_deg)) == 12
    assert whole.record["expected_counts"] == pytest.approx(2 * half.record["expected_counts"], rel=0.01)
    views = whole.projections.array[0].astype(np.float64)
    for front, back in zip(views[:6], views[6:], strict=True):  # seen from behind, the body is mirrored
        mirrored, plain = (np.corrcoef(front.ravel(), b.ravel())[0, 1] for b in (back[:, ::-1], back))
        assert mirrored > max(plain, 0.6)
    assert reconstruct(whole.projections).volume.grid_shape == (32, 32, 32)


def test_a_circles_radius_can_be_set_but_never_enters_the_body():
    patient = draw_patient(np.random.default_rng(3))
    small = Protocol(views=4, pixels=32, pixel_mm=12.0, gates=1, oversampling=1.5, circular=True, radius_mm=327.3)
    wide, tight = (
        acquire(patient, "rest", np.random.default_rng(4), p) for p in (small, replace(small, radius_mm=50.0))
    )
    np.testing.assert_allclose(wide.projections.radius_mm, 327.3)
    assert 140.0 < tight.projections.radius_mm.max() < 300.0
    with pytest.raises(InputError, match="circular orbit"):
        Protocol(radius_mm=300.0)
