"""Numbers at a threshold, corrections, calibration: against hand counts, scikit-learn and statsmodels."""

import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from myoperf import stats
from myoperf.errors import InputError


@pytest.fixture
def drawn():
    rng = np.random.default_rng(4)
    truth = (rng.random(120) < 0.35).astype(int)
    return truth, np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1)


def test_every_metric_equals_scikit_learn(drawn):
    truth, p = drawn
    counts = stats.resample_counts(truth, resamples=50, rng=np.random.default_rng(0))
    cells, measured = stats.measure_threshold(truth, p, counts=counts)
    called = p >= 0.5
    assert (cells.tn, cells.fp, cells.fn, cells.tp) == tuple(sk.confusion_matrix(truth, called).ravel())
    expected = {
        "sensitivity": sk.recall_score(truth, called),
        "specificity": sk.recall_score(1 - truth, ~called),
        "accuracy": sk.accuracy_score(truth, called),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, called),
        "precision": sk.precision_score(truth, called),
        "f1": sk.f1_score(truth, called),
    }
    for name, value in expected.items():
        assert measured[name].value == pytest.approx(value)
        assert measured[name].interval.lo < value < measured[name].interval.hi


@pytest.mark.parametrize(("k", "n"), [(42, 44), (0, 9), (9, 9), (3, 7)])
def test_wilson_equals_statsmodels(k, n):
    ours = stats.wilson_interval(k, n)
    assert (ours.lo, ours.hi) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-12)


def test_a_model_that_calls_nobody_has_no_precision(drawn):
    truth, p = drawn
    counts = stats.resample_counts(truth, resamples=20, rng=np.random.default_rng(0))
    _, measured = stats.measure_threshold(truth, p * 0.1, counts=counts, threshold=0.9)
    assert np.isnan(measured["precision"].value)
    assert measured["sensitivity"].value == 0


def test_the_threshold_reaches_the_wished_sensitivity_and_the_next_higher_does_not(drawn):
    truth, p = drawn
    threshold = stats.threshold_for_sensitivity(truth, p, 0.9)
    assert (p[truth == 1] >= threshold).mean() >= 0.9
    assert (p[truth == 1] > threshold).mean() < 0.9


@pytest.mark.parametrize(("method", "name"), [("holm", "holm"), ("benjamini-hochberg", "fdr_bh")])
def test_corrections_equal_statsmodels(method, name):
    p = np.random.default_rng(0).random(40) ** 3
    assert stats.adjust_p(p, method=method) == pytest.approx(multipletests(p, method=name)[1])


def test_beating_counts_only_sure_differences():
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 2
    scores = np.stack([truth + rng.normal(size=200) * s for s in (0.2, 3.0, 3.1)])
    wins = stats.beaten_by(stats.delong_pairs(stats.delong_table(truth, scores)), 3)
    assert wins.tolist() == [2, 0, 0]


def test_pooled_rank_sums_overstate_what_pairing_does_not():
    rng = np.random.default_rng(2)
    auc = 0.8 + rng.normal(size=8) * 0.02
    boots = auc[:, None] + rng.normal(size=(8, 1000)) * 0.04
    factors = {"input": ["rest", "stress"] * 4, "network": [n for n in "abcd" for _ in range(2)]}
    (pair,) = stats.compare_levels(factors, "input", auc, boots, rng=rng)
    assert pair.n_matched == 4
    assert pair.p_paired >= 2 / 2**4 - 0.02
    assert pair.p_rank_sum < pair.p_paired


def test_calibrated_probabilities_have_slope_one_and_overconfident_ones_less():
    rng = np.random.default_rng(0)
    odds = rng.normal(size=20000) * 1.5
    p = 1 / (1 + np.exp(-odds))
    truth = rng.random(20000) < p
    good = stats.measure_calibration(truth, p)
    bold = stats.measure_calibration(truth, 1 / (1 + np.exp(-2 * odds)))
    assert good.slope == pytest.approx(1, abs=0.06)
    assert good.intercept == pytest.approx(0, abs=0.06)
    assert bold.slope == pytest.approx(0.5, abs=0.04)
    assert bold.ece > good.ece
    assert good.brier == pytest.approx(sk.brier_score_loss(truth, p))


def test_curves_equal_scikit_learn(drawn):
    truth, p = drawn
    p = np.round(p, 1)
    x, y = stats.roc_curve(truth, p)
    assert np.trapezoid(y, x) == pytest.approx(sk.roc_auc_score(truth, p))
    recall, precision = stats.precision_recall_curve(truth, p)
    steps = np.diff(np.concatenate([[0.0], recall]))
    assert steps @ precision == pytest.approx(sk.average_precision_score(truth, p))


def test_net_benefit_of_a_sure_model_is_the_prevalence():
    truth = np.array([0, 0, 0, 1])
    curve = stats.decision_curve(truth, truth.astype(float), [0.2, 0.5])
    assert curve[:, 0] == pytest.approx(0.25)
    assert curve[1, 1] == pytest.approx(0.25 - 0.75)


def test_scores_beyond_one_have_no_calibration():
    with pytest.raises(InputError, match="0 to 1"):
        stats.measure_calibration([0, 1], [0.2, 3.0])
