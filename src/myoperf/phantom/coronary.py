"""Coronary arteries: the wall each feeds, the flow a stenosis leaves, the tracer uptake that follows.

Places on the wall are given as ``fraction``, the arc length of the mid-wall from 0 at the apex to 1 at the base, and
``angle_deg``, 0 anterior, 90 septal, 180 inferior, 270 lateral. The two broadcast together, and what is returned has
their shape; they move with the wall.

Sources: territories as in Hajianfar et al. 2025 (`myoperf.segments.TERRITORIES`), borders moved by dominance; flow
reserve against diameter stenosis after Gould et al., Am J Cardiol 1974;33:87 (falls from about half the
diameter, exhausted near 90 %); extraction by the generalised Renkin-Crone form E = 1 - a exp(-b / F)
with coefficients in common use for Tc-99m sestamibi, Rb-82 (Lortie et al., EJNMMI 2007;34:1765) and
N-13 ammonia, not checked against the papers; Tl-201 by a = 1 and 88 % extracted at 1 ml/min/g (the figure of Weich
et al., Circulation 1977;56:188, as reviews give it). Resting flow holds up to 85 % (Gould's dogs: 80-85 %, as Arch
Intern Med 1984;144:1742 recounts).
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from myoperf.errors import InputError
from myoperf.phantom.parts import Coronary, Infarct, Lesion
from myoperf.phantom.records import Tracer
from myoperf.types import VESSELS, Float, State

_EXTRACTION: Mapping[Tracer, tuple[float, float]] = MappingProxyType(
    {"Tc-99m": (0.874, 0.443), "Tl-201": (1.0, 2.1), "Rb-82": (0.77, 0.63), "N-13": (0.607, 1.25)}
)

PATCH_TERMS = 9
"""Number of coefficients of a smooth field: 1 along the wall, (cos, sin) of harmonics 1-2, at two heights."""


def _sigmoid(x: Float) -> Float:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _turn(angle_deg: Float, centre: Float | float) -> Float:
    """Return the signed difference of angles, -180 to 180."""
    return np.asarray((angle_deg - centre + 180.0) % 360.0 - 180.0)


def territory_weights(coronary: Coronary, fraction: ArrayLike, angle_deg: ArrayLike) -> Float:
    """Return the share of each vessel (LAD, LCX, RCA) in feeding each place of the wall.

    Returns
    -------
    Array of shape (3, ...), summing to 1 along the first axis, in the order of `myoperf.types.VESSELS`.
    """
    f, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float))
    toward_base = _sigmoid((f - 0.45) / 0.05)
    base, apex = coronary.borders_deg, coronary.apical_borders_deg
    lad_rca, rca_lcx, lcx_lad = (a + (b - a) * toward_base for a, b in zip(apex, base, strict=True))
    soft = coronary.softness_deg
    sectors = {"RCA": (lad_rca, rca_lcx), "LCX": (rca_lcx, lcx_lad), "LAD": (lcx_lad, lad_rca + 360.0)}
    raw = {}
    for vessel, (start, stop) in sectors.items():
        half = 0.5 * (stop - start)
        raw[vessel] = _sigmoid((half - np.abs(_turn(angle, start + half))) / (0.5 * soft))
    weights = np.stack([raw[vessel] for vessel in VESSELS])
    weights = weights / weights.sum(axis=0)
    tip = _sigmoid((coronary.wrap_fraction - f) / 0.03)
    weights = weights * (1.0 - tip)
    weights[0] += tip
    return np.asarray(weights)


def flow_reserve_share(percent: ArrayLike) -> Float:
    """Return the share of the flow reserve (maximal less resting flow) a diameter stenosis leaves, 1 to 0.

    ``1 - (s / 90 %)^4``: 0.98 at 33 %, 0.90 at 50 %, 0.63 at 70 %, 0.38 at 80 %, none from 90 %.
    """
    return np.asarray(1.0 - np.clip(np.asarray(percent, float) / 90.0, 0.0, 1.0) ** 4)


def _rest_share(percent: float) -> float:
    """Return the share of resting flow left: whole up to 85 % stenosis, 0.35 at occlusion (without collaterals)."""
    lost = min(max((percent - 85.0) / 15.0, 0.0), 1.0)
    return 1.0 - 0.65 * lost * lost


def _reach(lesion: Lesion, fraction: Float, angle: Float) -> Float:
    """Return how much of a place lies downstream of a lesion, 0-1."""
    reach = _sigmoid((lesion.reach - fraction) / 0.05)
    if lesion.branch_deg is not None:
        centre, half = lesion.branch_deg
        reach = reach * _sigmoid((half - np.abs(_turn(angle, centre))) / 7.0)
    return np.asarray(reach)


def _vessel_shares(coronary: Coronary, fraction: Float, angle: Float) -> tuple[Float, Float]:
    """Return (reserve share, resting share) of each vessel's bed at every place, shape (3, ...): lesions in series."""
    reserve = np.ones((3, *fraction.shape))
    rest = np.ones((3, *fraction.shape))
    for lesion in coronary.lesions:
        left = 1.0 - (1.0 - float(flow_reserve_share(lesion.effective_percent))) * (1.0 - lesion.collateral)
        left_rest = 1.0 - (1.0 - _rest_share(lesion.effective_percent)) * (1.0 - lesion.collateral)
        downstream = _reach(lesion, fraction, angle)
        beds = (0, 1) if lesion.vessel == "LM" else (VESSELS.index(lesion.vessel),)
        for bed in beds:
            reserve[bed] = np.minimum(reserve[bed], 1.0 - (1.0 - left) * downstream)
            rest[bed] = np.minimum(rest[bed], 1.0 - (1.0 - left_rest) * downstream)
    return reserve, rest


