"""A map made ready for the emission: its unit, its ends, what it cut off, and how much heart lies in its lung."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from myoperf.errors import InputError
from myoperf.recon.attenuation_map import covers, in_per_cm, on_emission_grid, share_in_lung
from myoperf.recon.hounsfield import WATER_PER_CM
from myoperf.recon.outline import body_outline
from myoperf.types import Projections, Volume

AFFINE = np.array([[0.0, 0.0, 4.0, -40.0], [0.0, 4.0, 0.0, -36.0], [4.0, 0.0, 0.0, -20.0], [0.0, 0.0, 0.0, 1.0]])


def body(scale=1.0, planes=11):
    """A map of soft tissue with air round it, 4 mm cubes."""
    array = np.zeros((planes, 19, 21), dtype=np.float32)
    array[:, 4:15, 4:17] = 0.15 * scale
    return Volume(array, AFFINE)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e4, 1e5])
def test_the_unit_of_a_map_follows_from_its_body(scale):
    assert_allclose(in_per_cm(body(scale)).array.max(), 0.15, rtol=1e-5)


@pytest.mark.parametrize(("volume", "match"), [
    (body(3.0), "no power of ten"),
    (body(1024 / 0.15), "no power of ten"),  # Hounsfield units plus 1024
    (body(1 / 0.15), "no power of ten"),  # a mask of ones, and of twos
    (body(2 / 0.15), "no power of ten"),
    (Volume(np.full((3, 4, 5), -900.0), AFFINE), "Hounsfield"),
    (Volume(np.full((2, 3, 4, 5), 0.15), AFFINE), "one frame"),
    (Volume(np.zeros((3, 4, 5)), AFFINE), "no power of ten"),
])  # fmt: skip
def test_what_is_no_map_is_refused(volume, match):
    with pytest.raises(InputError, match=match):
        in_per_cm(volume)


def test_planes_beyond_the_map_repeat_its_last_one():
    map_ = body()
    affine = AFFINE.copy()
    affine[2, 3] = -20.0 - 3 * 4.0
    emission = Volume(np.zeros((17, 19, 21)), affine)
    mu, filled = on_emission_grid(map_, emission)
    assert filled == 0.0
    assert_allclose(mu.array[0, :, 9, 10], 0.15, rtol=1e-5)
    affine[2, 3] = 500.0
    with pytest.raises(InputError, match="no plane"):
        on_emission_grid(map_, Volume(np.zeros((5, 19, 21)), affine))


def test_what_the_ct_cut_off_is_filled_where_the_emission_shows_a_body_and_nowhere_else():
    map_ = body()
    measured = np.ones(map_.grid_shape, dtype=np.float32)
    measured[:, :, :6] = 0.0  # the right side lies outside the CT's circle
    cut = map_.with_array(np.where(measured > 0, map_.array[0], 0.0))
    mu, filled = on_emission_grid(cut, map_, measured=measured, outline=body(1 / 0.15))
    assert_allclose(mu.array[0, :, 9, 4:6], WATER_PER_CM, rtol=1e-5)
    assert_allclose(mu.array[0, :, 9, :4], 0.0)
    assert_allclose(filled, 11 * 11 * 2 * map_.voxel_ml, rtol=1e-6)
    assert_allclose(mu.array[0, :, 9, 6:17], 0.15, rtol=1e-5)


def test_a_map_without_the_heart_does_not_cover_it():
    wide = Volume(np.zeros((40, 40, 40)), AFFINE)
    assert covers(wide, (40.0, 40.0, 60.0))
    assert not covers(wide, (40.0, 40.0, 20.0))


def test_share_of_the_wall_in_the_lung():
    map_ = body()
    labels = np.zeros(map_.grid_shape, dtype=np.uint8)
    labels[5, 9, 1:9] = 1  # three in air, five in tissue
    assert share_in_lung(map_, Volume(labels, AFFINE), 1) == pytest.approx(3 / 8)
    assert share_in_lung(map_, Volume(0 * labels, AFFINE), 1) == 0.0


def test_the_outline_of_a_cylinder_is_its_own():
    radius, pixel, columns = 110.0, 6.0, 64
    angles = (225.0 - 6.0 * np.arange(30)) % 360.0
    bins = (np.arange(columns) - 0.5 * (columns - 1)) * pixel
    chords = 2.0 * np.sqrt(np.maximum(radius**2 - bins**2, 0.0))
    counts = np.random.default_rng(1).poisson(np.broadcast_to(chords, (1, 30, 8, columns)))
    mask = body_outline(Projections(counts, angles, (pixel, pixel))).array[0, 4]
    away = np.hypot(bins[:, None], bins[None])
    assert mask[away < radius - 1.5 * pixel].all()
    assert not mask[away > radius + 2.5 * pixel].any()
