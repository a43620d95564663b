"""Following the left ventricle's wall through the beat.

Along every ray the wall's peak is found in every gate and a smooth surface (penalised cosines x
harmonics, two harmonics of time) is laid through the peaks; the valve plane is where the wall's
counts end. The same is then measured on the image of a model wall (`myoperf.ventricle.synthesis`) and
the model is moved by the difference until both agree, so that the bias of blurred peaks in a small
or curved ventricle drops out. Its thickness and blur are refined along (`myoperf.gated.thickness`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from myoperf.errors import AnalysisError
from myoperf.gated.gates import equalise_gates
from myoperf.gated.thickness import (
    SPECT_BLUR,
    Across,
    Chosen,
    ModelProfiles,
    WallBlur,
    apex_pattern,
    clear_rays,
    model_profiles,
    refine_blur,
    thickness_over_beat,
)
from myoperf.geometry import index_from_lps, sample_each, transform_points
from myoperf.types import Float, LVFrame, PolarMap, Volume
from myoperf.ventricle.fit import WallSeries, beat_basis
from myoperf.ventricle.profiles import find_refined_peaks
from myoperf.ventricle.rays import Rays, lay_rays, mid_wall_area_mm2, mid_wall_on_rays, slant
from myoperf.ventricle.synthesis import Shell, crop, shell_image
from myoperf.ventricle.valve_plane import ValveSearch, find_valve_plane

_SHORTEST_MM = 30.0
_WINDOW_MM, _REACH_MM = 8.0, 26.0
"""Peaks are weighed by a Gaussian about the expected place, on profiles that reach so far past it."""
_ROUNDS = 5
_STEP_MM = 6.0
"""Farthest the model moves in a round."""
_BLURRED_END_MM = 15.0
"""Length of wall at the valve plane from which blur takes counts away."""
_THROUGH_MM = np.linspace(-8.0, 8.0, 9)


@dataclass(frozen=True, eq=False, kw_only=True)
class Tracking:
    """The wall through the beat.

    Attributes
    ----------
    shell
        The model wall, a surface for every gate.
    blur
        Thickness of the wall at end diastole and resolution of the image, as fitted.
    peak
        Shape (gates, rings, angles): the patient's counts at the wall's peak along every ray.
    local_mm
        Shape (gates, rings, angles): thickness of the wall at every place, the model's (the same everywhere) times
        the patient's counts through the wall over the model's. Its scale differs from place to place,
        since uptake comes from the same counts; its course over the beat is that of the wall.
    residual_mm
        Root mean square distance that is left between the peaks of image and model.
    """

    rays: Rays
    shell: Shell
    blur: WallBlur
    peak: Float
    local_mm: Float
    residual_mm: float


@dataclass(frozen=True, eq=False)
class _Measured:
    """What is measured on an image: peaks, their counts and width, and the rim.

    Attributes
    ----------
    middle_mm, counts
        Shape (gates, rings, angles): smoothed place of the peaks, and the counts there.
    rim_mm
        Shape (gates, angles): height of the valve plane.
    weight
        Shape (rings, angles): how far each ray is trusted.
    """

    middle_mm: Float
    counts: Float
    rim_mm: Float
    weight: Float


@dataclass(frozen=True, eq=False, kw_only=True)
class _Model:
    """One scan and the model wall that is moved towards it.

    Attributes
    ----------
    chosen, profiles
        Rays (rings, angles) whose profile shows the wall alone, and the patient's mean profiles along them.
    fitted
        The model's mean profiles and their slopes; None before the first move.
    gap_mm
        What was between the peaks of image and model before the last move.
    """

    gated: Volume
    rays: Rays
    series: WallSeries
    patient: _Measured
    chosen: Chosen
    profiles: Float
    shell: Shell
    blur: WallBlur
    fitted: ModelProfiles | None
    gap_mm: Float


def track_wall(
    gated: Volume, frame: LVFrame, polar: PolarMap, *, prior: WallBlur = SPECT_BLUR, rounds: int = _ROUNDS
) -> Tracking:
    """Follow the wall through all gates.

    Parameters
    ----------
    gated
        One frame a gate.
    frame, polar
        Pose, and the polar map of the summed image, whose mid-wall is the start.
    prior
        What is known beforehand of the wall's thickness and of the resolution; a SD of 0 holds a number. With fewer
        than 4 gates the thickness is held, as nothing shows it.
    rounds
        How often the model is moved.

    Raises
    ------
    AnalysisError
        When the long axis is shorter than 30 mm or the image holds no counts along the wall.
    """
    return track_walls(((gated, frame, polar),), prior=prior, rounds=rounds)[0]


def track_walls(
    scans: Sequence[tuple[Volume, LVFrame, PolarMap]], *, prior: WallBlur = SPECT_BLUR, rounds: int = _ROUNDS
) -> tuple[Tracking, ...]:
    """Follow the walls of several scans of one patient and camera, whose resolution is fitted to all at once.

    Parameters and errors are those of `track_wall`, with ``(gated, frame, polar)`` for every scan.
    """
    models = [_start(gated, frame, polar, prior) for gated, frame, polar in scans]
    for turn in range(rounds):
        models = [_move(model, prior, with_slopes=turn % 3 == 0) for model in models]
        shared = float(np.sqrt(np.mean([model.blur.sigma_mm**2 for model in models])))
        models = [_with_blur(model, replace(model.blur, sigma_mm=shared)) for model in models]
    return tuple(_tracking_of(model) for model in models)


def _start(gated: Volume, frame: LVFrame, polar: PolarMap, prior: WallBlur) -> _Model:
    """Measure the patient's peaks, rim and profiles, and start the model there."""
    if frame.length_mm < _SHORTEST_MM:
        raise AnalysisError(
            f"The left ventricle's long axis is {frame.length_mm:.0f} mm; function needs {_SHORTEST_MM:.0f} mm. "
            "Check the frame."
        )
    rays = lay_rays(frame)
    series = WallSeries.on(rays, cosines=6, harmonics=4, stiffness=3e-5)
    expected = np.repeat(mid_wall_on_rays(rays, polar)[None], gated.frames, axis=0)
    gated = crop(equalise_gates(gated), rays.points(expected), margin_mm=30.0)
    rim = np.full((gated.frames, rays.angles), rays.base_mm)
    patient = _measure(gated, rays, series, expected, rim)
    patient = _measure(gated, rays, series, patient.middle_mm, patient.rim_mm)
    uptake = np.clip(patient.counts.mean(axis=0), 0.05 * float(np.median(patient.counts)), None)
    uptake = _hold_at_end(rays, uptake, patient.rim_mm)
    chosen = clear_rays(rays, patient.weight, patient.rim_mm)
    shell = Shell(patient.middle_mm, np.full_like(expected, prior.thickness_mm), patient.rim_mm, uptake)
    return _with_blur(
        _Model(
            gated=gated,
            rays=rays,
            series=series,
            patient=patient,
            chosen=chosen,
            profiles=Across(rays=rays, middle_mm=patient.middle_mm, chosen=chosen).profiles(gated),
            shell=shell,
            blur=prior,
            fitted=None,
            gap_mm=np.full_like(expected, np.inf),
        ),
        prior,
    )


