from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import GeometryError, InputError
from myoperf.geometry import index_from_lps, sample, transform_points
from myoperf.phantom.anatomy import ATTENUATION_PER_MM, STATIC_ORGANS, outside_cage_mm, static_organs
from myoperf.phantom.gating import volume_curve
from myoperf.phantom.heart import (
    deform,
    fraction_of_meridian,
    myocardium_ml,
    solid_angle_weights,
    spread_segments,
    wall_at,
)
from myoperf.phantom.motion import contraction, gate_times, local_ejection, moved_surfaces, phase_deg, pose_at, volumes
from myoperf.phantom.parts import Ventricle
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import ORGANS, Grid, PatientModel, PopulationOptions
from myoperf.phantom.torso import wall_points_mm
from myoperf.phantom.truth import phase_bandwidth_deg, truth, truth_polar
from myoperf.phantom.voxelise import attenuation, heart_box, label_volume, voxelise
from myoperf.segments import segment_means
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Volume


def _patient(seed: int, **options: object) -> PatientModel:
    return draw_patient(np.random.default_rng(seed), PopulationOptions(**options))  # type: ignore[arg-type]


def _about_heart(patient: PatientModel, shape: tuple[int, int, int], spacing: float) -> Grid:
    return Grid.centred(shape, spacing, tuple(patient.frame.centre_mm))


def _half_ellipsoid(length: float, radius: float, wall: float) -> Ventricle:
    return Ventricle(length, radius, 2.0, 0.0, 0.0, 0.0, (wall,) * 17, 0.0)


def _cavity_ml(ventricle: Ventricle) -> float:
    q, angle, weight = solid_angle_weights(ventricle)
    return float((weight * wall_at(ventricle, q, angle).inner_mm ** 3).sum() / 3000.0)


def test_thin_ellipsoidal_wall_has_the_closed_form_volume() -> None:
    ventricle = _half_ellipsoid(80.0, 25.0, 0.02)
    assert _cavity_ml(ventricle) == pytest.approx(2 / 3 * np.pi * 25**2 * 80 / 1000, rel=2e-3)


def test_wall_of_a_hemisphere_is_as_thick_as_told() -> None:
    ventricle = _half_ellipsoid(30.0, 30.0, 8.0)
    assert _cavity_ml(ventricle) == pytest.approx(2 / 3 * np.pi * 26**3 / 1000, rel=1e-4)
    assert myocardium_ml(ventricle) == pytest.approx(2 / 3 * np.pi * (34**3 - 26**3) / 1000, rel=1e-4)


def test_fraction_is_arc_length() -> None:
    sphere = _half_ellipsoid(30.0, 30.0, 8.0)
    q = np.linspace(0, 1, 11)
    np.testing.assert_allclose(wall_at(sphere, q, 40.0).fraction, q, atol=2e-4)
    cone = _half_ellipsoid(85.0, 24.0, 8.0)
    fraction = np.linspace(0.02, 0.98, 13)[:, None]
    angle = np.arange(0, 360, 50.0)[None]
    again = wall_at(cone, fraction_of_meridian(cone, fraction, angle), angle).fraction
    np.testing.assert_allclose(again, np.broadcast_to(fraction, again.shape), atol=1e-5)


def test_septum_is_shorter_than_the_lateral_wall() -> None:
    wall = wall_at(replace(_half_ellipsoid(85.0, 25.0, 8.0), valve_tilt=0.3), 1.0, np.array([90.0, 270.0]))
    apexward = wall.mid_mm * np.cos(wall.theta)
    assert apexward[0] > 5
    assert apexward[1] < -5


def test_contraction_keeps_the_walls_volume_in_every_cone_and_thickens_it() -> None:
    wall = wall_at(_patient(4).ventricle, np.linspace(0.05, 0.95, 9)[:, None], np.arange(0, 360, 30.0)[None])
    inner, outer = deform(wall, 0.6)
    np.testing.assert_allclose(outer**3 - inner**3, wall.outer_mm**3 - wall.inner_mm**3, rtol=1e-10)
    np.testing.assert_allclose(inner**3, 0.4 * wall.inner_mm**3, rtol=1e-10)
    assert (outer - inner > wall.outer_mm - wall.inner_mm).all()


