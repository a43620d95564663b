"""Findings on a scan's quality: what the reader has to know before relying on a number."""

from contextlib import suppress

import numpy as np

from myoperf.errors import AnalysisError
from myoperf.geometry import sample
from myoperf.quality.counts import check_gates, check_heart_counts, check_truncation, check_views
from myoperf.segments import segment_means
from myoperf.types import MYOCARDIUM, Finding, LVFrame, PolarMap, Projections, Scan, Volume
from myoperf.ventricle.rays import lay_rays

_USUAL_APEXWARD = np.array([0.64, -0.60, -0.48])
"""Usual direction from base to apex in LPS: to the patient's left, forward and down."""
_FARTHEST_DEG = 70.0
_ANTERIOR_SIDE = np.array([0.0, -0.55, 0.84])
"""Forward and up: the side on which the anterior wall lies."""
_GUT_INFO, _GUT_WARNING = 0.7, 1.0
"""Activity next to the inferior wall, as a share of the wall's, from which it is reported."""
_FREE_WALL_RAD, _INFERIOR_DEG = 0.25 * np.pi, 45.0
"""Rays of `check_hot_gut`: away from the apex by more than this, and within this of the inferior direction."""
_STEP_MM, _REACH_MM, _BEYOND_STEPS = 2.0, 75.0, np.arange(4, 14)
"""Samples along those rays, and those counted beyond the wall: 8 to 26 mm."""


def check_quality(
    scan: Scan, volume: Volume, labels: Volume, frame: LVFrame, *, polar: PolarMap | None = None
) -> tuple[Finding, ...]:
    """Return findings on a scan and on what was measured on it.

    Parameters
    ----------
    scan
        As read; raw views are checked where it holds them.
    volume
        The transaxial volume, one frame or the gates.
    labels
        1 myocardium, 2 blood pool, of the summed volume.
    frame
        Pose of the left ventricle.
    polar
        Of the summed volume; checked for the pattern of attenuation.

    Returns
    -------
    Findings; docs/findings.md lists their codes.
    """
    found: list[Finding] = []
    if isinstance(scan.image, Projections):
        found += check_views(scan.image)
        found += check_truncation(scan.image, frame.centre_mm)
        with suppress(AnalysisError):  # of a heart outside the view, which check_truncation reports
            found += check_heart_counts(scan.image, frame.centre_mm)
    if scan.framing == "gated":
        found += check_gates(scan.image.array.sum(axis=(1, 2, 3), dtype=np.float64))
    if scan.orientation == "transaxial":
        found += check_orientation(frame)
    found += check_hot_gut(volume, labels, frame)
    if polar is not None and scan.modality == "NM" and not scan.attenuation_corrected:
        found += check_attenuation(polar)
    return tuple(found)


def check_orientation(frame: LVFrame) -> tuple[Finding, ...]:
    """Check that the long axis and the anterior wall have the usual direction.

    The apex lies to the left, in front of and below the base; the anterior wall faces forward and up.

    Parameters
    ----------
    frame
        Pose in the patient's LPS millimetres.

    Returns
    -------
    ``orientation-doubt`` when the axis is more than 70 degrees off the usual, or the anterior wall faces back
    or down.

    Examples
    --------
    >>> usual = LVFrame(apex_mm=(40, -40, -20), base_mm=(0, 0, 0), anterior=(0, -0.5, 1))
    >>> mirrored = LVFrame(apex_mm=(-40, -40, -20), base_mm=(0, 0, 0), anterior=(0, -0.5, 1))
    >>> check_orientation(usual), check_orientation(mirrored)[0].code
    ((), 'orientation-doubt')
    """
    off = float(np.rad2deg(np.arccos(np.clip(-frame.axis @ _USUAL_APEXWARD / np.linalg.norm(_USUAL_APEXWARD), -1, 1))))
    if off > _FARTHEST_DEG:
        message = (
            f"The long axis of the left ventricle deviates by {off:.0f} degrees from the usual direction: check its "
            "pose, the patient's position and that the volume is not mirrored."
        )
        return (Finding("orientation-doubt", "warning", message),)
    if float(frame.anterior @ _ANTERIOR_SIDE) < 0.0:
        message = (
            "The wall taken as anterior faces back or down: check the pose of the left ventricle and that the volume "
            "is not mirrored."
        )
        return (Finding("orientation-doubt", "warning", message),)
    return ()


