"""Following the left ventricle's wall through the beat, resolution and all.

Along every ray the wall's peak is found in every gate and a smooth surface (penalised cosines x
harmonics, two harmonics of time) is laid through the peaks; the valve plane is where the wall's
counts end. The same is then measured on the image of a model wall (`myoperf.ventricle.synthesis`) and
the model is moved by the difference until both agree, so that the bias of blurred peaks in a small
or curved ventricle drops out. Thickness follows from the wall's volume, which the beat keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from myoperf.errors import AnalysisError
from myoperf.geometry import index_from_lps, transform_points
from myoperf.types import Float, LVFrame, PolarMap, Volume
from myoperf.ventricle.rays import TUBE_STEP_MM, Rays, lay_rays, mid_wall_area_mm2, mid_wall_on_rays
from myoperf.ventricle.synthesis import Shell, crop, shell_image

__all__ = ["Tracking", "time_basis", "track_wall", "track_walls"]


_COSINES, _ROUND = 6, 4
_WINDOW_MM, _REACH_MM = 8.0, 26.0
_ROUNDS = 5
_EDGE_MM = 15.0
_THROUGH_MM = np.linspace(-8.0, 8.0, 9)


@dataclass(frozen=True, eq=False)
class Tracking:
    """The wall through the beat.

    Attributes
    ----------
    shell
        The model wall, a surface for every gate.
    sigma_mm
        Resolution of the image as the fit found it (SD of a Gaussian).
    peak
        Shape (gates, rings, angles): the patient's counts at the wall's peak along every ray.
    local_mm
        Shape (gates, rings, angles): thickness of the wall at every place, the model's (the same everywhere) times
        the patient's counts through the wall over the model's. On an arbitrary scale from place to place,
        since uptake is taken from the same counts; its course over the beat is the wall's own.
    residual_mm
        Root mean square of what is left between the peaks of image and model.
    """

    rays: Rays
    shell: Shell
    sigma_mm: float
    peak: Float
    local_mm: Float
    residual_mm: float


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is measured on an image: peaks (gates, rings, angles), their counts and width, and the rim."""

    middle_mm: Float
    counts: Float
    width_mm: float
    rim_mm: Float
    weight: Float


