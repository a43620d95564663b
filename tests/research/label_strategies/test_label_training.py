import numpy as np
import pytest
import torch
from torch import nn

from myoperf.errors import InputError
from myoperf.research.label_strategies.otaki_cnn import OtakiCNN
from myoperf.research.label_strategies.polar_fusion import INPUTS, PolarFusion
from myoperf.research.label_strategies.roles import LabelledRows
from myoperf.research.label_strategies.training import (
    ImageNetInput,
    Inputs,
    Schedule,
    fit_polar,
    frozen_features,
    lower_on_plateau,
    predict_polar,
    rotate_pictures,
    saliency,
    scale_clinical,
)


def _cohort(n, side=16, seed=0):
    """Pictures whose three vertical thirds are dark in disease of the first, second and third vessel."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n, 3), generator=generator)
    pictures = 0.7 + 0.05 * torch.randn(n, 2, side, side, generator=generator)
    third = side // 3
    for vessel in range(3):
        pictures[:, 0, :, vessel * third : (vessel + 1) * third] *= 1.0 - 0.8 * labels[:, vessel, None, None]
    return Inputs(pictures[None], torch.zeros(n, 4)), labels.numpy()


def _parts(labels, train):
    rows = np.arange(len(labels))
    return LabelledRows(rows[:train], labels[:train]), LabelledRows(rows[train:], labels[train:])


def test_a_quarter_turn_is_a_quarter_turn():
    picture = torch.zeros(1, 1, 9, 9)
    picture[0, 0, 0, 4] = 1.0  # top
    assert torch.allclose(rotate_pictures(picture, torch.tensor([90.0])), torch.rot90(picture, 1, (2, 3)), atol=1e-5)
    assert torch.allclose(rotate_pictures(picture, torch.tensor([0.0])), picture, atol=1e-6)


def test_the_rate_falls_to_a_tenth_after_ten_epochs_without_better_accuracy_and_training_stops_at_the_lowest():
    # All vessels are diseased and the network says so from the start: the accuracy never changes.
    data, _ = _cohort(4)
    rows = LabelledRows(np.arange(4), np.ones((4, 3)))
    net = PolarFusion(OtakiCNN(1), 128, "stress")
    torch.nn.init.constant_(net.last.bias, 50.0)
    went = fit_polar(net, data, rows, rows, Schedule(batch=4), augmented=False, seed=0)
    assert went.stopped == "rate"
    assert len(went.accuracy) == 1 + 5 * 10  # the first epoch is the best; ten at each of 1e-3 ... 1e-7
    optimiser = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1e-3)
    for stalled, rates in ((True, ["1e-03", "1e-04", "1e-05", "1e-06", "1e-07", "1e-08"]), (False, ["1e-08"])):
        scheduler, met = lower_on_plateau(optimiser, Schedule()), []
        for epoch in range(51):
            met.append(scheduler.optimizer.param_groups[0]["lr"])
            optimiser.step()
            scheduler.step(0.5 if stalled else 0.01 * epoch)
        met.append(scheduler.get_last_lr()[0])
        assert list(dict.fromkeys(f"{rate:.0e}" for rate in met)) == rates


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.slow
def test_it_learns_which_vessel_and_keeps_the_best_epoch(augmented):
    data, labels = _cohort(120)
    train, held = _parts(labels, 90)
    net = PolarFusion(OtakiCNN(1), 128, "stress")
    went = fit_polar(net, data, train, held, Schedule(epochs=12, batch=8), augmented=augmented, seed=1)
    seen = predict_polar(net, data, held.rows)
    accuracy = ((seen > 0.5) == held.labels).mean()
    assert accuracy == pytest.approx(max(went.accuracy)) == went.accuracy[went.chosen_epoch]
    assert accuracy > 0.9
    assert len(went.accuracy) <= 12


def test_the_same_seed_gives_the_same_network():
    data, labels = _cohort(24)
    train, held = _parts(labels, 16)
    seen = []
    for seed in (3, 3, 4):
        torch.manual_seed(0)
        net = PolarFusion(OtakiCNN(1), 128, "late")
        fit_polar(net, data, train, held, Schedule(epochs=2, batch=4), augmented=True, seed=seed)
        seen.append(predict_polar(net, data, held.rows))
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


def test_training_starts_from_the_weights_of_the_network():
    data, labels = _cohort(24)
    train, held = _parts(labels, 16)
    net = PolarFusion(OtakiCNN(1), 128, "stress")
    start = {k: v.clone() for k, v in net.state_dict().items()}
    fit_polar(net, data, train, held, Schedule(epochs=1, batch=8, rate=1e-12), augmented=False, seed=0)
    assert all(torch.allclose(start[k], v, atol=1e-6) for k, v in net.state_dict().items() if "weight" in k)


class _Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 5, 3, stride=2)

    def forward(self, images):
        return torch.relu(self.body(images))


@pytest.mark.parametrize("fusion", [f for f in INPUTS if f != "early"])
def test_features_computed_once_give_what_the_whole_network_gives(fusion):
    backbone = _Tiny().eval()
    net = PolarFusion(backbone, 5, fusion, channels=3).eval()
    data, _ = _cohort(6)
    frozen = PolarFusion(ImageNetInput(backbone, size=16, input_range=(0.0, 1.0)), 5, fusion)
    features = frozen_features(frozen, data.versions[0], degrees=(0.0, 10.0))
    with torch.no_grad():
        whole = net(data.versions[0], data.clinical)
        kept = net.classify(features[0], data.clinical)
    assert torch.allclose(whole, kept, atol=1e-5)
    assert not torch.allclose(features[0], features[1])


def test_early_fusion_of_a_three_channel_backbone_sees_both_states():
    backbone = _Tiny().eval()
    data, _ = _cohort(4)
    changed = data.versions[0].clone()
    changed[:, 1] = 0.0
    net = PolarFusion(ImageNetInput(backbone, size=16, input_range=(-1.0, 1.0)), 5, "early")
    first, second = (frozen_features(net, p) for p in (data.versions[0], changed))
    assert first.shape == (1, 4, 5)
    assert not torch.allclose(first, second)


def test_clinical_values_are_scaled_by_the_training_patients():
    values = np.array([[0.0, 10.0], [2.0, 30.0], [100.0, 1000.0]])
    scaled = scale_clinical(values, np.array([0, 1]))
    assert torch.allclose(scaled[:2], torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))


def test_rows_must_agree():
    with pytest.raises(InputError, match="Expected inputs"):
        Inputs(torch.zeros(1, 3, 2, 8, 8), torch.zeros(4, 4))


def test_saliency_is_where_the_artery_is_read():
    data, labels = _cohort(120)
    train, held = _parts(labels, 90)
    net = PolarFusion(OtakiCNN(1), 128, "stress")
    fit_polar(net, data, train, held, Schedule(epochs=12, batch=8), augmented=False, seed=1)
    maps = saliency(net, data, np.arange(90, 120)).mean(axis=0)  # (3, side, side)
    thirds = maps.reshape(3, 16, 16)[:, :, :15].reshape(3, 16, 3, 5).mean(axis=(1, 3))
    assert thirds.argmax(axis=1).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="Saliency needs pictures"):
        saliency(net, Inputs(torch.zeros(1, 2, 8), torch.zeros(2, 4)), np.arange(2))
