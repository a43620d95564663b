"""Phase of known beats: shifts, spreads, noise."""

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.gated import measure_synchrony
from myoperf.gated.synchrony import phase_bandwidth_deg, phase_entropy_percent

RINGS, ANGLES = 24, 36


def beating(phase_deg, gates=8, amplitude=0.2):
    time = (np.arange(gates) + 0.5) / gates
    delay = np.broadcast_to(phase_deg, (RINGS, ANGLES))
    return 100 * (1 + amplitude * np.cos(2 * np.pi * time[:, None, None] - np.deg2rad(delay)))


def sideways(size):
    """A phase that differs between septum and lateral wall, less towards the apex; its SD over the map is `size`."""
    angle = np.deg2rad(np.arange(ANGLES) * 360 / ANGLES)
    field = -np.sin(0.5 * np.pi * (np.arange(RINGS) + 0.5) / RINGS)[:, None] * np.sin(angle)
    return 150 + size * field / field.std()


@pytest.mark.parametrize("gates", [8, 9, 16])
def test_a_common_delay_is_found_in_degrees_of_the_cycle(gates):
    result = measure_synchrony(beating(140.0, gates))
    assert result.phase_mean_deg == pytest.approx(140.0, abs=0.1)
    assert result.phase_sd_deg == pytest.approx(0.0, abs=0.1)
    assert result.amplitude_map_percent == pytest.approx(20.0, abs=0.1)
    assert result.phase_reliable


@pytest.mark.parametrize("size", [8.0, 30.0])
def test_spread_is_the_wall_s_and_the_septum_is_early(size):
    result = measure_synchrony(beating(sideways(size)))
    assert result.phase_sd_deg == pytest.approx(size, rel=0.03)
    assert result.phase_map_deg == pytest.approx(sideways(size), abs=0.1 * size)
    assert result.phase_segments_deg[[1, 2, 7, 8, 13]].max() < 0 < result.phase_segments_deg[[4, 5, 10, 11, 15]].min()


def test_motion_alone_carries_the_phase_where_thickness_does_not():
    still = np.full((8, RINGS, ANGLES), 100.0) + beating(150.0, amplitude=1e-4) - 100
    motion = 3.0 * (beating(sideways(20.0)) / 100 - 1) / 0.2
    assert measure_synchrony(still).phase_sd_deg < 1
    assert measure_synchrony(still, motion).phase_sd_deg == pytest.approx(20.0, rel=0.1)


def test_motion_of_the_apex_and_of_the_rim_says_nothing():
    """At the apex motion runs along the axis, at the rim it is the valve plane's."""
    still = np.full((8, RINGS, ANGLES), 100.0) + beating(150.0, amplitude=1e-4) - 100
    motion = 3.0 * (beating(sideways(20.0)) / 100 - 1) / 0.2
    share, other = (np.arange(RINGS) + 0.5) / RINGS, motion.copy()
    outside = (share < 0.25) | (share > 0.92)
    other[:, outside] = np.roll(motion[:, outside], 2, axis=0)  # a quarter of the beat late
    assert measure_synchrony(still, other).phase_sd_deg == pytest.approx(20.0, rel=0.02)


def test_noise_does_not_widen_the_spread():
    rng = np.random.default_rng(3)
    truth, raw, found, noise, held = 12.0, [], [], [], 0
    for _ in range(16):
        result = measure_synchrony(beating(sideways(truth)) + rng.normal(0, 30.0, (8, RINGS, ANGLES)))
        raw.append(result.phase_sd_uncorrected_deg)
        found.append(result.phase_sd_deg)
        noise.append(result.phase_noise_deg)
        low, high = result.phase_sd_interval_deg
        held += low <= truth <= high
    assert np.mean(raw) > np.mean(found)
    assert abs(np.mean(found) - truth) < 1.5
    assert np.mean(noise) > 2.0
    assert held >= 14


def test_where_noise_says_all_there_is_no_phase():
    rng = np.random.default_rng(4)
    for size in (200.0, 400.0):
        results = [measure_synchrony(beating(150.0) + rng.normal(0, size, (8, RINGS, ANGLES))) for _ in range(3)]
        for result in results:
            assert not result.phase_reliable
            assert result.phase_sd_deg is result.phase_bandwidth_deg is result.phase_sd_interval_deg is None
            assert result.phase_entropy_percent is result.phase_skewness is result.phase_kurtosis is None
            assert result.phase_sd_uncorrected_deg > 5


@pytest.mark.parametrize("gates", [8, 16])
def test_a_late_region_is_measured_as_late_and_in_full(gates):
    """A field that ends at the second harmonic, or one term along the axis, gives two thirds of it."""
    along, around = np.arange(RINGS)[:, None] - 15, np.arange(ANGLES) - 30
    late = 150 + 45.0 * np.exp(-0.5 * ((along / 4.0) ** 2 + (around / 3.5) ** 2))
    noise = np.random.default_rng(gates).normal(0, 4.0, (gates, RINGS, ANGLES))
    result = measure_synchrony(beating(late, gates) + noise)
    assert result.phase_sd_deg == pytest.approx(late.std(), abs=1.0)
    assert result.phase_segments_deg.argmax() == 11, "segment 12, mid anterolateral"


