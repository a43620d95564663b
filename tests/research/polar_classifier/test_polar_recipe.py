import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from myoperf.diagnosis import load_classifier
from myoperf.diagnosis.classifier import calibrate
from myoperf.errors import InputError
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import defect_map
from myoperf.research.polar_classifier import cases as polar_cases
from myoperf.research.polar_classifier import training as polar
from myoperf.research.polar_classifier.calibration import KINDS, choose_calibration, fit_calibration, log_loss
from myoperf.research.polar_classifier.cases import SETS, draw_set, join_cases, read_cases
from myoperf.research.polar_classifier.comparators import fit_and_read, measure_comparators, tpd_values, true_values
from myoperf.research.polar_classifier.discs import blurred_map
from myoperf.research.polar_classifier.evaluation import (
    limits_from,
    measure_cohort,
    measure_groups,
    measure_likeness,
    score_maps,
    verdict,
)
from myoperf.research.polar_classifier.recipe import run
from myoperf.research.polar_classifier.training import (
    Schedule,
    TrainingSet,
    fit_classifier,
    move_maps,
    read_cohort,
    supplement,
)
from myoperf.segments import segment_means


def _maps():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 24, 72, generator=generator)


def _moved(maps, **by):
    given = {"turn_deg": torch.zeros(3), "apex": torch.zeros(3), "base": torch.zeros(3), "tilt": torch.zeros(3, 2)}
    return move_maps(maps, *(by.get(name, value) for name, value in given.items()))


def test_no_error_of_pose_leaves_the_maps_and_a_turn_rolls_them():
    maps = _maps()
    assert torch.allclose(_moved(maps), maps, atol=1e-5)
    turned = _moved(maps, turn_deg=torch.tensor([5.0, -10.0, 0.0]))
    assert torch.allclose(turned[0], torch.roll(maps[0], -1, dims=-1), atol=1e-4)
    assert torch.allclose(turned[1], torch.roll(maps[1], 2, dims=-1), atol=1e-4)


def test_ends_move_by_rings_and_the_base_may_be_tilted():
    ramp = torch.arange(24.0)[None, :, None].expand(3, 24, 72)
    moved = _moved(ramp, apex=torch.ones(3), base=-torch.ones(3))
    assert torch.allclose(moved[:, 0], torch.ones(3, 72), atol=1e-4)
    assert torch.allclose(moved[:, -1], torch.full((3, 72), 22.0), atol=1e-4)
    tilted = _moved(ramp, tilt=torch.tensor([[-2.0, 0.0]] * 3))[0, -1]
    assert float(tilted[0]) == pytest.approx(21.0, abs=1e-3)  # anterior
    assert float(tilted[36]) == pytest.approx(23.0, abs=1e-3)  # the edge holds


def _odds(n, bend):
    rng = np.random.default_rng(0)
    logits = rng.normal(0.0, 2.0, (n, 3))
    return logits, (rng.random((n, 3)) < 1.0 / (1.0 + np.exp(-bend(logits)))).astype(int)


@pytest.mark.parametrize("kind", KINDS)
def test_every_calibration_corrects_odds_that_are_too_extreme(kind):
    logits, labels = _odds(600, lambda x: 0.3 * x)
    predicted = calibrate(fit_calibration(kind, logits, labels), logits)
    assert predicted.shape == logits.shape
    assert ((predicted > 0) & (predicted < 1)).all()
    assert log_loss(predicted, labels) < log_loss(1.0 / (1.0 + np.exp(-logits)), labels) - 0.05
    if kind != "isotonic":
        assert (np.diff(predicted[np.argsort(logits[:, 0]), 0]) >= 0).all()


def test_the_calibration_is_chosen_by_what_fits():
    logits, labels = _odds(600, lambda x: 0.4 * x)
    kind, losses, _ = choose_calibration(logits, labels, 0)
    assert kind in ("temperature", "platt")
    assert losses[kind] == min(losses[k] for k in KINDS)
    logits, labels = _odds(900, lambda x: np.where(np.abs(x) < 1.5, 3.0, -3.0))  # no line can follow
    bent, _, found = choose_calibration(np.abs(logits), labels, 0)
    assert "slope" in found
    assert bent in KINDS
    stepped, labels = _odds(900, lambda x: np.where(x > 2.0, 4.0, -0.5))
    assert choose_calibration(stepped, labels, 0)[0] == "isotonic"
    few, losses, _ = choose_calibration(stepped[:150], labels[:150], 0)
    assert losses["isotonic"] == min(losses.values())
    assert few != "isotonic", "too few patients for steps"


