"""A wrong orientation of the volume, and a pose that cannot be right, are noticed."""

import itertools

import numpy as np
import pytest

from myoperf.geometry import angle_deg, transform_points
from myoperf.lv import LVFit, check_pose, plausible, pose_refused
from myoperf.lv.apex import search_apex, surroundings
from myoperf.lv.detect import prepare
from myoperf.lv.plausible import expected_radius_mm
from myoperf.types import LVFrame, Volume
from support.torso import make, shell

SIGNS = list(itertools.product((1, -1), repeat=3))
HEART = shell(outer=(36.0, 76.0))
"""The closed-form ventricle in a torso with a liver."""


@pytest.fixture(scope="module")
def torso():
    return make(HEART, liver=0.6, spacing=5.0, shape=(48, 52, 56))


def turned(volume, signs):
    return Volume(volume.array, np.diag([*signs, 1.0]) @ volume.lps_from_index)


def turned_frame(frame, signs):
    return LVFrame(*(np.array(signs) * vector for vector in (frame.apex_mm, frame.base_mm, frame.anterior)))


def codes(findings):
    return [f.code for f in findings]


@pytest.mark.parametrize("signs", SIGNS[1:])
def test_exchanged_axes_are_named_although_the_pose_follows_the_image(torso, signs):
    image, labels = (turned(one, signs) for one in torso)
    found = check_pose(image, LVFit(turned_frame(HEART.frame, signs), labels, 0.9, ()))
    assert codes(found) == ["orientation-implausible"]
    assert pose_refused(found)
    for name, sign in zip(("left and right", "front and back", "head and feet"), signs, strict=True):
        assert (name in found[0].message.split(":")[0]) is (sign < 0)
    assert ("situs inversus" in found[0].message) is (signs[0] < 0)


def test_the_volume_as_it_is_raises_nothing(torso):
    image, labels = torso
    assert check_pose(image, LVFit(HEART.frame, labels, 0.9, ())) == ()


def test_a_level_heart_is_told_from_an_upside_down_one_by_the_liver():
    level = shell(axis=(-0.6, 0.8, 0.0), outer=(36.0, 76.0))
    image, labels = make(level, liver=0.6, spacing=5.0, shape=(48, 52, 56))
    assert check_pose(image, LVFit(level.frame, labels, 0.9, ())) == ()
    signs = (1, 1, -1)
    image, labels = turned(image, signs), turned(labels, signs)
    found = check_pose(image, LVFit(turned_frame(level.frame, signs), labels, 0.9, ()))
    assert codes(found) == ["orientation-implausible"]


@pytest.mark.parametrize("axis", [(-0.6, 0.7, 0.4), (0.6, -0.7, -0.4), (0.0, -0.2, 1.0), (1.0, 0.1, 0.2)])
def test_the_apex_is_found_in_every_direction(axis):
    heart = shell(axis=axis, base=(0.0, 0.0, 0.0), outer=(36.0, 76.0))
    image, labels = make(heart, spacing=5.0, shape=(48, 52, 56))
    found = search_apex(prepare(image), heart.frame.centre_mm + 6.0, expected_radius_mm(labels))
    assert angle_deg(found.direction, -heart.frame.axis) < 12.0
    assert found.score > found.rival + 0.1


def test_an_apex_taken_for_the_base_is_refused_even_in_short_axis_slices(torso):
    image, labels = torso
    reversed_frame = LVFrame(HEART.frame.base_mm, HEART.frame.apex_mm, HEART.frame.anterior)
    found = check_pose(image, LVFit(reversed_frame, labels, 0.9, ()), transaxial=False)
    assert codes(found) == ["pose-implausible"]
    assert "180 degrees" in found[0].message or "17" in found[0].message


@pytest.mark.parametrize("share", [0.0, 12.0])
def test_a_cavity_that_no_ventricle_has_is_refused(torso, share):
    image, labels = torso
    pool = labels.array == 2
    changed = np.where(pool, 0, labels.array) if share == 0.0 else np.full_like(labels.array, 2)
    found = check_pose(image, LVFit(HEART.frame, labels.with_array(changed), 0.9, ()))
    assert codes(found) == ["pose-implausible"]
    assert "ml; expected were" in found[0].message


