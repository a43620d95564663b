import numpy as np
import pytest

from myoperf.lv import frame_from_mask
from myoperf.types import Volume
from support.ventricle import grid_about, make_ventricle, points_of


def shell(voxel_mm, side):
    """The wall of a half ellipsoid on a fine grid, open towards the base."""
    shape = (side,) * 3
    ventricle = make_ventricle((-8, 10.5, 4), (-48, 46, 24), (0, 0, 1), radius=28, length=45, wall=12, rim_mm=12)
    affine = grid_about((0.5 * voxel_mm * (side - 1) - 60,) * 3, shape, voxel_mm)
    wall = ventricle.labels(points_of(affine, shape)) == 1
    return Volume(wall.astype(np.uint8), affine), ventricle.frame


@pytest.mark.parametrize(("voxel_mm", "side"), [(3.0, 42), (2.0, 62)])
def test_one_voxel_more_or_less_does_not_turn_the_long_axis(voxel_mm, side):
    wall, frame = shell(voxel_mm, side)
    assert (wall.array == 1).sum() > 3000
    first = np.argwhere(wall.array[0] == 1)[:3]
    fewer = wall.array.copy()
    fewer[(0, *first.T)] = 0
    full = frame_from_mask(wall, near=frame)
    less = frame_from_mask(wall.with_array(fewer), near=frame)
    assert np.rad2deg(np.arccos(min(1.0, full.axis @ less.axis))) < 0.1
    assert np.rad2deg(np.arccos(min(1.0, full.axis @ frame.axis))) < 2.0
