"""What a header says of a gated scan: how many gates it has, which beats were rejected and accepted."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from myoperf.errors import InputError
from myoperf.io.header import items, number
from myoperf.types import Finding

_SOME_PERCENT, _MANY_PERCENT = 5.0, 20.0
"""Rejected beats from which `check_beats` informs and warns. MyoPerf's own limits."""
_WIDE = 0.6
"""Accepted lengths, longest minus shortest over the mean beat, from which a window is wide. MyoPerf's own limit: within
30 percent of the mean beat late diastole still falls into the last gates."""


def refuse_missing_gates(header: Dataset, gates: int, name: str, *, gated: bool) -> None:
    """Refuse fewer gates than Number of Time Slots (0054,0071) says; their sum, one image, may keep the number.

    Parameters
    ----------
    gates
        How many there are.
    gated
        Whether the file is marked as gated: then a single image is one gate, not their sum.

    Raises
    ------
    InputError
    """
    stated = number(header, "NumberOfTimeSlots") or 0.0
    if gates < stated and (gated or gates > 1):
        raise InputError(
            f"{name}: holds {gates} of {stated:g} time slots (Number of Time Slots); export all gates of the scan."
        )


def check_beats(header: Dataset) -> tuple[Finding, ...]:
    """Return findings on the rejected beats and the accepted lengths that a gated scan's header states.

    NM files state them for every R-R window in their gated information (PS3.3 C.8.4.14), PET files once
    (PS3.3 C.8.9.4). Absent and impossible values give no finding.

    Returns
    -------
    ``beats-rejected``: info from 5 percent of all beats, warning from 20. ``rr-window-wide`` (info): one window that
    accepts beats whose lengths differ by 60 percent of the mean beat or more.

    Examples
    --------
    >>> header = Dataset()
    >>> header.IntervalsAcquired, header.IntervalsRejected = 300, 100
    >>> [(finding.code, finding.severity) for finding in check_beats(header)]
    [('beats-rejected', 'warning')]
    """
    gated = [data for part in items(header, "GatedInformationSequence") for data in items(part, _DATA)]
    holders = gated or [header]
    return _check_rejected(holders) + (_check_window(holders[0]) if len(holders) == 1 else ())


_DATA = "DataInformationSequence"


def _check_rejected(holders: Sequence[Dataset]) -> tuple[Finding, ...]:
    """Return a finding where many beats were rejected, over all R-R windows."""
    rejected = sum(number(holder, "IntervalsRejected") or 0.0 for holder in holders)
    accepted = sum(number(holder, "IntervalsAcquired") or 0.0 for holder in holders)
    if rejected <= 0 or accepted < 0:
        return ()
    percent = 100.0 * rejected / (accepted + rejected)
    if percent < _SOME_PERCENT:
        return ()
    message = (
        f"The camera rejected {rejected:.0f} of {accepted + rejected:.0f} beats ({percent:.0f} %): the rhythm was "
        "irregular or the gating poor. The gates hold fewer counts, and volumes, ejection fraction and phase are those "
        "of the accepted beats."
    )
    return (Finding("beats-rejected", "warning" if percent >= _MANY_PERCENT else "info", message),)


def _check_window(holder: Dataset) -> tuple[Finding, ...]:
    """Return a finding where beats of very different lengths were accepted into the same gates."""
    low, high = number(holder, "LowRRValue"), number(holder, "HighRRValue")
    if low is None or high is None or not 0 < low < high:
        return ()
    beat = number(holder, "NominalInterval") or 0.5 * (low + high)
    if beat <= 0 or (high - low) / beat < _WIDE:
        return ()
    message = (
        f"Beats of {low:.0f} to {high:.0f} ms were accepted, for a mean beat of {beat:.0f} ms: if the rhythm was "
        "irregular, the last gates mix early and late diastole, and filling rates and phase may be wrong."
    )
    return (Finding("rr-window-wide", "info", message),)
