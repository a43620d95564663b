"""The library's face: what `import myoperf` offers, and that it is light."""

import importlib
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import myoperf
from myoperf import CohortOptions, Protocol, simulate_patient
from myoperf.geometry import transform_points
from myoperf.io import read_studies
from myoperf.phantom.cohort import simulate_cohort
from myoperf.segments import TERRITORIES

SMALL = CohortOptions(fast=True, protocol=Protocol(gates=1))
FUNCTIONS = (
    *("read_studies", "analyze", "load_models", "write_report", "reconstruct", "find_lv", "sample_polar_map"),
    *("score_perfusion", "measure_function", "simulate_patient", "Options"),
)


def test_every_public_name_is_there_and_documented():
    assert {*FUNCTIONS} <= {*myoperf.__all__}
    for name in myoperf.__all__:
        assert getattr(myoperf, name) is not None
        assert name in dir(myoperf)
        if name != "__version__":
            assert len(getattr(myoperf, name).__doc__) > 20, f"{name} has no docstring"
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = myoperf.analyse


def test_import_is_light():
    """Only the package itself and its version are loaded; a clock would measure the machine."""
    code = (
        "import sys, myoperf; "
        "loaded = {m.split('.')[0] for m in sys.modules} & {'numpy', 'scipy', 'pydicom', 'torch', 'matplotlib'}; "
        "print(*loaded, *sorted(m for m in sys.modules if m.startswith('myoperf')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["myoperf", "myoperf.version"]


def test_stages_load_without_what_few_of_them_need():
    heavy = ("torch", "keras", "matplotlib", "nibabel", "scipy.stats", "scipy.signal")
    code = (
        "import sys, myoperf; "
        "[getattr(myoperf, name) for name in myoperf.__all__]; "
        f"print(*sorted(set({heavy}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == []


@pytest.fixture(scope="module")
def patient():
    return simulate_patient(3, options=SMALL)


def test_a_simulated_patient_is_the_first_of_the_cohort_of_that_seed(patient, tmp_path):
    simulate_cohort(1, tmp_path / "cohort", seed=3, options=SMALL)
    (written,) = read_studies(tmp_path / "cohort" / "patient-0001" / "dicom").studies
    study = patient.study
    assert [scan.state for scan in written.scans] == [scan.state for scan in study.scans]
    assert (written.sex, round(written.age_years)) == (study.sex, pytest.approx(study.age_years, abs=1))
    for ours, theirs in zip(study.scans, written.scans, strict=True):
        assert (ours.tracer, ours.camera, ours.framing, ours.modality) == (
            theirs.tracer,
            theirs.camera,
            theirs.framing,
            theirs.modality,
        )
        assert np.allclose(ours.image.lps_from_index, theirs.image.lps_from_index, atol=1e-3)
        assert np.allclose(ours.image.array, theirs.image.array, atol=1e-3 * float(ours.image.array.max()))


def test_its_truth_lies_where_its_scans_do(patient):
    for state, labels in patient.labels.items():
        scan = next(scan for scan in patient.study.scans if scan.state == state)
        assert labels.grid_shape == scan.image.grid_shape
        assert np.array_equal(labels.lps_from_index, scan.image.lps_from_index)
        wall = labels.array[0] == 1
        assert scan.image.array[0][wall].mean() > 3 * scan.image.array.mean()
        places = transform_points(labels.lps_from_index, np.argwhere(labels.array[0] > 0))
        heart = patient.truth.lv_frame.centre_mm
        assert np.linalg.norm(places.mean(axis=0) - heart) < 15.0


def test_a_negative_seed_is_refused():
    with pytest.raises(myoperf.MyoPerfError, match="0 or more"):
        simulate_patient(-1)


def test_five_lines_take_a_volume_to_a_polar_map(patient, tmp_path):
    myoperf.write_nifti(tmp_path / "rest.nii.gz", patient.study.scans[1].image)
    volume = myoperf.read_nifti(str(tmp_path / "rest.nii.gz"))
    fit = myoperf.find_lv(volume)
    polar = myoperf.sample_polar_map(volume, fit.labels, fit.frame)
    assert polar.maximum.values.shape == (24, 72)
    assert np.linalg.norm(fit.frame.centre_mm - patient.truth.lv_frame.centre_mm) < 15.0


def test_ten_lines_take_a_study_to_a_report(patient, tmp_path):
    options = myoperf.Options(frame=patient.truth.lv_frame, interval_draws=0)
    report = myoperf.analyze(patient.study, myoperf.Models(), options)
    myoperf.write_report(report, str(tmp_path / "out"), formats=("json",))
    assert (tmp_path / "out" / "results.json").is_file()
    assert report.scores.sss is not None
    assert pickle.loads(pickle.dumps(report)).scores.sss == report.scores.sss
    assert pickle.loads(pickle.dumps(options)).territories == options.territories == TERRITORIES


def test_analyze_loads_the_default_models(patient, monkeypatch):
    """The default is `load_models()`; one that finds no ventricle shows that it was called."""

    def nothing(_):
        raise myoperf.MyoPerfError("the default models were used")

    module = sys.modules["myoperf.pipeline.analyze"]  # the package's attribute of that name is the function
    monkeypatch.setattr(module, "load_models", lambda: myoperf.Models(find_lv=nothing))
    with pytest.raises(myoperf.MyoPerfError, match="the default models were used"):
        myoperf.analyze(patient.study)


PAGE = (Path(__file__).parents[1] / "docs" / "reference.md").read_text(encoding="utf-8")
PACKAGES = (
    *("io", "recon", "lv", "polar", "perfusion", "gated", "flow"),
    *("quality", "diagnosis", "stats", "report", "pipeline"),
)


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_the_reference_lists_every_public_name_once_and_no_other(package):
    module = importlib.import_module(f"myoperf.{package}".rstrip("."))
    section = PAGE.split(f"## `{module.__name__}`\n")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (?=\S)", section, re.MULTILINE)
    assert len(listed) == len(set(listed))
    expected = set(module.__all__) - (set(myoperf.__all__) if package else {"__version__"})
    assert set(listed) == expected
