from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.phantom.coronary import (
    flow_reserve_share,
    ischaemia,
    myocardial_flow,
    perfusion,
    scar,
    territory_weights,
    tracer_uptake,
)
from myoperf.phantom.disease import TABLE_PATTERNS, fit_patterns
from myoperf.phantom.labels import expert_labels, expert_scores, ica_labels
from myoperf.phantom.parts import Coronary, Infarct, Lesion, Reader
from myoperf.segments import TERRITORIES, segment_map, segment_means
from myoperf.types import VESSELS

FRACTION, ANGLE = ((np.arange(40) + 0.5) / 40)[:, None], (np.arange(72) * 5.0)[None]


def _healthy(**changes: object) -> Coronary:
    tree = Coronary(
        dominance="right",
        borders_deg=(90.0, 210.0, 330.0),
        apical_borders_deg=(135.0, 225.0, 315.0),
        wrap_fraction=0.15,
        softness_deg=10.0,
        lesions=(),
        infarcts=(),
        reserve=3.0,
        rest_flow=0.9,
        microvascular=0.0,
        patch_stress=(0.0,) * 9,
        patch_rest=(0.0,) * 9,
        subendocardial=0.0,
    )
    return replace(tree, **changes)  # type: ignore[arg-type]


def test_territories_are_those_of_the_expert_labels() -> None:
    weights = territory_weights(_healthy(), FRACTION, ANGLE)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    owner = np.array(VESSELS)[weights.argmax(axis=0)]
    expected = {s: v for v, group in TERRITORIES.items() for s in group}
    wanted = np.vectorize(expected.get)(segment_map(40, 72))
    assert (owner == wanted).mean() > 0.95


def test_left_dominance_gives_the_inferior_wall_to_the_circumflex() -> None:
    left = _healthy(borders_deg=(90.0, 135.0, 330.0))
    assert territory_weights(left, 0.8, 180.0)[1] > 0.9
    assert territory_weights(_healthy(), 0.8, 180.0)[2] > 0.9


def test_flow_reserve_falls_from_half_and_is_gone_at_ninety_per_cent() -> None:
    share = flow_reserve_share([0.0, 50.0, 70.0, 90.0, 100.0])
    assert share[0] == 1.0
    assert share[3] == 0.0
    assert share[4] == 0.0
    assert 0.85 < share[1] < 1.0
    assert 0.5 < share[2] < 0.75


def test_healthy_wall_has_uptake_one() -> None:
    for state in ("stress", "rest"):
        inner, outer = perfusion(_healthy(), state, "Tc-99m", FRACTION, ANGLE)
        np.testing.assert_allclose(inner, 1.0)
        np.testing.assert_allclose(outer, 1.0)


@pytest.mark.parametrize("vessel", VESSELS)
def test_a_stenosis_darkens_its_own_territory_at_stress_only(vessel: str) -> None:
    tree = _healthy(lesions=(Lesion(vessel, 85.0, 85.0, 0.0, 1.15),))
    stress = segment_means(sum(perfusion(tree, "stress", "N-13", FRACTION, ANGLE)) / 2)
    rest = segment_means(sum(perfusion(tree, "rest", "N-13", FRACTION, ANGLE)) / 2)
    own = np.isin(np.arange(1, 18), TERRITORIES[vessel])
    assert stress[own].max() < stress[~own].min()
    assert stress[own].mean() < 0.7
    np.testing.assert_allclose(rest, 1.0, atol=1e-9)


def test_left_main_darkens_both_left_territories() -> None:
    tree = _healthy(lesions=(Lesion("LM", 80.0, 80.0, 0.0, 1.15),))
    stress = segment_means(sum(perfusion(tree, "stress", "Tc-99m", FRACTION, ANGLE)) / 2)
    right = np.isin(np.arange(1, 18), TERRITORIES["RCA"])
    assert stress[~right].max() < stress[right].min() + 0.05
    assert ica_labels(tree) == {"LAD": 1, "LCX": 1, "RCA": 0, "patient": 1}


def test_sestamibi_rolls_off_more_than_ammonia() -> None:
    ratio = {t: tracer_uptake(3.0, t) / tracer_uptake(1.0, t) for t in ("Tc-99m", "Rb-82", "N-13")}
    assert ratio["Tc-99m"] < ratio["Rb-82"] < ratio["N-13"] < 3.0
    with pytest.raises(InputError, match="Unknown tracer"):
        tracer_uptake(1.0, "I-123")  # type: ignore[arg-type]


