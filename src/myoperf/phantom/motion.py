"""The beat: when and how much each place of the wall contracts, and the volumes that follow.

Every place follows one smooth curve of contraction (0 at end diastole, 1 at end systole, five Fourier
terms), scaled by the local ejection and shifted by the local phase; the phase's SD over the polar map is set
exactly. Stress adds dilation and stunning.

Places on the wall (``fraction``, ``angle_deg``) are those of `myoperf.phantom.coronary`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from myoperf.errors import InputError
from myoperf.phantom.coronary import ischaemia, scar
from myoperf.phantom.heart import Wall, deform, solid_angle_weights, wall_at
from myoperf.phantom.parts import Function, Ventricle
from myoperf.phantom.records import PatientModel
from myoperf.types import Float, State

_HARMONICS = 5
_PHASE_GRID = (64, 96)
_APEX_HELD = 0.9
"""Share of the long axis's shortening that the base makes up by descending; the apex moves by the rest."""


@lru_cache(maxsize=256)
def _curve(systole: float) -> tuple[Float, Float]:
    """Return Fourier coefficients (cos, sin) of the curve of contraction.

    Ejection; the valves' closed time before filling; fast filling, diastasis and the atrium's kick.
    """
    rest = 1.0 - systole
    share = np.array([0.0, 0.08, 0.33, 0.7])  # of diastole
    knots = np.array([0.0, 0.04, 0.5 * systole, *(systole + share * rest), 0.93, 1.0])
    level = np.array([0.0, 0.01, 0.62, 1.0, 0.97, 0.38, 0.26, 0.02, 0.0])
    time = np.arange(512) / 512.0
    spectrum = np.fft.rfft(PchipInterpolator(knots, level)(time)) / 512.0
    cos, sin = 2 * spectrum.real[: _HARMONICS + 1], -2 * spectrum.imag[: _HARMONICS + 1]
    cos[0] *= 0.5
    fine = np.arange(4096) / 4096.0
    value = _series(fine, cos, sin)
    start = fine[np.argmin(value)]
    order = 2 * np.pi * np.arange(_HARMONICS + 1) * start
    cos, sin = cos * np.cos(order) + sin * np.sin(order), sin * np.cos(order) - cos * np.sin(order)
    span = value.max() - value.min()
    cos[0] -= value.min()
    return cos / span, sin / span


def _series(time: Float, cos: Float, sin: Float) -> Float:
    """Evaluate a Fourier series of period 1."""
    out = np.full(np.shape(time), cos[0])
    for k in range(1, cos.size):
        out = out + cos[k] * np.cos(2 * np.pi * k * time) + sin[k] * np.sin(2 * np.pi * k * time)
    return np.asarray(out)


def contraction(time: ArrayLike, systole: float) -> Float:
    """Return how far the wall has contracted at times in cycles after end diastole: 0 relaxed, 1 at end systole.

    Periodic and smooth; the same curve for every place, which scales and shifts it.

    Parameters
    ----------
    systole
        Share of the beat from end diastole to end systole.
    """
    return _series(np.asarray(time, dtype=np.float64), *_curve(systole))


def gate_times(gates: int) -> Float:
    """Return the middle of each of n equal parts of the beat, in cycles after end diastole.

    Gates of an acquisition are averages over their time: see `myoperf.phantom.gating`.
    """
    if gates < 1:
        raise InputError(f"A study has at least one gate; got {gates}.")
    return np.asarray((np.arange(gates) + 0.5) / gates)


def _phase_shape(function: Function, fraction: Float, angle_deg: Float) -> Float:
    c1, s1, c2, s2, along = function.phase_pattern
    a = np.deg2rad(angle_deg)
    girth = np.sin(0.5 * np.pi * np.clip(fraction, 0, 1))
    first = girth * (c1 * np.cos(a) + s1 * np.sin(a))
    second = girth**2 * (c2 * np.cos(2 * a) + s2 * np.sin(2 * a))
    return np.asarray(first + second + along * np.cos(np.pi * fraction))


@lru_cache(maxsize=256)
def _phase_scale(function: Function) -> tuple[float, float]:
    rings, angles = _PHASE_GRID
    fraction = ((np.arange(rings) + 0.5) / rings)[:, None]
    shape = _phase_shape(function, fraction, (np.arange(angles) * 360.0 / angles)[None])
    spread = float(shape.std())
    if spread < 1e-9:
        raise InputError("The pattern of contraction phase is flat: it cannot have a spread.")
    return float(shape.mean()), spread


def phase_deg(function: Function, fraction: ArrayLike, angle_deg: ArrayLike) -> Float:
    """Return the delay of contraction at each place in degrees of the cycle; positive contracts late.

    Over a polar map its mean is 0 and its SD `Function.phase_sd_deg`.
    """
    mean, spread = _phase_scale(function)
    shape = _phase_shape(function, np.asarray(fraction, float), np.asarray(angle_deg, float))
    return np.asarray((shape - mean) * (function.phase_sd_deg / spread))


