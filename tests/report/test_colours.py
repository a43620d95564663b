"""Palettes: brightness, their numbers, the tables of DICOM, and agreement with matplotlib where they share a name."""

import matplotlib as mpl
import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.report.colours import (
    GREY,
    PALETTE_NAMES,
    PHASE,
    WEIGHT,
    colour_numbers,
    mixed,
    palette,
)

BRIGHTNESS = np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("name", ["perfusion", "grey", "hot-iron", "warm-metal", "cividis", "viridis", "inferno"])
def test_colour_scales_grow_brighter(name):
    light = palette(name).colours[:, :3] @ BRIGHTNESS
    assert (np.diff(light[::4]) > 0).all()


def test_every_palette_is_complete_and_opaque():
    assert {"grey", "warm-metal", "hot-iron", "cool", "10-step", "20-step", "pet", "pet-20-step"} <= set(PALETTE_NAMES)
    for name in PALETTE_NAMES:
        found = palette(name)
        assert found.name == name
        assert found.colours.shape == (255, 4)
        assert found.opaque
        assert found.table[255].tolist() == [255, 255, 255, 0]
    assert not WEIGHT.opaque
    with pytest.raises(InputError, match="choose from warm-metal, grey"):
        palette("rainbow")


def test_numbers_reach_from_limit_to_limit():
    values = np.array([-10.0, 0.0, 50.0, 100.0, 1e9, np.nan])
    assert colour_numbers(values, (0.0, 100.0)).tolist() == [0, 0, 127, 254, 254, 255]
    assert GREY.colours[[0, 254], 0].tolist() == [0, 255]


@pytest.mark.parametrize(("name", "most"), [("viridis", 6), ("cividis", 12), ("inferno", 7)])
def test_scales_of_a_known_name_agree_with_it(name, most):
    theirs = 255 * mpl.colormaps[name](np.linspace(0, 1, 255))[:, :3]
    assert np.abs(palette(name).colours[:, :3] - theirs).max() <= most


def test_phases_meet_at_both_ends():
    assert np.abs(PHASE.colours[0].astype(int) - PHASE.colours[-1]).max() < 6


def test_hot_iron_is_that_of_dicom():
    table = palette("hot-iron").colours[:, :3]
    assert table[0].tolist() == [0, 0, 0]
    assert table[127].tolist() == [255, 0, 0]
    assert table[-1].tolist() == [255, 255, 255]


def test_steps_are_as_many_as_they_say():
    for steps in (10, 20):
        assert len(np.unique(palette(f"{steps}-step").colours, axis=0)) == steps
    assert palette("10-step").colours[250].tolist() == palette("perfusion").colours[241].tolist()


def test_a_share_of_a_colour_on_white():
    assert mixed("#000000", 0.4) == "#999999"
    assert mixed("#c8553d", 1.0) == "#c8553d"