def test_an_infarct_is_dark_in_both_states_with_a_smooth_edge() -> None:
    tree = _healthy(infarcts=(Infarct("LAD", 0.4, 10.0, 0.25, 40.0, 0.9, 0.5),))
    inside = [scar(tree, 0.4, 10.0), scar(tree, 0.9, 200.0)]
    assert inside[0][0] > 0.85
    assert inside[1][0] < 0.01
    assert inside[0][1] < inside[0][0]
    for state in ("stress", "rest"):
        inner, outer = perfusion(tree, state, "Tc-99m", 0.4, 10.0)
        assert inner < 0.3
        assert inner < outer
    dead = scar(tree, np.linspace(0, 1, 400), 10.0)[0]
    assert np.abs(np.diff(dead)).max() < 0.05


def test_subendocardial_ischaemia_spares_the_outer_wall_at_equal_mean_flow() -> None:
    lesion = (Lesion("LAD", 75.0, 75.0, 0.0, 1.15),)
    inner, outer, _ = myocardial_flow(_healthy(lesions=lesion, subendocardial=0.8), "stress", 0.6, 20.0)
    even, same, _ = myocardial_flow(_healthy(lesions=lesion), "stress", 0.6, 20.0)
    assert inner < even < outer
    assert float(inner + outer) == pytest.approx(float(even + same))


def test_balanced_disease_hides_in_relative_uptake_but_not_in_flow() -> None:
    tree = _healthy(lesions=tuple(Lesion(v, 80.0, 75.0, 0.0, 1.15) for v in VESSELS))
    stress = sum(perfusion(tree, "stress", "Tc-99m", FRACTION, ANGLE)) / 2
    assert stress.max() < 0.9
    assert stress.std() / stress.mean() < 0.02
    assert ischaemia(tree, FRACTION, ANGLE).min() > 0.3


def test_a_distal_lesion_spares_the_base_and_collaterals_give_flow_back() -> None:
    distal = _healthy(lesions=(Lesion("LAD", 90.0, 90.0, 0.0, 0.45),))
    assert ischaemia(distal, 0.2, 0.0) > 0.9 > 0.1 > ischaemia(distal, 0.9, 0.0)
    helped = _healthy(lesions=(Lesion("LAD", 90.0, 90.0, 0.5, 0.45),))
    assert ischaemia(helped, 0.2, 0.0) == pytest.approx(0.5 * ischaemia(distal, 0.2, 0.0), rel=0.01)


@pytest.mark.parametrize(
    ("lesions", "expected"),
    [
        ((Lesion("LM", 49.9, 0, 0, 1), Lesion("RCA", 69.9, 0, 0, 1)), (0, 0, 0, 0)),
        ((Lesion("LM", 50.0, 0, 0, 1),), (1, 1, 0, 1)),
        ((Lesion("RCA", 70.0, 0, 0, 1),), (0, 0, 1, 1)),
    ],
)
def test_angiography_thresholds(lesions: tuple[Lesion, ...], expected: tuple[int, ...]) -> None:
    assert tuple(ica_labels(_healthy(lesions=lesions)).values()) == expected


def test_expert_sums_scores_by_territory() -> None:
    exact = Reader(0.0, (0.0,) * 17, (0.0,) * 17)
    relative = np.ones(17)
    relative[[2, 3]] = 0.70
    scores = expert_scores(exact, "stress", relative)
    assert scores[2] == scores[3] == 2
    assert sum(scores) == 4
    assert expert_labels(scores) == {"LAD": 0, "LCX": 0, "RCA": 1, "patient": 1}
    harsh = replace(exact, threshold_bias=-0.2)
    assert sum(expert_scores(harsh, "stress", relative)) > 4


def test_patterns_meet_the_wanted_prevalences_and_keep_the_table_where_it_fits() -> None:
    wanted = {"LAD": 0.57, "LCX": 0.42, "RCA": 0.39}
    shares = fit_patterns(wanted, 0.66)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert 1 - shares[()] == pytest.approx(0.66, abs=1e-4)
    for vessel, target in wanted.items():
        assert sum(s for p, s in shares.items() if vessel in p) == pytest.approx(target, abs=1e-4)
    total = sum(TABLE_PATTERNS.values())
    marginal = {v: sum(s for p, s in TABLE_PATTERNS.items() if v in p) / total for v in VESSELS}
    table = fit_patterns(marginal, 1 - TABLE_PATTERNS[()] / total)
    for pattern, share in table.items():
        assert share == pytest.approx(TABLE_PATTERNS[pattern] / total, abs=1e-5)
