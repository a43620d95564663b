"""The recipes slices and unimiss: their measurements against hand-made cases, and both whole at smoke scale."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from myoperf.cli.study import study
from myoperf.cli.train import train
from myoperf.errors import InputError, MissingWeightsError
from myoperf.phantom.records import SIMULATOR_VERSION
from myoperf.research.slice_transformer.mit import MiTConfig, build_mit
from myoperf.research.slice_transformer.mit_weights import MiTWeights, read_checkpoint, write_checkpoint
from myoperf.research.slice_transformer.multi_branch import MultiBranchConfig, build_multi_branch, load_branches
from myoperf.research.slice_transformer.recipe import RECIPES
from myoperf.research.slice_transformer.tables import compare_with_polar, measure_held_out
from myoperf.research.slice_transformer.training import Augmentation, rate_share
from myoperf.research.slice_transformer.unimiss.images import read_images
from myoperf.research.slice_transformer.unimiss.probe import compare_probes, probe_scores
from myoperf.stats import delong_table


@pytest.fixture(scope="module")
def graded():
    """A truth of 80 patients, scores that know it well and scores that do not."""
    rng = np.random.default_rng(0)
    truth = (np.arange(80) % 3 > 0).astype(np.int64)
    known, blind = truth + rng.normal(0, 0.4, 80), rng.normal(0, 1, 80)
    return truth, 1 / (1 + np.exp(0.5 - known)), 1 / (1 + np.exp(-blind))


def test_a_better_model_earns_its_place_and_a_worse_one_does_not(graded):
    truth, known, blind = graded
    table = compare_with_polar(truth, known, blind).set_index("model")
    assert table.loc["slices", "earns_its_place"]
    assert table.loc["slices", "difference"] == pytest.approx(
        delong_table(truth, known).auc[0] - delong_table(truth, blind).auc[0]
    )
    assert table.loc["slices", "p_delong"] < 0.001
    turned = compare_with_polar(truth, blind, known).set_index("model")
    assert not turned["earns_its_place"].any()
    assert turned.loc["slices", "difference_hi"] < 0
    assert not compare_with_polar(truth, known, known)["earns_its_place"].any()


def test_held_out_numbers_carry_intervals(graded):
    truth, known, blind = graded
    table = measure_held_out(truth, {"known": known, "blind": blind}).set_index("model")
    assert table.loc["known", "auc_lo"] > 0.8
    assert table.loc["blind", "auc_lo"] < 0.5 < table.loc["blind", "auc_hi"]
    assert table.loc["known", "specificity"] == pytest.approx((known[truth == 0] < 0.5).mean())
    assert (table["n"] == 80).all()


def test_probes_tell_features_that_know_from_those_that_do_not(graded):
    truth = graded[0]
    rng = np.random.default_rng(1)
    knowing, blind = rng.normal(0, 1, (80, 20)), rng.normal(0, 1, (80, 20))
    knowing[:, :8] += 2.5 * truth[:, None]
    scores = {"pre-trained": probe_scores(knowing, truth), "random 0": probe_scores(blind, truth)}
    table = compare_probes(scores, truth).set_index("features")
    assert table.loc["pre-trained", "auc"] > 0.85
    assert table.loc["random 0", "auc_lo"] < 0.6
    assert table.loc["random 0", "by_lo"] > 0
    assert np.isnan(table.loc["pre-trained", "by_lo"])


def test_the_rate_warms_up_and_runs_out():
    shares = np.array([rate_share(step, 200) for step in range(200)])
    assert shares[0] == pytest.approx(1 / 20)
    assert shares.argmax() in (19, 20)
    assert shares.max() == 1.0
    assert (np.diff(shares[20:]) < 0).all()
    assert 0 < shares[-1] < 1e-3


def test_shifts_of_the_augmentation_follow_the_grid():
    blob = np.zeros((3, 4, 32, 32), np.float32)
    blob[:, :, 14:18, 14:18] = 1.0
    augment, moved = Augmentation(0, side=32), []
    for _ in range(40):
        made = augment(torch.from_numpy(blob)).numpy().clip(0.2, None) - 0.2
        places = np.argwhere(made[0].sum(axis=0) > 0.5 * made[0].sum(axis=0).max())
        moved.append(np.abs(places.mean(axis=0) - 15.5).max())
    assert max(moved) < 2.5  # one of 32 pixels and what rotation and scaling add
    assert max(moved) > 0.3


def test_a_folder_of_pictures_is_read_and_an_empty_one_refused(tmp_path):
    with pytest.raises(InputError, match="no picture and no volume"):
        read_images(tmp_path, (16, 32, 32), np.random.default_rng(0))
    Image.fromarray(np.full((50, 40), 128, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_text("not a picture")
    images = read_images(tmp_path, (16, 32, 32), np.random.default_rng(0))
    assert images.unreadable == 1
    assert images.pictures[0].shape == (32, 32)
    assert images.pictures[0].mean() == pytest.approx(128 / 255, abs=1e-3)


def test_weights_are_refused_before_anything_is_simulated(tmp_path):
    given = {"scale": "smoke", "seed": 0, "data": None, "resume": False, "quiet": True}
    with pytest.raises(InputError, match="--weights is not for polar"):
        train("polar", tmp_path / "out", **given, weights="w.pth")
    with pytest.raises(InputError, match="--weights is not for label-strategies"):
        study("label-strategies", tmp_path / "out", scale="smoke", seed=0, weights="w.pth")
    for run in (
        lambda path: train("slices", tmp_path / "out", **given, weights=path),
        lambda path: study("multi-branch-mit", tmp_path / "out", scale="smoke", seed=0, weights=path),
    ):
        with pytest.raises(MissingWeightsError, match=r"absent\.pth"):
            run(tmp_path / "absent.pth")
        other = build_mit(MiTConfig("tiny", picture_shape=(96, 96), volume_shape=(16, 96, 96)))
        write_checkpoint(tmp_path / "other.pt", other, other)
        with pytest.raises(InputError, match=r"lacks|has not"):
            run(tmp_path / "other.pt")
    for command, name in ((train, "slices"), (study, "multi-branch-mit")):
        with pytest.raises(InputError, match="give a checkpoint too"):
            command(name, tmp_path / "out", scale="smoke", seed=0, positions="flat")
    with pytest.raises(InputError, match="smoke trains no convolutional network"):
        study("multi-branch-mit", tmp_path / "out", scale="smoke", seed=0, baseline_weights="imagenet")
    assert not (tmp_path / "out").exists()


def test_branches_start_from_the_student(tmp_path):
    config = MiTConfig("tiny", "batch", "relu", picture_shape=(32, 32), volume_shape=(16, 32, 32))
    student, teacher = build_mit(config, seed=1), build_mit(config, seed=2)
    write_checkpoint(tmp_path / "w.pt", student, teacher)
    network = build_multi_branch(MultiBranchConfig(encoder=RECIPES["small"].encoder))
    load_branches(network, read_checkpoint(tmp_path / "w.pt"))
    for branch in network.branches.values():
        assert torch.equal(branch.stages[3].blocks[0].fc1.weight, student.encoder.stages[3].blocks[0].fc1.weight)


@pytest.mark.slow
def test_recipe_slices_writes_weights_card_and_the_comparison(tmp_path, few_images):
    out = tmp_path / "slices"
    train("slices", out, scale="smoke", seed=3, data=None, resume=False, quiet=True)
    network = build_multi_branch(MultiBranchConfig(encoder=RECIPES["smoke"].encoder))
    network.load_state_dict(load_file(out / "model.safetensors"))
    card = json.loads((out / "card.json").read_text())
    assert card["training_data"] == f"simulated patients only (simulator version {SIMULATOR_VERSION})"
    assert {row["model"] for row in card["held_out"]} == {"slices", "polar classifier", "mean of both"}
    assert {row["model"] for row in card["versus_polar"]} == {"slices", "mean of both"}
    kept = {path.name: path.read_bytes() for path in out.glob("*.csv")}
    train("slices", out, scale="smoke", seed=3, data=None, resume=True, quiet=True)  # finds its training finished
    assert {path.name: path.read_bytes() for path in out.glob("*.csv")} == kept
    with pytest.raises(InputError, match="other settings"):
        train("slices", out, scale="smoke", seed=4, data=None, resume=True, quiet=True)
    with (out / "versus_polar.csv").open() as file:
        assert {row["earns_its_place"] for row in csv.DictReader(file)} <= {"True", "False"}


@pytest.mark.real
def test_real_volumes_give_stacks_of_three_views(real, tmp_path):
    shutil.copy(real / "physionet_mps/dicom/P01_ReconRest.dcm", tmp_path)
    images = read_images(tmp_path, (16, 32, 32), np.random.default_rng(0))
    assert images.unreadable == 0
    assert [stack.shape for stack in images.volumes] == [(16, 32, 32)] * 3
    assert all(stack.min() >= 0.0 and 0.5 < stack.max() <= 1.0 for stack in images.volumes)


@pytest.mark.slow
def test_recipe_unimiss_writes_weights_that_start_a_classifier(tmp_path, few_images):
    out = tmp_path / "unimiss"
    train("unimiss", out, scale="smoke", seed=3, data=None, resume=False, quiet=True)
    epochs = pd.read_csv(out / "epochs.csv")
    assert list(epochs["kind"]) == ["before", "2D", "3D"]
    assert np.isfinite(epochs["rank"]).all()
    probes = pd.read_csv(out / "probe.csv")
    assert set(probes["stage"]) == {"stage 3", "stage 4", "decoder"}
    for _, asked in probes.groupby(["patients", "stage"]):
        assert list(asked["features"]) == ["teacher", "student", "random 0", "random 1", "random 2"]
    weights = read_checkpoint(out / "unimiss.pt")
    assert weights.config == MiTConfig("tiny", "batch", "relu", picture_shape=(32, 32), volume_shape=(16, 32, 32))
    network = build_multi_branch(MultiBranchConfig(encoder=RECIPES["small"].encoder), seed=1)
    load_branches(network, weights)
    for branch in network.branches.values():
        assert torch.equal(branch.stages[0].token, weights.tensors["encoder.stages.0.token"])
    without_stem = MiTWeights({k: v for k, v in weights.tensors.items() if "stem" not in k}, weights.config)
    with pytest.raises(InputError, match="lacks"):
        load_branches(network, without_stem)
