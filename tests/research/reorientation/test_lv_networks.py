from dataclasses import replace

import pytest
import torch

from myoperf.research.reorientation.dense_unet import DenseUNet, DenseUNetConfig
from myoperf.research.reorientation.losses import segmentation_loss
from myoperf.research.reorientation.ms_st_unet import POSE_ONLY
from myoperf.research.reorientation.networks import LV_NETWORKS, build_lv_network
from myoperf.research.reorientation.nn_unet import (
    NNUNet,
    NNUNetConfig,
    compound_loss,
    mirrored_probability,
    plan_channels,
)
from myoperf.research.reorientation.omega_net import OmegaNet, OmegaNetConfig
from myoperf.research.reorientation.output import labels_for
from myoperf.research.reorientation.pose import matrix_from_euler
from myoperf.research.reorientation.v_net import VNet, VNetConfig

DENSE = DenseUNetConfig(first=2, growth=3, depths=(2, 2, 2), dropout=0.0, norm="instance")
TINY = {
    "v-net": lambda: VNet(VNetConfig(width=2, depths=(1, 2, 1), norm="instance")),
    "dense-unet": lambda: DenseUNet(DENSE),
    "nn-unet": lambda: NNUNet(NNUNetConfig((4, 6, 8))),
    "omega-net": lambda: OmegaNet(OmegaNetConfig((4, 6, 8), stack=2, hidden=16, norm="instance")),
}


def make(name):
    torch.manual_seed(0)
    return TINY[name]().to(memory_format=torch.channels_last_3d)


def phantom():
    labels = torch.zeros(2, 16, 16, 16, dtype=torch.long)
    labels[:, 4:12, 4:12, 4:12] = 1
    labels[:, 6:10, 6:10, 6:10] = 2
    noise = torch.rand(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    return (labels == 1)[:, None] + 0.2 * noise, labels


@pytest.mark.parametrize("name", TINY)
def test_one_batch_is_learned_and_reaches_every_parameter(name):
    net = make(name)
    volume, labels = phantom()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for step in range(4):
        output = net(volume)
        loss = sum(
            segmentation_loss(logits.softmax(1), truth)
            for logits, truth in zip(output.logits, labels_for(labels, output), strict=True)
        )
        if output.initial is not None:
            assert output.initial.shape == (2, 3, 16, 16, 16)
            loss = (
                loss
                + segmentation_loss(output.initial.softmax(1), labels)
                + (output.rotation * torch.arange(9.0).view(3, 3)).sum()
                + output.translation.sum()
            )
        optimiser.zero_grad()
        loss.backward()
        if not step:
            for key, parameter in net.named_parameters():
                assert parameter.grad is not None, key
                assert float(parameter.grad.abs().sum()) > 0, key
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert output.logits[0].shape == (2, 3, 16, 16, 16)
    assert len(output.logits) == len(output.fields)


@pytest.mark.parametrize("name", TINY)
def test_the_same_seed_gives_the_same_output(name):
    volume, _ = phantom()
    with torch.no_grad():
        one, two = make(name)(volume[:1]), make(name)(volume[:1])
    assert torch.equal(one.logits[0], two.logits[0])
    assert torch.isfinite(one.logits[0]).all()


@pytest.mark.parametrize(
    ("name", "size", "side"),
    [(n, "compact", 64) for n in LV_NETWORKS if n not in POSE_ONLY] + [(n, "paper", 128) for n in TINY],
)
def test_full_sizes_have_their_shapes(name, size, side):
    with torch.device("meta"):
        net = build_lv_network(name, size)
        output = net(torch.rand(1, 1, side, side, side))
    assert output.logits[0].shape == (1, 3, side, side, side)
    sides = [t.shape[2] for t in output.logits]
    assert sides == [side // 2**k for k in range(len(sides))]
    if size == "compact":
        assert sum(p.numel() for p in net.parameters()) < 3_000_000


def test_v_net_is_the_original_size():
    with torch.device("meta"):
        plain = VNet()
    kernels = sum(p.numel() for p in plain.parameters() if p.dim() == 5)
    # By hand: stages of 5^3 kernels, steps of 2^3, and the last 1^3.
    stages = 16 + 2 * 32**2 + 3 * (64**2 + 128**2 + 256**2) + 3 * (256**2 + 128**2) + 2 * 64**2 + 32**2
    steps = 16 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 128 + 256 * 64 + 128 * 32 + 64 * 16
    assert kernels == 125 * stages + 8 * steps + 32 * 3


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="nn-unet"):
        build_lv_network("resnet")


def test_the_plan_follows_the_side():
    assert plan_channels(128) == (32, 64, 128, 256, 320, 320)
    assert plan_channels(64) == (32, 64, 128, 256, 320)
    assert plan_channels(48) == (32, 64, 128, 256)
    assert plan_channels(7) == (32,)


def test_mirroring_undoes_itself():
    net = make("nn-unet").eval()
    volume, _ = phantom()
    probability = mirrored_probability(net, volume[:1])
    flipped = mirrored_probability(net, volume[:1].flip(3))
    assert torch.allclose(probability, flipped.flip(3), atol=1e-4)
    assert torch.allclose(probability.sum(1), torch.ones(1, 16, 16, 16), atol=1e-4)


def test_the_compound_loss_is_least_for_the_truth():
    _, labels = phantom()
    net = make("nn-unet")
    output = net(torch.rand(2, 1, 16, 16, 16))
    sure = [20.0 * torch.nn.functional.one_hot(t, 3).movedim(-1, 1).float() for t in labels_for(labels, output)]
    assert float(compound_loss(replace(output, logits=tuple(sure)), labels)) == pytest.approx(-1.0, abs=1e-3)
    assert float(compound_loss(output, labels).detach()) > -0.5


def test_omega_net_turns_by_the_given_pose_and_tells_its_own():
    net = make("omega-net").eval()
    volume, _ = phantom()
    rotation, shift = matrix_from_euler(torch.tensor([[0.2, -0.3, 0.4]])), torch.zeros(1, 3)
    with torch.no_grad():
        own, given = net(volume[:1]), net(volume[:1], rotation, shift)
    assert torch.equal(own.rotation, given.rotation)
    assert torch.equal(own.initial, given.initial)
    assert not torch.allclose(own.logits[0], given.logits[0])
    assert torch.allclose(own.rotation @ own.rotation.mT, torch.eye(3), atol=1e-5)
