"""The anterior direction of a patient's ventricles, from the right ventricle where it is seen."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from myoperf.errors import AnalysisError
from myoperf.geometry import anterior_direction
from myoperf.lv import LVFit
from myoperf.pipeline.options import Options
from myoperf.pipeline.scan import LocatedScan, change_fits
from myoperf.polar import AnteriorEstimate, estimate_anterior, fit_surface, turn_anterior
from myoperf.types import Finding, LVFrame, Volume

USUAL_TURN_DEG = 5.0
"""Anterior from the projection of the direction to the head towards the septum: 5.6 (SD 8.6) degrees in 25 open real
volumes (docs/polar.md)."""
BELIEVED = 0.7
"""Share of a departure from the usual turn that is believed; the rest is the estimate's own error (docs/polar.md)."""
UNUSUAL_DEG = 15.0


def turn_to_septum(*ventricles: tuple[Volume, LVFit]) -> tuple[LVFit, ...]:
    """Return ventricles whose anterior direction follows the right ventricle's insertions.

    The turn from the direction to the head (`myoperf.polar.estimate_anterior`) is the mean over the scans that show the
    insertions, drawn towards the usual 5 degrees; the usual turn where none shows them (finding `anterior-unseen`). The
    limits of the wall (`rim_mm`) must not be set yet, as they are counted from the anterior direction.

    Parameters
    ----------
    ventricles
        Scans of one heart, each the volume that was labelled (gates are summed) and its ventricle.

    Returns
    -------
    The ventricles in the same order.
    """
    upright = [(volume, _upright(fit)) for volume, fit in ventricles]
    found = [one for volume, fit in upright if (one := _estimate(volume, fit)) is not None and one.seen]
    seen = [one.turn_deg for one in found]
    turn = USUAL_TURN_DEG + BELIEVED * (float(np.mean(seen)) - USUAL_TURN_DEG) if seen else USUAL_TURN_DEG
    note = _note(turn, seen=bool(seen))
    return tuple(
        replace(fit, frame=turn_anterior(fit.frame, turn), findings=(*fit.findings, *note)) for _, fit in upright
    )


def set_anterior(located: Mapping[str, LocatedScan], options: Options) -> Mapping[str, LocatedScan]:
    """Turn the ventricle of every scan to its septum, alike in the stress and the rest scan that are scored.

    Nothing changes where the operator gave the pose. `located` maps names to scans, as does what is returned.
    """
    return change_fits(located, options, turn_to_septum)


def _upright(fit: LVFit) -> LVFit:
    frame = fit.frame
    return replace(fit, frame=LVFrame(frame.apex_mm, frame.base_mm, anterior_direction(frame.axis)))


def _estimate(volume: Volume, fit: LVFit) -> AnteriorEstimate | None:
    try:
        return estimate_anterior(volume, fit_surface(fit.labels, fit.frame))
    except AnalysisError:  # too little wall: unrolling it will say so
        return None


def _note(turn_deg: float, *, seen: bool) -> tuple[Finding, ...]:
    if not seen:
        message = (
            "The images do not show where the right ventricle joins the left. The anterior wall was assumed "
            f"in its average position, {USUAL_TURN_DEG:.0f} degrees from the direction to the head, towards the "
            "septum; in one patient in three it lies more than 9 degrees away from there."
        )
        return (Finding("anterior-unseen", "info", message),)
    if abs(turn_deg - USUAL_TURN_DEG) <= UNUSUAL_DEG:
        return ()
    side = "towards the septum" if turn_deg > 0 else "towards the lateral wall"
    message = (
        f"The right ventricle's insertions put the anterior wall {abs(turn_deg):.0f} degrees from the direction to the "
        f"head, {side}, which is unusual. Check the walls' names on the short-axis slices."
    )
    return (Finding("anterior-turned", "info", message),)
