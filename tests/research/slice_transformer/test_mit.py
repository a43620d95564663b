"""MiT against the authors' own network, its key map, and its shape contract.

``mit_original.npz`` holds what the authors' code gave (UniMiSS, commit of 2022) for weights and inputs that
`authors_value` and a seed make again: keys with shapes, outputs, class tokens and mean map sizes. No code of theirs.
"""

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from myoperf.errors import InputError, MissingWeightsError
from myoperf.research.slice_transformer.mit import (
    MiTConfig,
    MiTEncoder,
    build_mit,
    interpolate_position,
)
from myoperf.research.slice_transformer.mit_weights import (
    MiTWeights,
    load_mit,
    load_mit_encoder,
    map_mit_key,
    map_mit_state,
    read_checkpoint,
    stretch_positions,
)

ORIGINAL = np.load(Path(__file__).with_name("mit_original.npz"))
CONFIGS = {"small": MiTConfig(), "tiny": MiTConfig(size="tiny", norm="batch", activation="relu")}
SHAPES = {
    "picture": (2, 3, 224, 224),
    "volume": (2, 1, 16, 96, 96),
    "picture_160": (1, 3, 160, 160),
    "volume_128": (1, 1, 16, 128, 128),
}


def authors_value(key, shape):
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if key.endswith("running_var"):
        return torch.from_numpy(rng.uniform(0.5, 1.5, shape).astype(np.float32))
    value = 0.05 * rng.standard_normal(shape, dtype=np.float32)
    return torch.from_numpy(value + 1 if ".norm" in f".{key}" and key.endswith("weight") else value)


def authors_state(size, prefix="module.backbone."):
    shapes = json.loads(ORIGINAL[f"{size}_keys"].tobytes())
    bare = {key.removeprefix("module.backbone."): shape for key, shape in shapes.items()}
    return {prefix + key: authors_value(key, shape) for key, shape in bare.items()}


@pytest.fixture(scope="module", params=["small", "tiny"])
def loaded(request):
    network = build_mit(CONFIGS[request.param])
    load_mit(network, MiTWeights(authors_state(request.param)))
    return request.param, network.eval()


def test_equals_the_original_network(loaded):
    size, network = loaded
    rng = np.random.default_rng(5)
    for name, shape in SHAPES.items():
        images = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        with torch.no_grad():
            features = network.encoder(images)
            out = network(images)
        expected = ORIGINAL[f"{size}_{name}_out"]
        assert expected.std() > 0.5
        np.testing.assert_allclose(out.numpy(), expected, atol=1e-5, rtol=0)
        np.testing.assert_allclose(features.token.numpy(), ORIGINAL[f"{size}_{name}_token"], atol=5e-5, rtol=0)
        means = [float(maps.double().abs().mean()) for maps in features.pyramid[:-1]]
        np.testing.assert_allclose(means, ORIGINAL[f"{size}_{name}_means"][:-1], rtol=1e-5)


def test_checkpoint_keys_map_one_to_one(loaded):
    size, network = loaded
    mapped = map_mit_state(authors_state(size))
    assert mapped.keys() == network.state_dict().keys()
    assert len(mapped) == len(authors_state(size))
    for key, value in network.state_dict().items():
        assert torch.equal(value, mapped[key]), key


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("transformer.patch_embed3D0.conv.weight", "encoder.stem.3D.conv.weight"),
        ("transformer.patch_embed3D1.proj.conv.weight", "encoder.stages.0.embed.3D.conv.weight"),
        ("transformer.block1.0.mlp.fc1.weight", "encoder.stages.0.blocks.0.fc1.weight"),
        ("transformer.block2.2.attn.sr3D.bias", "encoder.stages.1.blocks.2.attention.reduce.3D.bias"),
        ("transformer.cls_tokens1", "encoder.stages.0.token"),
        ("transformer.cls_tokens4.weight", "encoder.stages.3.carry.weight"),
        ("transformer.pos_embed3D1", "encoder.stages.0.position.3D"),
        ("cls_tokens1.weight", "decoder.1.carry.weight"),
        ("DecEmbed2D0.proj.bias", "decoder.0.embed.2D.bias"),
        ("DecPosEmbed3D2", "decoder.2.position.3D"),
        ("Decblock1.3.attn.kv.weight", "decoder.1.blocks.3.attention.kv.weight"),
        ("norm.weight", "norm.weight"),
    ],
)
def test_single_keys(theirs, ours):
    assert map_mit_key(theirs) == ours


