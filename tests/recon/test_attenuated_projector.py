"""The attenuated projector against brute force, and a thorax made flat."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from myoperf.recon import GE_LEHR, Projector, ReconOptions, SystemGeometry, reconstruct
from myoperf.recon.attenuation import attenuation_factors
from myoperf.types import Projections, Volume

COLUMNS, PIXEL, ROWS = 48, 7.0, 3
FINE = 4


def thorax(step_mm, columns):
    """Attenuation in 1/mm and activity of a chest in one plane: body, two lungs, spine; heart, body, lungs."""
    x = (np.arange(columns) - 0.5 * (columns - 1)) * step_mm
    x, y = x[None, :], x[:, None]
    body = (x / 150.0) ** 2 + (y / 105.0) ** 2 <= 1
    lungs = (((np.abs(x) - 72.0) / 48.0) ** 2 + (y / 72.0) ** 2 <= 1) & body
    heart = np.hypot(x - 35.0, y + 25.0) <= 38.0
    spine = np.hypot(x, y - 75.0) <= 18.0
    mu = np.where(body, 0.0154, 0.0)
    mu[lungs & ~heart] = 0.0045
    mu[spine] = 0.0205
    activity = np.where(body, 0.1, 0.0)
    activity[lungs & ~heart] = 0.04
    activity[heart] = 1.0
    return mu, activity, heart


def brute_force(mu, activity, angles, step_mm):
    """Project by marching rays through a fine grid with nearest neighbours: no code of the package."""
    size = mu.shape[0]
    middle = 0.5 * (size - 1)
    march = 0.5 * step_mm
    depth = np.arange(-200.0, 200.0, march)
    views = []
    for angle in np.deg2rad(angles):
        bins = (np.arange(COLUMNS * FINE) - 0.5 * (COLUMNS * FINE - 1)) * PIXEL / FINE
        x = depth[:, None] * np.sin(angle) - bins[None] * np.cos(angle)
        y = depth[:, None] * np.cos(angle) + bins[None] * np.sin(angle)
        row, column = np.rint(y / step_mm + middle).astype(int), np.rint(x / step_mm + middle).astype(int)
        valid = (row >= 0) & (row < size) & (column >= 0) & (column < size)
        row, column = np.clip(row, 0, size - 1), np.clip(column, 0, size - 1)
        here, dense = np.where(valid, activity[row, column], 0.0), np.where(valid, mu[row, column], 0.0)
        beyond = np.cumsum(dense[::-1], axis=0)[::-1] - 0.5 * dense
        ray = (here * np.exp(-beyond * march)).sum(axis=0) * march
        views.append(ray.reshape(COLUMNS, FINE).mean(axis=1) / PIXEL)
    return np.stack(views)


@pytest.fixture(scope="module")
def chest():
    fine_mm = PIXEL / 8
    mu, activity, _ = thorax(fine_mm, COLUMNS * 8)
    coarse_mu, coarse_activity = (a.reshape(COLUMNS, 8, COLUMNS, 8).mean(axis=(1, 3)) for a in (mu, activity))
    angles = (225.0 - 6.0 * np.arange(30)) % 360.0
    geometry = SystemGeometry(tuple(angles), COLUMNS, ROWS, PIXEL, PIXEL)
    return geometry, coarse_mu, coarse_activity, brute_force(mu, activity, angles, fine_mm)


def test_attenuated_views_equal_brute_force_within_three_percent(chest):
    geometry, mu, activity, expected = chest
    factors = attenuation_factors(np.broadcast_to(mu, (ROWS, COLUMNS, COLUMNS)), geometry)
    image = np.repeat(activity[geometry.inside][:, None, None], ROWS, axis=2).astype(np.float32)
    got = Projector(geometry, attenuation=factors).forward(image)[:, :, 0, 1]
    difference = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    assert difference < 0.03
    plain = Projector(geometry).forward(image)[:, :, 0, 1]
    assert np.linalg.norm(plain - expected) / np.linalg.norm(expected) > 0.5
    assert_allclose(got.sum() / expected.sum(), 1.0, atol=0.01)


@pytest.mark.parametrize("psf", [None, GE_LEHR])
def test_back_projection_is_the_transpose_with_attenuation(chest, psf):
    geometry, mu, _, _ = chest
    geometry = SystemGeometry(geometry.angles_deg, COLUMNS, ROWS, PIXEL, PIXEL, (220.0,) * 30, psf)
    pad = Projector(geometry).pad_planes
    factors = attenuation_factors(np.broadcast_to(mu, (ROWS, COLUMNS, COLUMNS)), geometry, pad_planes=pad)
    projector = Projector(geometry, attenuation=factors)
    rng = np.random.default_rng(2)
    activity = rng.random((projector.voxels, 1, projector.planes)).astype(np.float32)
    counts = rng.random((30, COLUMNS, 1, ROWS)).astype(np.float32)
    assert_allclose((projector.forward(activity) * counts).sum(), (projector.back(counts) * activity).sum(), rtol=1e-4)


def test_the_heart_in_a_thorax_is_flat_with_its_map_and_not_without(chest):
    geometry, mu, _, views = chest
    counts = np.repeat(views[:, None], ROWS, axis=1)[None]
    projections = Projections(counts, geometry.angles_deg, (PIXEL, PIXEL))
    attenuation = Volume(
        np.repeat(10.0 * mu[None], ROWS, axis=0).astype(np.float32), geometry.lps_from_index((0.0, 0.0, 0.0))
    )
    options = ReconOptions(iterations=12, subsets=6, post_filter=False, scatter="off")
    x = (np.arange(COLUMNS) - 0.5 * (COLUMNS - 1)) * PIXEL
    heart = np.hypot(x[None, :] - 35.0, x[:, None] + 25.0) < 28.0  # away from its edge, where the image overshoots
    fixed = reconstruct(projections, options, attenuation=attenuation).volume.array[0, 1]
    plain = reconstruct(projections, options).volume.array[0, 1]
    assert_allclose(fixed[heart].mean(), 1.0, atol=0.03)
    front = heart & (x[:, None] < -32.0)
    back = heart & (x[:, None] > -18.0)
    assert_allclose(fixed[front].mean() / fixed[back].mean(), 1.0, atol=0.04)
    assert plain[heart].mean() < 0.4
