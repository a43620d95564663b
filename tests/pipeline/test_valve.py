"""Ventricles that end at their wall: alike at stress and rest, labels cut there, an operator's pose kept."""

import numpy as np
import pytest
from scipy import ndimage

from myoperf.geometry import transform_points
from myoperf.lv import LVFit
from myoperf.pipeline import Options
from myoperf.pipeline.scan import LocatedScan
from myoperf.pipeline.valve import end_at_wall, set_bases
from myoperf.polar import sample_polar_map
from myoperf.types import Scan
from support.ventricle import make_phantom

PHANTOM = make_phantom()
FRAME, LABELS = PHANTOM.frame, PHANTOM.labels


def heights():
    """Height of every voxel past the mitral plane of `FRAME`."""
    index = np.stack(np.meshgrid(*map(np.arange, LABELS.grid_shape), indexing="ij"), axis=-1)
    return (transform_points(LABELS.lps_from_index, index) - FRAME.base_mm) @ FRAME.axis


def ventricle(end_mm):
    """The ventricle of the tests, imaged up to a height past its mitral plane and labelled some 6 mm past it."""
    wall = (LABELS.array[0] == 1) * np.clip((end_mm - heights()) / 3.5 + 0.5, 0.0, 1.0)
    image = ndimage.gaussian_filter(wall + 0.05, 1.5)
    return LABELS.with_array(image.astype(np.float32)), LVFit(FRAME, LABELS, 1.0, ())


def located(name, state, end_mm):
    image, fit = ventricle(end_mm)
    scan = Scan(image, state=state)
    return LocatedScan(name=name, acquired=scan, corrected=scan, frames=image, summed=image, record=None, fit=fit)


def test_plane_and_labels_end_where_the_wall_does():
    image, before = ventricle(-7.0)
    (fit,) = end_at_wall((image, before))
    assert fit.frame.length_mm - FRAME.length_mm == pytest.approx(-7.0, abs=1.5)
    assert fit.rim_mm.mean() == pytest.approx(0.0, abs=1e-9)
    assert np.array_equal(fit.frame.apex_mm, FRAME.apex_mm)
    past = heights() > -7.0 + 4.0
    assert (LABELS.array[0][past] > 0).any()
    assert not (fit.labels.array[0][past] > 0).any()
    kept = heights() < -7.0 - 4.0
    assert np.array_equal(fit.labels.array[0][kept], LABELS.array[0][kept])


def test_the_map_ends_at_the_rim_and_its_base_is_not_dark():
    image, before = ventricle(-7.0)
    (fit,) = end_at_wall((image, before))
    old = sample_polar_map(image, before.labels, before.frame).maximum
    new = sample_polar_map(image, fit.labels, fit.frame, rim_mm=fit.rim_mm).maximum
    ends = (new.mid_wall_mm[-1] - fit.frame.base_mm) @ FRAME.axis
    rim = np.interp(np.arange(72) / 2, np.arange(37), np.append(fit.rim_mm, fit.rim_mm[0]))
    assert np.abs(ends - rim + 2.0).max() < 1.5  # half a ring of some 3.5 mm before the rim
    assert old.values[-4:].mean() < 0.65 * old.values[8:16].mean()
    assert new.values[-4:].mean() > 0.75 * new.values[8:16].mean()


def test_stress_and_rest_of_one_heart_end_alike():
    scans = {"stress": located("stress", "stress", -2.0), "rest": located("rest", "rest", -7.0)}
    alone = [end_at_wall(ventricle(end))[0].frame.length_mm for end in (-2.0, -7.0)]
    fits = [one.fit for one in set_bases(scans, Options()).values()]
    assert fits[0].frame.length_mm == fits[1].frame.length_mm
    assert alone[1] + 1.0 < fits[0].frame.length_mm < alone[0] - 1.0
    assert np.array_equal(fits[0].rim_mm, fits[1].rim_mm)


def test_ventricles_too_unlike_keep_their_own_ends_as_do_other_scans():
    ends = {"stress": 0.0, "rest": -14.0, "stress-prone": -4.0}
    scans = {name: located(name, name.split("-")[0], end) for name, end in ends.items()}
    lengths = {name: one.fit.frame.length_mm for name, one in set_bases(scans, Options()).items()}
    for name, end in ends.items():
        assert lengths[name] - FRAME.length_mm == pytest.approx(end, abs=2.0)


def test_the_pose_of_an_operator_and_a_wall_without_an_end_stay_as_they_are():
    scans = {"stress": located("stress", "stress", -7.0)}
    assert set_bases(scans, Options(frame=FRAME)) is scans
    image, fit = ventricle(-7.0)
    endless = image.with_array(np.ones_like(image.array))
    assert end_at_wall((endless, fit)) == (fit,)
