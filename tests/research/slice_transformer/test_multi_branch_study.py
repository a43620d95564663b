"""The multi-branch study runs at smoke scale, goes on where it stopped, and its tables follow from its predictions."""

import json

import numpy as np
import pandas as pd
import pytest

from myoperf.errors import InputError, MissingWeightsError
from myoperf.research.slice_transformer import study, tables
from myoperf.research.slice_transformer.arms import ARMS, key_of
from myoperf.research.slice_transformer.baselines import BASELINES, keras_baselines, montage
from myoperf.research.slice_transformer.study import RECIPES, default_baselines, run
from myoperf.research.slice_transformer.tables import answer_questions, measure_models
from myoperf.research.training.options import RunOptions
from myoperf.stats import delong_table
from myoperf.stats.predictions import read_predictions


def test_montage_places_every_plane():
    stacks = np.arange(1, 17, dtype=np.float32)[None, None, :, None, None] * np.ones((2, 3, 16, 32, 32), np.float32)
    pictures = montage(stacks, side=64)
    assert pictures.shape == (2, 3, 64, 64)
    np.testing.assert_array_equal(pictures[1, 2, 8::16, 8::16].ravel(), np.arange(1, 17))


@pytest.fixture(scope="module")
def predictions():
    """Two splits that share patients, of 60 tests each; the first model is better than the second."""
    rng = np.random.default_rng(0)
    rows = []
    for split in (0, 1):
        for patient in range(30 * split, 30 * split + 60):
            truth = patient % 3 > 0
            for model, skill in (("fusion, average", 2.5), ("SA only", 0.3)):
                logit = skill * (truth - 0.5) + rng.normal() + 3 * split  # splits are not on one scale
                rows.append((split, patient, int(truth), model, 1 / (1 + np.exp(-logit)), 1.0))
    return pd.DataFrame(rows, columns=["split", "patient", "truth", "model", "probability", "cpu_s"])


def test_areas_are_means_over_splits(predictions):
    table = measure_models(predictions, {"SA only": "4 6"}, 0).set_index("model")
    one = predictions[predictions["model"] == "SA only"]
    expected = [
        delong_table(part["truth"].to_numpy(), part["probability"].to_numpy()).auc[0]
        for _, part in one.groupby("split")
    ]
    row = table.loc["SA only"]
    assert row["auc"] == pytest.approx(np.mean(expected))
    assert row["auc_lo"] < row["auc"] < row["auc_hi"]
    assert (row["splits"], row["n_tests"], row["n_patients"], row["tables"]) == (2, 120, 90, "4 6")
    called = one["probability"] >= 0.5
    assert row["specificity"] == pytest.approx(1 - called[one["truth"] == 0].mean())
    assert table.loc["all called abnormal", "specificity"] == 0


def test_questions_are_answered_with_paired_intervals(predictions):
    answers = answer_questions(predictions, 0)
    assert list(answers["other"]) == ["SA only"]
    row = answers.iloc[0]
    assert row["difference"] == pytest.approx(row["auc"] - row["auc_other"])
    assert row["difference_lo"] < row["difference"] < row["difference_hi"]
    assert row["answer"] == "yes"
    assert row["p"] < 0.01
    turned = predictions.replace({"SA only": "fusion, average", "fusion, average": "SA only"})
    assert answer_questions(turned, 0).iloc[0]["answer"] == "no, the other is better"
    nothing = answer_questions(predictions[predictions["model"] == "SA only"], 0)
    assert list(nothing.columns) == list(answers.columns)
    assert not len(nothing)
    alike = predictions.assign(probability=np.random.default_rng(1).random(len(predictions)))
    assert answer_questions(alike, 0).iloc[0]["answer"] == "not shown"


