"""Draw coronary disease: vessels, stenoses, their effect on flow, and scars.

Vessel patterns start from the disease table of Hajianfar et al. 2025 (shares of patients with 1, 2 and 3
diseased vessels, doi:10.1007/s00259-025-07145-x)
and are fitted to the wanted prevalences of LAD, LCX, RCA and of any disease by iterative proportional
fitting, which keeps the table's odds between vessels.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import numpy as np

from myoperf.errors import InputError
from myoperf.phantom.coronary import PATCH_TERMS
from myoperf.phantom.parts import Clinical, Coronary, Infarct, Lesion
from myoperf.phantom.records import PopulationOptions
from myoperf.types import VESSELS

Pattern = tuple[str, ...]

TABLE_PATTERNS: Mapping[Pattern, float] = MappingProxyType(
    {
        (): 50.1,
        ("RCA",): 4.3,
        ("LCX",): 8.2,
        ("LAD",): 13.9,
        ("LCX", "RCA"): 3.4,
        ("LAD", "LCX"): 4.5,
        ("LAD", "RCA"): 5.1,
        ("LAD", "LCX", "RCA"): 10.9,
    }
)
"""Diseased vessels -> per cent of patients, Hajianfar et al. 2025; the remainder has none. In order of severity."""

_SECTORS = MappingProxyType({"LAD": (0.45, 20.0), "LCX": (0.60, 268.0), "RCA": (0.62, 168.0)})
"""Middle of each vessel's bed: (fraction, angle in degrees)."""
_BRANCHES = MappingProxyType({"LAD": (348.0, 26.0), "LCX": (266.0, 22.0), "RCA": (180.0, 24.0)})
"""Side branches (diagonal, marginal, posterior descending): (angle, half width) in degrees."""


def fit_patterns(prevalence: Mapping[str, float], patient_prevalence: float) -> dict[Pattern, float]:
    """Fit the shares of the eight vessel patterns to the wanted prevalences.

    Raises
    ------
    InputError
        When no set of patterns has these prevalences.
    """
    return dict(_fitted(tuple(prevalence[v] for v in VESSELS), patient_prevalence))


@lru_cache(maxsize=64)
def _fitted(prevalence: tuple[float, ...], patient_prevalence: float) -> Mapping[Pattern, float]:
    patterns = list(TABLE_PATTERNS)
    share = np.array([max(TABLE_PATTERNS[p], 1e-6) for p in patterns])
    share /= share.sum()
    groups = [(np.array([v in p for p in patterns]), t) for v, t in zip(VESSELS, prevalence, strict=True)]
    groups.append((np.array([bool(p) for p in patterns]), patient_prevalence))
    for _ in range(5000):
        for member, target in groups:
            inside = share[member].sum()
            share[member] *= target / max(inside, 1e-300)
            share[~member] *= (1.0 - target) / max(1.0 - inside, 1e-300)
        error = max(abs(share[member].sum() - target) for member, target in groups)
        if error < 1e-6:
            break
    if error > 1e-3:
        raise InputError(
            f"No mix of vessels has prevalences {prevalence} (LAD, LCX, RCA) with {patient_prevalence} of patients."
        )
    return MappingProxyType(dict(zip(patterns, (float(s) for s in share / share.sum()), strict=True)))


def draw_pattern(options: PopulationOptions, rank: float) -> Pattern:
    """Return the diseased vessels of a patient at a rank of severity; an empty pattern is a patient without disease.

    Parameters
    ----------
    rank
        From 0 to 1, even over patients: so that patterns come as often as `options` asks.
    """
    if options.normal:
        return ()
    total = 0.0
    shares = fit_patterns(options.prevalence, options.patient_prevalence)
    for pattern, share in shares.items():
        total += share
        if rank < total:
            return pattern
    return list(shares)[-1]


def _percent(rng: np.random.Generator, diseased: bool, disease_elsewhere: bool) -> float:
    """Draw a diameter stenosis; a healthy vessel of a patient with disease is narrower than that of one without."""
    if diseased:
        return 100.0 if rng.random() < 0.10 else float(70.0 + 30.0 * rng.beta(1.0, 1.4))
    return float(69.0 * (rng.beta(1.1, 1.8) if disease_elsewhere else rng.beta(0.6, 2.5)))


def draw_lesion(rng: np.random.Generator, vessel: str, percent: float, *, common: float | None = None) -> Lesion:
    """Draw a lesion of a given diameter stenosis.

    Flow depends on more than the diameter (length, shape, error of reading), so the effective stenosis scatters
    about it, as widely as measured fractional flow reserve does (Tonino et al. 2010, PMID 20579537). `common` is the
    effective stenosis that all vessels of balanced disease share.
    """
    effective = float(np.clip(percent + rng.normal(3.0, 15.0), 0.0, 100.0)) if percent > 5.0 else percent
    collateral = float(rng.uniform(0.1, 0.6) if percent > 90.0 else rng.uniform(0.0, 0.2))
    reach = float((1.15, 0.72, 0.48)[rng.choice(3, p=(0.45, 0.35, 0.20))] + rng.normal(0.0, 0.05))
    branch = None
    if rng.random() < 0.15 and vessel in _BRANCHES:
        centre, half = _BRANCHES[vessel]
        branch = (float(centre + rng.normal(0.0, 10.0)), float(half * rng.uniform(0.7, 1.2)))
    if common is not None:
        return Lesion(vessel, percent, common, 0.0, 1.15, None)
    return Lesion(vessel, percent, effective, collateral, reach, branch)


