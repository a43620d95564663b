"""Perfusion scores against hand calculation, and the limits they are measured by."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from myoperf import perfusion
from myoperf.errors import InputError
from myoperf.perfusion import Condition
from myoperf.segments import SEGMENTS20, assign_segments, segment_map
from myoperf.types import PolarMap

RINGS, ANGLES = 24, 72


def polar(values: np.ndarray) -> PolarMap:
    return PolarMap(values, np.zeros((RINGS, ANGLES, 3)), np.full((RINGS, ANGLES), 10.0))


def normal_maps(n: int = 40, seed: int = 0) -> list[PolarMap]:
    rng = np.random.default_rng(seed)
    return [polar(100 * np.clip(0.9 + 0.04 * rng.normal(size=(RINGS, ANGLES)), 0.5, 1.3)) for _ in range(n)]


LABEL = perfusion.LimitsLabel(name="a", version="1", state="stress", provenance="simulated", licence="CC0")


def limits(state: str = "stress", **more: object) -> perfusion.NormalLimits:
    about = {"name": "test", "version": "1", "provenance": "simulated", "licence": "CC0"} | more
    return perfusion.build_limits(normal_maps(), perfusion.LimitsLabel(state=state, **about))


def with_defect(segments: tuple[int, ...], factor: float, base: np.ndarray | None = None) -> PolarMap:
    values = normal_maps(1, seed=99)[0].values if base is None else base
    inside = np.isin(segment_map(RINGS, ANGLES), segments)
    return polar(np.where(inside, factor * values, values))


def test_limits_hold_mean_and_mean_absolute_deviation():
    held = limits()
    scaled = np.stack([perfusion.scale_map(m.values, held) for m in normal_maps()])
    assert held.mean == pytest.approx(scaled.mean(axis=0), rel=0.01)
    assert held.mad == pytest.approx(np.abs(scaled - scaled.mean(axis=0)).mean(axis=0), rel=0.1, abs=1e-3)
    assert held.n == 40


def test_the_severity_and_tpd_of_a_map_worked_by_hand():
    flat = perfusion.NormalLimits(
        name="hand",
        version="1",
        state="stress",
        n=40,
        mean=np.ones((RINGS, ANGLES)),
        sd=np.full((RINGS, ANGLES), 0.125),
        mad=np.full((RINGS, ANGLES), 0.1),
        top_ratio=1.0,
        provenance="hand",
        licence="CC0",
    )
    values = np.full((RINGS, ANGLES), 1.0)
    values[:6] = 0.7 * (1 - 0.35)  # limit 0.7; 35 % below it: severity 2 on a quarter of the map
    scores = perfusion.score_perfusion(polar(values), None, stress_limits=flat)
    assert scores.tpd_stress_percent == pytest.approx(100 * 2 * 0.25 / 4)
    assert scores.stress_extent_percent == pytest.approx(25)
    assert scores.stress_mean_severity == pytest.approx(2)
    assert scores.stress_scores[16] == 2  # the apex lies wholly inside


def test_a_normal_map_scores_nothing_and_an_absent_wall_everything_there():
    normal = perfusion.score_perfusion(normal_maps(1, seed=7)[0], None, stress_limits=limits())
    assert normal.sss == 0
    assert normal.tpd_stress_percent < 1
    gone = perfusion.score_perfusion(with_defect((5, 6, 11, 12, 16), 0.0), None, stress_limits=limits())
    assert gone.sss == 20
    assert gone.territories["LCX"].sss == 20
    assert gone.territories["LAD"].sss == 0
    share = np.isin(segment_map(RINGS, ANGLES), (5, 6, 11, 12, 16)).mean()
    assert gone.tpd_stress_percent == pytest.approx(100 * share, abs=0.5)


def test_a_deeper_defect_never_scores_less():
    tpd = [
        perfusion.score_perfusion(with_defect((7, 13), f), None, stress_limits=limits()).tpd_stress_percent
        for f in (1, 0.8, 0.6, 0.4, 0.2, 0)
    ]
    assert tpd == sorted(tpd)


def test_what_fills_in_at_rest_is_reversible_and_what_worsens_is_not_negative():
    stress, rest = with_defect((4, 10, 15), 0.4), with_defect((1, 7), 0.4)
    scores = perfusion.score_perfusion(stress, rest, stress_limits=limits(), rest_limits=limits("rest"))
    assert scores.sds == scores.sss == scores.territories["RCA"].sds
    assert scores.tpd_ischemic_percent == max(0, scores.tpd_stress_percent - scores.tpd_rest_percent)
    assert "reversible inferior defect (RCA)" in scores.summary
    assert scores.stress_percent_myocardium == pytest.approx(100 * scores.sss / 68)


def test_a_fixed_defect_is_called_fixed():
    both = with_defect((7, 8, 13, 14), 0.3)
    scores = perfusion.score_perfusion(both, both, stress_limits=limits(), rest_limits=limits("rest"))
    assert scores.sds == 0
    assert "fixed" in scores.summary
    assert "LAD" in scores.summary


def test_a_segment_given_to_another_vessel_takes_its_score_along():
    hurt = with_defect((16,), 0.0)
    usual = perfusion.score_perfusion(hurt, None, stress_limits=limits())
    moved = perfusion.score_perfusion(hurt, None, stress_limits=limits(), territories=assign_segments({16: "LAD"}))
    assert (usual.territories["LCX"].sss, usual.territories["LAD"].sss) == (4, 0)
    assert (moved.territories["LCX"].sss, moved.territories["LAD"].sss) == (0, 4)
    assert (moved.sss, moved.tpd_stress_percent) == (usual.sss, usual.tpd_stress_percent)
    assert "LAD" in moved.summary
    assert "LCX" in usual.summary
    assert moved.territory_segments["LAD"] == (1, 2, 7, 8, 13, 14, 16, 17)
    assert usual.territory_segments == {}
    with pytest.raises(InputError, match="once"):
        perfusion.score_perfusion(
            hurt, None, stress_limits=limits(), territories={"LAD": (1,), "LCX": (2,), "RCA": (3,)}
        )


def test_twenty_segments_score_the_same_absent_wall_by_their_own_number():
    inside = np.isin(segment_map(RINGS, ANGLES, model=SEGMENTS20), (4, 10, 16, 20))
    values = np.where(inside, 0.0, normal_maps(1, seed=99)[0].values)
    scores = perfusion.score_perfusion(polar(values), None, stress_limits=limits())
    held = perfusion.score_segments(scores.stress_severity, model=SEGMENTS20)
    assert np.flatnonzero(held).tolist() == [3, 9, 15, 19]
    assert scores.sss_20 == 16


def test_without_limits_scores_come_from_the_maximum_and_say_so():
    scores = perfusion.score_perfusion(with_defect((10,), 0.55, np.full((RINGS, ANGLES), 80.0)), None)
    assert scores.tpd_stress_percent is None
    assert scores.stress_scores[9] == 2
    assert "scores-without-limits" in {f.code for f in scores.findings}


def test_a_missing_state_leaves_its_numbers_open():
    scores = perfusion.score_perfusion(None, normal_maps(1)[0], rest_limits=limits("rest"))
    assert scores.sss is None
    assert scores.sds is None
    assert scores.srs == 0
    alone = perfusion.score_perfusion(with_defect((4, 10, 15), 0.4), None, stress_limits=limits())
    assert alone.summary == "Medium severe inferior defect (RCA) at stress."
    assert "no-known-state" in {f.code for f in perfusion.score_perfusion(None, None).findings}


def test_the_nearest_limits_are_chosen_and_the_difference_said():
    men, women = limits(sex="M", name="men", tracer="Tc-99m"), limits(sex="F", name="women", tracer="Tc-99m")
    best, said = perfusion.choose_limits([men, women], state="stress", sex="F", tracer="Tc-99m sestamibi")
    assert best.name == "women"
    assert {f.code for f in said} == {"normal-limits-simulated"}
    best, said = perfusion.choose_limits([men], state="stress", sex="F", tracer="N-13 ammonia")
    assert best.name == "men"
    assert "sex" in said[0].message
    assert "tracer" in said[0].message
    assert perfusion.choose_limits([men], state="rest")[0] is None


def test_limits_survive_the_disk_and_other_files_are_refused(tmp_path):
    held = limits(sex="F")
    perfusion.write_limits(tmp_path / "l.npz", held)
    back = perfusion.read_limits(tmp_path / "l.npz")
    assert back.mean == pytest.approx(held.mean, abs=1e-6)
    assert (back.sex, back.n, back.licence) == ("F", 40, "CC0")
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(InputError, match=r"bad.npz"):
        perfusion.read_limits(tmp_path / "bad.npz")


def test_neither_dose_nor_a_large_defect_moves_the_scale_of_what_is_left():
    held = limits()
    whole = normal_maps(1, seed=31)[0]
    scaled = perfusion.scale_map(whole.values, held)
    assert perfusion.scale_map(7 * whole.values, held) == pytest.approx(scaled)
    hurt = with_defect((1, 2, 3, 4, 7, 8, 9, 10, 13, 14), 0.3, whole.values)
    inside = np.isin(segment_map(RINGS, ANGLES), (5, 6, 11, 12, 16, 17))
    ratio = perfusion.scale_map(hurt.values, held)[inside] / scaled[inside]
    assert ratio == pytest.approx(1, abs=0.05)


def test_a_tracer_is_known_however_it_is_spelt():
    held = limits(tracer="Tc-99m")
    for spelt in ("Technetium Tc 99m Sestamibi", "99mTc-tetrofosmin", "Tc-99m", "99Tcm-MIBI", "Sestamibi", "MYOVIEW"):
        _, said = perfusion.choose_limits([held], state="stress", tracer=spelt)
        assert {f.code for f in said} == {"normal-limits-simulated"}
    _, said = perfusion.choose_limits([held], state="stress", tracer="Thallium-201")
    assert "normal-limits-nearest" in {f.code for f in said}
    named = {"Thallous chloride": "Tl-201", "82Rb": "Rb-82", "^13^N Ammonia": "N-13", "Fludeoxyglucose": "F-18"}
    assert {spelt: perfusion.isotope_of(spelt) for spelt in named} == named
    assert perfusion.isotope_of("lot 1201-82") == "lot 1201-82"


def test_a_scan_that_tells_no_tracer_gets_limits_of_its_modality():
    # With limits for Tc-99m and Rb-82 in the package a NIfTI file got those of Rb-82, the first by name.
    held = [limits(tracer="Rb-82", name="pet"), limits(tracer="Tc-99m", name="spect")]
    for tracer in (None, "", "something else"):
        for modality, name in ((None, "spect"), ("NM", "spect"), ("PT", "pet")):
            best, said = perfusion.choose_limits(held, state="stress", tracer=tracer, modality=modality)
            assert best.name == name
            assert said[0].code == "normal-limits-nearest"
    best, _ = perfusion.choose_limits(perfusion.shipped_limits(), state="rest")
    assert best.tracer == "Tc-99m"
    assert best.camera is None


def test_an_empty_name_of_camera_or_sex_is_none():
    held = [limits(tracer="Tc-99m", camera="CZT", name="czt"), limits(tracer="Tc-99m", name="wide")]
    assert perfusion.choose_limits(held, state="stress", tracer="Tc-99m", camera="", sex="")[0].name == "wide"


def test_a_solid_state_camera_takes_the_limits_of_its_kind_and_another_does_not():
    wide, czt = limits(tracer="Tc-99m", name="wide"), limits(tracer="Tc-99m", camera="CZT", name="czt")
    for camera, name in (
        ("Discovery NM 530c", "czt"),
        ("D-SPECT", "czt"),
        ("Infinia Hawkeye 4", "wide"),
        (None, "wide"),
    ):
        best, said = perfusion.choose_limits([czt, wide], state="stress", tracer="Tc-99m", camera=camera)
        assert best.name == name
        assert {f.code for f in said} == {"normal-limits-simulated"}
    best, said = perfusion.choose_limits([czt], state="stress", tracer="Tc-99m", camera="Infinia")
    assert "camera" in said[0].message


def test_the_nearest_tracer_is_one_of_the_same_kind():
    held = [limits(tracer="Tc-99m", name="spect"), limits(tracer="N-13", name="pet")]
    for tracer, name in (("Flurpiridaz F18", "pet"), ("Thallium-201", "spect"), ("Rubidium 82", "pet")):
        best, said = perfusion.choose_limits(held, state="stress", tracer=tracer)
        assert best.name == name
        assert said[0].code == "normal-limits-nearest"


def test_too_few_maps_or_another_grid_are_refused():
    with pytest.raises(InputError, match="at least 10"):
        perfusion.build_limits(normal_maps(3), LABEL)
    small = PolarMap(np.ones((12, 36)), np.zeros((12, 36, 3)), np.ones((12, 36)))
    with pytest.raises(InputError, match="grid"):
        perfusion.score_perfusion(small, None, stress_limits=limits())


def test_maps_without_counts_or_too_small_are_refused():
    for held in (None, limits()):
        with pytest.raises(InputError, match="no counts"):
            perfusion.measure_perfusion(polar(np.zeros((RINGS, ANGLES))), held)
    tiny = [PolarMap(np.ones((2, 4)), np.zeros((2, 4, 3)), np.ones((2, 4)))] * 10
    with pytest.raises(InputError, match="3 x 6 samples"):
        perfusion.build_limits(tiny, LABEL)


def test_files_that_hold_no_limits_are_refused_in_one_line(tmp_path):
    arrays = {key: np.ones((4, 6)) for key in ("mean", "sd", "mad")}
    for name, content in (("empty", b""), ("text", b"abc"), ("cut", b"PK\x03\x04" + bytes(40))):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}\.npz holds no normal limits"):
            perfusion.read_limits(path)
    np.save(tmp_path / "bare.npy", np.ones(3))
    with pytest.raises(InputError, match="holds no normal limits"):
        perfusion.read_limits(tmp_path / "bare.npy")
    for about, said in (("[1]", "no normal"), ("{}", "schema"), ('{"schema": "myoperf.limits/1", "x": 1}', "damaged")):
        np.savez(tmp_path / "other.npz", about=np.array(about), **arrays)
        with pytest.raises(InputError, match=said):
            perfusion.read_limits(tmp_path / "other.npz")


def test_dilation_is_the_ratio_of_cavities():
    assert perfusion.tid_ratio(60, 50) == pytest.approx(1.2)
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        assert perfusion.tid_ratio(bad, 50) is None
        assert perfusion.tid_ratio(50, bad) is None


def test_the_limits_in_the_package_are_said_to_be_simulated_and_rest_on_enough_patients():
    held = perfusion.shipped_limits()
    each = {(s, x) for s in ("stress", "rest") for x in ("F", "M", None)}
    protocols = {(one.tracer, one.camera, bool(one.corrected), one.position == "prone") for one in held}
    assert protocols == {
        ("Tc-99m", None, False, False),
        ("Tc-99m", None, True, False),
        ("Tc-99m", None, False, True),
        ("Tc-99m", "CZT", False, False),
        ("Tc-99m", "CZT", False, True),
        ("Tl-201", None, False, False),
        ("Rb-82", None, False, False),
        ("N-13", None, False, False),
    }
    for of in protocols:
        alike = (o for o in held if (o.tracer, o.camera, bool(o.corrected), o.position == "prone") == of)
        assert {(one.state, one.sex) for one in alike} == each
    for one in held:
        assert "simulated" in one.provenance
        assert one.n >= 40
        assert (one.lower < one.mean).all()
        camera = "Discovery NM 530c" if one.camera == "CZT" else "Infinia"
        of = {"sex": one.sex, "tracer": one.tracer, "camera": camera}
        of["condition"] = Condition(corrected=one.corrected, position=one.position)
        best, said = perfusion.choose_limits(held, state=one.state, **of)
        assert best.name == one.name
        assert {f.code for f in said} <= {"normal-limits-simulated", *(["normal-limits-nearest"] * (one.sex is None))}
        bare, _ = perfusion.choose_limits(held, state=one.state, sex=one.sex)
        assert bare.camera is None, "a camera that is not named gets the limits of any"


def changed(tmp_path, **changes):
    """Write the package's first limits with changes, and return the file."""
    (limits, *_) = perfusion.shipped_limits()
    path = tmp_path / "l.npz"
    perfusion.write_limits(path, replace(limits, **changes))
    return path


