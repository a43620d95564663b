import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from myoperf.errors import InputError
from myoperf.geometry import affine_from_axes
from myoperf.lv.metrics import dice
from myoperf.research.lv_network.cases import Case
from myoperf.research.reorientation import evaluation, study, tables
from myoperf.research.reorientation.batches import FieldOfView, mean_pose, sample_batch
from myoperf.research.reorientation.evaluation import evaluate_network
from myoperf.research.reorientation.networks import build_lv_network
from myoperf.research.reorientation.output import LVOutput
from myoperf.research.reorientation.pose import sample_in_pose
from myoperf.research.reorientation.training import Schedule, train_network
from myoperf.stats import bootstrap_statistic
from myoperf.types import LVFrame, Volume

FIELD = FieldOfView(side=32, voxel_mm=5.0)


def heart():
    """A thick half shell, open towards the base, its wall bright."""
    affine = affine_from_axes((-77.5, -77.5, -77.5), [[0, 0, 1], [0, 1, 0], [1, 0, 0]], 5.0)
    frame = LVFrame((38, -30, -8), (-22, 14, 16), (0, 0.3, 1))
    place = np.stack(np.meshgrid(*(np.arange(32) * 5.0 - 77.5,) * 3, indexing="ij")[::-1], -1)  # x, y, z
    off = place - frame.centre_mm
    radius, along = np.linalg.norm(off, axis=-1), off @ frame.axis
    labels = np.where(along > 22, 0, np.where(radius < 24, 2, np.where(radius < 40, 1, 0))).astype(np.uint8)
    image = Volume((labels == 1).astype(np.float32) + 0.05, affine)
    return Case("S1", "spect-1", image, image.with_array(labels), frame, True)


def test_the_turned_labels_are_the_given_ones_in_the_true_pose_with_the_base_last():
    case = heart()
    tilted = torch.linalg.matrix_exp(torch.tensor([[0, -0.2, 0.1], [0.2, 0, -0.3], [-0.1, 0.3, 0]]))
    for pose in (None, [(tilted, torch.tensor([0.05, -0.04, 0.06]))]):
        batch = sample_batch([case], FIELD, pose)
        masks = torch.nn.functional.one_hot(batch.labels, 3).permute(0, 4, 1, 2, 3).float()
        moved = sample_in_pose(masks, batch.rotation, batch.translation).argmax(1)
        assert dice(moved[0].numpy() == 1, batch.turned_labels[0].numpy() == 1) > 0.9
        wall = np.argwhere(batch.turned_labels[0].numpy() == 1).mean(0)
        assert wall[0] < 15.0  # the apex lies in the first planes
        assert wall[1:] == pytest.approx((15.5, 15.5), abs=0.6)
    assert torch.linalg.det(batch.rotation[0]) == pytest.approx(1.0, abs=1e-4)


class Oracle(nn.Module):
    """Knows the case's truth; off by `degrees` about its lateral axis."""

    def __init__(self, case, degrees):
        super().__init__()
        self.batch = sample_batch([case], FIELD)
        a = np.deg2rad(degrees)
        turn = torch.tensor([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]], dtype=torch.float32)
        self.rotation = self.batch.rotation @ turn

    def forward(self, volume):
        logits = 20 * torch.nn.functional.one_hot(self.batch.turned_labels, 3).permute(0, 4, 1, 2, 3).float()
        pose = self.rotation, self.batch.translation
        return LVOutput((logits,), (1.0,), *pose, pose[0][:, None], pose[1][:, None])


def test_the_evaluation_tells_right_from_wrong():
    case = heart()
    right, off = (evaluate_network(Oracle(case, degrees), [case], FIELD)[0] for degrees in (0.0, 20.0))
    assert right["wall_dice"] > 0.9
    assert right["rotation_mse"] == pytest.approx(0, abs=1e-8)
    assert off["wall_dice"] < right["wall_dice"] - 0.05
    assert off["axis_error_deg"] == pytest.approx(20.0, abs=0.01)
    assert right["mask_axis_error_deg"] < 2
    assert off["mask_axis_error_deg"] == pytest.approx(20.0, abs=3)
    assert right["true_wall_ml"] == pytest.approx(right["wall_ml"], rel=0.1)
    euler, place = mean_pose([case], FIELD)
    assert euler == pytest.approx([right[f"true_{name}"] for name in ("alpha", "beta", "gamma")], abs=1e-4)
    assert place == pytest.approx([right[f"true_{name}"] for name in ("tx", "ty", "tz")], abs=1e-5)


def test_training_does_not_depend_on_what_memory_held_before():
    torch.set_num_threads(1)
    weights = []
    for dirt in (0.0, float("nan")):
        torch.manual_seed(0)
        net = build_lv_network("nn-unet")
        for _ in range(2):
            del [torch.full((2**k,), dirt) for k in range(4, 19) for _ in range(20)][:]
        train_network(net, [heart()], FIELD, Schedule(iterations=2, batch=1, rate=1e-3), seed=0)
        weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.equal(*weights)


@pytest.mark.slow
def test_the_study_runs_keeps_its_jobs_and_writes_its_tables(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(tables, "bootstrap_statistic", partial(bootstrap_statistic, resamples=50))
    monkeypatch.setattr(evaluation, "frame_from_mask", lambda _: heart().frame)  # the fit takes a second a mask
    monkeypatch.setattr(study, "LV_NETWORKS", ("rot-op2-seg-op2", "nn-unet"))
    study.run("smoke", tmp_path)
    overlap = pd.read_csv(tmp_path / "overlap.csv")
    assert set(overlap["network"]) == {"Rot Op2-Seg Op2 (MS-ST-UNet)", "nnU-Net", "MSUNet, true pose given"}
    assert overlap["tested_on"].str.contains("simulated").all()
    assert (overlap["wall_dice_lo"] <= overlap["wall_dice"]).all()
    assert len(pd.read_csv(tmp_path / "pose.csv")) == 2
    assert json.loads((tmp_path / "manifest.json").read_text())["data"] == "simulated patients only"
    for name in ("figure4-spect.png", "figure6-pet.png", "differences.csv", "overlap.md"):
        assert (tmp_path / name).stat().st_size > 0
    monkeypatch.setattr(study, "train_network", None)  # a job that is done is not done again
    with monkeypatch.context() as patch:
        patch.setattr(study, "write_tables", lambda out: None)
        study.run("smoke", tmp_path)
    with pytest.raises(InputError, match="other settings"):
        study.run("smoke", tmp_path, seed=1)


def test_another_scale_is_refused(tmp_path):
    with pytest.raises(InputError, match="Unknown scale"):
        study.run("huge", tmp_path)
