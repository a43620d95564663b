"""Thickness of the wall told from the blur of the image, on closed-form beating ventricles of known walls."""

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from myoperf.gated import PET_BLUR, SPECT_BLUR, measure_function
from myoperf.gated.thickness import WallBlur, apex_pattern, thickness_over_beat
from myoperf.types import LVFrame, Volume
from myoperf.ventricle.rays import lay_rays, mid_wall_area_mm2
from support.ventricle import grid_about, half_ellipsoid_ml, make_ventricle, points_of, subvoxels

AXIS, SHAPE = (-0.64, 0.6, 0.48), (36,) * 3
GATES = 8


@cache
def beating(wall_mm, fwhm_mm=14.0, spacing=6.0, haze=0.0, blood=0.0):
    """Return a gated image of a wall that keeps its volume, its ventricle at rest, EDV and ESV."""
    rest = make_ventricle((-12.0, 9.0, 9.0), AXIS, (0, -0.5, 0.8), radius=29.0, length=80.0, wall=wall_mm)
    affine = grid_about(rest.frame.centre_mm, SHAPE, spacing)
    places = [points_of(affine, SHAPE, shift=shift) for shift in subvoxels(3)]
    thick = np.linspace(1, 40, 8000)
    array, pools = np.full((GATES, *SHAPE), 0.08, np.float32), []
    for image, time in zip(array, (np.arange(GATES) + 0.5) / GATES, strict=True):
        scale = 1 - 0.15 * (1 - np.cos(2 * np.pi * time))
        inner = rest.inner[0] * scale, rest.inner[1] * (1 - 0.4 * (1 - scale))
        whole = half_ellipsoid_ml((inner[0] + thick, inner[1] + thick)) - half_ellipsoid_ml(inner)
        t = thick[np.argmin(np.abs(whole - rest.wall_ml))]
        outer = inner[0] + t, inner[1] + t
        gate = rest.scaled(outer, inner, towards_apex_mm=rest.outer[1] - outer[1])
        pools.append(gate.pool_ml)
        for points in places:
            labels = gate.labels(points)
            image += ((labels == 1) + np.float32(blood) * (labels == 2)) / np.float32(27)
    blurred = ndimage.gaussian_filter(array, (0, *(fwhm_mm / 2.3548 / spacing,) * 3))
    if haze:
        blurred += haze * ndimage.gaussian_filter(array, (0, *(45.0 / 2.3548 / spacing,) * 3))
    return Volume(blurred, affine), rest, max(pools), min(pools)


def measured(wall_mm, *, image=None, **options):
    volume, rest, _, _ = beating(wall_mm)
    return measure_function(volume if image is None else image, rest.frame, rest.polar_map(), **options)


@pytest.mark.parametrize("wall_mm", [6.0, 9.0, 14.0])
def test_thin_and_thick_walls_are_measured_in_images_of_one_blur(wall_mm):
    _, rest, edv, esv = beating(wall_mm)
    result = measured(wall_mm)
    assert result.wall.wall_ed_mm == pytest.approx(wall_mm, abs=1.6)
    assert result.wall.wall_es_mm > 1.15 * result.wall.wall_ed_mm
    assert result.wall.resolution_fwhm_mm == pytest.approx(14.0, abs=1.6)
    assert result.wall.mass_g == pytest.approx(1.05 * rest.wall_ml, rel=0.2)
    assert result.edv_ml == pytest.approx(edv, rel=0.1)
    assert result.lvef_percent == pytest.approx(100 * (1 - esv / edv), abs=4.0)


def test_a_sharper_image_has_the_same_wall():
    volume, rest, _, _ = beating(9.0, 8.0, 4.5)
    prior = WallBlur(thickness_mm=9.5, thickness_sd_mm=4.0, sigma_mm=3.4, sigma_sd_mm=0.5)
    known = measure_function(volume, rest.frame, rest.polar_map(), prior=prior)
    assert known.wall.wall_ed_mm == pytest.approx(9.0, abs=1.2)
    assert known.wall.resolution_fwhm_mm == pytest.approx(8.0, abs=1.2)


