"""Which models the main job uses, and that it says how they ran."""

from importlib import resources

import numpy as np
import pytest
import torch

from myoperf.cards import read_card, read_weights
from myoperf.errors import InputError, MissingWeightsError
from myoperf.lv.inference import choose_engine
from myoperf.pipeline import Models, load_models
from myoperf.types import VESSELS, Diagnosis, LVFrame, Volume
from support.ventricle import make_phantom


def test_the_engine_of_the_network_is_recorded():
    assert load_models().engine == choose_engine("auto")
    assert load_models(engine="float32").engine == "float32"
    assert load_models(lv="classical").engine is None


def test_an_unknown_engine_or_finder_is_refused():
    with pytest.raises(InputError, match="got abacus"):
        load_models(engine="abacus")
    with pytest.raises(InputError, match="network or classical"):
        load_models(lv="abacus")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA GPU"):
        load_models(device="cuda")
    with pytest.raises(InputError, match="auto, cpu, cuda"):
        load_models(device="tpu", lv="classical")


def test_openvino_runs_on_the_processor_even_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(InputError, match="processor only"):
        load_models(device="cuda", engine="openvino")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"install myoperf\[openvino\]"):
        load_models(device="auto", engine="openvino")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch has no CUDA GPU here")
def test_a_gpu_gives_what_the_processor_gives():
    volume = Volume(np.random.default_rng(0).gamma(2.0, size=(40, 40, 40)).astype(np.float32), np.diag([4.0, 4, 4, 1]))
    frame = LVFrame((60.0, 60.0, 100.0), (100.0, 90.0, 60.0), (0.0, 1.0, 0.0))
    labels = [
        load_models(device=device, engine="float32").segment_lv(volume, frame)[0].array for device in ("cpu", "cuda")
    ]
    assert (labels[0] != labels[1]).mean() < 1e-4


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
    assert ("on 300 simulated patients imaged as those it learned from, not tested on real ones" in reason) is ahead


def test_a_missing_network_is_a_finding_and_not_silence(monkeypatch):
    def missing(*_, **__):
        raise MissingWeightsError("Not here.")

    monkeypatch.setattr("myoperf.lv.network.load_network_lv", missing)
    monkeypatch.setattr("myoperf.diagnosis.load_classifier", missing)
    models = load_models()
    assert [(f.code, f.severity) for f in models.findings] == [
        ("lv-network-missing", "warning"),
        ("classifier-missing", "warning"),
    ]
    assert models.weights == ()
    assert models.find_lv is Models().find_lv
    assert load_models(lv="classical", diagnosis=False).findings == ()


def test_changed_weights_are_refused_before_they_are_used(monkeypatch, tmp_path):
    shipped = resources.files("myoperf") / "weights" / "lv-compact"
    changed = bytearray((shipped / "model.safetensors").read_bytes())
    changed[-5] ^= 1
    (tmp_path / "model.safetensors").write_bytes(changed)
    (tmp_path / "card.json").write_bytes((shipped / "card.json").read_bytes())
    monkeypatch.setattr("myoperf.pipeline.models._shipped", lambda name: tmp_path)
    with pytest.raises(InputError, match="not those of their card"):
        load_models(diagnosis=False)


@pytest.mark.parametrize("card", ["", "[]", "{", '{"sha256": "0"}', "[" * 100_000])
def test_a_damaged_card_is_refused(tmp_path, card):
    (tmp_path / "w").write_bytes(b"weights")
    (tmp_path / "card.json").write_text(card)
    with pytest.raises(InputError, match="lacks"):
        read_weights(tmp_path, "w")
    with pytest.raises(InputError, match="lacks"):
        read_card(tmp_path)


def test_weights_without_a_card_are_named(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path.name!r} have no card.json"):
        read_card(tmp_path)


def test_one_and_two_threads_give_the_same_labels():
    """Tolerance: one voxel in 10,000. Threads change the order of sums, and so the last digits of the network."""
    phantom = make_phantom()
    before, labels = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            models = load_models(diagnosis=False, engine="float32")
            labels.append(models.segment_lv(phantom.volume, phantom.frame)[0].array)
    finally:
        torch.set_num_threads(before)
    assert (labels[0] == 1).sum() > 1000
    assert (labels[0] != labels[1]).mean() < 1e-4
