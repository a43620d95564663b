from dataclasses import replace

import pytest
import torch

from myoperf.research.reorientation.attention_unet import AttentionUNetConfig, scale_transform
from myoperf.research.reorientation.localiser import LVLocaliserConfig, heat_centre
from myoperf.research.reorientation.losses import rotation_loss, segmentation_loss, translation_loss
from myoperf.research.reorientation.ms_st_unet import ABLATIONS, MSSTUNet, PoseNetwork, ablation, compact_config
from myoperf.research.reorientation.output import labels_for
from myoperf.research.reorientation.pose import matrix_from_euler, sample_in_pose
from myoperf.research.reorientation.resnet3d import ResNet3D, ResNet3DConfig

TINY = replace(
    compact_config(),
    unet=AttentionUNetConfig(channels=(4, 4, 6, 6, 8)),
    localiser=LVLocaliserConfig(channels=(4, 6, 8), hidden=16),
)
PAPER_TINY = replace(TINY, localiser=ResNet3DConfig(blocks=(1, 1, 1, 1), width=4), exact=False)


def make(config, seed=0):
    torch.manual_seed(seed)
    return MSSTUNet(config).to(memory_format=torch.channels_last_3d)


def every_sum(output):
    parts = [t.float().square().mean() for t in output.logits]
    parts += [t.square().sum() for t in (output.scale_translations,) if t is not None]
    if output.scale_rotations is not None:  # the sum of squares of a rotation has no gradient
        parts.append((output.scale_rotations * torch.arange(9.0).view(3, 3)).sum())
    return sum(parts)


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("start", [TINY, PAPER_TINY], ids=["compact", "paper"])
def test_every_ablation_has_its_shapes_and_every_parameter_learns(name, start):
    net = make(ablation(start, name))
    output = net(torch.rand(2, 1, 32, 32, 32))
    assert [tuple(t.shape) for t in output.logits] == [(2, 3, n, n, n) for n in (32, 16, 8)]
    assert output.fields == ((1.0, 1.0, 1.0) if "op1" in name or name == "seg-op2" else (1.0, 0.5, 0.25))
    if name.startswith("seg"):
        assert output.rotation is None
    else:
        assert output.rotation.shape == (2, 3, 3)
        assert output.translation.shape == (2, 3)
        assert output.scale_rotations.shape == (2, 1 if "op1" in name else 3, 3, 3)
    every_sum(output).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert bool(torch.isfinite(parameter.grad).all()), key
        assert float(parameter.grad.abs().sum()) > 0, key


def test_only_joint_training_sends_the_masks_gradient_to_the_pose():
    for name, reaches in (("rot-op2-seg-op2", True), ("sep-rot-op2-seg-op2", False), ("rot-op1-seg-op1", True)):
        net = make(ablation(TINY, name))
        net(torch.rand(1, 1, 32, 32, 32)).logits[0].square().mean().backward()
        touched = any(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in net.msstn.parameters())
        assert touched == reaches, name


def test_an_unknown_ablation_is_refused():
    with pytest.raises(ValueError, match="seg-op1"):
        ablation(TINY, "seg-op3")


def test_the_first_pose_is_near_table_2():
    output = make(PAPER_TINY).eval()(torch.rand(1, 1, 32, 32, 32))
    expected = matrix_from_euler(torch.tensor([-0.83, -1.14, 1.22]))
    assert torch.allclose(output.rotation[0], expected, atol=0.1)
    assert torch.allclose(output.translation[0], torch.tensor([0.19, -0.15, 0.29]), atol=0.1)


def test_a_given_pose_is_used_and_the_networks_own_still_told():
    net = make(TINY).eval()
    volume = torch.rand(1, 1, 32, 32, 32)
    rotation, shift = matrix_from_euler(torch.tensor([[0.2, -0.3, 0.4]])), torch.tensor([[0.1, 0.0, -0.1]])
    with torch.no_grad():
        own, given = net(volume), net(volume, rotation, shift)
        turned = net.msunet(
            [
                sample_in_pose(volume, rotation, shift, scale=s, size=(n,) * 3)
                for s, n in ((1.0, 32), (0.5, 16), (0.25, 8))
            ]
        )
    assert torch.equal(own.rotation, given.rotation)
    assert not torch.allclose(own.logits[0], given.logits[0])
    assert torch.allclose(turned[0], given.logits[0], atol=1e-3)


def test_without_pose_and_localiser_the_given_frame_is_segmented():
    net = make(ablation(TINY, "msunet")).eval()
    volume = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        plain = net(volume).logits[0]
        still = net(volume, torch.eye(3)[None], torch.zeros(1, 3)).logits[0]
    assert torch.allclose(plain, still, atol=1e-3)


def test_scale_transformer_and_its_way_back_keep_the_middle():
    x = torch.rand(2, 5, 8, 8, 8)
    down = scale_transform(x, 0.5, size=(4, 4, 4))
    back = scale_transform(down, 2.0, size=(8, 8, 8))
    middle = (slice(None), slice(None), slice(2, 6), slice(2, 6), slice(2, 6))
    assert torch.equal(down, x[middle])
    assert torch.equal(back[middle], x[middle])
    assert float(back.abs().sum()) == pytest.approx(float(x[middle].abs().sum()), rel=1e-5)


