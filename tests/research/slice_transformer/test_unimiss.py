"""UniMiSS: its losses, schedules and running mean against their formulas; a small training that learns."""

import math

import numpy as np
import pytest
import torch

from myoperf.errors import InputError
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.unimiss.images import ImageSet
from myoperf.research.slice_transformer.unimiss.losses import CrossEntropy, ProjectionHead, loss_2d, loss_3d
from myoperf.research.slice_transformer.unimiss.options import UniMissOptions
from myoperf.research.slice_transformer.unimiss.pretraining import (
    Learner,
    choose_batch,
    cosine_schedule,
    effective_rank,
    pretrain,
    update_teacher,
)
from myoperf.research.slice_transformer.unimiss.views import (
    ViewOptions,
    draw_about_one,
    picture_views,
    volume_views,
)

TINY = MiTConfig(size="tiny", norm="batch", activation="relu", picture_shape=(32, 32), volume_shape=(16, 32, 32))


def options(**changes):
    return UniMissOptions(
        **{"epochs": 2, "interval": 1, "batch": 2, "warmup_epochs": 0, "outputs": 64, "hidden": 32, "bottleneck": 16}
        | changes
    )


def image_set(volumes):
    """Volumes, and the middle plane of each as pictures, all of one group."""
    groups = (0,) * len(volumes)
    return ImageSet(
        volumes=tuple(volumes),
        pictures=tuple(volume[8] for volume in volumes),
        volume_groups=groups,
        picture_groups=groups,
    )


def test_cross_entropy_is_formula_3():
    rng = torch.manual_seed(0)
    student, teacher, centre = (torch.randn(4, 64, generator=rng), torch.randn(4, 64, generator=rng), torch.randn(64))
    entropy = CrossEntropy(centre, options())
    p = torch.softmax((teacher - centre) / 0.04, dim=1)
    expected = -(p * torch.log(torch.softmax(student / 0.1, dim=1))).sum(dim=1).mean()
    np.testing.assert_allclose(entropy(student, teacher), expected, rtol=1e-5)
    entropy.update(teacher)
    np.testing.assert_allclose(entropy.centre, 0.9 * centre + 0.1 * teacher.mean(dim=0), rtol=1e-5)


def test_losses_hold_every_cross_term_and_no_other():
    names = {}

    def note(student, teacher):
        pair = (float(student), float(teacher))
        names[pair] = names.get(pair, 0) + 1
        return torch.tensor(1.0)

    t = torch.tensor
    assert float(loss_2d(note, (t(1.0), t(2.0)), (t(1.0), t(2.0)))) == 1.0
    assert set(names) == {(1.0, 2.0), (2.0, 1.0)}
    names.clear()
    volume, slices = (t(1.0), t(2.0)), (t(1.5), t(2.5))  # views 1 and 2; slices of views 1 and 2
    assert float(loss_3d(note, volume, volume, slices, slices)) == 4.0
    first, second = (1.0, 1.5), (2.0, 2.5)
    assert names == {(a, b): 1 for a in first for b in second} | {(b, a): 1 for a in first for b in second}


def test_a_step_of_volumes_moves_the_centre_after_each_of_its_four_means():
    """The authors' order, written out: each mean after the first is centred by the teacher's outputs before it."""
    rng = torch.Generator().manual_seed(1)
    s, t, ss, ts = (torch.randn(8, 16, generator=rng) for _ in range(4))  # two views of four volumes
    t, ts = (0.05 * teacher + torch.linspace(-1, 1, 16) for teacher in (t, ts))  # with something common to centre away
    centre, expected = torch.zeros(16), 0.0
    for student, teacher in ((s, t), (ss, t), (ss, ts), (s, ts)):
        target = torch.softmax((teacher - centre) / 0.04, dim=1)
        log = torch.log_softmax(student / 0.1, dim=1)
        crossed = torch.cat([log[4:], log[:4]])
        expected += float(-(target * crossed).sum(dim=1).mean())
        centre = 0.9 * centre + 0.1 * teacher.mean(dim=0)
    entropy = CrossEntropy(torch.zeros(16), options())
    parts = [(part[:4], part[4:]) for part in (s, t, ss, ts)]
    together = float(loss_3d(entropy, *parts))
    loss = loss_3d(entropy, *parts, after=lambda pair: entropy.update(*pair))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(entropy.centre, centre, atol=1e-6)
    assert abs(together - expected) > 0.01  # with one centre for the whole step it is another loss


def test_schedules():
    rate = cosine_schedule(2.0, 0.5, 100, warmup=20)
    assert len(rate) == 100
    assert rate[0] == 0
    assert rate[19] == rate[20] == 2.0
    assert (np.diff(rate[20:]) < 0).all()
    assert rate[-1] == pytest.approx(0.5, abs=1e-2)
    momentum = cosine_schedule(0.996, 1.0, 50)
    assert momentum[0] == 0.996
    assert 0.9999 < momentum[-1] <= 1


