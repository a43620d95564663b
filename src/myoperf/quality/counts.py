"""Checks of raw views: counts, gates, truncation; and the lung-heart ratio."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.errors import AnalysisError
from myoperf.types import Finding, Float, Projections

_HEART_MM = 45.0
"""Radius about the ventricle's centre that holds the heart in a view."""
_STEADY = 0.03
"""Largest change of counts between gates, as a fraction, that is taken for chance and drift."""
_ENOUGH, _FEW = 100.0, 40.0
"""Counts of the heart's hottest pixel (mean of 3 x 3) below which `check_heart_counts` informs and warns."""


def place_in_views(projections: Projections, point_mm: Float) -> tuple[Float, Float]:
    """Return where a point of the patient is seen in every view.

    Parameters
    ----------
    projections
        Raw views; `myoperf.types.Projections` says how their columns run.
    point_mm
        (3,) LPS.

    Returns
    -------
    (row, column), each of shape (views,), in pixels from the middle of the first.
    """
    offset = np.asarray(point_mm, dtype=np.float64) - np.asarray(projections.axis_lps_mm)
    angle = np.deg2rad(projections.angles_deg)
    rows, columns = projections.array.shape[-2:]
    across = -np.cos(angle) * offset[0] + np.sin(angle) * offset[1]
    column = 0.5 * (columns - 1) + across / projections.pixel_mm[1]
    row = np.full(angle.shape, 0.5 * (rows - 1) - offset[2] / projections.pixel_mm[0])
    return row, column


def _front_view(projections: Projections) -> int:
    """Return the index of the view nearest the front (180 degrees)."""
    return int(np.abs((projections.angles_deg - 180.0 + 180.0) % 360.0 - 180.0).argmin())


def _heart_patch(projections: Projections, centre_mm: Float) -> tuple[Float, NDArray[np.bool_], float, float]:
    """Return the front view, the mask of the heart in it, and the heart's row and column."""
    view = _front_view(projections)
    image = projections.summed().array[0, view].astype(np.float64)
    row, column = (place[view] for place in place_in_views(projections, centre_mm))
    grid = np.indices(image.shape)
    far = np.hypot((grid[0] - row) * projections.pixel_mm[0], (grid[1] - column) * projections.pixel_mm[1])
    near = far <= _HEART_MM
    if not near.any():
        raise AnalysisError(
            "The left ventricle lies outside the raw views; check that pose and views belong to the same scan."
        )
    return image, near, float(row), float(column)


def check_heart_counts(projections: Projections, centre_mm: Float) -> tuple[Finding, ...]:
    """Check the counts of the left ventricle in the front view, all gates summed.

    The hottest pixel, as the mean of 3 x 3, should hold 100 counts; below 40 the numbers of single
    segments and gates are mostly noise. These limits are MyoPerf's own: guidelines require 100 to 200 in the
    single hottest pixel, which is higher than this mean.

    Parameters
    ----------
    projections
        Raw views.
    centre_mm
        (3,) LPS centre of the ventricle.

    Returns
    -------
    ``low-counts``: info below 100, warning below 40.
    """
    image, near, *_ = _heart_patch(projections, centre_mm)
    hottest = float(ndimage.uniform_filter(image, 3)[near].max())
    if hottest >= _ENOUGH:
        return ()
    grave = hottest < _FEW
    message = (
        f"The heart's hottest pixel in the front view has {hottest:.0f} counts, fewer than "
        f"{_FEW if grave else _ENOUGH:.0f}: noise may look like disease and makes every number less precise."
    )
    return (Finding("low-counts", "warning" if grave else "info", message),)


def check_gates(counts: Float) -> tuple[Finding, ...]:
    """Check that every gate has about the same counts.

    Irregular beats empty the last gates (Nichols et al., J Nucl Cardiol 2001;8:19). Ten percent below
    or above the median gate counts as an error. Where the gates only fall towards the end of the beat, the message
    gives the spread of the beats' lengths that explains it.

    Parameters
    ----------
    counts
        Shape (gates,): all counts of each gate. Of fewer than 4 gates nothing is said.

    Returns
    -------
    ``gating-error`` or nothing.

    Examples
    --------
    >>> check_gates(np.array([100.0, 101.0, 99.0, 100.0]))
    ()
    >>> check_gates(np.array([100.0, 101.0, 99.0, 100.0, 100.0, 98.0, 100.0, 60.0]))[0].code
    'gating-error'
    """
    values = np.asarray(counts, dtype=np.float64)
    if values.size < 4 or not np.median(values) > 0:
        return ()
    off = np.abs(values / max(float(np.median(values)), 1e-9) - 1.0)
    worst = int(off.argmax())
    if off[worst] <= 0.10:
        return ()
    spread = beat_spread_percent(values)
    cause = (
        "the heartbeat was irregular or the gating failed"
        if spread is None
        else f"the beats varied in length by about {spread:.0f} % (SD), or the heart rate rose"
    )
    message = (
        f"Gate {worst + 1} of {values.size} has {100 * values[worst] / np.median(values):.0f} % of the counts of the "
        f"median gate: {cause}; volumes, ejection fraction and phase may be wrong."
    )
    return (Finding("gating-error", "warning", message),)


