"""What a gated camera records: gates that are averages over their time, from beats of unequal length.

A camera that gates forward divides the mean R-R interval into equal gates and counts from every R wave. A beat shorter
than the mean ends before its last gates are reached, so these lose counts; the rest of a longer beat falls in no gate.
Systole keeps nearly its length, which goes with the root of the beat's (Bazett's rule), and diastole takes the
difference. Beats whose length lies outside the camera's window are rejected whole.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from myoperf.errors import InputError
from myoperf.phantom.motion import volumes
from myoperf.phantom.parts import Function
from myoperf.phantom.records import PatientModel
from myoperf.types import Float, State

BEAT_WINDOW = 0.2
"""Beats within this fraction of the mean R-R interval are accepted where a protocol states nothing else."""

_FEWEST_STEPS = 24
"""Instants at which the heart is seen in one beat: interpolated linearly between them, its volume is off by less than
0.5 % of the end-diastolic one."""

_UNGATED_STEPS = 8
"""Instants of a study that is not gated: enough for a mean that the camera blurs."""

_LENGTHS, _CLOCK = 41, 16
"""Beats of different length that stand for all, and ticks of the camera's clock to a step."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Gating:
    """How the recorded time of the beats falls on gates and on instants of the cycle.

    Attributes
    ----------
    times
        Shape (steps,): the instants, in cycles after end diastole.
    weights
        Shape (gates, steps): share of each gate's time at each instant; every row sums to 1.
    recorded
        Shape (gates,): share of the whole recorded time in each gate; sums to 1.
    accepted
        Share of beats that the window accepts.
    """

    times: Float
    weights: Float
    recorded: Float
    accepted: float

    @property
    def mean(self) -> Float:
        """Weights of the instants in the sum over gates, shape (steps,)."""
        return np.asarray(self.recorded @ self.weights)


def gate_beats(function: Function, gates: int, *, window: float = BEAT_WINDOW) -> Gating:
    """Return how the beats of a heart fall on the gates of a camera.

    Parameters
    ----------
    function
        `Function.beat_spread` is the standard deviation of the R-R intervals relative to their mean.
    gates
        1 for a study that is not gated: all beats are recorded whole.
    window
        Beats farther from the mean than this fraction are rejected.

    Examples
    --------
    >>> import numpy as np
    >>> from myoperf.phantom.population import draw_patient
    >>> beats = gate_beats(draw_patient(np.random.default_rng(1)).function, 8)
    >>> beats.weights.shape
    (8, 24)
    """
    if gates < 1 or window <= 0:
        raise InputError(f"Gating needs one gate or more and a window above 0; got {gates} gates, window {window:g}.")
    return _gate_beats(gates, function.beat_spread, function.systole, window)


@lru_cache(maxsize=64)
def _gate_beats(gates: int, spread: float, systole: float, window: float) -> Gating:
    if gates == 1:
        steps = _UNGATED_STEPS
        even = np.full((1, steps), 1.0 / steps)
        return Gating(times=(np.arange(steps) + 0.5) / steps, weights=even, recorded=np.ones(1), accepted=1.0)
    steps = max(_FEWEST_STEPS, 2 * gates)
    times = np.arange(steps) / steps
    lengths, accepted = _beat_lengths(spread, window)
    ticks = _CLOCK * steps
    clock = (np.arange(ticks) + 0.5) / ticks
    gate = np.broadcast_to((clock * gates).astype(np.int64), (lengths.size, ticks))
    place = _cycle(clock[None], lengths[:, None], systole) * steps
    inside = clock[None] < lengths[:, None]
    lower = np.where(inside, np.floor(place), 0.0).astype(np.int64)
    share = np.where(inside, place - lower, 0.0)
    spent = np.zeros((gates, steps))
    np.add.at(spent, (gate, lower % steps), inside * (1.0 - share))
    np.add.at(spent, (gate, (lower + 1) % steps), inside * share)
    total = spent.sum(axis=1)
    return Gating(times=times, weights=spent / total[:, None], recorded=total / total.sum(), accepted=accepted)


def _beat_lengths(spread: float, window: float) -> tuple[Float, float]:
    """Return equally likely lengths of accepted beats, relative to the mean, and the share that is accepted."""
    if spread <= 0:
        return np.ones(1), 1.0
    edge = float(ndtr(window / spread))
    rank = (np.arange(_LENGTHS) + 0.5) / _LENGTHS
    return 1.0 + spread * ndtri(1.0 - edge + rank * (2.0 * edge - 1.0)), 2.0 * edge - 1.0


def _cycle(clock: Float, length: Float, systole: float) -> Float:
    """Return the instant of the mean cycle that a beat of some length has reached at a time after its R wave."""
    end = systole * np.sqrt(length)
    filling = systole + (1.0 - systole) * (clock - end) / (length - end)
    return np.asarray(np.where(clock < end, systole * clock / end, filling))


def volume_curve(patient: PatientModel, state: State, gates: int, *, window: float = BEAT_WINDOW) -> Float:
    """Return the cavity's volume in ml averaged over each gate, shape (gates,): what a perfect gated study measures.

    Parameters
    ----------
    gates
        Number of equal parts of the mean beat.
    window
        Share of the mean beat by which an accepted beat may differ from it.
    """
    beats = gate_beats(patient.function, gates, window=window)
    return np.asarray(beats.weights @ volumes(patient, state, beats.times))


def record_of(beats: Gating) -> dict[str, Any]:
    """Return what the truth file says about the gates of an acquisition.

    Returns
    -------
    ``beats_accepted_percent``, and ``gate_time_percent``: the share of the recorded time that each gate has.
    """
    return {
        "beats_accepted_percent": round(100.0 * beats.accepted, 2),
        "gate_time_percent": [round(100.0 * float(share), 3) for share in beats.recorded],
    }
