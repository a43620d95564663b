"""The projector pair: physics of one view, exact transposes, and the short sum of blurs against the long one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from myoperf.errors import GeometryError, InputError
from myoperf.recon import GE_LEHR, SIEMENS_LEHR, CollimatorResponse, Projector, SystemGeometry, parallel_hole_response
from myoperf.recon.attenuation import attenuation_factors
from myoperf.recon.blur import blur_bank, discrete_gaussian
from myoperf.recon.system import footprints

ARC = tuple(225.44 - 12.0 * np.arange(15))


def small(response=None, angles=ARC, columns=24, rows=7, radius=160.0):
    return SystemGeometry(
        angles, columns, rows, 6.4, 5.1, None if response is None else (radius,) * len(angles), response
    )


def adjoint_error(projector, seed=0):
    rng = np.random.default_rng(seed)
    activity = rng.random((projector.voxels, 3, projector.planes), dtype=np.float32)
    shape = len(projector.views), projector.geometry.columns, 3, projector.geometry.rows
    counts = rng.random(shape, dtype=np.float32)
    left = float(np.vdot(projector.forward(activity).astype(np.float64), counts))
    right = float(np.vdot(activity.astype(np.float64), projector.back(counts)))
    return abs(left - right) / abs(left)


@pytest.mark.parametrize("response", [None, GE_LEHR, SIEMENS_LEHR])
@pytest.mark.parametrize("attenuated", [False, True])
@pytest.mark.parametrize("views", [None, (0, 4, 8, 12), (3,)])
def test_back_is_the_transpose_of_forward(response, attenuated, views):
    geometry = small(response)
    mu = np.random.default_rng(1).uniform(0, 0.015, (7, 24, 24))
    pad = Projector(geometry, views).pad_planes
    factors = attenuation_factors(mu, geometry, pad_planes=pad) if attenuated else None
    assert adjoint_error(Projector(geometry, views, attenuation=factors)) < 1e-5


@pytest.mark.parametrize("angle", [0.0, 17.3, 45.0, 90.0, 133.7, 180.0, 225.44, 270.0, 315.0])
def test_a_point_falls_on_the_column_of_the_formula(angle):
    geometry = SystemGeometry((angle,), 33, 2, 5.0, 5.0)
    x, y = geometry.voxels_mm
    first, weights = footprints(geometry, (0,))
    column = ((first[0][:, None] + np.arange(3)) * weights[0]).sum(axis=1)
    along = -x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))
    # The centroid of whole bins may sit up to a fraction of a bin off the exact one.
    assert_allclose(column, along / 5.0 + 16.0, atol=0.13)
    assert_allclose((column - along / 5.0 - 16.0).mean(), 0.0, atol=1e-3)


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 270.0])
def test_views_along_the_grid_are_plain_sums(angle):
    geometry = SystemGeometry((angle,), 16, 3, 5.0, 5.0)
    projector = Projector(geometry)
    array = np.random.default_rng(2).random((1, 3, 16, 16), dtype=np.float32) * geometry.inside
    view = projector.forward(np.moveaxis(array[:, :, geometry.inside], 2, 0))[0, :, 0].T
    # From the front column 0 is the patient's right (low x); from the left side it is the front (low y).
    expected = {180.0: array[0].sum(1), 0.0: array[0].sum(1)[:, ::-1]}
    expected |= {90.0: array[0].sum(2), 270.0: array[0].sum(2)[:, ::-1]}
    assert_allclose(view, expected[angle], rtol=1e-4)


def test_every_view_holds_all_counts_of_the_circle():
    geometry = SystemGeometry(tuple(np.linspace(0, 360, 29)), 24, 4, 6.4, 5.1)
    projector = Projector(geometry)
    activity = np.random.default_rng(3).random((projector.voxels, 1, 4), dtype=np.float32)
    inside = np.hypot(*geometry.voxels_mm) < 11 * 6.4
    activity[~inside] = 0
    assert_allclose(projector.forward(activity).sum(axis=(1, 3))[:, 0], activity.sum(), rtol=1e-5)


def test_blur_keeps_the_counts_of_a_source_in_the_middle():
    geometry = small(GE_LEHR, columns=32, rows=25)
    projector = Projector(geometry)
    activity = np.zeros((projector.voxels, 1, projector.planes), dtype=np.float32)
    activity[np.argmin(np.hypot(*geometry.voxels_mm)), 0, projector.planes // 2] = 100.0
    assert_allclose(projector.forward(activity).sum(axis=(1, 2, 3)), 100.0, rtol=1e-3)


@pytest.mark.parametrize("depth", [40.0, 100.0, 230.0])
def test_blur_has_the_width_of_the_collimator(depth):
    geometry = SystemGeometry((180.0,), 41, 41, 4.0, 4.0, (240.0,), GE_LEHR)
    projector = Projector(geometry)
    x, y = geometry.voxels_mm
    activity = np.zeros((projector.voxels, 1, projector.planes), dtype=np.float32)
    place = np.argmin(np.hypot(x, y - (depth - 240.0)))  # seen from the front, depth = radius + y
    if abs(np.hypot(x, y)[place]) > 78:
        place = np.argmin(np.abs(x) + np.abs(y - np.clip(depth - 240.0, -76, 76)))
    activity[place, 0, projector.planes // 2] = 1.0
    view = projector.forward(activity)[0, :, 0].astype(np.float64)
    true = GE_LEHR.sigma_mm(240.0 + y[place])
    for marginal in (view.sum(0), view.sum(1)):
        steps = np.arange(41) * 4.0
        mean = (marginal * steps).sum() / marginal.sum()
        variance = (marginal * (steps - mean) ** 2).sum() / marginal.sum()
        assert_allclose(np.sqrt(variance), true, rtol=0.02)


def exact_view(geometry, view, activity, pads):
    """Blur every voxel by its own kernel: the slow way."""
    bank_pad, plane_pad = pads
    wide, tall = geometry.columns + 2 * bank_pad, geometry.rows + 2 * plane_pad
    sigma = geometry.response.sigma_mm(geometry.depth_mm((view,)))[0]
    first, weights = footprints(geometry, (view,), bank_pad)
    bins = np.zeros((first.shape[1], wide))
    for part in range(3):
        np.add.at(bins, (np.arange(first.shape[1]), np.clip(first[0] + part, 0, wide - 1)), weights[0, :, part])
    across = discrete_gaussian(wide, geometry.columns, (sigma / geometry.column_mm) ** 2)
    along = discrete_gaussian(tall, geometry.rows, (sigma / geometry.row_mm) ** 2)
    seen = np.einsum("vcb,vb->vc", across, bins)
    return np.einsum("vc,vz->cz", seen, np.einsum("vrz,vz->vr", along, activity[:, 0].astype(np.float64)))


@pytest.mark.parametrize("response", [GE_LEHR, SIEMENS_LEHR, CollimatorResponse("flat", 8.0, 0.0, 0.0)])
def test_short_sum_of_blurs_equals_blurring_every_voxel(response):
    geometry = small(response, columns=32, rows=11)
    bank = blur_bank(geometry)
    projector = Projector(geometry, (0, 7))
    activity = np.random.default_rng(4).random((projector.voxels, 1, projector.planes), dtype=np.float32)
    activity *= np.random.default_rng(5).random(activity.shape) < 0.02
    fast = projector.forward(activity)[:, :, 0]
    slow = np.stack([exact_view(geometry, view, activity, (bank.pad_columns, bank.pad_rows)) for view in (0, 7)])
    assert np.linalg.norm(fast - slow) / np.linalg.norm(slow) < 1e-3


def test_attenuation_of_a_uniform_cylinder_matches_chords():
    radius, mu, size = 100.0, 0.015, 64
    geometry = SystemGeometry((180.0, 225.0, 331.0), size, 1, 4.0, 4.0)
    fine = (np.arange(size * 8) - 0.5 * (size * 8 - 1)) * 0.5
    disc = (np.hypot(fine[:, None], fine[None]) <= radius).reshape(size, 8, size, 8).mean(axis=(1, 3))
    factors = attenuation_factors(mu * disc[None], geometry)[:, :, 0]
    x, y = geometry.voxels_mm
    for angle, got in zip(np.deg2rad(geometry.angles_deg), factors, strict=True):
        depth, across = x * np.sin(angle) + y * np.cos(angle), y * np.sin(angle) - x * np.cos(angle)
        within = np.hypot(x, y) < radius - 12
        chord = np.sqrt(radius**2 - across[within] ** 2) - depth[within]
        assert_allclose(got[within], np.exp(-mu * chord), rtol=0.03)


def test_discrete_gaussian_has_its_variance_at_any_width():
    for variance in (0.05, 0.5, 4.0):
        kernel = discrete_gaussian(61, 1, variance)[0]
        steps = np.arange(61) - 30
        assert_allclose([kernel.sum(), (kernel * steps**2).sum()], [1.0, variance], rtol=1e-9)


def test_lehr_resolution_at_10_cm_is_what_the_vendors_state():
    # Data sheets give 7.4-7.5 mm system resolution at 10 cm for both.
    assert_allclose(GE_LEHR.fwhm_mm(100.0), 7.4, atol=0.5)
    assert_allclose(SIEMENS_LEHR.fwhm_mm(100.0), 7.5, atol=0.6)


def test_bad_collimators_and_missing_radius_are_refused():
    with pytest.raises(InputError, match="non-negative"):
        CollimatorResponse("x", -1.0, 0.0, 0.0)
    with pytest.raises(InputError, match="collimate"):
        parallel_hole_response("x", hole_diameter_mm=1.0, hole_length_mm=0.5, source="none")
    with pytest.raises(GeometryError, match="radius_mm"):
        SystemGeometry((0.0,), 8, 8, 4.0, 4.0, None, GE_LEHR)


@st.composite
def systems(draw):
    """Draw a small camera: any angles, sizes and pixels, with or without a collimator's response."""
    response = draw(st.sampled_from((None, GE_LEHR, SIEMENS_LEHR)))
    views = draw(st.lists(st.floats(0.0, 359.9), min_size=1, max_size=4, unique=True))
    columns, rows = draw(st.integers(8, 20)), draw(st.integers(2, 8))
    pixel, slice_mm, radius = draw(st.floats(3.0, 8.0)), draw(st.floats(3.0, 8.0)), draw(st.floats(90.0, 300.0))
    radii = None if response is None else (radius,) * len(views)
    return SystemGeometry(tuple(views), columns, rows, pixel, slice_mm, radii, response)


steady = settings(derandomize=True, deadline=None, max_examples=30)


@steady
@given(systems(), st.integers(0, 1000))
def test_back_is_the_transpose_of_forward_for_any_camera(geometry, seed):
    assert adjoint_error(Projector(geometry), seed) < 1e-5


@steady
@given(systems(), st.floats(0.1, 10.0), st.integers(0, 1000))
def test_views_of_a_sum_are_the_sum_of_views_and_hold_no_negative_counts(geometry, factor, seed):
    projector, rng = Projector(geometry), np.random.default_rng(seed)
    one, two = rng.random((2, projector.voxels, 1, projector.planes), dtype=np.float32)
    views = projector.forward(one) + np.float32(factor) * projector.forward(two)
    together = projector.forward(one + np.float32(factor) * two)
    assert_allclose(together, views, rtol=1e-4, atol=1e-4 * float(views.max()))
    assert together.min() >= 0
