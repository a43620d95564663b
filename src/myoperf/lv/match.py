"""The pose of a ventricle that is hard to find, transferred from another scan of the same patient.

Stress and rest show one heart. If its pose is certain in one scan and uncertain in the other, rigid registration of the
two scans transfers it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from myoperf.errors import AnalysisError
from myoperf.geometry import rotate_frame, sample
from myoperf.lv.find import LVFit
from myoperf.types import Finding, Float, LVFrame, Volume

REACH_MM, STEP_MM, SMOOTH_MM = 55.0, 6.0, 4.0
COARSE_MM = np.arange(-48.0, 48.1, 12.0)
STARTS, LOWEST = 4, 0.6
MOST_STRETCH = 1.1
"""Ratio of the long axes of stress and rest beyond which they cannot be one heart's: a third more volume."""
_UNIT = np.array([0.1, 0.1, 0.1, 4.0, 4.0, 4.0])
"""Steps of the search: radians of turn, then millimetres of shift."""


@dataclass(frozen=True, eq=False)
class Match:
    """Rigid registration of two scans.

    Attributes
    ----------
    moving_from_reference
        Shape (4, 4): rigid, LPS mm to LPS mm.
    correlation
        Of the registered scans within 55 mm of the ventricle's centre.
    """

    moving_from_reference: Float
    correlation: float


def match_scans(reference: Volume, moving: Volume, frame: LVFrame, *, moving_frame: LVFrame | None = None) -> Match:
    """Register a scan rigidly to another of the same patient, around the left ventricle.

    Maximises the correlation of the smoothed counts within 55 mm of the ventricle's centre, by Powell's method: from
    where the two poses fall together, or else, with turns, from the best four of shifts up to 48 mm in each direction.

    Parameters
    ----------
    reference, moving
        Transaxial, any spacing; gates are summed.
    frame
        Pose of the ventricle in `reference`.
    moving_frame
        Its pose in `moving`, where that is known about well enough to start from.

    Raises
    ------
    AnalysisError
        When a scan holds no counts there.
    """
    still, other = (_smoothed(volume.summed()) for volume in (reference, moving))
    steps = np.arange(-REACH_MM, REACH_MM + 0.1, STEP_MM)
    ball = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    ball = ball[np.linalg.norm(ball, axis=1) <= REACH_MM]
    target = sample(still, frame.centre_mm + ball)[0].astype(np.float64)
    target -= target.mean()
    if not target.any() or not other.array.any():
        raise AnalysisError("The scans hold no counts around the left ventricle, so they cannot be registered.")
    target /= np.linalg.norm(target)

    def missed(x: Float) -> float:
        values = sample(other, _moved(ball, x) + frame.centre_mm)[0].astype(np.float64)
        values -= values.mean()
        return 1.0 - float(target @ values) / max(float(np.linalg.norm(values)), 1e-12)

    from scipy import optimize  # slow to load, and most studies need none

    if moving_frame is None:
        shifts = np.stack(np.meshgrid(COARSE_MM, COARSE_MM, COARSE_MM, indexing="ij"), axis=-1).reshape(-1, 3)
        everywhere = np.concatenate([np.zeros_like(shifts), shifts / _UNIT[3:]], axis=1)
        starts = everywhere[np.argsort([missed(start) for start in everywhere])[:STARTS]]
    else:
        starts = _between(frame, moving_frame)[None]
    refined = [optimize.minimize(missed, start, method="Powell", tol=1e-3) for start in starts]
    best = min(refined, key=lambda result: float(result.fun))
    move = np.eye(4)
    move[:3, :3] = _turn(best.x)
    move[:3, 3] = frame.centre_mm + best.x[3:] * _UNIT[3:] - move[:3, :3] @ frame.centre_mm
    return Match(move, 1.0 - float(best.fun))


def share_pose(reference: Volume, moving: Volume, poses: tuple[LVFrame, LVFrame]) -> tuple[LVFrame, LVFrame]:
    """Return one pose for a heart that was scanned twice: the mean of the two found, carried over by registration.

    What is measured on both scans, and compared, then has one and the same error of the pose instead of two.

    Parameters
    ----------
    reference, moving
        Transaxial, any spacing; gates are summed.
    poses
        Of the ventricle in `reference` and in `moving`, each as it was found there.

    Returns
    -------
    The pose in `reference` and in `moving`; the two given where the scans do not match (correlation below 0.6) or one
    long axis is over a tenth longer than the other: one of the poses is wrong then.

    Raises
    ------
    AnalysisError
        When a scan holds no counts at its ventricle.
    """
    if check_lengths(*poses):
        return poses
    match = match_scans(reference, moving, poses[0], moving_frame=poses[1])
    if match.correlation < LOWEST:
        return poses
    carried = rotate_frame(poses[1], np.linalg.inv(match.moving_from_reference))
    mean = LVFrame(
        0.5 * (poses[0].apex_mm + carried.apex_mm),
        0.5 * (poses[0].base_mm + carried.base_mm),
        poses[0].anterior + carried.anterior,
    )
    return mean, rotate_frame(mean, match.moving_from_reference)


