"""The multi-branch network: fusions, freezing, maps, and a toy problem that it must learn."""

import numpy as np
import pytest
import torch

from myoperf.errors import InputError
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.multi_branch import (
    MultiBranchConfig,
    attention_maps,
    build_multi_branch,
    grad_cam,
)
from myoperf.research.slice_transformer.training import (
    Augmentation,
    FitOptions,
    balanced_order,
    fit,
    predict,
    split_patients,
)

SMALL = MiTConfig(size="tiny", norm="batch", activation="relu", volume_shape=(16, 32, 32), modes=("3D",))


def config(**changes):
    return MultiBranchConfig(encoder=SMALL, **changes)


@pytest.fixture(scope="module")
def toy():
    """24 patients: a dark lower left quarter in the stress planes of SA means 1."""
    rng = np.random.default_rng(0)
    truth = np.arange(24) % 3 == 0
    stacks = 0.6 + 0.1 * rng.standard_normal((24, 3, 16, 32, 32))
    stacks[truth, 0, :8, 16:, :16] = 0.05
    return stacks.clip(0, 1).astype(np.float32), truth.astype(int)


@pytest.mark.parametrize("fusion", ["average", "concatenation", "learnable"])
@pytest.mark.parametrize("views", [("sa", "hla", "vla"), ("hla",)])
def test_shapes_gradients_and_seeds(fusion, views):
    network = build_multi_branch(config(fusion=fusion, views=views))
    stacks = torch.rand(3, len(views), 16, 32, 32, generator=torch.manual_seed(1))
    logits = network(stacks)
    assert logits.shape == (3, 2)
    logits[:, 1].sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert not [name for name in without if not name.startswith("branches")]
    assert not [name for name in without if ".stages.3.blocks" not in name]
    again = build_multi_branch(config(fusion=fusion, views=views))
    assert torch.equal(again.train()(stacks), build_multi_branch(config(fusion=fusion, views=views)).train()(stacks))


def test_average_fusion_is_the_formula():
    network = build_multi_branch(config()).eval()
    stacks = torch.rand(2, 3, 16, 32, 32, generator=torch.manual_seed(2))
    with torch.no_grad():
        pooled = network.pool(network.encode(stacks))
        f = [norm(pooled[:, i]) for i, norm in enumerate(network.norms.values())]
        expected = (f[0] + f[1] + f[2]) / 3 @ network.head.weight.T + network.head.bias
        np.testing.assert_allclose(network(stacks), expected, atol=1e-6)
        single = build_multi_branch(config(pooling="token")).eval()
        features = single.encode(stacks)
        assert torch.equal(single.pool(features)[:, 1], features["hla"].token)


@pytest.mark.slow
def test_learns_and_shows_where(toy):
    stacks, truth = toy
    stacks = stacks[:, :2]
    network = build_multi_branch(config(views=("sa", "hla")), seed=1)
    losses = fit(
        network, stacks, truth, options=FitOptions(epochs=5, batch=8, learning_rate=3e-4, augment=False), seed=0
    )
    assert losses[-1] < 0.5 * losses[0]
    fresh = np.random.default_rng(1).normal(0.6, 0.1, (6, 2, 16, 32, 32)).clip(0, 1).astype(np.float32)
    fresh[:3, 0, :8, 16:, :16] = 0.05
    p = predict(network, fresh)
    assert p[:3].min() > p[3:].max()
    batch = torch.from_numpy(fresh[:3])
    for maps in (attention_maps(network, batch), grad_cam(network, batch, stage=2)):
        assert maps.shape == batch.shape
        assert torch.isfinite(maps).all()
        assert maps.min() >= 0
        assert maps.max() <= 1
    with torch.no_grad():
        before = network(batch)[:, 1]
        mended = batch.clone()
        mended[:, 0, :8, 16:, :16] = 0.6
        elsewhere = batch.clone()
        elsewhere[:, 1, :8, 16:, :16] = 0.3
        drop, other = before - network(mended)[:, 1], before - network(elsewhere)[:, 1]
    assert (drop > 0).all()
    assert drop.mean() > 2 * other.abs().mean()


