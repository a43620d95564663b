"""The layout of rays on closed-form ventricles: where rays meet them, and their volumes, areas and arcs."""

import numpy as np
import pytest

from myoperf.types import LVFrame, PolarMap
from myoperf.ventricle.bullet import Bullet, rays_over_bullet
from myoperf.ventricle.rays import (
    at_rings,
    cavity_ml,
    equal_arc_rings,
    lay_rays,
    mid_wall_area_mm2,
    mid_wall_on_rays,
    slant,
)

LENGTH, RADIUS = 82.0, 27.0
AXIS = np.array((-0.64, 0.6, 0.48)) / np.linalg.norm((0.64, 0.6, 0.48))
APEX = np.array((40.0, -40.0, -30.0))
FRAME = LVFrame(APEX, APEX + LENGTH * AXIS, (0, -0.5, 0.8))
BULLET = Bullet(APEX + 35.0 * AXIS, AXIS, 26.0, 35.0, 47.0)


def half_ellipsoid_on(rays):
    """Distance at which rays from the middle of the long axis meet a half ellipsoid of LENGTH and RADIUS."""
    start = rays.height_mm - LENGTH / 2
    across, along = np.sin(rays.tilt_rad), -np.cos(rays.tilt_rad)
    a = (across / RADIUS) ** 2 + (along / LENGTH) ** 2
    b, c = 2 * start * along / LENGTH**2, (start / LENGTH) ** 2 - 1
    distance = (-b + np.sqrt(np.maximum(b * b - 4 * a * c, 0))) / (2 * a)
    return np.repeat(distance[:, None], rays.angles, axis=1)


def test_angles_rise_from_anterior_through_the_septum():
    rays = lay_rays(FRAME)
    np.testing.assert_allclose(rays.spokes[0], FRAME.anterior, atol=1e-12)
    np.testing.assert_allclose(rays.spokes[rays.angles // 4], FRAME.septal, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rays.direction, axis=-1), 1.0)
    np.testing.assert_allclose(rays.hub_mm, FRAME.centre_mm)
    assert rays.height_mm[-1] >= rays.base_mm + 18.0


def test_rays_integrate_a_half_ellipsoid():
    rays = lay_rays(FRAME)
    distance, rim = half_ellipsoid_on(rays), np.full(36, LENGTH / 2)
    assert cavity_ml(rays, distance, rim) == pytest.approx(2 / 3 * np.pi * RADIUS**2 * LENGTH / 1000, rel=3e-3)
    e = np.sqrt(1 - (RADIUS / LENGTH) ** 2)
    area = np.pi * RADIUS**2 * (1 + LENGTH / (RADIUS * e) * np.arcsin(e))
    assert mid_wall_area_mm2(rays, distance, rim) == pytest.approx(area, rel=3e-3)


def test_a_lower_rim_cuts_the_volume_of_its_slice():
    rays = lay_rays(FRAME)
    distance = np.full((rays.height_mm.size, 36), 20.0)
    whole, cut = (cavity_ml(rays, distance, np.full(36, rim)) for rim in (31.0, 20.0))
    assert whole - cut == pytest.approx(np.pi * 20.0**2 * 11.0 / 1000)
    assert rays.cap_solid_angle.sum() * rays.angles == pytest.approx(2 * np.pi)


def test_slant_is_one_on_a_sphere_and_the_cones_on_a_cone():
    rays = lay_rays(FRAME)
    ball = np.full((rays.height_mm.size, 36), 25.0)
    np.testing.assert_allclose(slant(rays, ball), 1.0)
    cone = ball + 0.75 * rays.height_mm[:, None]
    np.testing.assert_allclose(slant(rays, cone)[rays.cap_rings + 1 :], 1.25)


@pytest.mark.parametrize("anterior", [(0, -0.5, 0.8), (1.0, 0.2, 0.3)])
def test_rays_over_a_bullet_meet_it(anterior):
    rays = rays_over_bullet(BULLET, anterior, past_base_mm=24.0)
    points = rays.points(BULLET.radius_along(rays))
    np.testing.assert_allclose(BULLET.distance_mm(points), 0.0, atol=1e-9)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    assert steps.min() > 3.0
    assert steps.max() < 5.0
    np.testing.assert_allclose(steps[rays.cap_rings :], 4.0)
    np.testing.assert_allclose(points[0, 0], APEX, atol=1e-9)
    assert rays.height_mm[-1] == pytest.approx(BULLET.base_mm + 24.0, abs=4.0)
    assert (BULLET.distance_mm(rays.points(BULLET.radius_along(rays) - 5.0)) < -3.0).all()


def test_points_on_rays_are_located_there():
    rays = rays_over_bullet(BULLET, FRAME.anterior)
    distance = np.random.default_rng(3).uniform(5.0, 40.0, (rays.height_mm.size, rays.angles))
    ring, angle, along, height = rays.locate(rays.points(distance)[1:].reshape(-1, 3))
    shape = (rays.height_mm.size - 1, rays.angles)
    np.testing.assert_allclose(ring.reshape(shape), np.arange(1, rays.height_mm.size)[:, None] + np.zeros(shape))
    gap = (angle.reshape(shape) - np.arange(rays.angles) + 0.5 * rays.angles) % rays.angles - 0.5 * rays.angles
    np.testing.assert_allclose(gap, 0.0, atol=1e-9)
    np.testing.assert_allclose(along.reshape(shape), distance[1:])
    tube = slice(rays.cap_rings - 1, None)
    wanted = np.repeat(rays.height_mm[rays.cap_rings :, None], rays.angles, axis=1)
    np.testing.assert_allclose(height.reshape(shape)[tube], wanted, atol=1e-9)


def test_equal_arcs_of_a_half_ellipsoid():
    rays = lay_rays(
        FRAME, cap_tilt_rad=np.linspace(0, np.pi / 2, 200, endpoint=False), tube_height_mm=np.arange(0, 42, 0.5)
    )
    distance = half_ellipsoid_on(rays)
    polar = np.linspace(0, np.pi / 2, 20001)
    z, r = LENGTH * (1 - np.cos(polar)), RADIUS * np.sin(polar)
    arc = np.concatenate([[0], np.cumsum(np.hypot(np.diff(z), np.diff(r)))])
    ring = equal_arc_rings(rays, distance, rings=24, rim_mm=np.full(36, LENGTH / 2))
    height = at_rings(rays.points(distance), ring) @ AXIS - APEX @ AXIS
    np.testing.assert_allclose(height[:, 5], np.interp((np.arange(24) + 0.5) / 24 * arc[-1], arc, z), atol=0.05)


def test_a_polar_maps_mid_wall_comes_back_on_the_rays():
    t = np.linspace(0.02, np.pi / 2, 60)
    turn = np.deg2rad(np.arange(72) * 5.0)
    side = np.cos(turn)[:, None] * FRAME.anterior + np.sin(turn)[:, None] * FRAME.septal
    mid = FRAME.base_mm - LENGTH * np.cos(t)[:, None, None] * AXIS + RADIUS * np.sin(t)[:, None, None] * side
    polar = PolarMap(np.ones(mid.shape[:2]), mid, np.ones(mid.shape[:2]))
    rays = lay_rays(FRAME)
    inside = rays.height_mm <= rays.base_mm
    np.testing.assert_allclose(mid_wall_on_rays(rays, polar)[inside], half_ellipsoid_on(rays)[inside], atol=0.15)