def reference_ejection(patient: PatientModel, state: State, fraction: ArrayLike, angle_deg: ArrayLike) -> Float:
    """Return the share of its cone of the cavity that each place of the wall ejects when it is most contracted.

    Scar ejects nothing, an aneurysm bulges (down to -0.15), and ischaemic wall is stunned at stress: -0.15 to 0.92.
    """
    f, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float))
    fn = patient.function
    girth = np.sin(0.5 * np.pi * np.clip(f, 0, 1))
    uneven = 1.0 + fn.apex_gain * (1.0 - 2.0 * f) + fn.septal_gain * girth * np.sin(np.deg2rad(angle))
    dead_in, dead_out = scar(patient.coronary, f, angle)
    dead = 0.5 * (dead_in + dead_out)
    alive = np.clip(1.0 - 1.15 * dead, -0.15 if patient.ventricle.bulge_mm > 0 else 0.0, 1.0)
    if state == "stress":
        alive = alive * (1.0 - fn.stress_stunning * ischaemia(patient.coronary, f, angle))
    return np.asarray(np.clip(fn.ejection * uneven * alive, -0.15, 0.92))


def local_ejection(patient: PatientModel, state: State, time: float, fraction: ArrayLike, angle: ArrayLike) -> Float:
    """Return the share of its cone that each place of the wall has ejected at a time; negative where dilated.

    Parameters
    ----------
    time
        In cycles after end diastole.
    """
    delay = phase_deg(patient.function, fraction, angle) / 360.0
    curve = contraction(time - delay, patient.function.systole)
    dilation = patient.function.stress_dilation if state == "stress" else 0.0
    peak = reference_ejection(patient, state, fraction, angle)
    return np.asarray((1.0 + dilation) * peak * curve - dilation)


def moved_surfaces(
    patient: PatientModel, state: State, time: float, wall: Wall, angle: ArrayLike
) -> tuple[Float, Float]:
    """Return where the wall's surfaces are at a time of the beat, before the ventricle moves as a whole (`pose_at`).

    Parameters
    ----------
    time
        In cycles after end diastole.

    Returns
    -------
    Inner and outer distance along the rays of `wall`, in mm.
    """
    ejected = local_ejection(patient, state, time, wall.fraction, angle)
    fn = patient.function
    return deform(wall, ejected, fn.wall_loss * np.clip(ejected / fn.ejection, 0.0, 1.0))


@dataclass(frozen=True)
class Pose:
    """How the ventricle as a whole is moved at an instant.

    Attributes
    ----------
    stretch
        Volume-preserving scale along the axis (its root's inverse across).
    shift_mm
        Motion of the valve plane's centre towards the apex.
    twist_rad
        Turn of the apex, positive from anterior to septal, falling to 0 at the base as cos^2 theta.
    """

    stretch: float
    shift_mm: float
    twist_rad: float


def pose_at(patient: PatientModel, state: State, time: float) -> Pose:
    """Return the motion of the ventricle as a whole at a time of the beat, in cycles after end diastole.

    It shortens and twists, and the base moves towards the apex, which stays nearly where it is.
    """
    fn = patient.function
    beat = float(contraction(time, fn.systole))
    stretch = 1.0 + (fn.stretch - 1.0) * beat
    tip = wall_at(patient.ventricle, np.zeros(1), np.zeros(1))
    _, outer = moved_surfaces(patient, state, time, tip, np.zeros(1))
    shift = _APEX_HELD * float(tip.outer_mm[0] - stretch * outer[0])
    return Pose(stretch, shift, np.deg2rad(fn.twist_deg) * beat)


@lru_cache(maxsize=64)
def _cones(ventricle: Ventricle) -> tuple[Float, Float, Float]:
    """Return quadrature over the wall: (cavity volume of each cone in ml, fraction, angle_deg)."""
    q, angle, weight = solid_angle_weights(ventricle, 32, 72)
    wall = wall_at(ventricle, q, angle)
    return weight * wall.inner_mm**3 / 3000.0, wall.fraction, angle


def volumes(patient: PatientModel, state: State, times: ArrayLike) -> Float:
    """Integrate the cavity's volume in ml at times in cycles. Shape as `times`.

    Sums each harmonic of the shifted curves over the wall once: exact, whatever the number of times.
    """
    cones, fraction, angle = _cones(patient.ventricle)
    dilation = patient.function.stress_dilation if state == "stress" else 0.0
    share = cones * (1.0 + dilation) * reference_ejection(patient, state, fraction, angle)
    delay = 2 * np.pi * phase_deg(patient.function, fraction, angle) / 360.0
    cos, sin = _curve(patient.function.systole)
    when = np.asarray(times, dtype=np.float64)
    out = np.full(when.shape, cones.sum() * (1.0 + dilation))
    for k in range(cos.size):
        lag_cos, lag_sin = (share * np.cos(k * delay)).sum(), (share * np.sin(k * delay)).sum()
        even, odd = cos[k] * lag_cos - sin[k] * lag_sin, cos[k] * lag_sin + sin[k] * lag_cos
        out -= even * np.cos(2 * np.pi * k * when) + odd * np.sin(2 * np.pi * k * when)
    return np.asarray(out)
