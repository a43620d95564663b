"""What the polar map says of a wall that is not all there."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf import polar
from myoperf.errors import AnalysisError
from myoperf.geometry import transform_points
from myoperf.types import Volume
from support.ventricle import make_phantom


def codes(volume, labels, frame):
    return {f.code for f in polar.sample_polar_map(volume, labels, frame).findings}


def test_a_whole_wall_has_nothing_to_say(uniform):
    assert codes(uniform.volume, uniform.labels, uniform.frame) == set()


def test_a_wall_of_which_a_quarter_has_no_label(uniform):
    labels, frame = uniform.labels, uniform.frame
    index = np.indices(labels.grid_shape).reshape(3, -1).T
    offset = transform_points(labels.lps_from_index, index) - frame.base_mm
    turn = np.arctan2(offset @ frame.septal, offset @ frame.anterior).reshape(labels.grid_shape)
    bare = labels.with_array(np.where((np.abs(turn) < np.pi / 4)[None], 0, labels.array))
    assert "wall-incomplete" in codes(uniform.volume, bare, frame)


def test_a_wall_cut_by_the_edge_of_the_volume():
    phantom = make_phantom()
    wall = np.argwhere(phantom.labels.array[0] > 0)
    last = int(wall[:, 0].max()) - 1
    cut = [Volume(v.array[:, :last], v.lps_from_index) for v in (phantom.volume, phantom.labels)]
    phantom = replace(phantom, volume=cut[0], labels=cut[1])
    assert "wall-outside-volume" in codes(phantom.volume, phantom.labels, phantom.frame)


def test_a_volume_that_lacks_a_third_of_the_wall_is_refused(uniform):
    last = int(np.argwhere(uniform.labels.array[0] > 0)[:, 0].max()) - 8
    volume, labels = (Volume(v.array[:, :last], v.lps_from_index) for v in (uniform.volume, uniform.labels))
    with pytest.raises(AnalysisError, match=r"31 % of the left ventricle's wall lies outside the volume"):
        polar.sample_polar_map(volume, labels, uniform.frame)
