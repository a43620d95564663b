"""A study against an earlier result: what exceeds repeatability, and what forbids the comparison."""

import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from myoperf.errors import InputError
from myoperf.pipeline.prior import compare_prior, read_prior, repeatability
from myoperf.report import results_json
from myoperf.report.narrative import report_text
from myoperf.types import Interval
from support.report import make_report

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def full():
    return make_report()


def earlier(report, **scores):
    out = json.loads(json.dumps(results_json(report)))
    out["scores"].update(scores)
    return out


def changes(report, prior):
    return {change.name: change for change in compare_prior(report, prior).changes}


def test_a_change_beyond_repeatability_is_said_and_a_smaller_one_is_not(full):
    """The SSS of repeated scans differs by less than 1.17."""
    limit = repeatability()["sss"]
    assert limit == pytest.approx(1.174, abs=1e-3)
    for before, exceeds in ((14, False), (13, False), (12, True), (16, True)):
        assert changes(full, earlier(full, sss=before))["sss"].exceeds is exceeds
    prior = compare_prior(full, earlier(full, sss=4, category="mildly abnormal"))
    (section,) = [s for s in report_text(replace(full, prior=prior)) if s.key == "comparison"]
    text = " ".join(section.sentences)
    assert "Earlier result: perfusion mildly abnormal; now severely abnormal." in text
    assert "Summed stress score (SSS): 4 before, 14 now" in text
    assert "TPD" not in text, "what did not change is not said to have changed"


def test_function_is_compared_scan_by_scan_and_a_wider_interval_counts(full):
    prior = earlier(full)
    prior["scans"][0]["function"]["lvef_percent"] -= 10.0
    assert changes(full, prior)["stress.lvef_percent"].exceeds
    wide = {"stress": {"lvef_percent": Interval(71, 55, 87, 8.0, 5, "counts")}}
    change = changes(replace(full, intervals=wide), prior)["stress.lvef_percent"]
    assert change.limit == pytest.approx(1.96 * 8.0)
    assert not change.exceeds
    assert "rest.lvef_percent" not in changes(full, prior)


def test_nothing_changed_is_said_so(full):
    prior = compare_prior(full, earlier(full))
    (section,) = [s for s in report_text(replace(full, prior=prior)) if s.key == "comparison"]
    assert any(s.startswith("Nothing differs by more than repeated scans do (Summed stress") for s in section.sentences)
    out = results_json(replace(full, prior=prior))["prior"]
    assert {change["exceeds"] for change in out["changes"]} == {False}


def test_what_makes_a_comparison_doubtful_is_noted(full):
    other = earlier(full)
    other["scores"]["normal_limits"]["name"] = "others"
    other["provenance"]["myoperf"] = "0.0.1"
    other["study"]["patient_id"] = None
    notes = " ".join(compare_prior(full, other).notes)
    assert "other normal limits" in notes
    assert "version 0.0.1" in notes
    assert "patient ID is missing" in notes


@pytest.mark.parametrize("value", [10**400, float("nan"), float("inf"), True, [], {}, "1"])
def test_values_that_are_no_numbers_are_not_compared(full, value):
    other = earlier(full, sss=value)
    other["scans"][0]["name"], other["intervals"] = value, {"scores": {"sss": {"sd": value}}}
    assert "sss" not in changes(full, other)
    assert not {name for name in changes(full, other) if name.startswith("stress.")}
    other["scores"]["sss"] = 14
    assert changes(full, other)["sss"].limit == changes(full, earlier(full))["sss"].limit


def test_another_patient_and_files_that_are_no_results_are_refused(full, tmp_path):
    other = earlier(full)
    other["study"]["patient_id"] = "SOMEONE-ELSE"
    with pytest.raises(InputError, match="another patient") as error:
        compare_prior(full, other)
    assert "SOMEONE" not in str(error.value)
    for content in ("{", "[]", '{"schema": "x"}', '{"a": 1}'):
        (tmp_path / "r.json").write_text(content)
        with pytest.raises(InputError, match=r"--prior r\.json"):
            read_prior(tmp_path / "r.json")
    with pytest.raises(InputError, match="not a readable"):
        read_prior(tmp_path / "absent.json")


def test_a_pipe_or_a_device_is_no_earlier_result(tmp_path):
    """A pipe would be waited for, and a device would fill the memory."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match=r"not a regular file"):
            read_prior(path)


def test_odd_values_in_an_earlier_result_are_no_numbers(full):
    odd = earlier(full, sss="14", srs=None, tpd_stress_percent={})
    odd["scans"], odd["intervals"] = {"a": 1}, 7
    assert {"sss", "srs", "tpd_stress_percent"}.isdisjoint(changes(full, odd))


def test_the_coefficients_are_those_of_the_measured_pairs():
    spec = importlib.util.spec_from_file_location("limits", ROOT / "benchmarks" / "repeatability_limits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    measured = module.coefficients(ROOT / "docs" / "results" / "repeatability.csv")
    assert repeatability() == {name: pytest.approx(c, rel=1e-3) for name, (c, _) in measured.items()}
