"""Whether the volume curve of a beat can be that of a heart."""

import numpy as np

from myoperf.types import Finding, VolumeCurve

_END_SYSTOLE = (0.15, 0.60)
"""Cycles after the R wave within which the smallest volume lies: end systole is at .3 to .45 at rest, and up to .55
where the heart is fast, as diastole then shortens most. MyoPerf's own limits."""
_END_DIASTOLE = 0.27
"""Cycles before or after the R wave within which the largest volume lies: two gates of eight. MyoPerf's own limit."""
_SECOND_DIP = 0.30
"""Depth of a second dip, as a fraction of the stroke volume, from which it is not chance. MyoPerf's own limit."""
_SCATTER = 0.15
"""Root mean square distance of the gates from the curve over the stroke volume, from which it does not describe them.
MyoPerf's own limit."""


def check_volume_curve(curve: VolumeCurve, volumes_ml: tuple[float, ...]) -> tuple[Finding, ...]:
    """Return ``volume-curve-odd`` where a volume curve is not that of a heart beating in time with the gates.

    A ventricle is fullest near the R wave, empties once, and is smallest in the first half of the beat or a little
    later. Another course comes from wrong gates (trigger, order, irregular beats) or a wall that was not followed.

    Parameters
    ----------
    curve
        Fitted to the volumes.
    volumes_ml
        Of the gates.

    Examples
    --------
    >>> time = (np.arange(72) + 0.5) / 72
    >>> late = VolumeCurve(time_cycles=time, volume_ml=100.0 + 30.0 * np.cos(2 * np.pi * (time - 0.4)))
    >>> check_volume_curve(late, ())[0].code
    'volume-curve-odd'
    """
    stroke_ml = curve.edv_ml - curve.esv_ml
    if not curve.beats:
        return (_no_beat(curve.edv_ml, stroke_ml),)
    odd = []
    if not _END_SYSTOLE[0] <= curve.es_cycles <= _END_SYSTOLE[1]:
        odd.append(f"the ventricle is smallest at {100 * curve.es_cycles:.0f} % of the beat")
    if min(curve.ed_cycles, 1.0 - curve.ed_cycles) > _END_DIASTOLE:
        odd.append(f"the ventricle is fullest at {100 * curve.ed_cycles:.0f} % of the beat, not near the R wave")
    dip_ml = _second_dip_ml(curve)
    if dip_ml > _SECOND_DIP * stroke_ml:
        odd.append(f"it empties twice in a beat, the second time by {dip_ml:.0f} ml")
    if volumes_ml:
        time = (np.arange(len(volumes_ml)) + 0.5) / len(volumes_ml)
        fitted = np.interp(time, curve.time_cycles, curve.volume_ml, period=1.0)
        scatter_ml = float(np.sqrt(np.mean((np.asarray(volumes_ml) - fitted) ** 2)))
        if scatter_ml > _SCATTER * stroke_ml:
            odd.append(f"the gates lie {scatter_ml:.1f} ml off a smooth curve, of {stroke_ml:.0f} ml ejected")
    if not odd:
        return ()
    text = "; ".join(odd)
    message = (
        f"The volume curve is unusual: {text}. Check the trigger, and the gates as a cine loop, before relying on "
        "volumes, ejection fraction, filling or phase."
    )
    return (Finding("volume-curve-odd", "warning", message),)


def _no_beat(edv_ml: float, stroke_ml: float) -> Finding:
    message = (
        f"The gates show no beat: of {edv_ml:.0f} ml, {max(stroke_ml, 0.0):.1f} ml are ejected. The gates may be "
        "copies of one image, or the trigger was wrong. Look at them as a cine loop before relying on volumes, "
        "ejection fraction, filling or phase."
    )
    return Finding("volume-curve-odd", "warning", message)


def _second_dip_ml(curve: VolumeCurve) -> float:
    """Return the depth of the deepest dip other than end systole: how far the volume falls again after it has risen."""
    values = np.roll(curve.volume_ml, -int(curve.volume_ml.argmin()))
    top = int(values.argmax())
    # Up to the fullest moment any fall is a dip; after it the volume may only fall, so any rise is one.
    filling = np.maximum.accumulate(values[: top + 1]) - values[: top + 1]
    emptying = values[top:] - np.minimum.accumulate(values[top:])
    return float(max(filling.max(), emptying.max()))
