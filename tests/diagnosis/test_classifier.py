import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from myoperf.diagnosis import load_classifier, occlusion_map
from myoperf.diagnosis.inputs import clinical_row, on_grid, scale_maps
from myoperf.diagnosis.network import PolarNetwork
from myoperf.errors import InputError, MissingWeightsError
from myoperf.research.polar_classifier.network import PolarClassifier
from myoperf.segments import TERRITORIES, segment_map
from myoperf.types import VESSELS, LVFrame, PolarMap, Scan, ScanResult, Study, Volume

PLACES = segment_map(24, 72)


@pytest.fixture(scope="module")
def classifier():
    return load_classifier()


def with_defect(classifier, vessel, depth=0.45):
    """The normal stress map, less in one territory."""
    soft = gaussian_filter(np.isin(PLACES, TERRITORIES[vessel]).astype(float), (1.5, 3.0), mode=("nearest", "wrap"))
    return classifier.constants["normal_stress"] * (1 - depth * soft)


def study_of(classifier, stress, rest=None, **about):
    volume = Volume(np.zeros((4, 4, 4), np.float32), np.eye(4))
    frame = LVFrame(np.zeros(3), np.array([0.0, 0, 80]), np.array([0.0, -1, 0]))
    results = []
    for state, values in (("stress", stress), ("rest", rest)):
        if values is not None:
            polar = PolarMap(values, np.zeros((*values.shape, 3)), np.ones(values.shape))
            scan = Scan(volume, state=state, modality="NM", framing="static")
            results.append(
                ScanResult(state, scan, volume, frame, volume, volume, polar, polar, np.ones(17), 100.0, 50.0)
            )
    return Study(tuple(r.scan for r in results), **about), results


def read_one(classifier, stress, rest=None):
    return classifier.read(stress[None], None if rest is None else rest[None], np.zeros((1, 8)))


def test_the_card_belongs_to_the_weights_and_is_honest(classifier):
    card = classifier.card
    assert card["sha256"] == classifier.sha256
    assert card["bytes"] <= 20e6
    assert "simulated" in card["training_data"]
    area = card["metrics"]["test"]["patient"]["classifier"]
    assert area["interval"][0] <= area["auc"] <= area["interval"][1]
    for word in ("TPD", "SSS"):
        assert word in card["verdict"]


def test_a_defect_raises_its_own_vessel_most(classifier):
    normal = read_one(classifier, classifier.constants["normal_stress"]).probability[0]
    for index, vessel in enumerate(VESSELS):
        rise = read_one(classifier, with_defect(classifier, vessel)).probability[0] - normal
        assert rise.argmax() == index
        assert rise[index] > 0.2


def test_the_shipped_probabilities_are_pinned(classifier):
    """Another scale of the logits, another calibration or another scaling of the maps changes these."""
    stress = np.stack([classifier.constants["normal_stress"], *(with_defect(classifier, v, 0.3) for v in VESSELS)])
    rest = np.repeat(classifier.constants["normal_rest"][None], 4, axis=0)
    rows = np.zeros((4, 8))
    rows[1] = [0.6, -0.5, 0.2, 0.1, 1, 1, 1, 1]
    both, alone = classifier.read(stress, rest, rows), classifier.read(stress, None, rows)
    assert both.probability == pytest.approx(
        np.array(
            [
                [0.19668, 0.17372, 0.14372],
                [0.99778, 0.09070, 0.10830],
                [0.28537, 0.97353, 0.22886],
                [0.48955, 0.47843, 0.95967],
            ]
        ),
        abs=1e-4,
    )
    assert alone.probability == pytest.approx(
        np.array(
            [
                [0.24338, 0.21498, 0.18336],
                [0.98059, 0.16887, 0.17490],
                [0.33479, 0.91430, 0.27267],
                [0.51728, 0.44413, 0.89621],
            ]
        ),
        abs=1e-4,
    )
    assert both.distance == pytest.approx([0.17120, 0.34975, 0.32797, 0.36990], abs=1e-4)


def test_counts_do_not_matter_only_their_pattern(classifier):
    stress = with_defect(classifier, "RCA")
    assert np.allclose(read_one(classifier, stress).probability, read_one(classifier, 317 * stress).probability)


def test_a_study_is_diagnosed_with_and_without_rest(classifier):
    stress, rest = with_defect(classifier, "LAD", 0.2), classifier.constants["normal_rest"]
    about = {"sex": "M", "age_years": 60.0, "height_m": 1.7, "weight_kg": 82.0}
    for at_rest in (rest, None):
        given = classifier.classify(*study_of(classifier, stress, at_rest, **about))
        assert given.per_patient == max(given.per_vessel.values())
        assert given.interval[0] <= given.per_patient <= given.interval[1]
        assert not given.abstained
        assert given.explanation["LAD"].shape == (24, 72)
    rest_only = study_of(classifier, None, rest)
    assert classifier.classify(*rest_only) is None


def test_it_abstains_on_what_is_no_ventricle(classifier):
    noise = np.random.default_rng(0).uniform(0.1, 1.0, (24, 72))
    given = classifier.classify(*study_of(classifier, noise))
    assert given.abstained
    assert "unlike" in given.reason


@pytest.mark.parametrize("vessel", VESSELS)
def test_the_explanation_points_to_the_defect(classifier, vessel):
    stress = with_defect(classifier, vessel)
    inside = np.isin(PLACES, TERRITORIES[vessel])
    shown = classifier.explain(stress, None, np.zeros(8))[vessel]
    assert shown[inside].mean() > 2 * abs(shown[~inside].mean())