def _move(model: _Model, prior: WallBlur, *, with_slopes: bool) -> _Model:
    """Move the model by the differences to the patient, and refine its thickness and blur."""
    rays, patient, shell, blur = model.rays, model.patient, model.shell, model.blur
    image = _image_of(model, blur)
    cavity = shell_image(rays, _filled_cavity(model), model.gated, sigma_mm=blur.sigma_mm)
    whole = image.with_array(image.array + np.float32(blur.blood) * cavity.array)
    now = _measure(whole, rays, model.series, patient.middle_mm, patient.rim_mm, patient.weight)
    across = Across(rays=rays, middle_mm=now.middle_mm, chosen=model.chosen)
    if with_slopes or model.fitted is None:
        fitted = model_profiles(partial(_image_of, model), image, cavity, across, blur)
    else:
        fitted = replace(model.fitted, now=across.profiles(image), blood=across.profiles(cavity, reference=image))
    gap = patient.middle_mm - now.middle_mm
    middle = np.maximum(shell.middle_mm + np.clip(gap, -_STEP_MM, _STEP_MM), 3.0)
    rim = shell.rim_mm + np.clip(patient.rim_mm - now.rim_mm, -_STEP_MM, _STEP_MM)
    ratio = patient.counts.mean(axis=0) / np.maximum(now.counts.mean(axis=0), 1e-9)
    uptake = _hold_at_end(rays, shell.uptake * np.clip(ratio, 0.3, 3.0), patient.rim_mm)
    area = mid_wall_area_mm2(rays, shell.middle_mm, shell.rim_mm)
    refined = refine_blur(blur, prior, model.profiles, fitted, area)
    moved = Shell(middle, shell.thickness_mm, rim, uptake)
    return _with_blur(replace(model, shell=moved, fitted=fitted, gap_mm=gap), refined)


def _image_of(model: _Model, blur: WallBlur) -> Volume:
    """Return the image of the model as it would be with another thickness and blur."""
    return shell_image(model.rays, _with_blur(model, blur).shell, model.gated, sigma_mm=blur.sigma_mm)


def _filled_cavity(model: _Model) -> Shell:
    """Return the cavity as a wall that reaches from the hub to the endocardium, with the wall's usual uptake."""
    inner = model.shell.inner_mm(model.rays)
    half = 0.5 * inner
    uptake = np.full_like(model.shell.uptake, float(np.median(model.shell.uptake[model.chosen])))
    return Shell(half, inner / slant(model.rays, half), model.shell.rim_mm, uptake)


def _with_blur(model: _Model, blur: WallBlur) -> _Model:
    """Set thickness and blur; the thickness of every gate follows from the areas of the mid-wall."""
    rays, shell = model.rays, model.shell
    area = mid_wall_area_mm2(rays, shell.middle_mm, shell.rim_mm)
    largest = int(area.argmax())
    pattern = apex_pattern(rays, shell.middle_mm[largest], float(area[largest]))
    everywhere = np.broadcast_to(thickness_over_beat(blur, area)[:, None, None] * pattern, shell.middle_mm.shape)
    return replace(model, blur=blur, shell=replace(shell, thickness_mm=everywhere))


