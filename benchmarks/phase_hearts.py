"""Walls followed through the beat, with the true delay, for the benchmarks of the phase; kept in a folder.

``independent``: hearts of `myoperf.phantom.independent` for development, their ventricle found as ``myoperf analyze``
does. ``simulated``: patients of the cohort dyssynchrony (``function_cohort.py``) by the image-space model, at its own
counts (``simulated``) or without noise (``noiseless``); their pose and labels are the true ones.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from function_cohort import patient_of
from myoperf import load_models
from myoperf.gated.regional import moving_wall
from myoperf.gated.tracking import track_wall
from myoperf.phantom.fast import image_model, simulate_fast
from myoperf.phantom.independent import draw_heart
from myoperf.phantom.independent.shape import Heart, grid, moments
from myoperf.phantom.motion import phase_deg
from myoperf.phantom.truth import truth
from myoperf.polar import sample_polar_map
from myoperf.types import Float, LVFrame

FAMILIES = ("independent", "simulated", "noiseless")
RINGS, ANGLES = 24, 36
_SEED = 8101


@dataclass(frozen=True, eq=False, kw_only=True)
class FollowedHeart:
    """What `measure_synchrony` takes, and what is true of the heart.

    Attributes
    ----------
    thickness, motion, level
        As `myoperf.gated.regional.moving_wall` gives them.
    delay_deg
        Shape (24, 36): the true delay at the places of the polar map, its anterior direction as found.
    phase_sd_deg, edv_ml
        True.
    """

    thickness: Float
    motion: Float
    level: Float
    delay_deg: Float
    phase_sd_deg: float
    edv_ml: float


def heart_of(folder: Path, family: str, number: int) -> FollowedHeart:
    """Return a heart's wall, followed where it is not there yet."""
    path = folder / f"{family}-{number:03d}.npz"
    if not path.exists():
        heart = _independent(number) if family == "independent" else _simulated(number, noisy=family == "simulated")
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, **{one.name: getattr(heart, one.name) for one in fields(heart)})
        part.rename(path)
    with np.load(path) as stored:
        arrays = {one.name: stored[one.name] for one in fields(FollowedHeart)}
    numbers = {name: float(arrays.pop(name)) for name in ("phase_sd_deg", "edv_ml")}
    return FollowedHeart(**arrays, **numbers)


def _independent(number: int) -> FollowedHeart:
    drawn = draw_heart(number)
    volume = drawn.study.scans[0].image
    fit = load_models(diagnosis=False).find_lv(volume.summed())
    polar = sample_polar_map(volume.summed(), fit.labels, fit.frame).maximum
    thickness, motion, level = moving_wall(track_wall(volume, fit.frame, polar))
    return FollowedHeart(
        thickness=thickness,
        motion=motion,
        level=level,
        delay_deg=true_delay_deg(drawn.heart, drawn.frame, fit.frame),
        phase_sd_deg=drawn.truth.phase_sd_deg,
        edv_ml=drawn.truth.edv_ml,
    )


def true_delay_deg(heart: Heart, true: LVFrame, found: LVFrame) -> Float:
    """Return a heart's delay on the polar map (24, 36) in degrees, turned to the anterior direction that was found."""
    along, angle = grid()
    relaxed = moments(heart, 8)[0]
    radius = 0.5 * (relaxed.inner_mm + relaxed.outer_mm)
    height = 0.5 * (relaxed.inner_height_mm + relaxed.outer_height_mm)
    steps = np.hypot(np.diff(radius, axis=0), np.diff(height, axis=0))
    arc = np.concatenate([np.zeros((1, radius.shape[1])), np.cumsum(steps, axis=0)])
    delay = np.broadcast_to(360.0 * heart.delay.cycles(along, angle), radius.shape)
    share = (np.arange(RINGS) + 0.5) / RINGS
    rings = np.stack([np.interp(share, a / a[-1], d) for a, d in zip(arc.T, delay.T, strict=True)], axis=1)
    turn = np.arctan2(found.anterior @ true.septal, found.anterior @ true.anterior)
    places = np.arange(ANGLES) * (2.0 * np.pi / ANGLES) + turn
    return np.stack([np.interp(places, angle[0], ring, period=2.0 * np.pi) for ring in rings])


def _simulated(number: int, *, noisy: bool) -> FollowedHeart:
    patient, _ = patient_of("dyssynchrony", _SEED, number)
    rng = np.random.default_rng([_SEED, number, 7])
    model = image_model("spect", rng, tracer=patient.tracer)
    model = model if noisy else replace(model, noise=0.0)
    gated, labels, frame = simulate_fast(patient, rng, model=model, gates=8, quick_labels=True)
    polar = sample_polar_map(gated.summed(), labels, frame).maximum
    thickness, motion, level = moving_wall(track_wall(gated, frame, polar))
    known = truth(patient)
    share = ((np.arange(RINGS) + 0.5) / RINGS)[:, None]
    angle = (np.arange(ANGLES) * 360.0 / ANGLES)[None]
    return FollowedHeart(
        thickness=thickness,
        motion=motion,
        level=level,
        delay_deg=phase_deg(patient.function, share, angle),
        phase_sd_deg=float(known.phase_sd_deg["stress"]),
        edv_ml=float(known.edv_ml["stress"]),
    )
