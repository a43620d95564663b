"""Stacks cut from volumes: planes, axes and states, against geometry's own views."""

from types import SimpleNamespace

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.geometry import affine_from_axes, transform_points
from myoperf.research.slice_stacks import SliceStacks, resize_stack, stacks_from_results, stacks_from_volumes
from myoperf.types import LVFrame, Volume


def _labels(volume, points, radius=30.0):
    """Wall: a shell of some radius about the centre."""
    return Volume((np.abs(np.linalg.norm(points, axis=-1) - radius) < 5).astype(np.uint8), volume.lps_from_index)


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
    scan = (volume, frame, _labels(volume, points, 70.0))
    stacks = stacks_from_volumes({"stress": scan, "rest": scan}, shape=(16, 48, 48), field_mm=60)
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
    stress, rest = (
        (v, frame, _labels(v, points)) for v in (Volume(wall * (points[..., 0] > 0), affine), Volume(wall, affine))
    )
    stacks = stacks_from_volumes({"rest": rest, "stress": stress}, shape=(16, 32, 32))
    assert stacks.states == ("stress", "rest")
    assert stacks.array().shape == (3, 16, 32, 32)
    assert stacks.state("stress", "sa").sum() < 0.7 * stacks.state("rest", "sa").sum()
    alone = stacks_from_volumes({"stress": stress}, shape=(16, 32, 32))
    assert alone.states == ("stress",)
    with pytest.raises(InputError, match="but not rest"):
        alone.state("rest", "sa")
    with pytest.raises(InputError, match="cannot be shared evenly"):
        stacks_from_volumes({"stress": stress, "rest": rest}, shape=(15, 32, 32))
    with pytest.raises(InputError, match="needed for sa, hla, vla"):
        SliceStacks({"sa": wall})


def test_an_analysed_study_gives_the_slices_of_its_scans():
    frame, affine, points = _patient()
    wall = Volume(np.exp(-((np.linalg.norm(points, axis=-1) - 30) ** 2) / 50).astype(np.float32), affine)
    labels = _labels(wall, points)
    scan = SimpleNamespace(state="rest", volume=wall, frame=frame, labels=labels)
    shape = (16, 32, 32)
    stacks = stacks_from_results([scan], shape=shape)
    expected = stacks_from_volumes({"rest": (wall, frame, labels)}, shape=shape)
    np.testing.assert_array_equal(stacks.array(), expected.array())
    for scans in ([scan, scan], [SimpleNamespace(**vars(scan) | {"state": None})]):
        with pytest.raises(InputError, match="known state"):
            stacks_from_results(scans, shape=shape)


def test_the_heart_sets_the_scale_whatever_lies_beside_it():
    frame, affine, points = _patient()
    far = np.linalg.norm(points, axis=-1)
    wall = 3.0 * np.exp(-((far - 30) ** 2) / 50)
    gut = 40.0 * (np.linalg.norm(points + 70 * frame.anterior, axis=-1) < 25)
    clean, loud = (Volume(v.astype(np.float32), affine) for v in (wall, wall + gut))
    labels = _labels(clean, points)
    alone = stacks_from_volumes({"stress": (clean, frame, labels)}, shape=(16, 32, 32)).array()
    beside = stacks_from_volumes({"stress": (loud, frame, labels)}, shape=(16, 32, 32)).array()
    brighter = Volume(7.0 * clean.array, affine)
    np.testing.assert_allclose(
        stacks_from_volumes({"stress": (brighter, frame, labels)}, shape=(16, 32, 32)).array(), alone, rtol=1e-5
    )
    upper = (slice(None), slice(0, 14))  # rows of the anterior half in SA and VLA
    for view in (0, 2):
        np.testing.assert_allclose(beside[view][upper], alone[view][upper], atol=1e-6)
    assert beside.max() == 1.0
    assert 0.9 < np.percentile(alone[0], 99) <= 1.0
    with pytest.raises(InputError, match="scaled to the ventricle's wall"):
        stacks_from_volumes({"stress": (clean, frame, clean.with_array(np.zeros_like(labels.array)))})
    with pytest.raises(InputError, match="no counts"):
        stacks_from_volumes({"stress": (clean.with_array(np.zeros_like(clean.array)), frame, labels)})


@pytest.mark.parametrize("length", [70.0, 105.0])
def test_planes_have_one_extent_in_mm_and_the_heart_is_centred(length):
    frame, affine, points = _patient()
    centre = 0.5 * (frame.apex_mm + frame.base_mm)
    frame = LVFrame(centre - 0.5 * length * frame.axis, centre + 0.5 * length * frame.axis, frame.anterior)
    blob = Volume(np.exp(-((points**2).sum(-1)) / (2 * 12.0**2)).astype(np.float32), affine)
    cut = stacks_from_volumes({"stress": (blob, frame, _labels(blob, points, 2.0))}, shape=(16, 32, 32)).array()
    spans = {"sa": (104, 104, 104), "hla": (80, 104, 104), "vla": (80, 104, 104)}
    for stack, span in zip(cut, spans.values(), strict=True):
        for axis, extent in enumerate(span):
            profile = stack.sum(axis=tuple(set(range(3)) - {axis}))
            place = (np.arange(len(profile)) + 0.5) / len(profile) * extent - 0.5 * extent
            middle = (profile * place).sum() / profile.sum()
            assert abs(middle) < 0.5
            width = np.sqrt((profile * (place - middle) ** 2).sum() / profile.sum())
            assert width == pytest.approx(12.0, rel=0.08)


def test_a_plane_is_the_mean_over_its_thickness():
    frame, affine, points = _patient()
    thin = np.exp(-((points @ frame.axis - 6.5) ** 2) / (2 * 2.0**2)) * (np.linalg.norm(points, axis=-1) < 45)
    thin = Volume(thin.astype(np.float32), affine)
    sums = []
    for planes in (8, 16):
        stack = stacks_from_volumes({"stress": (thin, frame, _labels(thin, points, 2.0))}, shape=(planes, 32, 32))
        sums.append(stack.views["sa"][:, 12:20, 12:20].mean())
    assert sums[0] == pytest.approx(sums[1], rel=0.1)  # nothing falls between planes


def test_resizing_keeps_a_ramp_and_the_mean():
    ramp = np.linspace(0, 1, 8, dtype=np.float32)[:, None, None].repeat(5, 1).repeat(6, 2)
    out = resize_stack(ramp, (16, 10, 3))
    assert out.shape == (16, 10, 3)
    assert abs(out.mean() - 0.5) < 0.01
    assert (np.diff(out[:, 0, 0]) >= 0).all()
