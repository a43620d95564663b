"""A pose in doubt in one of two scans is taken from the other."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import AnalysisError
from myoperf.lv import LVFit
from myoperf.pipeline import Models, Options, analyze
from myoperf.types import Finding, LVFrame, Scan, Study
from support.ventricle import points_of, thick_ventricle, wall_image

VENTRICLE = thick_ventricle()
FRAME = VENTRICLE.frame
DOUBT = Finding("check-orientation", "warning", "Look at the contours.")


def bright_lateral_wall(shift_mm=(0.0, 0.0, 0.0)):
    """A thick half ellipsoid with a bright lateral wall, moved by `shift_mm`."""
    ventricle = VENTRICLE.moved(shift_mm)
    base = ventricle.frame.base_mm
    return wall_image(ventricle, side=40, uptake=lambda points: 1.0 + 0.5 * ((points - base) @ FRAME.lateral > 10.0))


def labelled(volume, frame):
    points = points_of(volume.lps_from_index, volume.grid_shape)
    pool = replace(VENTRICLE, frame=frame).labels(points) == 2
    labels = np.where(volume.array[:1] > 50, 1, np.where(pool, 2, 0)).astype(np.uint8)
    return volume.with_array(labels), ()


def finder(doubted):
    """Find the true pose but in volumes for which `doubted` says so: there 30 mm beside it, with a doubt."""

    def find(volume):
        labels, _ = labelled(volume, FRAME)
        if not doubted(volume):
            return LVFit(FRAME, labels, 0.9, ())
        away = 30.0 * np.asarray(FRAME.lateral)
        return LVFit(LVFrame(FRAME.apex_mm + away, FRAME.base_mm + away, FRAME.anterior), labels, 0.3, (DOUBT,))

    return find


SHIFT = np.array([6.0, -4.0, 5.0])
STRESS, REST = Scan(bright_lateral_wall(), state="stress"), Scan(bright_lateral_wall(SHIFT), state="rest")


def run(study, doubted, options=None):
    models = Models(find_lv=finder(doubted), segment_lv=labelled, limits=())
    return analyze(study, models, options or Options(interval_draws=0)).results


def codes(result):
    return {f.code for f in result.findings}


def test_the_doubtful_pose_follows_the_other_scans():
    stress, rest = run(Study((STRESS, REST)), lambda volume: volume is REST.image)
    assert "frame-from-other-scan" in codes(rest)
    assert "check-orientation" not in codes(rest)
    assert "frame-from-other-scan" not in codes(stress)
    np.testing.assert_allclose(rest.frame.base_mm, FRAME.base_mm + SHIFT, atol=2.0)
    np.testing.assert_allclose(rest.frame.apex_mm, FRAME.apex_mm + SHIFT, atol=2.0)


@pytest.mark.parametrize("doubted", [lambda volume: True, lambda volume: False])
def test_nothing_changes_where_both_or_neither_are_in_doubt(doubted):
    for result in run(Study((STRESS, REST)), doubted):
        assert "frame-from-other-scan" not in codes(result)
        assert ("check-orientation" in codes(result)) is doubted(result.volume)


def test_nothing_changes_for_one_scan_alone_or_with_the_operators_frame():
    (alone,) = run(Study((REST,)), lambda volume: True)
    assert "check-orientation" in codes(alone)
    for result in run(
        Study((STRESS, REST)), lambda volume: volume is REST.image, Options(frame=FRAME, interval_draws=0)
    ):
        np.testing.assert_array_equal(result.frame.base_mm, FRAME.base_mm)


def test_scans_that_do_not_match_keep_their_doubt(monkeypatch):
    def refuse(*_):
        raise AnalysisError("The scans do not match.")

    monkeypatch.setattr("myoperf.pipeline.scan.find_lv_like", refuse)
    _, rest = run(Study((STRESS, REST)), lambda volume: volume is REST.image)
    assert "check-orientation" in codes(rest)