def test_frozen_encoders_stay(toy):
    stacks, truth = toy
    network = build_multi_branch(config())
    kept = {name: value.clone() for name, value in network.branches.state_dict().items()}
    head = network.head.weight.detach().clone()
    fit(network, stacks[:9], truth[:9], options=FitOptions(epochs=3, batch=4, learning_rate=1e-2, frozen=True), seed=0)
    for name, value in network.branches.state_dict().items():
        assert torch.equal(value, kept[name]), name
    assert not torch.equal(network.head.weight, head)
    network.train()
    assert not any(module.training for module in network.branches.modules())


def test_splits_and_balance():
    truth = np.array([0] * 5 + [1] * 15)
    train, test = split_patients(truth, share=0.2, rng=np.random.default_rng(0))
    assert set(train) | set(test) == set(range(20))
    assert not set(train) & set(test)
    assert truth[test].tolist().count(0) == 1
    assert truth[test].tolist().count(1) == 3
    order = balanced_order(truth, np.random.default_rng(0))
    assert (truth[order] == 0).sum() == (truth[order] == 1).sum() == 15
    assert set(order) == set(range(20))
    with pytest.raises(InputError, match="class 0 has 1"):
        split_patients([1, 1, 1, 0], share=0.5, rng=np.random.default_rng(0))


def test_augmentation_repeats_with_its_seed_and_keeps_stacks_alike(toy):
    first, second = Augmentation(3), Augmentation(3)
    stacks = torch.from_numpy(toy[0][0])
    seen = [first(stacks) for _ in range(4)]
    for picture in seen:
        assert picture.shape == stacks.shape
        np.testing.assert_array_equal(picture, second(stacks))
    assert any(not np.array_equal(seen[0], other) for other in seen[1:])


def test_a_stopped_training_resumes_to_the_same_weights(toy, tmp_path):
    stacks, truth = toy[0][:6], toy[1][:6]
    options = FitOptions(epochs=3, batch=4, learning_rate=1e-3, cosine=True)

    class StoppedError(Exception):
        pass

    def stop(epoch, loss):
        if epoch == 1:
            raise StoppedError

    whole = build_multi_branch(config(views=("sa",)))
    losses = fit(whole, stacks[:, :1], truth, options=options, seed=2)
    file = tmp_path / "state.pt"
    with pytest.raises(StoppedError):
        fit(
            build_multi_branch(config(views=("sa",))),
            stacks[:, :1],
            truth,
            options=options,
            seed=2,
            checkpoint=file,
            report=stop,
        )
    resumed, epochs = build_multi_branch(config(views=("sa",)), seed=9), []
    again = fit(
        resumed, stacks[:, :1], truth, options=options, seed=2, checkpoint=file, report=lambda e, _: epochs.append(e)
    )
    assert epochs == [2]
    assert again == pytest.approx(losses, rel=1e-6)
    for name, value in whole.state_dict().items():
        np.testing.assert_allclose(resumed.state_dict()[name], value, rtol=1e-5, atol=1e-7, err_msg=name)
    with pytest.raises(InputError, match="other settings"):
        fit(resumed, stacks[:, :1], truth, options=options, seed=3, checkpoint=file)


def test_refusals(toy):
    with pytest.raises(InputError, match="each once"):
        config(views=("sa", "sa"))
    with pytest.raises(InputError, match="Fusion is"):
        config(fusion="vote")
    with pytest.raises(InputError, match="Pooling is"):
        config(pooling="max")
    network = build_multi_branch(config())
    with pytest.raises(InputError, match="Expected stacks"):
        network(torch.zeros(1, 2, 16, 32, 32))
    with pytest.raises(InputError, match="stage from 1 to 4"):
        grad_cam(network, torch.zeros(1, 3, 16, 32, 32), stage=5)
    with pytest.raises(InputError, match="both present"):
        fit(network, toy[0][:3], [1, 1, 1], options=FitOptions())
