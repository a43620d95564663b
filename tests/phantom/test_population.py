from functools import lru_cache

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.geometry import anterior_direction
from myoperf.phantom.heart import fraction_of_meridian, myocardium_ml, wall_at
from myoperf.phantom.labels import ica_labels, stenosis_percent
from myoperf.phantom.motion import volumes
from myoperf.phantom.population import draw_patient
from myoperf.phantom.pose import (
    AXIS_SHIFT,
    EULER_MEAN,
    EULER_RANGE,
    TURN_MEAN_DEG,
    TURN_SD_DEG,
    frame_from_euler,
    rotation,
)
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.phantom.truth import truth
from myoperf.phantom.voxelise import _chambers
from myoperf.types import Float, LVFrame

N = 2000


@lru_cache(maxsize=1)
def _cohort() -> tuple[PatientModel, ...]:
    return tuple(draw_patient(np.random.default_rng(s)) for s in np.random.SeedSequence(11).spawn(N))


def _euler_from_frame(frame: LVFrame) -> Float:
    """Invert `frame_from_euler`, beta in the principal range: beyond -pi/2 the same rotation by other angles."""
    matrix = np.stack([frame.lateral, -frame.anterior, frame.axis], axis=1)
    beta = np.arcsin(np.clip(-matrix[1, 2], -1.0, 1.0))
    return np.array([np.arctan2(matrix[0, 2], matrix[2, 2]), beta, np.arctan2(matrix[1, 0], matrix[1, 1])])


def _within(count: int, n: int, share: float) -> bool:
    """Within four standard errors of a binomial."""
    return abs(count / n - share) < 4 * np.sqrt(share * (1 - share) / n)


@pytest.mark.slow
def test_prevalences_are_those_asked_for() -> None:
    labels = [ica_labels(p.coronary) for p in _cohort()]
    for name, share in {"LAD": 0.57, "LCX": 0.42, "RCA": 0.39, "patient": 0.66}.items():
        assert _within(sum(label[name] for label in labels), N, share), name


def test_clinical_facts_follow_the_table() -> None:
    clinical = [p.clinical for p in _cohort()]
    assert _within(sum(c.sex == "M" for c in clinical), N, 0.75)
    assert _within(sum(c.diabetes for c in clinical), N, 0.24)
    assert _within(sum(c.hypertension for c in clinical), N, 0.59)
    assert _within(sum(c.stressor == "exercise" for c in clinical), N, 0.59)
    for values, mean, sd in (
        ([c.age_years for c in clinical], 59.9, 11.6),
        ([c.height_m for c in clinical], 1.69, 0.11),
        ([c.weight_kg for c in clinical], 82.3, 15.6),
    ):
        assert np.mean(values) == pytest.approx(mean, abs=4 * sd / np.sqrt(N))
        assert np.std(values) == pytest.approx(sd, rel=0.08)


def test_the_sick_are_older_and_more_often_men() -> None:
    sick = np.array([ica_labels(p.coronary)["patient"] for p in _cohort()], dtype=bool)
    age = np.array([p.clinical.age_years for p in _cohort()])
    men = np.array([p.clinical.sex == "M" for p in _cohort()])
    assert age[sick].mean() > age[~sick].mean() + 1.5
    assert men[sick].mean() > men[~sick].mean()


def test_axes_cover_the_papers_range_about_the_usual_axis() -> None:
    # Beta beyond -pi/2 comes back folded.
    alpha, beta, _ = np.array([_euler_from_frame(p.frame) for p in _cohort()]).T
    (low, high), (_, most) = EULER_RANGE[:2]
    assert alpha.min() < low + 0.12
    assert alpha.max() > high + AXIS_SHIFT[0] - 0.12
    assert beta.min() < -1.5
    assert beta.max() > most - 0.12
    middle = np.array(EULER_MEAN[:2]) + AXIS_SHIFT
    np.testing.assert_allclose([np.median(alpha), np.median(beta)], middle, atol=0.1)