@pytest.mark.parametrize("key", ["fc.weight", "transformer.block1.0.attn.qkv.weight", "transformer.head.weight", ""])
def test_foreign_keys_are_refused(key):
    with pytest.raises(InputError, match="no key of an MiT checkpoint"):
        map_mit_key(key)


def test_a_published_file_is_read_strictly(tmp_path):
    student = authors_state("tiny") | {"module.head.mlp.0.weight": torch.zeros(2, 2)}
    teacher = {key: 2 * value for key, value in authors_state("tiny", "backbone.").items()}
    path = tmp_path / "unimiss.pth"
    torch.save({"student": student, "teacher": teacher, "args": argparse.Namespace(lr=1), "epoch": 3}, path)
    encoder = MiTEncoder(CONFIGS["tiny"])
    for which, factor in (("student", 1), ("teacher", 2)):
        load_mit_encoder(encoder, read_checkpoint(path, which))
        expected = factor * authors_value("transformer.cls_tokens1", (1, 1, 48))
        assert torch.equal(encoder.stages[0].token.detach(), expected)
    weights = read_checkpoint(path)
    state = {k: v for k, v in weights.tensors.items() if k != "module.backbone.transformer.cls_tokens1"}
    with pytest.raises(InputError, match=r"lacks 1 of .*stages\.0\.token"):
        load_mit_encoder(encoder, MiTWeights(state))
    with pytest.raises(InputError, match=r"holds \d+ tensors this MiT has not"):
        load_mit_encoder(MiTEncoder(MiTConfig(size="tiny")), read_checkpoint(path))
    with pytest.raises(MissingWeightsError, match=r"other\.pth"):
        read_checkpoint(tmp_path / "other.pth")
    torch.save({"model": {}}, path)
    with pytest.raises(InputError, match="holds no 'student'"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"transformer.pos_embed3D1": torch.zeros(5)}, r"position\.3D' has shape \(5,\)"),
        ({"transformer.pos_embed3D1": torch.zeros(1, 4609, 40)}, r"has shape \(1, 4609, 40\)"),
        ({"transformer.pos_embed3D1": torch.zeros(1, 4000, 48)}, "has 4000 positions; 4609 were expected"),
        ({"transformer.block1.0.mlp.fc1.weight": torch.zeros(5, 48)}, r"has shape \(5, 48\)"),
        ({"transformer.block1.0.mlp.fc1.bias": torch.full((192,), torch.nan)}, "NaN or infinite"),
        ({"transformer.block1.0.mlp.fc1.bias": torch.zeros(192, dtype=torch.int8)}, "of kind torch.int8"),
        ({"transformer.block1.0.mlp.fc1.bias": [0.0]}, "of kind list"),
        ({"transformer.block1.1.mlp.fc1.bias": torch.zeros(192)}, "tensors this MiT has not"),
        ({"module.transformer.cls_tokens1": torch.zeros(1, 1, 48)}, "mean the same tensor"),
    ],
)
def test_damaged_checkpoints_are_refused(changed, message):
    encoder = MiTEncoder(CONFIGS["tiny"])
    before = encoder.stages[0].token.detach().clone()
    with pytest.raises(InputError, match=message):
        load_mit_encoder(encoder, MiTWeights(authors_state("tiny", "") | changed))
    assert torch.equal(encoder.stages[0].token, before)


def test_deeper_volumes_get_resized_positions():
    config = MiTConfig(size="tiny", norm="batch", activation="relu", volume_shape=(32, 96, 96), modes=("3D",))
    encoder = MiTEncoder(config)
    load_mit_encoder(encoder, MiTWeights(authors_state("tiny")))
    assert encoder.stages[0].position["3D"].shape == (1, 1 + 16 * 24 * 24, 48)
    own_token = authors_value("transformer.pos_embed3D1", (1, 1 + 8 * 24 * 24, 48))[:, 0]
    assert torch.equal(encoder.stages[0].position["3D"][:, 0], own_token)
    assert encoder.eval()(torch.zeros(1, 1, 32, 96, 96)).pyramid[-1].shape == (1, 512, 2, 3, 3)


