from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from myoperf.research.backbones.keras_backbones import build_backbone
from myoperf.research.slice_transformer import baselines
from myoperf.research.slice_transformer.baselines import NORM_MOMENTUM, keras_baselines, quicken_norms


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


def test_running_means_follow_quickly_when_training_from_random_numbers():
    backbone = build_backbone("MobileNetV2", weights=None, input_size=80)
    quicken_norms(backbone)
    norms = [layer for layer in backbone.model.layers if type(layer).__name__ == "BatchNormalization"]
    assert norms
    assert {layer.momentum for layer in norms} == {NORM_MOMENTUM}
