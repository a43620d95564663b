"""Gates of equal weight: counts that the last gates lose to short beats are made up for."""

import numpy as np

from myoperf.errors import AnalysisError
from myoperf.types import Float, Volume

_FAINTEST = 0.2
"""A gate with less than this share of the usual counts stays as it is: it holds too little to be scaled up."""


def equalise_gates(gated: Volume) -> Volume:
    """Scale every gate to the same counts in the whole image, so that a gate's brightness tells of the wall alone.

    The activity in the field of view does not change over the beat. What does is the time recorded in a gate: a camera
    that counts from the R wave reaches the last gates in long beats only. Left as they are, these gates look
    like a wall that thins before the next beat.

    Parameters
    ----------
    gated
        The whole image, not a part about the heart. A volume of one frame, or without counts, is returned as it is.

    Returns
    -------
    The gates with their mean counts each.

    Examples
    --------
    >>> import numpy as np
    >>> from myoperf.types import Volume
    >>> gates = Volume(np.stack([np.full((2, 3, 4), level, np.float32) for level in (3.0, 3.0, 2.4)]), np.eye(4))
    >>> [f"{level:.1f}" for level in equalise_gates(gates).array[:, 0, 0, 0]]
    ['2.8', '2.8', '2.8']
    """
    counts = _counts(gated)
    usual = float(np.median(counts))
    if gated.frames == 1 or usual <= 0:
        return gated
    recorded = np.where(counts < _FAINTEST * usual, counts.mean(), counts)
    scale = (counts.mean() / recorded).astype(np.float32)
    return gated.with_array(gated.array * scale[:, None, None, None])


def require_counts(gated: Volume) -> None:
    """Raise unless every gate has the counts that following the wall needs.

    Raises
    ------
    AnalysisError
        When a gate holds less than a fifth of the counts of the median gate: the wall "found" in it is noise, and a
        curve through it can fall below zero.
    """
    counts = _counts(gated)
    usual, least = float(np.median(counts)), int(counts.argmin())
    if usual > 0 and counts[least] < _FAINTEST * usual:
        raise AnalysisError(
            f"gate {least + 1} of {gated.frames} has {100 * max(counts[least], 0.0) / usual:.0f} % of the counts of "
            f"the median gate, and {100 * _FAINTEST:.0f} % are needed to find the wall in it."
        )


def _counts(gated: Volume) -> Float:
    """Return the counts of each gate, (gates,)."""
    return np.asarray(gated.array.reshape(gated.frames, -1).sum(axis=1, dtype=np.float64))