def beat_spread_percent(counts: Float) -> float | None:
    """Estimate how much beats varied in length from the counts that are missing in the last gates.

    Gates of a fixed length, set for the mean beat and counted from the R wave, lose the end of every shorter beat: over
    normally distributed lengths of mean 1 and standard deviation s, the mean loss is s / sqrt(2 pi) of a beat.
    Cameras that scale their gates to each beat, or make up for lost counts, hide the spread.

    Parameters
    ----------
    counts
        Shape (gates,): all counts of each gate, 4 gates or more.

    Returns
    -------
    s in percent; None where the gates do not simply fall towards the end, as after other errors of gating.

    Examples
    --------
    >>> full = [100.0, 100.0, 100.0, 100.0, 100.0, 100.0]
    >>> round(beat_spread_percent(np.array([*full, 95.0, 75.0])), 1), beat_spread_percent(np.array([60.0, *full]))
    (9.4, None)
    """
    values = np.asarray(counts, dtype=np.float64)
    first = values[: values.size // 2]
    level = float(np.median(first))
    share = values / max(level, 1e-9)
    last = share[values.size // 2 :]
    steady = np.abs(share[: first.size] - 1.0).max() <= _STEADY and (np.diff(last) <= _STEADY).all()
    missing = float(np.clip(1.0 - last, 0.0, None).sum()) / values.size
    return 100.0 * missing * float(np.sqrt(2.0 * np.pi)) if steady and level > 0 and last[-1] <= last.min() else None


def check_views(projections: Projections) -> tuple[Finding, ...]:
    """Check each view's counts against its neighbours': a view with too few or too many causes streaks.

    Returns
    -------
    ``view-counts`` when a view lies more than 10 % off the median of the five about it.
    """
    total = projections.array.sum(axis=(0, 2, 3), dtype=np.float64)
    if total.size < 8:
        return ()
    order = np.argsort(projections.angles_deg)
    usual = ndimage.median_filter(total[order], 5, mode="nearest")
    off = np.abs(total[order] / np.maximum(usual, 1e-9) - 1.0)
    bad = np.flatnonzero(off > 0.10)
    if not bad.size:
        return ()
    message = (
        f"The counts of {bad.size} of {total.size} views differ by more than 10 % from their neighbours' (by up to "
        f"{100 * off.max():.0f} %): beats were rejected or the camera failed; streaks are possible."
    )
    return (Finding("view-counts", "warning", message),)


def check_truncation(projections: Projections, centre_mm: Float, *, reach_mm: float = 60.0) -> tuple[Finding, ...]:
    """Check that the views hold the whole heart and the whole body.

    Parameters
    ----------
    projections
        Raw views.
    centre_mm
        (3,) LPS centre of the ventricle.
    reach_mm
        How far the ventricle and its surroundings reach sideways from its centre.

    Returns
    -------
    ``heart-truncated`` (warning) when the ventricle's centre comes within `reach_mm` of the side of
    any view or half of it of the upper or lower edge; ``body-truncated`` (info) when an outermost column
    holds more than a tenth of the brightest column in a quarter of the views.
    """
    found = []
    row, column = place_in_views(projections, centre_mm)
    rows, columns = projections.array.shape[-2:]
    side = np.minimum(column, columns - 1 - column) * projections.pixel_mm[1]
    end = np.minimum(row, rows - 1 - row) * projections.pixel_mm[0]
    if side.min() < reach_mm or end.min() < 0.5 * reach_mm:
        lost = int(((side < reach_mm) | (end < 0.5 * reach_mm)).sum())
        message = (
            f"The heart reaches the edge of the field of view in {lost} of {row.size} views; its counts may be "
            "incomplete."
        )
        found.append(Finding("heart-truncated", "warning", message))
    profile = projections.array.sum(axis=(0, 2), dtype=np.float64)
    edge = np.maximum(profile[:, 0], profile[:, -1])
    cut = float((edge > 0.1 * np.maximum(profile.max(axis=1), 1e-9)).mean())
    if cut >= 0.25:
        message = f"The body extends beyond the side of the field of view in {100 * cut:.0f} % of the views."
        found.append(Finding("body-truncated", "info", message))
    return tuple(found)


def lung_heart_ratio(projections: Projections, centre_mm: Float) -> float:
    """Return mean counts of the lung above the heart over mean counts of the heart, in the front view.

    Heart: the pixels above 70 % of the hottest (3 x 3 mean) within 45 mm of the ventricle's centre.
    Lung: a square of 30 mm whose centre lies 75 mm above the ventricle's. With Tc-99m sestamibi after
    stress 0.44 is a published upper limit (Bacher-Stier et al., J Nucl Med 2000;41:1190), but for other
    regions than these: it does not carry over, so the ratio gives no finding.

    Raises
    ------
    AnalysisError
        When the heart or the lung above it lies outside the view, or holds no counts.
    """
    image, near, row, column = _heart_patch(projections, centre_mm)
    smooth = ndimage.uniform_filter(image, 3)
    hottest = float(smooth[near].max())
    if hottest <= 0:
        raise AnalysisError("The heart has no counts in the front view, so there is no lung-heart ratio.")
    heart = float(image[near & (smooth >= 0.7 * hottest)].mean())
    grid = np.indices(image.shape)
    above = row - 75.0 / projections.pixel_mm[0]
    half = (15.0 / projections.pixel_mm[0], 15.0 / projections.pixel_mm[1])
    lung = (np.abs(grid[0] - above) <= half[0]) & (np.abs(grid[1] - column) <= half[1])
    if above - half[0] < 0 or not lung.any():
        raise AnalysisError("The lung above the heart lies outside the views, so there is no lung-heart ratio.")
    return float(image[lung].mean()) / heart
