"""The wall's end in a static image: where it is, whatever the blur, what lies behind it and how the plane tilts."""

import numpy as np
import pytest
from scipy import ndimage

from myoperf.geometry import transform_points
from myoperf.types import LVFrame, Volume
from myoperf.ventricle import find_wall_end
from support.ventricle import points_of

FRAME = LVFrame((0.0, 0.0, -40.0), (0.0, 0.0, 40.0), (1.0, 0.0, 0.0))
SPACING, RADIUS, HALF_WALL = 3.0, 26.0, 5.0
ANGLE = np.arange(36) * (2 * np.pi / 36)


def ventricle(end_mm=0.0, *, septum_before_mm=0.0, behind=0.1, sigma_mm=6.0, septum=1.0, moves_mm=0.0):
    """A tube with a round apex whose wall ends past the plane of `FRAME`, earlier at the septum; image and labels."""
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = -72.0
    index = np.stack(np.meshgrid(*[np.arange(49)] * 3, indexing="ij"), axis=-1)
    offset = transform_points(affine, index) - FRAME.base_mm
    height, side = offset @ FRAME.axis, offset @ FRAME.septal
    across = np.hypot(offset @ FRAME.anterior, side)
    hub = -(FRAME.length_mm - RADIUS)
    off = np.hypot(across, np.minimum(height - hub, 0.0)) - RADIUS
    shell = np.abs(off) <= HALF_WALL
    rim = end_mm - septum_before_mm * side / RADIUS
    uptake = 1.0 - (1.0 - septum) * np.clip(side / RADIUS, 0.0, 1.0)
    before = [np.clip((rim + move - height) / SPACING + 0.5, 0.0, 1.0) for move in (-moves_mm, moves_mm)]
    beat = [np.where(shell, part * uptake + (1.0 - part) * behind, 0.05) for part in before]
    image = ndimage.gaussian_filter(np.mean(beat, axis=0), sigma_mm / SPACING)
    labels = np.where(height > 4.0, 0, np.where(shell, 1, np.where(off < 0, 2, 0))).astype(np.uint8)
    return Volume(image.astype(np.float32), affine), Volume(labels, affine)


def found(**what):
    image, labels = ventricle(**what)
    return find_wall_end(image, labels, FRAME)


@pytest.mark.parametrize(
    "what",
    [
        {"end_mm": 0.0},
        {"end_mm": -9.0},
        {"end_mm": 8.0},
        {"end_mm": -4.0, "behind": 0.5},
        {"end_mm": -4.0, "sigma_mm": 9.0},
        {"end_mm": -4.0, "moves_mm": 6.0},
        {"end_mm": -4.0, "septum": 0.5},
    ],
)
def test_the_end_is_found_whatever_blurs_it_and_lies_behind_it(what):
    end = found(**what)
    assert end.rim_mm.mean() - FRAME.length_mm == pytest.approx(what["end_mm"], abs=1.3)
    assert end.trust > 0.5


def test_a_septum_that_ends_before_the_lateral_wall_tilts_the_plane():
    end = found(end_mm=-4.0, septum_before_mm=8.0).rim_mm - FRAME.length_mm
    expected = -4.0 - 8.0 * np.sin(ANGLE)
    assert np.abs(end - expected).max() < 2.0
    assert end[9] < end[27] - 12.0


def test_a_basal_defect_does_not_pull_the_end_towards_the_apex():
    image, labels = ventricle(end_mm=0.0)
    array = image.array[0].copy()
    offset = transform_points(image.lps_from_index, np.argwhere(array > -1)) - FRAME.base_mm
    hole = (offset @ FRAME.septal > 12) & (offset @ FRAME.axis > -30)
    array.reshape(-1)[hole] *= 0.15
    end = find_wall_end(image.with_array(array), labels, FRAME)
    assert np.abs(end.rim_mm - FRAME.length_mm).max() < 3.0


def test_a_liver_that_continues_the_inferior_wall_does_not_pull_the_end_along():
    """There the counts end 18 mm past the wall, far from the labels' end."""
    image, labels = ventricle(end_mm=0.0)
    offset = points_of(image.lps_from_index, image.grid_shape) - FRAME.base_mm
    height, side, front = (offset @ direction for direction in (FRAME.axis, FRAME.septal, FRAME.anterior))
    across, inferior = np.hypot(front, side), np.abs(np.arctan2(side, -front)) < np.pi / 4
    liver = inferior & (across > 15) & (across < 40) & (height > -8) & (height < 18)
    added = 0.9 * ndimage.gaussian_filter(liver.astype(np.float32), 2.0) * (1.0 - image.array[0])
    end = find_wall_end(image.with_array(image.array[0] + added), labels, FRAME)
    assert np.abs(end.rim_mm - FRAME.length_mm).max() < 7.0


def test_an_image_without_an_end_is_not_trusted():
    assert found(end_mm=0.0, behind=0.95).trust < 0.1
