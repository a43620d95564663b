import numpy as np
import pytest
import torch

from myoperf.lv.compact_network import matrix_from_six
from myoperf.research.reorientation import training
from myoperf.research.reorientation.batches import Batch, FieldOfView
from myoperf.research.reorientation.losses import Stabilisation, segmentation_loss, total_loss, truth_in_pose
from myoperf.research.reorientation.networks import build_lv_network
from myoperf.research.reorientation.nn_unet_augmentation import augment_as_nn_unet
from myoperf.research.reorientation.output import LVOutput
from myoperf.research.reorientation.pose import sample_in_pose
from myoperf.research.reorientation.training import Schedule, low_precision_is_safe, teacher_pose

TILT = torch.linalg.matrix_exp(torch.tensor([[0, -0.5, 0.2], [0.5, 0, -0.3], [-0.2, 0.3, 0]]))[None]
SHIFT = torch.tensor([[0.1, -0.05, 0.08]])
PLAIN = Stabilisation(entropy=0.0)


def batch_of(side=32):
    """A ball's half shell with its inside, tilted in the given frame."""
    steps = (2 * torch.arange(side) + 1) / side - 1
    z, y, x = torch.meshgrid(steps, steps, steps, indexing="ij")
    away = torch.sqrt(x**2 + (1.3 * y) ** 2 + (0.8 * z) ** 2)
    turned = torch.where((away < 0.6) & (z < 0.3), torch.where(away < 0.35, 2, 1), 0)[None]
    masks = torch.nn.functional.one_hot(turned, 3).movedim(-1, 1).float()
    back = TILT.transpose(1, 2)
    given = sample_in_pose(masks[:, 1:], back, -(back @ SHIFT[..., None])[..., 0])
    labels = torch.cat([1 - given.sum(1, keepdim=True), given], 1).argmax(1)
    volume = (labels == 1)[:, None].float()
    return Batch(volume=volume, labels=labels, turned_labels=turned, rotation=TILT, translation=SHIFT)


def output_of(batch, rotation):
    """Masks that are right for the pose they were made in, which is off."""
    seen = sample_in_pose(torch.nn.functional.one_hot(batch.labels, 3).movedim(-1, 1).float(), rotation, SHIFT)
    logits = 30 * torch.nn.functional.one_hot(seen.argmax(1), 3).movedim(-1, 1).float()
    return LVOutput((logits,), (1.0,), rotation, SHIFT, rotation[:, None], SHIFT[:, None])


def test_masks_right_for_a_wrong_pose_cost_little_only_when_stabilised():
    batch = batch_of()
    off = TILT @ torch.linalg.matrix_exp(torch.tensor([[0, 0, 0.0], [0, 0, -0.9], [0, 0.9, 0]]))[None]
    output = output_of(batch, off)
    chance = output.logits[0].softmax(1)
    assert float(segmentation_loss(chance, batch.turned_labels)) > 1.0
    cost = {key: float(total_loss(output, batch, key)) for key in (None, PLAIN)}
    pose_only = {
        key: float(total_loss(LVOutput((), (), off, SHIFT, off[:, None], SHIFT[:, None]), batch, key)) for key in cost
    }
    masks = {key: cost[key] - pose_only[key] for key in cost}
    assert masks[PLAIN] < 0.5 * masks[None]


def best_volume(steepness):
    """Wall volume, by true, whose overlap with the moved truth is best: what a network would learn."""
    steps = (2 * torch.arange(32) + 1) / 32 - 1
    z, y, x = torch.meshgrid(steps, steps, steps, indexing="ij")
    away = torch.sqrt(x**2 + y**2 + z**2)
    given = torch.where((away < 0.55) & (away >= 0.42), 1, 0)[None]
    volume = (given == 1)[:, None].float()
    batch = Batch(volume=volume, labels=given, turned_labels=given, rotation=TILT, translation=SHIFT)
    output = LVOutput((torch.zeros(1, 3, 32, 32, 32),), (1.0,), TILT, SHIFT, TILT[:, None], SHIFT[:, None])
    wall = truth_in_pose(output, batch, steepness)[0, 1]
    cuts = [(wall > level).float() for level in torch.arange(0.2, 0.75, 0.01)]
    best = max(cuts, key=lambda cut: float(2 * (cut * wall).sum() / (cut.sum() + wall.sum())))
    return float(best.sum() / (given == 1).sum())