def test_teacher_is_the_students_running_mean():
    teacher, student = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    before, new = teacher.weight.detach().clone(), student.weight.detach().clone()
    update_teacher(teacher, student, 0.75)
    np.testing.assert_allclose(teacher.weight.detach(), 0.75 * before + 0.25 * new, rtol=1e-6)
    assert torch.equal(student.weight, new)


def test_rank_tells_collapse():
    rng = torch.manual_seed(0)
    wide = torch.randn(200, 8, generator=rng)
    assert 7.5 < effective_rank(wide) <= 8.0
    line = torch.randn(200, 1, generator=rng) @ torch.randn(1, 8, generator=rng)
    assert effective_rank(line + 3.0) == pytest.approx(1.0, abs=1e-3)


def test_head_gives_cosines():
    head = ProjectionHead(8, options())
    out = head(torch.randn(5, 8, generator=torch.manual_seed(0)))
    assert out.shape == (5, 64)
    assert out.abs().max() <= 1 + 1e-5


def test_teacher_temperature_goes_from_first_to_last():
    entropy = CrossEntropy(
        torch.zeros(4), options(first_teacher_temperature=0.02, temperature_epochs=2, teacher_temperature=0.04)
    )
    seen = []
    for epoch in (0, 1, 2, 3):
        entropy.set_epoch(epoch)
        seen.append(entropy.temperature)
    assert seen == pytest.approx([0.02, 0.03, 0.04, 0.04])
    assert CrossEntropy(torch.zeros(4), options()).temperature == 0.04


def test_norm_in_the_head_tells_nearly_equal_features_apart():
    features = 1.0 + 1e-3 * torch.randn(16, 8, generator=torch.manual_seed(0))
    plain, normed = (ProjectionHead(8, options(head_norm=norm)).train()(features) for norm in (False, True))
    assert normed.std(dim=0).mean() > 20 * plain.std(dim=0).mean()


def test_views_differ_and_repeat_with_the_seed():
    y, x = np.mgrid[:40, :40] / 40
    picture, volume = (x * y), np.stack([x * y * k / 16 for k in range(16)])
    for view in (
        lambda rng: picture_views(picture, 32, rng)[1],
        lambda rng: volume_views(volume, (16, 32, 32), rng)[0],
    ):
        rng = np.random.default_rng(3)
        first, second = view(rng), view(rng)
        np.testing.assert_array_equal(first, view(np.random.default_rng(3)))
        assert not np.array_equal(first, second)
        assert np.isfinite(first).all()
        assert first.shape in ((3, 32, 32), (1, 16, 32, 32))


def test_weaker_views_never_mirror():
    _, x = np.mgrid[:32, :32] / 32
    ramp = 0.2 + 0.6 * x
    volume = np.stack([(0.1 + 0.05 * k) * ramp for k in range(16)])
    weak = ViewOptions(
        picture_area=0.8, picture_mirror=0.0, volume_mirror=0.0, blur_px=0.5, noise=0.02, planewise=False
    )
    rng = np.random.default_rng(0)
    for _ in range(20):
        picture = picture_views(ramp, 32, rng, options=weak)[0][0]
        assert np.corrcoef(picture.ravel(), ramp.ravel())[0, 1] > 0.95
        view = volume_views(volume, (16, 32, 32), rng, options=weak)[0][0]
        assert np.corrcoef(view.ravel(), volume.ravel())[0, 1] > 0.8
    mirrored = [volume_views(volume, (16, 32, 32), rng)[0][0] for _ in range(20)]
    assert min(np.corrcoef(view.ravel(), volume.ravel())[0, 1] for view in mirrored) < 0


def test_the_authors_views_change_each_plane_on_its_own():
    """Their transforms take planes for channels; a volume of equal planes shows which of both happened."""
    volume = np.repeat(np.linspace(0.2, 0.8, 32 * 32).reshape(1, 32, 32), 16, axis=0)
    rng = np.random.default_rng(5)
    for planewise in (True, False):
        quiet = ViewOptions(volume_mirror=0.0, noise=0.0, planewise=planewise)
        for view in volume_views(volume, (16, 32, 32), rng, options=quiet):
            apart = np.ptp(view[0].mean(axis=(1, 2)))
            assert (apart > 0.1) == planewise
            assert planewise or apart < 1e-5


def test_the_brightness_of_a_picture_without_contrast_stays_within_its_range():
    rng = np.random.default_rng(0)
    levels = np.array([view.mean() for _ in range(60) for view in picture_views(np.full((40, 40), 0.5), 32, rng)])
    assert 0.3 <= levels.min() < 0.36
    assert 0.64 < levels.max() <= 0.7


