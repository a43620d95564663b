"""``myoperf evaluate``: the contract's files, and one line for a file it cannot use."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

MYOPERF = Path(sys.executable).parent / "myoperf"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MYOPERF, "evaluate", *map(str, words), "--quiet"], capture_output=True, text=True, check=False
    )


def predictions(*, vessels: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = 150
    patient = np.arange(rows) // 3 if vessels else np.arange(rows)
    truth = (rng.random(rows) < 0.4).astype(int)
    table = pd.DataFrame({"patient": [f"p{i}" for i in patient], "truth": truth})
    if vessels:
        table["vessel"] = np.tile(["LAD", "LCX", "RCA"], rows // 3)
    for model, strength in (("strong", 0.4), ("weak", 0.1)):
        table[model] = np.clip(rng.random(rows) * 0.6 + strength * truth, 0, 1)
    return table


def test_the_files_of_the_contract_are_written(tmp_path):
    predictions().to_csv(tmp_path / "p.csv", index=False)
    done = run(tmp_path / "p.csv", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    metrics = pd.read_csv(tmp_path / "out/metrics.csv")
    for name in ("auc", "sensitivity", "specificity", "accuracy", "balanced_accuracy", "precision", "f1"):
        assert (metrics[f"{name}_lo"] <= metrics[name]).all()
        assert (metrics[name] <= metrics[f"{name}_hi"]).all()
    delong = pd.read_csv(tmp_path / "out/delong.csv")
    assert list(delong.columns[:7]) == ["model_a", "model_b", "auc_a", "auc_b", "difference", "z", "p"]
    assert delong["p"].iloc[0] < 0.01
    assert np.load(tmp_path / "out/bootstrap.npz")["auc"].shape == (2, 1000)
    page = (tmp_path / "out/report.html").read_text()
    assert "http" not in page
    assert f"{metrics['auc'].iloc[0]:.3f}" in page


def test_vessels_are_measured_together_apart_and_by_patient(tmp_path):
    table = predictions(vessels=True)
    table.to_csv(tmp_path / "p.csv", index=False)
    done = run(tmp_path / "p.csv", "-o", tmp_path / "out", "--resamples", 50)
    assert done.returncode == 0, done.stderr
    metrics = pd.read_csv(tmp_path / "out/metrics.csv").query("model == 'strong'").set_index("vessel")
    assert list(metrics.index) == ["all", "LAD", "LCX", "RCA", "patient"]
    assert metrics.loc["patient", "n_positive"] == table.groupby("patient")["truth"].max().sum()
    assert metrics.loc["all", "n"] == 150


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda t: t.drop(columns="truth"), "lacks the column 'truth'"),
        (lambda t: t.assign(truth=1), "both present"),
        (lambda t: t.assign(weak=t["weak"] + 1), "between 0 and 1"),
        (lambda t: t.assign(weak=t["weak"].where(t.index > 3)), "empty cells"),
        (lambda t: t.assign(weak="high"), "not numeric"),
        (lambda t: pd.concat([t, t.head(1)]), "may stand once"),
        (lambda t: t[["patient", "truth"]], "no model"),
    ],
)
def test_a_file_it_cannot_use_gives_one_line_and_writes_nothing(tmp_path, spoil, says):
    spoil(predictions()).to_csv(tmp_path / "p.csv", index=False)
    done = run(tmp_path / "p.csv", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [f.name for f in tmp_path.iterdir()] == ["p.csv"]
