"""A shifted attenuation map is brought back to the emission of the same chest."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.recon import align_attenuation
from myoperf.recon.alignment import moved
from myoperf.types import Volume

SPACING, SHAPE = 6.6, (48, 48, 60)
HEART = (40.0, -30.0, 0.0)


def chest(seed=0):
    """An emission image without correction, and the map of the same chest; grid from the feet up, LPS."""
    rng = np.random.default_rng(seed)
    affine = np.eye(4)[[2, 1, 0, 3]] * SPACING
    affine[3] = (0, 0, 0, 1)
    affine[:3, 3] = [-0.5 * (n - 1) * SPACING for n in (SHAPE[2], SHAPE[1], SHAPE[0])]
    z, y, x = (affine[row, 3] + SPACING * np.arange(n) for row, n in zip((2, 1, 0), SHAPE, strict=True))
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    body = ((x / 165.0) ** 2 + (y / 115.0) ** 2 <= 1) & (z > -400)
    dome = -45.0 - 0.002 * (x**2 + y**2)
    lungs = (((np.abs(x) - 75.0) / 60.0) ** 2 + (y / 85.0) ** 2 <= 1) & (z > dome)
    away = np.sqrt((x - HEART[0]) ** 2 + (y - HEART[1]) ** 2 + (z - HEART[2]) ** 2)
    heart, wall = away < 46, (away < 40) & (away > 28)
    middle = (np.abs(x) < 25) & body
    mu = np.where(lungs & ~heart & ~middle, 0.04, np.where(body, 0.153, 0.0))
    activity = np.where(body, 0.08, 0.0) + 0.4 * (body & (z < dome) & (x < 60))
    activity = np.where(lungs & ~heart & ~middle, 0.03, activity)
    activity = np.where(heart, 0.1, activity) + wall
    image = ndimage.gaussian_filter(activity.astype(float), 1.0)
    image = image * (1 + 0.1 * rng.normal(size=image.shape))
    image *= np.exp(-0.6 + 0.4 * np.clip(-y / 115.0, -1, 1))  # the front is brighter without correction
    return Volume(np.maximum(image, 0).astype(np.float32), affine), Volume(mu.astype(np.float32), affine)


@pytest.mark.parametrize("shift", [(14.0, 0.0, 0.0), (0.0, -13.0, 0.0), (0.0, 0.0, 16.0), (-10.0, 9.0, -14.0)])
def test_a_shift_is_found_and_undone_within_a_voxel(shift):
    emission, attenuation = chest()
    found = align_attenuation(moved(attenuation, shift), emission, HEART)
    assert_allclose(found.shift_mm, -np.array(shift), atol=0.9 * SPACING)
    assert found.likeness_after > found.likeness_before


def test_a_map_that_fits_is_not_moved():
    emission, attenuation = chest(1)
    found = align_attenuation(attenuation, emission, HEART)
    assert np.linalg.norm(found.shift_mm) < SPACING
    assert not found.at_limit


def test_a_map_farther_away_than_is_searched_is_found_at_the_limit():
    emission, attenuation = chest()
    assert align_attenuation(moved(attenuation, (60.0, 0.0, 0.0)), emission, HEART).at_limit


def test_moving_a_volume_moves_its_place_and_not_its_values():
    _, attenuation = chest()
    there = moved(attenuation, (1.0, -2.0, 3.0))
    assert_allclose(there.lps_from_index[:3, 3] - attenuation.lps_from_index[:3, 3], (1.0, -2.0, 3.0))
    assert there.array.base is not None


def test_an_empty_heart_and_several_frames_are_refused():
    emission, attenuation = chest()
    with pytest.raises(InputError, match="heart"):
        align_attenuation(attenuation, emission.with_array(0 * emission.array), HEART)
    with pytest.raises(InputError, match="needs one frame of the map"):
        align_attenuation(attenuation, emission.with_array(np.repeat(emission.array, 2, axis=0)), HEART)
