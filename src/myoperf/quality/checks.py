"""Findings on a scan's quality: what the reader has to know before trusting a number."""

from __future__ import annotations

import numpy as np

from myoperf.errors import AnalysisError
from myoperf.geometry import sample
from myoperf.quality.counts import check_gates, check_heart_counts, check_truncation, check_views
from myoperf.segments import segment_means
from myoperf.types import MYOCARDIUM, Finding, LVFrame, PolarMap, Projections, Scan, Volume
from myoperf.ventricle.rays import lay_rays

__all__ = ["check_attenuation", "check_hot_gut", "check_orientation", "check_quality"]


_USUAL_APEXWARD = np.array([0.64, -0.60, -0.48])


def check_quality(
    scan: Scan, volume: Volume, labels: Volume, frame: LVFrame, *, polar: PolarMap | None = None
) -> tuple[Finding, ...]:
    """Look at a scan and what was made of it.

    Parameters
    ----------
    scan
        As read: raw views are judged where they are there.
    volume
        The transaxial volume, one frame or the gates.
    labels
        1 myocardium, 2 blood pool, of the summed volume.
    frame
        Pose of the left ventricle.
    polar
        Of the summed volume; the attenuation pattern is judged on it.

    Returns
    -------
    Findings; codes are listed in docs/quality.md.
    """
    found: list[Finding] = []
    if isinstance(scan.image, Projections):
        found += check_views(scan.image)
        found += check_truncation(scan.image, frame.centre_mm)
        found += _of_the_heart(scan.image, frame)
    if scan.framing == "gated":
        found += check_gates(scan.image.array.sum(axis=(1, 2, 3), dtype=np.float64))
    if scan.orientation == "transaxial":
        found += check_orientation(frame)
    found += check_hot_gut(volume, labels, frame)
    if polar is not None:
        found += check_attenuation(polar)
    return tuple(found)


def _of_the_heart(projections: Projections, frame: LVFrame) -> tuple[Finding, ...]:
    """Judge the heart's counts; where it lies outside the view, heart-truncated says so."""
    try:
        return check_heart_counts(projections, frame.centre_mm)
    except AnalysisError:
        return ()


def check_orientation(frame: LVFrame) -> tuple[Finding, ...]:
    """Check that the long axis and the anterior wall point where hearts' do.

    The apex lies to the left, in front of and below the base; the anterior wall looks forward and up.

    Returns
    -------
    ``orientation-doubt`` when the axis is more than 70 degrees off the usual, or the anterior wall looks back
    and down.
    """
    off = float(np.rad2deg(np.arccos(np.clip(-frame.axis @ _USUAL_APEXWARD / np.linalg.norm(_USUAL_APEXWARD), -1, 1))))
    if off > 70.0:
        message = (
            f"The long axis lies {off:.0f} degrees off the usual direction: check the pose, the patient's position "
            "and that the volume is not mirrored."
        )
        return (Finding("orientation-doubt", "warning", message),)
    if float(frame.anterior @ np.array([0.0, -0.55, 0.84])) < 0.0:
        message = "The wall taken as anterior looks back or down: check the pose and that the volume is not mirrored."
        return (Finding("orientation-doubt", "warning", message),)
    return ()


def check_hot_gut(volume: Volume, labels: Volume, frame: LVFrame) -> tuple[Finding, ...]:
    """Look for liver, stomach or bowel as bright as the wall next to the inferior wall.

    Along rays between 45 degrees to both sides of the inferior direction, the counts 8 to 26 mm outside the
    labelled wall are compared with the wall's 75th percentile.

    Returns
    -------
    ``hot-gut``: info from 0.7, warning from 1.0 of the wall in an eighth of those rays.
    """
    rays = lay_rays(frame)
    length = np.arange(2.0, 75.0, 2.0)
    points = rays.sweep(length)
    wall = sample(labels, points, order=0)[0] == MYOCARDIUM
    counts = sample(volume.summed(), points)[0].astype(np.float64)
    if not wall.any():
        return ()
    usual = float(np.percentile(np.where(wall, counts, -np.inf).max(axis=0)[wall.any(axis=0)], 75))
    last = length.size - 1 - np.argmax(wall[::-1], axis=0)
    steps = np.arange(4, 14)
    outside = np.clip(last[None] + steps[:, None, None], 0, length.size - 1)
    beyond = np.take_along_axis(counts, outside, axis=0).max(axis=0)
    angle = np.rad2deg(rays.angle_rad)
    side = (rays.height_mm <= rays.base_mm) & (rays.tilt_rad > 0.25 * np.pi)
    below = (np.abs(angle - 180.0) <= 45.0)[None] & wall.any(axis=0) & side[:, None]
    if not below.any() or usual <= 0:
        return ()
    ratio = float(np.percentile(beyond[below], 87.5)) / usual
    if ratio < 0.7:
        return ()
    message = (
        f"Activity {100 * ratio:.0f} % as bright as the wall lies next to the inferior wall (liver, stomach or bowel): "
        "it can hide a defect there, or make one elsewhere by scaling."
    )
    return (Finding("hot-gut", "warning" if ratio >= 1.0 else "info", message),)


def check_attenuation(polar: PolarMap) -> tuple[Finding, ...]:
    """Point out a pattern that attenuation makes as well as disease: a weak inferior or anterior wall.

    Returns
    -------
    ``attenuation-pattern`` (info) when the basal and mid inferior wall hold less than 80 % of the anterior,
    or the other way round.
    """
    values = polar.values if polar.values.ndim == 2 else polar.values.sum(axis=0)
    segments = segment_means(np.asarray(values, dtype=np.float64))
    inferior, anterior = float(segments[[3, 9]].mean()), float(segments[[0, 6]].mean())
    if min(inferior, anterior) <= 0:
        return ()
    ratio = inferior / anterior
    if 0.8 <= ratio <= 1.25:
        return ()
    weak, cause = ("inferior", "the diaphragm") if ratio < 1 else ("anterior", "breast tissue")
    message = (
        f"The {weak} wall holds {100 * min(ratio, 1 / ratio):.0f} % of the counts opposite: attenuation by {cause} "
        "looks like this, and so does disease; compare with the other state, a prone scan or corrected images."
    )
    return (Finding("attenuation-pattern", "info", message),)
