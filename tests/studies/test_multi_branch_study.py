"""The multi-branch study runs whole at smoke scale and writes tables that follow from its predictions."""

import json

import numpy as np
import pandas as pd
import pytest

from myoperf.errors import InputError, OutputExistsError
from myoperf.stats import delong_table
from myoperf.studies.multi_branch_mit import ARMS, montage, run, simulate_stacks


def test_montage_places_every_plane():
    stacks = np.arange(1, 17, dtype=np.float32)[None, None, :, None, None] * np.ones((2, 3, 16, 32, 32), np.float32)
    pictures = montage(stacks, side=64)
    assert pictures.shape == (2, 3, 64, 64)
    np.testing.assert_array_equal(pictures[1, 2, 8::16, 8::16].ravel(), np.arange(1, 17))


def test_simulated_stacks_repeat_with_the_seed():
    first, truth = simulate_stacks(2, (16, 32, 32), 4)
    again, _ = simulate_stacks(2, (16, 32, 32), 4)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (2, 3, 16, 32, 32)
    assert set(truth) <= {0, 1}


@pytest.mark.slow
def test_smoke_study_writes_its_tables(tmp_path):
    def brightness(pictures, truth, test, seed):
        return test.mean(axis=(1, 2, 3)).astype(float)

    path = run("smoke", tmp_path / "study", 0, baselines={"mean brightness": brightness})
    folder = path.parent
    predictions = pd.read_csv(folder / "predictions.csv")
    table = pd.read_csv(folder / "table.csv").set_index("model")
    models = {arm.name for arm in ARMS} | {"mean brightness"}
    assert set(predictions["model"]) == models
    assert set(table.index) == models | {"all called abnormal"}
    one = predictions[predictions["model"] == "SA only"]
    expected = delong_table(one["truth"].to_numpy(), one["probability"].to_numpy()).auc[0]
    assert table.loc["SA only", "auc"] == pytest.approx(expected)
    assert table.loc["all called abnormal", "specificity"] == 0
    assert len(pd.read_csv(folder / "delong.csv")) == len(models) * (len(models) - 1) // 2
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "simulated" in manifest["data"]
    assert "simulated patients" in path.read_text()
    with pytest.raises(OutputExistsError):
        run("smoke", folder)


def test_unknown_scale(tmp_path):
    with pytest.raises(InputError, match="one of smoke, small, full"):
        run("huge", tmp_path)