def test_anterior_lies_near_up_turned_towards_the_septum() -> None:
    """As the right ventricle's insertions show it in real volumes; the paper's own gamma would give -19 degrees."""
    up = [LVFrame(p.frame.apex_mm, p.frame.base_mm, anterior_direction(p.frame.axis)) for p in _cohort()]
    anterior = [p.frame.anterior for p in _cohort()]
    turn = [np.degrees(np.arctan2(a @ f.septal, a @ f.anterior)) for a, f in zip(anterior, up, strict=True)]
    assert np.mean(turn) == pytest.approx(TURN_MEAN_DEG, abs=1.0)
    assert np.std(turn) == pytest.approx(TURN_SD_DEG, abs=1.0)


def test_right_ventricle_joins_where_the_segments_of_the_septum_end() -> None:
    """AHA: insertions at 30 and 150 degrees; a shifted or wider right ventricle leaves both tolerances."""
    for patient in _cohort()[:5]:
        ventricle = patient.ventricle
        right = _chambers(patient, 0.0)[0]
        fraction, angle = np.linspace(0.5, 1.0, 6)[:, None], np.arange(360.0)[None]
        wall = wall_at(ventricle, fraction_of_meridian(ventricle, fraction, angle), angle)
        across, turn = wall.outer_mm * np.sin(wall.theta), np.deg2rad(angle)
        places = np.stack([across * np.cos(turn), across * np.sin(turn), wall.outer_mm * np.cos(wall.theta)], axis=-1)
        joined = (((places - right[:3]) / right[3:]) ** 2).sum(axis=-1) < 1.0
        first, last = joined.argmax(axis=1).mean(), 359.0 - joined[:, ::-1].argmax(axis=1).mean()
        assert first == pytest.approx(30.0, abs=10.0)
        assert last == pytest.approx(150.0, abs=10.0)


def test_places_in_the_field_of_view_cover_the_papers_translations() -> None:
    """Table 2 of paper 003: (least, most), SPECT over half a field of 64 x 6.8 mm, PET of 128 x 2.03 mm."""
    places = np.array([p.frame.centre_mm - p.scan_centre_mm for p in _cohort()])
    spect, pet = -places / (0.5 * 64 * 6.8), -places / (0.5 * 128 * 2.03)
    np.testing.assert_allclose(spect.mean(axis=0), (-0.19, 0.15, -0.29), atol=0.03)
    ranges = (
        (spect, [(-0.30, -0.06), (-0.06, 0.31), (-0.47, -0.04)]),
        (pet, [(-0.28, -0.04), (-0.02, 0.22), (-0.33, -0.17)]),
    )
    for move, wanted in ranges:
        for axis, (low, high) in enumerate(wanted):
            assert move[:, axis].min() <= low
            assert move[:, axis].max() >= high


def test_euler_angles_come_back_from_the_frame() -> None:
    euler = np.array([-0.9, -1.1, 1.3])
    frame = frame_from_euler(euler, (40.0, -30.0, 5.0), 80.0)
    np.testing.assert_allclose(_euler_from_frame(frame), euler, atol=1e-12)
    np.testing.assert_allclose(frame.centre_mm, (40.0, -30.0, 5.0), atol=1e-12)
    matrix = rotation(euler)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1.0)


def test_the_mean_pose_is_an_upright_heart() -> None:
    frame = frame_from_euler(EULER_MEAN, (0.0, 0.0, 0.0), 80.0)
    to_apex = -frame.axis
    assert to_apex[0] > 0.2
    assert to_apex[1] < -0.5
    assert to_apex[2] < 0.0
    assert frame.anterior[2] > 0.7
    assert frame.lateral[0] > 0.7


def test_hearts_are_small_and_large_weak_and_strong() -> None:
    volume = np.array([volumes(p, "rest", np.arange(32) / 32) for p in _cohort()[:300]])
    end_diastolic, ejection = volume.max(axis=1), 1 - volume.min(axis=1) / volume.max(axis=1)
    assert (volume > 6.0).all()
    assert np.percentile(end_diastolic, 2) < 105
    assert end_diastolic.max() > 270
    assert ejection.min() < 0.35
    assert 0.5 < np.median(ejection) < 0.72


