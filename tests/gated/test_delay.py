"""The field of delay from harmonics with known noise, and the spread that follows."""

import numpy as np
import pytest

from myoperf.gated.delay import DelayData, Harmonic, delay_basis, posterior_spread, read_delay

RINGS, ANGLES = 24, 36
BASIS = delay_basis(RINGS, ANGLES)
TERMS = len(BASIS.around)
GRAM = BASIS.values.T @ BASIS.values / len(BASIS.values)
SIDEWAYS = (BASIS.around == 1) & (BASIS.along == 0)


def field_of(terms):
    return (BASIS.values @ terms).reshape(RINGS, ANGLES)


def harmonic(field, *, order=1, noise=0.0, rng=None, phase=0.7):
    values = np.exp(1j * (order * field + phase))
    if noise:
        values = values + noise * (rng.normal(size=field.shape) + 1j * rng.normal(size=field.shape))
    return Harmonic(values, np.ones(field.shape), order, np.ones(TERMS))


def focal(depth_deg, *, ring=14, column=9, rings=4.0, columns=3.5):
    """A late region like a Gaussian, radians; the sizes are standard deviations."""
    along = (np.arange(RINGS)[:, None] - ring) / rings
    round_ = ((np.arange(ANGLES) - column + 18) % 36 - 18) / columns
    return np.deg2rad(depth_deg) * np.exp(-0.5 * (along**2 + round_**2))


THIRD = 0.3 * np.cos(np.deg2rad(30.0 * np.arange(ANGLES))) * ((np.arange(RINGS) + 0.5) / RINGS)[:, None]


def known(terms, noise_rad):
    precision = np.eye(TERMS) / noise_rad**2
    return DelayData(precision[None], (precision @ terms)[None], 0.0, None)


def test_every_term_has_mean_zero_and_mean_square_one():
    assert BASIS.values.mean(axis=0) == pytest.approx(0.0, abs=1e-12)
    assert (BASIS.values**2).mean(axis=0) == pytest.approx(1.0)
    assert BASIS.prior(0.8).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("field", [focal(40.0), focal(60.0, ring=20, column=30), THIRD])
def test_a_focal_delay_and_a_third_harmonic_are_found_in_full(field):
    """A basis that ends at the second harmonic, or one term along the axis, loses a third of these spreads."""
    maps = [harmonic(field), harmonic(field, order=2, phase=-2.0)]
    found = posterior_spread(read_delay(maps, BASIS, 1e-3), BASIS)
    assert found.median == pytest.approx(field.std(), rel=0.08)


def test_terms_are_found_through_what_each_map_shows_of_them():
    terms = 0.2 * np.random.default_rng(1).normal(size=TERMS) * np.sqrt(BASIS.prior(1.4))
    shown = np.where(BASIS.around == 1, 0.5, 0.8)
    half = harmonic(field_of(shown * terms))
    whole = harmonic(field_of(terms), order=2, phase=-2.0)
    maps = [Harmonic(half.values, half.weight, 1, shown), whole]
    data = read_delay(maps, BASIS, 1e-3)
    assert data.misfit < 0.1
    assert posterior_spread(data, BASIS).terms == pytest.approx(terms, abs=0.02)
    assert data.start == pytest.approx(0.7, abs=0.01)


def test_maps_that_disagree_raise_their_noise_and_the_interval():
    rng, field = np.random.default_rng(2), focal(40.0)
    agree = read_delay([harmonic(field, noise=0.3, rng=rng), harmonic(field, noise=0.3, rng=rng)], BASIS, 0.09)
    apart = read_delay([harmonic(field, noise=0.3, rng=rng), harmonic(-field, noise=0.3, rng=rng)], BASIS, 0.09)
    assert agree.misfit == pytest.approx(1.0, abs=0.5)
    assert apart.misfit > 3
    wide, narrow = posterior_spread(apart, BASIS), posterior_spread(agree, BASIS)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_without_noise_the_spread_is_that_of_the_terms():
    terms = np.where(SIDEWAYS, 0.2, 0.0)
    found = posterior_spread(known(terms, 1e-4), BASIS)
    assert found.median == pytest.approx(np.sqrt(terms @ GRAM @ terms), rel=5e-3)
    assert found.terms == pytest.approx(terms, abs=1e-3)
    assert found.noise < np.deg2rad(0.1)


def test_noise_moves_the_spread_towards_usual_ones_and_the_terms_towards_none():
    terms = np.where(SIDEWAYS, np.deg2rad(12.0), 0.0)
    found = [posterior_spread(known(terms, np.deg2rad(noise)), BASIS) for noise in (1.0, 6.0, 20.0)]
    spreads, sizes = [np.rad2deg(f.median) for f in found], [np.linalg.norm(f.terms) for f in found]
    assert spreads[0] > spreads[1]
    assert 3.0 < spreads[2] < 10.0
    assert sizes[0] > sizes[1] > sizes[2]
    assert found[0].noise < found[1].noise < found[2].noise


def test_the_interval_holds_the_spread_of_19_of_20_hearts_and_the_median_is_right():
    rng, true, found = np.random.default_rng(3), [], []
    noise = np.deg2rad(3.0)
    while len(true) < 200:
        spread = np.deg2rad(10.0) * abs(rng.standard_cauchy())
        if spread > np.deg2rad(60.0):
            continue
        terms = spread * np.sqrt(BASIS.prior(rng.choice((0.5, 0.8, 1.4)))) * rng.normal(size=TERMS)
        true.append(np.sqrt(terms @ GRAM @ terms))
        found.append(posterior_spread(known(terms + noise * rng.normal(size=TERMS), noise), BASIS))
    true, median = np.array(true), np.array([f.median for f in found])
    held = np.array([f.low <= one <= f.high for f, one in zip(found, true, strict=True)])
    assert 0.91 <= held.mean() <= 0.985
    assert np.rad2deg(np.mean(median - true)) == pytest.approx(0.0, abs=0.7)
    assert np.corrcoef(true, median)[0, 1] > 0.95
