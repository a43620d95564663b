"""Stacks cut from volumes: planes, axes and states, against geometry's own views."""

import numpy as np
import pytest

from myoperf.data.slices import SliceStacks, resize_stack, stacks_from_volumes
from myoperf.errors import InputError
from myoperf.geometry import affine_from_axes, transform_points
from myoperf.types import LVFrame, Volume


def _patient():
    """A volume whose value is the position along the long axis, rising from apex to base, on an oblique frame."""
    axis = np.array([-0.6, 0.64, 0.48])
    anterior = np.cross(axis, [0.0, 0.0, 1.0])
    anterior /= np.linalg.norm(anterior)
    centre = np.array([30.0, -20.0, 10.0])
    frame = LVFrame(centre - 45 * axis, centre + 45 * axis, anterior)
    affine = affine_from_axes(centre - 100.0, np.eye(3)[[2, 1, 0]], 4.0)
    points = transform_points(affine, np.moveaxis(np.indices((51, 51, 51)), 0, -1))
    return frame, affine, points - centre


@pytest.mark.parametrize("direction", ["axis", "anterior", "lateral"])
def test_planes_and_axes_run_as_documented(direction):
    frame, affine, points = _patient()
    ramp = np.clip((points @ getattr(frame, direction) + 90) / 180, 0, 1)
    volume = Volume(ramp.astype(np.float32), affine)
    stacks = stacks_from_volumes({"stress": (volume, frame), "rest": (volume, frame)}, shape=(16, 48, 48), field_mm=100)
    rising = {  # sign of the slope along (planes, rows, columns)
        "axis": {"sa": (1, 0, 0), "hla": (0, 1, 0), "vla": (0, 0, -1)},
        "anterior": {"sa": (0, -1, 0), "hla": (1, 0, 0), "vla": (0, -1, 0)},
        "lateral": {"sa": (0, 0, 1), "hla": (0, 0, 1), "vla": (1, 0, 0)},
    }[direction]
    for view, signs in rising.items():
        part = stacks.state("stress", view)
        np.testing.assert_allclose(part, stacks.state("rest", view))
        for array_axis, sign in enumerate(signs):
            slope = np.diff(part, axis=array_axis)
            assert np.abs(slope).mean() > 1e-3 if sign else np.abs(slope).max() < 1e-3
            assert np.all(slope * sign >= -1e-4)


def test_stress_and_rest_share_the_planes_and_stay_apart():
    frame, affine, points = _patient()
    wall = np.exp(-((np.linalg.norm(points, axis=-1) - 30) ** 2) / 50).astype(np.float32)
    stress, rest = Volume(wall * (points[..., 0] > 0), affine), Volume(wall, affine)
    stacks = stacks_from_volumes({"rest": (rest, frame), "stress": (stress, frame)}, shape=(16, 32, 32))
    assert stacks.states == ("stress", "rest")
    assert stacks.array().shape == (3, 16, 32, 32)
    assert stacks.state("stress", "sa").sum() < 0.7 * stacks.state("rest", "sa").sum()
    resized = stacks.resized((32, 64, 64))
    assert resized.array(("vla",)).shape == (1, 32, 64, 64)
    assert resized.state("stress", "sa").sum() < 0.7 * resized.state("rest", "sa").sum()
    alone = stacks_from_volumes({"stress": (stress, frame)}, shape=(16, 32, 32))
    assert alone.states == ("stress",)
    with pytest.raises(InputError, match="rest was asked for"):
        alone.state("rest", "sa")
    with pytest.raises(InputError, match="cannot be shared"):
        stacks_from_volumes({"stress": (stress, frame), "rest": (rest, frame)}, shape=(15, 32, 32))
    with pytest.raises(InputError, match="needed for sa, hla, vla"):
        SliceStacks({"sa": wall})


def test_resizing_keeps_a_ramp_and_the_mean():
    ramp = np.linspace(0, 1, 8, dtype=np.float32)[:, None, None].repeat(5, 1).repeat(6, 2)
    out = resize_stack(ramp, (16, 10, 3))
    assert out.shape == (16, 10, 3)
    assert abs(out.mean() - 0.5) < 0.01
    assert (np.diff(out[:, 0, 0]) >= 0).all()