def test_the_cut_is_what_sampling_would_give():
    x = torch.rand(1, 2, 8, 8, 8)
    matrix = torch.cat([0.5 * torch.eye(3), torch.zeros(3, 1)], 1)[None]
    cut = scale_transform(x, 0.5, size=(4, 4, 4))
    assert torch.allclose(scale_transform(x, 0.5, size=(4, 4, 4), matrix=matrix), cut, atol=1e-5)
    odd = scale_transform(x, 0.5, size=(3, 3, 3))  # off the voxels: interpolated
    assert odd.shape == (1, 2, 3, 3, 3)
    assert torch.allclose(odd[..., 1, 1, 1], x[..., 3:5, 3:5, 3:5].mean((2, 3, 4)), atol=1e-5)


def test_labels_are_cut_or_thinned_with_the_logits():
    labels = torch.zeros(1, 32, 32, 32, dtype=torch.uint8)
    labels[:, 12:20, 12:20, 12:20] = 1
    net = make(ablation(TINY, "msunet"))
    cut = labels_for(labels, net(torch.rand(1, 1, 32, 32, 32)))
    assert [tuple(t.shape[1:]) for t in cut] == [(32,) * 3, (16,) * 3, (8,) * 3]
    assert [int(t.sum()) for t in cut] == [512, 512, 512]
    assert cut[0].dtype == torch.uint8
    net = make(ablation(TINY, "seg-op1"))
    thin = labels_for(labels, net(torch.rand(1, 1, 32, 32, 32)))
    assert [int(t.sum()) for t in thin] == [512, 64, 8]


def test_the_heat_maps_mean_is_its_bright_voxel():
    heat = torch.zeros(1, 1, 8, 8, 8)
    heat[0, 0, 2, 3, 6] = 100.0
    assert torch.allclose(heat_centre(heat), torch.tensor([[13 / 8 - 1, 7 / 8 - 1, 5 / 8 - 1]]), atol=1e-5)


def test_training_on_one_batch_lowers_the_loss():
    net = make(TINY)
    labels = torch.zeros(2, 32, 32, 32, dtype=torch.long)
    labels[:, 11:21, 11:21, 11:21] = 1
    labels[:, 14:18, 14:18, 14:18] = 2
    volume = 0.2 * torch.rand(2, 1, 32, 32, 32) + (labels == 1)[:, None]
    angles, shift = torch.tensor([[-0.7, -1.0, 1.1]] * 2), torch.tensor([[0.1, -0.1, 0.2]] * 2)
    step = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(4):
        output = net(volume)
        loss = translation_loss(output.translation, shift)
        loss = loss + (output.scale_rotations - matrix_from_euler(angles)[:, None]).abs().mean()
        for logits, truth in zip(output.logits, labels_for(labels, output), strict=True):
            loss = loss + segmentation_loss(logits.softmax(1), truth)
        step.zero_grad()
        loss.backward()
        step.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0]
    assert float(rotation_loss(angles, angles + 2 * torch.pi)) < 1e-5


def test_the_same_seed_gives_the_same_output_in_either_memory_format():
    volume = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        one = make(TINY)(volume)
        two = make(TINY)(volume)
        first = make(TINY).to(memory_format=torch.contiguous_format)(volume)
    assert torch.equal(one.logits[0], two.logits[0])
    assert torch.equal(one.rotation, two.rotation)
    assert torch.allclose(one.logits[0], first.logits[0], atol=1e-3)


def count(net):
    return sum(p.numel() for p in net.parameters())


def test_paper_size_has_resnet50s_parameters_and_full_size_outputs():
    with torch.device("meta"):
        net = MSSTUNet()
        output = net(torch.rand(1, 1, 128, 128, 128))
        plain = ResNet3D()
    assert count(plain) == 46_155_072
    assert count(net.msstn.head) == 2049 * 27
    assert [tuple(t.shape) for t in output.logits] == [(1, 3, n, n, n) for n in (128, 64, 32)]
    assert output.scale_rotations.shape == (1, 3, 3, 3)


def test_compact_size_is_compact():
    with torch.device("meta"):
        net = MSSTUNet(compact_config())
        output = net(torch.rand(1, 1, 48, 48, 48))
    assert count(net) < 3_000_000
    assert output.logits[0].shape == (1, 3, 48, 48, 48)


def test_without_a_pose_every_scale_shows_the_whole_field():
    """A heart at the edge of the field is in each of Seg Op2's three volumes; the middle quarter would not hold it."""
    net = make(ablation(TINY, "seg-op2")).eval()
    volume = torch.zeros(1, 1, 32, 32, 32)
    volume[..., 2:6, 2:6, 2:6] = 1.0
    volumes, moves = net._sample(volume, None, None, [1.0, 1.0, 1.0])
    assert [tuple(v.shape[2:]) for v in volumes] == [(32,) * 3, (16,) * 3, (8,) * 3]
    assert [float(v.sum()) * 8**k for k, v in enumerate(volumes)] == pytest.approx([64.0] * 3)
    assert moves == [None, None]
    labels = (volume[:, 0] > 0).long()
    assert all(int(level.sum()) > 0 for level in labels_for(labels, net(volume)))


@pytest.mark.parametrize("name", ["rot-op1", "rot-op2"])
def test_networks_of_the_pose_alone_have_the_samplers_of_their_scales(name):
    net = PoseNetwork(ablation(TINY, name))
    output = net(torch.rand(2, 1, 32, 32, 32))
    assert output.logits == ()
    assert output.scale_rotations.shape == (2, 1 if name == "rot-op1" else 3, 3, 3)