def test_a_set_goes_on_where_it_stopped_and_its_patients_do_not_depend_on_their_number(tmp_path, monkeypatch):
    monkeypatch.setattr(polar_cases, "CHUNK", 1)
    few = draw_set("known", 1, tmp_path)
    (path,) = tmp_path.glob("known-*.npz")
    before = path.stat().st_mtime_ns
    more = draw_set("known", 2, tmp_path)
    assert path.stat().st_mtime_ns == before
    assert np.array_equal(few.stress, more.stress[:1])
    assert (more.key == [[SETS["known"].seed, 0], [SETS["known"].seed, 1]]).all()
    (tmp_path / "other.npz").write_text("no cohort")
    with pytest.raises(InputError, match="not a cohort"):
        read_cases(tmp_path / "other.npz")


def test_a_patient_without_rest_is_read_by_stress_alone(tmp_path):
    cases = draw_set("known", 1, tmp_path)
    lacking = replace(cases, rest=np.full_like(cases.rest, np.nan))
    assert cases.has_rest.all()
    assert not lacking.has_rest.any()
    classifier = load_classifier()
    predicted = read_cohort(classifier, lacking).probability
    assert np.array_equal(predicted, read_cohort(classifier, cases, rest=False).probability)
    assert not np.array_equal(predicted, read_cohort(classifier, cases).probability)
    training = supplement(join_cases([cases, lacking]), 1, 2)
    assert training.has_rest.tolist() == [True, False, True, True]
    assert all(np.isfinite(getattr(training, name)).all() for name in ("stress", "rest", "clinical", "labels"))


