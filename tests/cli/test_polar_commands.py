"""``train polar``, ``study label-strategies`` and ``study two-stage`` are known to the command line."""

from importlib import import_module
from inspect import signature

import pytest

from myoperf.cli.study import STUDIES, study
from myoperf.cli.train import RECIPES, train
from myoperf.errors import InputError, OutputExistsError


@pytest.mark.parametrize("name", ["two-stage", "label-strategies"])
def test_the_studies_of_polar_maps_can_be_run(name, tmp_path):
    module = import_module(STUDIES[name])
    assert set(module.RECIPES) == {"smoke", "small", "full"}
    assert list(signature(module.run).parameters)[:3] == ["scale", "out", "seed"]
    (tmp_path / "other.txt").write_text("not a study")
    with pytest.raises(OutputExistsError):
        study(name, tmp_path, scale="smoke", seed=0)


def test_the_polar_recipe_can_be_run(tmp_path):
    module = import_module(RECIPES["polar"])
    assert {"data", "resume", "quiet"} <= set(signature(module.run).parameters)
    with pytest.raises(InputError, match="--scale"):
        train("polar", tmp_path / "out", scale="huge", seed=0, data=None, resume=False, quiet=True)


def test_options_of_a_study_that_it_does_not_take_are_refused(tmp_path):
    for name, options in (
        ("ms-st-unet", {"weights": "none"}),
        ("label-strategies", {"choose_on": "validation"}),
        ("reader", {"epochs": 2}),  # it trains nothing
        ("reader", {"device": "cpu"}),
    ):
        with pytest.raises(InputError, match="is not for"):
            study(name, tmp_path / "out", scale="smoke", seed=0, **options)
    for options in ({"weights": "nowhere"}, {"choose_on": "training"}):
        with pytest.raises(InputError):
            study("two-stage", tmp_path / "out", scale="smoke", seed=0, **options)
    assert not (tmp_path / "out").exists()


def test_both_commands_hand_over_every_choice_as_it_was_given(tmp_path, monkeypatch):
    handed = []
    for name in ("label_strategies.study", "label_strategies.recipe"):
        module = import_module(f"myoperf.research.{name}")
        monkeypatch.setattr(module, "run", lambda *_, options, **__: handed.append(options))
    (tmp_path / "table.csv").write_text("patient\n")
    given = {"networks": "VGG16, ResNet50", "strategies": "5", "inputs": "stress,late", "epochs": 3, "device": "cpu"}
    given |= {"data": tmp_path / "table.csv", "resume": False, "quiet": True}
    study("label-strategies", tmp_path / "a", **given)
    train("label-strategies", tmp_path / "b", **given)
    assert handed[0] == handed[1]
    options = handed[0]
    assert (options.networks, options.strategies) == (("VGG16", "ResNet50"), ("5",))
    assert (options.inputs, options.epochs, options.device) == (("stress", "late"), 3, "cpu")
    assert (options.data, options.resume, options.quiet) == (tmp_path / "table.csv", False, True)
    assert (options.weights, options.colours) == (None, False)
