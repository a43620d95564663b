"""Registration of stress and rest."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf import polar
from myoperf.errors import InputError
from myoperf.types import PolarMap

RINGS, ANGLES = 24, 72


def pattern(*, turned_deg=0.0, defect=None, thickness=True):
    """A map with walls of unequal counts and thickness, turned; optionally with a defect (centre, half width)."""
    angle = np.arange(ANGLES) * (360.0 / ANGLES) - turned_deg
    fraction = (np.arange(RINGS) + 0.5)[:, None] / RINGS
    values = (
        80.0 + 12 * np.cos(np.deg2rad(angle - 250)) * fraction + 5 * np.cos(np.deg2rad(2 * (angle - 30))) * fraction
    )
    wall = 10.0 + (2.0 * np.cos(np.deg2rad(angle - 100)) * fraction if thickness else np.zeros_like(values))
    if defect is not None:
        inside = np.abs((angle + turned_deg - defect[0] + 180) % 360 - 180) < defect[1]
        values = np.where(inside & (fraction > 0.3), 0.5 * values, values)
    mid = np.zeros((RINGS, ANGLES, 3))
    mid[..., 0] = np.arange(ANGLES)
    return PolarMap(values, mid, np.broadcast_to(wall, values.shape).copy())


@pytest.mark.parametrize("turn", [-12.0, -5.0, 7.0, 13.0])
def test_a_turned_map_is_turned_back(turn):
    found = polar.register_polar(pattern(), pattern(turned_deg=turn))
    assert found.shift_deg == pytest.approx(-turn, abs=1.0)
    assert found.polar.values == pytest.approx(pattern().values, abs=0.3)
    assert found.polar.thickness_mm == pytest.approx(pattern().thickness_mm, abs=0.1)
    assert found.correlation > 0.998 > found.correlation_before


def test_maps_in_step_stay_as_they_are():
    rest = pattern()
    found = polar.register_polar(pattern(), rest)
    assert found.shift_deg == 0.0
    assert np.array_equal(found.polar.values, rest.values)


def test_a_turn_beyond_the_limit_is_not_followed_further():
    found = polar.register_polar(pattern(), pattern(turned_deg=25.0), max_shift_deg=10.0)
    assert found.shift_deg == pytest.approx(-10.0)


def test_a_map_without_landmarks_is_not_turned():
    flat = PolarMap(np.full((RINGS, ANGLES), 70.0), np.zeros((RINGS, ANGLES, 3)), np.full((RINGS, ANGLES), 10.0))
    assert polar.register_polar(flat, flat).shift_deg == 0.0
    assert polar.register_polar(flat, pattern()).shift_deg == 0.0


def test_a_defect_of_one_state_does_not_turn_the_map_far():
    found = polar.register_polar(pattern(defect=(340.0, 30.0)), pattern())
    assert abs(found.shift_deg) <= 3.0


def test_positions_are_turned_with_the_values():
    found = polar.register_polar(pattern(), pattern(turned_deg=10.0))
    steps = round(found.shift_deg * ANGLES / 360.0)
    assert found.polar.mid_wall_mm[3, 20, 0] == pytest.approx(20 - steps, abs=0.5)


def test_gated_maps_other_grids_and_wild_angles_are_refused():
    one = pattern()
    gated = replace(one, values=np.stack([one.values, one.values]))
    with pytest.raises(InputError, match="ungated"):
        polar.register_polar(one, gated)
    coarse = PolarMap(np.ones((12, 36)), np.zeros((12, 36, 3)), np.ones((12, 36)))
    with pytest.raises(InputError, match="one grid"):
        polar.register_polar(one, coarse)
    with pytest.raises(InputError, match="0 to 45"):
        polar.register_polar(one, one, max_shift_deg=60.0)
