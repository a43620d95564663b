"""The left ventricle of a transaxial volume, by a classical method that needs no weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myoperf.errors import AnalysisError
from myoperf.geometry import index_from_lps, transform_points
from myoperf.lv.detect import candidates, prepare
from myoperf.lv.labels import paint_labels
from myoperf.lv.quality import check_wall, rate
from myoperf.lv.refine import fit_bullet, refine, score_bullets
from myoperf.types import Finding, Float, LVFrame, Volume
from myoperf.ventricle.bullet import Bullet, anterior_direction
from myoperf.ventricle.tracing import Surfaces, trace_wall

__all__ = ["LVFit", "find_lv", "segment_lv"]


LOWEST_SCORE = 0.08
TRACE_MM, TRACE_SIGMA_MM = 3.0, 1.5  # finer and less smoothed than the image used for searching


@dataclass(frozen=True, eq=False)
class LVFit:
    """A left ventricle that was found.

    Parameters
    ----------
    frame
        Its pose.
    labels
        uint8 on the input's grid, one frame: 1 myocardium, 2 blood pool, up to the mitral plane.
    confidence
        0 to 1; below 0.5 a warning is among the findings.
    findings
        What the reader has to know.
    """

    frame: LVFrame
    labels: Volume
    confidence: float
    findings: tuple[Finding, ...]


def find_lv(volume: Volume) -> LVFit:
    """Find, turn and segment the left ventricle of a transaxial volume.

    Matched filters propose places (`myoperf.lv.detect`), the best are refined
    (`myoperf.lv.refine`), the wall is traced along rays (`myoperf.ventricle.tracing`) and the pose is
    fitted anew to the traced mid-wall. Gates are summed first.

    Parameters
    ----------
    volume
        Any spacing; LPS by its affine.

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
            "check that the volume is a transaxial perfusion study or give the pose by hand."
        )
    rivals = [s for s, other in rough if np.linalg.norm(other.hub_mm - bullet.hub_mm) > 30.0]
    sharp = prepare(volume, spacing_mm=TRACE_MM, sigma_mm=TRACE_SIGMA_MM)
    surfaces = _settle(sharp, bullet)
    labels = paint_labels(volume.summed(), surfaces)
    frame = _frame_of(surfaces)
    confidence, doubts = rate(surfaces, score, max(rivals, default=0.0))
    return LVFit(frame, labels, confidence, doubts + check_wall(surfaces, labels, sharp))


def segment_lv(volume: Volume, frame: LVFrame) -> tuple[Volume, tuple[Finding, ...]]:
    """Label the left ventricle whose pose is given (by an operator or a network).

    The pose is kept; radius and shape of the apex are fitted, then the wall is traced.

    Returns
    -------
    (labels on the input's grid, findings)

    Raises
    ------
    AnalysisError
        When the pose lies outside the volume or there are no counts at it.
    """
    index = transform_points(index_from_lps(volume.lps_from_index), frame.centre_mm)
    if (index < -0.5).any() or (index > np.array(volume.grid_shape) - 0.5).any():
        raise AnalysisError("The given pose lies outside the volume; give the pose in this volume's LPS millimetres.")
    image = prepare(volume)
    bullet = _shape_in_frame(image, frame)
    sharp = prepare(volume, spacing_mm=TRACE_MM, sigma_mm=TRACE_SIGMA_MM)
    surfaces = trace_wall(sharp, bullet, frame.anterior, rim_mm=np.array(bullet.base_mm))
    if not float(surfaces.counts.max()) > 0:
        raise AnalysisError("There are no counts at the given pose; check the pose and the file.")
    labels = paint_labels(volume.summed(), surfaces)
    return labels, check_wall(surfaces, labels, sharp)


def _settle(image: Volume, bullet: Bullet) -> Surfaces:
    """Trace the wall, fit the bullet to it, and trace again."""
    for _ in range(2):
        surfaces = trace_wall(image, bullet, anterior_direction(bullet.axis))
        along = np.arange(len(surfaces.nodes.depth_mm)) >= surfaces.nodes.cap_rings
        depth = surfaces.nodes.depth_mm - surfaces.nodes.depth_mm[surfaces.nodes.cap_rings]
        used = (surfaces.weight > 0.15) & ~(along[:, None] & (depth[:, None] > surfaces.rim_mm))
        if used.sum() < 60:
            break
        weight = (surfaces.weight * np.maximum(np.sin(_tilts(surfaces)), 0.1)[:, None])[used]
        start = Bullet(bullet.hub_mm, bullet.axis, bullet.radius_mm, bullet.cap_mm, float(surfaces.rim_mm.mean()))
        _, fitted = fit_bullet(surfaces.middle_points()[used], start, weights=weight)
        if np.linalg.norm(fitted.hub_mm - bullet.hub_mm) > 20.0 or fitted.axis @ bullet.axis < 0.85:
            break
        bullet = fitted
    return trace_wall(image, bullet, anterior_direction(bullet.axis))


def _tilts(surfaces: Surfaces) -> Float:
    """Angle of each ring's rays to the long axis."""
    rays = surfaces.nodes.directions[:, 0] @ surfaces.bullet.axis
    return np.arccos(np.clip(-rays, -1, 1))


def _frame_of(surfaces: Surfaces) -> LVFrame:
    """Give the pose of traced surfaces: apex at the traced mid-wall, base at the middle of the rim."""
    bullet = surfaces.bullet
    tip = float(surfaces.middle_mm[0].mean())
    length = max(float(surfaces.rim_mm.mean()), 2.0 - tip)
    return LVFrame(
        bullet.hub_mm - tip * bullet.axis, bullet.hub_mm + length * bullet.axis, surfaces.nodes.directions[-1, 0]
    )


def _shape_in_frame(image: Volume, frame: LVFrame) -> Bullet:
    """Fit radius and cap of a bullet whose apex, base and axis are given."""

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
