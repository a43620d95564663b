"""Independent hearts at random: a wide range of shapes, motions, cameras and surroundings."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from myoperf.geometry import anterior_direction, unit
from myoperf.phantom.independent.imaging import Camera, Surroundings, image_heart
from myoperf.phantom.independent.shape import Delay, Heart, HeartTruth, Patch, heart_truth
from myoperf.types import Float, LVFrame, Scan, Study

_SERIES = {"development": 101, "held": 202}
"""First word of the seed: the two series share no heart."""


@dataclass(frozen=True, eq=False)
class DrawnHeart:
    """A heart, its image as a study of one gated scan, and its truth.

    Attributes
    ----------
    heart, camera, surroundings
        What was drawn.
    frame
        The true pose: mid-wall at the apex, middle of the valve plane (mean over the beat), anterior direction.
    study
        One gated stress scan, reconstructed.
    truth
        What a perfect measurement would give.
    """

    heart: Heart
    camera: Camera
    surroundings: Surroundings
    frame: LVFrame
    study: Study
    truth: HeartTruth


def draw_heart(number: int, *, series: Literal["development", "held"] = "development") -> DrawnHeart:
    """Return the independent heart of a number, the same each time.

    Parameters
    ----------
    number
        From 0.
    series
        ``"held"`` hearts are for one look at a release: nothing may be chosen or tuned on them.

    Examples
    --------
    >>> drawn = draw_heart(0)
    >>> drawn.study.scans[0].image.frames in (8, 16)
    True
    """
    rng = np.random.default_rng([_SERIES[series], number])
    heart = _draw_shape(rng)
    camera = _draw_camera(rng)
    surroundings = _draw_surroundings(rng)
    axis = unit(np.array([-0.58, 0.70, 0.42]) + rng.normal(0.0, 0.13, 3))
    roll = np.deg2rad(rng.normal(0.0, 10.0))
    up = anterior_direction(axis)
    anterior = np.cos(roll) * up + np.sin(roll) * np.cross(axis, up)
    tip = rng.uniform(-25.0, 25.0, 3)
    truth = heart_truth(heart)
    placed = LVFrame(tip, tip + heart.length_mm * axis, anterior)
    volume = image_heart(heart, placed, camera=camera, surroundings=surroundings, rng=rng)
    study = Study((Scan(volume, state="stress", framing="gated", tracer="Tc-99m sestamibi"),))
    start = tip + 0.5 * heart.apex_wall_mm * axis
    return DrawnHeart(heart, camera, surroundings, _pose(start, axis, anterior, truth), study, truth)


def _pose(apex_mm: Float, axis: Float, anterior: Float, truth: HeartTruth) -> LVFrame:
    return LVFrame(apex_mm, apex_mm + truth.length_mm * axis, anterior)


def _draw_shape(rng: np.random.Generator) -> Heart:
    """Draw sizes from tiny to dilated, walls of 5 to 15 mm and contraction from poor to vigorous."""
    cavity = float(np.exp(rng.uniform(np.log(17.0), np.log(40.0))))  # some 30 to 350 ml
    wall = float(rng.uniform(5.0, 15.0))
    length = cavity * float(rng.uniform(2.1, 3.0)) + 0.6 * wall
    vigour = float(rng.uniform(0.12, 0.42))
    stiff: tuple[Patch, ...] = ()
    if rng.random() < 0.25:  # an infarct that does not move; one in five of them bulges
        depth = float(rng.uniform(1.1, 1.4) if rng.random() < 0.2 else rng.uniform(0.4, 1.0))
        stiff = (_patch(rng, depth=depth),)
    return Heart(
        length_mm=length,
        radius_mm=cavity,
        wall_mm=wall,
        apex_wall_mm=wall * float(rng.uniform(0.4, 1.1)),
        wall_asymmetry=float(rng.uniform(0.0, 0.35)),
        wall_angle_deg=float(rng.uniform(0.0, 360.0)),
        bulk=float(rng.uniform(1.7, 2.8)),
        roundness=float(rng.uniform(1.7, 2.6)),
        widest=float(rng.uniform(0.6, 0.95)),
        taper=float(rng.uniform(0.0, 0.25)),
        oval=float(rng.uniform(-0.15, 0.15)),
        valve_tilt_mm=float(rng.uniform(0.0, 9.0)),
        valve_angle_deg=float(rng.normal(270.0, 25.0)),
        shortening=vigour,
        descent=float(np.clip(vigour * rng.uniform(0.3, 0.7), 0.05, 0.22)),
        wall_loss=float(rng.uniform(0.0, 0.10)),
        systole_cycles=float(rng.uniform(0.30, 0.44)),
        stiff=stiff,
        delay=_draw_delay(rng),
    )


def _draw_delay(rng: np.random.Generator) -> Delay:
    """Half of the hearts contract together; the others have late regions, a third harmonic, or both."""
    if rng.random() < 0.5:
        return Delay()
    focal = (_patch(rng, depth=float(rng.uniform(0.04, 0.20))),) if rng.random() < 0.7 else ()
    third = float(rng.uniform(0.0, 0.05)) if rng.random() < 0.5 else 0.0
    return Delay(focal=focal, third_harmonic=third, third_angle_deg=float(rng.uniform(0.0, 120.0)))


def _patch(rng: np.random.Generator, *, depth: float) -> Patch:
    return Patch(
        along=float(rng.uniform(0.2, 0.9)),
        angle_deg=float(rng.uniform(0.0, 360.0)),
        along_sd=float(rng.uniform(0.12, 0.3)),
        angle_sd_deg=float(rng.uniform(20.0, 50.0)),
        depth=depth,
    )


def _draw_camera(rng: np.random.Generator) -> Camera:
    fwhm = float(rng.uniform(8.0, 14.0))
    unequal = rng.uniform(0.85, 1.2, 3)
    moves = rng.random() < 0.15
    return Camera(
        voxel_mm=float(rng.choice([4.8, 6.4, 6.8])),
        gates=int(rng.choice([8, 8, 16])),
        fwhm_mm=(fwhm * unequal[0], fwhm * unequal[1], fwhm * unequal[2]),
        tail=float(rng.uniform(0.05, 0.2)),
        tail_fwhm_mm=float(rng.uniform(30.0, 60.0)),
        haze=float(rng.uniform(0.1, 0.4)),
        counts=float(np.exp(rng.uniform(np.log(4e6), np.log(2e7)))),
        filter_fwhm_mm=float(rng.uniform(6.0, 11.0)),
        beat_spread=float(rng.uniform(0.02, 0.10)),
        movement_mm=(0.0, 0.0, float(rng.uniform(-14.0, 14.0)) if moves else 0.0),
        movement_share=float(rng.uniform(0.1, 0.4)) if moves else 0.0,
    )


def _draw_surroundings(rng: np.random.Generator) -> Surroundings:
    defects = [_patch(rng, depth=float(rng.uniform(0.3, 0.95))) for _ in range(int(rng.choice([0, 0, 0, 1, 1, 2])))]
    # Less counts from the inferior wall, as without attenuation correction.
    defects.append(
        Patch(along=0.7, angle_deg=180.0, along_sd=0.35, angle_sd_deg=40.0, depth=float(rng.uniform(0.0, 0.3)))
    )
    return Surroundings(
        blood=float(rng.uniform(0.04, 0.15)),
        body=float(rng.uniform(0.03, 0.10)),
        lung=float(rng.uniform(0.02, 0.06)),
        liver=float(rng.uniform(0.2, 1.0)),
        liver_gap_mm=float(rng.uniform(8.0, 35.0)),
        gut=float(rng.uniform(0.4, 1.3)) if rng.random() < 0.3 else 0.0,
        gut_gap_mm=float(rng.uniform(6.0, 25.0)),
        right_wall=float(rng.uniform(0.15, 0.6)),
        right_width_mm=float(rng.uniform(20.0, 45.0)),
        defects=tuple(defects),
    )
