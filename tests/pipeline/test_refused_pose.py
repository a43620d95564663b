"""A pose that cannot be right withholds the numbers that rest on it, unless the operator gave it."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import AnalysisError
from myoperf.lv import LVFit, find_lv
from myoperf.pipeline import Models, Options, analyze
from myoperf.types import Diagnosis, Scan, Study, Volume
from support.torso import make, shell

HEART = shell(outer=(36.0, 76.0))
FAST = Options(interval_draws=3)


def study(signs=(1, 1, 1), states=("stress",)):
    """Return a gated study (two gates) of a torso whose file exchanges axes."""
    image, _ = make(HEART, liver=0.6, spacing=5.0, shape=(48, 52, 56))
    gated = Volume(np.repeat(image.array, 2, axis=0), np.diag([*signs, 1.0]) @ image.lps_from_index)
    return Study(tuple(Scan(gated, state=state, framing="gated") for state in states))


def models(fit_of=None):
    labels = make(HEART, spacing=5.0, shape=(48, 52, 56))[1]

    def find(volume):
        return fit_of(volume, labels) if fit_of else find_lv(volume)

    diagnosis = Diagnosis("made", dict.fromkeys(("LAD", "LCX", "RCA"), 0.5), 0.5, (0.0, 1.0))
    return Models(find_lv=find, limits=(), classify=lambda *_: diagnosis)


def codes(findings):
    return {f.code for f in findings}


def true_fit(volume, labels):
    return LVFit(HEART.frame, volume.with_array(labels.array), 0.9, ())


def test_a_volume_turned_about_the_body_gives_no_scores_function_or_diagnosis():
    report = analyze(study((-1, -1, 1)), models(), FAST)
    (result,) = report.results
    assert "orientation-implausible" in codes(result.findings)
    assert (report.scores.sss, report.scores.stress_scores, report.scores.tid_ratio) == (None, None, None)
    assert (result.function, report.diagnosis) == (None, None)
    assert not report.scores.summary
    assert not report.intervals


def test_the_same_volume_as_it_is_gives_them():
    report = analyze(study(), models(true_fit), Options(interval_draws=0))
    assert not codes(report.results[0].findings) & {"orientation-implausible", "pose-implausible"}
    assert report.scores.sss is not None
    assert report.diagnosis is not None


def test_the_operators_pose_is_measured_whatever_the_volume_says():
    signs = np.array((-1, -1, 1))
    frame = replace(
        HEART.frame,
        apex_mm=signs * HEART.frame.apex_mm,
        base_mm=signs * HEART.frame.base_mm,
        anterior=signs * HEART.frame.anterior,
    )
    report = analyze(study(signs), models(), Options(frame=frame, interval_draws=0))
    assert report.scores.sss is not None


@pytest.mark.parametrize("refused", ["stress", "rest"])
def test_only_the_scan_whose_pose_is_refused_is_left_out(refused):
    states = ("stress", "rest")
    calls = []

    def without_pool(volume, labels):
        calls.append(1)
        fit = true_fit(volume, labels)
        wall = volume.with_array(labels.array * (labels.array == 1))
        return replace(fit, labels=wall) if len(calls) == 1 + states.index(refused) else fit

    def nothing(volume, frame):
        raise AnalysisError("Nothing is there.")

    made = replace(models(without_pool), segment_lv=nothing)
    report = analyze(study(states=states), made, Options(interval_draws=0))
    assert "pose-implausible" in codes(report.result(refused).findings)
    assert (report.scores.sss is None) is (refused == "stress")
    assert (report.scores.srs is None) is (refused == "rest")
    assert list(report.scores.scans) == [state for state in states if state != refused]
