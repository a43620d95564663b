"""Polar maps: maximum and mean over the wall, sampled along the normal of the mid-wall surface."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from myoperf import geometry
from myoperf.errors import AnalysisError, InputError
from myoperf.types import Finding, Float, LVFrame, PolarMap, Volume
from myoperf.ventricle.surface import WallSurface, fit_surface

_MAX_OUTSIDE = 0.25
"""Share of the wall outside the volume above which frame and volume cannot belong together."""


@dataclass(frozen=True, eq=False)
class PolarPair:
    """The two polar maps of one volume and the surface on which they were sampled.

    Attributes
    ----------
    maximum, mean
        Over the wall; values (rings, angles), or (frames, rings, angles) for a gated volume.
    surface
        Mid-wall, normals and thickness; with labels for every gate, the mean over gates.
    findings
        ``wall-incomplete``, ``wall-outside-volume``.
    """

    maximum: PolarMap
    mean: PolarMap
    surface: WallSurface
    findings: tuple[Finding, ...] = ()


def sample_polar_map(
    volume: Volume,
    labels: Volume,
    frame: LVFrame,
    *,
    rings: int = 24,
    angles: int = 72,
    samples: int = 16,
    rim_mm: Float | None = None,
) -> PolarPair:
    """Sample the left ventricle's wall as polar maps of its maximum and mean counts.

    Parameters
    ----------
    volume
        Any grid; one or more frames.
    labels
        1 myocardium, 2 blood pool, on any grid; one frame (shared by all gates) or one a gate.
    frame
        Pose of the left ventricle.
    rings, angles
        Grid of the map; ring i stands for the fraction (i + 0.5) / rings of the arc from apex to mitral plane.
    samples
        Points over the wall from its inner to its outer edge.
    rim_mm
        How far past the mitral plane the wall ends round the axis, see `myoperf.ventricle.fit_surface`.

    Raises
    ------
    InputError
        When labels have another number of frames than one or the volume's.
    AnalysisError
        When there is no wall round the axis or it lies mostly outside the volume.
    """
    if labels.frames == 1:
        surface = fit_surface(labels, frame, rings=rings, angles=angles, rim_mm=rim_mm)
        return sample_surface(volume, surface, samples=samples)
    if labels.frames != volume.frames:
        raise InputError(
            f"Labels need one frame or as many as the volume; got {labels.frames} for {volume.frames} frames."
        )
    surfaces = [
        fit_surface(labels.with_array(gate), frame, rings=rings, angles=angles, rim_mm=rim_mm) for gate in labels.array
    ]
    gates = [
        sample_surface(volume.with_array(gate), surface, samples=samples)
        for gate, surface in zip(volume.array, surfaces, strict=True)
    ]
    surface = _mean_surface(surfaces)
    findings = {finding.code: finding for pair in gates for finding in pair.findings}
    return PolarPair(
        _polar(np.stack([pair.maximum.values for pair in gates]), surface, "maximum"),
        _polar(np.stack([pair.mean.values for pair in gates]), surface, "mean"),
        surface,
        tuple(findings.values()),
    )


def sample_surface(volume: Volume, surface: WallSurface, *, samples: int = 16) -> PolarPair:
    """Sample a volume across the wall of a surface that was fitted before.

    Use it to sample all frames of a series on one surface: fitting takes most of the time, and maps on one surface can
    be compared sample by sample. Valid only where volume and surface are in the same place.

    Parameters
    ----------
    volume
        Any grid; one or more frames.
    surface
        From `fit_surface` or an earlier `PolarPair`.
    samples
        Points over the wall from its inner to its outer edge.

    Raises
    ------
    AnalysisError
        When the wall lies mostly outside the volume.
    """
    if samples < 1:
        raise InputError(f"A polar map needs at least one sample across the wall; got {samples}.")
    offset = (np.arange(samples) + 0.5) / samples - 0.5
    step = surface.normal * surface.thickness_mm[..., None]
    points = surface.mid_wall_mm[:, :, None] + offset[:, None] * step[:, :, None]
    index = geometry.transform_points(geometry.index_from_lps(volume.lps_from_index), points)
    limit = np.asarray(volume.grid_shape) - 1.0
    outside = float(((index < -0.5) | (index > limit + 0.5)).any(axis=-1).mean())
    if outside > _MAX_OUTSIDE:
        raise AnalysisError(
            f"{100 * outside:.0f} % of the left ventricle's wall lies outside the volume; expected all of it inside. "
            "Check that the frame and the volume belong to the same scan."
        )
    inside = geometry.transform_points(volume.lps_from_index, np.clip(index, 0.0, limit))
    values = geometry.sample(volume, inside)
    maximum, mean = values.max(axis=-1), values.mean(axis=-1)
    if volume.frames == 1:
        maximum, mean = maximum[0], mean[0]
    pair = PolarPair(_polar(maximum, surface, "maximum"), _polar(mean, surface, "mean"), surface)
    return replace(pair, findings=_findings(surface, outside))


def _polar(values: Float, surface: WallSurface, statistic: Any) -> PolarMap:
    return PolarMap(values, surface.mid_wall_mm, surface.thickness_mm, statistic)


def _mean_surface(surfaces: list[WallSurface]) -> WallSurface:
    """Average the surfaces of gates, which all have their samples at the same fractions of arc and angles."""
    normal = np.mean([s.normal for s in surfaces], axis=0)
    return WallSurface(
        np.mean([s.mid_wall_mm for s in surfaces], axis=0),
        normal / np.linalg.norm(normal, axis=-1, keepdims=True),
        np.mean([s.thickness_mm for s in surfaces], axis=0),
        np.mean([s.measured for s in surfaces], axis=0) >= 0.5,
    )


def _findings(surface: WallSurface, outside: float) -> tuple[Finding, ...]:
    findings = []
    missing = 1.0 - float(surface.measured.mean())
    if missing > 0.15:
        message = (
            f"{100 * missing:.0f} % of the left ventricle's wall has no label; the polar map is interpolated there."
        )
        findings.append(Finding("wall-incomplete", "warning", message))
    if outside > 0:
        share = 100 * max(outside, 0.01)
        message = f"{share:.0f} % of the wall lies outside the volume; the counts of the nearest voxel are used there."
        findings.append(Finding("wall-outside-volume", "warning", message))
    return tuple(findings)