def _made(n, seed, *, tilt=0.0):
    """Maps of noise about a bright wall, every second patient with an inferior defect; no imaging."""
    rng = np.random.default_rng(seed)
    maps = 1.0 + 0.05 * rng.standard_normal((2, n, 24, 72)) + tilt * np.linspace(-1, 1, 24)[:, None]
    ill = np.arange(n) % 2
    maps[0, ill == 1, 8:20, 30:44] *= 0.5
    ica = np.stack([np.zeros(n, int), np.zeros(n, int), ill], axis=1)
    clinical = np.stack([np.arange(n) // 2 % 2, *rng.normal((60, 1.7, 80), (10, 0.1, 15), (n, 3)).T], axis=1)
    key = np.stack([np.zeros(n, int), np.arange(n)], axis=1)
    return polar_cases.PolarCases(maps[0], maps[1], clinical, ica, ica, np.linspace(60, 140, n), key)


def test_limits_of_healthy_patients_score_the_ill_ones():
    cases = _made(60, 1)
    limits = limits_from(cases)
    assert limits[0.0].n == limits[1.0].n == 15
    scores = score_maps(cases, limits)
    ill = cases.ica[:, 2] == 1
    assert scores["tpd"][ill].min() > scores["tpd"][~ill].max()
    assert scores["tpd_vessel"][ill].argmax(axis=1).tolist() == [2] * 30


def test_a_model_of_tpd_reads_both_states_and_the_clinical_values():
    cases = _made(60, 1)
    limits = {state: limits_from(cases, state=state) for state in ("stress", "rest")}
    values = tpd_values(cases, limits)
    assert np.array_equal(values[:, 0], score_maps(cases, limits["stress"])["tpd"])
    assert np.array_equal(values[:, 4], score_maps(replace(cases, stress=cases.rest), limits["rest"])["tpd"])
    assert np.array_equal(values[:, 8:], cases.clinical)
    read = fit_and_read(values, cases.ica, values)
    ill = cases.ica[:, 2] == 1
    assert (read[:, :2] == 0.0).all(), "nobody has disease there"
    assert read[ill, 2].min() > read[~ill, 2].max()


def test_true_values_are_those_of_the_patient_that_the_key_draws():
    cases = replace(_made(6, 1), key=np.asarray([[SETS["rarer"].seed, i] for i in range(6)]))
    values = true_values(cases)
    patients = [draw_patient(np.random.default_rng(key), SETS["rarer"].options) for key in cases.key.tolist()]
    losses = [1.0 - segment_means(defect_map(patient, "stress", 24, 72)) for patient in patients]
    assert np.allclose(values[:, 0], np.mean(losses, axis=1))
    assert np.allclose(values[:, 3], [loss[[2, 3, 8, 9, 14]].mean() for loss in losses])  # RCA


def test_the_classifier_stands_beside_models_that_are_told_as_much():
    cases = _made(60, 2)
    labels = np.stack([np.arange(60) % 5 == 0, np.arange(60) % 3 == 0, np.arange(60) % 2 == 1], axis=1).astype(int)
    cases = replace(cases, ica=labels, key=np.asarray([[SETS["main"].seed, i] for i in range(60)]))
    limits = {state: limits_from(_made(60, 1), state=state) for state in ("stress", "rest")}
    told = measure_comparators(load_classifier(), cases, cases, cases, limits)
    assert told["learned"] == {"tpd_model": 60, "true_perfusion": 60}
    assert told["patient"]["n"] == 60
    assert told["vessels"]["n"] == 180
    assert told["vessels"]["tpd_model"]["auc"] > 0.6, "the inferior defect"
    assert "a model of TPD that is told as much" in verdict(told)


def test_groups_and_shares_stand_beside_tpd_and_sss():
    classifier, cases = load_classifier(), _made(60, 2)
    limits = limits_from(cases)
    healthy = cases.take(np.flatnonzero(cases.ica[:, 2] == 0))
    groups = measure_groups(classifier, cases, limits, healthy)
    assert set(groups) == {"men", "women", "small_hearts", "no_clinical_values", "with_normals", "normals_abstained"}
    assert groups["men"]["n"] == 30
    assert groups["with_normals"]["n"] == 90
    assert groups["with_normals"]["tpd"]["auc"] == 1.0
    assert groups["normals_abstained"]["n"] == 30
    whole = measure_cohort(classifier, cases, limits)
    assert whole["patient"]["n_positive"] == whole["RCA"]["n_positive"] == 30
    assert "LAD" not in whole, "nobody has it"
    assert 0.0 <= whole["abstained"]["interval"][0] <= whole["abstained"]["share"]
    assert "better than" in verdict(whole) or "worse than" in verdict(whole) or "no clear" in verdict(whole)


def test_cohorts_are_told_apart_only_where_they_differ():
    components = np.linalg.qr(np.random.default_rng(0).standard_normal((24 * 72, 6)))[0].T
    components[0] = np.repeat(np.linspace(-1, 1, 24), 72) / 25.0
    alike = measure_likeness(_made(60, 3), _made(60, 4), components)["told_apart"]
    apart = measure_likeness(_made(60, 3), _made(60, 4, tilt=0.2), components)["told_apart"]
    assert alike["interval"][0] < 0.5 < alike["interval"][1] + 0.1
    assert apart["auc"] > 0.95


def test_a_trained_network_is_kept_and_read(tmp_path, monkeypatch):
    cases = _made(40, 5)
    schedule = Schedule(networks=1, width=4, epochs=1, batch=8, components=4)
    training = TrainingSet(
        stress=cases.stress, rest=cases.rest, clinical=cases.clinical, labels=cases.ica, has_rest=cases.has_rest
    )
    first = fit_classifier(training, cases, schedule, 0, keep=tmp_path)
    assert len(list(tmp_path.glob("network-*.safetensors"))) == 1
    monkeypatch.setattr(polar, "_fit_network", None)  # training again would fail
    second = fit_classifier(training, cases, schedule, 0, keep=tmp_path)
    rows = np.zeros((40, 8))
    assert np.array_equal(first.read(cases.stress, None, rows).members, second.read(cases.stress, None, rows).members)
    with pytest.raises(TypeError):
        fit_classifier(training, cases, schedule, 1, keep=tmp_path)


@pytest.mark.slow
def test_the_smoke_recipe_writes_a_classifier_and_a_card_of_its_own(tmp_path, monkeypatch):
    """Of patients that are not imaged, which takes longest: tests of the sets image theirs."""
    monkeypatch.setattr(
        polar_cases, "image_state", lambda patient, rng, model, state, **_: blurred_map(patient, state, rng)
    )
    run("smoke", tmp_path / "out", 0, data=tmp_path / "cases", quiet=True)
    classifier = load_classifier(tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert classifier.card["sha256"] == card["sha256"]
    assert card["ventricle_in_test"] == "as it is known to lie"
    assert card["patients"]["test"]["n"] == 12
    assert set(card["calibration"]["stress alone"]["cross_validated_log_loss"]) == {"none", *KINDS}
    area = card["metrics"]["test"]["patient"]["classifier"]
    assert area["interval"][0] <= area["auc"] <= area["interval"][1]
    with pytest.raises(InputError, match="Unknown scale"):
        run("huge", tmp_path, 0)
