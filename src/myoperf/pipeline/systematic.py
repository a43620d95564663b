"""Errors that no repetition of an analysis shows, added to the intervals of ventricular function.

A draw repeats the noise, the pose and the wall's thickness as far as it is not known. What remains (valve plane, gates,
wall that leaves in systole, an uneven wall under an uneven blur) is the same in all draws. Its size was measured on the
60 independent hearts for development (`myoperf.phantom.independent`): the standard deviation that, added to each
heart's own draws, makes the errors likeliest (``benchmarks/systematic_errors.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from myoperf.types import Interval, ScanResult


@dataclass(frozen=True, kw_only=True)
class SystematicError:
    """Standard deviation of a number's systematic error: a share of its value, or an amount in its own unit."""

    share: float = 0.0
    amount: float = 0.0

    def sd(self, value: float) -> float:
        """Return it for a value."""
        return self.share * abs(value) + self.amount


SYSTEMATIC_ERRORS: Mapping[str, SystematicError] = {
    "edv_ml": SystematicError(share=0.07),
    "esv_ml": SystematicError(share=0.085),
    "stroke_volume_ml": SystematicError(share=0.045),
    "lvef_percent": SystematicError(amount=1.5),
    "mass_g": SystematicError(share=0.1),
}
"""By the number's name: ``docs/results/systematic_errors.csv``, rounded to half a percent or point."""


def add_systematic_errors(intervals: Mapping[str, Interval], result: ScanResult) -> dict[str, Interval]:
    """Return a scan's intervals with systematic errors in those of function.

    See `widened`. The interval of the phase SD is the one that its own data and noise allow.

    Parameters
    ----------
    intervals
        Of a scan, from its draws.
    result
        The scan itself.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> drawn = {"lvef_percent": Interval(60.0, 54.4, 65.6, 2.0, 5, "counts")}
    >>> wider = add_systematic_errors(drawn, SimpleNamespace(function=None))["lvef_percent"]
    >>> round(wider.sd, 1), wider.source
    (2.5, 'counts and model')
    """
    out = dict(intervals)
    for name, error in SYSTEMATIC_ERRORS.items():
        if name in out:
            out[name] = widened(out[name], error.sd(out[name].value))
    synchrony = result.function.synchrony if result.function else None
    if synchrony is not None and synchrony.phase_sd_interval_deg and "phase_sd_deg" in out:
        drawn, (low, high) = out["phase_sd_deg"], synchrony.phase_sd_interval_deg
        out["phase_sd_deg"] = Interval(drawn.value, low, high, (high - low) / _TWO_SIDED, drawn.draws, _model(drawn))
    return out


_TWO_SIDED = 3.92
"""Width of a 95 percent interval in standard deviations."""


def _model(interval: Interval) -> str:
    """Return the source of an interval that also holds errors of the model."""
    return f"{interval.source} and model"


def widened(interval: Interval, systematic_sd: float) -> Interval:
    """Return a 95 percent interval with a systematic error added to that of its draws.

    Variances add; the few draws know theirs with n - 1 degrees of freedom, the systematic one counts as known
    (Welch-Satterthwaite).
    """
    drawn2, whole2 = interval.sd**2, interval.sd**2 + systematic_sd**2
    freedom = (interval.draws - 1) * (whole2 / max(drawn2, 1e-12 * whole2)) ** 2
    reach = float(stdtrit(min(freedom, 1e6), 0.975) * np.sqrt(whole2))
    low, high = interval.value - reach, interval.value + reach
    return Interval(interval.value, low, high, float(np.sqrt(whole2)), interval.draws, _model(interval))