@pytest.mark.parametrize(
    ("male", "edv_ml", "esv_ml", "mass_g", "wall_mm", "ef"),
    [
        (1.0, (160, 27), (54, 14), (118, 21), (6.3, 1.1), (62, 6)),
        (0.0, (132, 23), (44, 11), (84, 18), (5.3, 0.9), (63.5, 6)),
    ],
)
def test_normal_hearts_have_the_anatomy_of_magnetic_resonance(
    male: float,
    edv_ml: tuple[float, float],
    esv_ml: tuple[float, float],
    mass_g: tuple[float, float],
    wall_mm: tuple[float, float],
    ef: tuple[float, float],
) -> None:
    """Mean and SD as published; mass lies between two sources: see docs/phantom-population.md."""
    rng = np.random.SeedSequence(5).spawn(120)
    patients = [draw_patient(np.random.default_rng(s), PopulationOptions(normal=True, male=male)) for s in rng]
    volume = np.array([volumes(p, "rest", np.arange(32) / 32) for p in patients])
    measured = (
        volume.max(axis=1),
        volume.min(axis=1),
        np.array([1.05 * myocardium_ml(p.ventricle) for p in patients]),
        np.array([np.mean(p.ventricle.wall_mm[6:12]) for p in patients]),
        100 * (1 - volume.min(axis=1) / volume.max(axis=1)),
    )
    for values, (mean, spread) in zip(measured, (edv_ml, esv_ml, mass_g, wall_mm, ef), strict=True):
        assert abs(values.mean() - mean) < 0.6 * spread
        assert 0.6 * spread < values.std() < 1.5 * spread


def test_base_is_thicker_than_apex_and_septum_than_lateral_wall() -> None:
    walls = np.array([p.ventricle.wall_mm for p in _cohort()[:400] if not p.coronary.infarcts])
    mean = walls.mean(axis=0)
    assert mean[:6].mean() > 1.08 * mean[6:12].mean() > 1.08 * mean[12:16].mean() > 1.2 * mean[16]
    assert mean[[1, 2]].mean() > 1.04 * mean[[4, 5]].mean()
    assert 0.002 < (walls.max(axis=1) > 15.0).mean() < 0.08


def test_one_seed_one_patient() -> None:
    first, second = (draw_patient(np.random.default_rng(77)) for _ in range(2))
    assert (first.ventricle, first.coronary, first.torso, first.uptake) == (
        second.ventricle,
        second.coronary,
        second.torso,
        second.uptake,
    )
    np.testing.assert_array_equal(first.frame.apex_mm, second.frame.apex_mm)


def test_low_likelihood_patients_have_no_disease() -> None:
    for seed in range(30):
        patient = draw_patient(np.random.default_rng(seed), PopulationOptions(normal=True))
        known = truth(patient)
        assert max(stenosis_percent(patient.coronary).values()) == 0.0
        assert not patient.coronary.infarcts
        assert known.ica["patient"] == 0
        assert known.defect_extent_percent["stress"] < 2.0
        assert known.lvef_percent["rest"] > 45.0


def test_a_population_of_one_sex_and_of_sick_only_can_be_drawn() -> None:
    options = PopulationOptions(
        prevalence={"LAD": 0.6, "LCX": 0.5, "RCA": 0.5}, patient_prevalence=1.0, male=0.0, tracer="N-13"
    )
    patients = [draw_patient(np.random.default_rng(s), options) for s in range(40)]
    assert all(p.clinical.sex == "F" and ica_labels(p.coronary)["patient"] for p in patients)
    assert all("breasts" in p.torso.solids for p in patients)


@pytest.mark.parametrize(
    ("prevalence", "patient", "message"),
    [
        ({"LAD": 0.5, "LCX": 0.4}, 0.6, "needed for LAD, LCX and RCA"),
        ({"LAD": 0.5, "LCX": 0.4, "RCA": 1.2}, 0.6, "between 0 and 1"),
        ({"LAD": 0.5, "LCX": 0.4, "RCA": 0.3}, 0.4, "must lie between"),
    ],
)
def test_impossible_populations_are_refused(prevalence: dict[str, float], patient: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PopulationOptions(prevalence=prevalence, patient_prevalence=patient)
