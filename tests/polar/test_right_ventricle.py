"""The right ventricle's insertions, and the check of its side, on closed-form hearts and real ones."""

import csv

import numpy as np
import pytest

from myoperf import polar
from myoperf.io import read_studies
from myoperf.lv import find_lv
from myoperf.types import Volume
from support.ventricle import with_right_ventricle


def beside(phantom, side, **counts):
    return with_right_ventricle(phantom.volume, phantom.frame, side, **counts)


def surface_of(phantom, frame=None):
    return polar.fit_surface(phantom.labels, frame or phantom.frame)


def codes(volume, surface):
    return [f.code for f in polar.check_rv_side(volume, surface)]


def test_the_insertions_lie_on_both_sides_of_the_septum(uniform):
    found = polar.find_rv_insertions(beside(uniform, uniform.frame.septal), surface_of(uniform))
    assert found is not None
    assert 30 < found.anterior_deg < 75
    assert 105 < found.inferior_deg < 150
    assert found.septum_deg == pytest.approx(90, abs=8)
    assert found.contrast > 1.15


@pytest.mark.parametrize("turn", [-25.0, 20.0])
def test_the_insertions_turn_with_the_frame(uniform, turn):
    volume = beside(uniform, uniform.frame.septal)
    found = polar.find_rv_insertions(volume, surface_of(uniform, polar.turn_anterior(uniform.frame, turn)))
    assert found is not None
    assert found.septum_deg == pytest.approx(90 - turn, abs=8)


@pytest.mark.parametrize("turn", [-28.0, 0.0, 25.0])
def test_the_anterior_direction_follows_the_right_ventricle(uniform, turn):
    volume = beside(uniform, uniform.frame.septal)
    found = polar.estimate_anterior(volume, surface_of(uniform, polar.turn_anterior(uniform.frame, turn)))
    assert found.seen
    assert found.turn_deg == pytest.approx(-turn, abs=10)


def test_a_right_ventricle_far_from_its_place_is_not_believed(uniform):
    volume = beside(uniform, uniform.frame.septal)
    found = polar.estimate_anterior(volume, surface_of(uniform, polar.turn_anterior(uniform.frame, -60.0)))
    assert abs(found.turn_deg) <= 35
    assert not found.seen


def test_without_a_right_ventricle_the_anterior_direction_stays(uniform):
    found = polar.estimate_anterior(uniform.volume, surface_of(uniform))
    assert not found.seen
    assert found.turn_deg == pytest.approx(0.0, abs=10)


def test_the_right_ventricle_on_the_septal_side_raises_nothing(uniform):
    assert codes(beside(uniform, uniform.frame.septal), surface_of(uniform)) == []


def test_the_right_ventricle_on_the_lateral_side_raises_doubt(uniform):
    volume = beside(uniform, uniform.frame.lateral)
    assert polar.find_rv_insertions(volume, surface_of(uniform)) is None
    assert polar.find_rv_insertions(volume, surface_of(uniform), about_deg=270.0) is not None
    assert codes(volume, surface_of(uniform)) == ["orientation-doubt"]


def test_a_frame_turned_upside_down_raises_doubt(uniform):
    volume = beside(uniform, uniform.frame.septal)
    assert codes(volume, surface_of(uniform, polar.turn_anterior(uniform.frame, 180.0))) == ["orientation-doubt"]


def test_activity_beside_the_lateral_wall_without_insertions_raises_nothing(uniform):
    """The lung's raised doubt in every normal scan of Tl-201, and withheld the verdict."""
    volume = beside(uniform, uniform.frame.lateral, wall=25.0, blood=25.0)
    assert polar.find_rv_insertions(volume, surface_of(uniform), about_deg=270.0) is None
    assert codes(volume, surface_of(uniform)) == []


def test_insertions_on_the_lateral_side_count_only_with_more_activity_there(uniform):
    lateral = beside(uniform, uniform.frame.lateral)
    for blood, raised in ((10.0, ["orientation-doubt"]), (120.0, [])):
        septal = beside(uniform, uniform.frame.septal, wall=blood, blood=blood)
        both = uniform.volume.with_array(septal.array + lateral.array - uniform.volume.array)
        assert polar.find_rv_insertions(both, surface_of(uniform)) is None
        assert polar.find_rv_insertions(both, surface_of(uniform), about_deg=270.0) is not None
        assert codes(both, surface_of(uniform)) == raised


def test_a_rim_a_few_percent_above_the_septum_is_no_insertion(uniform):
    faint = beside(uniform, uniform.frame.septal, wall=35.0, blood=25.0)
    assert polar.find_rv_insertions(faint, surface_of(uniform)) is None


def test_a_heart_alone_or_an_empty_image_raises_no_doubt(uniform):
    surface = surface_of(uniform)
    assert codes(uniform.volume, surface) == []
    empty = Volume(np.zeros_like(uniform.volume.array), uniform.volume.lps_from_index)
    assert codes(empty, surface) == []


@pytest.mark.real
def test_real_hearts_have_their_insertions_on_the_septal_side(real):
    """Three open volumes raise nothing; turned upside down, septum and lateral wall exchanged, most raise doubt."""
    with (real / "physionet_mps/index.csv").open() as file:
        names = [row["dicom"] for row in csv.DictReader(file)][1:4]
    noticed = 0
    for name in names:
        image = read_studies([real / "physionet_mps" / name]).studies[0].scans[0].image
        assert isinstance(image, Volume)
        fit = find_lv(image.summed())
        assert codes(image.summed(), polar.fit_surface(fit.labels, fit.frame)) == []
        noticed += bool(codes(image.summed(), polar.fit_surface(fit.labels, polar.turn_anterior(fit.frame, 180.0))))
    assert noticed >= 2
