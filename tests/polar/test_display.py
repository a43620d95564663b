"""The three displays of a polar map keep what they promise: equal distance, volume or slice."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf import polar
from myoperf.errors import AnalysisError, InputError
from myoperf.geometry.disc import disc_image, disc_places, sample_disc
from myoperf.segments import segment_of
from myoperf.types import PolarMap
from support.ventricle import make_ventricle

RINGS, ANGLES, LENGTH, RADIUS = 40, 72, 80.0, 25.0


def ellipsoid(*, thickness=10.0, values=None):
    """A map on half an ellipsoid along z, rings at equal steps of arc."""
    ventricle = make_ventricle((0, 0, 0), (0, 0, 1), (1, 0, 0), radius=RADIUS, length=LENGTH, wall=10.0)
    wall = np.broadcast_to(np.asarray(thickness, float), (RINGS, ANGLES))
    return replace(ventricle.polar_map(RINGS, ANGLES, values), thickness_mm=wall.copy())


@pytest.mark.parametrize("weighting", ["distance", "volume", "slice"])
def test_radii_rise_from_the_middle_to_the_rim(weighting):
    radii = polar.ring_radii(ellipsoid(), weighting)
    assert radii.shape == (RINGS + 1,)
    assert radii[0] == 0
    assert radii[-1] == pytest.approx(1)
    assert (np.diff(radii) > 0).all()


def test_equal_distance_gives_rings_of_equal_width():
    assert np.diff(polar.ring_radii(ellipsoid(), "distance")) == pytest.approx(1 / RINGS)


def test_equal_volume_gives_areas_in_proportion_to_the_walls_volume():
    """Of an ellipsoid's shell of even thickness: ring area by the closed form of its surface."""
    found = np.diff(polar.ring_radii(ellipsoid(), "volume") ** 2)
    height = ellipsoid().mid_wall_mm[:, 0, 2]
    step = np.hypot(*np.gradient(ellipsoid().mid_wall_mm[:, 0, [0, 2]], axis=0).T)
    girth = 2 * np.pi * RADIUS * np.sqrt(1 - (height / LENGTH) ** 2)
    area = girth * step
    assert found == pytest.approx(area / area.sum(), abs=0.002)
    thick = np.where(np.arange(RINGS) < RINGS // 2, 20.0, 10.0)[:, None]
    doubled = np.diff(polar.ring_radii(ellipsoid(thickness=thick), "volume") ** 2)
    share = area * thick[:, 0]
    assert doubled == pytest.approx(share / share.sum(), abs=0.003)


def test_equal_slices_give_widths_in_proportion_to_height():
    """The width of a ring is its share of the long axis, so the apical cap shrinks."""
    widths = np.diff(polar.ring_radii(ellipsoid(), "slice"))
    height = ellipsoid().mid_wall_mm[:, 0, 2]
    assert widths[1:-1] == pytest.approx(np.gradient(height)[1:-1] / LENGTH, abs=0.002)
    assert widths[:4].sum() < 0.5 * 4 / RINGS


def test_an_unknown_weighting_is_refused():
    with pytest.raises(InputError, match="distance"):
        polar.ring_radii(ellipsoid(), "area")


@pytest.mark.parametrize("weighting", ["distance", "volume", "slice"])
def test_a_picture_shows_each_segment_where_its_ring_lies(weighting):
    fraction = ((np.arange(RINGS) + 0.5) / RINGS)[:, None]
    angle = (np.arange(ANGLES) * 360.0 / ANGLES)[None]
    numbers = segment_of(fraction, angle).astype(float)
    flat = ellipsoid(values=numbers)
    edges = polar.ring_radii(flat, weighting)
    picture = disc_image(flat.values, 161, edges=edges)
    radius, turn = disc_places(161)
    wanted, inside = segment_of(np.interp(radius, edges, np.arange(RINGS + 1) / RINGS), turn), radius <= 1.0
    assert np.array_equal(np.isnan(picture), ~inside)
    assert (np.abs(picture - wanted)[inside] < 0.01).mean() > 0.85  # all but what lies on a border
    shown = (np.rint(picture) == 17)[inside].mean()
    cap = edges[int(0.16 * RINGS)] ** 2
    assert shown == pytest.approx(cap, rel=0.35)


def test_the_gates_of_a_map_are_drawn_one_by_one():
    gated = PolarMap(np.ones((8, RINGS, ANGLES)), ellipsoid().mid_wall_mm, ellipsoid().thickness_mm)
    with pytest.raises(InputError, match="one polar map"):
        disc_image(gated.values)
    with pytest.raises(InputError, match="8 gates"):
        polar.segments_percent(gated)


def test_segments_are_percent_of_the_maximum():
    values = np.full((RINGS, ANGLES), 50.0)
    values[30, 3] = 200.0
    percent = polar.segments_percent(ellipsoid(values=values))
    assert percent.shape == (17,)
    assert percent[1] == pytest.approx(25.0)
    with pytest.raises(AnalysisError, match="no counts"):
        polar.segments_percent(ellipsoid(values=np.zeros((RINGS, ANGLES))))


def test_reading_between_samples_is_linear_periodic_and_flat_past_the_ends():
    values = np.arange(ANGLES, dtype=float)[None] + 100.0 * np.arange(RINGS)[:, None]
    step = 360.0 / ANGLES
    assert sample_disc(values, 2.5 / RINGS, 10.25 * step) == pytest.approx(210.25)
    assert sample_disc(values, 0.5 / RINGS, 359.9999) == pytest.approx(0.0, abs=0.1)
    assert sample_disc(values, 0.5 / RINGS, 360.0 - 0.5 * step) == pytest.approx(0.5 * (ANGLES - 1))
    assert sample_disc(values, [0.0, 1.0], [0.0, 0.0]) == pytest.approx([0.0, 100.0 * (RINGS - 1)])
    assert sample_disc(values, 2.9 / RINGS, 10.4 * step, order=0) == 210.0