def somewhere(array, value):
    """Return an array with one value changed."""
    array = array.copy()
    array[3, 5] = value
    return array


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda held: {"mean": somewhere(held.mean, np.nan)}, "finite"),
        (lambda held: {"mean": somewhere(held.mean, -0.1)}, "above 0"),
        (lambda held: {"mean": held.mean * 100}, "up to 2"),
        (lambda held: {"sd": somewhere(held.sd, -1.0)}, "MAD"),
        (lambda held: {"sd": somewhere(held.sd, 5.0)}, "below the mean"),
        (lambda held: {"mad": somewhere(held.mad, -0.01)}, "MAD"),
        (lambda held: {"mad": held.sd * 2}, "MAD"),
        (lambda held: {"n": 3}, "10"),
        (lambda held: {"n": "84"}, "whole number"),
        (lambda held: {"top_ratio": 0.4}, "1 to 3"),
        (lambda held: {"top_ratio": float("nan")}, "1 to 3"),
        (lambda held: {"state": "exercise"}, "stress or rest"),
        (lambda held: {"sex": "women"}, "M, F or null"),
        (lambda held: {"camera": 7}, "text or null"),
        (lambda held: {"provenance": ""}, "must be text"),
        (lambda held: {"name": "\x1b[31mred"}, "must be text on one line"),
        (lambda held: {"jackknife": None} | {k: getattr(held, k)[:2, :4] for k in ("mean", "sd", "mad")}, "samples"),
    ],
)
def test_limits_with_impossible_values_are_refused_and_the_rule_is_named(tmp_path, change, rule):
    (held, *_) = perfusion.shipped_limits()
    with pytest.raises(InputError, match=rule):
        perfusion.read_limits(changed(tmp_path, **change(held)))


