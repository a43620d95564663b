"""The projector against closed forms, on grids with unequal axes."""

import numpy as np
import pytest

from myoperf.errors import GeometryError, InputError
from myoperf.phantom.physics import LEHR_GE, Camera, Scatter, orbit_radius, project
from myoperf.phantom.records import Grid

SPACING = 4.0
GRID = Grid.centred((36, 64, 72), SPACING, (5.0, -7.0, 11.0))
ANGLES = np.array([225.0, 180.0, 137.0, 90.0, 45.0, 0.0, 270.0])


def coordinates():
    index = np.moveaxis(np.indices(GRID.shape), 0, -1)
    return np.moveaxis(index @ GRID.lps_from_index[:3, :3].T + GRID.lps_from_index[:3, 3], -1, 0)


def camera(**changes):
    values = {
        "angles_deg": ANGLES,
        "radius_mm": np.full(len(ANGLES), 200.0),
        "shape": (40, 48),
        "pixel_mm": 6.4,
        "axis_lps_mm": (5.0, -7.0, 11.0),
        "scatter": Scatter(share=0.0),
    }
    return Camera(**(values | changes))


def ball(centre, radius):
    x, y, z = coordinates()
    return ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 < radius**2).astype(np.float32)


def centroid(view):
    rows, columns = np.indices(view.shape)
    return (rows * view).sum() / view.sum(), (columns * view).sum() / view.sum()


def test_counts_are_conserved_without_attenuation():
    source = ball((25.0, 3.0, 16.0), 30.0)
    views = project([source], np.zeros(GRID.shape), GRID, camera()).primary[0]
    np.testing.assert_allclose(views.sum(axis=(1, 2)), source.sum(), rtol=5e-3)


def test_a_ball_lands_where_the_conventions_of_projections_say():
    centre = np.array([37.0, -39.0, 35.0])
    source = ball(centre, 10.0)
    x, y, z = (np.average(axis, weights=source) for axis in coordinates())
    views = project([source], np.zeros(GRID.shape), GRID, camera()).primary[0]
    for view, angle in zip(views, np.deg2rad(ANGLES), strict=True):
        across = (x - 5.0) * -np.cos(angle) + (y + 7.0) * np.sin(angle)
        row, column = centroid(view)
        assert row == pytest.approx(19.5 - (z - 11.0) / 6.4, abs=0.02)
        assert column == pytest.approx(23.5 + across / 6.4, abs=0.06)


@pytest.mark.parametrize("angle", [180.0, 45.0])
def test_a_points_width_is_the_collimators_at_its_depth(angle):
    depth = 60.0
    toward = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle)), 0.0])
    source = ball(np.array([5.0, -7.0, 11.0]) + depth * toward, 14.0)
    fine = camera(angles_deg=np.array([angle]), radius_mm=np.array([220.0]), pixel_mm=2.0, shape=(101, 101))
    view = project([source], np.zeros(GRID.shape), GRID, fine).primary[0, 0]
    columns = np.arange(101.0)
    profile = view.sum(axis=0)
    mean = (profile * columns).sum() / profile.sum()
    variance = 4.0 * ((profile * (columns - mean) ** 2).sum() / profile.sum())
    positions = np.stack(coordinates(), axis=-1)[source > 0]
    across = positions @ np.array([-toward[1], toward[0], 0.0])
    expected = across.var() + LEHR_GE.variance_mm2(np.array(220.0 - depth)) + 2.0**2 / 12
    assert variance == pytest.approx(float(expected), rel=0.03)


def test_uniform_cylinder_with_attenuation_follows_the_exponential_integral():
    x, y, _ = coordinates()
    radius, mu = 100.0, 0.015
    inside = np.clip((radius - np.hypot(x - 5.0, y + 7.0)) / SPACING + 0.5, 0.0, 1.0).astype(np.float32)
    views = project([inside], mu * inside, GRID, camera()).primary[0]
    expected = (1 - np.exp(-2 * mu * radius)) / mu / SPACING * (6.4 / SPACING) ** 2
    middle = views[:, 18:22, 23:25].mean(axis=(1, 2))
    np.testing.assert_allclose(middle, expected, rtol=0.01)


