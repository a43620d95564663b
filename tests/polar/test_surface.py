"""The fitted mid-wall against the closed-form one, with and without a hole in the labels."""

import numpy as np
import pytest

from myoperf.errors import AnalysisError
from myoperf.types import LVFrame, Volume
from myoperf.ventricle import fit_surface
from support.ventricle import make_phantom, points_of


def against_truth(surface, ventricle):
    """Distance from the true half ellipsoid (mm, first order) and angle between normals (degrees)."""
    frame = ventricle.frame
    axes = np.stack([frame.axis, frame.anterior, frame.septal])
    half = np.array([ventricle.length, ventricle.radius, ventricle.radius])
    local = (surface.mid_wall_mm - frame.base_mm) @ axes.T
    gradient = local / half**2
    steep = np.linalg.norm(gradient, axis=-1)
    level = np.sqrt(((local / half) ** 2).sum(-1))
    cosine = ((gradient / steep[..., None]) * (surface.normal @ axes.T)).sum(-1)
    return (level - 1) * level / steep, np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize(
    "grid", [{}, {"euler_deg": (-25, 40, 10), "spacing_mm": (5.0, 4.0, 4.0), "shape": (34, 44, 46)}]
)
def test_mid_wall_and_outward_normals_agree_with_the_closed_form(grid):
    phantom = make_phantom(**grid)
    distance, angle = against_truth(fit_surface(phantom.labels, phantom.frame), phantom.ventricle)
    assert np.abs(distance).max() < 0.35 * phantom.labels.spacing_mm.max()
    assert np.sqrt((distance**2).mean()) < 0.5
    assert angle.max() < 12.0


def test_a_hole_in_the_wall_is_closed_and_said(uniform):
    labels, frame = uniform.labels, uniform.frame
    index = np.stack(np.meshgrid(*map(np.arange, labels.grid_shape), indexing="ij"), -1)
    world = index @ labels.lps_from_index[:3, :3].T + labels.lps_from_index[:3, 3]
    local = world - frame.centre_mm
    hole = (local @ frame.septal > 15) & (np.abs(local @ frame.axis) < 14) & (np.abs(local @ frame.anterior) < 14)
    array = np.where(hole & (labels.array[0] == 1), 0, labels.array[0])
    surface = fit_surface(Volume(array, labels.lps_from_index), frame)
    assert not surface.measured.all()
    distance, _ = against_truth(surface, uniform.ventricle)
    assert np.abs(distance[~surface.measured]).max() < 3.0


def test_the_pool_s_rim_closes_a_wall_of_which_half_is_missing(uniform):
    """The frame lies beside the axis, so that the wall that is left does not tell where the other half is."""
    labels, frame = uniform.labels, uniform.frame
    beside = LVFrame(frame.apex_mm + 6 * frame.septal, frame.base_mm + 6 * frame.septal, frame.anterior)
    septal = (points_of(labels.lps_from_index, labels.grid_shape) - frame.base_mm) @ frame.septal > 0
    array = np.where(septal & (labels.array[0] == 1), 0, labels.array[0])
    surface = fit_surface(labels.with_array(array), beside)
    distance, _ = against_truth(surface, uniform.ventricle)
    assert 0.3 < (~surface.measured).mean() < 0.7
    assert np.abs(distance[~surface.measured]).max() < 3.0


def test_labels_away_from_the_axis_are_refused(uniform):
    shifted = uniform.labels.lps_from_index.copy()
    shifted[:3, 3] += 200.0
    with pytest.raises(AnalysisError, match="another scan than the labels"):
        fit_surface(Volume(uniform.labels.array, shifted), uniform.frame)
