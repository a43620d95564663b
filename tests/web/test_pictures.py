"""What the page gets: arrays that come back as they were, in places that agree with the report."""

import json
from dataclasses import replace
from math import nan

import numpy as np
import pytest

from myoperf.geometry import index_from_lps, transform_points
from myoperf.types import VESSELS, Diagnosis, FlowReserve, Projections, Volume
from myoperf.web.pictures import arrays_of, pack, row_of, scene_of, unpack
from support.report import HALF_WALL, VENTRICLE, bare_report, make_report


@pytest.fixture(scope="module")
def report():
    return make_report()


@pytest.fixture(scope="module")
def arrays(report):
    return {role: unpack(data) for role, data in arrays_of(report)}


@pytest.mark.parametrize("kind", [np.float32, np.uint16, np.uint8])
def test_arrays_come_back(kind):
    array = np.arange(24, dtype=kind).reshape(2, 3, 4)[:, ::-1]
    header, back = unpack(pack(array, note="µ"))
    assert (header["note"], back.dtype) == ("µ", kind)
    assert np.array_equal(back, array)


def test_numbers_start_at_a_multiple_of_four_bytes():
    for text in ("", "a", "ab", "abc"):
        data = pack(np.ones(1, np.float32), note=text)
        assert int.from_bytes(data[:4], "little") % 4 == 0


def test_the_heart_lies_where_the_ventricle_is(arrays):
    """Counts are highest at the mid-wall, read through the stack's own affine."""
    header, stack = arrays["heart/stress"]
    wall = VENTRICLE.polar_map().mid_wall_mm[4:20, :30].reshape(-1, 3)
    cavity = VENTRICLE.frame.base_mm - 0.4 * VENTRICLE.length * VENTRICLE.frame.axis
    planes = index_from_lps(np.array(header["lps_from_index"]))
    at = lambda points: stack[0][tuple(np.rint(transform_points(planes, points)).astype(int).T)] * header["step"]  # noqa: E731
    assert np.median(at(wall)) > 3 * at(cavity[None])[0]


def test_counts_survive_to_a_thousandth_of_the_highest(report, arrays):
    header, stack = arrays["volume/rest"]
    volume = report.results[1].volume
    assert np.allclose(stack[0] * header["step"], volume.array[0], atol=1e-3 * volume.array.max())
    assert np.allclose(header["lps_from_index"], volume.lps_from_index)


def test_the_lines_on_raw_views_lie_round_the_ventricle(report):
    stress = report.results[0]
    rows, columns = stress.volume.grid_shape[0], 40
    views = Projections(np.ones((1, 6, rows, columns)), np.arange(6) * 60.0, (4.5, 4.5))
    raw = replace(stress, scan=replace(stress.scan, image=views, framing="static"))
    header, _ = unpack(dict(arrays_of(replace(report, results=(raw,))))["raw/stress"])
    volume = stress.volume
    inside = np.unique(np.argwhere(stress.labels.array[0] == 1)[:, 0])
    assert header["heart"] == pytest.approx([(inside.min() + 0.5) / rows, (inside.max() + 0.5) / rows], abs=2.0 / rows)
    coarse = replace(raw, volume=Volume(volume.array[:, ::2], volume.lps_from_index))
    header, _ = unpack(dict(arrays_of(replace(report, results=(coarse,))))["raw/stress"])
    assert header["heart"] is None


def test_surfaces_lie_half_a_wall_off_the_mid_wall(arrays):
    surfaces = arrays["surface/stress"][1]
    inner, outer = (VENTRICLE.distance_mm(surfaces[0, i, 2:20].astype(float)) for i in (0, 1))
    assert np.median(inner) == pytest.approx(-HALF_WALL, abs=0.6)
    assert np.median(outer) == pytest.approx(HALF_WALL, abs=0.6)


def test_a_gated_scan_has_all_its_gates_and_a_static_one_none(report, arrays):
    gates = report.results[0].gated_volume.frames
    assert arrays["gated/stress"][1].shape[0] == gates
    assert "gated/rest" not in arrays


