import pytest
import torch

from myoperf.errors import InputError, MissingWeightsError
from myoperf.research.backbones import efficientnet_lite0
from myoperf.research.backbones.efficientnet_lite0 import EfficientNetLite0, lite0_weights_file


def _installed() -> bool:
    try:
        lite0_weights_file()
    except MissingWeightsError:
        return False
    return True


pretrained = pytest.mark.skipif(not _installed(), reason="the extra 'pretrained' is not installed")


def test_shapes_and_gradients():
    net = EfficientNetLite0()
    assert sum(p.numel() for p in net.parameters()) == 4_652_008  # as published: 4.7 million
    maps = net(torch.zeros(2, 3, 96, 96))
    assert maps.shape == (2, 1280, 3, 3)
    net.classify_imagenet(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_frozen_layers_stay_as_they_are():
    net = EfficientNetLite0()
    net.open_top()
    opened = sum(p.numel() for p in net.trainable_parameters())
    assert opened < (sum(p.numel() for p in net.parameters()) - net._fc.weight.numel() - 1000) / 3
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.train()
    optimiser = torch.optim.SGD(net.trainable_parameters(), lr=0.1)
    net(torch.randn(2, 3, 64, 64)).square().mean().backward()
    optimiser.step()
    moved = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert moved
    assert all(k.startswith(("_blocks.15.", "_conv_head", "_bn1")) for k in moved)
    with pytest.raises(InputError, match="between 0 and 1"):
        net.freeze_first(19)


def test_halves_make_the_whole():
    net = EfficientNetLite0().eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert net.halves() is None
        net.open_top()
        trunk, top = net.halves()
        assert torch.equal(top(trunk(images)), net(images))


@pretrained
def test_the_packages_weights_know_a_palace_and_a_flower():
    datasets = pytest.importorskip("sklearn.datasets")
    net = EfficientNetLite0("imagenet").eval()
    seen = {}
    for name in ("china.jpg", "flower.jpg"):
        picture = torch.from_numpy(datasets.load_sample_image(name).copy()).permute(2, 0, 1)[None].float()
        side = min(picture.shape[2:])
        top, left = (picture.shape[2] - side) // 2, (picture.shape[3] - side) // 2
        square = picture[..., top : top + side, left : left + side]
        small = torch.nn.functional.interpolate(square, size=224, mode="bilinear", antialias=True)
        with torch.no_grad():
            seen[name] = set(net.classify_imagenet((small - 127.0) / 128.0)[0].topk(5).indices.tolist())
    assert 698 in seen["china.jpg"]  # palace
    assert seen["flower.jpg"] & {308, 309, 310, 738, 985}  # fly, bee, ant, pot, daisy: a dahlia is no class


def test_missing_or_other_weights_are_refused(tmp_path, monkeypatch):
    with pytest.raises(MissingWeightsError, match="does not exist"):
        EfficientNetLite0(tmp_path / "none.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="does not have the parameters"):
        EfficientNetLite0(tmp_path / "other.pth")
    monkeypatch.setattr(efficientnet_lite0, "_PACKAGE", "no_such_package_here")
    with pytest.raises(MissingWeightsError, match="pretrained"):
        EfficientNetLite0("imagenet")
