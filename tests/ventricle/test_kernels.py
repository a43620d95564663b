"""The compiled steps of following the wall against slow, plain references."""

import numpy as np
import pytest
from scipy import ndimage

from myoperf.geometry import affine_from_axes, index_from_lps, transform_points
from myoperf.types import LVFrame, Volume
from myoperf.ventricle.profiles import find_refined_peaks
from myoperf.ventricle.rays import at_rings, equal_arc_rings, lay_rays
from myoperf.ventricle.synthesis import Shell, shell_image

FRAME = LVFrame((10.0, -20.0, -60.0), (-20.0, 30.0, -20.0), (0.2, -0.6, 0.7))
RAYS = lay_rays(FRAME, angles=16)
AXES = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def grid_around(spacing_mm, shape, gates, seed=0):
    """Random smooth counts on a grid whose middle is the ventricle's."""
    half = 0.5 * (np.array(shape) - 1) * spacing_mm
    affine = affine_from_axes(FRAME.centre_mm - AXES.T @ half, AXES, spacing_mm)
    noise = np.random.default_rng(seed).random((gates, *shape))
    return Volume(ndimage.gaussian_filter(noise, (0, 1.2, 1.2, 1.2)).astype(np.float32), affine)


def slow_peaks(volume, rays, expected, samples, window):
    """The same peaks from every sample of every ray, by scipy."""
    points = transform_points(index_from_lps(volume.lps_from_index), rays.sweep(np.arange(float(samples))))
    index, mm = np.moveaxis(points, -1, 0), np.arange(float(samples))[:, None, None]
    out = []
    for image, near in zip(volume.array, expected, strict=True):
        spline = ndimage.spline_filter(image.astype(float), order=3, mode="nearest")
        profile = ndimage.map_coordinates(spline, index, order=3, mode="nearest", prefilter=False)
        best = np.argmax(profile * np.exp(-0.5 * ((mm - near) / window) ** 2), axis=0)
        best = np.clip(best, 5, samples - 6)
        steps = np.arange(-4, 5).reshape(-1, 1, 1)
        around = np.take_along_axis(profile, best[None] + steps, axis=0)
        _, slope, half = np.polynomial.polynomial.polyfit(steps.ravel(), around.reshape(9, -1), 2)
        slope, second = slope.reshape(best.shape), 2.0 * half.reshape(best.shape)
        shift = np.where(second < 0, np.clip(-slope / np.minimum(second, -1e-12), -4, 4), 0.0)
        out.append((best + shift, np.maximum(around[4], 0.0), -second))
    return np.moveaxis(np.array(out), 1, 0)


@pytest.mark.parametrize("gates", [1, 3, 8])
@pytest.mark.parametrize("shape", [(21, 22, 23), (9, 11, 10)], ids=["inside", "rays leave the grid"])
def test_refined_peaks_are_those_of_every_sample(gates, shape):
    volume = grid_around((5.0, 6.0, 7.0), shape, gates)
    rng = np.random.default_rng(1)
    expected = 20.0 + 15.0 * rng.random((gates, *RAYS.direction.shape[:2]))
    peaks = find_refined_peaks(volume, RAYS, expected, reach_mm=52.3, window_mm=8.0)
    place, height, curvature = slow_peaks(volume, RAYS, expected, 53, 8.0)
    np.testing.assert_allclose(peaks.place_mm, place, atol=1e-6)
    np.testing.assert_allclose(peaks.height, height, atol=1e-9)
    np.testing.assert_allclose(peaks.curvature, curvature, atol=1e-9)


def test_a_peak_far_from_the_expected_place_is_found_where_nothing_lies_near():
    volume = grid_around((5.0, 5.0, 5.0), (31, 31, 31), 1)
    points = transform_points(volume.lps_from_index, np.moveaxis(np.indices(volume.grid_shape), 0, -1))
    _, _, distance, _ = RAYS.locate(points.reshape(-1, 3))
    shell = np.exp(-0.5 * ((distance - 42.0) / 4.0) ** 2).reshape(1, *volume.grid_shape)
    expected = np.full((1, *RAYS.direction.shape[:2]), 8.0)
    image = volume.with_array(shell.astype(np.float32))
    peaks = find_refined_peaks(image, RAYS, expected, reach_mm=60.0, window_mm=14.0)
    wall = slice(2, RAYS.cap_rings)
    np.testing.assert_allclose(peaks.place_mm[0, wall], 42.0, atol=2.0)


def test_a_blurred_shell_is_its_sharp_image_blurred_gate_by_gate():
    gates, shape = 2, RAYS.direction.shape[:2]
    rng = np.random.default_rng(3)
    middle = 28.0 + 2.0 * rng.random((gates, *shape))
    rim = np.full((gates, RAYS.angles), 25.0) + np.array([[0.0], [3.0]])
    shell = Shell(middle, np.full((gates, *shape), 10.0), rim, 1.0 + rng.random(shape))
    grid = grid_around((6.0, 6.5, 7.0), (22, 21, 20), gates)
    sharp = shell_image(RAYS, shell, grid, sigma_mm=0.0).array
    wide = shell_image(RAYS, shell, grid, sigma_mm=9.0).array
    # The sharp image is blurred by a tenth of a fine voxel at least; counts are kept by both.
    np.testing.assert_allclose(wide.sum(axis=(1, 2, 3)), sharp.sum(axis=(1, 2, 3)), rtol=0.05)
    again = shell_image(RAYS, Shell(middle[1:], shell.thickness_mm[1:], rim[1:], shell.uptake), grid, sigma_mm=9.0)
    np.testing.assert_allclose(again.array[0], wide[1], rtol=1e-6)
    width = 9.0 / np.array([6.0, 6.5, 7.0])
    reference = ndimage.gaussian_filter(sharp[0].astype(float), width, truncate=4.0, mode="constant")
    assert np.corrcoef(reference.ravel(), wide[0].ravel())[0, 1] > 0.995


def test_rings_at_equal_arc_are_those_of_interpolation():
    distance = 30.0 + 3.0 * np.random.default_rng(2).random(RAYS.direction.shape[:2])
    rim = np.linspace(18.0, 32.0, RAYS.angles)
    place, arc = equal_arc_rings(RAYS, distance, rings=24, rim_mm=rim), RAYS.arc_mm(distance)
    share = (np.arange(24) + 0.5) / 24
    for column in range(RAYS.angles):
        whole = np.interp(rim[column], RAYS.height_mm[RAYS.cap_rings :], arc[RAYS.cap_rings :, column])
        expected = np.interp(share * whole, arc[:, column], np.arange(len(arc)))
        np.testing.assert_allclose(place[:, column], expected, atol=1e-9)
    assert at_rings(arc, place).shape == (24, RAYS.angles)
