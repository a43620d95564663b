"""The field of delay from harmonics with known noise, and the spread that follows."""

import numpy as np
import pytest

from myoperf.gated.delay import Delay, Harmonic, delay_terms, fit_delay, posterior_spread

RINGS, ANGLES = 24, 36
BASIS = delay_terms(RINGS, ANGLES)
GRAM = BASIS.T @ BASIS / len(BASIS)


def harmonic(terms, *, order=1, response=1.0, noise=0.0, rng=None, phase=0.7):
    response = np.broadcast_to(response, 5)
    turn = (BASIS @ (np.asarray(terms) * response * order)).reshape(RINGS, ANGLES) + phase
    values = np.exp(1j * turn)
    if noise:
        values = values + noise * (rng.normal(size=turn.shape) + 1j * rng.normal(size=turn.shape))
    return Harmonic(values, np.ones(turn.shape), order, response)


def known(terms, noise_rad):
    nothing = np.zeros((1, 5, 5))
    return Delay(np.asarray(terms), np.eye(5) * noise_rad**2, 0.0, nothing, nothing[0], np.zeros(5))


@pytest.mark.parametrize("size", [0.1, 0.6])
def test_terms_are_found_through_what_each_map_shows_of_them(size):
    terms = size * np.array([0.5, -1.0, 0.3, 0.2, 0.4])
    maps = [harmonic(terms, response=0.5), harmonic(terms, order=2, response=(0.2, 1, 1, 0.8, 0.8), phase=-2.0)]
    found = fit_delay(maps, BASIS, 0.0)
    assert found.terms == pytest.approx(terms, abs=0.02 * size)
    assert found.start == pytest.approx(0.7, abs=0.01)


def test_the_covariance_is_the_scatter_of_repeated_draws():
    rng, terms = np.random.default_rng(1), np.array([0.1, -0.3, 0.1, 0.05, 0.1])
    noise = 1.0
    draws = [
        fit_delay([harmonic(terms, noise=noise, rng=rng), harmonic(terms, order=2, noise=noise, rng=rng)], BASIS, 1.0)
        for _ in range(60)
    ]
    scatter = np.cov(np.array([d.terms for d in draws]).T)
    said = np.mean([d.covariance for d in draws], axis=0)
    assert np.sqrt(np.diag(scatter)) == pytest.approx(np.sqrt(np.diag(said)), rel=0.35)
    assert np.mean([d.terms for d in draws], axis=0) == pytest.approx(terms, abs=0.05)


def test_without_noise_the_spread_is_that_of_the_terms():
    terms = np.array([0.1, -0.3, 0.1, 0.05, 0.1])
    spread, mean = posterior_spread(known(terms, 1e-5), BASIS)
    assert spread == pytest.approx(np.sqrt(terms @ GRAM @ terms), rel=1e-3)
    assert mean == pytest.approx(terms, rel=1e-3)


def test_noise_moves_the_spread_towards_usual_ones_and_the_terms_towards_none():
    wide = np.deg2rad(12.0) * np.ones(5)
    spreads, sizes = [], []
    for noise in (1.0, 6.0, 20.0):
        spread, mean = posterior_spread(known(wide, np.deg2rad(noise)), BASIS)
        spreads.append(np.rad2deg(spread))
        sizes.append(np.linalg.norm(mean))
    assert spreads[0] > spreads[1] > spreads[2] > 3.0
    assert sizes[0] > sizes[1] > sizes[2]


def test_the_spread_is_right_on_average_over_hearts_of_all_spreads():
    rng, true, found = np.random.default_rng(3), [], []
    prior = np.eye(5) / np.trace(GRAM)
    for _ in range(300):
        spread = np.deg2rad(10.0) * abs(rng.standard_cauchy())
        if spread > np.deg2rad(60.0):
            continue
        terms = spread * rng.multivariate_normal(np.zeros(5), prior)
        seen = terms + rng.normal(0, np.deg2rad(5.0), 5)
        true.append(np.sqrt(terms @ GRAM @ terms))
        found.append(posterior_spread(known(seen, np.deg2rad(5.0)), BASIS)[0])
    assert np.rad2deg(np.mean(np.array(found) - true)) == pytest.approx(0.0, abs=0.7)
    assert np.corrcoef(true, found)[0, 1] > 0.95
