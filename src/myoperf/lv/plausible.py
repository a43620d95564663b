"""Whether the pose of a left ventricle can be right: its shape and the body around it are asked which way it points.

The axes of a volume are only as right as the file's orientation fields. Exchange two of them, and the network and the
search still find a ventricle, with apex and base or septum and lateral wall exchanged. The wall itself shows where the
apex is (`myoperf.lv.apex`); the apex points left, forward and down, and liver and abdomen lie below.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from myoperf.geometry import angle_deg, transform_points
from myoperf.lv.apex import ApexSearch, search_apex, surroundings
from myoperf.lv.detect import prepare
from myoperf.lv.find import LOWEST_SCORE, LVFit
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Finding, Float, Volume

SMALLEST_CAVITY_ML, LARGEST_CAVITY_ML = 3.0, 700.0
"""Of the labelled blood pool, which the wall's blur makes smaller than the true one."""
LARGEST_TURN_DEG = 45.0
"""Angle between the long axis found and the image's own beyond which one of them is wrong."""
LEAST_MARGIN = 0.05
"""How much better a bullet must fit in its own direction than in any other for that direction to be certain."""
USUAL_SIGN = np.array([1.0, -1.0, -1.0])
"""Of the direction to the apex along the patient's LPS axes: to the left, forward and down."""
BODY_WEIGHT = np.array([0.0, 0.4, 0.9])
"""What the mean direction of the activity 90 to 150 mm away counts beside the apex: it lies behind and below."""
DOUBTED, WITHHELD = np.array([0.08, 0.0, 0.0]), np.array([0.15, 0.05, 0.05])
"""Evidence against each axis beyond which there is a doubt, and beyond which the numbers are withheld, where the apex
points the wrong way. Left and right need more: an apex that points straight forward is less rare than such a file."""
DOUBTED_BY_BODY, WITHHELD_BY_BODY = 0.2, 0.3
"""The same where the body alone speaks against the axis, as in a level heart, or with Tl-201 in bright lungs."""
AXES = ("left and right", "front and back", "head and feet")
_NO_NUMBERS = "Scores and function are withheld. Check the volume, or give the pose with --frame."
REFUSED = ("pose-implausible", "orientation-implausible")
"""Codes of the findings that withhold the numbers resting on the pose."""


def pose_refused(findings: Iterable[Finding]) -> bool:
    """Return whether a finding says that the pose cannot be right, so that nothing may be measured in it.

    Examples
    --------
    >>> pose_refused([Finding("pose-implausible", "failure", "The cavity has 0 ml.")])
    True
    """
    return any(finding.code in REFUSED and finding.severity == "failure" for finding in findings)


def check_pose(volume: Volume, fit: LVFit, *, transaxial: bool = True) -> tuple[Finding, ...]:
    """Check the size of a ventricle that was found, its pose, and the volume's orientation.

    Parameters
    ----------
    volume
        One frame, or gates that are summed first.
    fit
        The ventricle found in it.
    transaxial
        Whether the volume holds the body about the heart. Of short-axis slices only size and pose are checked.

    Returns
    -------
    ``pose-implausible`` (failure): the cavity cannot be a ventricle's, no wall stands out where it was found, or the
    apex clearly points elsewhere. ``orientation-implausible`` (failure): axes of the volume are exchanged, or the
    organs are. ``orientation-doubt`` (warning): signs of either that are not certain.
    """
    size = _check_size(fit)
    if size:
        return size
    image, labels = prepare(volume), fit.labels.array[0]
    inside = np.argwhere(labels > 0)
    centre = transform_points(volume.lps_from_index, inside).mean(axis=0)
    apex = search_apex(image, centre, expected_radius_mm(fit.labels))
    if apex.score < LOWEST_SCORE:
        message = (
            f"No wall stands out where the left ventricle was located (score {apex.score:.2f}; at least "
            f"{LOWEST_SCORE:.2f} was expected). {_NO_NUMBERS}"
        )
        return (Finding("pose-implausible", "failure", message),)
    if transaxial:
        level = float(np.percentile(volume.summed().array[0][labels == MYOCARDIUM], 75))
        body = surroundings(image, centre, level, from_mm=90.0, to_mm=150.0)
        turned = _check_axes(*axis_evidence(apex.direction, body), certain=_is_certain(apex))
        if turned:
            return turned
    return _check_direction(angle_deg(-fit.frame.axis, apex.direction), certain=_is_certain(apex))


