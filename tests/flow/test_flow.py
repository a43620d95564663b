"""Flow from simulated time-activity: known flow in, the same flow out."""

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.flow import (
    DynamicProtocol,
    fit_flow,
    flow_from_k1,
    flow_reserve,
    k1_from_flow,
    resample_blood,
    resample_residuals,
)

DURATION = np.concatenate([np.full(12, 5.0), np.full(6, 10.0), np.full(4, 30.0), np.full(4, 60.0)])
START = np.concatenate([[0.0], np.cumsum(DURATION)[:-1]])
FINE = np.arange(0, START[-1] + DURATION[-1] + 0.05, 0.1)


def bolus(times, arrival, width):
    t = np.maximum(times - arrival, 0) / width
    return 100 * t * np.exp(1 - t) + 8 * (1 - np.exp(-t / 3))


def averaged(curve):
    return np.array(
        [curve[(a - 1e-9 <= FINE) & (b > FINE)].mean() for a, b in zip(START, START + DURATION, strict=True)]
    )


def simulate(flows, k2, spill=(0.25, 0.08), tracer="Rb-82"):
    """Integrate dC/dt = K1 Ca - k2 C by Euler at 0.1 s, mix in blood, average over frames."""
    left, right = bolus(FINE, 18, 9), bolus(FINE, 8, 7)
    tissue = np.zeros((len(flows), FINE.size))
    for row, flow in zip(tissue, flows, strict=True):
        k1 = float(k1_from_flow(flow, tracer))
        for i in range(1, FINE.size):
            row[i] = row[i - 1] + (0.1 / 60) * (k1 * left[i - 1] - k2 * row[i - 1])
    mixed = (1 - sum(spill)) * tissue + spill[0] * left + spill[1] * right
    return np.stack([averaged(m) for m in mixed]), averaged(left), averaged(right)


def protocol(tracer, frames=slice(None), *, start=START):
    return DynamicProtocol(tracer=tracer, start_s=start[frames], duration_s=DURATION[frames])


def fit(tissue, left, right, tracer):
    return fit_flow(tissue, left, right=right, protocol=protocol(tracer))


@pytest.mark.parametrize(("tracer", "k2"), [("Rb-82", 0.3), ("N-13", 0.08)])
def test_flow_is_recovered_through_extraction_and_spill_over(tracer, k2):
    flows = [0.4, 0.8, 1.5, 3.0]
    result = fit(*simulate(flows, k2, tracer=tracer), tracer)
    assert result.mbf_ml_min_g == pytest.approx(flows, rel=0.06)
    assert result.k2 == pytest.approx(k2, rel=0.15)
    assert result.spill_lv == pytest.approx(0.25, abs=0.04)
    assert result.spill_rv == pytest.approx(0.08, abs=0.04)
    assert result.residual_percent.max() < 3


def test_noise_leaves_flow_unbiased():
    tissue, left, right = simulate([1.0], 0.2)
    rng = np.random.default_rng(0)
    noisy = tissue + rng.normal(0, 1.0, (40, tissue.shape[1])) * np.sqrt(10 / DURATION)
    result = fit(noisy, left, right, "Rb-82")
    assert np.mean(result.mbf_ml_min_g) == pytest.approx(1.0, rel=0.08)
    assert np.std(result.mbf_ml_min_g) < 0.3


def resampled(curve, rng, tracer="N-13"):
    return resample_blood(curve, rng, protocol=protocol(tracer))


def blood_noise(curve, tracer="N-13"):
    """SD that counts give, for a count rate set by hand."""
    growth = 2.0 ** ((START + 0.5 * DURATION) / {"N-13": 597.9, "Rb-82": 76.4}[tracer])
    return 1.5 * np.sqrt(np.maximum(curve, 2.0) * growth / DURATION)


@pytest.mark.parametrize("tracer", ["Rb-82", "N-13"])
def test_blood_is_drawn_with_the_noise_its_tail_shows(tracer):
    _, left, _ = simulate([1.0], 0.2)
    rng = np.random.default_rng(3)
    spread = []
    for _ in range(40):
        seen = left + blood_noise(left, tracer) * rng.normal(size=left.size)
        spread.append(np.std([resampled(seen, rng, tracer)[3:] for _ in range(30)], axis=0))
    assert np.median(np.mean(spread, axis=0) / blood_noise(left, tracer)[3:]) == pytest.approx(1.0, abs=0.25)


