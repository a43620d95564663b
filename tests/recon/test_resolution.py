"""The resolution of an image follows the collimator, the distance, the filter and resolution recovery."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from myoperf.errors import GeometryError
from myoperf.recon import (
    GE_LEHR,
    SIEMENS_LEHR,
    CollimatorResponse,
    ReconOptions,
    SystemGeometry,
    image_resolution,
    known_response,
)
from myoperf.recon.resolution import views_of_point
from myoperf.types import Projections

AXIS = (4.0, -6.0, 30.0)
PLACE = (24.0, -21.0, 38.0)
PLAIN = ReconOptions(iterations=10, post_filter=False)


def scene(radius_mm=180.0, arc=180):
    """Views of a faint wide blob about the place: a body in which the point is seen."""
    angles = (225.0 - arc / 30 * np.arange(30)) % 360.0
    empty = Projections(np.ones((1, 30, 32, 40)), angles, (6.0, 6.0), np.full(30, radius_mm), AXIS)
    wide = CollimatorResponse("body", 90.0, 0.0, 0.0)
    body = views_of_point(SystemGeometry.of(empty, wide), np.subtract(PLACE, AXIS))
    return replace(empty, array=(3e5 * body).astype(np.float32)[None])


@pytest.mark.parametrize("radius_mm", [140.0, 240.0])
def test_at_the_axis_of_a_full_turn_the_image_is_as_sharp_as_the_collimator_there(radius_mm):
    found = image_resolution(scene(radius_mm, arc=360), AXIS, GE_LEHR, PLAIN)
    # A bin of 6 mm adds a box's variance.
    expected = np.hypot(GE_LEHR.fwhm_mm(radius_mm), 2.3548 * np.sqrt(36 / 12))
    assert_allclose(found.fwhm_xyz_mm, expected, rtol=0.12)
    assert_allclose(found.fwhm_mm, np.prod(found.fwhm_xyz_mm) ** (1 / 3), rtol=1e-9)


def test_recovery_sharpens_once_it_has_converged_and_the_filter_blurs():
    views, long = scene(), replace(PLAIN, iterations=30)
    plain = image_resolution(views, PLACE, GE_LEHR, long)
    recovered = image_resolution(views, PLACE, GE_LEHR, replace(long, psf=GE_LEHR))
    smoothed = image_resolution(views, PLACE, GE_LEHR, replace(PLAIN, post_filter=True, butterworth_cutoff=0.3))
    # Along the body, where no projection has to be undone, it converges first.
    assert recovered.fwhm_xyz_mm[2] < 0.9 * plain.fwhm_xyz_mm[2]
    assert smoothed.fwhm_mm > 1.25 * plain.fwhm_mm


def test_a_point_in_the_views_lies_where_the_record_says():
    views = views_of_point(SystemGeometry.of(scene(), GE_LEHR), np.subtract(PLACE, AXIS))
    assert_allclose(views.sum(axis=(1, 2)), 1.0, atol=1e-6)
    a = np.deg2rad(scene().angles_deg)
    column = (views.sum(axis=1) * (np.arange(40) - 19.5) * 6.0).sum(axis=1)
    row = (views.sum(axis=2) * (15.5 - np.arange(32)) * 6.0).sum(axis=1)
    assert_allclose(column, -20.0 * np.cos(a) - 15.0 * np.sin(a), atol=0.01)
    assert_allclose(row, 8.0, atol=0.01)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(GeometryError, match="outside"):
        image_resolution(scene(), (200.0, 0.0, 30.0), GE_LEHR)
    with pytest.raises(GeometryError, match="distance"):
        image_resolution(replace(scene(), radius_mm=None), PLACE, GE_LEHR)


def test_lehr_is_known_by_its_name_whoever_made_it():
    assert known_response("LEHR", camera="GE Discovery 670") is GE_LEHR
    assert known_response("LOW_ENERGY_HIGH_RES") is GE_LEHR
    assert known_response("LEHR-PAR", camera="SIEMENS NM Symbia Intevo") is SIEMENS_LEHR
    for other in (None, "", "LEHRS", "LEGP", "LEUHR", "ELEGP"):
        assert known_response(other) is None
    distance = np.linspace(0.0, 200.0, 21)
    assert_allclose(SIEMENS_LEHR.fwhm_mm(distance)[5:], GE_LEHR.fwhm_mm(distance)[5:], rtol=0.04)
