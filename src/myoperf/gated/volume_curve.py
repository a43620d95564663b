"""The volume curve of a beat: a Fourier fit through the gates' volumes, and how fast the ventricle fills."""

import numpy as np

from myoperf.errors import InputError
from myoperf.types import Float, VolumeCurve
from myoperf.ventricle.fit import beat_at

_FINE = 360
"""Samples of the fitted curve: one a degree of the cycle, so that times are good to 1/360 of the beat."""


def fit_volume_curve(volumes_ml: Float, *, beat_ms: float | None = None) -> VolumeCurve:
    """Fit Fourier harmonics (2 up to 11 gates, 3 from 12) to the volumes of the gates.

    The k-th volume is the mean over its gate, whose middle is (k + 0.5) / gates of the beat; the curve is the one whose
    means over the gates these are, so it rises above the largest and falls below the smallest of them.

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
    time = (np.arange(_FINE) + 0.5) / _FINE
    fine = beat_at(values, time)
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
        time_cycles=time,
        volume_ml=fine,
        pfr_edv_per_s=None if per_second is None else float(after[peak]) * per_second / edv,
        ttpf_ms=None if beat_ms is None else peak / _FINE * beat_ms,
        mfr3_edv_per_s=None if per_second is None else rise / (third / _FINE) * per_second / edv,
    )