@pytest.mark.slow
def test_smoke_study_stops_and_goes_on(tmp_path, monkeypatch, few_images):
    monkeypatch.setattr(tables, "RESAMPLES", 100)

    def brightness(pictures, truth, test, seed):
        return test.mean(axis=(1, 2, 3)).astype(float)

    folder = tmp_path / "study"
    assert run("smoke", folder, 0, minutes=0) is None
    assert not list((folder / "jobs").glob("*.csv"))
    path = run("smoke", folder, 0, baselines={"mean brightness": brightness})
    assert path == folder / "table.md"
    predictions = pd.read_csv(folder / "predictions.csv")
    table = pd.read_csv(folder / "table.csv").set_index("model")
    models = {arm.name for arm in ARMS if not arm.pretrained} | {"mean brightness"}
    assert set(predictions["model"]) == models
    assert set(table.index) == models | {"all called abnormal"}
    with monkeypatch.context() as patch:  # a training that is done is not done again
        patch.setattr(study, "fit", None)
        patch.setattr(study, "write_results", lambda out, about: None)
        assert run("smoke", folder, 0, baselines={"mean brightness": None}) == path
    for_evaluate = read_predictions(folder / "evaluate-0.csv")
    assert set(for_evaluate.models) == {key_of(name) for name in models}
    one = predictions[predictions["model"] == "SA only"].set_index("patient")["probability"]
    row = for_evaluate.models.index("SA-only")
    assert for_evaluate.probability[row].tolist() == pytest.approx(one[for_evaluate.patient.astype(int)].tolist())
    assert all((folder / name).stat().st_size > 5000 for name in ("roc.png", "confusion.png"))
    answers = pd.read_csv(folder / "answers.csv")
    assert "fusion beats convolutional networks" in set(answers["question"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "simulated" in manifest["data"]
    assert "simulated patients" in path.read_text()
    with pytest.raises(InputError, match="results of other settings"):
        run("smoke", folder, 1)

    def without(pictures, truth, test, seed):
        raise MissingWeightsError("ImageNet weights of VGG16 could not be loaded.")

    options = RunOptions(baseline_weights="imagenet", networks=("VGG16", "SA-only"), quiet=True)
    assert run("smoke", folder, 0, options=options, baselines={"VGG16": without}) == path
    assert "ImageNet weights of VGG16" in (folder / "missing.csv").read_text()
    assert json.loads((folder / "manifest.json").read_text())["convolutional_networks_start_from"] == "imagenet"
    run("smoke", folder, 0, options=options, baselines={"VGG16": brightness})
    assert "VGG16, ImageNet" in set(pd.read_csv(folder / "table.csv")["model"])
    assert not (folder / "missing.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_predicts_probabilities(name):
    rng = np.random.default_rng(0)
    pictures, truth = rng.random((4, 3, 80, 80), dtype=np.float32), np.array([0, 1, 1, 1])
    values = keras_baselines(epochs=1, batch=4, side=80)[name](pictures, truth, pictures[:2], 0)
    assert values.shape == (2,)
    assert ((values > 0) & (values < 1)).all()


def test_an_answer_needs_its_interval_and_its_p():
    rows = []
    rng = np.random.default_rng(3)
    for seed in range(30):
        truth = np.arange(40) % 2
        for model, skill in (("fusion, average", 1.2), ("SA only", 0.2)):
            scores = 1 / (1 + np.exp(-skill * (truth - 0.5) - rng.normal(size=40)))
            rows.append(pd.DataFrame({"split": 0, "patient": range(40), "truth": truth, "model": model}))
            rows[-1] = rows[-1].assign(probability=scores, case=seed)
    answers = pd.concat([answer_questions(part.drop(columns="case"), 0) for _, part in pd.concat(rows).groupby("case")])
    shown = (answers["difference_lo"] > 0) & (answers["p"] < 0.05)
    assert 0 < shown.sum() < len(answers)
    assert ((answers["answer"] == "yes") == shown).all()


def test_table_3_is_complete_but_at_scale_smoke():
    assert set(default_baselines("small")) == set(default_baselines("full")) == set(BASELINES)
    assert not default_baselines("smoke")


def test_scale_full_is_trained_as_the_paper_says():
    full = RECIPES["full"]
    options = full.fit_options(frozen=False)
    assert (options.epochs, options.batch, options.learning_rate, options.cosine) == (200, 16, 1e-5, False)
    assert full.encoder.volume_shape == (32, 96, 96)
    assert (full.patients, full.test_share) == (192, 0.2)


def test_unknown_scale(tmp_path):
    with pytest.raises(InputError, match="choose from smoke, small, full"):
        run("huge", tmp_path)
