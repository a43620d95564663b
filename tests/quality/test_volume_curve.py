"""The volume curve of a beat: which are usual, and what is said of the others."""

import numpy as np
import pytest

from myoperf.gated import fit_volume_curve
from myoperf.phantom.independent.shape import Heart, contraction
from myoperf.quality import check_volume_curve

HEART = Heart(length_mm=90.0, radius_mm=25.0, wall_mm=9.0, apex_wall_mm=7.0)


def volumes(gates, *, late=0.0):
    """Volumes of gates averaged over their time, of a heart that ejects half of 120 ml."""
    time = (np.arange(64 * gates) + 0.5) / (64 * gates)
    return (120.0 - 60.0 * contraction(HEART, time - late)).reshape(gates, -1).mean(axis=1)


def said(values):
    found = check_volume_curve(fit_volume_curve(np.asarray(values)), tuple(values))
    assert {f.code for f in found} <= {"volume-curve-odd"}
    return found[0].message if found else ""


@pytest.mark.parametrize("gates", [8, 12, 16])
@pytest.mark.parametrize("late", [-0.06, 0.0, 0.06])
def test_a_beat_in_time_with_its_gates_is_not_odd(gates, late):
    assert said(volumes(gates, late=late)) == ""


def test_noise_of_a_usual_scan_is_not_odd():
    noise = np.random.default_rng(4).normal(0.0, 2.0, (200, 8))
    assert sum(said(volumes(8) + one) != "" for one in noise) <= 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.roll(volumes(8), 4), "not near the R wave"),
        (volumes(8)[::-1], "smallest at"),
        (120.0 + 30.0 * np.cos(4.0 * np.pi * (np.arange(8) + 0.5) / 8), "empties twice"),
        (volumes(16) + 14.0 * (-1.0) ** np.arange(16), "off a smooth curve"),
    ],
)
def test_a_curve_that_is_not_a_hearts_is_said_and_why(values, words):
    assert words in said(values)


@pytest.mark.parametrize("stroke", [0.0, 1.5])
def test_gates_without_a_beat_are_called_that(stroke):
    words = said(100.0 + 0.5 * stroke * np.cos(2.0 * np.pi * (np.arange(8) - 2.5) / 8))
    assert "show no beat" in words
    assert "empties twice" not in words


def test_a_weak_beat_is_still_judged():
    assert said(120.0 + 5.0 / 60.0 * (volumes(8) - 120.0)) == ""
