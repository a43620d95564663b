"""From one's own patients to a network of the label strategies, its predictions on others, and their evaluation."""

import json

import numpy as np
import pandas as pd
import pytest

from myoperf.errors import InputError
from myoperf.research.label_strategies.own_cohort import read_own_cohort
from myoperf.research.label_strategies.study import find_patients
from myoperf.research.training.case_table import read_table
from support.command import run_command

VESSELS = ("LAD", "LCX", "RCA")
WALLS = {"LAD": slice(0, 24), "LCX": slice(48, 72), "RCA": slice(24, 48)}


def _patients(folder, angiography=24, expert=8, *, seed=0):
    """Maps in which a diseased artery's wall is dark under stress; the expert and angiography agree."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(angiography + expert):
        labels = rng.integers(0, 2, 3) * (index % 3 > 0)
        row = {"patient": f"P{index}", "age": 60 + index, "sex": "MF"[index % 2], "weight": "", "height": 1.7}
        for state in ("stress", "rest"):
            values = 1 + 0.03 * rng.standard_normal((24, 72))
            for vessel, label in zip(VESSELS, labels, strict=True):
                values[:, WALLS[vessel]] *= 1 - 0.6 * label * (state == "stress")
            row[state] = f"{index}-{state}.npy"
            np.save(folder / row[state], values)
        for vessel, label in zip(VESSELS, labels, strict=True):
            row[f"ica_{vessel}"] = str(label) if index < angiography else ""
            row[f"expert_{vessel}"] = str(label)
        rows.append(row)
    table = folder / "table.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    table = _patients(folder)
    words = ("train", "label-strategies", "--data", table, "--scale", "smoke", "--strategies", "5", "--epochs", "2")
    done = run_command(*words, "--device", "cpu", "-o", folder / "model", "-q")
    assert done.returncode == 0, done.stderr
    return folder


def test_own_patients_train_a_model_that_predicts_others_and_is_evaluated(trained, tmp_path):
    card = json.loads((trained / "model" / "card.json").read_text())
    assert (card["format"], card["name"], card["strategy"]) == ("myoperf.model/1", "label-strategies", "5")
    assert card["data_sha256"] == read_table(trained / "table.csv", needs=(), files=("stress", "rest")).sha256
    assert card["patients"] == {"ica_train": 12, "ica_validation": 3, "test": 9, "expert": 8}
    assert set(card["class_balance"]["test"]) == set(VESSELS)
    assert "slope" in card["held_out"]["calibration"]
    others = _patients(tmp_path, 6, 2, seed=1)
    done = run_command("predict", trained / "model", others, "-o", tmp_path / "predictions")
    assert done.returncode == 0, done.stderr
    told = pd.read_csv(tmp_path / "predictions" / "predictions.csv")
    assert list(told.columns) == ["patient", "vessel", "truth", "label-strategies"]
    assert (len(told), told["truth"].isna().sum()) == (24, 6)
    assert "the truth of 6 rows is not known" in done.stderr
    done = run_command("evaluate", tmp_path / "predictions" / "predictions.csv", "-o", tmp_path / "evaluation")
    assert (done.returncode, "myoperf predict writes known.csv" in done.stderr) == (2, True)
    done = run_command("evaluate", tmp_path / "predictions" / "known.csv", "-o", tmp_path / "evaluation")
    assert done.returncode == 0, done.stderr


def test_the_model_read_again_gives_what_was_measured(trained, tmp_path):
    held_out = pd.read_csv(trained / "model" / "held_out.csv")
    done = run_command("predict", trained / "model", trained / "table.csv", "-o", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    again = pd.read_csv(tmp_path / "again" / "predictions.csv").merge(held_out, on=["patient", "vessel"])
    assert len(again) == len(held_out) == 27
    assert again["label-strategies_x"].to_numpy() == pytest.approx(again["label-strategies_y"].to_numpy(), abs=1e-5)


def test_a_study_on_a_table_marks_smoke_and_names_its_patients(trained, tmp_path):
    words = ("study", "label-strategies", "--data", trained / "table.csv", "-o", tmp_path / "out", "-q")
    done = run_command(*words, "--strategies", "1,2", "--inputs", "stress", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    models = pd.read_csv(tmp_path / "out" / "label_strategies_models.csv")
    assert set(models["scale"]) == {"smoke"}
    assert set(models["strategy"].astype(str)) == {"1", "2"}
    assert set(models["trained"]) == {12, 20}
    predictions = pd.read_csv(tmp_path / "out" / "predictions_task2.csv")
    names = set(pd.read_csv(trained / "table.csv")["patient"])
    assert set(predictions["patient"]) <= names
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["data"] == "patients given with --data"


def test_the_tables_split_is_kept(tmp_path):
    table = _patients(tmp_path, 12, 4)
    rows = pd.read_csv(table, dtype=str)
    rows["split"] = ["train"] * 5 + ["validation"] * 3 + ["test"] * 4 + ["train"] * 4
    rows.to_csv(table, index=False)
    own = read_own_cohort(table, side=16)
    roles = own.roles(0)
    assert [own.cohort.names[i] for i in roles.test] == ["P8", "P9", "P10", "P11"]
    assert [own.cohort.names[i] for i in roles.ica_validation] == ["P5", "P6", "P7"]
    assert len(roles.expert) == 4
    assert np.isnan(own.cohort.clinical[0, 3])
    assert own.cohort.pictures(8).shape == (16, 2, 8, 8)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ica_LAD": ""}, "ica_LAD, ica_LCX and ica_RCA are all known or all empty"),
        ({"sex": "X"}, "sex is M or F"),
        ({"height": "170"}, "height is in metres"),
        ({"weight": "81000"}, "weight is in kilograms"),
        ({"age": "1957"}, "age is in years"),
        ({"age": "nan"}, "age must be a number"),
        ({"age": "old"}, "age must be a number"),
        ({"expert_RCA": "2"}, "expert_rca must be 0 or 1"),
        ({name: "" for kind in ("ica", "expert") for name in (f"{kind}_{v}" for v in VESSELS)}, "needs labels"),
        ({"stress": "gone.npy"}, "the file of the column stress is not there"),
    ],
)
def test_a_wrong_row_is_one_line(tmp_path, change, reason):
    table = _patients(tmp_path, 8, 0)
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    for name, value in change.items():
        rows.loc[0, name] = value
    rows.to_csv(table, index=False)
    with pytest.raises(InputError, match=f"table.csv, line 2: .*{reason}"):
        read_own_cohort(table, side=8)


def test_a_patient_that_an_expert_alone_read_cannot_be_set_aside_for_the_test(tmp_path):
    table = _patients(tmp_path, 8, 1)
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    rows.assign(split=["train"] * 4 + ["validation"] * 2 + ["test"] * 3).to_csv(table, index=False)
    with pytest.raises(InputError, match=r"table\.csv, line 10: .*trains; the split cannot be test"):
        read_own_cohort(table, side=8)
    assert len(read_own_cohort(table, side=8, labelled=False).cohort) == 9


def test_without_patients_that_an_expert_alone_read_there_is_one_strategy(tmp_path):
    from myoperf.research.label_strategies.study import RECIPES, choose_jobs
    from myoperf.research.training.options import RunOptions

    table = _patients(tmp_path, 12, 0)
    options = RunOptions(data=table)
    patients = find_patients(RECIPES["smoke"], tmp_path / "out", 0, options)
    assert {job.strategy for job in choose_jobs(RECIPES["smoke"], patients, options)} == {"1"}
    with pytest.raises(InputError, match="needs patients that an expert alone read"):
        choose_jobs(RECIPES["smoke"], patients, RunOptions(strategies=("5",)))
    pd.read_csv(table).drop(columns="rest").to_csv(table, index=False)
    stress = find_patients(RECIPES["smoke"], tmp_path / "out", 0, options)
    assert {job.fusion for job in choose_jobs(RECIPES["smoke"], stress, options)} == {"stress"}
    with pytest.raises(InputError, match="late needs a rest map"):
        choose_jobs(RECIPES["smoke"], stress, RunOptions(inputs=("late",)))