def _smooth_field(terms: tuple[float, ...], fraction: Float, angle_deg: Float) -> Float:
    """Evaluate a smooth field of about unit SD per unit coefficient; single-valued at the apex."""
    if len(terms) != PATCH_TERMS:
        raise InputError(f"A smooth field has {PATCH_TERMS} coefficients; got {len(terms)}.")
    a = np.deg2rad(angle_deg)
    around = np.stack([np.cos(a), np.sin(a), np.cos(2 * a), np.sin(2 * a)])
    low = np.sin(np.pi * np.clip(fraction, 0, 1)) ** 2
    high = np.clip(fraction, 0, 1) ** 2
    c = np.asarray(terms)
    out = c[0] * np.cos(np.pi * fraction)
    out = out + low * np.tensordot(c[1:5], around, 1) + high * np.tensordot(c[5:9], around, 1)
    return np.asarray(0.7 * out)


def healthy_pattern(coronary: Coronary, state: State, fraction: ArrayLike, angle_deg: ArrayLike) -> Float:
    """Return the relative uptake of this patient's wall without disease: about 1, slightly uneven."""
    f, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float))
    patch = coronary.patch_stress if state == "stress" else coronary.patch_rest
    return np.asarray(1.0 + _smooth_field(patch, f, angle))


def scar(coronary: Coronary, fraction: ArrayLike, angle_deg: ArrayLike) -> tuple[Float, Float]:
    """Return the share of dead wall at the endocardium and at the epicardium, from 0 (alive) to 1 (all scar).

    Several infarcts multiply what each leaves alive.
    """
    f, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float))
    alive_in, alive_out = np.ones(f.shape), np.ones(f.shape)
    for infarct in coronary.infarcts:
        region = _infarct_region(infarct, f, angle)
        alive_in = alive_in * (1.0 - infarct.severity * region)
        alive_out = alive_out * (1.0 - infarct.severity * infarct.epicardial_share * region)
    return 1.0 - alive_in, 1.0 - alive_out


