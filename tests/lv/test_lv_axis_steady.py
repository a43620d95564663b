import numpy as np
import pytest

from myoperf.geometry import affine_from_axes
from myoperf.lv import frame_from_mask
from myoperf.types import LVFrame, Volume


def shell(voxel_mm, side):
    """The wall of a half ellipsoid on a fine grid, open towards the base."""
    affine = affine_from_axes((-60, -60, -60), [[0, 0, 1], [0, 1, 0], [1, 0, 0]], voxel_mm)
    frame = LVFrame((28, -24, -14), (-20, 22, 10), (0, 0, 1))
    place = np.stack(np.meshgrid(*(np.arange(side) * voxel_mm - 60,) * 3, indexing="ij")[::-1], -1)
    off = place - (frame.apex_mm + 0.75 * frame.length_mm * frame.axis)
    along = off @ frame.axis
    scaled = np.hypot(np.linalg.norm(off - along[..., None] * frame.axis, axis=-1) / 28, along / 45)
    wall = (scaled > 0.82) & (scaled < 1.18) & (along < 12)
    return Volume(wall.astype(np.uint8), affine), frame


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
