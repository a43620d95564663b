from myoperf.research.backbones.keras_backbones import build_backbone
from myoperf.research.slice_transformer.baselines import NORM_MOMENTUM, quicken_norms


def test_running_means_follow_quickly_when_training_from_random_numbers():
    backbone = build_backbone("MobileNetV2", weights=None, input_size=80)
    quicken_norms(backbone)
    norms = [layer for layer in backbone.model.layers if type(layer).__name__ == "BatchNormalization"]
    assert norms
    assert {layer.momentum for layer in norms} == {NORM_MOMENTUM}
