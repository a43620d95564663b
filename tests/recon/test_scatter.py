"""Scatter from energy windows beside the photopeak, and the coefficient that stands in for them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import ndimage

from myoperf.recon import ReconOptions, correct_motion, reconstruct
from myoperf.recon.motion import Motion
from myoperf.recon.scatter import BROAD_BEAM, window_scatter
from myoperf.types import Projections, ScatterWindow, Volume
from recon.test_reconstruction import cylinder

LOW, HIGH = (119.0, 126.0), (154.0, 161.0)


def flat(*windows, peak=(126.0, 154.0)):
    """Views of 100 counts with windows of constant counts."""
    beside = tuple(ScatterWindow(counts=np.full((6, 8, 8), counts), limits_kev=limits) for counts, limits in windows)
    return Projections(
        np.full((1, 6, 8, 8), 100.0), 30.0 * np.arange(6), (6.0, 6.0), window_kev=peak, scatter_windows=beside
    )


def test_triple_window_is_the_trapezoid_between_its_neighbours():
    assert_allclose(window_scatter(flat((14.0, LOW), (7.0, HIGH))), (14.0 / 7 + 7.0 / 7) * 28.0 / 2, rtol=1e-5)


def test_dual_window_is_half_of_the_lower_one_scaled_by_width():
    assert_allclose(window_scatter(flat((33.0, (92.0, 125.0)))), 0.5 * 33.0 * 28.0 / 33.0, rtol=1e-5)


def test_of_several_windows_on_a_side_the_nearest_counts():
    near_and_far = flat((99.0, (92.0, 119.0)), (14.0, LOW), (7.0, HIGH))
    assert_allclose(window_scatter(near_and_far), 42.0, rtol=1e-5)


@pytest.mark.parametrize("views", [flat(), flat((7.0, HIGH)), flat((14.0, LOW), peak=None)])
def test_without_a_lower_window_or_limits_there_is_no_estimate(views):
    assert window_scatter(views) is None


def test_motion_is_undone_in_the_windows_too():
    rng = np.random.default_rng(3)
    counts = ndimage.gaussian_filter(rng.random((6, 20, 20)), (0, 2, 2))
    views = Projections(
        counts[None], 30.0 * np.arange(6), (6.0, 6.0), scatter_windows=(ScatterWindow(counts=counts, limits_kev=LOW),)
    )
    shift = np.zeros((6, 2))
    shift[3:, 0] = 12.0
    motion = Motion(shift, 1.0, 1.0, 0.0)
    moved = correct_motion(views, motion)
    assert_allclose(moved.scatter_windows[0].counts, moved.array[0], atol=1e-6)
    assert abs(moved.array[0, 4] - counts[4]).max() > 0.01


def with_scatter(projections, share=0.4):
    """Add smooth scatter to views, and the windows that a straight spectrum would give."""
    scattered = share * ndimage.gaussian_filter(projections.array[0], (0, 0, 8.0), mode="nearest")
    width = 28.0
    low, high = (side * scattered * 7.0 / width for side in (1.6, 0.4))
    return replace(
        projections,
        array=projections.array + scattered,
        window_kev=(126.0, 154.0),
        scatter_windows=(
            ScatterWindow(counts=low, limits_kev=LOW),
            ScatterWindow(counts=high, limits_kev=HIGH),
        ),
    )


def test_a_cylinder_with_scatter_is_flat_with_its_windows_and_bulges_without():
    projections, attenuation = cylinder()
    views = with_scatter(projections)
    options = ReconOptions(iterations=10, subsets=5, post_filter=False)
    steps = (np.arange(48) - 23.5) * 5.0
    away = np.hypot(steps[:, None], steps[None])
    middle, edge = away < 25, (away > 55) & (away < 72)

    def bulge(settings, image):
        values = reconstruct(image, settings, attenuation=attenuation).volume.array[0, 1]
        return float(values[middle].mean() / values[edge].mean()), float(values[away < 70].mean())

    corrected, level = bulge(options, views)
    ignored, _ = bulge(replace(options, scatter="off"), views)
    assert corrected == pytest.approx(1.0, abs=0.04)
    assert level == pytest.approx(1.0, abs=0.05)
    assert ignored > 1.1


def test_without_windows_the_coefficient_of_a_broad_beam_is_used_and_recorded():
    projections, attenuation = cylinder()
    options = ReconOptions(iterations=2, post_filter=False)
    broad = reconstruct(projections, options, attenuation=attenuation)
    weaker = attenuation.with_array(attenuation.array * BROAD_BEAM)
    by_hand = reconstruct(projections, replace(options, scatter="off"), attenuation=weaker)
    assert_allclose(broad.volume.array, by_hand.volume.array, rtol=1e-4, atol=1e-5)
    assert "effective coefficient" in broad.record.scatter
    assert by_hand.record.scatter is None
    assert "energy window" in reconstruct(with_scatter(projections), options, attenuation=attenuation).record.scatter


def test_the_map_that_projections_carry_is_used():
    projections, attenuation = cylinder()
    options = ReconOptions(iterations=2, post_filter=False)
    carried = reconstruct(replace(projections, attenuation=attenuation), options)
    given = reconstruct(projections, options, attenuation=attenuation)
    assert_allclose(carried.volume.array, given.volume.array)
    assert carried.record.attenuation is not None
    assert isinstance(carried.volume, Volume)
