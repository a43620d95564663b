"""What comes out of a reconstruction: places, counts, profiles, likelihood, gates, refusals."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose

from myoperf.errors import InputError
from myoperf.geometry import affine_from_axes, transform_points
from myoperf.recon import (
    GE_LEHR,
    Projector,
    ReconOptions,
    SystemGeometry,
    butterworth,
    interleaved_subsets,
    osem,
    reconstruct,
)
from myoperf.recon.attenuation import attenuation_factors
from myoperf.types import Projections, Volume

PLAIN = ReconOptions(post_filter=False)
ARCS = {"RAO to LPO": 225.0 - 6.0 * np.arange(30), "whole turn": 3.7 + 12.0 * np.arange(30)}


def point_projections(point_mm, angles, *, axis_mm=(3.0, -8.0, 40.0), columns=48, rows=19, pixel=(5.0, 6.0)):
    """Project a Gaussian source of 9 mm sigma by the formula of the record, without any projector."""
    offset = np.subtract(point_mm, axis_mm)
    a = np.deg2rad(angles)[:, None, None]
    column = (np.arange(columns) - 0.5 * (columns - 1)) * pixel[1]
    height = (0.5 * (rows - 1) - np.arange(rows))[:, None] * pixel[0]
    along = -offset[0] * np.cos(a) + offset[1] * np.sin(a)
    counts = 1e3 * np.exp(-((column - along) ** 2 + (height - offset[2]) ** 2) / (2 * 9.0**2))
    return Projections(counts[None], angles, pixel, np.full(len(angles), 200.0), axis_mm)


@pytest.mark.parametrize("arc", ARCS)
@pytest.mark.parametrize("psf", [None, GE_LEHR])
@pytest.mark.parametrize("point", [(3.0, -8.0, 40.0), (55.0, -40.0, 61.0), (-70.3, 21.7, 12.4)])
def test_a_point_comes_back_to_its_place_in_the_patient(arc, psf, point):
    result = reconstruct(point_projections(point, ARCS[arc]), replace(PLAIN, psf=psf))
    values = result.volume.array[0].astype(np.float64)
    values[values < 0.2 * values.max()] = 0
    centre = [(np.indices(values.shape)[axis] * values).sum() / values.sum() for axis in range(3)]
    assert_allclose(transform_points(result.volume.lps_from_index, centre), point, atol=1.0)


def disc_projections(radius_mm=70.0, angles=ARCS["whole turn"], columns=64, rows=3, pixel=4.0):
    """Chords of a uniform disc of activity 1 a voxel, averaged over the bins: closed form."""
    fine = (np.arange(columns * 20) - 0.5 * (columns * 20 - 1)) * pixel / 20
    chords = 2 * np.sqrt(np.maximum(radius_mm**2 - fine**2, 0)).reshape(columns, 20).mean(axis=1) / pixel
    counts = np.broadcast_to(chords, (1, len(angles), rows, columns))
    return Projections(counts, angles, (pixel, pixel))


def test_a_disc_converges_to_its_activity():
    volume = reconstruct(disc_projections(), ReconOptions(iterations=12, subsets=6, post_filter=False)).volume
    steps = (np.arange(64) - 31.5) * 4.0
    within = np.hypot(steps[:, None], steps[None]) < 52
    values = volume.array[0, 1][within]
    assert abs(values.mean() - 1.0) < 5e-3
    assert values.std() < 0.05
    beyond = volume.array[0, 1][np.hypot(steps[:, None], steps[None]) > 82]
    assert beyond.max() < 0.05


@pytest.mark.parametrize("psf", [None, GE_LEHR])
def test_the_reprojected_image_holds_the_counts_of_the_views(psf):
    projections = point_projections((20.0, 10.0, 40.0), ARCS["whole turn"])
    geometry = SystemGeometry.of(projections, psf)
    counts = projections.array.transpose(1, 3, 0, 2).astype(np.float32)
    activity = osem(counts, [Projector(geometry)], iterations=8)
    # An EM step with one subset keeps the counts: sum A x = sum y.
    assert_allclose(Projector(geometry).forward(activity).sum(), counts.sum(), rtol=1e-4)


@pytest.mark.parametrize("psf", [None, GE_LEHR])
def test_likelihood_rises_with_every_iteration(psf):
    rng = np.random.default_rng(11)
    projections = replace(disc_projections(), radius_mm=np.full(30, 150.0))
    geometry = SystemGeometry.of(projections, psf)
    counts = rng.poisson(4 * projections.array.transpose(1, 3, 0, 2)).astype(np.float32)
    whole = Projector(geometry)

    def likelihood(subsets, iterations):
        projectors = [Projector(geometry, views) for views in interleaved_subsets(projections.angles_deg, subsets)]
        expected = np.maximum(whole.forward(osem(counts, projectors, iterations=iterations)), 1e-9)
        return float((counts * np.log(expected.astype(np.float64)) - expected).sum())

    single = [likelihood(1, n) for n in (1, 2, 4, 8)]
    assert single == sorted(single)
    assert likelihood(4, 2) > single[1]


def cylinder(mu_per_mm=0.015, radius_mm=90.0, rows=3, columns=48, pixel=5.0):
    fine = (np.arange(columns * 8) - 0.5 * (columns * 8 - 1)) * pixel / 8
    disc = (np.hypot(fine[:, None], fine[None]) <= radius_mm).reshape(columns, 8, columns, 8).mean(axis=(1, 3))
    angles = 2.0 + 12.0 * np.arange(30)
    geometry = SystemGeometry(tuple(angles), columns, rows, pixel, pixel)
    map_mm = np.broadcast_to(mu_per_mm * disc, (rows, columns, columns))
    # Views by an independent route: closed-form chords of every voxel, not the projector's own factors.
    x, y = geometry.voxels_mm
    views = []
    for view, a in enumerate(np.deg2rad(angles)):
        depth, across = x * np.sin(a) + y * np.cos(a), y * np.sin(a) - x * np.cos(a)
        chord = np.maximum(np.sqrt(np.maximum(radius_mm**2 - across**2, 0)) - depth, 0)
        shown = disc[geometry.inside] * np.exp(-mu_per_mm * chord)
        activity = np.broadcast_to(shown[:, None, None], (x.size, 1, rows)).astype(np.float32)
        views.append(Projector(geometry, (view,)).forward(np.ascontiguousarray(activity))[0])
    counts = np.stack(views).transpose(2, 0, 3, 1)
    projections = Projections(counts, angles, (pixel, pixel), axis_lps_mm=(10.0, -5.0, 20.0))
    return projections, Volume(10 * map_mm, geometry.lps_from_index(projections.axis_lps_mm))


def test_attenuation_cups_a_cylinder_and_the_map_makes_it_flat():
    projections, attenuation = cylinder()
    options = ReconOptions(iterations=10, subsets=5, post_filter=False, scatter="off")  # the views have none
    steps = (np.arange(48) - 23.5) * 5.0
    away = np.hypot(steps[:, None], steps[None])
    middle, edge = away < 25, (away > 55) & (away < 72)
    plain = reconstruct(projections, options).volume.array[0, 1]
    fixed = reconstruct(projections, options, attenuation=attenuation).volume.array[0, 1]
    assert plain[middle].mean() < 0.8 * plain[edge].mean()
    assert_allclose(fixed[middle].mean() / fixed[edge].mean(), 1.0, atol=0.03)
    assert_allclose(fixed[away < 70].mean(), 1.0, atol=0.03)


def test_attenuation_is_placed_by_the_world_not_by_the_index():
    projections, attenuation = cylinder()
    options = ReconOptions(iterations=2, post_filter=False)
    turned = Volume(
        np.ascontiguousarray(attenuation.array[0].transpose(2, 0, 1)[::-1]),
        affine_from_axes(
            transform_points(attenuation.lps_from_index, (0, 0, 47)), [(-1, 0, 0), (0, 0, -1), (0, 1, 0)], 5.0
        ),
    )
    first = reconstruct(projections, options, attenuation=attenuation).volume.array
    assert_allclose(reconstruct(projections, options, attenuation=turned).volume.array, first, rtol=1e-4, atol=1e-5)


def test_no_bright_bands_where_activity_leaves_the_field():
    tall, short, pad = 32, 16, 8
    angles = 6.0 + 12.0 * np.arange(30)
    whole = SystemGeometry(tuple(angles), 32, tall, 6.0, 6.0, (150.0,) * 30, GE_LEHR)
    source = Projector(whole)
    x, y = whole.voxels_mm
    activity = np.zeros((source.voxels, 1, source.planes), dtype=np.float32)
    activity[np.hypot(x, y) < 60] = 1.0
    counts = source.forward(activity)[:, :, :, pad : pad + short].transpose(2, 0, 3, 1)
    projections = Projections(counts, angles, (6.0, 6.0), np.full(30, 150.0))
    volume = reconstruct(projections, ReconOptions(iterations=8, post_filter=False, psf=GE_LEHR)).volume
    steps = (np.arange(32) - 15.5) * 6.0
    means = volume.array[0][:, np.hypot(steps[:, None], steps[None]) < 40].mean(axis=1)
    assert_allclose(means / means[4:-4].mean(), 1.0, atol=0.03)


@pytest.mark.parametrize("psf", [None, GE_LEHR])
def test_gates_together_equal_gates_apart(psf):
    rng = np.random.default_rng(7)
    counts = rng.poisson(6.0, (3, 14, 5, 20)).astype(np.float32)
    gated = Projections(counts, 200.0 - 13.0 * np.arange(14), (6.0, 6.0), np.full(14, 180.0))
    options = ReconOptions(psf=psf)
    together = reconstruct(gated, options).volume.array
    apart = [reconstruct(replace(gated, array=c[None]), options).volume.array[0] for c in counts]
    assert together.shape == (3, 5, 20, 20)
    assert_allclose(together, np.stack(apart), rtol=2e-3, atol=2e-3 * together.max())


@pytest.mark.parametrize(("views", "subsets"), [(30, 4), (7, 3), (5, 8), (1, 4), (64, 4)])
def test_subsets_use_every_view_once_and_are_recorded(views, subsets):
    groups = interleaved_subsets(np.linspace(0, 180, views), subsets)
    assert sorted(v for group in groups for v in group) == list(range(views))
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
    projections = Projections(np.ones((1, views, 4, 8)), np.linspace(0, 180, views), (5.0, 5.0))
    record = reconstruct(projections, ReconOptions(subsets=subsets)).record
    assert list(record.views_per_subset) == [len(g) for g in groups]
    assert record.subsets == min(views, subsets)


@pytest.mark.parametrize("step", [6.0, 24.0], ids=["half turn", "whole turn"])
def test_the_same_views_give_the_same_image_whichever_way_the_camera_turned(step):
    counts = np.random.default_rng(8).poisson(20.0, (1, 15, 4, 20)).astype(np.float32)
    clockwise = Projections(counts, (225.0 - step * np.arange(15)) % 360.0, (6.0, 6.0))
    counter = Projections(counts[:, ::-1], clockwise.angles_deg[::-1], (6.0, 6.0))
    options = ReconOptions(subsets=4)  # 15 views: the subsets differ in size
    one, other = (reconstruct(views, options).volume.array for views in (clockwise, counter))
    assert_allclose(other, one, rtol=1e-5, atol=1e-5 * one.max())


def test_an_axis_off_the_middle_of_the_detector_is_reconstructed_in_its_place():
    centred = point_projections((18.0, -12.0, 40.0), ARCS["RAO to LPO"])
    columns = 2  # whole columns, so that the shifted views are exact
    offset = np.full(centred.views, columns * centred.pixel_mm[1])
    shifted = replace(centred, array=np.roll(centred.array, columns, axis=3), axis_offset_mm=offset)
    expected, got = (reconstruct(views, ReconOptions(post_filter=False)).volume.array for views in (centred, shifted))
    assert np.unravel_index(got.argmax(), got.shape) == np.unravel_index(expected.argmax(), expected.shape)
    assert_allclose(got, expected, atol=0.02 * expected.max())
    ignored = reconstruct(replace(shifted, axis_offset_mm=None), ReconOptions(post_filter=False)).volume.array
    assert abs(ignored - expected).max() > 0.2 * expected.max()


def test_butterworth_has_its_gain_at_the_cutoff_and_keeps_the_sum():
    size, spacing = 64, (5.0, 4.0, 4.0)
    affine = affine_from_axes((0, 0, 0), np.eye(3), spacing)
    cycles = 16  # cosine mode of 0.5 Nyquist along columns
    wave = np.cos(np.pi * 2 * cycles * (np.arange(size) + 0.5) / size)
    volume = Volume(np.broadcast_to(3.0 + wave, (6, 8, size)).astype(np.float32), affine)
    smooth = butterworth(volume, order=5, cutoff_nyquist=0.5)
    assert_allclose(smooth.array[0, 3, 4] - 3.0, wave / np.sqrt(2.0), atol=1e-5)
    assert_allclose(smooth.array.sum(), volume.array.sum(), rtol=1e-6)
    with pytest.raises(InputError, match="cut-off"):
        butterworth(volume, order=5, cutoff_nyquist=0.0)


def test_the_record_says_how_in_json():
    projections = point_projections((3.0, -8.0, 40.0), ARCS["RAO to LPO"])
    record = reconstruct(projections, ReconOptions(psf=GE_LEHR)).record
    assert_allclose(record.filter.cutoff_cycles_per_cm, 0.5 / (2 * 0.6))
    assert record.psf.kernel_error < 1e-3
    assert record.attenuation is None


def test_bad_input_is_refused():
    projections = point_projections((3.0, -8.0, 40.0), ARCS["RAO to LPO"])
    with pytest.raises(InputError, match="counts"):
        reconstruct(replace(projections, array=0 * projections.array))
    with pytest.raises(InputError, match="negative"):
        reconstruct(replace(projections, array=projections.array - 1.0))
    with pytest.raises(InputError, match="1/cm"):
        reconstruct(projections, attenuation=Volume(np.full((4, 4, 4), -1000.0), np.eye(4)))
    with pytest.raises(InputError, match="1 iteration"):
        ReconOptions(iterations=0)


def test_attenuation_factors_are_shares():
    geometry = SystemGeometry((10.0, 200.0), 16, 2, 6.0, 6.0)
    factors = attenuation_factors(np.full((2, 16, 16), 0.01), geometry, pad_planes=3)
    assert factors.shape == (2, Projector(geometry).voxels, 8)
    assert factors.min() > 0
    assert factors.max() <= 1


@pytest.mark.real
@pytest.mark.parametrize("psf", [None, GE_LEHR])
def test_the_real_study_explains_its_views(real, psf):
    header = pydicom.dcmread(real / "ge_projections/stress_tomo.dcm")
    rotation = header.RotationInformationSequence[0]
    angles = float(rotation.StartAngle) - float(rotation.AngularStep) * np.arange(30)
    row, column = (float(s) for s in header.PixelSpacing)
    projections = Projections(header.pixel_array, angles, (row, column), np.full(30, float(rotation.RadialPosition)))
    result = reconstruct(projections, replace(PLAIN, psf=psf))
    assert result.record.counts == float(header.CountsAccumulated)
    agreement, balance = _explained(projections, psf)
    # Noise alone allows 0.98; the views also disagree by the attenuation that is not modelled here.
    assert agreement > 0.9
    assert_allclose(balance, 1.0, atol=0.03)
    assert _explained(replace(projections, angles_deg=np.roll(angles, 10)), psf)[0] < agreement - 0.03


def _explained(projections, psf):
    """Correlation, and ratio of sums, of the views and those of the image made from them."""
    image = reconstruct(projections, replace(PLAIN, psf=psf)).volume
    projector = Projector(SystemGeometry.of(projections, psf))
    inside = np.moveaxis(image.array[:, :, projector.geometry.inside], 2, 0)
    activity = np.pad(inside, ((0, 0), (0, 0), (projector.pad_planes, projector.pad_planes)))
    expected = projector.forward(activity)[:, :, 0, 4:-4].transpose(0, 2, 1)
    measured = projections.array[0, :, 4:-4].astype(np.float64)
    return np.corrcoef(expected.ravel(), measured.ravel())[0, 1], expected.sum() / measured.sum()
