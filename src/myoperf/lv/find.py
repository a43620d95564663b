"""The left ventricle of a transaxial volume, by a classical method that needs no weights."""

from dataclasses import dataclass, replace

import numpy as np

from myoperf.errors import AnalysisError
from myoperf.geometry import anterior_direction, index_from_lps, transform_points
from myoperf.lv.detect import candidates, prepare
from myoperf.lv.labels import paint_labels
from myoperf.lv.quality import check_wall, rate
from myoperf.lv.refine import fit_bullet, refine, score_bullets
from myoperf.types import Finding, Float, LVFrame, Volume, WallShift
from myoperf.ventricle.bullet import Bullet
from myoperf.ventricle.tracing import TracedWall, trace_wall

LOWEST_SCORE = 0.08
"""Score of `myoperf.lv.refine.score_bullets` below which nothing in the image is a left ventricle."""
TRACE_MM, TRACE_SIGMA_MM = 3.0, 1.5
"""Spacing and smoothing of the image for tracing: finer than the one for searching."""


@dataclass(frozen=True, eq=False)
class LVFit:
    """Pose and labels of a left ventricle.

    Attributes
    ----------
    frame
        Its pose.
    labels
        uint8 on the input's grid, one frame: 1 myocardium, 2 blood pool, up to the mitral plane.
    confidence
        0 to 1; below 0.5 a warning is among the findings.
    findings
        For the report's reader.
    rim_mm
        Shape (angles,), evenly spaced from anterior through the septum: how far past the mitral plane the wall ends
        round the axis (negative: before it). None: at the plane all round.
    wall_shift
        How a reader moved the limits of the wall that the labels show; None where nobody did.
    """

    frame: LVFrame
    labels: Volume
    confidence: float
    findings: tuple[Finding, ...]
    rim_mm: Float | None = None
    wall_shift: WallShift | None = None


def find_lv(volume: Volume) -> LVFit:
    """Find, turn and segment the left ventricle of a transaxial volume.

    Matched filters propose places (`myoperf.lv.detect`), the best are refined (`myoperf.lv.refine`),
    the wall is traced along rays (`myoperf.ventricle.tracing`) and the pose follows from a fit to the
    traced mid-wall. Gates are summed first. MyoPerf's own method; it needs no trained weights.

    Parameters
    ----------
    volume
        Transaxial, any spacing.

    Raises
    ------
    AnalysisError
        When the volume is empty or holds nothing like a left ventricle.
    """
    image = prepare(volume)
    if not float(image.array.max()) > 0:
        raise AnalysisError("No left ventricle was found: the volume holds no counts; check the file.")
    rough = [refine(image, bullet, rounds=5, seed=i) for i, (_, bullet) in enumerate(candidates(image))]
    rough.sort(key=lambda item: -item[0])
    fine = [refine(image, bullet, rounds=12, seed=i, width=0.5) for i, (_, bullet) in enumerate(rough[:4])]
    fine.sort(key=lambda item: -item[0])
    score, bullet = fine[0]
    if score < LOWEST_SCORE:
        raise AnalysisError(
            f"No left ventricle was found: the best match scores {score:.2f}, at least {LOWEST_SCORE} was expected; "
            "check that the volume is a transaxial perfusion study, or give the pose (--frame)."
        )
    rivals = [s for s, other in rough if np.linalg.norm(other.hub_mm - bullet.hub_mm) > 30.0]
    sharp = prepare(volume, spacing_mm=TRACE_MM, sigma_mm=TRACE_SIGMA_MM)
    wall = _fit_to_wall(sharp, bullet)
    labels = _label(volume, wall)
    confidence, findings = rate(wall, score, max(rivals, default=0.0))
    return LVFit(_frame_of(wall), labels, confidence, findings + check_wall(wall, labels, sharp))


