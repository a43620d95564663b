"""What holds for the statistics of any scores, tried on many of them; the same ones on every run."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myoperf.stats.auc import delong_pairs, delong_table
from myoperf.stats.bootstrap import bootstrap_auc, percentile_interval, resample_counts

steady = settings(derandomize=True, deadline=None, max_examples=60)


@st.composite
def graded(draw, models=2):
    """Draw a truth with both classes and the scores, often tied, of some models."""
    truth = [0, 1, *draw(st.lists(st.integers(0, 1), min_size=4, max_size=30))]
    score = st.integers(-12, 12).map(lambda n: n / 4)
    scores = st.lists(st.lists(score, min_size=len(truth), max_size=len(truth)), min_size=models, max_size=models)
    return np.array(truth), np.array(draw(scores))


@steady
@given(graded())
def test_an_area_depends_on_the_order_of_the_scores_alone(case):
    truth, scores = case
    table, other = delong_table(truth, scores), delong_table(truth, 3.0 * np.exp(scores) - 7.0)
    assert ((table.auc >= 0) & (table.auc <= 1)).all()
    assert other.auc == pytest.approx(table.auc, abs=1e-12)
    assert other.covariance == pytest.approx(table.covariance, abs=1e-12, nan_ok=True)


@steady
@given(graded())
def test_scores_or_truth_turned_over_turn_the_area_over_and_keep_its_variance(case):
    truth, scores = case
    table = delong_table(truth, scores)
    for turned in (delong_table(truth, -scores), delong_table(1 - truth, scores)):
        assert turned.auc == pytest.approx(1 - table.auc, abs=1e-12)
        assert turned.covariance == pytest.approx(table.covariance, abs=1e-12, nan_ok=True)


@steady
@given(graded(), st.randoms(use_true_random=False))
def test_the_order_of_patients_and_of_models_does_not_matter(case, random):
    truth, scores = case
    rows = np.array(random.sample(range(truth.size), truth.size))
    pair, shuffled = (delong_pairs(delong_table(truth[r], scores[:, r])) for r in (np.arange(truth.size), rows))
    swapped = delong_pairs(delong_table(truth, scores[::-1]))
    for other, sign in ((shuffled, 1), (swapped, -1)):
        assert other.difference == pytest.approx(sign * pair.difference, abs=1e-12)
        assert other.p == pytest.approx(pair.p, abs=1e-9, nan_ok=True)


@steady
@given(graded(models=1), st.integers(2, 4))
def test_patients_counted_several_times_keep_the_area_and_narrow_its_variance(case, times):
    truth, scores = case
    one, many = (delong_table(np.tile(truth, n), np.tile(scores, n)) for n in (1, times))
    assert many.auc == pytest.approx(one.auc, abs=1e-12)
    if (np.bincount(truth) > 1).all():
        assert (many.variance <= one.variance / times + 1e-12).all()


@steady
@given(graded(), st.integers(0, 1000))
def test_the_bootstrap_follows_the_order_too_and_stays_between_0_and_1(case, seed):
    truth, scores = case
    counts = resample_counts(truth, resamples=40, rng=np.random.default_rng(seed))
    areas = bootstrap_auc(truth, scores, counts)
    assert np.nanmin(areas, initial=0.5) >= 0
    assert np.nanmax(areas, initial=0.5) <= 1
    assert bootstrap_auc(truth, np.exp(scores), counts) == pytest.approx(areas, abs=1e-12, nan_ok=True)
    assert bootstrap_auc(truth, -scores, counts) == pytest.approx(1 - areas, abs=1e-12, nan_ok=True)
    assert bootstrap_auc(truth, scores, np.ones_like(counts))[:, 0] == pytest.approx(delong_table(truth, scores).auc)


@steady
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50), st.floats(0.1, 10.0), st.floats(-100, 100))
def test_an_interval_of_samples_moves_and_stretches_with_them(samples, scale, shift):
    values = np.array(samples)
    one, other = percentile_interval(values), percentile_interval(scale * values + shift)
    assert values.min() <= one.lo <= one.hi <= values.max()
    tolerance = 1e-9 * (1 + scale * np.abs(values).max() + abs(shift))
    assert [other.lo, other.hi] == pytest.approx([scale * one.lo + shift, scale * one.hi + shift], abs=tolerance)