def test_the_scene_is_json_and_names_the_reports_numbers(report):
    scene = json.loads(json.dumps(scene_of(report), allow_nan=False))
    rows = {row["label"]: row for row in scene["numbers"]}
    tpd = rows["Total perfusion deficit (TPD)"]["values"]
    assert tpd["stress"]["value"] == report.scores.tpd_stress_percent
    assert tpd[""]["value"] == report.scores.tpd_ischemic_percent
    assert rows["Ejection fraction (LVEF)"]["values"]["stress"]["value"] == report.results[0].function.lvef_percent
    assert scene["scores"]["stress"] == list(report.scores.stress_scores)
    assert rows["Total perfusion deficit (TPD)"]["normal"] == "< 5.0"
    assert tpd["stress"]["flag"] == "high"
    lvef = rows["Ejection fraction (LVEF)"]
    assert (lvef["normal"], "flag" in lvef["values"]["stress"]) == ("≥ 59", False)


def test_defects_are_black_where_the_verdict_names_them(report, arrays):
    _, below = arrays["polar-below/stress"]
    uptake, severity = arrays["polar-uptake/stress"][1], report.scores.stress_severity
    region = np.any([defect.region for defect in report.scores.verdict.defects], axis=0) & (severity > 0)
    assert region.any()
    assert not region.all()
    assert (below[region] == 0).all()
    assert np.array_equal(below[~region], uptake[~region])


def test_the_map_of_standard_deviations_is_sent_where_limits_applied(report, arrays):
    header, deviation = arrays["polar-deviation/stress"]
    assert np.array_equal(deviation, report.scores.stress_deviation.astype(np.float32))
    assert (header["unit"], header["low"]) == ("SD", -5.0)
    without = dict(arrays_of(bare_report()))
    assert not any(role.startswith("polar-deviation") for role in without)


def test_the_rest_map_is_sent_as_it_was_compared_with_stress(report):
    turned = np.roll(report.results[1].polar.values, 5, axis=1)
    scores = replace(report.scores, compared_rest=turned)
    sent = dict(arrays_of(replace(report, scores=scores)))
    assert "polar-compared/stress" not in sent
    assert unpack(sent["polar-compared/rest"])[1] == pytest.approx(100.0 * turned / turned.max(), abs=1e-3)


def test_a_further_scan_has_its_own_scores(report):
    stress = report.results[0]
    corrected = replace(stress, name="stress-ac")
    own = replace(report.scores, sss=3)
    further = replace(report, results=(*report.results, corrected), scan_scores={"stress-ac": own})
    rows = {row["label"]: row["values"] for row in scene_of(further)["numbers"]}
    sums = rows["Summed score (SSS, SRS, SDS)"]
    assert (sums["stress"]["value"], sums["stress-ac"]["value"], sums["rest"]["value"]) == (14, 3, 4)


def test_blood_flow_stands_among_the_numbers(report):
    reserve = FlowReserve(segments=np.full(17, 1.6), territories={"global": 1.6})
    scene = scene_of(replace(report, scores=replace(report.scores, flow_reserve=reserve)))
    rows = {row["label"]: row for row in scene["numbers"]}
    assert rows["Myocardial flow reserve (MFR)"]["values"][""] == {"value": 1.6, "flag": "low"}


def test_a_network_that_abstains_gives_no_probabilities_and_the_scene_stays_json(report):
    silent = Diagnosis(
        model="network",
        per_vessel=dict.fromkeys(VESSELS, nan),
        per_patient=nan,
        interval=(nan, nan),
        abstained=True,
        reason="PET",
    )
    scene = json.loads(json.dumps(scene_of(replace(report, diagnosis=silent)), allow_nan=False))
    assert scene["diagnosis"] == {
        "per_patient": None,
        "per_vessel": dict.fromkeys(VESSELS),
        "abstained": True,
        "reason": "PET",
    }


def test_flow_of_the_segments_is_sent_with_null_where_there_is_none(report):
    segments = np.append(np.full(16, 2.5), nan)
    reserve = FlowReserve(segments=segments, territories={"global": 2.5})
    scene = scene_of(replace(report, scores=replace(report.scores, flow_reserve=reserve)))
    assert scene["flow_reserve"] == [*[2.5] * 16, None]
    assert [scan["flow_ml_min_g"] for scan in scene["scans"]] == [None, None]


def test_a_scan_of_unknown_state_without_scores_is_shown_too():
    report = bare_report()
    scene = json.loads(json.dumps(scene_of(report), allow_nan=False))
    assert scene["scored"] == {}
    assert {role.split("/")[0] for role, _ in arrays_of(report)} == {"heart", "volume", "surface", "polar-uptake"}
    assert row_of(report)["sss"] is None
