"""Time frames of dynamic PET: when each began, and the factors that make their values comparable."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset

from myoperf.io.header import items, number, text_of
from myoperf.io.scale import philips_factor
from myoperf.types import Finding, Float

_LARGEST_DISAGREEMENT = 0.15  # relative, between given and expected decay factors
_HALF_A_DAY_MS = 12 * 3600 * 1000.0
_NOTABLE_DECAY = 1.05  # below this ratio of decay factors, a missing correction would not be noticed


def frame_starts_ms(headers: Sequence[Dataset], duration_ms: Float) -> Float | None:
    """Return each time frame's start in ms after the first frame's, or None where the headers give none.

    Candidates are the moments of acquisition (the start of a frame) and Frame Reference Time (0054,1300), the latter
    as a frame's start and as its middle, because writers differ. The candidate with the least gaps and overlaps
    between frames is returned.

    Parameters
    ----------
    headers
        One slice of each frame, in the frames' order.
    duration_ms
        Shape (frames,).
    """
    candidates: list[Float] = []
    acquired = acquisition_moments_ms(headers)
    if acquired is not None:
        candidates.append(acquired)
    reference = [number(header, "FrameReferenceTime") for header in headers]
    if all(value is not None for value in reference):
        moments = np.asarray(reference, dtype=np.float64)
        candidates += [moments, moments - 0.5 * duration_ms]
    rising = [starts - starts[0] for starts in candidates if (np.diff(starts) > 0).all()]
    if not rising:
        return None
    misfit = [round(float(np.abs(np.diff(starts) - duration_ms[:-1]).sum())) for starts in rising]
    return np.asarray(rising[int(np.argmin(misfit))])


def check_gaps(start_ms: Float, duration_ms: Float) -> tuple[Finding, ...]:
    """Return a warning where the time between two frames would hold one more.

    Less than three quarters of the shorter neighbour is no gap: Frame Reference Time may be the moment of mean
    activity, which lies before the middle of a frame.
    """
    gaps = start_ms[1:] - start_ms[:-1] - duration_ms[:-1]
    wide = np.flatnonzero(gaps > 0.75 * np.minimum(duration_ms[1:], duration_ms[:-1]))
    if not wide.size:
        return ()
    first = int(wide[0])
    between = f"between time frames {first + 1} and {first + 2} of the dynamic series"
    text = f"There is a gap of {gaps[first] / 1000:g} s {between}; frames may be missing."
    return (Finding("time-frames-missing", "warning", text),)


def activity_factors(
    headers: Sequence[Dataset], start_ms: Float, duration_ms: Float
) -> tuple[Float, tuple[Finding, ...]]:
    """Return the factors that turn the frames' values into activity, decay-corrected to the start of the first frame.

    Values in counts (Units CNTS, PROPCNTS; PS3.3 C.8.9.1.1.3) are divided by the frames' durations in seconds, unless
    `myoperf.io.scale.philips_factor` has turned them into activity. Frames
    not corrected for decay (Decay Correction NONE) are corrected by the half-life in the header. Where the Decay
    Factors (0054,1321) of corrected frames do not rise as decay requires, no decay correction is applied and the
    finding ``decay-doubtful`` says so.

    Returns
    -------
    (factors (frames,), findings)
    """
    first, done = headers[0], []
    factors = np.ones(len(headers))
    if text_of(first, "Units").upper() in ("CNTS", "PROPCNTS") and philips_factor(first, "the series") is None:
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
        return factors, _doubt("the file gives neither the correction nor the half-life it needs")
    elif expected is not None and _disagree(headers, expected):
        return factors, _doubt("its decay factors do not rise from frame to frame as decay requires")
    if not done:
        return factors, ()
    return factors, (Finding("frames-converted", "info", f"The time frames were {' and '.join(done)}."),)


def _doubt(why: str) -> tuple[Finding, ...]:
    """Return the finding that the decay correction is in doubt."""
    text = f"The decay correction of the dynamic series is in doubt: {why}."
    return (Finding("decay-doubtful", "warning", text),)


def _disagree(headers: Sequence[Dataset], expected: Float) -> bool:
    """Whether decay matters, the headers give decay factors, and these differ from the expected ones."""
    given = [number(header, "DecayFactor") for header in headers]
    if any(value is None or value <= 0 for value in given) or expected.max() / expected.min() < _NOTABLE_DECAY:
        return False
    factor = np.asarray(given, dtype=np.float64)
    return bool((np.abs(factor / factor[0] * expected[0] / expected - 1.0) > _LARGEST_DISAGREEMENT).any())


def _decay(start_s: Float, duration_s: Float, half_life_s: float) -> Float:
    """Return the factor from a frame's mean activity to that at time 0: exp(l t) l d / (1 - exp(-l d))."""
    rate = np.log(2.0) / half_life_s
    return np.asarray(np.exp(rate * start_s) * rate * duration_s / -np.expm1(-rate * duration_s))


def _half_life_s(header: Dataset) -> float | None:
    """Return Radionuclide Half Life (0018,1075) in seconds."""
    for item in items(header, "RadiopharmaceuticalInformationSequence"):
        half_life = number(item, "RadionuclideHalfLife")
        if half_life is not None and half_life > 0:
            return half_life
    return None


def acquisition_moments_ms(headers: Sequence[Dataset]) -> Float | None:
    """Return when each image was acquired in ms after an arbitrary zero, in order also over midnight; None if unknown.

    Acquisition DateTime (0008,002A), else Acquisition Date and Time. Where there is no date, or dates did not follow
    the clock over midnight, the times of day alone are used, from the far side of their largest gap.

    Returns
    -------
    Shape (headers,); None where a time is missing, or the images spread over more than half a day, so that their order
    is not known.
    """
    texts = [text_of(header, "AcquisitionDateTime") or _date_and_time(header) for header in headers]
    read = [_moment_ms(text) for text in texts]
    moments = np.array([moment for moment in read if moment is not None])
    if moments.size < len(headers):
        return None
    if np.ptp(moments) <= _HALF_A_DAY_MS:
        return moments
    of_day = moments % (2 * _HALF_A_DAY_MS)
    ordered = np.unique(of_day)
    gaps = np.diff(ordered, append=ordered[0] + 2 * _HALF_A_DAY_MS)
    begin = ordered[(int(np.argmax(gaps)) + 1) % ordered.size]
    since = (of_day - begin) % (2 * _HALF_A_DAY_MS)
    return since if np.ptp(since) <= _HALF_A_DAY_MS else None


def _date_and_time(header: Dataset) -> str:
    """Return Acquisition Date and Time as one text; the date alone is nothing."""
    time = text_of(header, "AcquisitionTime").replace(":", "")
    return (text_of(header, "AcquisitionDate").replace(".", "") or "20000101") + time if time else ""


def _moment_ms(text: str) -> float | None:
    """Return a DICOM date and time (PS3.5 DT, its zone ignored) in ms since 2000; None where it is incomplete."""
    for form in ("%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S"):
        try:
            moment = datetime.strptime(text.split("+")[0].split("-")[0], form) - datetime(2000, 1, 1)
        except ValueError:
            continue
        return moment.total_seconds() * 1000.0
    return None
