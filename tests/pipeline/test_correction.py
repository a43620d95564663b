"""A reader's poses: measured as the same command would, and nothing else of the study changes."""

from dataclasses import replace

import pytest

from myoperf.errors import AnalysisError, InputError
from myoperf.pipeline import Models, Options, analyze
from myoperf.pipeline.correction import correct_poses
from myoperf.types import Finding, LVFrame, Scan, Study
from support.torso import make, shell

HEART = shell(outer=(36.0, 76.0))
GIVEN = Options(frame=HEART.frame, interval_draws=0)


def moved_base(mm):
    frame = HEART.frame
    return LVFrame(frame.apex_mm, frame.base_mm + mm * frame.axis, frame.anterior)


@pytest.fixture(scope="module")
def report():
    image, _ = make(HEART, spacing=5.0, shape=(48, 52, 56))
    scans = (Scan(image, state="stress"), Scan(image, state="rest"))
    return analyze(Study(scans, sex="M"), Models(), GIVEN)


def test_numbers_are_those_of_an_analysis_in_the_same_pose(report):
    corrected = correct_poses(report, dict.fromkeys(("stress", "rest"), moved_base(-8.0)), options=GIVEN)
    afresh = analyze(report.study, Models(), Options(frame=moved_base(-8.0), interval_draws=0))
    assert corrected.scores.tpd_stress_percent == afresh.scores.tpd_stress_percent
    assert corrected.scores.stress_scores == afresh.scores.stress_scores
    for one, other in zip(corrected.results, afresh.results, strict=True):
        assert one.segments_percent.tolist() == other.segments_percent.tolist()
        assert one.cavity_ml == other.cavity_ml


def test_a_scan_without_a_pose_stays_as_it_was(report):
    corrected = correct_poses(report, {"rest": moved_base(-8.0)}, options=GIVEN, perfusion_only=True)
    stress, rest = corrected.results
    assert stress is report.results[0]
    assert rest.frame.length_mm == pytest.approx(HEART.frame.length_mm - 8.0)
    assert rest.cavity_ml < report.results[1].cavity_ml - 1.0


def test_what_is_known_of_the_images_stays_known(report):
    motion = Finding("motion-corrected", "info", "The patient moved.")
    stress = replace(report.results[0], findings=(*report.results[0].findings, motion))
    moved = replace(report, results=(stress, report.results[1]))
    corrected = correct_poses(moved, {"stress": moved_base(-8.0)}, options=GIVEN)
    codes = [finding.code for finding in corrected.results[0].findings]
    assert codes.count("motion-corrected") == 1
    assert "frame-given" in codes


def test_a_pose_beside_the_heart_or_of_another_scan_is_refused(report):
    away = LVFrame(HEART.frame.apex_mm + 500.0, HEART.frame.base_mm + 500.0, HEART.frame.anterior)
    with pytest.raises(AnalysisError):
        correct_poses(report, {"stress": away}, options=GIVEN)
    with pytest.raises(InputError, match="stress, rest; got prone"):
        correct_poses(report, {"prone": HEART.frame}, options=GIVEN)
    with pytest.raises(InputError, match="got none"):
        correct_poses(report, {}, options=GIVEN)
