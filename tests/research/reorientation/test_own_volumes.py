"""From one's own volumes, masks and poses to MS-ST-UNet, its masks and poses on others, and their agreement."""

import json
from functools import partial

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from myoperf.errors import InputError
from myoperf.geometry import affine_from_axes, angle_deg
from myoperf.io.nifti import read_nifti, write_nifti
from myoperf.research.reorientation import evaluation, prediction, tables
from myoperf.research.reorientation.batches import FieldOfView, pose_range, pose_to, sample_batch, true_pose
from myoperf.research.reorientation.networks import build_lv_network
from myoperf.research.reorientation.nn_unet import NNUNet
from myoperf.research.reorientation.own_cases import (
    PARAMETERS,
    POINTS,
    parameters_of,
    read_image,
    read_own_cases,
    read_volume_table,
)
from myoperf.research.reorientation.pose import euler_from_matrix
from myoperf.research.reorientation.training import OWN_OPTIMISERS, Schedule, train_network
from myoperf.research.reorientation.v_net import VNet
from myoperf.stats import bootstrap_statistic
from myoperf.types import LVFrame, Volume
from support.command import run_command
from support.dicom import counts_of, pet_slices

APEX, BASE, ANTERIOR = (38.0, -30.0, -8.0), (-22.0, 14.0, 16.0), (0.0, 0.3, 1.0)


def _volumes(folder, n=4):
    """Half shells open towards the base, each shifted a little, with a pose by points."""
    affine = affine_from_axes((-77.5, -87.5, -97.5), [[0, 0, 1], [0, 1, 0], [1, 0, 0]], 5.0)
    rows = []
    for index in range(n):
        shift = 4.0 * index
        frame = LVFrame(np.add(APEX, shift), np.add(BASE, shift), ANTERIOR)
        place = np.stack(np.meshgrid(*(np.arange(m) * 5.0 for m in (40, 36, 32)), indexing="ij")[::-1], -1)
        off = place + np.array([-77.5, -87.5, -97.5]) - frame.centre_mm
        radius, along = np.linalg.norm(off, axis=-1), off @ frame.axis
        labels = np.where(along > 22, 0, np.where(radius < 24, 2, np.where(radius < 40, 1, 0))).astype(np.uint8)
        image = Volume((labels == 1).astype(np.float32) + 0.05, affine)
        write_nifti(folder / f"{index}.nii.gz", image)
        write_nifti(folder / f"{index}-mask.nii.gz", image.with_array(labels))
        row = {"patient": f"P{index}", "volume": f"{index}.nii.gz", "mask": f"{index}-mask.nii.gz"}
        row |= dict(zip(POINTS, np.concatenate([frame.apex_mm, frame.base_mm, frame.anterior]), strict=True))
        rows.append(row | {"split": "train" if index < n - 2 else "test"})
    table = folder / "table.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return _volumes(folder)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(tables, "bootstrap_statistic", partial(bootstrap_statistic, resamples=50))
    monkeypatch.setattr(tables, "R2_RESAMPLES", 20)
    frame = LVFrame(APEX, BASE, ANTERIOR)
    for module in (evaluation, prediction):  # the fit takes a second a mask
        monkeypatch.setattr(module, "frame_from_mask", lambda _: frame)


def test_a_pose_by_points_and_by_the_papers_parameters_is_the_same(own, tmp_path):
    cases = read_own_cases(own)
    assert cases.poses == ("given",) * 4
    assert cases.kinds == ("own",) * 4
    rows = pd.read_csv(own).drop(columns=list(POINTS))
    for index, case in enumerate(cases.cases):
        for name, value in parameters_of(case.frame, case.image).items():
            rows.loc[index, name] = value
    for name in ("volume", "mask"):
        rows[name] = [str(own.parent / file) for file in rows[name]]
    rows.to_csv(tmp_path / "other.csv", index=False)
    for one, two in zip(cases.cases, read_own_cases(tmp_path / "other.csv").cases, strict=True):
        assert angle_deg(one.frame.axis, two.frame.axis) < 0.01
        assert angle_deg(one.frame.anterior, two.frame.anterior) < 0.01
        assert np.linalg.norm(np.cross(two.frame.apex_mm - one.frame.apex_mm, one.frame.axis)) < 0.01
        wall = np.argwhere(one.labels.array[0] == 1) @ np.diag([5.0] * 3)
        assert two.frame.length_mm < np.linalg.norm(np.ptp(wall, axis=0))


