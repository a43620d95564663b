"""``myoperf evaluate``: the contract's files, and one line for a file it cannot use."""

import numpy as np
import pandas as pd
import pytest

from myoperf.stats.predictions import read_predictions
from support.command import run_command


def run(*words: object, quiet: bool = True):
    return run_command("evaluate", *words, *(["--quiet"] if quiet else []))


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
    for name in (
        "auc", "sensitivity", "specificity", "accuracy", "balanced_accuracy", "precision", "f1", "average_precision"
    ):  # fmt: skip
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
    for name in ("delong", "calibration"):
        found = pd.read_csv(tmp_path / f"out/{name}.csv")
        assert list(dict.fromkeys(found["vessel"])) == ["all", "LAD", "LCX", "RCA", "patient"]


def test_a_patient_who_lacks_a_vessel_is_in_no_row_per_patient_and_it_is_said(tmp_path):
    table = predictions(vessels=True)
    table.drop(index=[0, 4]).to_csv(tmp_path / "p.csv", index=False)
    done = run(tmp_path / "p.csv", "-o", tmp_path / "out", "--resamples", 20, quiet=False)
    assert done.returncode == 0, done.stderr
    metrics = pd.read_csv(tmp_path / "out/metrics.csv").query("model == 'strong'").set_index("vessel")
    assert metrics.loc["patient", "n"] == 48
    assert metrics.loc["all", "n"] == 148
    assert "2 patients lack a vessel" in done.stderr
    assert "2 patients lack a vessel" in (tmp_path / "out/report.html").read_text()


def test_a_vessel_of_one_class_is_named_and_the_others_are_measured(tmp_path):
    table = predictions(vessels=True)
    table.loc[table["vessel"] == "LCX", "truth"] = 0
    table.to_csv(tmp_path / "p.csv", index=False)
    assert run(tmp_path / "p.csv", "-o", tmp_path / "out", "--resamples", 20).returncode == 0
    assert "LCX" not in set(pd.read_csv(tmp_path / "out/metrics.csv")["vessel"])
    assert "LCX: one class only among 50" in (tmp_path / "out/report.html").read_text()


def test_a_patient_called_na_is_a_patient(tmp_path):
    table = predictions()
    table.loc[:2, "patient"] = ["NA", "None", "nan"]
    table.to_csv(tmp_path / "p.csv", index=False)
    read = read_predictions(tmp_path / "p.csv")
    assert read.patient[:3].tolist() == ["NA", "None", "nan"]


def test_levels_of_factors_are_compared(tmp_path):
    rng = np.random.default_rng(1)
    table = predictions()[["patient", "truth"]]
    rows = []
    for number in range(6):
        for state, lift in (("stress", 0.4), ("rest", 0.05)):
            table[f"{state}{number}"] = np.clip(rng.random(len(table)) * 0.6 + lift * table["truth"], 0, 1)
            rows.append({"model": f"{state}{number}", "input": state, "network": number})
    table.to_csv(tmp_path / "p.csv", index=False)
    pd.DataFrame(rows).to_csv(tmp_path / "m.csv", index=False)
    done = run(tmp_path / "p.csv", "-o", tmp_path / "out", "--factors", tmp_path / "m.csv", "--resamples", 50)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(tmp_path / "out/factors.csv").query("factor == 'input'").iloc[0]
    assert (found["a"], found["b"], found["n_matched"]) == ("stress", "rest", 6)
    assert found["mean_difference_matched"] > 0.1
    assert found["p_rank_sum"] < found["p_paired"] < 0.1
    pd.DataFrame(rows[1:]).to_csv(tmp_path / "m.csv", index=False)
    done = run(tmp_path / "p.csv", "-o", tmp_path / "out2", "--factors", tmp_path / "m.csv")
    assert done.returncode == 2
    assert "has no row for 'stress0'" in done.stderr


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda t: t.drop(columns="truth"), "lacks the column 'truth'"),
        (lambda t: t.assign(truth=1), "both present"),
        (lambda t: t.assign(weak=t["weak"] + 1), "between 0 and 1"),
        (lambda t: t.assign(weak=t["weak"].where(t.index > 3)), "empty cells"),
        (lambda t: t.assign(weak="high"), "not numeric"),
        (lambda t: pd.concat([t, t.head(1)]), "may occur only once"),
        (lambda t: t[["patient", "truth"]], "no model"),
        (lambda t: t.set_axis(["patient", "truth", "weak", "weak"], axis=1), "two columns 'weak'"),
        (lambda t: t.reset_index(names=""), "without a name"),
        (lambda t: t.assign(vessel="patient"), "no vessel may be called"),
        (lambda t: t.head(0), "no rows"),
    ],
)
def test_a_file_it_cannot_use_gives_one_line_and_writes_nothing(tmp_path, spoil, says):
    spoil(predictions()).to_csv(tmp_path / "p.csv", index=False)
    done = run(tmp_path / "p.csv", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [f.name for f in tmp_path.iterdir()] == ["p.csv"]


def test_a_row_with_a_cell_too_many_is_refused_not_shifted(tmp_path):
    (tmp_path / "p.csv").write_text("patient,truth,m\n1,0,1,0.2\n2,1,0,0.7\n3,0,1,0.3\n")
    done = run(tmp_path / "p.csv", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "row 1 has 4 cells, the header 3" in done.stderr


@pytest.mark.parametrize(("where", "seed"), [("p.csv/sub", 0), ("out", -1)])
def test_a_place_or_a_seed_it_cannot_use_gives_no_traceback(tmp_path, where, seed):
    predictions().to_csv(tmp_path / "p.csv", index=False)
    done = run(tmp_path / "p.csv", "-o", tmp_path / where, "--seed", seed)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert [f.name for f in tmp_path.iterdir()] == ["p.csv"]


def test_a_model_named_like_a_formula_is_text_in_the_tables(tmp_path):
    predictions().rename(columns={"strong": "=HYPERLINK(1)"}).to_csv(tmp_path / "p.csv", index=False)
    assert run(tmp_path / "p.csv", "-o", tmp_path / "out").returncode == 0
    for table in (tmp_path / "out").glob("*.csv"):
        cells = table.read_text().replace("\n", ",").split(",")
        assert any("HYPERLINK" in cell for cell in cells), table.name
        assert not any(cell.startswith("=") for cell in cells), table.name


def test_a_table_that_is_no_text_is_refused_in_words(tmp_path):
    (tmp_path / "p.csv").write_bytes(bytes(range(256)))
    done = run(tmp_path / "p.csv", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "it is not text in UTF-8" in done.stderr
