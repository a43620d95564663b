"""Scoring a study: the rest map is aligned with stress, territories follow the options."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.perfusion import NormalLimits
from myoperf.pipeline.scoring import match_limits, score
from myoperf.segments import assign_segments, segment_map
from myoperf.types import Finding, LVFrame, PolarMap, Scan, ScanResult, Study, Volume

RINGS, ANGLES = 24, 72
VOLUME = Volume(np.ones((4, 5, 6), np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
FRAME = LVFrame((30.0, -40.0, -10.0), (-5.0, 5.0, 20.0), (0.4, -0.4, 0.8))


def limits(state):
    flat = np.full((RINGS, ANGLES), 1.0)
    label = {"name": "l", "version": "1", "state": state, "provenance": "hand", "licence": "CC0"}
    return NormalLimits(**label, n=40, mean=flat, sd=0.06 * flat, mad=0.05 * flat, top_ratio=1.0)


def result(state, *, defect=(), turned=0):
    """A map with one thick wall as a landmark and a defect, turned by so many samples."""
    angle = np.deg2rad(np.arange(ANGLES) * 360.0 / ANGLES)
    values = np.broadcast_to(1.0 + 0.04 * np.cos(3 * angle), (RINGS, ANGLES)).copy()
    values[np.isin(segment_map(RINGS, ANGLES), defect)] *= 0.3
    thickness = np.broadcast_to(10.0 + np.cos(angle - 1.0), (RINGS, ANGLES))
    mid = np.zeros((RINGS, ANGLES, 3))
    polar = PolarMap(np.roll(values, turned, axis=1), mid, np.roll(thickness, turned, axis=1))
    return ScanResult(
        state, Scan(VOLUME, state=state), VOLUME, FRAME, VOLUME, VOLUME, polar, polar, np.ones(17), 100.0, 50.0
    )


def scored(stress, rest, **options):
    study = Study((stress.scan, rest.scan))
    matched = match_limits(study, [stress, rest], (limits("stress"), limits("rest")))
    return score([stress, rest], matched, **options)


def test_a_rotated_rest_map_is_aligned_and_that_is_reported():
    fixed = (3, 4, 9, 10, 15)
    straight = scored(result("stress", defect=fixed), result("rest", defect=fixed))
    turned = scored(result("stress", defect=fixed), result("rest", defect=fixed, turned=2))
    assert "rest-turned" not in {f.code for f in straight.findings}
    assert [f.message for f in turned.findings if f.code == "rest-turned"] == [
        "For scoring, the rest map was rotated by -10 degrees to match stress."
    ]
    assert turned.rest_scores == straight.rest_scores
    assert turned.tpd_rest_percent == pytest.approx(straight.tpd_rest_percent, abs=0.2)
    assert straight.sds == turned.sds == 0


def test_the_territories_of_the_options_are_used():
    pair = result("stress", defect=(16,)), result("rest")
    assert scored(*pair).territories["LCX"].sss > 0
    moved = scored(*pair, territories=assign_segments({16: "LAD"}))
    assert moved.territories["LCX"].sss == 0
    assert moved.territories["LAD"].sss == scored(*pair).territories["LCX"].sss


def test_two_ventricles_too_unlike_to_be_one_heart_are_doubted():
    stress, rest = result("stress"), result("rest")
    for share, doubted in ((0.92, False), (0.89, True)):
        apex = FRAME.base_mm + share * (FRAME.apex_mm - FRAME.base_mm)
        short = LVFrame(apex, FRAME.base_mm, FRAME.anterior)
        for pair in ((stress, replace(rest, frame=short)), (replace(stress, frame=short), rest)):
            scores = scored(*pair)
            found = [f for f in scores.findings if f.code == "ventricles-differ"]
            assert [f.severity for f in found] == ["warning"] * doubted
            compared = (scores.sds, scores.tpd_ischemic_percent, scores.tid_ratio, scores.territories["LAD"].sds)
            assert [number is None for number in compared] == [doubted] * 4
            assert (scores.sss, scores.srs) == (0, 0)


@pytest.mark.parametrize(
    ("code", "given", "doubted"),
    [
        ("check-orientation", False, True),
        ("orientation-doubt", False, True),
        ("lv-classical", False, True),
        ("orientation-doubt", True, False),
        ("hot-gut", False, False),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_while_a_pose_is_in_doubt_nothing_is_compared_and_there_is_no_verdict(code, given, doubted, place):
    """The headline had named defects beside the warning that the contours may be wrong."""
    findings = (Finding(code, "warning", "Doubt."), *([Finding("frame-given", "info", "Given.")] if given else []))
    pair = [result("stress", defect=(4, 10, 15)), result("rest")]
    pair[place] = replace(pair[place], findings=findings)
    scores = scored(*pair)
    compared = (scores.sds, scores.tpd_ischemic_percent, scores.tid_ratio)
    assert [number is None for number in compared] == [doubted] * 3
    assert (scores.category == "not reliable") is doubted
    assert (scores.category, scores.summary) == (scores.verdict.category, scores.verdict.headline)
    assert scores.apart is doubted
    assert scores.summary.startswith("Not reliable: ") is doubted


def test_limits_without_cut_offs_of_their_own_are_said_once():
    scores = scored(result("stress"), result("rest"))
    assert [f.code for f in scores.findings].count("cutoffs-published") == 1
    assert "limits (l) hold no cut-offs" in next(f.message for f in scores.findings if f.code == "cutoffs-published")


def test_scans_that_were_withheld_are_not_said_to_be_of_unknown_state():
    study = Study((result("stress").scan,))
    withheld = score([], match_limits(study, [], ()))
    assert withheld.sss is None
    assert withheld.findings == ()
    unknown = score([result(None)], match_limits(study, [], ()))
    assert {f.code for f in unknown.findings} == {"no-known-state"}