@pytest.mark.slow
def test_own_volumes_train_a_network_that_labels_others(own, tmp_path):
    words = ("train", "reorientation", "--data", own, "--scale", "smoke", "--epochs", "2", "-q")
    done = run_command(*words, "-o", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert (card["format"], card["name"]) == ("myoperf.model/1", "ms-st-unet")
    assert card["data_sha256"] == read_own_cases(own).sha256
    assert card["patients"] == {"training": 2, "held_out": 2}
    assert card["poses"] == {"given": 4}
    assert card["modalities"] == ["own"]
    assert {row["measure"] for row in card["calibration"]} == {
        f"{name}_{ending}" for name in ("wall", "pool") for ending in ("brier", "expected_over_true")
    }
    done = run_command("predict", tmp_path / "model", own, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    poses = pd.read_csv(tmp_path / "out" / "poses.csv")
    assert poses["patient"].tolist() == ["P0", "P1", "P2", "P3"]
    mask, image = (
        read_nifti(tmp_path / "out" / "masks" / "line-0002_lv_labels.nii.gz"),
        read_nifti(own.parent / "0.nii.gz"),
    )
    assert mask.grid_shape == image.grid_shape
    assert np.allclose(mask.lps_from_index, image.lps_from_index)
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert {"wall_dice", "rotation_mse"} <= set(scores.columns)
    assert set(pd.read_csv(tmp_path / "out" / "summary.csv")["measure"]) >= {"wall_dice", "pool_dice"}


def test_a_model_as_written_has_the_papers_field_and_poses_and_is_of_one_modality(own, tmp_path):
    rows = pd.read_csv(own)
    tables = {}
    for name, kinds in (("spect", "spect"), ("both", ["spect", "spect", "pet", "pet"])):
        tables[name] = own.with_name(f"{name}.csv")
        rows.assign(modality=kinds, split=["train", "test"] * 2).to_csv(tables[name], index=False)
    words = ("train", "reorientation", "--as-written", "--scale", "smoke", "--networks", "seg-op1", "-q", "--data")
    for table, reason in ((own, "needs the column modality"), (tables["both"], "a model of one modality")):
        refused = run_command(*words, table, "-o", tmp_path / f"no-{table.stem}")
        assert (refused.returncode, reason in refused.stderr) == (2, True)
    done = run_command(*words, tables["spect"], "-o", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["build"]["field"] == {"side": 32, "voxel_mm": 870.0 / 32}
    assert (card["schedule"]["poses"], card["schedule"]["stabilisation"]) == ("sets", None)
    assert "--as-written" in card["command"]
    assert card["modalities"] == ["spect"]
    done = run_command("predict", tmp_path / "model", own, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 4


def test_probabilities_are_calibrated_where_they_are_the_share_of_the_voxels():
    truth = np.repeat([0, 1, 1, 2], 25)
    share = np.stack([1.0 - 0.5 * (truth < 2), 0.5 * (truth < 2), 0.0 * truth])
    measured = evaluation.calibration(share, truth)
    assert measured["wall_brier"] == pytest.approx(0.25)
    assert measured["wall_expected_over_true"] == pytest.approx(0.75)
    assert (measured["pool_brier"], measured["pool_expected_over_true"]) == (1.0, 0.0)
    right = evaluation.calibration(np.eye(3)[truth].T, truth)
    assert right == {
        "wall_brier": 0.0,
        "wall_expected_over_true": 1.0,
        "pool_brier": 0.0,
        "pool_expected_over_true": 1.0,
    }


def test_labels_on_the_volumes_grid_are_where_the_network_put_them(own):
    case = read_own_cases(own).cases[1]
    field = FieldOfView(side=64, voxel_mm=4.0)
    batch = sample_batch([case], field)
    probability = torch.nn.functional.one_hot(batch.labels, 3).movedim(-1, 1).float()
    back = prediction._on_volume(probability, case.image, field)
    same = (back.array[0] == 1) & (case.labels.array[0] == 1)
    assert 2 * same.sum() / ((back.array[0] == 1).sum() + (case.labels.array[0] == 1).sum()) > 0.9


def test_a_study_on_a_table_says_so_and_marks_smoke(own, tmp_path):
    words = ("study", "ms-st-unet", "--data", own, "-o", tmp_path / "out", "--epochs", "1", "-q")
    done = run_command(*words, "--networks", "msunet,rot-op1,rot-op2")
    assert done.returncode == 0, done.stderr
    overlap = pd.read_csv(tmp_path / "out" / "overlap.csv")
    assert set(overlap["network"]) == {"MSUNet, trained in the true pose", "Rot Op1", "Rot Op2"}
    assert set(overlap["tested_on"]) == {"own"}
    assert set(overlap["scale"]) == {"smoke"}
    differences = pd.read_csv(tmp_path / "out" / "differences.csv")
    assert differences["claim"].tolist() == ["multi-scale against single, pose only"]
    assert set(differences["verdict_rotation"]) <= {"yes", "not shown", "no, the other is better"}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["training"] == {"own": 2}
    refused = run_command("study", "ms-st-unet", "--data", own, "-o", tmp_path / "none", "--as-written")
    assert (refused.returncode, "needs the column modality" in refused.stderr) == (2, True)


def test_ten_poses_of_a_volume_lie_in_the_range_of_the_training_volumes(own):
    cases, field = read_own_cases(own).cases, FieldOfView(side=16, voxel_mm=10.0)
    low, high = pose_range(cases, field)
    assert (low <= high).all()
    wanted = low + torch.tensor([0.1, 0.9, 0.5, 0.2, 0.7, 0.4]) * (high - low + 0.2)
    batch = sample_batch(cases[:1], field, [pose_to(cases[0], field, wanted)])
    assert torch.allclose(euler_from_matrix(batch.rotation[0], near=wanted[:3]), wanted[:3], atol=1e-4)
    assert torch.allclose(batch.translation[0], wanted[3:], atol=1e-4)
    still = true_pose(cases[0], field)
    assert torch.allclose(sample_batch(cases[:1], field).rotation[0], still[0], atol=1e-6)


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_weights(own, tmp_path, monkeypatch):
    cases, field = read_own_cases(own).cases[:2], FieldOfView(side=32, voxel_mm=6.0)
    monkeypatch.setattr("myoperf.research.reorientation.training.KEEP_EVERY", 1)
    weights = []
    for stop in (None, 2):
        torch.manual_seed(0)
        net = build_lv_network("dense-unet")  # it has dropout
        state = tmp_path / f"{stop}.state"
        if stop is not None:
            steps = iter((sample_batch,) * stop)

            def draw(*given, steps=steps, **more):
                return next(steps)(*given, **more)

            with monkeypatch.context() as patch:
                patch.setattr("myoperf.research.reorientation.training.sample_batch", draw)
                with pytest.raises(StopIteration):
                    train_network(net, cases, field, Schedule(iterations=4, poses="sets"), seed=0, checkpoint=state)
            net = build_lv_network("dense-unet")
        train_network(net, cases, field, Schedule(iterations=4, poses="sets"), seed=0, checkpoint=state)
        weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.allclose(*weights, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "kind", "first", "last"),
    [
        ("nn-unet", torch.optim.SGD, 1e-2, 0.0),
        ("v-net", torch.optim.SGD, 1e-4, 1e-4),
        ("omega-net", torch.optim.Adam, 2e-3, 0.0),
    ],
)
def test_peers_have_their_own_optimisers_where_that_is_asked_for(own, monkeypatch, name, kind, first, last):
    made = []

    def note(net, optimiser, loss):
        made.append((type(optimiser), optimiser.param_groups[0]["lr"]))

    monkeypatch.setattr("myoperf.research.reorientation.training._update", note)
    monkeypatch.setattr("myoperf.research.reorientation.training._learn_pose", lambda *given: None)
    cases, field = read_own_cases(own).cases[:1], FieldOfView(side=32, voxel_mm=6.0)
    for peers_own in (True, False):
        schedule = Schedule(iterations=2, batch=1, rate=2e-3, peers_own=peers_own)
        train_network(build_lv_network(name), cases, field, schedule, seed=0)
    assert [optimiser for optimiser, _ in made] == [kind, kind, torch.optim.Adam, torch.optim.Adam]
    assert made[0][1] == first
    assert made[1][1] == pytest.approx(last or first * 0.5**0.9)
    assert made[2][1] == 2e-3


def test_v_nets_rate_falls_to_a_tenth_every_25_000_steps_and_nn_unets_to_nothing():
    v_net, nn_unet = OWN_OPTIMISERS[VNet], OWN_OPTIMISERS[NNUNet]
    assert [v_net.rate_at(step, 60_000) for step in (0, 24_999, 25_000, 50_000)] == pytest.approx(
        [1e-4, 1e-4, 1e-5, 1e-6]
    )
    assert nn_unet.rate_at(100, 100) == 0.0
    (group,) = nn_unet.make(torch.nn.Linear(1, 1)).param_groups
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.99, True, 3e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"apex_x": ""}, "a pose needs all of apex_x, .*; apex_x is empty"),
        ({"alpha": 0.1}, "a pose needs all of alpha"),
        ({"modality": "ct"}, "modality is spect or pet"),
        ({"mask": ""}, "mask must not be empty"),
        (dict.fromkeys(PARAMETERS, 0.1), "not by both"),
    ],
)
def test_a_wrong_row_is_one_line(own, change, reason):
    rows = pd.read_csv(own, dtype=object)
    for name, value in change.items():
        rows.loc[0, name] = value
    other = own.with_name("wrong.csv")
    rows.to_csv(other, index=False)
    with pytest.raises(InputError, match=rf"wrong\.csv, line 2: .*{reason}"):
        read_own_cases(other)


def test_a_series_of_pet_slices_is_given_as_its_folder(tmp_path, save):
    for number, dataset in enumerate(pet_slices(counts_of(1, 9, 10, 11))):
        save(dataset, f"{number}.dcm", tmp_path / "series")
    (tmp_path / "t.csv").write_text("patient,volume\nP1,series\n")
    (row,) = read_volume_table(tmp_path / "t.csv", labelled=False).rows
    assert read_image(row.files["volume"]).array.shape == (1, 9, 10, 11)


def test_a_volume_that_cannot_be_read_is_listed(own):
    rows = pd.read_csv(own)
    rows.loc[0, "volume"] = "broken.nii.gz"
    (own.parent / "broken.nii.gz").write_text("no volume")
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)), own.parent / "empty.nii.gz")
    rows.loc[1, "mask"] = "empty.nii.gz"
    other = own.with_name("some.csv")
    rows.to_csv(other, index=False)
    read = read_own_cases(other)
    assert read.refused["line"].tolist() == [2, 3]
    assert "mask of the wall" in read.refused["reason"][1]
    assert len(read.cases) == 2
