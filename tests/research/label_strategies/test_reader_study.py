"""Readers without and with a network: simulated ones, and real ones from a table."""

import json

import numpy as np
import pandas as pd
import pytest

from myoperf.errors import InputError
from myoperf.research.label_strategies.reader_study import TABLE_5
from myoperf.research.label_strategies.readings import from_scores, read_readings
from myoperf.stats import mcnemar
from myoperf.types import VESSELS
from support.command import run_command


def _table(folder, n=40, *, scores=True):
    """Readers of whom the one with the network's help finds more disease and calls more healthy arteries diseased."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(n):
        ica = rng.integers(0, 2, 3) * (index % 4 > 0)
        row = {"patient": f"P{index}"} | {f"ica_{v}": int(x) for v, x in zip(VESSELS, ica, strict=True)}
        if scores:
            row |= {f"score_{k}": int(rng.integers(0, 2)) for k in range(1, 18)}
        for word, (found, false) in {"alone": (0.5, 0.1), "helped": (0.95, 0.5)}.items():
            row |= {
                f"{word}_{v}": int(rng.random() < (found if x else false)) for v, x in zip(VESSELS, ica, strict=True)
            }
        row |= {f"network_{v}": 0.3 + 0.3 * int(x) + 0.1 * rng.random() for v, x in zip(VESSELS, ica, strict=True)}
        rows.append(row)
    path = folder / "readers.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_real_readers_are_compared_from_a_table(tmp_path):
    done = run_command("study", "reader", "--data", _table(tmp_path), "-o", tmp_path / "out", "-q")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "reader_study.csv").set_index(["level", "reading"])
    assert set(table.index.get_level_values(0)) == {*VESSELS, "vessel", "patient"}
    alone, helped = (table.loc[("vessel", name)] for name in ("reader alone", "reader with network"))
    assert helped["sensitivity"] > alone["sensitivity"] + 0.3
    assert helped["specificity"] < alone["specificity"] - 0.2
    # A reading of 0 and 1 has one corner: its area is the mean of sensitivity and specificity, as in the paper.
    assert alone["auc"] == pytest.approx(0.5 * (alone["sensitivity"] + alone["specificity"]))
    compared = pd.read_csv(tmp_path / "out" / "reader_comparisons.csv").set_index(["level", "a", "b"])
    pair = compared.loc[("vessel", "reader alone", "reader with network")]
    assert pair["p_mcnemar_sensitivity"] < 0.001
    assert pair["sensitivity_difference"] == pytest.approx(alone["sensitivity"] - helped["sensitivity"])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["data"], len(manifest["data_sha256"])) == ("readers given with --data", 64)
    assert "scale" not in table.columns
    evaluated = run_command("evaluate", tmp_path / "out" / "predictions.csv", "-o", tmp_path / "evaluation")
    assert evaluated.returncode == 0, evaluated.stderr


def test_simulated_readers_are_called_so(tmp_path):
    done = run_command("study", "reader", "-o", tmp_path / "out", "-q")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "reader_study.csv")
    assert set(table["scale"]) == {"smoke"}
    assert table["auc"].between(0, 1).all()
    assert "Simulated readers" in (tmp_path / "out" / "reader_study.md").read_text()
    read = table.set_index(["level", "reading"])["auc"]
    assert read[("vessel", "expert scores")] > 0.5
    assert read[("vessel", "network")] > 0.5


def test_readings_are_abnormal_from_a_summed_score_of_four():
    scores = np.zeros((2, 17), int)
    scores[0, [0, 1]] = 2  # segments 1 and 2, LAD: 4 together
    scores[1, [0, 1]] = 2, 1
    called = from_scores(scores) >= 0.5
    assert called.tolist() == [[True, False, False], [False, False, False]]


def test_the_papers_readers_gave_yes_or_no():
    """Areas of its new reader are means of sensitivity and specificity, to rounding; the network's are not."""
    for reading, binary in (("reader alone", True), ("reader with network", True), ("network", False)):
        off = [abs(auc - 0.5 * (se + sp)) for auc, se, sp in TABLE_5[reading].values()]
        assert (max(off) < 0.0101) == binary


def test_mcnemar_counts_only_cases_that_differ():
    right = np.ones(30, bool)
    wrong_once = right.copy()
    wrong_once[0] = False
    assert mcnemar(right, right) == 1.0
    assert mcnemar(right, wrong_once) == 1.0
    assert mcnemar(np.arange(30) < 25, np.arange(30) >= 25) == pytest.approx(2 * sum_tail(30, 5), rel=1e-6)
    with pytest.raises(InputError, match="same cases"):
        mcnemar([1, 0], [1])


def sum_tail(n, k):
    """Probability of at most k of n at one half."""
    from math import comb

    return sum(comb(n, i) for i in range(k + 1)) / 2**n


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.drop(columns="score_17"), "lacks the column score_17"),
        (lambda t: t.assign(score_3=5), "line 2: score_3 must be a number from 0 to 4"),
        (lambda t: t.assign(network_LAD=1.2), "line 2: network_lad must be a number from 0 to 1"),
        (lambda t: t[["patient", "ica_LAD", "ica_LCX", "ica_RCA"]], "holds 0 readings"),
        (lambda t: t.drop(columns="ica_LAD"), "lacks the column ica_lad"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path, change, reason):
    path = _table(tmp_path)
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(InputError, match=reason):
        read_readings(path)