def check_hot_gut(volume: Volume, labels: Volume, frame: LVFrame) -> tuple[Finding, ...]:
    """Check for liver, stomach or bowel next to the inferior wall that is as bright as the wall.

    Along rays within 45 degrees of the inferior direction, the counts 8 to 26 mm outside the
    labelled wall are compared with the wall's 75th percentile.

    Returns
    -------
    ``hot-gut``: info from 0.7, warning from 1.0 of the wall in an eighth of those rays.
    """
    rays = lay_rays(frame)
    length = np.arange(_STEP_MM, _REACH_MM, _STEP_MM)
    points = rays.sweep(length)
    wall = sample(labels, points, order=0)[0] == MYOCARDIUM
    counts = sample(volume.summed(), points)[0].astype(np.float64)
    if not wall.any():
        return ()
    usual = float(np.percentile(np.where(wall, counts, -np.inf).max(axis=0)[wall.any(axis=0)], 75))
    last = length.size - 1 - np.argmax(wall[::-1], axis=0)
    outside = np.clip(last[None] + _BEYOND_STEPS[:, None, None], 0, length.size - 1)
    beyond = np.take_along_axis(counts, outside, axis=0).max(axis=0)
    angle = np.rad2deg(rays.angle_rad)
    side = (rays.height_mm <= rays.base_mm) & (rays.tilt_rad > _FREE_WALL_RAD)
    below = (np.abs(angle - 180.0) <= _INFERIOR_DEG)[None] & wall.any(axis=0) & side[:, None]
    if not below.any() or usual <= 0:
        return ()
    ratio = float(np.percentile(beyond[below], 87.5)) / usual
    if ratio < _GUT_INFO:
        return ()
    message = (
        f"Activity next to the inferior wall (liver, stomach or bowel) reaches {100 * ratio:.0f} % of the wall's: "
        "it can hide an inferior defect, or simulate a defect elsewhere when the map is scaled to its maximum."
    )
    return (Finding("hot-gut", "warning" if ratio >= _GUT_WARNING else "info", message),)


_WEAK, _WEAKEST = 0.8, 0.5
"""Shares of the opposite wall's counts from which down attenuation is a possible cause, and under which it alone cannot
be: uncorrected, the lowest segment of normals has 64 % of the highest, SD 11 (PMID 8976501)."""


def check_attenuation(polar: PolarMap) -> tuple[Finding, ...]:
    """Check a SPECT map that is not corrected for a pattern that attenuation causes as well as disease.

    Returns
    -------
    ``attenuation-pattern`` (info) when the basal and mid inferior wall have 50 to 80 % of the anterior's counts, or the
    other way round. With less than 50 % attenuation alone is no explanation.
    """
    values = polar.values if polar.values.ndim == 2 else polar.values.sum(axis=0)
    segments = segment_means(np.asarray(values, dtype=np.float64))
    inferior, anterior = float(segments[[3, 9]].mean()), float(segments[[0, 6]].mean())
    if min(inferior, anterior) <= 0:
        return ()
    share = min(inferior / anterior, anterior / inferior)
    if not _WEAKEST <= share < _WEAK:
        return ()
    weak, cause = ("inferior", "the diaphragm") if inferior < anterior else ("anterior", "breast tissue")
    message = (
        f"The {weak} wall has {100 * share:.0f} % of the counts of the opposite wall: attenuation by {cause} can cause "
        "this, and so can disease. Attenuation is likelier if the wall thickens, or if a prone or corrected scan "
        "shows the wall better."
    )
    return (Finding("attenuation-pattern", "info", message),)
