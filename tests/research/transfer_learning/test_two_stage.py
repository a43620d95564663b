import json

import numpy as np
import pytest
import torch

from myoperf.errors import InputError
from myoperf.research.backbones.keras_backbones import TABLE_2, build_backbone
from myoperf.research.training.options import RunOptions
from myoperf.research.transfer_learning import study
from myoperf.research.transfer_learning import training as two_stage
from myoperf.research.transfer_learning.data import simulate_discs, split
from myoperf.research.transfer_learning.head_tuning import tune_head
from myoperf.research.transfer_learning.networks import make_backbone
from myoperf.research.transfer_learning.recipes import Run, plan_runs
from myoperf.research.transfer_learning.study import list_backbones, run
from myoperf.research.transfer_learning.tables import TABLE_3, TABLE_4, TABLE_COUNTS, macro_of_counts
from myoperf.research.transfer_learning.training import (
    Classifier,
    Examples,
    Phase,
    Schedule,
    Trainee,
    backbone_features,
    fine_tune,
    fit_strategy,
    make_head,
    train_epochs,
    warm_up,
)


@pytest.fixture(scope="module")
def discs():
    images, labels = simulate_discs(8, 8, 48, 3)
    grey = torch.from_numpy(images)[:, None].repeat(1, 3, 1, 1)
    return Examples((grey,), torch.from_numpy(labels))


@pytest.fixture(scope="module")
def backbone():
    return build_backbone("MobileNetV2", input_size=48)


def test_the_list_names_the_papers_table():
    rows = list_backbones()
    assert [r["name"] for r in rows] == list(TABLE_2)
    assert all(r["matches_paper"] for r in rows)
    assert json.loads(json.dumps(rows)) == rows


def test_discs_have_the_wanted_classes_and_are_reproducible():
    images, labels = simulate_discs(3, 5, 32, 1)
    again, _ = simulate_discs(3, 5, 32, 1)
    assert labels.sum() == 3
    assert len(labels) == 8
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.array_equal(images, again)


def test_a_patient_is_in_one_part_only():
    labels = np.repeat([0, 1], (106, 112))
    parts = split(labels, 0)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(218))
    assert len(parts["test"]) == 45  # a fifth of each class, rounded up
    assert 0.4 < labels[parts["validation"]].mean() < 0.6


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.slow
def test_features_once_give_the_same_head_as_features_every_epoch(discs, backbone, graph):
    schedule = Schedule(warm_epochs=4, batch=4, dropout=0.3)
    features = Examples((backbone_features(backbone, discs.inputs[0], graph=graph),), discs.labels)
    once = warm_up(features, features, schedule, seed=1)

    head = make_head(backbone.features, schedule, 1)

    def recompute(images):
        with torch.no_grad():
            maps = backbone.eval()(images).mean(dim=(2, 3))
        return head(maps)

    trainee = Trainee(recompute, [head], list(head.parameters()))
    kept = train_epochs(trainee, discs, discs, Phase(epochs=4, rate=1e-3, batch=4, seed=1))
    assert kept.epoch == once.chosen_epoch
    for a, b in zip(once.head.parameters(), head.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_most_accurate_epoch_is_kept():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 8, generator=generator)
    labels = (features[:, 0] > 0).long()
    train, held = (Examples((features[rows],), labels[rows]) for rows in (slice(200), slice(200, None)))
    fitted = warm_up(train, held, Schedule(warm_epochs=30, rate_exponent=2, units=16), seed=0)
    seen = (fitted.head(features[200:]).argmax(dim=1) == labels[200:]).float().mean()
    assert float(seen) == max(fitted.accuracy) == fitted.accuracy[fitted.chosen_epoch]
    assert max(fitted.accuracy) > 0.8


def test_stage_2_moves_the_top_only(discs):
    backbone = build_backbone("MobileNetV2", input_size=48)
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    fit_strategy(5, backbone, discs, discs, Schedule(fine_epochs=2, rate_exponent=1, batch=8), seed=0)
    moved = {k for k, v in backbone.state_dict().items() if not torch.equal(v, before[k])}
    trained = {id(p) for p in backbone.trainable_parameters()}
    names = {k for k, p in backbone.named_parameters() if id(p) in trained}
    assert names
    assert moved & names
    # besides, only the running statistics of the opened batch norm move
    assert len(moved - names) <= 2


def test_the_activation_map_shows_what_the_head_looks_at(discs, backbone):
    network = Classifier(backbone, make_head(backbone.features, Schedule(), 0))
    shown = two_stage.activation_map(network, discs.inputs[0][0])
    assert shown.shape == (48, 48)
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1