def test_occlusion_shares_the_fall_among_the_places_that_matter():
    """A probability that is the mean of one ring falls only where that ring is hidden."""

    def ring_mean(stress, rest):
        return stress[:, 3].mean(axis=1, keepdims=True)

    stress = np.ones((8, 12))
    fall = occlusion_map(ring_mean, stress, None, (np.zeros((8, 12)), np.zeros((8, 12))), patch=(2, 4))
    assert fall.shape == (1, 8, 12)
    assert fall[0, 3] == pytest.approx(4 / 12)
    assert fall[0, :2] == pytest.approx(0)
    assert fall[0, 6:] == pytest.approx(0)
    with pytest.raises(InputError, match="2 x 2"):
        occlusion_map(ring_mean, stress, None, (stress, stress), patch=(1, 4))


def test_another_grid_is_brought_to_the_classifiers(classifier):
    stress = with_defect(classifier, "LCX")
    fine = np.repeat(np.repeat(stress, 2, axis=0), 2, axis=1)
    assert np.abs(on_grid(fine) - stress).max() < 0.35  # only at the defect's sharp edge
    assert np.abs(on_grid(fine) - stress).mean() < 0.02
    with pytest.raises(InputError, match="static"):
        on_grid(np.ones((8, 24, 72)))


def test_absent_clinical_values_carry_a_flag():
    row = clinical_row((1.0, None, 1.7, None), np.array([0.5, 60, 1.6, 80]), np.array([0.5, 10, 0.1, 10]))
    assert row == pytest.approx([1, 0, 1, 0, 1, 0, 1, 0])
    again = clinical_row((1.0, float("nan"), 1.7, None), np.array([0.5, 60, 1.6, 80]), np.array([0.5, 10, 0.1, 10]))
    assert np.array_equal(row, again)


def test_a_weight_of_zero_is_an_empty_field(classifier):
    about = {"sex": "F", "age_years": 61.0, "height_m": 1.6}
    stress = classifier.constants["normal_stress"]
    rows = [classifier.clinical(study_of(classifier, stress, weight_kg=w, **about)[0]) for w in (None, 0.0, 70.0)]
    assert np.array_equal(rows[0], rows[1])
    assert rows[2][7] == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_with_holes_is_refused(classifier, value):
    stress = classifier.constants["normal_stress"].copy()
    stress[3, 4] = value
    with pytest.raises(InputError, match="NaN or infinite"):
        read_one(classifier, stress)


def test_an_empty_map_is_refused():
    with pytest.raises(InputError, match="no counts"):
        scale_maps(np.zeros((24, 72)))


def test_missing_or_changed_weights_are_refused(classifier, tmp_path):
    with pytest.raises(MissingWeightsError, match="not installed"):
        load_classifier(tmp_path)
    (tmp_path / "polar-classifier.safetensors").write_bytes(b"other")
    (tmp_path / "card.json").write_text(json.dumps(dict(classifier.card)))
    with pytest.raises(InputError, match="not those of their card"):
        load_classifier(tmp_path)


def test_a_network_may_disagree_but_the_interval_holds_the_answer(classifier):
    alone = replace(classifier, networks=classifier.networks[:1])
    stress = with_defect(classifier, "LAD", 0.2)[None]
    one = alone.read(stress, None, np.zeros((1, 8)))
    assert one.members.shape[0] == 1
    assert np.allclose(one.members[0], one.probability)


def test_the_network_gives_the_logits_of_torch():
    torch.manual_seed(1)
    trained = PolarClassifier(width=8).eval()
    for norm in (trained.first.norm, trained.second.norm, trained.third.norm):
        torch.nn.init.uniform_(norm.running_mean, -0.5, 0.5)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
        torch.nn.init.uniform_(norm.weight, 0.5, 2.0)
        torch.nn.init.uniform_(norm.bias, -0.5, 0.5)
    rng = np.random.default_rng(2)
    maps, values = rng.normal(size=(3, 4, 24, 72)).astype(np.float32), rng.normal(size=(3, 8)).astype(np.float32)
    weights = {name: value.numpy() for name, value in trained.state_dict().items()}
    with torch.inference_mode():
        expected = trained(torch.from_numpy(maps), torch.from_numpy(values)).numpy()
    assert PolarNetwork(weights)(maps, values) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match=r"hidden\.bias is off"):
        PolarNetwork({name: value for name, value in weights.items() if name != "hidden.bias"})


def test_the_shipped_classifier_s_log_odds_and_probabilities_on_two_maps_are_pinned():
    """Log odds that are halved, a calibration that is skipped, or vessels in another order had passed every test."""
    classifier = load_classifier()
    stress, rest = classifier.constants["normal_stress"], classifier.constants["normal_rest"]
    hurt = stress.copy()
    hurt[8:20, 28:44] *= 0.55  # the inferior wall
    pinned = (
        (stress, (-1.514, -1.678, -1.920), (0.197, 0.174, 0.144)),
        (hurt, (-0.407, -0.765, 0.857), (0.407, 0.329, 0.689)),
    )
    for values, odds, probability in pinned:
        maps = scale_maps(values[None]), scale_maps(rest[None])
        logits = classifier.logits(*maps, np.zeros((1, 8))).mean(axis=0)
        assert logits[0] == pytest.approx(odds, abs=2e-3)
        reading = classifier.read(values[None], rest[None], np.zeros((1, 8)))
        assert reading.probability[0] == pytest.approx(probability, abs=1e-3)
