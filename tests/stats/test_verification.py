"""Correction for verification bias: a cited table, a closed form, and patients whose truth is known."""

import csv

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.stats import correct_verification
from myoperf.stats.predictions import read_partly_verified
from support.command import run_command

CITED = {"tp": 195, "fp": 232, "fn": 5, "tn": 39, "positive": 996, "negative": 1221}
"""2,688 patients of whom 471 had angiography (R package PVBcorrect)."""


def cited():
    counts = list(CITED.values())
    positive = np.repeat([True, True, False, False, True, False], counts)
    return positive, np.repeat([1.0, 0.0, 1.0, 0.0, np.nan, np.nan], counts)


def test_the_cited_table():
    done = correct_verification(*cited(), resamples=300, rng=np.random.default_rng(1))
    assert (done.n, done.n_verified) == (2688, 471)
    naive = (done.sensitivity.value, done.specificity.value)
    assert naive == (pytest.approx(0.975, abs=5e-4), pytest.approx(0.144, abs=5e-4))
    corrected = done.corrected_sensitivity, done.corrected_specificity
    assert [round(rate.value, 3) for rate in corrected] == [0.819, 0.592]
    assert corrected[0].lo < 0.75 < 0.819 < corrected[0].hi, "44 verified negatives tell little of the sensitivity"
    assert corrected[1].hi - corrected[1].lo < 0.1


def test_a_covariate_that_tells_nothing_changes_nothing():
    positive, truth = cited()
    flat = np.zeros((positive.size, 1))
    done = correct_verification(positive, truth, flat, resamples=10, rng=np.random.default_rng(1))
    assert done.corrected_sensitivity.value == pytest.approx(0.8188, abs=1e-3)
    assert done.corrected_specificity.value == pytest.approx(0.5918, abs=1e-3)


def patients(count=20000, seed=4):
    """Disease, a test of .8 and .7, and verification that depends on test and age."""
    rng = np.random.default_rng(seed)
    age = rng.normal(60, 10, count)
    ill = rng.random(count) < 1 / (1 + np.exp(-(age - 65) / 6))
    positive = rng.random(count) < np.where(ill, 0.8, 0.3)
    known = rng.random(count) < np.where(positive, 0.7, 0.1) * np.where(age > 60, 1.0, 0.25)
    return positive, np.where(known, ill, np.nan), age[:, None], ill


def test_verification_that_depends_on_age_needs_the_covariate():
    """The truth of all is known here; without the covariate the share of diseased is that of the old."""
    positive, truth, age, ill = patients()
    true = positive[ill].mean(), (~positive)[~ill].mean()
    rng = np.random.default_rng(2)
    alone = correct_verification(positive, truth, resamples=20, rng=rng)
    with_age = correct_verification(positive, truth, age, resamples=20, rng=rng)
    assert with_age.corrected_sensitivity.value == pytest.approx(true[0], abs=0.03)
    assert with_age.corrected_specificity.value == pytest.approx(true[1], abs=0.02)
    assert abs(alone.corrected_specificity.value - true[1]) > 2 * abs(with_age.corrected_specificity.value - true[1])


def test_what_cannot_be_corrected_is_refused():
    rng = np.random.default_rng(0)
    positive = np.array([True, True, False, False])
    with pytest.raises(InputError, match="negative test"):
        correct_verification(positive, np.array([1.0, 0.0, np.nan, np.nan]), rng=rng)
    with pytest.raises(InputError, match="positive test"):
        correct_verification(positive, np.array([np.nan, np.nan, 1.0, 0.0]), rng=rng)
    with pytest.raises(InputError, match="all diseased or all not"):
        correct_verification(positive, np.array([1.0, np.nan, 1.0, np.nan]), rng=rng)


@pytest.fixture
def file(tmp_path):
    positive, truth, age, _ = patients(400, 3)
    path = tmp_path / "p.csv"
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("patient", "truth", "age", "tpd"))
        for i, (p, t, a) in enumerate(zip(positive, truth, age[:, 0], strict=True)):
            writer.writerow((i, "" if np.isnan(t) else int(t), f"{a:.1f}", 0.9 if p else 0.1))
    return path


def test_the_command_writes_both_corrections(file, tmp_path):
    run_command(
        "evaluate", file, "-o", tmp_path / "out", "--unverified", "--covariates", "age", "--resamples", "20", "-q"
    )
    with (tmp_path / "out" / "verification.csv").open() as written:
        rows = list(csv.DictReader(written))
    assert [(row["model"], row["method"], row["n"]) for row in rows] == [
        ("tpd", "test alone", "400"),
        ("tpd", "with covariates", "400"),
    ]
    assert float(rows[0]["corrected_sensitivity"]) < float(rows[0]["sensitivity"])
    page = (tmp_path / "out" / "report.html").read_text()
    corrected, verified_alone = page.index("corrected for verification bias"), page.index("verified patients alone")
    assert corrected < verified_alone, "what holds for all patients comes first"
    for name in ("corrected_sensitivity", "corrected_specificity"):
        low, high = (float(rows[1][f"{name}_{end}"]) for end in ("lo", "hi"))
        cell = f'{float(rows[1][name]):.3f}<br><span class="ci">{low:.3f}-{high:.3f}</span>'
        assert corrected < page.index(cell) < verified_alone


def test_files_without_a_gap_or_with_vessels_are_refused(file, tmp_path):
    with pytest.raises(InputError, match="lacks the column 'height'"):
        read_partly_verified(file, ("height",))
    full = tmp_path / "full.csv"
    full.write_text("patient,truth,a\n1,1,.5\n2,0,.5\n")
    with pytest.raises(InputError, match="nothing to correct"):
        read_partly_verified(full)
    vessels = tmp_path / "vessels.csv"
    vessels.write_text("patient,vessel,truth,a\n1,LAD,1,.5\n2,LAD,,.5\n")
    with pytest.raises(InputError, match="one row a patient"):
        read_partly_verified(vessels)