def expected_radius_mm(labels: Volume) -> float:
    """Return a ventricle's mid-wall radius, from the volume of wall and cavity together."""
    whole_ml = labels.label_ml(MYOCARDIUM) + labels.label_ml(BLOOD_POOL)
    # A cylinder as long as its outer diameter, closed by half an ellipsoid; the mid-wall lies at 0.8 of the radius.
    outer = (1000.0 * whole_ml / (np.pi * 1.9)) ** (1 / 3)
    return float(np.clip(0.8 * outer, 14.0, 44.0))


def axis_evidence(apexward: Float, body: Float) -> tuple[Float, Float]:
    """Return how far apex and body agree with each of the patient's axes: two of shape (3,), negative where not.

    An axis that is turned round turns the sign of its evidence, so that at a sum of 0 the image speaks for neither
    direction.

    Examples
    --------
    A heart that lies level, with liver and abdomen below it, in a volume that is upside down:

    >>> apex, below = axis_evidence(np.array([0.6, -0.8, 0.0]), np.array([-0.2, 0.1, 0.3]))
    >>> (apex + below).round(2).tolist()
    [0.6, 0.84, -0.27]
    """
    return np.asarray(USUAL_SIGN * apexward), np.asarray(BODY_WEIGHT * np.array([-1.0, 1.0, -1.0]) * body)


def _is_certain(apex: ApexSearch) -> bool:
    return apex.score - apex.rival >= LEAST_MARGIN


def _check_size(fit: LVFit) -> tuple[Finding, ...]:
    cavity = fit.labels.label_ml(BLOOD_POOL)
    if SMALLEST_CAVITY_ML <= cavity <= LARGEST_CAVITY_ML:
        return ()
    message = (
        f"The located cavity has {cavity:.0f} ml; expected were {SMALLEST_CAVITY_ML:.0f} to "
        f"{LARGEST_CAVITY_ML:.0f} ml. {_NO_NUMBERS}"
    )
    return (Finding("pose-implausible", "failure", message),)


def _check_axes(of_apex: Float, of_body: Float, *, certain: bool) -> tuple[Finding, ...]:
    """Judge the evidence for each axis, of the apex's direction and of the body's activity."""
    evidence, turned = of_apex + of_body, of_apex < 0.0
    doubted = evidence < -np.where(turned, DOUBTED, DOUBTED_BY_BODY)
    withheld = evidence < -np.where(turned, WITHHELD, WITHHELD_BY_BODY)
    against = [name for name, wrong in zip(AXES, doubted, strict=True) if wrong]
    if not against:
        return ()
    listed = _listed(against)
    causes = f"either the file's orientation is wrong ({listed} exchanged), or the heart lies unusually"
    if AXES[0] in against:
        causes += " (dextrocardia, situs inversus)"
    if certain and withheld.any():
        message = (
            f"Heart and body contradict the volume's {listed}: {causes}. Scores and function are withheld. Check the "
            "orientation; if it is right, give the pose with --frame."
        )
        return (Finding("orientation-implausible", "failure", message),)
    message = f"Heart and body may contradict the volume's {listed}: {causes}. Check orientation and pose."
    return (Finding("orientation-doubt", "warning", message),)


def _check_direction(off_deg: float, *, certain: bool) -> tuple[Finding, ...]:
    if off_deg <= LARGEST_TURN_DEG:
        return ()
    if certain:
        message = f"The long axis lies {off_deg:.0f} degrees from where the wall itself shows the apex. {_NO_NUMBERS}"
        return (Finding("pose-implausible", "failure", message),)
    message = f"The wall may show its apex {off_deg:.0f} degrees from the long axis that was found. Check the pose."
    return (Finding("orientation-doubt", "warning", message),)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])}, and {names[-1]}"
