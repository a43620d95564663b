"""Intervals for any number: from the counts' noise, or from the doubt about the outline.

The caller passes a function that measures (a reconstruction and everything after it, or a part);
this module only draws and summarises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import stdtrit

from myoperf.errors import InputError, MyoPerfError
from myoperf.types import Interval, LVFrame, Projections

__all__ = [
    "Interval",
    "interval_from_counts",
    "interval_from_outline",
    "interval_of_draws",
    "jitter_frame",
    "resample_counts",
]

Numbers = Mapping[str, float]


def resample_counts(projections: Projections, rng: np.random.Generator) -> Projections:
    """Draw every pixel anew from a Poisson distribution whose mean is its counts.

    The measured counts stand in for the unknown mean (parametric bootstrap; Haynor and Woods, IEEE
    Trans Med Imaging 1989;8:73 for emission tomography), so a draw holds the noise twice: its spread is
    right, its mean may be biased for numbers that noise inflates.

    Raises
    ------
    InputError
        When pixels are negative: such views have been corrected and are not counts.
    """
    if projections.array.min() < 0:
        raise InputError("Counts cannot be negative; these views have been corrected and cannot be resampled.")
    return replace(projections, array=rng.poisson(projections.array).astype(np.float32))


def interval_from_counts(
    projections: Projections,
    measure: Callable[[Projections], Numbers],
    *,
    rng: np.random.Generator,
    draws: int = 20,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Give an interval for every number `measure` gives, from the Poisson noise of the raw views.

    Parameters
    ----------
    measure
        From views to named numbers: reconstruction and all that follows.
    draws
        Repeats; 20 give the SD to about 16 percent.
    level
        Coverage of the interval, by Student's distribution.
    """
    return _interval(
        measure(projections),
        (lambda: measure(resample_counts(projections, rng))),
        draws=draws,
        level=level,
        source="counts",
    )


def jitter_frame(
    frame: LVFrame, rng: np.random.Generator, *, shift_mm: float = 2.0, tilt_deg: float = 3.0, valve_mm: float = 3.0
) -> LVFrame:
    """Move a pose at random: both ends together, the valve along the axis (SD in mm), tilt and turn (SD in degrees)."""
    shift = rng.normal(0.0, shift_mm, 3)
    lean = np.tan(np.deg2rad(rng.normal(0.0, tilt_deg, 2)))
    turn = np.deg2rad(rng.normal(0.0, tilt_deg))
    half = 0.5 * frame.length_mm
    side = half * (lean[0] * frame.anterior + lean[1] * frame.lateral)
    base = frame.base_mm + shift + side + rng.normal(0.0, valve_mm) * frame.axis
    anterior = np.cos(turn) * frame.anterior + np.sin(turn) * frame.lateral
    return LVFrame(frame.apex_mm + shift - side, base, anterior)


def interval_from_outline(
    frame: LVFrame,
    measure: Callable[[LVFrame], Numbers],
    *,
    rng: np.random.Generator,
    draws: int = 20,
    level: float = 0.95,
    shift_mm: float = 2.0,
    tilt_deg: float = 3.0,
    valve_mm: float = 3.0,
) -> dict[str, Interval]:
    """Give intervals from the doubt about pose and outline, for volumes without raw views.

    The spreads are assumptions about how well a ventricle is found, stated beside every interval.

    Parameters
    ----------
    measure
        From a pose to named numbers: segmentation and all that follows.
    """

    def draw() -> Numbers:
        return measure(jitter_frame(frame, rng, shift_mm=shift_mm, tilt_deg=tilt_deg, valve_mm=valve_mm))

    return _interval(measure(frame), draw, draws=draws, level=level, source="outline")


def _interval(
    values: Numbers, draw: Callable[[], Numbers], *, draws: int, level: float, source: str
) -> dict[str, Interval]:
    if draws < 3 or not 0.0 < level < 1.0:
        raise InputError(f"An interval needs 3 draws or more and a level between 0 and 1; got {draws} and {level}.")
    seen: list[Numbers] = []
    for _ in range(draws):
        try:
            seen.append(draw())
        except MyoPerfError:
            continue
    if len(seen) < 3:
        raise InputError(f"Only {len(seen)} of {draws} draws could be measured; an interval needs 3.")
    return interval_of_draws(values, seen, level=level, source=source)


def interval_of_draws(
    values: Numbers, seen: Sequence[Numbers], *, level: float = 0.95, source: str
) -> dict[str, Interval]:
    """Give an interval for every number that 3 draws or more have measured: value -+ t(draws - 1) x SD.

    Numbers that are missing or not finite in a draw are left out there.
    """
    out = {}
    for name, value in values.items():
        drawn = [numbers[name] for numbers in seen if np.isfinite(numbers.get(name, np.nan))]
        if len(drawn) < 3 or not np.isfinite(value):
            continue
        sd = float(np.std(drawn, ddof=1))
        reach = float(stdtrit(len(drawn) - 1, 0.5 + 0.5 * level)) * sd
        out[name] = Interval(float(value), float(value) - reach, float(value) + reach, sd, len(drawn), source)
    return out