def _infarct_region(infarct: Infarct, fraction: Float, angle_deg: Float) -> Float:
    """Return a smooth-edged ellipse on the wall, angles shrinking towards the apex as circumferences do."""
    girth = np.sin(0.5 * np.pi * np.clip(fraction, 0, 1))
    across = _turn(angle_deg, infarct.angle_deg) * girth / infarct.half_angle_deg
    along = (fraction - infarct.fraction) / infarct.half_fraction
    return _sigmoid((1.0 - np.hypot(across, along)) / 0.12)


def myocardial_flow(
    coronary: Coronary, state: State, fraction: ArrayLike, angle_deg: ArrayLike
) -> tuple[Float, Float, float]:
    """Return blood flow of the living wall.

    Returns
    -------
    Flow at the endocardium and at the epicardium at each place, ml/min/g, and the flow of healthy wall in that state.
    """
    f, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float))
    weights = territory_weights(coronary, f, angle)
    reserve, rest = _vessel_shares(coronary, f, angle)
    resting = coronary.rest_flow * (weights * rest).sum(axis=0)
    if state == "rest":
        return resting, resting, coronary.rest_flow
    maximal = 1.0 + (coronary.reserve - 1.0) * (1.0 - coronary.microvascular)
    share = (weights * reserve).sum(axis=0)
    # Ischaemia starts at the inner wall: move the loss inwards, its mean unchanged.
    lost = (1.0 - share) * coronary.subendocardial * np.minimum(1.0, 2.0 * share)
    inner = resting * (1.0 + (maximal - 1.0) * np.clip(share - 0.5 * lost, 0.0, 1.0))
    outer = resting * (1.0 + (maximal - 1.0) * np.clip(share + 0.5 * lost, 0.0, 1.0))
    return inner, outer, coronary.rest_flow * coronary.reserve


def tracer_uptake(flow: ArrayLike, tracer: Tracer) -> Float:
    """Return the uptake rate K1 = F E(F), ml/min/g, at a flow in ml/min/g; the head of this module gives E(F).

    Raises
    ------
    InputError
        If the extraction of the tracer is not known.
    """
    if tracer not in _EXTRACTION:
        raise InputError(f"Unknown tracer {tracer!r}; known are {', '.join(_EXTRACTION)}.")
    a, b = _EXTRACTION[tracer]
    f = np.maximum(np.asarray(flow, dtype=np.float64), 1e-3)
    return np.asarray(f * (1.0 - a * np.exp(-b / f)))


def perfusion(
    coronary: Coronary, state: State, tracer: Tracer, fraction: ArrayLike, angle_deg: ArrayLike
) -> tuple[Float, Float]:
    """Return relative uptake at the endocardium and at the epicardium; in between it is linear.

    Flow, limited by the lesions, becomes uptake by the tracer's extraction; scar keeps 8 % of it. 1 is this patient's
    healthy wall in the same state.
    """
    f, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float))
    inner, outer, normal = myocardial_flow(coronary, state, f, angle)
    dead_in, dead_out = scar(coronary, f, angle)
    scale = healthy_pattern(coronary, state, f, angle) / tracer_uptake(normal, tracer)
    # Scar keeps a little tracer (residual wall, fibrous tissue).
    living_in, living_out = 1.0 - 0.92 * dead_in, 1.0 - 0.92 * dead_out
    return tracer_uptake(inner, tracer) * scale * living_in, tracer_uptake(outer, tracer) * scale * living_out


def ischaemia(coronary: Coronary, fraction: ArrayLike, angle_deg: ArrayLike) -> Float:
    """Return the share of the flow reserve that lesions have taken at each place: 0 (none) to 1 (all)."""
    f, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float))
    reserve, _ = _vessel_shares(coronary, f, angle)
    return np.asarray(1.0 - (territory_weights(coronary, f, angle) * reserve).sum(axis=0))