def test_the_student_has_no_stochastic_depth():
    """The authors' code asks for .1, but its constructors do not pass it on: nothing is dropped in their student."""
    learner = Learner(TINY, options(), seed=0).train()
    images = torch.rand(2, 1, 16, 32, 32, generator=torch.manual_seed(0))
    assert torch.equal(learner(images), learner(images))


def test_half_of_the_factors_are_below_one():
    rng = np.random.default_rng(0)
    drawn = np.array([draw_about_one(rng, 0.7, 1.5) for _ in range(600)])
    assert 0.7 <= drawn.min() < drawn.max() <= 1.5
    assert 0.44 < (drawn < 1).mean() < 0.56  # uniform over the whole range it is 0.375


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_numbers(tmp_path):
    rng = np.random.default_rng(0)
    images = image_set([rng.random((16, 32, 32), dtype=np.float32) for _ in range(2)])
    chosen = options(epochs=3, head_norm=True, epoch_steps=1, learning_rate=0.05)

    class StoppedError(Exception):
        pass

    def stop(step):
        if step.epoch == 1:
            raise StoppedError

    whole = pretrain(images, config=TINY, options=chosen, seed=1)
    file = tmp_path / "state.pt"
    with pytest.raises(StoppedError):
        pretrain(images, config=TINY, options=chosen, seed=1, checkpoint=file, report=stop)
    seen = []
    rest = pretrain(images, config=TINY, options=chosen, seed=1, checkpoint=file, report=seen.append)
    assert [step.epoch for step in seen] == [1, 2]
    assert [step.loss for step in rest.steps] == pytest.approx([step.loss for step in whole.steps], rel=1e-5)
    assert rest.ranks == pytest.approx(whole.ranks, rel=1e-4)
    with pytest.raises(InputError, match="with seed 1, not 2"):
        pretrain(images, config=TINY, options=chosen, seed=2, checkpoint=file)
    with pytest.raises(InputError, match="other settings"):
        pretrain(images, config=TINY, options=options(epochs=4), seed=1, checkpoint=file)


def test_a_batch_is_of_one_group_unless_that_is_too_small():
    rng, groups = np.random.default_rng(0), np.array([0] * 8 + [1] * 8 + [2])
    drawn = [choose_batch(groups, 4, rng) for _ in range(60)]
    assert all(len(set(batch)) == 4 for batch in drawn)
    alike = [len(set(groups[batch])) == 1 for batch in drawn]
    assert 0.8 < np.mean(alike) < 1.0  # the lonely one brings others with it
    assert {groups[batch[0]] for batch, one in zip(drawn, alike, strict=True) if one} == {0, 1}


def test_refusals():
    with pytest.raises(InputError, match="needs at least a batch"):
        pretrain(image_set([]), config=TINY, options=options())
    with pytest.raises(InputError, match="warm-up that ends"):
        options(warmup_epochs=2)


@pytest.mark.slow
def test_learns_without_collapse(monkeypatch):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :40] / 20 - 1
    volumes = []
    for _ in range(8):  # rings of several sizes, places and gaps
        radius, dy, dx, gap = rng.uniform(0.25, 0.7), *rng.uniform(-0.2, 0.2, 2), rng.uniform(-np.pi, np.pi)
        ring = np.exp(-(((np.hypot(y - dy, x - dx) - radius) / 0.12) ** 2)) * (np.cos(np.arctan2(y, x) - gap) < 0.6)
        volumes.append(np.stack([ring * np.sin((k + 1) / 17 * np.pi) for k in range(16)]).astype(np.float32))
    images = image_set(volumes)
    # The authors' views are for far more images and steps.
    quiet = ViewOptions(
        picture_area=0.8, picture_mirror=0.0, volume_mirror=0.0, blur_px=0.5, noise=0.0, shift=0.0, planewise=False
    )
    chosen = options(
        epochs=8,
        interval=2,
        batch=4,
        learning_rate=0.02,
        warmup_epochs=2,
        momentum=0.98,
        teacher_temperature=0.02,
        views=quiet,
    )
    result = pretrain(images, config=TINY, options=chosen, seed=0)
    # A student that does not learn meets the same views; the moving centre alone raises its loss over the steps.
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: None)
    still = pretrain(images, config=TINY, options=chosen, seed=0)
    for kind in ("2D", "3D"):
        learned, unlearned = ([step.loss for step in run.steps if step.kind == kind] for run in (result, still))
        assert len(learned) == 8
        assert np.mean(learned[-4:]) < 0.95 * np.mean(unlearned[-4:])
    last = result.steps[-4:]
    assert np.mean([step.spread - step.entropy for step in last]) > 0.01  # images still get answers of their own
    assert np.mean([step.entropy for step in last]) < 0.95  # and the answers say something
    assert min(result.ranks) > 2
    assert all(math.isfinite(rank) for rank in result.ranks)
