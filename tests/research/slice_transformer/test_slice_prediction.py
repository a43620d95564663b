"""From a table of report pages to a model, its predictions on other pages, and their evaluation."""

import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from myoperf.cli.train import train
from myoperf.errors import InputError
from myoperf.research.slice_transformer import own_cases, prediction
from myoperf.research.slice_transformer.multi_branch import COMPACT_ENCODER
from myoperf.research.slice_transformer.training import Augmentation
from myoperf.research.slice_transformer.unimiss.images import read_images
from myoperf.research.training.case_table import read_table
from support.command import run_command
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


def _hash(path):
    return read_table(path, needs=("label",), files=("picture",)).sha256


@pytest.mark.slow
def test_own_pages_train_a_model_that_predicts_other_pages(table, tmp_path):
    model, out = tmp_path / "model", tmp_path / "predictions"
    train("slices", out=model, scale="smoke", seed=0, data=table, weights=None, resume=False, quiet=True)
    card = json.loads((model / "card.json").read_text())
    assert card["format"] == "myoperf.model/1"
    assert card["data_sha256"] == _hash(table)
    assert card["patients"] == {"training": 2, "held_out": 2}
    assert card["class_balance"] == {"training": 0.5, "held_out": 0.5}
    assert run_command("predict", model, table, "-o", out).returncode == 0
    rows = pd.read_csv(out / "predictions.csv")
    assert list(rows.columns) == ["patient", "truth", "multi-branch-mit"]
    assert len(rows) == 4
    assert rows["multi-branch-mit"].between(0, 1).all()
    held_out = pd.read_csv(model / "held_out.csv").merge(rows, on=["patient", "truth"])
    assert held_out["patient"].tolist() == ["P2", "P3"]
    assert held_out["multi-branch-mit_x"].to_numpy() == pytest.approx(held_out["multi-branch-mit_y"].to_numpy())
    done = run_command("evaluate", out / "predictions.csv", "-o", tmp_path / "evaluation", "--resamples", "20")
    assert done.returncode == 0, done.stderr
    card["name"] = "another"
    (model / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="not a model that can be used here"):
        prediction.load_slices_model(model)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("A", "0.png", 2, "")], "line 2: label must be 0 or 1"),
        ([("A", "no.png", 1, "")], "line 2: the file of the column picture is not there"),
        ([("A", "0.png", 1, ""), ("A", "1.png", 1, "")], "line 3: the patient of line 2 occurs again"),
        ([("A", "0.png", 1, "later")], "line 2: split is train"),
        ([("", "0.png", 1, "")], "line 2: patient must not be empty"),
        ([], "has no rows"),
    ],
)
def test_a_wrong_table_gives_one_line(table, rows, reason):
    other = table.with_name("other.csv")
    _write(other, rows)
    with pytest.raises(InputError, match=reason):
        own_cases.read_own_cases(other, COMPACT_ENCODER.volume_shape)


@pytest.mark.parametrize(
    ("labels", "parts", "reason"),
    [
        ((0, 1, 0, 1), ("train", "train", "", ""), "needs a part for every patient"),
        ((0, 1, 0, 1), ("train", "train", "train", "validation"), "patients in train and test"),
        ((0, 0, 0, 1), ("train", "train", "test", "test"), "train has one"),
        ((0, 1, 1, 1), ("train", "train", "test", "test"), "test has one"),
    ],
)
def test_a_split_in_part_or_of_one_class_is_refused(labels, parts, reason):
    cases = own_cases.OwnCases(
        stacks=np.zeros((4, 3, 2, 2, 2), np.float32),
        patients=np.array(list("abcd")),
        labels=np.array(labels),
        parts=np.array(parts),
        sha256="",
        refused=pd.DataFrame(),
    )
    with pytest.raises(InputError, match=reason):
        cases.split()
    assert replace(cases, parts=np.array([""] * 4)).split() is None


def test_another_table_has_another_hash(table):
    other = table.with_name("swapped.csv")
    _write(other, [("P0", "0.png", 1, ""), ("P1", "1.png", 0, "")])
    assert _hash(other) != _hash(table)


