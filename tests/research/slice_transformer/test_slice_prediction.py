"""From a table of report pages to a model, its predictions on other pages, and their evaluation."""

import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from myoperf.cli.predict import predict
from myoperf.cli.train import train
from myoperf.errors import InputError
from myoperf.research.slice_transformer import prediction
from myoperf.research.slice_transformer.training import Augmentation
from myoperf.research.training.case_table import read_case_table
from support.screenshots import LAYOUTS, patient_stacks, render


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Four small pages of a simulated patient in four colour scales."""
    folder = tmp_path_factory.mktemp("own")
    rows = []
    for i, scale in enumerate(("warm-metal", "ge", "cool", "pet")):
        picture, _ = render(replace(LAYOUTS["public"], scale=scale), patient_stacks(1))
        Image.fromarray(picture).reduce(2).save(folder / f"{i}.png")
        rows.append((f"P{i}", f"{i}.png", i % 2, "train" if i < 2 else "test"))
    _write(folder / "table.csv", rows)
    return folder / "table.csv"


def _write(path, rows, names=("patient", "picture", "label", "split")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def test_own_pages_train_a_model_that_predicts_other_pages(table, tmp_path):
    model, out = tmp_path / "model", tmp_path / "predictions"
    train("slices", out=model, scale="smoke", seed=0, data=table, weights=None, resume=False, quiet=True)
    card = json.loads((model / "card.json").read_text())
    assert card["format"] == "myoperf.model/1"
    assert card["data_sha256"] == read_case_table(table, labelled=True).sha256
    assert card["patients"] == {"training": 2, "held_out": 2}
    assert card["class_balance"] == {"training": 0.5, "held_out": 0.5}
    predict(model, table, out=out, order=None, colour_scale=None)
    rows = pd.read_csv(out / "predictions.csv")
    assert list(rows.columns) == ["patient", "truth", "multi-branch-mit"]
    assert len(rows) == 4
    assert rows["multi-branch-mit"].between(0, 1).all()
    card["name"] = "another"
    (model / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="not a model that predict applies"):
        prediction.load_slices_model(model)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("A", "0.png", 2, "")], "line 2: label must be 0 or 1"),
        ([("A", "no.png", 1, "")], "line 2: the file of the column picture is not there"),
        ([("A", "0.png", 1, ""), ("A", "1.png", 1, "")], "line 3: the patient of line 2 again"),
        ([("A", "0.png", 1, "later")], "line 2: split is train"),
        ([("", "0.png", 1, "")], "line 2: patient must not be empty"),
        ([], "has no rows"),
    ],
)
def test_a_wrong_table_gives_one_line(table, rows, reason):
    other = table.with_name("other.csv")
    _write(other, rows)
    with pytest.raises(InputError, match=reason):
        read_case_table(other, labelled=True)


def test_another_table_has_another_hash(table):
    other = table.with_name("swapped.csv")
    _write(other, [("P0", "0.png", 1, ""), ("P1", "1.png", 0, "")])
    assert read_case_table(other, labelled=True).sha256 != read_case_table(table, labelled=True).sha256


def test_augmentation_leaves_stress_and_rest_apart():
    stacks = np.zeros((3, 8, 32, 32), np.float32)
    stacks[:, :4] = 1.0  # stress bright, rest empty
    augment = Augmentation(0, side=32)
    for _ in range(40):
        changed = augment(stacks)
        assert changed[:, 4:].max() < 0.4  # noise alone
        assert np.ptp(changed[:, :4].mean(axis=(2, 3)), axis=1).max() < 0.05
