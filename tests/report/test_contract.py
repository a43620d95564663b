"""results.json keeps the contract, to the key."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from myoperf.report import results_json, write_json
from myoperf.report.content import summary_lines
from myoperf.report.contract import plain
from myoperf.types import Finding, FunctionResult, Scores

SCAN = {
    "name",
    "state",
    "modality",
    "framing",
    "source",
    "reconstruction",
    "lv_frame",
    "volumes_ml",
    "segments_percent",
    "function",
    "findings",
}
SCORES = {
    "sss",
    "srs",
    "sds",
    "tpd_stress_percent",
    "tpd_rest_percent",
    "tpd_ischemic_percent",
    "tid_ratio",
    "territories",
    "normal_limits",
}
STAGES = {"read", "reconstruct", "orient", "segment", "polar", "quantify", "diagnose", "report", "total"}
FUNCTION = {"edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg", "phase_bandwidth_deg", "phase_entropy_percent"}


@pytest.mark.parametrize("kind", ["full", "bare"])
def test_keys_are_the_contracts(kind, request):
    out = results_json(request.getfixturevalue(kind))
    assert set(out) == {"schema", "study", "findings", "scans", "scores", "diagnosis", "provenance", "text"}
    assert out["schema"] == "myoperf.report/1"
    assert set(out["study"]) == {"study_uid", "patient_id", "sex", "age_years"}
    for scan in out["scans"]:
        assert set(scan) == SCAN
        assert set(scan["lv_frame"]) == {"apex_mm", "base_mm", "anterior"}
        assert set(scan["volumes_ml"]) == {"myocardium", "cavity"}
        assert len(scan["segments_percent"]) == 17
    assert set(out["scores"]) >= SCORES | {"summary", "stress_scores", "rest_scores"}
    assert set(out["scores"]["territories"]) == {"LAD", "LCX", "RCA"}
    assert set(out["provenance"]) == {
        "myoperf",
        "weights",
        "command",
        "seed",
        "threads",
        "timings_s",
        "peak_memory_mb",
        "settings",
    }
    assert set(out["provenance"]["timings_s"]) == STAGES


def test_values_are_the_reports(full):
    out = results_json(full)
    stress, rest = out["scans"]
    assert stress["function"]["edv_ml"] == 96.5
    assert stress["function"].keys() >= FUNCTION
    assert stress["function"]["stroke_volume_ml"] == pytest.approx(68.4)
    assert "phase_map_deg" not in stress["function"], "a whole map does not belong in the JSON"
    assert rest["function"] is None
    assert stress["lv_frame"]["apex_mm"] == pytest.approx(full.results[0].frame.apex_mm)
    assert out["scores"]["sds"] == 10
    assert out["scores"]["territories"]["RCA"]["tpd_stress_percent"] == 12.7
    assert out["scores"]["normal_limits"] == {"name": "simulated-tc99m", "version": "1.2", "n": 83}
    assert set(out["diagnosis"]) == {"model", "per_vessel", "per_patient", "interval", "abstained", "reason"}
    assert out["diagnosis"]["interval"] == [0.772, 0.947]
    assert [f["code"] for f in out["findings"]] == ["normal-limits-simulated", "scan-failed"]
    assert [f["code"] for f in stress["findings"]] == ["hot-gut"]


def test_absent_values_are_null(bare):
    out = results_json(bare)
    assert out["study"] == {"study_uid": None, "patient_id": None, "sex": None, "age_years": None}
    assert out["diagnosis"] is None
    assert out["scans"][0]["state"] is None
    assert out["scans"][0]["function"] is None
    assert out["scans"][0]["reconstruction"] is None
    assert all(v is None for k, v in out["scores"].items() if k != "territories")
    assert all(v is None for t in out["scores"]["territories"].values() for v in t.values())
    assert set(out["provenance"]["timings_s"].values()) == {None}


@pytest.mark.parametrize("kind", ["full", "bare"])
def test_round_trip_through_the_file(kind, request, tmp_path):
    report = request.getfixturevalue(kind)
    path = write_json(report, tmp_path / "results.json")
    assert json.loads(path.read_text(encoding="utf-8")) == results_json(report)


def test_numpy_becomes_plain_and_nan_becomes_null(full, bare):
    function = FunctionResult(np.float32(90.5), np.float64("nan"), 60.0)
    record = replace(full.results[0].reconstruction, counts=np.float64(7.5), voxel_mm=(np.float32(0.5), 3, 4))
    result = replace(bare.results[0], function=function, reconstruction=record)
    out = results_json(replace(bare, results=(result,), scores=Scores(sss=np.int64(3))))
    function_out = out["scans"][0]["function"]
    assert function_out["edv_ml"] == 90.5
    assert function_out["esv_ml"] is None
    assert out["scans"][0]["reconstruction"]["counts"] == 7.5
    assert out["scans"][0]["reconstruction"]["voxel_mm"] == [0.5, 3, 4]
    assert type(out["scores"]["sss"]) is int
    json.dumps(out, allow_nan=False)


def test_a_finding_stands_once(bare):
    finding = Finding("low-counts", "warning", "Few counts.")
    result = replace(bare.results[0], findings=(finding,))
    report = replace(
        bare, results=(result,), study=replace(bare.study, findings=(finding,)), findings=(finding, finding)
    )
    out = results_json(report)
    assert out["findings"] == []
    assert [f["code"] for f in out["scans"][0]["findings"]] == ["low-counts"]


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="cannot hold a object"):
        plain(object())


def test_a_scan_that_the_studys_scores_are_not_of_has_its_own(full):
    prone = replace(full.results[0], name="stress-prone", scan=replace(full.results[0].scan, position="prone"))
    own = replace(full.scores, sss=3, srs=None, summary="Small inferior defect, RCA.", scans={"stress": "stress-prone"})
    scores = replace(full.scores, scans={"stress": "stress", "rest": "rest"})
    study = replace(full.study, study_uids=("1.2", "1.3"))
    report = replace(
        full, study=study, results=(*full.results, prone), scores=scores, scan_scores={"stress-prone": own}
    )
    out = results_json(report)
    assert out["study"]["study_uids"] == ["1.2", "1.3"]
    assert out["scores"]["scans"] == {"stress": "stress", "rest": "rest"}
    assert [scan.get("position") for scan in out["scans"]] == [None, None, "prone"]
    assert ["scores" in scan for scan in out["scans"]] == [False, False, True]
    third = out["scans"][2]["scores"]
    assert (third["sss"], third["srs"], third["scans"]) == (3, None, {"stress": "stress-prone", "rest": None})
    assert "Stress-prone, scored on its own: severely abnormal." in summary_lines(report)
