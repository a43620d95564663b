"""Limits that know the patient: normal patterns are allowed for, defects are not explained away."""

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.perfusion import LimitsLabel, scale_map, severity_map
from myoperf.perfusion.normal_variation import learn_variation, limits_for_patient
from myoperf.types import PolarMap

SHAPE = (24, 72)
LABEL = LimitsLabel(name="n", version="1", state="stress", provenance="simulated by hand", licence="CC0")
RING, ANGLE = np.meshgrid(
    np.linspace(0, 1, SHAPE[0]), np.linspace(0, 2 * np.pi, SHAPE[1], endpoint=False), indexing="ij"
)
INFERIOR = RING * np.clip(-np.cos(ANGLE), 0, 1)
ANTERIOR = RING * np.clip(np.cos(ANGLE), 0, 1)


def patient(rng, weight):
    """A normal map whose inferior wall darkens with a patient's weight, and whose anterior wall varies by itself."""
    dark = 0.12 * weight + 0.06 * rng.normal()
    values = 1.0 - np.clip(0.15 + dark, 0, 0.6) * INFERIOR - np.clip(0.1 + 0.06 * rng.normal(), 0, 0.5) * ANTERIOR
    noise = rng.normal(size=SHAPE)
    noise = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 0)) / np.sqrt(3)
    return values * (1.0 + 0.03 * noise)


def as_map(values):
    return PolarMap(values, np.zeros((*SHAPE, 3)), np.ones(SHAPE))


@pytest.fixture(scope="module")
def normals():
    rng = np.random.default_rng(5)
    weights = rng.normal(size=60)
    maps = [as_map(patient(rng, w)) for w in weights]
    return learn_variation(maps, weights[:, None], LABEL, components=2)


def below(values, limits):
    """Share of samples below the limits."""
    return float((severity_map(scale_map(values, limits), limits) > 0).mean())


def test_components_narrow_the_limits(normals):
    spread = normals.residual_mad / (normals.limits.mad / normals.limits.mean)
    assert spread[16:, 30:42].mean() < 0.65, "the wall whose darkness varies"
    assert spread.max() < 1.2
    assert normals.components.shape == (2, *SHAPE)


def test_a_feature_tells_which_pattern_to_expect(normals):
    heavy, light = (normals.expected @ np.array([w]) for w in (2.0, -2.0))
    change = np.tensordot(heavy - light, normals.components, axes=1)
    assert change[-1, 36] < change[-1, 0] - 0.2  # the inferior wall against the anterior one


def test_a_heavy_normal_patient_is_normal(normals):
    rng = np.random.default_rng(8)
    shares = []
    for _ in range(10):
        values = patient(rng, 2.2)
        shares.append((below(values, normals.limits), below(values, limits_for_patient(values, normals, [2.2]))))
    plain, adapted = np.mean(shares, axis=0)
    assert adapted < 0.03
    assert plain > 2.0 * adapted


def test_a_defect_in_the_wall_that_varies_is_not_explained_away(normals):
    rng = np.random.default_rng(9)
    inside = (RING > 0.35) & (np.cos(ANGLE) < -0.5)
    found, explained = [], []
    for _ in range(10):
        values = patient(rng, -0.5)
        ill = np.where(inside, 0.7 * values, values)
        limits = limits_for_patient(ill, normals, [-0.5])
        found.append(float((severity_map(scale_map(ill, limits), limits) > 0)[inside].mean()))
        healthy = limits_for_patient(values, normals, [-0.5])
        explained.append(float((healthy.mean - limits.mean)[inside].mean()))
    assert np.mean(found) > 0.7
    assert np.mean(explained) < 0.06


def test_a_feature_that_is_not_known_says_nothing(normals):
    values = patient(np.random.default_rng(1), 0.0)
    unknown = limits_for_patient(values, normals, [np.nan])
    usual = limits_for_patient(values, normals, normals.feature_mean)
    np.testing.assert_allclose(unknown.mean, usual.mean)
    assert unknown.name == "n-adapted"
    assert unknown.cutoffs is None


def test_too_few_patients_and_missing_features_are_refused():
    rng = np.random.default_rng(2)
    maps = [as_map(patient(rng, 0.0)) for _ in range(14)]
    with pytest.raises(InputError, match="15 normal"):
        learn_variation(maps, np.zeros((14, 1)), LABEL, components=2)
    with pytest.raises(InputError, match="not finite"):
        learn_variation([*maps, maps[0]], np.full((15, 1), np.nan), LABEL, components=2)