def test_hyperband_finds_a_head_that_works():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(80, 8, generator=generator)
    labels = (features[:, 0] > 0).long()
    train, held = (Examples((features[rows],), labels[rows]) for rows in (slice(60), slice(60, None)))
    found = tune_head(train, held, Schedule(warm_epochs=36), trials=8, seed=0)
    assert found.units in (32, 64, 128, 256, 512)
    assert found.rate_exponent in (3, 4)
    assert found.accuracy > 0.7
    tuned = found.schedule(Schedule(warm_epochs=9))
    assert (tuned.units, tuned.dropout, tuned.rate_exponent) == (found.units, found.dropout, found.rate_exponent)


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetLite0"])
def test_a_kept_trunk_gives_the_same_fine_tuning(name, discs):
    backbone = make_backbone(name, None, 48, 0)
    start = {k: v.clone() for k, v in backbone.state_dict().items()}
    ends = []
    for keep in (True, False):
        backbone.load_state_dict(start)
        head = make_head(backbone.features, Schedule(), 0)
        schedule = Schedule(fine_epochs=2, rate_exponent=1, batch=8)
        fine_tune(Classifier(backbone, head), discs, discs, schedule, seed=0, keep=keep)
        ends.append([v.clone() for v in [*head.parameters(), *backbone.state_dict().values()]])
    assert backbone.halves() is not None
    assert all(torch.allclose(a.float(), b.float(), atol=1e-5) for a, b in zip(*ends, strict=True))


def test_imaged_discs_show_disease():
    images, labels = simulate_discs(2, 2, 32, 1, imaged=True)
    again, _ = simulate_discs(2, 1, 32, 1, imaged=True)
    assert labels.sum() == 2
    assert 0.9 < images.max() <= 1.0
    assert np.array_equal(images[0], again[0])


QUIET = RunOptions(quiet=True)


@pytest.mark.slow
def test_smoke_run_writes_its_tables_and_goes_on(tmp_path, monkeypatch):
    rows = run("smoke", tmp_path, 0, options=QUIET)
    assert [(r["part"], r["strategy"]) for r in rows] == [("test", 4), ("test", 6), ("fresh", 4), ("fresh", 6)]
    assert all(0 <= r["auc_lo"] <= r["auc"] <= r["auc_hi"] <= 1 for r in rows)
    assert "Simulated" in (tmp_path / "two_stage.md").read_text()
    assert (tmp_path / "two_stage_cam.png").stat().st_size > 3000
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["choose_on"], manifest["data"]) == ("validation", "simulated patients")
    assert not (tmp_path / "refused.csv").exists()

    def fail(*_, **__):
        raise AssertionError("a job ran again")

    monkeypatch.setattr(study, "fit_strategy", fail)
    assert [r["auc"] for r in run("smoke", tmp_path, 0, options=QUIET)] == [r["auc"] for r in rows]
    with pytest.raises(InputError, match="other settings"):
        run("smoke", tmp_path, 1, options=QUIET)


def test_unknown_scale_and_strategy_are_refused(discs, backbone, tmp_path):
    with pytest.raises(InputError, match="Unknown scale"):
        run("huge", tmp_path)
    with pytest.raises(InputError, match="strategies are 1 to 6"):
        fit_strategy(7, backbone, discs, discs, Schedule(), seed=0)


def test_the_paper_prints_macro_averages_of_whole_patients():
    """A count of each class gives all figures of 13 of Table 3's 15 rows, and of Table 4 but the misprint."""
    diseased, healthy = TABLE_COUNTS

    def matches(found, right, printed):
        row = macro_of_counts(found, diseased - found, right, healthy - right)
        made = ((found + right) / 44, row["precision_macro"], row["sensitivity_macro"], row["f1_macro"])
        return all(abs(a - b) < 6e-4 for a, b in zip(made, printed, strict=True))

    every = [(found, right) for found in range(diseased + 1) for right in range(healthy + 1)]
    known = {
        name: [pair for pair in every if matches(*pair, (accuracy, precision, sensitivity, f1))]
        for name, (accuracy, _, precision, sensitivity, f1) in TABLE_3.items()
    }
    assert {name for name, pairs in known.items() if not pairs} == {"InceptionV3", "DenseNet121"}
    assert known["ResNet152V2"] == [(26, 16)]
    for strategy, (accuracy, _, specificity, sensitivity, _) in TABLE_4.items():
        fits = [
            right
            for found, right in every
            if abs((found + right) / 44 - accuracy) < 6e-4
            and abs(0.5 * (found / diseased + right / healthy) - sensitivity) < 6e-4
        ]
        printed = [right for right in fits if abs(right / healthy - specificity) < 6e-4]
        assert bool(printed) == (strategy != 5)
    assert pytest.approx(0.833, abs=1e-3) == 15 / 18


def test_other_weights_than_planned(tmp_path):
    planned = (Run("VGG16", (1, 6), "imagenet"), Run("VGG16", (4,)), Run("MobileNetV2", (6,)))
    assert plan_runs(planned, None) == planned
    assert plan_runs(planned, "none") == (Run("VGG16", (1, 4, 6)), Run("MobileNetV2", (6,)))
    assert {run.start for run in plan_runs(planned, "imagenet")} == {"imagenet"}
    (tmp_path / "VGG16.h5").touch()
    with pytest.raises(InputError, match=r"MobileNetV2\.h5"):
        plan_runs(planned, tmp_path)
    (tmp_path / "MobileNetV2.h5").touch()
    assert {run.start for run in plan_runs(planned, tmp_path)} == {"file"}
