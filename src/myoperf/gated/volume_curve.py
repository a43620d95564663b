"""Numbers of a volume curve: a Fourier fit, and how fast the ventricle fills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myoperf.errors import InputError
from myoperf.gated.tracking import time_basis
from myoperf.types import Float

__all__ = ["VolumeCurve", "fit_volume_curve"]


_FINE = 360


@dataclass(frozen=True, eq=False)
class VolumeCurve:
    """A periodic curve through the gates' volumes.

    Attributes
    ----------
    time
        Shape (360,): in cycles from the R wave.
    volume_ml
        Shape (360,).
    edv_ml, esv_ml, ed_time, es_time
        Largest and smallest volume of the fit and when.
    pfr_edv_per_s, ttpf_ms, mfr3_edv_per_s
        Peak filling rate, time from end systole to it, and mean filling rate of the first third of
        diastole; None where the length of the beat is not known.
    """

    time: Float
    volume_ml: Float
    edv_ml: float
    esv_ml: float
    ed_time: float
    es_time: float
    pfr_edv_per_s: float | None
    ttpf_ms: float | None
    mfr3_edv_per_s: float | None


def fit_volume_curve(volumes_ml: Float, *, beat_ms: float | None = None) -> VolumeCurve:
    """Fit Fourier harmonics (2 up to 11 gates, 3 from 12) to a volume a gate.

    The k-th volume stands for the middle of its gate, (k + 0.5) / gates of the beat.

    Parameters
    ----------
    beat_ms
        Length of the beat (sum of the gates' durations), or None; one that is not positive counts as None.

    Raises
    ------
    InputError
        When there are fewer than 4 gates or a volume is not positive.
    """
    values = np.asarray(volumes_ml, dtype=np.float64)
    if values.ndim != 1 or values.size < 4 or not (values > 0).all():
        raise InputError(f"A volume curve needs 4 positive volumes or more; got {values.size} gates.")
    basis = time_basis(values.size)
    terms = np.linalg.lstsq(basis, values, rcond=None)[0]
    time = (np.arange(_FINE) + 0.5) / _FINE
    fine = time_basis(_FINE)[:, : terms.size] @ terms
    top, bottom = int(fine.argmax()), int(fine.argmin())
    rate = (np.roll(fine, -1) - np.roll(fine, 1)) * (0.5 * _FINE)  # ml a beat
    filling = (top - bottom) % _FINE
    after = np.roll(rate, -bottom)[: max(filling, 3)]
    peak = int(after.argmax())
    third = max(1, round(filling / 3))
    rise = float(np.roll(fine, -bottom)[third] - fine[bottom])
    if beat_ms is not None and not 0 < beat_ms < np.inf:
        beat_ms = None
    per_second = None if beat_ms is None else 1000.0 / beat_ms
    edv = float(fine[top])
    return VolumeCurve(
        time,
        fine,
        edv,
        float(fine[bottom]),
        float(time[top]),
        float(time[bottom]),
        None if per_second is None else float(after[peak]) * per_second / edv,
        None if beat_ms is None else peak / _FINE * beat_ms,
        None if per_second is None else rise / (third / _FINE) * per_second / edv,
    )