def test_blood_without_noise_or_without_a_tail_is_hardly_moved():
    _, left, _ = simulate([1.0], 0.2)
    rng = np.random.default_rng(4)
    assert np.abs(resampled(left, rng) - left).max() < 0.05 * left.max()
    short = protocol("Rb-82", slice(12))
    np.testing.assert_array_equal(resample_blood(left[:12], rng, protocol=short), left[:12])


@pytest.mark.slow
def test_draws_of_the_blood_make_the_mean_of_all_segments_uncertain_enough():
    # Noise of the blood moves all segments alike: residuals of the segments alone do not show it.
    flows = np.linspace(0.8, 2.0, 17)
    tissue, left, right = simulate(flows, 0.08, tracer="N-13")
    rng = np.random.default_rng(5)
    alone, both, truth = [], [], []
    for _ in range(25):
        noisy = tissue + 0.5 * blood_noise(tissue) * rng.normal(size=tissue.shape)
        pools = [np.maximum(pool + blood_noise(pool) * rng.normal(size=pool.size), 0) for pool in (left, right)]
        first = fit(noisy, *pools, "N-13")
        truth.append(first.mbf_ml_min_g.mean())
        for pool_of, out in ((lambda pool: pool, alone), (lambda pool: resampled(pool, rng), both)):
            drawn = [
                fit(resample_residuals(noisy, first.fitted, rng), *map(pool_of, pools), "N-13").mbf_ml_min_g.mean()
                for _ in range(5)
            ]
            out.append(np.std(drawn, ddof=1))
    assert np.mean(alone) < 0.6 * np.std(truth, ddof=1)
    assert np.mean(both) == pytest.approx(np.std(truth, ddof=1), rel=0.4)


def test_reserve_is_stress_over_rest():
    rest, stress = (fit(*simulate([flow], 0.2), "Rb-82") for flow in (0.9, 2.7))
    assert flow_reserve(stress.mbf_ml_min_g, rest.mbf_ml_min_g) == pytest.approx(3.0, rel=0.08)
    assert np.isnan(flow_reserve([1.0], [0.0]))
    with pytest.raises(InputError, match="same regions"):
        flow_reserve([1.0, 2.0], [1.0])


def test_units_of_activity_do_not_matter():
    curves = simulate([1.2], 0.2)
    scaled = fit(*(1e5 * c for c in curves), "Rb-82")
    assert scaled.mbf_ml_min_g == pytest.approx(fit(*curves, "Rb-82").mbf_ml_min_g, rel=1e-6)


def test_rubidium_extraction_has_the_published_values():
    # Lortie 2007: K1 = F (1 - 0.77 exp(-0.63 / F)).
    assert k1_from_flow(1.0, "Rb-82") == pytest.approx(1 - 0.77 * np.exp(-0.63))
    assert k1_from_flow([0.5, 2.0], "N-13") == pytest.approx([0.5, 2.0])
    flows = np.array([0.0, 0.3, 1.0, 2.5, 5.0])
    assert flow_from_k1(k1_from_flow(flows, "Rb-82"), "Rb-82") == pytest.approx(flows, abs=1e-3)


def test_impossible_input_is_refused():
    tissue, left, right = simulate([1.0], 0.2)
    with pytest.raises(InputError, match="N-13 and Rb-82"):
        fit(tissue, left, right, "O-15")
    with pytest.raises(InputError, match="number of frames"):
        fit(tissue, left[:-1], right, "N-13")
    with pytest.raises(InputError, match="no activity"):
        fit(tissue, 0 * left, right, "N-13")
    with pytest.raises(InputError, match="8 time frames"):
        fit_flow(tissue[:, :6], left[:6], protocol=protocol("N-13", slice(6)))
    with pytest.raises(InputError, match="rising"):
        protocol("N-13", start=START[::-1])
    holed = np.where(np.arange(tissue.shape[1]) == 5, np.nan, tissue)
    for curves in ((holed, left, right), (tissue, holed[0], right), (tissue, left, holed[0])):
        with pytest.raises(InputError, match="finite"):
            fit(*curves, "N-13")
    with pytest.raises(InputError, match="finite start"):
        protocol("N-13", start=START * np.nan)
    with pytest.raises(InputError, match="overlap"):
        protocol("N-13", start=0.5 * START)
    with pytest.raises(InputError, match="start and a duration"):
        DynamicProtocol(tracer="N-13", start_s=START[:-1], duration_s=DURATION)
    with pytest.raises(InputError, match="negative"):
        k1_from_flow(-1.0, "N-13")
