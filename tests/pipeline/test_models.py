"""Which models the main job uses, and that it says how they ran."""

import pytest

from myoperf.errors import InputError
from myoperf.lv.engine import choose_engine
from myoperf.pipeline import load_models


def test_the_way_the_network_runs_is_told():
    assert load_models().engine == choose_engine("auto")
    assert load_models(engine="float32").engine == "float32"
    assert load_models(lv="classical").engine is None


def test_an_unknown_way_or_finder_is_refused():
    with pytest.raises(InputError, match="got abacus"):
        load_models(engine="abacus")
    with pytest.raises(InputError, match="network or classical"):
        load_models(lv="abacus")