def test_the_wall_loses_the_share_of_its_volume_that_it_is_told_to() -> None:
    wall = wall_at(_patient(4).ventricle, np.linspace(0.05, 0.95, 9)[:, None], np.arange(0, 360, 30.0)[None])
    inner, outer = deform(wall, 0.6, 0.05)
    np.testing.assert_allclose(outer**3 - inner**3, 0.95 * (wall.outer_mm**3 - wall.inner_mm**3), rtol=1e-10)


def test_the_base_descends_and_the_apex_stays() -> None:
    descents = []
    for seed in range(12):
        patient = _patient(seed, normal=True)
        ends = np.arange(48) / 48
        systole = float(ends[volumes(patient, "rest", ends).argmin()])
        pose = pose_at(patient, "rest", systole)
        tip = wall_at(patient.ventricle, np.zeros(1), np.zeros(1))
        apex = pose.stretch * moved_surfaces(patient, "rest", systole, tip, np.zeros(1))[1][0] + pose.shift_mm
        assert abs(apex - tip.outer_mm[0]) < 0.15 * pose.shift_mm
        descents.append(pose.shift_mm)
    assert 11.0 < np.mean(descents) < 18.0


def test_segment_values_are_met_at_the_segments_centres() -> None:
    values = np.arange(17.0) + 3.0
    fraction = np.concatenate([np.full(6, 0.86), np.full(6, 0.585), np.full(4, 0.30), [0.0]])
    angle = np.concatenate([np.arange(6) * 60.0, np.arange(6) * 60.0, np.arange(4) * 90.0, [10.0]])
    np.testing.assert_allclose(spread_segments(values, fraction, angle), values, atol=1e-9)
    with pytest.raises(InputError, match="17 segments"):
        spread_segments(np.ones(16), 0.5, 0.0)


def test_curve_of_contraction_runs_from_nought_to_one() -> None:
    time = np.arange(2000) / 2000
    for systole in (0.28, 0.36, 0.46):
        curve = contraction(time, systole)
        assert curve.min() == pytest.approx(0.0, abs=1e-5)
        assert curve.max() == pytest.approx(1.0, abs=1e-5)
        assert curve[0] < 1e-5
        assert time[curve.argmax()] == pytest.approx(systole, abs=0.05)
    np.testing.assert_allclose(contraction(time + 1.0, 0.36), contraction(time, 0.36), atol=1e-12)
    with pytest.raises(InputError, match="at least one gate"):
        gate_times(0)


@pytest.mark.parametrize("seed", [1, 2, 8])
@pytest.mark.parametrize("gates", [8, 16])
def test_voxelised_volumes_and_ejection_fraction_are_the_parametric_ones(seed: int, gates: int) -> None:
    patient = _patient(seed)
    grid = _about_heart(patient, (52, 54, 56), 3.4)
    exact = volumes(patient, "stress", gate_times(gates))
    chosen = [0, int(exact.argmax()), int(exact.argmin())]
    boxes = [heart_box(patient, grid, state="stress", times=gate_times(gates)[[i]]) for i in chosen]
    measured = np.array([box.cavity.sum() * grid.voxel_ml for box in boxes])
    np.testing.assert_allclose(measured, exact[chosen], rtol=0.01)
    assert 100 * abs(measured[2] / measured[1] - exact.min() / exact.max()) < 0.5
    wall_ml = myocardium_ml(patient.ventricle)
    for box in boxes:
        shrunk = 1.0 - patient.function.wall_loss
        assert shrunk * wall_ml * 0.99 < box.myocardium.sum() * grid.voxel_ml < 1.01 * wall_ml


def test_volume_of_the_beat_agrees_with_direct_integration_and_more_gates_approach_truth() -> None:
    patient = _patient(2)
    known = truth(patient)
    curve = volumes(patient, "rest", np.arange(64) / 64)
    assert known.lvef_percent["rest"] == pytest.approx(100 * (1 - curve.min() / curve.max()))
    many = volumes(patient, "rest", gate_times(32))
    assert abs(100 * (1 - many.min() / many.max()) - known.lvef_percent["rest"]) < 1.0
    assert curve.max() <= _cavity_ml(patient.ventricle) * (1 + 1e-6)


