"""Which models the main job uses, and that it says how they ran."""

import pytest

from myoperf.errors import InputError
from myoperf.lv.engine import choose_engine
from myoperf.pipeline import load_models
from myoperf.types import VESSELS, Diagnosis


def test_the_way_the_network_runs_is_told():
    assert load_models().engine == choose_engine("auto")
    assert load_models(engine="float32").engine == "float32"
    assert load_models(lv="classical").engine is None


def test_an_unknown_way_or_finder_is_refused():
    with pytest.raises(InputError, match="got abacus"):
        load_models(engine="abacus")
    with pytest.raises(InputError, match="network or classical"):
        load_models(lv="abacus")


class Given:
    """A classifier whose card has the numbers it is told."""

    name, sha256 = "made/1", "0"

    def __init__(self, auc, p):
        areas = {"n": 300, "classifier": {"auc": auc}, "tpd": {"auc": 0.7}, "classifier_against_tpd_p": p}
        patients = {"calibration": {"n": 40, "diseased": 30}}
        self.card = {"patients": patients, "metrics": {"test": {"patient": areas}}}

    def classify(self, study, results):
        return Diagnosis("made", dict.fromkeys(VESSELS, 0.5), 0.5, (0.0, 1.0), False, None)


@pytest.mark.parametrize(("auc", "p", "ahead"), [(0.8, 0.01, True), (0.8, 0.2, False), (0.6, 0.01, False)])
def test_a_diagnosis_claims_no_more_than_its_card_shows(monkeypatch, auc, p, ahead):
    monkeypatch.setattr("myoperf.diagnosis.load_classifier", lambda: Given(auc, p))
    reason = load_models(lv="classical").classify(None, ()).reason
    assert "where 75% of patients" in reason
    assert ("not shown to be better than TPD" in reason) is not ahead
    assert ("on 300 simulated patients, not tested on real ones" in reason) is ahead