def test_resized_positions_keep_a_ramp():
    planes = torch.arange(4.0)[:, None, None].expand(4, 6, 6)
    position = torch.cat([torch.full((1, 1, 1), 50.0), planes.reshape(1, -1, 1)], dim=1)
    grid = interpolate_position(position, (4, 6, 6), (8, 6, 6))
    assert grid[0, 0, 0] == 50.0
    profile = grid[0, 1:, 0].reshape(8, 6, 6)
    assert profile.std(dim=(1, 2)).max() < 1e-5
    np.testing.assert_allclose(profile[1:-1, 0, 0], np.arange(1, 7) / 2 - 0.25, atol=0.1)
    assert interpolate_position(position, (4, 6, 6), (4, 6, 6)) is position


def test_flat_positions_are_resized_as_the_authors_fine_tuning_code_resizes_them():
    position = torch.randn(1, 1 + 8 * 6 * 6, 5, generator=torch.manual_seed(0))
    count = 1 + 16 * 6 * 6
    theirs = ndimage.zoom(position[0].numpy(), (count / position.shape[1], 1), order=1)
    np.testing.assert_allclose(stretch_positions(position, count)[0], theirs, atol=1e-5)


def test_positions_of_a_deeper_volume_are_resized_flat_when_that_is_asked_for():
    config = MiTConfig(size="tiny", norm="batch", activation="relu", volume_shape=(32, 96, 96), modes=("3D",))
    grid, flat = MiTEncoder(config), MiTEncoder(config)
    weights = MiTWeights(authors_state("tiny"))
    load_mit_encoder(grid, weights)
    load_mit_encoder(flat, weights, positions="flat")
    name, shape = "transformer.pos_embed3D1", (1, 1 + 8 * 24 * 24, 48)
    expected = stretch_positions(authors_value(name, shape), 1 + 16 * 24 * 24)
    assert torch.equal(flat.stages[0].position["3D"], expected)
    assert not torch.allclose(flat.stages[0].position["3D"], grid.stages[0].position["3D"])
    assert torch.equal(flat.stages[0].blocks[0].fc1.weight, grid.stages[0].blocks[0].fc1.weight)


@pytest.mark.parametrize("mode", ["2D", "3D"])
def test_every_parameter_of_a_mode_gets_a_gradient(mode):
    network = build_mit(MiTConfig(size="tiny", picture_shape=(96, 96), modes=(mode,)))
    images = torch.randn((2, 3, 96, 96) if mode == "2D" else (2, 1, 16, 96, 96), generator=torch.manual_seed(0))
    network(images).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert any(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def count_parameters(network):
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_sizes_seeds_and_refusals():
    small, tiny = build_mit(), build_mit(MiTConfig(size="tiny"))
    assert count_parameters(small) == 43_942_944  # as the authors' model_small counts
    assert count_parameters(tiny) == 20_380_336
    again = build_mit(MiTConfig(size="tiny"))
    for ours, theirs in zip(tiny.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(InputError, match="takes pictures"):
        tiny(torch.zeros(1, 1, 96, 96))
    with pytest.raises(InputError, match="too small for spatial reduction"):
        tiny(torch.zeros(1, 1, 8, 96, 96))
    with pytest.raises(InputError, match="built for 3D"):
        MiTEncoder(MiTConfig(size="tiny", modes=("3D",)))(torch.zeros(1, 3, 96, 96))
    with pytest.raises(InputError, match="multiples"):
        MiTConfig(volume_shape=(20, 96, 96))
    with pytest.raises(InputError, match="more than one token"):
        MiTConfig(volume_shape=(16, 32, 32))
    with pytest.raises(InputError, match="'small' or 'tiny'"):
        MiTConfig(size="huge")


def test_attention_rows_are_distributions():
    encoder = MiTEncoder(MiTConfig(size="tiny", modes=("3D",)))
    tokens = torch.randn(1, 1 + 8 * 24 * 24, 48, generator=torch.manual_seed(1))
    weights = encoder.stages[0].blocks[0].attention.weights(tokens, (8, 24, 24))
    assert weights.shape == (1, 1, 1 + 8 * 24 * 24, 1 + 1 * 4 * 4)
    np.testing.assert_allclose(weights.sum(-1).detach(), 1, atol=1e-5)