def test_phase_has_the_spread_that_was_set() -> None:
    function = replace(_patient(5).function, phase_sd_deg=37.0)
    fraction, angle = ((np.arange(50) + 0.5) / 50)[:, None], (np.arange(60) * 6.0)[None]
    phase = phase_deg(function, fraction, angle)
    assert phase.std() == pytest.approx(37.0, rel=0.01)
    assert phase.mean() == pytest.approx(0.0, abs=0.5)
    assert 37.0 < phase_bandwidth_deg(phase) < 6 * 37.0
    assert phase_bandwidth_deg(np.arange(100.0)) == 94.0


def test_phase_of_a_regions_volume_is_the_set_delay() -> None:
    patient = _patient(5)
    patient = replace(patient, function=replace(patient.function, phase_sd_deg=40.0, phase_pattern=(0, 1, 0, 0, 0)))
    times = np.arange(32) / 32
    place = np.array([0.7, 0.7]), np.array([90.0, 270.0])
    ejected = np.stack([local_ejection(patient, "rest", float(t), *place) for t in times])
    phase = np.rad2deg(np.angle(np.fft.fft(ejected, axis=0)[1]))
    measured = (phase[1] - phase[0] + 180) % 360 - 180
    set_delay = phase_deg(patient.function, *place)
    assert measured == pytest.approx(set_delay[0] - set_delay[1], abs=1e-6)


@pytest.mark.parametrize("seed", [21, 24])
def test_segments_of_the_noiseless_volume_are_the_truth(seed: int) -> None:
    patient = _patient(seed)
    grid = _about_heart(patient, (60, 62, 64), 2.4)
    box = heart_box(patient, grid, state="stress", times=np.zeros(1), supersample=3)
    uptake, share = (np.zeros(grid.shape, np.float32) for _ in range(2))
    uptake[box.window], share[box.window] = box.myocardium_uptake, box.myocardium
    fraction, angle = ((np.arange(40) + 0.5) / 40)[:, None], (np.arange(72) * 5.0)[None]
    wall = wall_at(patient.ventricle, fraction_of_meridian(patient.ventricle, fraction, angle), angle)
    middle = 0.5 * (wall.inner_mm + wall.outer_mm)
    turn = np.deg2rad(np.broadcast_to(angle, middle.shape))
    across = middle * np.sin(wall.theta)
    local = np.stack([across * np.cos(turn), across * np.sin(turn), middle * np.cos(wall.theta)], axis=-1)
    frame = patient.frame
    points = frame.base_mm + local @ np.stack([frame.anterior, frame.septal, -frame.axis])
    seen, there = (sample(Volume(a, grid.lps_from_index), points)[0] for a in (uptake, share))
    assert there[2:-2].min() > 0.5
    np.testing.assert_allclose(
        segment_means(seen / there), segment_means(truth_polar(patient, "stress", 40, 72)), atol=0.015
    )


def test_same_seed_same_arrays() -> None:
    grid = Grid.centred((20, 22, 24), 12.0)
    first, second = (voxelise(_patient(9), grid, state="rest", gate=2) for _ in range(2))
    for organ in ORGANS:
        np.testing.assert_array_equal(first.occupancy[organ], second.occupancy[organ])
    np.testing.assert_array_equal(first.myocardium_uptake, second.myocardium_uptake)
    assert not np.array_equal(first.total(), voxelise(_patient(10), grid, state="rest", gate=2).total())


