from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from myoperf.errors import InputError
from myoperf.research.backbones.keras_backbones import build_backbone
from myoperf.research.slice_transformer import baselines
from myoperf.research.slice_transformer.baselines import (
    BASELINES,
    IMAGENET_MODES,
    NORM_MOMENTUM,
    BaselineStart,
    keras_baselines,
    quicken_norms,
    to_keras_range,
)


class SmallBackbone(nn.Module):
    """Stands in for a network of photographs where only the training is tested."""

    features, model = 4, SimpleNamespace(layers=[])

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, self.features, 3, stride=4)

    def forward(self, pictures):
        return torch.relu(self.body(pictures))

    def trainable_parameters(self):
        return self.body.parameters()


def test_training_learns_the_labels_whichever_way_round_they_are(monkeypatch):
    """With a step left out, the loss of another label or the other class's probability, one of the two ways fails."""
    monkeypatch.setattr(baselines, "build_backbone", lambda *name, **options: SmallBackbone())
    monkeypatch.setattr(baselines, "LEARNING_RATE", 1e-2)
    truth = np.tile([0, 1], 8)
    noise = 0.1 * np.random.default_rng(0).standard_normal((16, 3, 80, 80))
    pictures = (np.where(truth, 0.3, 0.7)[:, None, None, None] + noise).astype(np.float32)
    train, test = slice(0, 8), slice(8, None)
    for labels in (truth, 1 - truth):
        learn = keras_baselines(epochs=40, batch=4, side=80)["VGG16"]
        probability = learn(pictures[train], labels[train], pictures[test], 0)
        assert ((probability > 0.5) == labels[test]).all()


def test_networks_start_from_the_weights_that_were_given(monkeypatch, tmp_path):
    asked = []

    def build(name, **options):
        asked.append(options["weights"])
        return SmallBackbone()

    monkeypatch.setattr(baselines, "build_backbone", build)
    pictures, truth = np.zeros((4, 3, 80, 80), np.float32), np.array([0, 1, 0, 1])
    for word in ("none", "imagenet", str(tmp_path)):
        start = BaselineStart.of(word)
        keras_baselines(epochs=1, batch=4, side=80, start=start)["VGG16"](pictures, truth, pictures, 0)
    assert asked == [None, "imagenet", tmp_path / "VGG16.h5"]
    with pytest.raises(InputError, match="none, imagenet or a folder"):
        BaselineStart.of(str(tmp_path / "gone"))
    before = BaselineStart.of(str(tmp_path)).fingerprint()
    (tmp_path / "VGG16.h5").write_bytes(b"weights")
    assert BaselineStart.of(str(tmp_path)).fingerprint() != before


def test_pictures_reach_imagenet_weights_as_their_photographs_did():
    """Keras' three ways, written out: BGR less the mean, by mean and SD, or -1 to 1."""
    colour = torch.tensor([0.2, 0.5, 0.9])
    pictures = colour[None, :, None, None].expand(2, 3, 4, 4)
    expected = {
        None: 2 * colour - 1,
        "tf": 2 * colour - 1,
        "torch": (colour - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225]),
        "caffe": 255 * colour.flip(0) - torch.tensor([103.939, 116.779, 123.68]),
    }
    for mode, values in expected.items():
        made = to_keras_range(pictures, mode)
        assert torch.allclose(made, values[None, :, None, None].expand(2, 3, 4, 4), atol=1e-4)
    assert torch.equal(pictures[0, :, 0, 0], colour)
    assert set(IMAGENET_MODES) == set(BASELINES)


def test_running_means_follow_quickly_when_training_from_random_numbers():
    backbone = build_backbone("MobileNetV2", weights=None, input_size=80)
    quicken_norms(backbone)
    norms = [layer for layer in backbone.model.layers if type(layer).__name__ == "BatchNormalization"]
    assert norms
    assert {layer.momentum for layer in norms} == {NORM_MOMENTUM}
