"""Time frames of dynamic PET: when each began, and decay and counts brought to one measure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset

from myoperf.io.header import items, number, text_of
from myoperf.types import Finding, Float

__all__ = ["activity_factors", "frame_starts_ms"]


_AGREE = 0.15
_NOTABLE = 1.05


def frame_starts_ms(headers: Sequence[Dataset], duration_ms: Float) -> Float | None:
    """Give the start of every time frame after the first one's, in ms; None where nothing tells.

    Acquisition Date and Time (the start of a frame) and Frame Reference Time (0054,1300) are tried, the latter as a
    frame's start and as its middle, because writers differ; the one whose frames follow each other with the
    least gap and overlap is taken.

    Parameters
    ----------
    headers
        One slice of each frame, in the frames' order.
    duration_ms
        Shape (frames,).
    """
    tried: list[Float] = []
    acquired = [_moment_ms(header) for header in headers]
    if all(moment is not None for moment in acquired):
        tried.append(np.asarray(acquired, dtype=np.float64))
    reference = [number(header, "FrameReferenceTime") for header in headers]
    if all(value is not None for value in reference):
        told = np.asarray(reference, dtype=np.float64)
        tried += [told, told - 0.5 * duration_ms]
    rising = [starts - starts[0] for starts in tried if (np.diff(starts) > 0).all()]
    if not rising:
        return None
    misfit = [round(float(np.abs(np.diff(starts) - duration_ms[:-1]).sum())) for starts in rising]
    return np.asarray(rising[int(np.argmin(misfit))])


def activity_factors(
    headers: Sequence[Dataset], start_ms: Float, duration_ms: Float
) -> tuple[Float, tuple[Finding, ...]]:
    """Give what each frame is to be multiplied with to hold activity, decay-corrected to the first frame.

    Units of counts (CNTS, PROPCNTS; PS3.3 C.8.9.1.1.3) are divided by the frames' durations in seconds. Frames not
    corrected for decay (Decay Correction NONE) are corrected by the half-life in the header. Where the Decay Factors
    (0054,1321) of frames that are said to be corrected do not rise as decay does, nothing is changed and
    ``decay-doubtful`` says so.

    Returns
    -------
    (factors (frames,), findings).
    """
    first, done = headers[0], []
    factors = np.ones(len(headers))
    if text_of(first, "Units").upper() in ("CNTS", "PROPCNTS"):
        factors /= duration_ms / 1000.0
        done.append("divided by their durations")
    half_life = _half_life_s(first)
    corrected = text_of(first, "DecayCorrection").upper()
    expected = None if half_life is None else _decay(start_ms / 1000.0, duration_ms / 1000.0, half_life)
    if corrected not in ("NONE", "START", "ADMIN"):
        corrected = "START" if "DECY" in text_of(first, "CorrectedImage") else ""
    if corrected == "NONE" and expected is not None:
        factors *= expected
        done.append("corrected for decay")
    elif corrected in ("", "NONE"):
        return factors, _doubt("nothing tells whether its frames are corrected for decay, or with which half-life")
    elif expected is not None and _disagree(headers, expected):
        return factors, _doubt("its decay factors do not rise from frame to frame as decay does")
    if not done:
        return factors, ()
    return factors, (Finding("frames-converted", "info", f"The time frames were {' and '.join(done)}."),)


def _doubt(why: str) -> tuple[Finding, ...]:
    text = f"The decay correction of the dynamic series is in doubt: {why}."
    return (Finding("decay-doubtful", "warning", text),)


def _disagree(headers: Sequence[Dataset], expected: Float) -> bool:
    """Whether the decay factors are told, decay matters, and the two do not go together."""
    told = [number(header, "DecayFactor") for header in headers]
    if any(value is None or value <= 0 for value in told) or expected.max() / expected.min() < _NOTABLE:
        return False
    factor = np.asarray(told, dtype=np.float64)
    return bool((np.abs(factor / factor[0] * expected[0] / expected - 1.0) > _AGREE).any())


def _decay(start_s: Float, duration_s: Float, half_life_s: float) -> Float:
    """Correct a mean over each frame to time 0: exp(l t) l d / (1 - exp(-l d))."""
    rate = np.log(2.0) / half_life_s
    return np.asarray(np.exp(rate * start_s) * rate * duration_s / -np.expm1(-rate * duration_s))


def _half_life_s(header: Dataset) -> float | None:
    """Read Radionuclide Half Life."""
    for item in items(header, "RadiopharmaceuticalInformationSequence"):
        told = number(item, "RadionuclideHalfLife")
        if told is not None and told > 0:
            return told
    return None


def _moment_ms(header: Dataset) -> float | None:
    """Give Acquisition Date and Time (or the time alone, which may pass midnight nowhere) in ms."""
    day, time = text_of(header, "AcquisitionDate"), text_of(header, "AcquisitionTime")
    for form in ("%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S"):
        try:
            return (datetime.strptime((day or "20000101") + time, form) - datetime(2000, 1, 1)).total_seconds() * 1000.0
        except ValueError:
            continue
    return None