@pytest.mark.parametrize("seed", [3, 14])
def test_shares_of_a_voxel_never_exceed_one_and_fill_the_body(seed: int) -> None:
    patient = _patient(seed)
    grid = Grid.centred((40, 44, 48), 8.0, (0.0, 0.0, -30.0))
    organs = voxelise(patient, grid, state="stress")
    total = sum(organs.occupancy.values())
    assert total.max() <= 1 + 1e-5
    assert min(share.min() for share in organs.occupancy.values()) >= 0.0
    centre = np.round(transform_points(index_from_lps(grid.lps_from_index), patient.frame.centre_mm)).astype(int)
    assert total[tuple(centre)] == pytest.approx(1.0, abs=1e-5)
    assert (organs.lv_cavity <= organs.occupancy["blood"] + 1e-6).all()
    for organ in ("liver", "lungs", "spleen", "bowel", "spine", "body"):
        assert organs.occupancy[organ].sum() * grid.voxel_ml > 50.0


def test_static_organs_do_not_change_when_reused() -> None:
    patient, grid = _patient(3), Grid.centred((30, 32, 34), 10.0)
    static = static_organs(patient, grid)
    before = {organ: share.copy() for organ, share in static.items()}
    reused = voxelise(patient, grid, state="rest", gate=0, static=static)
    for organ in STATIC_ORGANS:
        np.testing.assert_array_equal(static[organ], before[organ])
    np.testing.assert_array_equal(reused.total(), voxelise(patient, grid, state="rest", gate=0).total())


def test_ellipsoids_are_painted_with_their_volume() -> None:
    patient = _patient(3)
    grid = Grid.centred((70, 72, 74), 5.0, (0.0, 0.0, -60.0))
    shape = patient.torso.solids["kidneys"][0]
    alone = replace(patient.torso, solids={"kidneys": (shape,)}, spine_mm=(0.0, 900.0, 0.0), aorta_mm=(0.0, 900.0, 0.0))
    painted = static_organs(replace(patient, torso=alone), grid)["kidneys"].sum() * grid.voxel_ml
    assert painted == pytest.approx(4 / 3 * np.pi * np.prod(shape.radii_mm) / 1000, rel=0.01)


def test_attenuation_is_waters_in_the_heart_and_none_in_air() -> None:
    patient = _patient(3)
    grid = Grid.centred((30, 32, 34), 12.0)
    mu = attenuation(patient, grid)
    centre = np.round(transform_points(index_from_lps(grid.lps_from_index), patient.frame.base_mm)).astype(int)
    assert mu[tuple(centre)] == pytest.approx(ATTENUATION_PER_MM["soft"], rel=1e-3)
    assert mu[:, 0, 0].max() == 0.0
    assert mu.max() == pytest.approx(ATTENUATION_PER_MM["spine"], rel=1e-3)


def test_labels_follow_the_time_average() -> None:
    patient = _patient(6)
    grid = _about_heart(patient, (52, 54, 56), 3.4)
    labels = label_volume(patient, grid, "rest")
    assert set(np.unique(labels)) == {0, MYOCARDIUM, BLOOD_POOL}
    mean = volume_curve(patient, "rest", 8).mean()
    assert (labels == BLOOD_POOL).sum() * grid.voxel_ml == pytest.approx(mean, rel=0.12)
    assert (labels == MYOCARDIUM).sum() * grid.voxel_ml == pytest.approx(myocardium_ml(patient.ventricle), rel=0.12)


@pytest.mark.parametrize("seed", range(6))
def test_the_heart_lies_inside_the_rib_cage_above_the_diaphragm(seed: int) -> None:
    patient = _patient(seed)
    points = wall_points_mm(patient.ventricle, patient.frame)
    assert outside_cage_mm(patient.torso, points).max() <= 0.5


def test_a_grid_that_cannot_be_is_refused() -> None:
    with pytest.raises(GeometryError, match="three positive sizes"):
        Grid((0, 3, 4), np.eye(4))
    with pytest.raises(GeometryError, match="invertible"):
        Grid((2, 3, 4), np.zeros((4, 4)))


def test_dilation_and_stunning_make_the_stress_heart_larger_and_weaker() -> None:
    patient = _patient(33)
    patient = replace(patient, function=replace(patient.function, stress_dilation=0.15))
    known = truth(patient)
    assert known.edv_ml["stress"] > 1.1 * known.edv_ml["rest"]
    assert known.lvef_percent["stress"] <= known.lvef_percent["rest"] + 0.1
