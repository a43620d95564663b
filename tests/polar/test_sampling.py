"""Polar maps of a closed-form ventricle: flat when uniform, defects in exactly their segments, pose-free."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from myoperf import polar
from myoperf.geometry import rotate_frame
from myoperf.geometry.disc import disc_image
from myoperf.segments import segment_means
from myoperf.types import Volume
from support.ventricle import make_phantom


def sampled(phantom):
    return polar.sample_polar_map(phantom.volume, phantom.labels, phantom.frame)


def test_a_uniform_shell_gives_a_flat_map(uniform):
    maximum = sampled(uniform).maximum.values
    inner = maximum[1:-2]
    assert inner.std() / inner.mean() < 0.02


@pytest.mark.parametrize("segments", [(1,), (3, 4), (10,), (5, 11, 16), (13, 14, 17)])
def test_a_defect_appears_in_exactly_its_segments(segments):
    values = np.full(17, 100.0)
    values[np.array(segments) - 1] = 30.0
    found = segment_means(sampled(make_phantom(values=values)).maximum.values)
    low = set((np.flatnonzero(found < 70) + 1).tolist())
    assert low == set(segments)


def test_turning_volume_and_frame_together_changes_nothing():
    values = np.linspace(40, 100, 17)
    phantom = make_phantom(values=values)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (40, -70, 110), degrees=True).as_matrix()
    turn[:3, 3] = (12.0, -30.0, 55.0)
    turned = polar.sample_polar_map(
        Volume(phantom.volume.array, turn @ phantom.volume.lps_from_index),
        Volume(phantom.labels.array, turn @ phantom.labels.lps_from_index),
        rotate_frame(phantom.frame, turn),
    )
    assert turned.maximum.values == pytest.approx(sampled(phantom).maximum.values, abs=1e-2)


def test_septum_and_lateral_wall_are_not_exchanged():
    values = np.full(17, 100.0)
    values[[1, 2, 7, 8, 13]] = 30.0
    found = sampled(make_phantom(values=values)).maximum
    mid = found.values[found.rings // 2]
    assert mid[np.abs(found.angles_deg - 90) < 10].mean() < 60
    assert mid[np.abs(found.angles_deg - 270) < 10].mean() > 90


def test_gates_share_the_surface_and_keep_their_values(uniform):
    gated = uniform.volume.with_array(np.concatenate([uniform.volume.array, 2 * uniform.volume.array]))
    found = polar.sample_polar_map(gated, uniform.labels, uniform.frame).maximum
    assert found.values.shape[0] == 2
    assert found.values[1] == pytest.approx(2 * found.values[0], rel=1e-5)


def test_the_disc_has_the_anterior_wall_on_top_and_the_septum_on_the_left():
    values = np.full(17, 100.0)
    values[[0, 6, 12]] = 40.0
    values[[1, 2, 7, 8, 13]] = 70.0
    disc = disc_image(sampled(make_phantom(values=values)).maximum.values, 101)
    assert np.nanmean(disc[15:25, 45:56]) < 60
    assert 55 < np.nanmean(disc[45:56, 15:25]) < 85
    assert np.nanmean(disc[45:56, 76:86]) > 90
    assert np.nanmean(disc[76:86, 45:56]) > 90
