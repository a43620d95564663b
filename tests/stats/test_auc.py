"""Areas, variances and tests equal R's pROC; the bootstrap equals scikit-learn on copied rows."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from myoperf.errors import InputError
from myoperf.stats.auc import delong_pairs, delong_table
from myoperf.stats.bootstrap import bootstrap_auc, percentile_interval, resample_counts

PROC = """
suppressMessages(library(pROC)); d <- read.csv(file("stdin"))
r <- lapply(2:ncol(d), function(i) roc(d$truth, d[[i]], quiet=TRUE, direction="<"))
one <- sapply(r, function(x) c(as.numeric(auc(x)), var(x, method="delong"), ci.auc(x, method="delong")))
pairs <- combn(length(r), 2)
two <- apply(pairs, 2, function(k) {t <- roc.test(r[[k[1]]], r[[k[2]]], method="delong", paired=TRUE)
  c(t$statistic, t$p.value)})
cat(sprintf("[[%s],[%s]]", paste(sprintf("%.15g", one), collapse=","), paste(sprintf("%.15g", two), collapse=",")))
"""


def scores(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(53) < 0.4
    values = rng.normal(size=(4, 53)) + truth * rng.random((4, 1)) * 2
    return truth.astype(int), np.round(values * 2) / 2 if kind == "tied" else values


@pytest.mark.parametrize("kind", ["random", "tied"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_areas_variances_intervals_and_p_values_equal_proc(kind, seed):
    assert shutil.which("Rscript"), "this test needs R with pROC (Debian r-cran-proc)"
    truth, values = scores(kind, seed)
    table = "truth," + ",".join(f"m{i}" for i in range(len(values))) + "\n"
    table += "\n".join(",".join(map(repr, map(float, row))) for row in np.vstack([truth, values]).T)
    done = subprocess.run(["Rscript", "-e", PROC], input=table, capture_output=True, text=True, check=True)
    one, two = (np.array(part) for part in json.loads(done.stdout))
    one, two = one.reshape(-1, 5), two.reshape(-1, 2)
    ours = delong_table(truth, values)
    pairs = delong_pairs(ours)
    assert np.abs(ours.auc - one[:, 0]).max() < 1e-8
    assert np.abs(ours.variance - one[:, 1]).max() < 1e-8
    for model in range(len(values)):
        assert abs(ours.interval(model).lo - one[model, 2]) < 1e-8
        assert abs(ours.interval(model).hi - one[model, 4]) < 1e-8
    assert np.abs(pairs.z - two[:, 0]).max() < 1e-8
    assert np.abs(pairs.p - two[:, 1]).max() < 1e-8


def test_with_one_diseased_patient_there_is_no_interval_and_no_test_as_in_proc():
    rng = np.random.default_rng(0)
    truth = np.eye(1, 20, dtype=int)[0]
    for labels in (truth, 1 - truth):
        table = delong_table(labels, rng.random((2, 20)))
        pairs = delong_pairs(table)
        assert np.isfinite(table.auc).all()
        assert np.isnan(table.variance).all()
        assert np.isnan([table.interval(0).lo, table.interval(0).hi, pairs.z[0], pairs.p[0]]).all()


def test_two_models_that_rank_alike_do_not_differ():
    truth, values = scores("random", 3)
    pairs = delong_pairs(delong_table(truth, np.stack([values[0], np.exp(values[0])])))
    assert pairs.z[0] == 0
    assert pairs.p[0] == 1


@pytest.mark.parametrize("kind", ["random", "tied"])
def test_the_bootstrap_equals_scikit_learn_on_copied_rows(kind):
    truth, values = scores(kind, 5)
    counts = resample_counts(truth, resamples=30, rng=np.random.default_rng(0))
    ours = bootstrap_auc(truth, values, counts)
    for resample, count in enumerate(counts):
        rows = np.repeat(np.arange(truth.size), count)
        for model, value in enumerate(values):
            assert ours[model, resample] == pytest.approx(roc_auc_score(truth[rows], value[rows]), abs=1e-12)


def test_the_bootstrap_interval_is_close_to_delongs():
    rng = np.random.default_rng(1)
    truth = np.arange(400) % 2
    value = rng.normal(size=400) + truth
    counts = resample_counts(truth, resamples=2000, rng=rng)
    boot = percentile_interval(bootstrap_auc(truth, value, counts)[0])
    wald = delong_table(truth, value).interval(0)
    assert boot.lo == pytest.approx(wald.lo, abs=0.01)
    assert boot.hi == pytest.approx(wald.hi, abs=0.01)


def test_the_rows_of_a_patient_are_drawn_together():
    patient = np.repeat(np.arange(20), 3)
    truth = np.arange(60) % 2
    counts = resample_counts(truth, resamples=50, rng=np.random.default_rng(0), patient=patient)
    assert (counts.reshape(50, 20, 3) == counts.reshape(50, 20, 3)[..., :1]).all()
    assert (counts.sum(axis=1) == 60).all()


@pytest.mark.parametrize(
    ("truth", "values", "says"),
    [
        ([1, 1], [0.1, 0.2], "one class"),
        ([0, 2], [0.1, 0.2], "0 or 1"),
        ([0, 1], [np.nan, 1], "NaN"),
        ([0, 1, 1], [1, 2], "disagree"),
    ],
)
def test_scores_that_cannot_be_used_are_refused(truth, values, says):
    with pytest.raises(InputError, match=says):
        delong_table(truth, values)
