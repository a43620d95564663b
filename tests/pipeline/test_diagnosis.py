"""The classifier within its limits: withheld where it may not speak, at a pre-test probability, against the verdict."""

import json
from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.perfusion import decide
from myoperf.pipeline import Models, Options
from myoperf.pipeline.diagnosis import (
    DEFAULT_PRETEST,
    at_pretest,
    check_diagnosis,
    diagnose,
    outside_training,
    pretest_of,
)
from myoperf.report import results_json
from myoperf.types import (
    Diagnosis,
    Finding,
    LVFrame,
    PolarMap,
    PretestProbability,
    Scan,
    ScanResult,
    Scores,
    Study,
    Volume,
)
from support.report import make_report

VOLUME = Volume(np.ones((4, 5, 6), np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
FRAME = LVFrame((30.0, -40.0, -10.0), (-5.0, 5.0, 20.0), (0.4, -0.4, 0.8))
MAP = PolarMap(np.ones((24, 72)), np.zeros((24, 72, 3)), np.ones((24, 72)))
HIGH = Diagnosis(
    "made/1",
    {"LAD": 0.9, "LCX": 0.74, "RCA": 0.5},
    0.9,
    (0.8, 0.95),
    trained_at=PretestProbability(0.74, "calibration"),
)
MODELS = Models(limits=(), classify=lambda *_: HIGH, classifier="made/1")


@pytest.fixture(scope="module")
def full():
    return make_report()


def result(state="stress", *, findings=(), **kind):
    scan = Scan(VOLUME, state=state, **kind)
    return ScanResult(state, scan, VOLUME, FRAME, VOLUME, VOLUME, MAP, MAP, np.ones(17), 100.0, 50.0, findings=findings)


def study(*results, **patient):
    return Study(tuple(r.scan for r in results), **patient)


def diagnosed(*results, pretest=None, **patient):
    return diagnose(study(*results, **patient), results, MODELS, pretest=pretest)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ({"modality": "PT", "attenuation_corrected": True}, "stress is PET"),
        ({"camera": "GE MEDICAL SYSTEMS UFC"}, "solid-state camera"),
        ({"attenuation_corrected": True}, "corrected for attenuation"),
        ({"position": "prone"}, "prone"),
        ({"findings": (Finding("check-orientation", "warning", "Doubt."),)}, "pose or contours are in doubt at stress"),
    ],
)
def test_a_study_unlike_what_it_learned_from_gets_no_probability(kind, why):
    one = diagnosed(result(**kind))
    assert one.abstained
    assert why in one.reason
    assert np.isnan([one.per_patient, *one.interval, *one.per_vessel.values()]).all()
    (finding,) = check_diagnosis(one, None)
    assert (finding.code, finding.severity) == ("diagnosis-doubt", "info")


def test_probabilities_that_are_withheld_are_null_in_the_results(full):
    for one in (diagnosed(result(position="prone")), replace(HIGH, abstained=True, reason="Unlike.")):
        out = results_json(replace(full, diagnosis=one))["diagnosis"]
        assert out["per_vessel"] == {"LAD": None, "LCX": None, "RCA": None}
        assert (out["per_patient"], out["interval"], out["abstained"]) == (None, None, True)
        json.dumps(out, allow_nan=False)


def test_a_rest_scan_in_doubt_counts_and_a_study_without_stress_has_no_diagnosis():
    doubted = result("rest", findings=(Finding("orientation-doubt", "warning", "Doubt."),))
    assert "at rest" in outside_training([result(), doubted])
    assert outside_training([result(), result("rest")]) is None
    assert diagnosed(result("rest", position="prone")) is None


@pytest.mark.parametrize(("before", "expected"), [(0.74, 0.9), (0.5, 0.76), (0.2, 0.4416), (0.05, 0.1429)])
def test_the_likelihood_ratio_stays_and_the_odds_before_the_test_are_exchanged(before, expected):
    """Odds .9 / .1 over .74 / .26 are a ratio of 3.162; logits that are halved or a shift the other way fail."""
    moved = at_pretest(HIGH, PretestProbability(before, "given"))
    assert moved.per_patient == pytest.approx(expected, abs=5e-4)
    assert moved.per_vessel["LAD"] == moved.per_patient
    assert moved.per_vessel["LCX"] == pytest.approx(before), "it neither speaks for nor against"
    assert moved.interval[0] < moved.per_patient < moved.interval[1]


@pytest.mark.parametrize(
    ("patient", "probability"),
    [
        ({"sex": "M", "age_years": 65.0}, 0.26),
        ({"sex": "F", "age_years": 65.0}, 0.11),
        ({"sex": "M", "age_years": 39.9}, 0.04),
        ({"sex": "F", "age_years": 95.0}, 0.19),
        ({"sex": "F", "age_years": 25.0}, DEFAULT_PRETEST),
        ({"sex": "M"}, DEFAULT_PRETEST),
        ({}, DEFAULT_PRETEST),
    ],
)
def test_the_pre_test_probability_without_a_given_one(patient, probability):
    told = pretest_of(study(result(), **patient), None)
    assert told.probability == probability
    assert told.probability < 0.5
    assert ("ESC" in told.source) == (probability != DEFAULT_PRETEST)


def test_a_given_one_is_used_and_an_impossible_one_refused(full):
    one = diagnosed(result(), pretest=0.74)
    assert one.per_patient == pytest.approx(0.9)
    assert results_json(replace(full, diagnosis=one))["diagnosis"]["pretest"] == {
        "probability": 0.74,
        "source": "given by the user",
    }
    for bad in (0.0, 1.0, 74.0):
        with pytest.raises(InputError, match="between 0 and 1"):
            Options(pretest=bad)
        with pytest.raises(InputError, match="between 0 and 1"):
            pretest_of(study(result()), bad)


NORMAL = decide(Scores(sss=0, tpd_stress_percent=0.1, stress_severity=np.zeros((24, 72))))
ABNORMAL = decide(Scores(sss=12, tpd_stress_percent=9.0, stress_severity=np.full((24, 72), 0.5)))


@pytest.mark.parametrize(
    ("after", "verdict", "contradicts"),
    [
        (0.43, NORMAL, True),
        (0.42, NORMAL, False),
        (0.95, ABNORMAL, False),
        (0.076, ABNORMAL, True),
        (0.078, ABNORMAL, False),
        (0.01, NORMAL, False),
        (0.99, None, False),
    ],
)
def test_a_contradiction_with_the_verdict_is_a_finding(after, verdict, contradicts):
    """Three times the odds of .2 is a probability of .4286, a third of them .0769."""
    one = replace(HIGH, per_patient=after, pretest=PretestProbability(0.2, "assumed"))
    findings = check_diagnosis(one, verdict)
    assert [f.code for f in findings] == ["model-contradicts"] * contradicts
    for finding in findings:  # it stands on the first page and in the SR, where no probability may be
        assert not any(letter.isdigit() for letter in finding.message)
        assert ("much less likely" in finding.message) == verdict.abnormal


def test_a_verdict_that_is_not_reliable_is_not_contradicted():
    doubted = replace(NORMAL, category="not reliable", doubts=("the pose is in doubt",))
    one = replace(HIGH, pretest=PretestProbability(0.2, "assumed"))
    assert check_diagnosis(one, doubted) == ()