def time_basis(gates: int) -> Float:
    """Give the Fourier basis (gates, terms) the beat is followed with: 2 harmonics, 3 from 12 gates on."""
    harmonics = min(2 if gates < 12 else 3, (gates - 1) // 2)
    time = (np.arange(gates) + 0.5) / gates
    waves = [np.ones(gates)]
    for k in range(1, harmonics + 1):
        waves += [np.cos(2 * np.pi * k * time), np.sin(2 * np.pi * k * time)]
    return np.stack(waves, axis=1)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """One scan's wall while the model is moved; `gap_mm` is what was between the peaks of image and model before."""

    gated: Volume
    rays: Rays
    smoother: _Smoother
    seen: _Seen
    shell: Shell
    gap_mm: Float


def track_wall(
    gated: Volume, frame: LVFrame, polar: PolarMap, *, thickness_mm: float = 9.5, rounds: int = _ROUNDS
) -> Tracking:
    """Follow the wall through all gates.

    Parameters
    ----------
    gated
        One frame a gate.
    frame, polar
        Pose, and the mid-wall of the summed image to start from.
    thickness_mm
        Mean thickness of the wall at end diastole. Below the resolution of SPECT it cannot be
        measured; it is assumed.
    rounds
        Of moving the model.

    Raises
    ------
    AnalysisError
        When the image holds no counts along the wall.
    """
    return track_walls(((gated, frame, polar),), thickness_mm=thickness_mm, rounds=rounds)[0]


def track_walls(
    scans: Sequence[tuple[Volume, LVFrame, PolarMap]], *, thickness_mm: float = 9.5, rounds: int = _ROUNDS
) -> tuple[Tracking, ...]:
    """Follow the walls of scans of one patient and camera, whose resolution is fitted to all at once.

    Parameters and errors are those of `track_wall`, with ``(gated, frame, polar)`` for every scan.
    """
    fitted = [_start(gated, frame, polar, thickness_mm) for gated, frame, polar in scans]
    sigma = 7.0
    for _ in range(rounds):
        moved = [_move(one, sigma, thickness_mm) for one in fitted]
        fitted = [one for one, _ in moved]
        wider = float(np.mean([gap for _, gap in moved]))
        sigma = float(np.sqrt(np.clip(sigma**2 + 0.7 * wider, 2.0**2, 12.0**2)))
    return tuple(_finished(one, sigma) for one in fitted)


def _start(gated: Volume, frame: LVFrame, polar: PolarMap, thickness_mm: float) -> _Fitted:
    """Measure the patient's peaks and rim, and put the first model there."""
    rays = lay_rays(frame)
    start = mid_wall_on_rays(rays, polar)
    prior = np.repeat(start[None], gated.frames, axis=0)
    gated = crop(gated, rays.points(prior), margin_mm=30.0)
    prior_rim = np.full((gated.frames, start.shape[1]), rays.base_mm)
    fit = _Smoother(rays, gated.frames)
    seen = _measure(gated, rays, prior, prior_rim, fit)
    seen = _measure(gated, rays, seen.middle_mm, seen.rim_mm, fit)
    uptake = np.clip(seen.counts.mean(axis=0), 0.05 * float(np.median(seen.counts)), None)
    uptake = _held(rays, uptake, seen.rim_mm)
    shell = Shell(seen.middle_mm, np.full_like(prior, thickness_mm), seen.rim_mm, uptake)
    return _Fitted(gated, rays, fit, seen, _with_thickness(rays, shell, thickness_mm), np.full_like(prior, np.inf))


def _move(one: _Fitted, sigma_mm: float, thickness_mm: float) -> tuple[_Fitted, float]:
    """Move the model once by what it measures differently; also give by how much its squared width falls short."""
    rays, seen, shell = one.rays, one.seen, one.shell
    image = shell_image(rays, shell, one.gated, sigma_mm=sigma_mm)
    model = _measure(image, rays, seen.middle_mm, seen.rim_mm, one.smoother, seen.weight)
    gap = seen.middle_mm - model.middle_mm
    middle = np.maximum(shell.middle_mm + np.clip(gap, -6.0, 6.0), 3.0)
    rim = shell.rim_mm + np.clip(seen.rim_mm - model.rim_mm, -6.0, 6.0)
    ratio = seen.counts.mean(axis=0) / np.maximum(model.counts.mean(axis=0), 1e-9)
    uptake = _held(rays, shell.uptake * np.clip(ratio, 0.3, 3.0), seen.rim_mm)
    moved = _with_thickness(rays, Shell(middle, shell.thickness_mm, rim, uptake), thickness_mm)
    return replace(one, shell=moved, gap_mm=gap), seen.width_mm**2 - model.width_mm**2


def _finished(one: _Fitted, sigma_mm: float) -> Tracking:
    residual = float(np.sqrt(np.average((one.gap_mm**2).mean(axis=0), weights=one.seen.weight)))
    local = _local_thickness(one.gated, one.rays, one.shell, sigma_mm)
    return Tracking(one.rays, one.shell, sigma_mm, one.seen.counts, local, residual)


def _local_thickness(gated: Volume, rays: Rays, shell: Shell, sigma_mm: float) -> Float:
    """Compare counts through the moving wall with those of a model that thickens alike everywhere.

    What the model shares with the patient (blur, curvature, the shrinking cavity) drops out.
    """
    seen = _through_wall(gated, rays, shell.middle_mm)
    model = _through_wall(shell_image(rays, shell, gated, sigma_mm=sigma_mm), rays, shell.middle_mm)
    return np.asarray(shell.thickness_mm * seen / np.maximum(model, 0.2 * float(model.max())))


def _through_wall(volume: Volume, rays: Rays, middle_mm: Float) -> Float:
    """Give the mean counts from 8 mm inside to 8 mm outside the mid-wall along every ray."""
    out = np.zeros(middle_mm.shape)
    to_index = index_from_lps(volume.lps_from_index)
    for image, middle, total in zip(volume.array, middle_mm, out, strict=True):
        depth = np.maximum(middle + _THROUGH_MM[:, None, None], 0.0)
        index = np.moveaxis(transform_points(to_index, rays.points(depth)), -1, 0)
        total[:] = ndimage.map_coordinates(image.astype(np.float64), index, order=1, mode="nearest").mean(axis=0)
    return out


def _held(rays: Rays, uptake: Float, rim_mm: Float) -> Float:
    """Carry the uptake of the wall on through its last 15 mm, where the blurred edge takes counts away."""
    out = uptake.copy()
    last = rays.cap_rings + np.maximum((rim_mm.min(axis=0) - _EDGE_MM) / TUBE_STEP_MM, 1.0).astype(np.int64)
    for column, row in enumerate(last):
        out[row:, column] = uptake[row - 1 : row + 1, column].mean()
    return out


def _with_thickness(rays: Rays, shell: Shell, thickness_mm: float) -> Shell:
    """Set the thickness of every gate so that the wall's volume stays what it is in the largest gate."""
    area = mid_wall_area_mm2(rays, shell.middle_mm, shell.rim_mm)
    thick = np.clip(thickness_mm * area.max() / area, 3.0, 30.0)
    return replace(shell, thickness_mm=np.broadcast_to(thick[:, None, None], shell.middle_mm.shape))


class _Smoother:
    """Penalised least squares of a surface in space and time; holds its basis."""

    def __init__(self, rays: Rays, gates: int) -> None:
        self.time = time_basis(gates)
        self.into_time = np.linalg.pinv(self.time)
        arc = np.where(rays.height_mm > 0, 0.5 + 0.5 * rays.height_mm / rays.height_mm.max(), rays.turn_rad / np.pi)
        taper = np.sin(rays.turn_rad)
        columns, bend = [], []
        for k in range(_ROUND + 1):
            radial = np.cos(np.pi * arc[:, None] * np.arange(_COSINES)) * taper[:, None] ** min(k, 2)
            waves = (
                [np.ones_like(rays.angle_rad)] if k == 0 else [np.cos(k * rays.angle_rad), np.sin(k * rays.angle_rad)]
            )
            for wave in waves:
                columns.append(np.einsum("rc,a->rac", radial, wave).reshape(-1, _COSINES))
                bend.append(np.arange(_COSINES) ** 4.0 + k**4.0)
        self.space = np.concatenate(columns, axis=1)
        self.penalty = 3e-5 * np.concatenate(bend)

    def __call__(self, values: Float, weight: Float) -> Float:
        """Smooth (gates, rings, angles) with weights (rings, angles)."""
        terms = np.tensordot(self.into_time, values, axes=(1, 0)).reshape(self.into_time.shape[0], -1)
        flat = weight.ravel()
        normal = (self.space * flat[:, None]).T @ self.space
        normal[np.diag_indices_from(normal)] += self.penalty * flat.sum()
        solved = np.linalg.solve(normal, self.space.T @ (flat[:, None] * terms.T))
        return np.asarray((self.time @ (self.space @ solved).T).reshape(values.shape))


def _measure(
    volume: Volume, rays: Rays, prior_mm: Float, prior_rim: Float, fit: _Smoother, weight: Float | None = None
) -> _Seen:
    """Find peaks near a prior along every ray, smooth them, and find the rim."""
    distance = np.arange(float(np.ceil(prior_mm.max() + _REACH_MM)))
    points = rays.points(np.broadcast_to(distance[:, None, None], (distance.size, *prior_mm.shape[1:])))
    index = np.moveaxis(transform_points(index_from_lps(volume.lps_from_index), points), -1, 0)
    peak, counts, curve = (np.empty(prior_mm.shape) for _ in range(3))
    for gate, image in enumerate(volume.array):
        coefficients = ndimage.spline_filter(image.astype(np.float64), order=3, mode="nearest")
        profile = ndimage.map_coordinates(coefficients, index, order=3, mode="nearest", prefilter=False)
        peak[gate], counts[gate], curve[gate] = _peaks(profile, distance, prior_mm[gate])
    if not float(counts.max()) > 0:
        raise AnalysisError(
            "The gated volume holds no counts along the wall; check that frame and volume belong together."
        )
    if weight is None:
        usual = np.percentile(counts, 75)
        clear = np.clip(counts.mean(axis=0) / (0.6 * usual), 0.0, 1.0) ** 2 * (curve.mean(axis=0) > 0)
        past = 1.0 / (1.0 + np.exp(np.clip((rays.height_mm[:, None] - prior_rim.mean(axis=0)) / 3.0, -30, 30)))
        weight = np.maximum(clear * past * np.maximum(np.sin(rays.turn_rad), 0.15)[:, None], 1e-6)
    middle = np.clip(fit(peak, weight), 4.0, distance[-1] - 2.0)
    strong = np.broadcast_to(weight > 0.5 * weight.max(), peak.shape) & (curve > 0)
    width = float(np.sqrt(np.median(counts[strong] / curve[strong]))) if strong.any() else 8.0
    return _Seen(middle, counts, width, _rim(rays, counts, prior_rim), weight)


def _peaks(profile: Float, distance: Float, prior: Float) -> tuple[Float, Float, Float]:
    """Give the place and height of the peak near a prior, and minus the second derivative there.

    `profile` is (n, rings, angles) at 1 mm steps.
    """
    window = np.exp(-0.5 * ((distance[:, None, None] - prior) / _WINDOW_MM) ** 2)
    place = np.clip(np.argmax(profile * window, axis=0), 5, distance.size - 6)

    def at(offset: int) -> Float:
        return np.asarray(np.take_along_axis(profile, place[None] + offset, axis=0)[0])

    # A parabola through 9 points (Savitzky-Golay) is calmer than one through 3.
    offsets = np.arange(-4, 5)
    values = np.stack([at(int(o)) for o in offsets])
    slope = np.tensordot(offsets, values, axes=(0, 0)) / 60.0
    second = np.tensordot(3.0 * offsets**2 - 20.0, values, axes=(0, 0)) / 462.0
    shift = np.where(second < 0, np.clip(-slope / np.minimum(second, -1e-12), -4.0, 4.0), 0.0)
    return place + shift, np.maximum(at(0), 0.0), -second


def _rim(rays: Rays, counts: Float, prior_rim: Float) -> Float:
    """Find where the wall ends in every gate: (gates, angles).

    In each sector the wall ends where its counts fall to half of that sector's usual; a tilted plane,
    its tilt shared by all gates, is laid through the ends, and its height follows two harmonics.
    """
    tube = counts[:, rays.cap_rings :]
    gates, rings, angles = tube.shape
    height = np.arange(rings) * TUBE_STEP_MM
    safe = max(2, int(0.55 * rays.base_mm / TUBE_STEP_MM))
    own = np.median(tube[:, : safe + 1], axis=1)
    gone = tube < 0.5 * own[:, None]
    gone[:, : max(1, int(0.3 * rays.base_mm / TUBE_STEP_MM))] = False
    found = gone.any(axis=1)
    first = np.where(found, np.argmax(gone, axis=1), rings - 1)
    after = np.take_along_axis(tube, first[:, None], axis=1)[:, 0]
    before = np.take_along_axis(tube, first[:, None] - 1, axis=1)[:, 0]
    part = np.clip((before - 0.5 * own) / np.maximum(before - after, 1e-9), 0.0, 1.0)
    end = height[first] - TUBE_STEP_MM * (1.0 - part)
    votes = found & (own > 0.5 * np.percentile(own, 75)) & (np.abs(end - prior_rim) < 25.0)
    turn = rays.angle_rad
    tilt = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    time = time_basis(gates)
    design = np.concatenate(
        [np.repeat(time[:, None], angles, axis=1).reshape(gates * angles, -1), np.tile(tilt, (gates, 1))], axis=1
    )
    weight = votes.ravel().astype(float)
    flat, ridge = end.ravel(), np.zeros(design.shape[1])
    ridge[1:] = 2.0
    base = np.zeros(design.shape[1])
    base[0] = float(np.median(flat[weight > 0])) if weight.any() else rays.base_mm
    plane = base
    for _ in range(8):
        gap = flat - design @ plane
        robust = weight / np.maximum(np.abs(gap), 3.0)
        normal = design.T @ (robust[:, None] * design) + np.diag(ridge)
        normal[0, 0] += 1e-6
        plane = np.linalg.solve(normal, design.T @ (robust * flat) + 1e-6 * base[0] * (np.arange(base.size) == 0))
    return np.clip((design @ plane).reshape(gates, angles), 3.0 * TUBE_STEP_MM, height[-1] - TUBE_STEP_MM)