def test_the_best_overlap_with_the_moved_truth_has_its_volume():
    assert best_volume(Stabilisation().steepness) == pytest.approx(1.0, abs=0.04)
    assert best_volume(1.0) > 1.06


def test_the_gradient_of_a_stabilised_rotation_is_bounded_where_the_angles_jump():
    batch = batch_of(16)
    largest = {None: 0.0, Stabilisation(): 0.0}
    for key in largest:
        for a, b in ((0.002, 0.004), (-0.002, 0.004), (0.002, -0.004), (-0.002, -0.004)):
            six = torch.tensor([[1.0, a, 0.0, 0.0, b, -1.0]], requires_grad=True)  # z nearly along y: beta -90 degrees
            rotation = matrix_from_six(six)
            output = LVOutput((), (), rotation, SHIFT, rotation[:, None], SHIFT[:, None])
            (slope,) = torch.autograd.grad(total_loss(output, batch, key), six)
            largest[key] = max(largest[key], float(slope.abs().max()))
    assert largest[Stabilisation()] < 20
    assert largest[None] > 50


@pytest.mark.parametrize(
    ("name", "early", "late"),
    [("rot-op2-seg-op2", True, False), ("sep-rot-op2-seg-op2", True, True), ("omega-net", True, False)]
    + [(name, False, False) for name in ("seg-op2", "nn-unet")],
)
def test_the_true_pose_is_used_at_the_start_and_throughout_when_trained_separately(name, early, late):
    batch, schedule = batch_of(16), Schedule(iterations=10, stabilisation=Stabilisation(given=0.5))
    net = build_lv_network(name)
    assert (teacher_pose(net, batch, schedule, 4) is not None) is early
    assert (teacher_pose(net, batch, schedule, 5) is not None) is late
    assert teacher_pose(net, batch, Schedule(iterations=10), 0) is None


def test_cross_entropy_pulls_a_class_back_that_overlap_has_given_up():
    batch = batch_of(16)
    slope = {}
    for key in (None, Stabilisation()):
        logits = torch.zeros(1, 3, 16, 16, 16)
        logits[:, 2] = -25.0
        logits.requires_grad_()
        (grad,) = torch.autograd.grad(total_loss(LVOutput((logits,), (1.0,)), batch, key), logits)
        slope[key] = -float(grad[:, 2].sum())
    assert slope[Stabilisation()] > 1e-3
    assert slope[None] < 1e-6


def test_nn_unets_augmentation_moves_labels_with_the_picture_and_repeats():
    batch = batch_of()
    volume = batch.volume + 1.0 * (batch.labels == 2)[:, None]
    changed = 0
    for seed in range(6):
        image, labels = augment_as_nn_unet(volume, batch.labels, np.random.default_rng(seed))
        again, _ = augment_as_nn_unet(volume, batch.labels, np.random.default_rng(seed))
        assert torch.equal(image, again)
        assert image.shape == volume.shape
        assert labels.dtype == batch.labels.dtype
        assert set(labels.unique().tolist()) <= {0, 1, 2}
        inside, outside = image[:, 0][labels > 0].mean(), image[:, 0][labels == 0].mean()
        assert inside > outside + 0.3
        changed += not torch.equal(labels, batch.labels)
    assert changed >= 4
    assert torch.equal(volume, batch.volume + 1.0 * (batch.labels == 2)[:, None])


@pytest.mark.parametrize(
    ("name", "side", "safe"),
    [("seg-op1", 64, True), ("seg-op1", 32, False), ("v-net", 64, False), ("v-net", 80, True), ("nn-unet", 64, True)],
)
def test_bfloat16_only_where_no_grid_is_below_a_kernel(name, side, safe):
    net = build_lv_network(name)
    net.train()
    assert low_precision_is_safe(net, FieldOfView(side=side, voxel_mm=5.0)) is safe
    assert net.training


@pytest.mark.parametrize(
    ("side", "in_hardware", "low"), [(32, False, False), (32, True, False), (64, False, False), (64, True, True)]
)
def test_training_is_in_bfloat16_only_where_it_is_safe_and_in_hardware(monkeypatch, side, in_hardware, low):
    monkeypatch.setattr(training, "cpu_has_bfloat16", lambda: in_hardware)
    net, field = build_lv_network("nn-unet"), FieldOfView(side=side, voxel_mm=5.0)
    assert training._trains_in_bfloat16(net, field, torch.device("cpu")) is low
    assert training._trains_in_bfloat16(net, field, torch.device("cuda")) is False
