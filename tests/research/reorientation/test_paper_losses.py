"""The losses and the schedule of Ni et al. 2023 against numbers worked out without them."""

import math

import numpy as np
import pytest
import torch

from myoperf.research.reorientation.batches import Batch
from myoperf.research.reorientation.losses import (
    pose_distance,
    rotation_loss,
    segmentation_loss,
    total_loss,
    translation_loss,
)
from myoperf.research.reorientation.networks import build_lv_network
from myoperf.research.reorientation.output import LVOutput
from myoperf.research.reorientation.pose import matrix_from_euler
from myoperf.research.reorientation.study import RECIPES
from myoperf.research.reorientation.training import _optimiser

SIDE = 8


def test_angles_differ_the_short_way_round_and_translations_as_they_are():
    estimate, truth = torch.tensor([[3.1, 0.2, -1.0]]), torch.tensor([[-3.1, 0.1, -1.3]])
    assert float(rotation_loss(estimate, truth)) == pytest.approx((2 * math.pi - 6.2 + 0.1 + 0.3) / 3, abs=1e-5)
    assert float(translation_loss(estimate, truth)) == pytest.approx((6.2 + 0.1 + 0.3) / 3, abs=1e-5)


def test_the_pose_weighs_the_rotation_by_ten_and_is_a_mean_over_the_samplers():
    angles = torch.tensor([-0.83, -1.14, 1.22])
    estimates = torch.stack([matrix_from_euler(angles + turn) for turn in (0.0, 0.1)])[None]
    shifts = torch.tensor([[[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]]])
    truth = matrix_from_euler(angles)[None], torch.zeros(1, 3)
    distance = float(pose_distance((estimates, shifts), truth, matrices=False))
    assert distance == pytest.approx((0.0 + 10 * 0.1 + 0.1) / 2, abs=1e-4)


def _dice(share, mask):
    return 2 * (share * mask).sum() / (share.sum() + mask.sum())


def test_the_overlap_of_the_wall_counts_three_times():
    rng = np.random.default_rng(0)
    share = rng.dirichlet((1, 1, 1), size=(SIDE, SIDE, SIDE)).transpose(3, 0, 1, 2)
    labels = rng.integers(0, 3, (SIDE, SIDE, SIDE))
    lost = [1 - _dice(share[k], labels == k) for k in range(3)]
    found = segmentation_loss(torch.from_numpy(share)[None], torch.from_numpy(labels)[None])
    assert float(found) == pytest.approx(3 * lost[1] + lost[2] + lost[0], abs=1e-4)


def test_the_loss_of_training_is_the_sum_with_the_moved_threshold():
    """A bright block that an estimate moves off its true place: no overlap is left, and the masks are right."""
    volume = torch.zeros(1, 1, SIDE, SIDE, SIDE)
    volume[..., 3:5] = 1.0
    labels = torch.zeros(1, SIDE, SIDE, SIDE, dtype=torch.int64)
    labels[..., 3], labels[..., 4] = 1, 2
    still, nothing = torch.eye(3)[None], torch.zeros(1, 3)
    batch = Batch(volume=volume, labels=labels, turned_labels=labels, rotation=still, translation=nothing)
    sure = 50.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    for shift, expected in ((0.0, 0.0), (0.5, 0.5 / 3 + 1.0)):
        moved = torch.tensor([[shift, 0.0, 0.0]])
        output = LVOutput((sure,), (1.0,), still, moved, still[:, None], moved[:, None])
        assert float(total_loss(output, batch)) == pytest.approx(expected, abs=1e-4)


def test_scale_full_is_trained_as_the_paper_says():
    schedule = RECIPES["full"].schedule
    assert (schedule.iterations, schedule.batch, schedule.rate, schedule.stabilisation) == (20_000, 2, 1e-4, None)
    optimiser = _optimiser(build_lv_network("seg-op1"), schedule)
    assert isinstance(optimiser, torch.optim.Adam)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [1e-4]
