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
    for name, options in (("ms-st-unet", {"weights": "none"}), ("label-strategies", {"choose_on": "validation"})):
        with pytest.raises(InputError, match="is not for"):
            study(name, tmp_path / "out", scale="smoke", seed=0, **options)
    for options in ({"weights": "nowhere"}, {"choose_on": "training"}):
        with pytest.raises(InputError):
            study("two-stage", tmp_path / "out", scale="smoke", seed=0, **options)
    assert not (tmp_path / "out").exists()
