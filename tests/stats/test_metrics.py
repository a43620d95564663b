"""Numbers at a threshold, corrections, calibration: against hand counts, scikit-learn and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
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


@pytest.mark.parametrize("n", range(1, 200))
def test_wilson_holds_the_share_itself(n):
    for k in (0, 1, n - 1, n):
        interval = stats.wilson_interval(k, n)
        assert 0 <= interval.lo <= k / n <= interval.hi <= 1


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


def test_a_test_that_could_not_be_made_is_not_counted():
    corrected = stats.adjust_p([0.01, np.nan, 0.04])
    assert corrected[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(corrected[1])


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
    assert pair.mean_difference == pytest.approx((auc[::2] - auc[1::2]).mean())
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


@pytest.mark.parametrize("clustered", [False, True])
def test_slope_and_intercept_equal_statsmodels_with_robust_errors(drawn, clustered):
    truth, p = drawn
    p = np.clip(p, 0.01, 0.99)
    patient = np.arange(p.size) // 3 if clustered else None
    ours = stats.measure_calibration(truth, p, patient=patient)
    model = sm.Logit(truth, sm.add_constant(np.log(p / (1 - p))))
    how = {"cov_type": "cluster", "cov_kwds": {"groups": patient, "use_correction": False}} if clustered else {}
    fit = model.fit(disp=0, **(how or {"cov_type": "HC0"}))
    n = 40 if clustered else p.size
    low, high = (fit.params + side * 1.959963984540054 * fit.bse * np.sqrt(n / (n - 1)) for side in (-1, 1))
    assert (ours.intercept, ours.slope) == pytest.approx(fit.params, abs=1e-6)
    assert (ours.intercept_interval.lo, ours.slope_interval.lo) == pytest.approx(low, abs=1e-5)
    assert (ours.intercept_interval.hi, ours.slope_interval.hi) == pytest.approx(high, abs=1e-5)


def test_the_interval_of_the_brier_score_is_that_of_a_mean(drawn):
    truth, p = drawn
    squared = (p - truth) ** 2
    half = 1.959963984540054 * squared.std(ddof=1) / np.sqrt(p.size)
    interval = stats.measure_calibration(truth, p).brier_interval
    assert (interval.lo, interval.hi) == pytest.approx((squared.mean() - half, squared.mean() + half))


def test_probabilities_that_part_the_classes_or_are_all_alike_have_no_slope():
    truth = np.array([0, 0, 1, 1])
    parted = stats.measure_calibration(truth, np.array([0.1, 0.2, 0.7, 0.9]))
    assert parted.slope == np.inf
    assert stats.measure_calibration(1 - truth, np.array([0.1, 0.2, 0.7, 0.9])).slope == -np.inf
    alike = stats.measure_calibration(truth, np.full(4, 0.5))
    for found in (parted.intercept, parted.slope_interval.lo, alike.slope, alike.intercept):
        assert np.isnan(found)


def test_average_precision_equals_scikit_learn_on_every_resample(drawn):
    truth, p = drawn
    p = np.round(p, 1)  # ties
    counts = stats.resample_counts(truth, resamples=20, rng=np.random.default_rng(0))
    ours = stats.average_precision(truth, p, counts)
    for value, count in zip(ours, counts, strict=True):
        rows = np.repeat(np.arange(truth.size), count)
        assert value == pytest.approx(sk.average_precision_score(truth[rows], p[rows]))


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


def test_the_bootstrap_of_a_mean_spreads_by_its_standard_error():
    values = np.random.default_rng(1).normal(size=400)
    samples = stats.bootstrap_statistic(values, rng=np.random.default_rng(2))
    assert samples.shape == (2000,)
    assert samples.std() == pytest.approx(values.std() / 20, rel=0.1)
    assert samples.mean() == pytest.approx(values.mean(), abs=0.01)


def test_rows_of_one_patient_are_drawn_together():
    values, patient = np.repeat([0.0, 1.0, 2.0], [1, 2, 5]), np.repeat(["a", "b", "c"], [1, 2, 5])
    sizes = {1: 0.0, 2: 1.0, 5: 2.0}

    def whole(rows):
        counts = {value: int((rows == value).sum()) for value in (0.0, 1.0, 2.0)}
        assert all(counts[value] % size == 0 for size, value in sizes.items())
        return np.median(rows)

    drawn = stats.bootstrap_statistic(values, whole, rng=np.random.default_rng(0), resamples=200, patient=patient)
    assert len(set(drawn)) > 1


def test_a_statistic_of_several_columns_keeps_its_shape():
    rows = np.arange(12.0).reshape(6, 2)
    drawn = stats.bootstrap_statistic(rows, lambda r: r.mean(axis=0), rng=np.random.default_rng(0), resamples=7)
    assert drawn.shape == (7, 2)
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(np.ones(7))