def test_a_pose_where_nothing_stands_out_is_refused(torso):
    _, labels = torso
    empty, _ = make(HEART, heart=0.0, liver=0.6, spacing=5.0, shape=(48, 52, 56))
    found = check_pose(empty, LVFit(HEART.frame, labels, 0.9, ()))
    assert codes(found) == ["pose-implausible"]
    assert "No wall stands out" in found[0].message


def test_activity_on_one_side_gives_its_direction(torso):
    image = prepare(torso[0])
    centre = HEART.frame.centre_mm
    x, _, z = surroundings(image, centre, 100.0, from_mm=60.0, to_mm=110.0)
    assert x < -0.05  # the liver lies to the right
    assert z < -0.05  # and below
    assert np.linalg.norm((x, z)) <= 1.0


def test_a_greatly_dilated_ventricle_is_not_refused():
    """471 ml within a wall of 8 mm (the largest of 1500 simulated patients has 502): limits below 450 ml would fail."""
    dilated = shell(outer=(58.0, 98.0), wall=8.0)
    image, labels = make(dilated, liver=0.6, spacing=6.0, shape=(52, 56, 60), fwhm=14.0, noise=0.5)
    assert labels.label_ml(2) > 450.0
    assert check_pose(image, LVFit(dilated.frame, labels, 0.9, ())) == ()


def test_faint_activity_all_over_the_chest_does_not_turn_the_body_round(torso):
    """Lungs of Tl-201, brighter than the abdomen where little attenuates them, withheld numbers of normal hearts."""
    image = prepare(torso[0])
    z = transform_points(image.lps_from_index, np.moveaxis(np.indices(image.grid_shape), 0, -1).reshape(-1, 3))[:, 2]
    above = (z > HEART.frame.centre_mm[2]).reshape(image.grid_shape)
    empty = np.where(above, 25.0, 0.0)[None].astype(np.float32)
    direction = surroundings(image.with_array(empty), HEART.frame.centre_mm, 100.0, from_mm=60.0, to_mm=110.0)
    assert np.allclose(direction, 0.0)
    hot = surroundings(image.with_array(2.0 * empty), HEART.frame.centre_mm, 100.0, from_mm=60.0, to_mm=110.0)
    assert hot[2] > 0.3


@pytest.mark.parametrize(
    ("of_apex", "of_body", "code"),
    [
        ((0.6, 0.8, 0.10), (0.0, 0.1, -0.05), None),
        ((0.6, 0.8, 0.10), (0.0, 0.1, -0.28), None),  # Tl-201: lungs, and an abdomen without counts
        ((0.6, 0.8, 0.10), (0.0, 0.1, -0.32), "orientation-doubt"),
        ((-0.07, 0.9, 0.30), (0.0, 0.1, 0.2), None),  # straight forward
        ((-0.10, 0.9, 0.30), (0.0, 0.1, 0.2), "orientation-doubt"),
        ((-0.16, 0.9, 0.30), (0.0, 0.1, 0.2), "orientation-implausible"),
        ((0.6, -0.03, 0.30), (0.0, 0.0, 0.2), "orientation-doubt"),
        ((0.6, 0.8, 0.10), (0.0, 0.1, -0.45), "orientation-implausible"),
        ((0.6, 0.8, -0.10), (0.0, 0.1, 0.07), "orientation-doubt"),
        ((0.6, 0.8, -0.10), (0.0, 0.1, 0.04), "orientation-implausible"),
    ],
)
def test_the_body_alone_withholds_numbers_only_when_it_speaks_clearly(of_apex, of_body, code):
    found = plausible._check_axes(np.array(of_apex), np.array(of_body), certain=True)
    assert codes(found) == ([] if code is None else [code])
    doubted = plausible._check_axes(np.array(of_apex), np.array(of_body), certain=False)
    assert codes(doubted) == ([] if code is None else ["orientation-doubt"])
