"""Smooth fits, peaks and the valve plane on known surfaces and counts."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.types import LVFrame
from myoperf.ventricle.fit import WallSeries, beat_at, beat_basis, bend_sheet
from myoperf.ventricle.profiles import find_peaks
from myoperf.ventricle.rays import lay_rays
from myoperf.ventricle.valve_plane import ValveSearch, find_valve_plane

FRAME = LVFrame((40.0, -40.0, -30.0), (-10.0, 10.0, 10.0), (0, -0.5, 0.8))
RAYS = lay_rays(FRAME)
SERIES = WallSeries.on(RAYS, cosines=6, harmonics=4, stiffness=3e-5)
SEARCH = ValveSearch(
    usual_rings=slice(12, 20), usual_percentile=50.0, lowest_mm=9.0, open_sectors=False, ridge=0.2, rounds=10
)


def a_wall():
    """A wall that leans and narrows: smooth and single-valued at the pole."""
    lean = np.sin(RAYS.tilt_rad)[:, None] * np.cos(RAYS.angle_rad - 0.7)
    return 28.0 + 3.0 * lean + 2.0 * np.cos(np.pi * RAYS.profile)[:, None] + np.zeros((1, RAYS.angles))


def test_the_series_reproduces_a_wall_and_closes_a_gap():
    wall, weight = a_wall(), np.ones((RAYS.height_mm.size, RAYS.angles))
    np.testing.assert_allclose(SERIES.smooth(wall, weight), wall, atol=0.02)
    weight[15:22, 5:14] = 0.0
    torn = np.where(weight > 0, wall, 80.0)
    np.testing.assert_allclose(SERIES.smooth(torn, weight), wall, atol=0.15)


def test_harmonics_vanish_at_the_pole():
    pole = lay_rays(FRAME, cap_tilt_rad=np.linspace(0, 1.5, 12))
    basis = WallSeries.on(pole, cosines=6, harmonics=4, stiffness=1.0).basis.reshape(pole.height_mm.size, 36, -1)
    np.testing.assert_allclose(basis[0], np.repeat(basis[0, :1], 36, axis=0))


def test_a_robust_fit_disregards_stray_values():
    wall, weight = a_wall(), np.ones((RAYS.height_mm.size, RAYS.angles))
    rng = np.random.default_rng(4)
    stray = np.where(rng.random(wall.shape) < 0.08, wall + 25.0, wall + rng.normal(0, 0.5, wall.shape))
    plain, robust = (
        np.abs((SERIES.basis @ SERIES.fit(stray, weight, robust=r)).reshape(wall.shape) - wall).mean()
        for r in (False, True)
    )
    assert robust < 0.2 < 1.0 < plain


def test_terms_fitted_on_coarse_rays_mean_the_same_on_fine_ones():
    fine = lay_rays(FRAME, angles=72, tube_height_mm=np.linspace(0.0, RAYS.height_mm[-1], 50))
    terms = SERIES.fit(a_wall(), np.ones((RAYS.height_mm.size, RAYS.angles)))
    there = (WallSeries.on(fine, cosines=6, harmonics=4, stiffness=3e-5).basis @ terms).reshape(-1, 72)
    np.testing.assert_allclose(there[fine.cap_rings, ::2], a_wall()[RAYS.cap_rings], atol=0.02)
    np.testing.assert_allclose(there[-1, ::2], a_wall()[-1], atol=0.02)


def test_several_surfaces_are_smoothed_as_each_alone():
    weight = np.random.default_rng(5).uniform(0.1, 1.0, (RAYS.height_mm.size, RAYS.angles))
    beats = np.stack([a_wall(), 0.8 * a_wall() + 3.0, a_wall()[:, ::-1]])
    np.testing.assert_allclose(SERIES.smooth(beats, weight)[1], SERIES.smooth(beats[1], weight))


@pytest.mark.parametrize(("gates", "terms"), [(1, 1), (4, 3), (8, 5), (16, 7)])
def test_the_beat_is_followed_with_two_or_three_harmonics(gates, terms):
    basis = beat_basis(gates)
    assert basis.shape == (gates, terms)
    np.testing.assert_allclose(basis.T @ basis, np.diag(np.diag(basis.T @ basis)), atol=1e-12)


def test_a_sheet_bends_over_a_gap_and_round_the_angles():
    ring, turn = np.arange(12.0)[:, None], np.arange(32) * 2 * np.pi / 32
    wall = 30.0 + 0.5 * ring + 2.0 * np.cos(turn)
    weight = np.ones(wall.shape)
    weight[4:7, 30:] = weight[4:7, :3] = 0.0  # across the seam
    sheet = bend_sheet(np.where(weight > 0, wall, 0.0), weight, np.full(wall.shape, 33.0), pull=1e-4)
    np.testing.assert_allclose(sheet, wall, atol=0.2)
    np.testing.assert_allclose(bend_sheet(wall, np.zeros(wall.shape), np.full(wall.shape, 33.0)), 33.0)


def test_peaks_are_found_near_the_place_expected():
    place = np.array([[20.3, 31.75], [25.0, 40.6]])
    mm = np.arange(70.0)[:, None, None]
    wall = 80.0 * np.exp(-0.5 * ((mm - place) / 6.0) ** 2)
    gut = 150.0 * np.exp(-0.5 * ((mm - place - 30.0) / 6.0) ** 2)
    coarse = find_peaks(wall + gut, place + 2.0, window_mm=6.0)
    np.testing.assert_allclose(coarse.place_mm, np.rint(place), atol=1.0)


def counts_of(rim_mm, sector=None):
    """Counts 100 up to the rim (gates, angles), then 10, over one ring; a share of them in each sector."""
    fall = np.clip((rim_mm[:, None] - RAYS.height_mm[:, None]) / RAYS.tube_step_mm + 0.5, 0.0, 1.0)
    return (10.0 + 90.0 * fall) * (np.ones(RAYS.angles) if sector is None else sector)


def test_the_valve_plane_of_a_static_image_tilts():
    rim = (32.0 + 4.0 * np.cos(RAYS.angle_rad) - 2.0 * np.sin(RAYS.angle_rad))[None]
    expected = np.full(rim.shape, 25.0)
    np.testing.assert_allclose(find_valve_plane(counts_of(rim), RAYS, expected, SEARCH), rim, atol=0.5)
    hot = np.where(np.abs(RAYS.angle_rad - np.pi / 2) < 0.7, 3.0, 1.0)  # a hot septum ends where it ends
    np.testing.assert_allclose(find_valve_plane(counts_of(rim, hot), RAYS, expected, SEARCH), rim, atol=0.8)
    flat = find_valve_plane(counts_of(rim), RAYS, expected, replace(SEARCH, most_tilt_mm=1.0))[0]
    assert np.ptp(flat) == pytest.approx(2.0, abs=0.05)


def test_the_valve_plane_follows_the_beat_with_one_tilt():
    time = (np.arange(8) + 0.5) / 8
    rim = (32.0 + 5.0 * np.cos(2 * np.pi * time))[:, None] + 3.0 * np.cos(RAYS.angle_rad)
    found = find_valve_plane(counts_of(rim), RAYS, np.full(rim.shape, 32.0), SEARCH)
    np.testing.assert_allclose(found, rim, atol=0.7)
    np.testing.assert_allclose(found - found[:, :1], np.tile(found[:1] - found[:1, :1], (8, 1)), atol=1e-9)


def test_a_defect_does_not_vote_and_open_sectors_vote_where_wanted():
    rim, expected = np.full((1, RAYS.angles), 30.0), np.full((1, RAYS.angles), 24.0)
    counts = counts_of(rim, np.where(RAYS.angle_rad < 1.2, 0.2, 1.0))
    counts[0, RAYS.cap_rings + 5 :, RAYS.angle_rad < 1.2] = 0.0  # the defect ends early
    np.testing.assert_allclose(find_valve_plane(counts, RAYS, expected, SEARCH), rim, atol=0.5)
    everywhere = np.full((1, RAYS.height_mm.size, RAYS.angles), 100.0)
    np.testing.assert_allclose(find_valve_plane(everywhere, RAYS, expected, SEARCH), expected)
    last = find_valve_plane(everywhere, RAYS, expected, replace(SEARCH, open_sectors=True))
    np.testing.assert_allclose(last, RAYS.height_mm[-1] + 0.5 * RAYS.tube_step_mm, atol=1e-3)


@pytest.mark.parametrize("gates", [8, 16])
def test_a_beat_is_restored_from_the_means_of_its_gates(gates):
    fine = (np.arange(1600) + 0.5) / 1600
    beat = np.stack([60 + 30 * np.cos(2 * np.pi * fine) + 8 * np.sin(4 * np.pi * fine), np.ones(1600)], axis=1)
    means = beat.reshape(gates, -1, 2).mean(axis=1)
    assert beat_at(means, fine) == pytest.approx(beat, abs=0.05)
    assert np.ptp(means[:, 0]) < np.ptp(beat[:, 0]) - 0.5


def test_one_gate_holds_at_all_times():
    assert beat_at(np.array([[3.0, 4.0]]), np.array([0.1, 0.7])).tolist() == [[3.0, 4.0]] * 2