def test_what_blur_hides_of_a_delay_is_put_back():
    response = np.ones((4, 4))
    response[:2], response[2:] = 0.5, 0.9
    shown = measure_synchrony(
        beating(150 + 0.5 * (sideways(20.0) - 150)),
        3.0 * (beating(150 + 0.9 * (sideways(20.0) - 150)) / 100 - 1) / 0.2,
        response=response,
    )
    assert shown.phase_sd_deg == pytest.approx(20.0, rel=0.05)
    assert shown.phase_map_deg == pytest.approx(sideways(20.0), abs=2.0)


def test_thickness_and_motion_are_compared_against_noise():
    rng = np.random.default_rng(6)

    def both(sign):
        noisy = beating(sideways(20.0)) + rng.normal(0, 5.0, (8, RINGS, ANGLES))
        return measure_synchrony(noisy, 3.0 * (beating(150 + sign * (sideways(20.0) - 150)) / 100 - 1) / 0.2)

    same, opposite = both(1), both(-1)
    assert same.phase_agrees
    assert same.phase_disagreement < 1.5
    assert not opposite.phase_agrees
    assert opposite.phase_disagreement > 3
    alone = measure_synchrony(beating(sideways(20.0)))
    assert alone.phase_agrees
    assert alone.phase_disagreement is None


def test_a_place_without_counts_has_little_to_say():
    level = np.ones((RINGS, ANGLES))
    level[:, :9] = 0.02
    counts = beating(150.0)
    counts[:, :, :9] = beating(230.0)[:, :, :9]
    counts += np.random.default_rng(7).normal(0, 5.0, counts.shape)
    assert measure_synchrony(counts, level=level).phase_sd_deg < 0.3 * measure_synchrony(counts).phase_sd_deg


def test_too_much_noise_is_said():
    rng = np.random.default_rng(5)
    assert not measure_synchrony(beating(150.0, amplitude=0.02) + rng.normal(0, 30, (8, RINGS, ANGLES))).phase_reliable
    assert not measure_synchrony(beating(150.0, gates=6)).phase_reliable


def test_a_scar_without_thickening_does_not_widen_the_phase():
    counts = beating(150.0)
    counts[:, :8] = 50 + np.random.default_rng(1).normal(0, 1, (8, 8, ANGLES))
    assert measure_synchrony(counts).phase_sd_deg < 6


def test_bandwidth_holds_95_percent_across_the_seam():
    phase = np.concatenate([np.linspace(350, 360, 50, endpoint=False), np.linspace(0, 10, 50)])
    assert phase_bandwidth_deg(phase) == pytest.approx(0.95 * 20, abs=0.5)
    assert phase_bandwidth_deg(np.full(100, 7.0)) == 0
    outlier = np.append(phase, np.full(20, 180.0))
    assert phase_bandwidth_deg(outlier) > 150
    assert phase_bandwidth_deg(outlier, np.append(np.ones(100), np.full(20, 0.01))) < 20


def test_entropy_runs_from_none_to_all():
    assert phase_entropy_percent(np.full(500, 123.0)) == 0
    assert phase_entropy_percent(np.arange(0, 360, 0.5)) == pytest.approx(100)
    assert phase_entropy_percent(np.repeat([3.0, 183.0], 50)) == pytest.approx(100 * np.log(2) / np.log(60))


def test_histogram_counts_every_place():
    result = measure_synchrony(beating(sideways(20.0)))
    assert sum(result.phase_histogram.counts) == RINGS * ANGLES
    assert len(result.phase_histogram.edges_deg) == 61


def test_impossible_input_is_refused():
    with pytest.raises(InputError, match="4 gates"):
        measure_synchrony(np.ones((3, 24, 36)))
    with pytest.raises(InputError, match="no counts"):
        measure_synchrony(np.zeros((8, 24, 36)))
    with pytest.raises(InputError, match="same shape"):
        measure_synchrony(np.ones((8, 24, 36)), np.ones((8, 24, 30)))


def test_values_that_are_not_numbers_and_tiny_maps_are_refused():
    holed = beating(np.zeros((24, 36)))
    holed[0, 3, 4] = np.nan
    with pytest.raises(InputError, match="NaN"):
        measure_synchrony(holed)
    with pytest.raises(InputError, match="4 rings x 6 angles"):
        measure_synchrony(np.ones((8, 2, 4)))
    with pytest.raises(InputError, match="at least one phase"):
        phase_bandwidth_deg(np.array([]))