def _lesions(rng: np.random.Generator, pattern: Pattern) -> tuple[Lesion, ...]:
    common = float(rng.uniform(62.0, 80.0)) if len(pattern) == 3 and rng.random() < 0.25 else None
    left_main = {"LAD", "LCX"} <= set(pattern) and rng.random() < 0.10
    out = []
    if left_main:
        out.append(draw_lesion(rng, "LM", float(50.0 + 45.0 * rng.beta(1.2, 2.0)), common=common))
    for vessel in VESSELS:
        # Behind a narrowed left main the vessel itself may be healthy.
        narrowed = vessel in pattern and not (left_main and vessel != "RCA" and rng.random() < 0.5)
        out.append(
            draw_lesion(rng, vessel, _percent(rng, narrowed, bool(pattern)), common=common if narrowed else None)
        )
    return tuple(out)


def _infarcts(rng: np.random.Generator, pattern: Pattern, lesions: tuple[Lesion, ...]) -> tuple[Infarct, ...]:
    """Draw scars: mostly behind narrowed vessels, sometimes behind one opened since."""
    worst = {lesion.vessel: lesion.percent for lesion in lesions}
    out = []
    for vessel in VESSELS:
        chance = (0.32 if worst[vessel] > 95.0 else 0.13) if vessel in pattern else 0.035
        if rng.random() >= chance:
            continue
        fraction, angle = _SECTORS[vessel]
        out.append(
            Infarct(
                vessel,
                float(np.clip(fraction + rng.normal(0.0, 0.15), 0.05, 0.9)),
                float(angle + rng.normal(0.0, 15.0)),
                float(rng.uniform(0.12, 0.36)),
                float(rng.uniform(18.0, 55.0)),
                float(rng.uniform(0.4, 1.0)),
                float(rng.uniform(0.25, 1.0)),
            )
        )
    return tuple(out)


def _borders(
    rng: np.random.Generator, dominance: Literal["right", "left", "balanced"]
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the angles of the LAD-RCA, RCA-LCX and LCX-LAD borders, at base and near the apex."""
    lad_rca = 92.0 + rng.normal(0.0, 8.0)
    rca_lcx = {"right": 214.0, "balanced": 190.0, "left": 135.0}[dominance] + rng.normal(0.0, 10.0)
    lcx_lad = 328.0 + rng.normal(0.0, 10.0)
    lift = {"right": 222.0, "balanced": 205.0, "left": 165.0}[dominance]
    apical = (130.0 + rng.normal(0.0, 8.0), lift + rng.normal(0.0, 8.0), 315.0 + rng.normal(0.0, 8.0))
    return (lad_rca, rca_lcx, lcx_lad), apical


def _patches(rng: np.random.Generator, microvascular: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Draw the smooth unevenness of stress and of rest, correlated."""
    common, separate = rng.normal(size=(2, PATCH_TERMS))
    stress = (0.028 + 0.10 * microvascular) * (0.7 * common + 0.7 * separate)
    rest = 0.026 * (0.7 * common + 0.7 * rng.normal(size=PATCH_TERMS))
    return tuple(float(x) for x in stress), tuple(float(x) for x in rest)


def draw_coronary(
    rng: np.random.Generator, clinical: Clinical, pattern: Pattern, options: PopulationOptions
) -> Coronary:
    """Draw a patient's coronary tree and its disease.

    Parameters
    ----------
    pattern
        Which vessels are diseased, and how badly.
    options
        With ``normal``, there are neither stenoses nor infarcts.

    Returns
    -------
    Dominance, borders of the territories, lesions, infarcts and flow reserve: about 2.5 to 3.1 by stressor (SD 0.4),
    and a quarter less in 8 % of patients.
    """
    roll = rng.random()
    dominance: Literal["right", "left", "balanced"] = "right" if roll < 0.82 else "left" if roll < 0.92 else "balanced"
    base, apical = _borders(rng, dominance)
    lesions = _lesions(rng, pattern)
    infarcts: tuple[Infarct, ...] = ()
    if options.normal:
        lesions = tuple(Lesion(v, 0.0, 0.0, 0.0, 1.15) for v in VESSELS)
        microvascular = float(0.3 * rng.beta(1.2, 8.0))
    else:
        infarcts = _infarcts(rng, pattern, lesions)
        microvascular = float(min(0.8, rng.beta(1.2, 6.0) + (0.12 * rng.random() if clinical.diabetes else 0.0)))
    stress, rest = _patches(rng, microvascular)
    mean = {"exercise": 2.5, "dipyridamole": 3.1, "dobutamine": 2.6}[clinical.stressor]
    reserve = float(np.clip(rng.normal(mean, 0.4), 1.6, 4.5)) * (0.75 if rng.random() < 0.08 else 1.0)
    return Coronary(
        dominance,
        base,
        apical,
        float(np.clip(rng.normal(0.15, 0.05), 0.04, 0.3)),
        float(rng.uniform(8.0, 16.0)),
        lesions,
        infarcts,
        reserve,
        float(np.clip(rng.normal(0.95, 0.15), 0.6, 1.4)),
        microvascular,
        stress,
        rest,
        float(rng.beta(1.5, 2.5)),
    )
