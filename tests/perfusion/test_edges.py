"""The scale, limits, scores and categories of perfusion at their edges, worked by hand."""

import numpy as np
import pytest

from myoperf import perfusion
from myoperf.segments import AHA17, SEGMENTS20, segment_map
from myoperf.types import PolarMap

RINGS, ANGLES = 24, 72


def polar(values):
    return PolarMap(values, np.zeros((*values.shape, 3)), np.full(values.shape, 10.0))


def flat_limits(rings=RINGS, angles=ANGLES, mad=0.1):
    """Return limits of mean 1 whose abnormal limit lies at 1 - 3 MAD."""
    flat = np.ones((rings, angles))
    label = {"name": "hand", "version": "1", "state": "stress", "provenance": "hand", "licence": "CC0"}
    return perfusion.NormalLimits(**label, n=40, mean=flat, sd=1.25 * mad * flat, mad=mad * flat, top_ratio=1.0)


def test_the_hottest_quarter_of_the_blocks_sets_the_scale():
    """A share of a fifth or a third, or single samples in place of blocks of 3 x 6, change the scale."""
    blocks = np.random.default_rng(2).permutation(96).reshape(8, 12) + 1.0
    values = np.kron(blocks, np.ones((3, 6)))
    assert perfusion.scale_map(values, flat_limits()) == pytest.approx(values / np.mean(np.arange(73, 97)))
    grainy = values * (1 + 0.5 * (-1.0) ** np.indices(values.shape).sum(axis=0))
    assert perfusion.scale_map(grainy, flat_limits()) == pytest.approx(grainy / np.mean(np.arange(73, 97)))


@pytest.mark.parametrize(("absent", "same"), [(72, True), (73, False)])
def test_a_defect_of_three_quarters_of_the_wall_leaves_the_scale_and_a_larger_one_does_not(absent, same):
    values = np.kron(np.where(np.arange(96) < absent, 0.2, 1.0).reshape(8, 12), np.ones((3, 6)))
    scaled = perfusion.scale_map(values, flat_limits())
    assert (scaled.max() == pytest.approx(1.0, abs=1e-9)) == same


def test_the_abnormal_limit_lies_three_mads_below_the_mean_and_never_under_a_tenth_of_it():
    assert flat_limits(mad=0.1).lower == pytest.approx(0.7)
    assert flat_limits(mad=0.4).lower == pytest.approx(0.1)


@pytest.mark.parametrize(("edge", "below"), [(0.25, 0), (1.0, 1), (2.0, 2), (3.0, 3)])
@pytest.mark.parametrize(("model", "segments"), [(AHA17, 17), (SEGMENTS20, 20)])
def test_a_segment_s_score_at_and_next_to_every_edge(edge, below, model, segments):
    """An edge moved by a thousandth fails, one that belongs to the higher score, or a mean that rounding lifts."""
    under, at, over = (
        perfusion.score_segments(np.full((RINGS, ANGLES), edge + step), model=model) for step in (-0.001, 0.0, 0.001)
    )
    assert under.tolist() == [below] * segments
    assert over.tolist() == [below + 1] * segments
    assert at.tolist() == [below] * segments


def test_the_score_is_0_without_and_4_with_the_largest_severity():
    assert perfusion.score_segments(np.zeros((RINGS, ANGLES))).tolist() == [0] * 17
    assert perfusion.score_segments(np.full((RINGS, ANGLES), 4.0)).tolist() == [4] * 17


@pytest.mark.parametrize(
    ("percent", "score"),
    [(70.1, 0), (70, 1), (69.9, 1), (60.1, 1), (60, 2), (50.1, 2), (50, 3), (40.1, 3), (40, 4), (39.9, 4), (0, 4)],
)
def test_without_limits_a_segment_s_score_at_and_next_to_every_edge(percent, score):
    """Were the mean not rounded, 70 percent in some segments would score 0."""
    for place in range(1, 18):
        values = np.where(segment_map(RINGS, ANGLES) == place, float(percent), 100.0)
        expected = [score if segment == place else 0 for segment in range(1, 18)]
        assert list(perfusion.score_perfusion(polar(values), None).stress_scores) == expected


@pytest.mark.parametrize(
    ("sss", "category"),
    [
        *((0, "normal"), (3, "normal")),
        *((4, "mildly abnormal"), (8, "mildly abnormal")),
        *((9, "moderately abnormal"), (13, "moderately abnormal")),
        *((14, "severely abnormal"), (20, "severely abnormal")),
    ],
)
def test_the_category_of_a_summed_score_at_and_next_to_every_edge(sss, category):
    """Summed score 4, 9 and 14 each begin a category; an edge moved by one, or a `<=`, fails."""
    values = np.ones((RINGS, ANGLES))
    for place, score in enumerate([4] * (sss // 4) + [sss % 4], start=1):
        severity = max(score - 0.5, 0.0)
        values[segment_map(RINGS, ANGLES) == place] = 0.7 * (1 - 0.7 * severity / 4) if score else 1.0
    scores = perfusion.score_perfusion(polar(values), None, stress_limits=flat_limits())
    assert scores.sss == sss
    assert scores.category == category


@pytest.mark.parametrize(
    ("absent", "category"),
    [
        *((0, "normal"), (71, "normal")),
        *((72, "mildly abnormal"), (143, "mildly abnormal")),
        *((144, "moderately abnormal"), (215, "moderately abnormal")),
        *((216, "severely abnormal"),),
    ],
)
def test_the_category_of_a_perfusion_deficit_at_and_next_to_every_edge(absent, category):
    """A TPD of exactly 5 % (72 samples of 1440) is abnormal, of 10 % moderately, of 15 % severely; SSS is lower."""
    values = np.ones((24, 60))
    values.ravel()[:absent] = 0.0
    scores = perfusion.score_perfusion(polar(values), None, stress_limits=flat_limits(24, 60))
    assert scores.tpd_stress_percent == pytest.approx(absent / 14.4)
    assert scores.category == category
