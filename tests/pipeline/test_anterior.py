"""The anterior direction follows the right ventricle where it is seen, and the usual place else."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.geometry import anterior_direction
from myoperf.lv import LVFit
from myoperf.pipeline.anterior import BELIEVED, USUAL_TURN_DEG, turn_to_septum
from myoperf.polar import turn_anterior
from myoperf.types import LVFrame, Volume
from support.ventricle import grid_about, points_of, thick_ventricle, with_right_ventricle

SHAPE = (48, 48, 48)


def heart(turn_deg=None):
    """Return an image and its ventricle, upright; the right ventricle is turned from there, or there is none."""
    given = thick_ventricle()
    frame = LVFrame(given.frame.apex_mm, given.frame.base_mm, anterior_direction(given.frame.axis))
    upright = replace(given, frame=frame)
    affine = grid_about(frame.centre_mm, SHAPE, 4.0)
    labels = upright.labels(points_of(affine, SHAPE))
    image = Volume(np.where(labels == 1, 100.0, 3.0).astype(np.float32), affine)
    if turn_deg is not None:
        turned = turn_anterior(frame, turn_deg)
        image = with_right_ventricle(image, turned, turned.septal, wall=70.0, blood=12.0)
    return image, LVFit(frame, image.with_array(labels), 1.0, ())


def turn_of(fit):
    """Return how far a fit's anterior direction is turned from upright, towards the septum."""
    up = LVFrame(fit.frame.apex_mm, fit.frame.base_mm, anterior_direction(fit.frame.axis))
    return float(np.degrees(np.arctan2(fit.frame.anterior @ up.septal, fit.frame.anterior @ up.anterior)))


def codes(fit):
    return [finding.code for finding in fit.findings]


@pytest.mark.parametrize(("turn", "expected"), [(5.0, []), (30.0, ["anterior-turned"]), (-20.0, ["anterior-turned"])])
def test_most_of_what_the_right_ventricle_says_is_believed(turn, expected):
    (fit,) = turn_to_septum(heart(turn))
    assert turn_of(fit) == pytest.approx(USUAL_TURN_DEG + BELIEVED * (turn - USUAL_TURN_DEG), abs=7)
    assert codes(fit) == expected


def test_without_a_right_ventricle_the_usual_place_is_taken_and_said():
    (fit,) = turn_to_septum(heart())
    assert turn_of(fit) == pytest.approx(USUAL_TURN_DEG, abs=0.01)
    assert codes(fit) == ["anterior-unseen"]


def test_stress_and_rest_of_one_heart_are_turned_alike():
    alone, unseen = heart(25.0), heart()
    both = turn_to_septum(alone, unseen)
    assert turn_of(both[0]) == pytest.approx(turn_of(both[1]), abs=0.01)
    assert turn_of(both[0]) == pytest.approx(turn_of(turn_to_septum(alone)[0]), abs=0.01)


def test_where_the_pose_came_from_does_not_matter():
    image, fit = heart(10.0)
    askew = replace(fit, frame=turn_anterior(fit.frame, 40.0))
    assert turn_of(turn_to_septum((image, askew))[0]) == pytest.approx(turn_of(turn_to_septum((image, fit))[0]))
