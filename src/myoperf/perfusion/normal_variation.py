"""Normal limits that know the patient: how normal maps vary, as a few components that are fitted to each patient.

Without a CT, normal maps differ mostly by what attenuates: breasts, diaphragm, size. A few patterns hold most of it
(principal components of normal maps over their mean, as in Houston et al., J Nucl Med 1994;35:1061, for brain SPECT).
Sex, size and the body's outline say which patterns to expect; the map itself says the rest, as far as it is not
defective: samples far below what is expected do not take part in the fit, so that a defect is not explained away. What
stays is compared with the spread that normal maps keep after the same fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from myoperf.errors import InputError
from myoperf.perfusion.normal_limits import BLOCK, LimitsLabel, NormalLimits, build_limits, scale_map
from myoperf.types import Float, Float64, PolarMap

_GROUPS = 10
_ROUNDS = 8
_FAR = 2.0
"""Samples this many residual MAD below what is expected lose weight, those twice as far have none."""
_RIDGE = 0.1
"""Of the regression of components on what is known of the patient, per patient."""


@dataclass(frozen=True, eq=False, kw_only=True)
class NormalVariation:
    """How the maps of normal patients vary about their limits.

    Attributes
    ----------
    limits
        Their mean and spread without components.
    components
        Shape (components, rings, angles): change of a map relative to the mean when a component rises by one SD.
    residual_mad, residual_sd
        Shape (rings, angles), relative to the mean: what is left of a normal map that took no part in learning the
        components, after it was fitted.
    feature_mean, feature_sd
        Shape (features,), of the normals.
    expected
        Shape (components, features): rise of each component in SD with each standardised feature.
    left
        Shape (components,): SD of a component that the features leave.
    """

    limits: NormalLimits
    components: Float64
    residual_mad: Float64
    residual_sd: Float64
    feature_mean: Float64
    feature_sd: Float64
    expected: Float64
    left: Float64


def learn_variation(
    maps: Sequence[PolarMap], features: Float, label: LimitsLabel, *, components: int = 3
) -> NormalVariation:
    """Learn components from the maps of normal patients.

    Parameters
    ----------
    maps
        Static maps of one state, one for each patient, on one grid.
    features
        Shape (patients, features): what is known of each, such as sex (0, 1), body mass index, and width and depth of
        the body's outline (`myoperf.recon.outline.body_outline`).
    label
        What the limits are called.
    components
        How many; there have to be five patients for each, and for each feature.

    Raises
    ------
    InputError
        When there are too few patients, or features are missing or not finite.
    """
    values = np.asarray(features, dtype=np.float64).reshape(len(maps), -1)
    if not np.isfinite(values).all():
        raise InputError("The features of normal patients hold values that are missing or not finite.")
    if components < 1 or len(maps) < 5 * (components + values.shape[1]):
        raise InputError(
            f"{components} components and {values.shape[1]} features need {5 * (components + values.shape[1])} normal "
            f"patients or more; got {len(maps)}."
        )
    limits = build_limits(maps, label)
    ratios = np.stack([_ratio(np.asarray(one.values, dtype=np.float64), limits) for one in maps])
    learned = _learn(limits, ratios, values, components)
    group = np.arange(len(maps)) % _GROUPS
    residuals = np.empty_like(ratios)
    for left_out in range(_GROUPS):
        others = _learn(limits, ratios[group != left_out], values[group != left_out], components)
        for index in np.flatnonzero(group == left_out):
            residuals[index] = ratios[index] - _fit(ratios[index], others, values[index])
    return replace(learned, residual_mad=np.abs(residuals).mean(axis=0), residual_sd=residuals.std(axis=0, ddof=1))


def limits_for_patient(values: Float, variation: NormalVariation, features: Float) -> NormalLimits:
    """Return the normal limits that are expected of one patient, from what is known of the patient and from the map.

    Parameters
    ----------
    values
        Shape (rings, angles), the patient's static map.
    features
        As those that the variation was learned with; NaN where one is not known, which then says nothing.

    Returns
    -------
    NormalLimits
        To score the map with, as with any other limits. Cut-offs and the doubt of the database are not the patient's
        and are left out.
    """
    limits = variation.limits
    expected = 1.0 + _fit(_ratio(np.asarray(values, dtype=np.float64), limits), variation, np.asarray(features))
    mean = limits.mean * np.maximum(expected, 0.1)
    return replace(
        limits,
        name=f"{limits.name}-adapted",
        mean=mean,
        mad=mean * variation.residual_mad,
        sd=mean * variation.residual_sd,
        cutoffs=None,
        jackknife=None,
    )


def _ratio(values: Float64, limits: NormalLimits) -> Float64:
    """Return a map, scaled to the limits, relative to their mean: 0 where it equals it."""
    return np.asarray(scale_map(values, limits) / np.maximum(limits.mean, 1e-9) - 1.0, dtype=np.float64)


def _learn(limits: NormalLimits, ratios: Float64, features: Float64, count: int) -> NormalVariation:
    """Return the components of maps relative to their mean, with the residuals of the maps themselves."""
    flat = ratios.reshape(len(ratios), -1)
    _, strength, patterns = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    scale = strength[:count] / np.sqrt(len(flat) - 1.0)
    components = patterns[:count] * scale[:, None]
    scores = (flat @ patterns[:count].T) / np.maximum(scale, 1e-9)
    mean, sd = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
    known = (features - mean) / sd
    gram = known.T @ known + _RIDGE * len(flat) * np.eye(known.shape[1])
    expected = np.linalg.solve(gram, known.T @ scores).T
    rest = flat - scores @ components
    shape = ratios.shape[1:]
    return NormalVariation(
        limits=limits,
        components=components.reshape(count, *shape),
        residual_mad=np.abs(rest).mean(axis=0).reshape(shape),
        residual_sd=rest.std(axis=0).reshape(shape),
        feature_mean=mean,
        feature_sd=sd,
        expected=expected,
        left=np.maximum((scores - known @ expected.T).std(axis=0), 0.1),
    )


def _fit(ratio: Float64, variation: NormalVariation, features: Float) -> Float64:
    """Return what the components explain of a map relative to the mean, without samples that look defective.

    A ridge towards what the features let expect; neighbouring samples are not independent, which the block of samples
    that share noise stands for.
    """
    count = len(variation.components)
    patterns = variation.components.reshape(count, -1)
    values, spread = ratio.ravel(), np.maximum(variation.residual_mad.ravel(), 1e-3)
    known = np.nan_to_num((np.asarray(features, dtype=np.float64) - variation.feature_mean) / variation.feature_sd)
    prior, certainty = variation.expected @ known, 1.0 / np.square(variation.left)
    scores: Float = prior
    for _ in range(_ROUNDS):
        low = (values - scores @ patterns) / spread
        weight = np.clip(2.0 + low / _FAR, 0.0, 1.0) / np.square(spread) / float(BLOCK[0] * BLOCK[1])
        gram = (patterns * weight) @ patterns.T + np.diag(certainty)
        scores = np.linalg.solve(gram, (patterns * weight) @ values + certainty * prior)
    return np.asarray((scores @ patterns).reshape(ratio.shape), dtype=np.float64)