@pytest.mark.parametrize("header", [b"{'descr': '<f4', 'shape': (24, 72", b"{'descr':\n   1\n  2}", b"\xff" * 40])
def test_limits_whose_arrays_have_a_damaged_header_are_refused(tmp_path, header):
    """NumPy reads the header of an array by Python's own parser, which raises errors of its own kinds."""
    magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    with zipfile.ZipFile(tmp_path / "l.npz", "w") as archive:
        archive.writestr("about.npy", magic + header)
    with pytest.raises(InputError, match="holds no normal limits"):
        perfusion.read_limits(tmp_path / "l.npz")


def test_possible_limits_are_read(tmp_path):
    assert perfusion.read_limits(changed(tmp_path, sex=None, camera=None)).n >= 10


def test_limits_that_unpack_to_much_are_refused_from_their_header(tmp_path):
    with zipfile.ZipFile(tmp_path / "l.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mean.npy", bytes(2**25))
    with pytest.raises(InputError, match="unpacked"):
        perfusion.read_limits(tmp_path / "l.npz")


def test_deviations_are_counted_in_standard_deviations_of_the_normals():
    normal = limits()
    low = normal.mean - 2.5 * normal.sd
    assert perfusion.deviation_map(low, normal) == pytest.approx(np.full(low.shape, -2.5))
    still = replace(normal, sd=np.zeros_like(normal.sd))
    risen = perfusion.deviation_map(1.02 * normal.mean, still)
    assert risen == pytest.approx(np.full(low.shape, 2.0)), "of 1 % of the mean at least"
    ill = with_defect((4, 10), 0.5)
    scores = perfusion.score_perfusion(ill, None, stress_limits=normal)
    inside = np.isin(segment_map(RINGS, ANGLES), (4, 10))
    assert scores.stress_deviation[inside].mean() < -8.0
    assert abs(np.median(scores.stress_deviation[~inside])) < 2.0
    assert scores.rest_deviation is None