def test_scatter_adds_the_build_up_and_spreads_it():
    x, y, _ = coordinates()
    water = (np.hypot(x - 5.0, y + 7.0) < 100.0).astype(np.float32)
    source = ball((5.0, -7.0, 11.0), 12.0)
    views = project([source], 0.015 * water, GRID, camera(scatter=Scatter(share=0.25)))
    line = 0.015 * 100.0
    ratio = views.scattered[0, 1].sum() / views.primary[0, 1].sum()
    assert 0.75 * np.expm1(0.25 * line) < ratio < np.expm1(0.25 * line) * 1.02  # some leaves the field of view
    assert (views.scattered[0, 1] > 0).mean() > 0.9
    assert (views.primary[0, 1] > 1e-3).mean() < 0.3
    np.testing.assert_allclose(views.total, views.primary + views.scattered)


def test_sources_add_up_and_threads_change_nothing():
    first, second = ball((20.0, 0.0, 0.0), 20.0), ball((-30.0, 10.0, 20.0), 15.0)
    mu = 0.012 * ball((5.0, -7.0, 11.0), 90.0)
    views = project([first, second, first + second, 0 * first], mu, GRID, camera(scatter=Scatter()), threads=1)
    np.testing.assert_allclose(
        views.total[0] + views.total[1], views.total[2], atol=0.002 * float(views.total[2].max())
    )
    assert not views.total[3].any()
    again = project([first, second, first + second, 0 * first], mu, GRID, camera(scatter=Scatter()), threads=3)
    np.testing.assert_array_equal(views.total, again.total)


def test_movement_shifts_the_views_it_lasts_for():
    source = ball((5.0, -7.0, 11.0), 15.0)
    shift = np.zeros((len(ANGLES), 3))
    shift[1] = (12.8, 0.0, 6.4)
    mu = np.zeros(GRID.shape)
    still, moved = (project([source], mu, GRID, camera(shift_lps_mm=s)).primary[0] for s in (None, shift))
    np.testing.assert_array_equal(still[2:], moved[2:])
    (row, column), (row_then, column_then) = centroid(moved[1]), centroid(still[1])
    assert row == pytest.approx(row_then - 1.0, abs=0.02)
    assert column == pytest.approx(column_then + 2.0, abs=0.02)


def test_breathing_widens_along_the_body_only():
    source = ball((5.0, -7.0, 11.0), 15.0)
    mu = np.zeros(GRID.shape)
    still, blurred = (project([source], mu, GRID, camera(axial_blur_mm=b)).primary[0, 1] for b in (0.0, 8.0))
    rows, columns = np.indices(still.shape)

    def variance(view, where):
        return np.average(where**2, weights=view) - np.average(where, weights=view) ** 2

    assert variance(blurred, rows) - variance(still, rows) == pytest.approx((8.0 / 6.4) ** 2, rel=0.02)
    assert variance(blurred, columns) == pytest.approx(variance(still, columns), rel=1e-3)


def test_orbit_clears_the_body():
    x, y, _ = coordinates()
    body = (((x - 5.0) / 110.0) ** 2 + ((y + 7.0) / 80.0) ** 2) < 1
    axis = (5.0, -7.0, 11.0)
    contour = orbit_radius(body, GRID, ANGLES, axis_lps_mm=axis, margin_mm=10.0, circular=False)
    assert contour[1] == pytest.approx(80 + 12, abs=SPACING)
    assert contour[3] == pytest.approx(110 + 12, abs=SPACING)
    circle = orbit_radius(body, GRID, ANGLES, axis_lps_mm=axis, margin_mm=10.0, circular=True)
    np.testing.assert_array_equal(circle, contour.max())


def test_impossible_input_is_refused():
    with pytest.raises(GeometryError, match="radii"):
        camera(radius_mm=np.ones(2))
    with pytest.raises(GeometryError, match="pixels"):
        camera(pixel_mm=0.0)
    with pytest.raises(GeometryError, match="Movement"):
        camera(shift_lps_mm=np.zeros((2, 3)))
    with pytest.raises(InputError, match="slope"):
        Scatter(slope_per_mm=0.0)
    with pytest.raises(GeometryError, match="shape"):
        project([np.zeros((2, 2, 2))], np.zeros(GRID.shape), GRID, camera())
    with pytest.raises(GeometryError, match="transaxial"):
        project([], np.zeros((4, 4, 4)), Grid((4, 4, 4), np.eye(4)), camera())
    with pytest.raises(GeometryError, match="empty"):
        orbit_radius(np.zeros(GRID.shape, bool), GRID, ANGLES, axis_lps_mm=(0, 0, 0), margin_mm=1.0, circular=True)