def test_haze_around_the_wall_is_not_taken_for_blur():
    volume, rest, edv, _ = beating(9.0, haze=0.25)
    result = measure_function(volume, rest.frame, rest.polar_map())
    assert result.wall.resolution_fwhm_mm == pytest.approx(14.0, abs=1.8)
    assert result.edv_ml == pytest.approx(edv, rel=0.1)


def test_blood_in_the_cavity_is_not_taken_for_wall():
    """Blood moves the peak of the blurred wall inwards and fills its profile: the wall and volumes stay as without."""
    volume, rest, _, _ = beating(9.0, blood=0.15)
    bloody, plain = measure_function(volume, rest.frame, rest.polar_map()), measured(9.0)
    assert bloody.wall.wall_ed_mm == pytest.approx(plain.wall.wall_ed_mm, abs=0.6)
    assert bloody.edv_ml == pytest.approx(plain.edv_ml, rel=0.04)
    assert bloody.esv_ml == pytest.approx(plain.esv_ml, rel=0.06)


def test_a_wall_that_the_image_hides_is_given_what_is_known_of_walls():
    """With little to tell a thin wall from none, the estimate stays near the prior and says how little it knows."""
    volume, rest, _, _ = beating(5.0)
    noisy = volume.with_array(np.random.default_rng(4).normal(volume.array, 0.04).clip(0).astype(np.float32))
    wall = measure_function(noisy, rest.frame, rest.polar_map()).wall
    assert 3.5 < wall.wall_ed_mm < 8.0
    assert wall.wall_sd_mm > 0.8


@pytest.mark.parametrize("wall_mm", [6.0, 9.0])
def test_gates_that_lost_counts_to_short_beats_change_nothing(wall_mm):
    volume = beating(wall_mm)[0]
    recorded = np.array([1.0] * (GATES - 2) + [0.85, 0.65], np.float32)
    fewer = measured(wall_mm, image=volume.with_array(volume.array * recorded[:, None, None, None]))
    whole = measured(wall_mm)
    assert fewer.edv_ml == pytest.approx(whole.edv_ml, rel=1e-3)
    assert fewer.esv_ml == pytest.approx(whole.esv_ml, rel=1e-3)
    assert fewer.wall.wall_ed_mm == pytest.approx(whole.wall.wall_ed_mm, rel=1e-2)
    np.testing.assert_allclose(fewer.wall.thickening_percent, whole.wall.thickening_percent, atol=0.5)


def test_without_a_beat_the_thickness_is_as_uncertain_as_before():
    volume, rest, _, _ = beating(9.0)
    still = Volume(np.repeat(volume.array[:1], GATES, axis=0), volume.lps_from_index)
    wall = measure_function(still, rest.frame, rest.polar_map()).wall
    assert wall.wall_sd_mm > 1.5 * measured(9.0).wall.wall_sd_mm
    assert wall.wall_sd_mm == pytest.approx(SPECT_BLUR.thickness_sd_mm, rel=0.2)


def test_a_wall_of_constant_volume_thickens_as_its_area_shrinks_but_for_a_loss():
    area = np.array([100.0, 80.0, 60.0, 90.0])
    thick = thickness_over_beat(SPECT_BLUR, area) / SPECT_BLUR.thickness_mm
    assert thick[0] == 1.0
    assert thick[2] == pytest.approx(0.95 * 100 / 60)
    assert thick[3] == pytest.approx((1 - 0.05 * 0.4) * 100 / 90)


def test_the_apex_is_a_quarter_thinner_than_the_rest_and_the_mean_stays():
    """A half sphere with a tube of its radius: cos^2 over the half sphere has a mean of 1/3."""
    radius, rim = 30.0, 45.0
    rays = lay_rays(LVFrame((0.0, 0.0, -75.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)))
    middle = np.full((rays.height_mm.size, rays.angles), radius)
    area = mid_wall_area_mm2(rays, middle[None], np.full((1, rays.angles), rim))[0]
    pattern = apex_pattern(rays, middle, float(area))
    assert pattern[0, 0] / pattern[-1, 0] == pytest.approx(0.75, abs=0.01)
    assert pattern[-1, 0] == pytest.approx(1 / (1 - 0.25 / 3 / (1 + rim / radius)), rel=3e-3)


def test_pet_is_sharper_than_spect():
    assert PET_BLUR.sigma_mm + 2 * PET_BLUR.sigma_sd_mm < SPECT_BLUR.sigma_mm