def test_augmentation_leaves_stress_and_rest_apart():
    stacks = np.zeros((3, 8, 32, 32), np.float32)
    stacks[:, :4] = 1.0  # stress bright, rest empty
    augment = Augmentation(0, side=32)
    for _ in range(40):
        changed = augment(torch.from_numpy(stacks)).numpy()
        assert changed[:, 4:].max() < 0.4  # noise alone
        assert np.ptp(changed[:, :4].mean(axis=(2, 3)), axis=1).max() < 0.05


def test_a_study_on_own_pages_keeps_their_split(table, tmp_path):
    words = ("study", "multi-branch-mit", "--data", table, "-o", tmp_path / "out", "-q", "--epochs", "1")
    done = run_command(*words, "--networks", "SA-only,fusion_average", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    predictions = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert set(predictions["model"]) == {"SA only", "fusion, average"}
    assert set(predictions["patient"]) == {"P2", "P3"}
    assert list(pd.read_csv(tmp_path / "out" / "evaluate-0.csv")) == ["patient", "truth", "fusion_average", "SA-only"]
    assert set(pd.read_csv(tmp_path / "out" / "table.csv")["scale"]) == {"smoke"}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["data"] == "patients given with --data"


def test_a_model_of_one_axis_is_trained_and_applied(table, tmp_path):
    words = ("train", "slices", "--data", table, "--scale", "smoke", "--epochs", "1", "-o", tmp_path / "model", "-q")
    done = run_command(*words, "--networks", "vla-only,sa-only")
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert (card["views"], card["fusion"]) == (["vla"], "average")
    network = prediction.load_slices_model(tmp_path / "model")
    assert network.config.views == ("vla",)
    told = prediction.predict_pages(tmp_path / "model", table).predictions.set_index("patient")
    held_out = pd.read_csv(tmp_path / "model" / "held_out.csv").set_index("patient")["multi-branch-mit"]
    assert told.loc[held_out.index, "multi-branch-mit"].to_numpy() == pytest.approx(held_out.to_numpy(), abs=1e-6)
    other = run_command(*words, "--networks", "SA-only", "--resume")
    assert (other.returncode, "other settings (network)" in other.stderr) == (2, True)


def test_the_colour_scale_of_the_command_is_that_of_the_pages(table, tmp_path):
    words = ("study", "multi-branch-mit", "--data", table, "-q", "--colour-scale", "ge", "-o", tmp_path / "out")
    done = run_command(*words)
    assert (done.returncode, "train and test; got train 1" in done.stderr) == (
        2,
        True,
    )  # three of the four pages have another scale
    assert pd.read_csv(tmp_path / "out" / "refused.csv")["line"].tolist() == [2, 4, 5]


def test_a_study_in_the_table_is_analysed_and_a_failure_listed(table, tmp_path, monkeypatch):
    """Stacks of an analysed study are tested with `stacks_from_results`; here only which column is read how."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "scan.dcm").write_text(name)

    def cutter(shape):
        def cut(path):
            if path.name == "b":
                raise InputError("No study.")
            return np.zeros((3, *shape), np.float32)

        return cut

    monkeypatch.setattr(own_cases, "_stack_cutter", cutter)
    _write(tmp_path / "t.csv", [("P0", "a", 1), ("P1", "b", 0)], ("patient", "study", "label"))
    read = own_cases.read_own_cases(tmp_path / "t.csv", (16, 32, 32))
    assert read.patients.tolist() == ["P0"]
    assert read.refused.to_numpy().tolist() == [[3, "No study."]]
    _write(tmp_path / "t.csv", [("P0", "gone", 1)], ("patient", "study", "label"))
    with pytest.raises(InputError, match="line 2: the file of the column study is not there"):
        own_cases.read_own_cases(tmp_path / "t.csv", (16, 32, 32))


def test_report_pages_are_split_into_stacks_for_pre_training(table, tmp_path):
    for name in ("0.png", "1.png"):
        (tmp_path / name).write_bytes((table.parent / name).read_bytes())
    Image.fromarray(np.full((50, 40), 128, np.uint8)).save(tmp_path / "plain.png")
    images = read_images(tmp_path, (16, 32, 32), np.random.default_rng(0))
    assert [volume.shape for volume in images.volumes] == [(16, 32, 32)] * 6
    assert images.volume_groups == (3, 4, 5, 3, 4, 5)
    assert len(images.pictures) == 7  # a slice of each view, and the plain one
