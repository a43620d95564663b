"""Intervals: their width is the noise's, they cover, and they are reproducible."""

import numpy as np
import pytest

from myoperf.errors import AnalysisError, InputError
from myoperf.pipeline.uncertainty import (
    PoseSpread,
    interval_from_outline,
    interval_of_draws,
    jitter_frame,
    resample_views,
)
from myoperf.types import LVFrame, Projections

FRAME = LVFrame((60, -70, -18), (20, -20, 18), (0, -0.5, 0.8))


def counts(mean, rng):
    return Projections(rng.poisson(mean, (1, 6, 8, 8)), np.arange(6) * 30.0, (6.4, 6.4))


def total(projections):
    return {"total": float(projections.array.sum())}


def interval_of_total(views, rng, *, draws, level=0.95):
    """Return the interval of the total counts from the noise of the views."""
    drawn = [total(resample_views(views, rng)) for _ in range(draws)]
    return interval_of_draws(total(views), drawn, level=level, source="counts")["total"]


def test_the_width_is_that_of_poisson_noise():
    views = counts(20.0, np.random.default_rng(0))
    interval = interval_of_total(views, np.random.default_rng(1), draws=400)
    assert interval.sd == pytest.approx(np.sqrt(views.array.sum()), rel=0.12)
    assert interval.low < interval.value < interval.high
    assert interval.high - interval.value == pytest.approx(1.96 * interval.sd, rel=0.02)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(150):
        interval = interval_of_total(counts(20.0, rng), rng, draws=60, level=0.8)
        hits += interval.low <= 20.0 * 384 <= interval.high
    assert hits / 150 == pytest.approx(0.8, abs=0.1)


def test_the_same_seed_gives_the_same_interval():
    views = counts(5.0, np.random.default_rng(0))
    first, second = (interval_of_total(views, np.random.default_rng(7), draws=20) for _ in range(2))
    assert first == second


def test_resampling_leaves_the_views_alone():
    views = counts(5.0, np.random.default_rng(0))
    before = views.array.copy()
    drawn = resample_views(views, np.random.default_rng(1))
    assert np.array_equal(views.array, before)
    assert not np.array_equal(drawn.array, before)


def test_poses_spread_as_asked():
    rng = np.random.default_rng(3)
    drawn = [jitter_frame(FRAME, rng, PoseSpread(shift_mm=2.0, tilt_deg=0.0, valve_mm=0.0)) for _ in range(400)]
    assert np.std([f.apex_mm for f in drawn], axis=0) == pytest.approx(2.0, rel=0.15)
    tilted = [jitter_frame(FRAME, rng, PoseSpread(shift_mm=0.0, tilt_deg=5.0, valve_mm=0.0)) for _ in range(400)]
    angle = np.rad2deg(np.arccos([f.axis @ FRAME.axis for f in tilted]))
    assert np.sqrt((angle**2).mean()) == pytest.approx(5.0 * np.sqrt(2), rel=0.12)
    assert np.std([f.centre_mm for f in tilted], axis=0) == pytest.approx(0, abs=1e-9)


def test_the_uncertainty_of_the_pose_reaches_the_number():
    spread, rng = PoseSpread(tilt_deg=0.0, valve_mm=3.0), np.random.default_rng(4)
    interval = interval_from_outline(FRAME, lambda f: {"length": f.length_mm}, rng=rng, draws=300, spread=spread)[
        "length"
    ]
    assert interval.sd == pytest.approx(3.0, rel=0.15)
    assert interval.source == "outline"


def test_draws_that_fail_are_counted_out():
    rng = np.random.default_rng(5)

    def sometimes(frame):
        if frame.length_mm < FRAME.length_mm - 0.5:
            raise AnalysisError("no wall")
        return {"length": frame.length_mm}

    interval = interval_from_outline(FRAME, sometimes, rng=rng, draws=60)["length"]
    assert 10 < interval.draws < 55
    with pytest.raises(InputError, match="could be measured"):
        interval_from_outline(
            FRAME,
            lambda f: sometimes(f) if f is FRAME else sometimes(LVFrame((0, 0, 0), (0, 0, 9), (1, 0, 0))),
            rng=rng,
        )


def test_impossible_input_is_refused():
    views = counts(5.0, np.random.default_rng(0))
    with pytest.raises(InputError, match="3 draws"):
        interval_from_outline(FRAME, lambda f: {}, rng=np.random.default_rng(0), draws=2)
    negative = Projections(views.array.astype(float) - 9, views.angles_deg, (6.4, 6.4))
    with pytest.raises(InputError, match="negative"):
        resample_views(negative, np.random.default_rng(0))