def _tracking_of(model: _Model) -> Tracking:
    residual = float(np.sqrt(np.average((model.gap_mm**2).mean(axis=0), weights=model.patient.weight)))
    local = _local_thickness(model.gated, model.rays, model.shell, model.blur.sigma_mm)
    return Tracking(
        rays=model.rays,
        shell=model.shell,
        blur=model.blur,
        peak=model.patient.counts,
        local_mm=local,
        residual_mm=residual,
    )


def _local_thickness(gated: Volume, rays: Rays, shell: Shell, sigma_mm: float) -> Float:
    """Compare counts through the moving wall with those of a model that thickens alike everywhere.

    What the model shares with the patient (blur, curvature, the shrinking cavity) drops out.
    """
    patient = _through_wall(gated, rays, shell.middle_mm)
    model = _through_wall(shell_image(rays, shell, gated, sigma_mm=sigma_mm), rays, shell.middle_mm)
    return np.asarray(shell.thickness_mm * patient / np.maximum(model, 0.2 * float(model.max())))


def _through_wall(volume: Volume, rays: Rays, middle_mm: Float) -> Float:
    """Return the mean counts from 8 mm inside to 8 mm outside the mid-wall along every ray."""
    depth = np.maximum(middle_mm[:, None] + _THROUGH_MM[:, None, None], 0.0)
    index = transform_points(index_from_lps(volume.lps_from_index), rays.points(depth))
    nearest = transform_points(volume.lps_from_index, np.clip(index, 0.0, np.array(volume.grid_shape) - 1.0))
    return np.asarray(sample_each(volume, nearest).mean(axis=1, dtype=np.float64))


def _hold_at_end(rays: Rays, uptake: Float, rim_mm: Float) -> Float:
    """Extend the uptake before the wall's last 15 mm to its end, where blur takes counts away."""
    out = uptake.copy()
    last = rays.cap_rings + np.maximum((rim_mm.min(axis=0) - _BLURRED_END_MM) / rays.tube_step_mm, 1.0).astype(np.int64)
    for column, row in enumerate(last):
        out[row:, column] = uptake[row - 1 : row + 1, column].mean()
    return out


def _measure(
    volume: Volume, rays: Rays, series: WallSeries, prior_mm: Float, prior_rim_mm: Float, weight: Float | None = None
) -> _Measured:
    """Find peaks near a prior along every ray, smooth them, and find the rim; `weight` is estimated when None."""
    reach = float(np.ceil(prior_mm.max() + _REACH_MM))
    peaks = find_refined_peaks(volume, rays, prior_mm, reach_mm=reach, window_mm=_WINDOW_MM)
    counts, curvature = peaks.height, peaks.curvature
    if not float(counts.max()) > 0:
        raise AnalysisError(
            "The gated volume holds no counts along the wall; check that frame and volume belong together."
        )
    if weight is None:
        weight = _trust(rays, counts, curvature, prior_rim_mm)
    middle = np.clip(series.smooth(_smooth_in_time(peaks.place_mm), weight), 4.0, reach - 3.0)
    return _Measured(middle, counts, _valve_plane(counts, rays, prior_rim_mm), weight)


def _trust(rays: Rays, counts: Float, curvature: Float, rim_mm: Float) -> Float:
    """Weigh rays (rings, angles) by how clear their peak is, by area near the pole, and fading past the rim."""
    usual = np.percentile(counts, 75)
    clear = np.clip(counts.mean(axis=0) / (0.6 * usual), 0.0, 1.0) ** 2 * (curvature.mean(axis=0) > 0)
    past = 1.0 / (1.0 + np.exp(np.clip((rays.height_mm[:, None] - rim_mm.mean(axis=0)) / 3.0, -30, 30)))
    return np.asarray(np.maximum(clear * past * np.maximum(np.sin(rays.tilt_rad), 0.15)[:, None], 1e-6))


def _smooth_in_time(values: Float) -> Float:
    """Project values (gates, ...) onto the harmonics with which the beat is followed."""
    time = beat_basis(len(values))
    return np.tensordot(time @ np.linalg.pinv(time), values, 1)


def _valve_plane(counts: Float, rays: Rays, prior_mm: Float) -> Float:
    """Find the valve plane of every gate near the one expected, within the rays' tube: (gates, angles)."""
    step, cap = rays.tube_step_mm, rays.cap_rings
    search = ValveSearch(
        usual_rings=slice(cap, cap + max(2, int(0.55 * rays.base_mm / step)) + 1),
        usual_percentile=50.0,
        lowest_mm=0.3 * rays.base_mm,
        open_sectors=False,
        reach_mm=25.0,
        ridge=2.0,
        rounds=8,
    )
    return np.clip(find_valve_plane(counts, rays, prior_mm, search), 3.0 * step, rays.height_mm[-1] - step)