def find_lv_like(
    volume: Volume,
    other: Volume,
    certain: LVFit,
    segment: Callable[[Volume, LVFrame], tuple[Volume, tuple[Finding, ...]]],
) -> LVFit:
    """Label the ventricle of a scan in the pose that registration to another scan of the patient gives.

    Parameters
    ----------
    volume
        The scan whose pose is uncertain.
    other, certain
        The scan whose pose is certain, and its ventricle.
    segment
        Labels the ventricle in a given pose, as `myoperf.lv.segment_lv` does.

    Returns
    -------
    LVFit
        With a warning ``frame-from-other-scan``.

    Raises
    ------
    AnalysisError
        When the scans do not match (correlation below 0.6), or there is no wall at the pose.
    """
    match = match_scans(other, volume, certain.frame)
    if match.correlation < LOWEST:
        raise AnalysisError(
            f"The scans do not match around the left ventricle: correlation {match.correlation:.2f}, "
            f"{LOWEST:.1f} is needed."
        )
    frame = rotate_frame(certain.frame, match.moving_from_reference)
    labels, findings = segment(volume, frame)
    note = Finding(
        "frame-from-other-scan",
        "warning",
        "The left ventricle's pose was uncertain in this scan and was transferred from the patient's other scan by "
        f"rigid registration (correlation {match.correlation:.2f}). Check the contours.",
    )
    return LVFit(frame, labels, min(certain.confidence, match.correlation), (note, *findings))


def _smoothed(volume: Volume) -> Volume:
    sigma = SMOOTH_MM / volume.spacing_mm
    return volume.with_array(ndimage.gaussian_filter(volume.array[0].astype(np.float32), sigma))


def _moved(points: Float, x: Float) -> Float:
    """Turn points about the origin and shift them; `x` is in steps of `_UNIT`."""
    return np.asarray(points @ _turn(x).T + x[3:] * _UNIT[3:])


def _between(frame: LVFrame, other: LVFrame) -> Float:
    """Return the movement that lays one pose on another, in steps of `_UNIT`."""
    from scipy.spatial.transform import Rotation

    still, moved = (np.stack([one.axis, one.anterior, one.lateral], axis=1) for one in (frame, other))
    turn = Rotation.from_matrix(moved @ still.T).as_rotvec()
    return np.asarray(np.concatenate([turn, other.centre_mm - frame.centre_mm]) / _UNIT)


def _turn(x: Float) -> Float:
    """Return the rotation (3, 3) of a step; `x` is in steps of `_UNIT`."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(x[:3] * _UNIT[:3]).as_matrix())


def check_lengths(stress: LVFrame, rest: LVFrame) -> tuple[Finding, ...]:
    """Check that the ventricles of stress and rest are about as long, as those of one heart are.

    Parameters
    ----------
    stress, rest
        Poses, each in its own scan; they need not be registered.

    Returns
    -------
    ``ventricles-differ`` (warning) where one is over a tenth longer than the other, else nothing.

    Examples
    --------
    >>> long = LVFrame(apex_mm=(0, 0, 0), base_mm=(90, 0, 0), anterior=(0, 0, 1))
    >>> short = LVFrame(apex_mm=(0, 0, 0), base_mm=(70, 0, 0), anterior=(0, 0, 1))
    >>> [finding.code for finding in check_lengths(long, short)], check_lengths(long, long)
    (['ventricles-differ'], ())
    """
    long, short = max(stress.length_mm, rest.length_mm), min(stress.length_mm, rest.length_mm)
    if long <= MOST_STRETCH * short:
        return ()
    text = (
        f"The left ventricle measures {stress.length_mm:.0f} mm at stress and {rest.length_mm:.0f} mm at rest, a "
        "larger difference than in one heart: one of the two contours is probably wrong. The scans were not compared "
        "(no difference scores, no TID ratio). Check both contours."
    )
    return (Finding("ventricles-differ", "warning", text),)