def segment_lv(volume: Volume, frame: LVFrame) -> tuple[Volume, tuple[Finding, ...]]:
    """Label the left ventricle in a pose given by an operator or a network.

    The pose is kept; the radius and the shape of the apex are fitted, then the wall is traced.

    Parameters
    ----------
    volume
        Transaxial, any spacing; gates are summed.
    frame
        Pose in the volume's LPS millimetres.

    Returns
    -------
    labels
        uint8 on the input's grid, one frame: 1 myocardium, 2 blood pool.
    findings
        Of `myoperf.lv.quality.check_wall`.

    Raises
    ------
    AnalysisError
        When the pose lies outside the volume or there are no counts at it.
    """
    index = transform_points(index_from_lps(volume.lps_from_index), frame.centre_mm)
    if (index < -0.5).any() or (index > np.array(volume.grid_shape) - 0.5).any():
        raise AnalysisError("The given pose lies outside the volume; enter it in this volume's LPS millimetres.")
    image = prepare(volume)
    bullet = _shape_in_frame(image, frame)
    sharp = prepare(volume, spacing_mm=TRACE_MM, sigma_mm=TRACE_SIGMA_MM)
    wall = trace_wall(sharp, bullet, frame.anterior, rim_mm=bullet.base_mm)
    if not float(wall.counts.max()) > 0:
        raise AnalysisError("There are no counts at the given pose; check the pose and the file.")
    labels = _label(volume, wall)
    return labels, check_wall(wall, labels, sharp)


def _label(volume: Volume, wall: TracedWall) -> Volume:
    return paint_labels(volume.summed(), wall.rays, inner_mm=wall.inner_mm, outer_mm=wall.outer_mm, rim_mm=wall.rim_mm)


def _fit_to_wall(image: Volume, bullet: Bullet) -> TracedWall:
    """Trace the wall, fit the bullet to what was traced, and trace along its rays, twice."""
    for _ in range(2):
        wall = trace_wall(image, bullet, anterior_direction(bullet.axis))
        used = (wall.weight > 0.15) & wall.below_valve
        if used.sum() < 60:
            break
        # Rays near the pole stand for little area.
        weight = (wall.weight * np.maximum(np.sin(wall.rays.tilt_rad), 0.1)[:, None])[used]
        start = replace(bullet, base_mm=float(wall.rim_mm.mean()))
        _, fitted = fit_bullet(wall.rays.points(wall.middle_mm)[used], start, weights=weight)
        if np.linalg.norm(fitted.hub_mm - bullet.hub_mm) > 20.0 or fitted.axis @ bullet.axis < 0.85:
            break
        bullet = fitted
    return trace_wall(image, bullet, anterior_direction(bullet.axis))


def _frame_of(wall: TracedWall) -> LVFrame:
    """Return the pose of a traced wall: apex at the traced mid-wall, base at the middle of the rim."""
    rays = wall.rays
    tip = float(wall.middle_mm[0].mean())
    length = max(float(wall.rim_mm.mean()), 2.0 - tip)
    return LVFrame(rays.hub_mm - tip * rays.axis, rays.hub_mm + length * rays.axis, rays.spokes[0])


def _shape_in_frame(image: Volume, frame: LVFrame) -> Bullet:
    """Fit the radius and the cap of a bullet whose apex, base and axis are known, by search over a grid."""

    def bullets(radius: Float, ratio: Float) -> Float:
        cap = np.minimum(radius * ratio, 0.8 * frame.length_mm)
        base = (frame.length_mm - cap) / radius
        hub = frame.apex_mm + cap[:, None] * frame.axis
        axis = np.broadcast_to(frame.axis, hub.shape)
        return np.column_stack([hub, axis, np.log(radius), cap / radius, base])

    radius, ratio = np.meshgrid(np.arange(14.0, 46.0, 1.0), np.arange(0.8, 1.9, 0.15), indexing="ij")
    table = bullets(radius.ravel(), ratio.ravel())
    best = table[int(np.argmax(score_bullets(image, table)))]
    size = float(np.exp(best[6]))
    return Bullet(best[:3], frame.axis, size, size * best[7], size * best[8])
