"""Motion of the patient is found on the heart and undone; what is no motion of the patient is left alone.

The views are those of a heart, a body, a liver and gut through a collimator, attenuated, with Poisson noise. The
patient moves in the views without noise, which is exact for parallel rays along the body.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.recon import GE_LEHR, Motion, Projector, SystemGeometry, correct_motion, estimate_motion
from myoperf.recon.attenuation import attenuation_factors
from myoperf.recon.motion import _shifted
from myoperf.types import Projections

VIEWS, ROWS, COLUMNS, PIXEL = 32, 40, 48, 6.6
ANGLES = (225.0 - 180.0 / VIEWS * np.arange(VIEWS)) % 360.0
HEART, AXIS = (40.0, -35.0, 14.0), (0.0, 0.0, 0.0)
TWO_HEADS = np.repeat([1, 2], VIEWS // 2)  # at 225 and 135 degrees, taking their views at the same times
TIME = np.arange(VIEWS)
HEAD_TIME = TIME % (VIEWS // 2)


@lru_cache
def quiet_views(gut=0.0):
    """Views without noise, (views, rows, columns); `gut` is bright activity 45 mm below the heart."""
    geometry = SystemGeometry(tuple(ANGLES), COLUMNS, ROWS, PIXEL, PIXEL, (180.0,) * VIEWS, GE_LEHR)
    projector = Projector(geometry)
    z = ((ROWS - 1) / 2 - np.arange(-projector.pad_planes, ROWS + projector.pad_planes))[None] * PIXEL
    x, y = (axis[:, None] for axis in geometry.voxels_mm)

    def away(centre, half=(1.0, 1.0, 1.0)):
        return np.sqrt(sum(((a - c) / h) ** 2 for a, c, h in zip((x, y, z), centre, half, strict=True)))

    body = away((0.0, 0.0, z), (150.0, 105.0, 1.0)) < 1
    shell = np.exp(-0.5 * ((away(HEART, (1.0, 1.0, 1.25)) - 29.0) / 5.0) ** 2) * (x - HEART[0] > -22.0)
    liver = away((-65.0, -5.0, -75.0), (70.0, 60.0, 55.0)) < 1
    bowel = away((35.0, -30.0, -65.0)) < 16.0
    activity = (0.08 * body + 1.1 * shell + 0.5 * liver + gut * bowel).astype(np.float32)[:, None]
    mu = np.zeros((ROWS, COLUMNS, COLUMNS), dtype=np.float32)
    mu[:, geometry.inside] = 0.012 * np.repeat(body[:, :1], ROWS, axis=1).T
    factors = attenuation_factors(mu, geometry, pad_planes=projector.pad_planes)
    counts = Projector(geometry, attenuation=factors).forward(activity)[:, :, 0].transpose(0, 2, 1)
    return np.asarray(counts * (3e6 / counts.sum()), dtype=np.float64)


def views(rows=0.0, *, gut=0.0, seed=1, heads=None, change=None):
    """Noisy views, each shifted by `rows`; `change` alters them before the noise."""
    mean = quiet_views(gut)
    shift = np.broadcast_to(rows, (VIEWS,)).astype(float)
    moved = np.stack([ndimage.shift(v, (s, 0.0), order=3, mode="nearest") for v, s in zip(mean, shift, strict=True)])
    moved = np.maximum(moved, 0.0) if change is None else change(np.maximum(moved, 0.0))
    counts = np.random.default_rng(seed).poisson(moved).astype(np.float32)
    return Projections(counts, ANGLES, (PIXEL, PIXEL), np.full(VIEWS, 180.0), AXIS, heads=heads)


MOVES = {
    "step of one pixel": 1.0 * (TIME >= 19),
    "step of three pixels": -3.0 * (TIME >= 10),
    "bounce of two pixels": 2.0 * ((TIME >= 12) & (TIME < 20)),
    "creep of two and a half pixels": 2.5 * TIME / VIEWS,
    "two steps": 1.5 * (TIME >= 8) + 1.5 * (TIME >= 22),
}


@pytest.mark.parametrize("name", MOVES)
def test_motion_along_the_body_is_found_to_a_third_of_a_pixel(name):
    found = estimate_motion(views(MOVES[name]), HEART)
    error = found.shift_mm[:, 0] / PIXEL - MOVES[name]
    assert np.abs(error - np.median(error)).max() < 0.3
    assert found.is_motion
    assert found.disagreement_after < 0.9 * found.disagreement_before
    assert not found.shift_mm[:, 1].any()


@pytest.mark.parametrize("time_of_step", [5, 11])
def test_two_heads_see_a_step_at_the_same_time(time_of_step):
    true = 2.0 * (time_of_step <= HEAD_TIME)
    found = estimate_motion(views(true, heads=TWO_HEADS), HEART)
    error = found.shift_mm[:, 0] / PIXEL - true
    assert np.abs(error - np.median(error)).max() < 0.3
    assert found.disagreement_after < 0.8 * found.disagreement_before


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("heads", [None, TWO_HEADS], ids=["one head", "two heads"])
def test_a_patient_who_lies_still_is_left_alone(seed, heads):
    found = estimate_motion(views(seed=seed, heads=heads, gut=3.0 * (seed == 2)), HEART)
    assert not found.is_motion
    assert not found.shift_mm.any()
    assert found.doubtful_mm == 0.0


def gut_moves(counts):
    """Bright gut rises by two pixels half way; the heart stays."""
    gut = quiet_views(3.0) * quiet_views().sum() / quiet_views(3.0).sum()
    other = np.roll(gut - quiet_views(), -2, axis=1)
    other[:, -2:] = 0.0
    later = TIME[:, None, None] >= 16
    return np.maximum(counts + np.where(later, other, gut - quiet_views()), 0.0)


def truncated(counts):
    """The second head's field is cut by seven columns and five rows."""
    cut = counts.copy()
    cut[VIEWS // 2 :, :, -7:] = 0.0
    cut[VIEWS // 2 :, -5:] = 0.0
    return cut


def decayed(counts):
    """The second head counts less, and later views do."""
    return counts * np.where(TWO_HEADS == 2, 0.8, 1.0)[:, None, None] * (0.85 ** (HEAD_TIME / 15))[:, None, None]


def one_head_lower(counts):
    """The second head's image lies two rows lower in all its views: an offset of the head."""
    out = counts.copy()
    out[VIEWS // 2 :, 2:] = counts[VIEWS // 2 :, :-2]
    return out


def brighter_background(counts):
    """An even background grows from view to view."""
    return counts + 0.5 * counts.mean() * (TIME / VIEWS)[:, None, None]


@pytest.mark.parametrize("change", [gut_moves, truncated, decayed, one_head_lower, brighter_background])
def test_what_is_no_motion_of_the_patient_shifts_no_view(change):
    assert not estimate_motion(views(heads=TWO_HEADS, change=change), HEART).shift_mm.any()
    if change is one_head_lower:  # of one head alone it would be a step of the patient
        assert estimate_motion(views(change=change), HEART).is_motion
    else:
        assert not estimate_motion(views(change=change), HEART).shift_mm.any()


def test_a_step_across_the_body_is_noticed_and_not_undone():
    shift = np.where(TIME >= 16, -3.0 * np.cos(np.deg2rad(ANGLES)), 0.0)

    def across(counts):
        return np.stack(
            [ndimage.shift(v, (0.0, s), order=3, mode="nearest") for v, s in zip(counts, shift, strict=True)]
        )

    found = estimate_motion(views(change=lambda c: np.maximum(across(c), 0.0)), HEART)
    assert not found.shift_mm.any()
    assert_allclose(found.doubtful_mm, 3.0 * abs(np.cos(np.deg2rad(ANGLES[16]))) * PIXEL, atol=0.35 * PIXEL)


def test_correction_keeps_gates_counts_and_unmoved_views():
    still = views()
    gated = replace(still, array=np.repeat(still.array, 3, axis=0))
    shift = np.zeros((VIEWS, 2))
    shift[20:, 0] = PIXEL
    moved = correct_motion(gated, Motion(shift)).array
    assert moved[:, 25, 1:-2] == pytest.approx(gated.array[:, 25, 2:-1], abs=1e-3)
    assert np.array_equal(moved[:, :20], gated.array[:, :20])
    assert moved.min() >= 0


def test_the_views_of_a_corrected_scan_are_those_of_a_patient_who_lay_still():
    true = 2.0 * (TIME >= 19)
    spoilt = views(true)
    mended = correct_motion(spoilt, estimate_motion(spoilt, HEART))
    still = quiet_views()
    before, after = (np.square(v.array[0, 19:, 4:-4] - still[19:, 4:-4]).mean() for v in (spoilt, mended))
    assert after < 1.3 * still[19:].mean() < 0.6 * before


def test_small_noisy_views_are_left_alone():
    counts = np.random.default_rng(0).poisson(5.0, (1, 30, 24, 24)).astype(np.float32)
    small = Projections(counts, np.linspace(0.0, 180.0, 30, endpoint=False), (6.4, 6.4))
    assert not estimate_motion(small, AXIS).shift_mm.any()


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(InputError, match="12 views"):
        estimate_motion(Projections(np.ones((8, 20, 20)), ANGLES[:8], (PIXEL, PIXEL)), HEART)
    with pytest.raises(InputError, match="outside the views"):
        estimate_motion(views(), (0.0, 0.0, 900.0))
    with pytest.raises(InputError, match="as many shifts"):
        correct_motion(views(), Motion(np.zeros((5, 2))))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.3, 0.0), (0.0, -1.7), (-3.0, 0.4), (14.6, -13.2)])
def test_views_are_shifted_by_the_splines_of_scipy(shift):
    views = np.random.default_rng(3).poisson(30.0, (2, 15, 18)).astype(float)
    moved = _shifted(views, np.array([shift, (1.1, 0.9)]))
    for view, by, got in zip(views, (shift, (1.1, 0.9)), moved, strict=True):
        expected = ndimage.shift(view, by, order=3, mode="nearest")
        assert_allclose(got, expected, rtol=0.0, atol=1e-4)
