"""Every finding has a test that provokes it; those of the main job that no other file provokes are here."""

import ast
from pathlib import Path

import numpy as np
import pytest

from myoperf.errors import AnalysisError
from myoperf.lv.network import NetworkLV
from myoperf.perfusion import choose_limits
from myoperf.pipeline import Models, Options, analyze, load_models
from myoperf.pipeline.flow import flow_of_scan
from myoperf.polar import fit_surface
from myoperf.segments import TERRITORIES
from myoperf.types import Diagnosis, Finding, Scan, Study
from support.findings import calls_of, findings_of_package
from support.ventricle import thick_ventricle, wall_image

ROOT = Path(__file__).parents[2]
VENTRICLE = thick_ventricle()
FRAME = VENTRICLE.frame


def expected_by_tests():
    """Texts in the tests, except where a test makes a finding by hand."""
    texts = set()
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        by_hand = {id(call.args[0]) for call in calls_of("Finding", tree) if file != Path(__file__) and call.args}
        texts |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in by_hand}
    return texts


def test_every_code_in_the_package_is_provoked_by_a_test():
    codes = {finding.split()[0] for finding in findings_of_package()}
    assert len(codes) > 50
    assert sorted(codes - expected_by_tests()) == []


def wall(gates=1):
    """A thick half ellipsoid of even counts, the same in every gate."""
    image = wall_image(VENTRICLE)
    return image.with_array(np.repeat(image.array, gates, axis=0))


def codes(findings):
    return {f.code for f in findings}


@pytest.fixture(scope="module")
def doubted():
    """A study whose two gates cannot give function and whose diagnosis gives a reason."""
    reason = "The ventricle is in doubt."
    vessels = dict.fromkeys(("LAD", "LCX", "RCA"), 0.5)
    doubt = Diagnosis("made", vessels, 0.5, (0.0, 1.0), True, reason)
    study = Study((Scan(wall(gates=2), state="stress", framing="gated"),))
    models = Models(limits=(), classify=lambda study, results: doubt)
    return analyze(study, models, Options(frame=FRAME, interval_draws=0))


def test_a_diagnosis_with_a_reason_to_doubt_is_said(doubted):
    assert (
        Finding("diagnosis-doubt", "info", "The research model gives no probability. The ventricle is in doubt.")
        in doubted.findings
    )


def test_a_diagnosis_says_what_it_learned_from():
    vessels = dict.fromkeys(("LAD", "LCX", "RCA"), 0.5)
    given = Diagnosis("made", vessels, 0.5, (0.0, 1.0), False, "Learned from simulated patients.")
    study = Study((Scan(wall(), state="stress"),))
    models = Models(limits=(), classify=lambda study, results: given)
    found = analyze(study, models, Options(frame=FRAME, interval_draws=0)).findings
    assert Finding("diagnosis-simulated", "info", "Learned from simulated patients.") in found


def test_function_that_cannot_be_measured_leaves_the_rest(doubted):
    (result,) = doubted.results
    assert result.function is None
    assert "function-failed" in codes(result.findings)


def test_a_state_without_limits_is_said(doubted):
    assert "no-normal-limits" in codes(doubted.findings)
    assert choose_limits((), state="rest")[1][0].code == "no-normal-limits"


def test_a_doubtful_series_gives_no_flow():
    scan = Scan(
        wall(gates=9),
        modality="PT",
        framing="dynamic",
        tracer="Rb-82",
        frame_start_ms=np.arange(9) * 1000.0,
        frame_duration_ms=np.full(9, 1000.0),
        findings=(Finding("decay-doubtful", "warning", ""),),
    )
    fit = Models().find_lv(scan.image)
    surface = fit_surface(fit.labels, fit.frame)
    flow, findings = flow_of_scan(scan, scan.image, fit, surface, territories=TERRITORIES)
    assert flow is None
    assert codes(findings) == {"flow-series-doubtful"}


def test_the_classical_method_stands_in_where_the_network_finds_nothing(monkeypatch):
    def nothing(self, volume):
        raise AnalysisError("nothing")

    monkeypatch.setattr(NetworkLV, "find_with_agreement", nothing)
    assert "lv-classical" in codes(load_models().find_lv(wall()).findings)


def test_passes_of_the_network_that_disagree_are_said():
    rng, clear = np.random.default_rng(3), wall()
    murky = (clear.array * 0.08 + rng.gamma(1.0, 15.0, clear.array.shape)).astype(np.float32)
    find = load_models().find_lv
    assert "check-orientation" not in codes(find(clear).findings)
    assert "check-orientation" in codes(find(clear.with_array(murky)).findings)


def test_gates_that_cannot_be_labelled_leave_the_rest():
    def fails(gated, frame):
        raise AnalysisError("a gate holds no wall")

    study = Study((Scan(wall(gates=2), state="stress", framing="gated"),))
    options = Options(frame=FRAME, interval_draws=0, gate_labels=True)
    (result,) = analyze(study, Models(limits=(), segment_gates=fails), options).results
    assert result.gate_labels is None
    assert "gate-labels-failed" in codes(result.findings)
