"""A reader's poses: measured as the same command would, and nothing else of the study changes."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import AnalysisError, InputError
from myoperf.geometry import transform_points
from myoperf.pipeline import Models, Options, analyze
from myoperf.pipeline.correction import ScanCorrection, correct_scans
from myoperf.pipeline.uncertainty import Draw, measure_draw
from myoperf.types import Finding, LVFrame, Scan, Study, WallShift
from support.torso import make, shell

HEART = shell(outer=(36.0, 76.0))
GIVEN = Options(frame=HEART.frame, interval_draws=0)


def moved_base(mm):
    frame = HEART.frame
    return LVFrame(frame.apex_mm, frame.base_mm + mm * frame.axis, frame.anterior)


def posed(frame):
    return ScanCorrection(frame=frame)


@pytest.fixture(scope="module")
def report():
    image, _ = make(HEART, spacing=5.0, shape=(48, 52, 56))
    scans = (Scan(image, state="stress"), Scan(image, state="rest"))
    return analyze(Study(scans, sex="M"), Models(), GIVEN)


def test_numbers_are_those_of_an_analysis_in_the_same_pose(report):
    corrected = correct_scans(report, dict.fromkeys(("stress", "rest"), posed(moved_base(-8.0))), options=GIVEN)
    afresh = analyze(report.study, Models(), Options(frame=moved_base(-8.0), interval_draws=0))
    assert corrected.scores.tpd_stress_percent == afresh.scores.tpd_stress_percent
    assert corrected.scores.stress_scores == afresh.scores.stress_scores
    for one, other in zip(corrected.results, afresh.results, strict=True):
        assert one.segments_percent.tolist() == other.segments_percent.tolist()
        assert one.cavity_ml == other.cavity_ml


def test_a_scan_without_a_pose_stays_as_it_was(report):
    corrected = correct_scans(report, {"rest": posed(moved_base(-8.0))}, options=GIVEN, perfusion_only=True)
    stress, rest = corrected.results
    assert stress is report.results[0]
    assert rest.frame.length_mm == pytest.approx(HEART.frame.length_mm - 8.0)
    assert rest.cavity_ml < report.results[1].cavity_ml - 1.0


def test_what_is_known_of_the_images_stays_known(report):
    motion = Finding("motion-corrected", "info", "The patient moved.")
    stress = replace(report.results[0], findings=(*report.results[0].findings, motion))
    moved = replace(report, results=(stress, report.results[1]))
    corrected = correct_scans(moved, {"stress": posed(moved_base(-8.0))}, options=GIVEN)
    codes = [finding.code for finding in corrected.results[0].findings]
    assert codes.count("motion-corrected") == 1
    assert "frame-given" in codes


def test_a_pose_beside_the_heart_or_of_another_scan_is_refused(report):
    away = LVFrame(HEART.frame.apex_mm + 500.0, HEART.frame.base_mm + 500.0, HEART.frame.anterior)
    with pytest.raises(AnalysisError):
        correct_scans(report, {"stress": posed(away)}, options=GIVEN)
    with pytest.raises(InputError, match="stress, rest; got prone"):
        correct_scans(report, {"prone": posed(HEART.frame)}, options=GIVEN)
    with pytest.raises(InputError, match="got none"):
        correct_scans(report, {}, options=GIVEN)


def shift(inner=0.0, outer=0.0, *, columns=slice(None)):
    """Limits moved by so many mm in some columns (15 degrees each, 0 anterior, rising through the septum)."""
    moved = [np.zeros((12, 24)), np.zeros((12, 24))]
    for values, mm in zip(moved, (inner, outer), strict=True):
        values[:, columns] = mm
    return ScanCorrection(wall_shift=WallShift(inner_mm=moved[0], outer_mm=moved[1]))


LATERAL = slice(15, 22)


def test_limits_that_are_moved_by_nothing_change_nothing(report):
    corrected = correct_scans(report, {"stress": shift()}, options=GIVEN)
    before, after = report.results[0], corrected.results[0]
    assert np.array_equal(after.polar.values, before.polar.values)
    assert np.array_equal(after.labels.array, before.labels.array)
    assert corrected.scores.tpd_stress_percent == report.scores.tpd_stress_percent


def test_polar_map_and_labels_follow_the_limits_where_they_were_moved(report):
    """The closed-form wall is 10 mm: limits 4 mm outside of it take in the dark beyond, so that the mean falls."""
    corrected = correct_scans(report, {"stress": shift(outer=4.0, columns=LATERAL)}, options=GIVEN)
    before, after = report.results[0], corrected.results[0]
    lateral, septal = slice(48, 61), slice(6, 30)
    assert after.polar.thickness_mm[:, lateral] == pytest.approx(before.polar.thickness_mm[:, lateral] + 4.0)
    assert np.array_equal(after.polar.thickness_mm[:, septal], before.polar.thickness_mm[:, septal])
    assert after.polar_mean.values[6:, lateral].mean() < 0.9 * before.polar_mean.values[6:, lateral].mean()
    assert after.polar_mean.values[:, septal] == pytest.approx(before.polar_mean.values[:, septal])
    moved = np.argwhere(after.labels.array[0] != before.labels.array[0])
    side = transform_points(after.labels.lps_from_index, moved) - HEART.frame.apex_mm
    assert (side @ HEART.frame.lateral > 0).all()
    assert {*after.labels.array[0][tuple(moved.T)]} == {1}, "what was outside is wall now"
    assert after.myocardium_ml > before.myocardium_ml + 3.0
    assert "limits-given" in {finding.code for finding in after.findings}


def test_the_cavity_follows_the_inner_limit_and_the_pose_stays(report):
    corrected = correct_scans(report, {"rest": shift(inner=-3.0)}, options=GIVEN, perfusion_only=True)
    stress, rest = corrected.results
    assert stress is report.results[0]
    assert rest.frame is report.results[1].frame
    assert rest.cavity_ml < 0.85 * report.results[1].cavity_ml
    assert rest.wall_shift.farthest_mm == 3.0


def test_pose_and_limits_are_corrected_together_and_intervals_keep_both(report):
    limits = shift(outer=3.0).wall_shift
    both = ScanCorrection(frame=moved_base(-8.0), wall_shift=limits)
    corrected = correct_scans(report, {"stress": both}, options=GIVEN)
    alone = correct_scans(report, {"stress": posed(moved_base(-8.0))}, options=GIVEN)
    assert corrected.results[0].polar.thickness_mm == pytest.approx(alone.results[0].polar.thickness_mm + 3.0)
    one, rng = corrected.results[0], np.random.default_rng(0)
    draw = Draw(original=one, scan=one.scan, frame=one.frame, rng=rng)
    repeated = measure_draw(draw, one.volume, one.volume, alone.results[0].labels, GIVEN)
    assert repeated.polar.thickness_mm == pytest.approx(one.polar.thickness_mm)
    assert repeated.myocardium_ml == one.myocardium_ml


def test_limits_that_no_wall_can_have_are_refused():
    zeros = np.zeros((12, 24))
    with pytest.raises(InputError, match=r"inner_mm has shape \(3, 24\)"):
        WallShift(inner_mm=zeros[:3], outer_mm=zeros)
    with pytest.raises(InputError, match="up to 20 mm; outer_mm"):
        WallShift(inner_mm=zeros, outer_mm=zeros + np.nan)
    with pytest.raises(InputError, match="something else"):
        WallShift(inner_mm=[["x"] * 24] * 12, outer_mm=zeros)


def test_limits_that_would_cross_leave_a_thin_wall(report):
    corrected = correct_scans(report, {"stress": shift(inner=12.0, outer=-12.0)}, options=GIVEN)
    assert corrected.results[0].polar.thickness_mm.min() == pytest.approx(2.0)
