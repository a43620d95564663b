"""The shape and the motion of an independent heart, and the truth that follows from them.

Both surfaces of the wall are described by their radius about the long axis, as a function of the place along the wall
(0 at the apex, 1 at the valve plane) and of the angle (0 anterior, rising through the septum). Heights along the axis
are measured from the tip of the epicardium, in mm; the apex stays and the valve plane descends in systole.
"""

from dataclasses import dataclass

import numpy as np
from scipy.integrate import trapezoid

from myoperf.types import Float

ALONG, ROUND = 160, 96
"""Samples of a surface from apex to base and round the axis: volumes are exact to about 0.1 %."""

_DENSITY_G_PER_ML = 1.05


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A region of the wall that fades out like a Gaussian.

    Attributes
    ----------
    along, angle_deg
        Centre: 0 apex to 1 base; 0 anterior, 90 septal, 180 inferior, 270 lateral.
    along_sd, angle_sd_deg
        Size as standard deviations.
    depth
        What the region changes, at its centre: uptake taken away (0 to 1), contraction taken away (0 to 1; above 1
        the region bulges outwards, an aneurysm) or a delay in cycles.
    """

    along: float
    angle_deg: float
    along_sd: float
    angle_sd_deg: float
    depth: float

    def weight(self, along: Float, angle_rad: Float) -> Float:
        """Return the depth at places along the wall; the arguments broadcast."""
        off = (np.rad2deg(angle_rad) - self.angle_deg + 180.0) % 360.0 - 180.0
        exponent = ((along - self.along) / self.along_sd) ** 2 + (off / self.angle_sd_deg) ** 2
        return np.asarray(self.depth * np.exp(-0.5 * exponent))


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Where contraction comes late, in cycles: focal regions, and a third harmonic round the axis."""

    focal: tuple[Patch, ...] = ()
    third_harmonic: float = 0.0
    third_angle_deg: float = 0.0

    def cycles(self, along: Float, angle_rad: Float) -> Float:
        """Return the delay at places along the wall; the arguments broadcast."""
        out = self.third_harmonic * np.cos(3.0 * (angle_rad - np.deg2rad(self.third_angle_deg))) * np.minimum(1, along)
        for patch in self.focal:
            out = out + patch.weight(along, angle_rad)
        return np.asarray(out)


@dataclass(frozen=True, kw_only=True)
class Heart:
    """A left ventricle at end diastole, and how it contracts.

    Attributes
    ----------
    length_mm
        From the tip of the epicardium to the middle of the valve plane.
    radius_mm
        Largest radius of the cavity.
    wall_mm
        Thickness of the wall where the cavity is widest, mean round the axis.
    apex_wall_mm
        Thickness of the apex along the axis.
    wall_asymmetry, wall_angle_deg
        The wall is thicker by this fraction on the side of this angle, and thinner opposite (a thick septum: 90).
    bulk, roundness
        Exponents of the profile: radius = largest radius x (1 - (1 - s)^bulk)^(1 / roundness), s from the apex to the
        widest place. 2 and 2 give an ellipsoid; larger values a blunter one.
    widest
        Where the cavity is widest, as a fraction of its length; above it the radius falls by `taper` up to the valve.
    oval
        Difference between the radii of the cavity in two directions at right angles, relative to their mean.
    valve_tilt_mm, valve_angle_deg
        How much farther from the apex the valve plane lies on the side of the angle than in the middle.
    shortening
        Fraction by which the cavity's radius falls in systole.
    descent
        Fraction of the length by which the valve plane descends.
    wall_loss
        Fraction of the wall's volume that leaves it in systole (blood squeezed from its vessels; 0 to 0.1).
    systole_cycles
        Time of end systole.
    stiff
        Regions that contract less.
    delay
        Regions that contract late.
    """

    length_mm: float
    radius_mm: float
    wall_mm: float
    apex_wall_mm: float
    wall_asymmetry: float = 0.0
    wall_angle_deg: float = 90.0
    bulk: float = 2.0
    roundness: float = 2.0
    widest: float = 0.8
    taper: float = 0.1
    oval: float = 0.0
    valve_tilt_mm: float = 0.0
    valve_angle_deg: float = 270.0
    shortening: float = 0.32
    descent: float = 0.15
    wall_loss: float = 0.05
    systole_cycles: float = 0.36
    stiff: tuple[Patch, ...] = ()
    delay: Delay = Delay()


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Both surfaces at one instant.

    Attributes
    ----------
    inner_mm, outer_mm
        Radius of endocardium and epicardium, shape (`ALONG`, `ROUND`).
    inner_height_mm, outer_height_mm
        Height of these points above the tip, the same shape; rising along the first axis.
    """

    inner_mm: Float
    inner_height_mm: Float
    outer_mm: Float
    outer_height_mm: Float

    @property
    def cavity_ml(self) -> float:
        """Volume inside the endocardium, up to the valve plane."""
        return _enclosed_ml(self.inner_mm, self.inner_height_mm)

    @property
    def wall_ml(self) -> float:
        """Volume between the surfaces."""
        return _enclosed_ml(self.outer_mm, self.outer_height_mm) - self.cavity_ml


@dataclass(frozen=True, kw_only=True)
class HeartTruth:
    """What a perfect measurement of the heart would give.

    Attributes
    ----------
    edv_ml, esv_ml, lvef_percent
        From the largest and smallest volume of the cavity over 200 instants.
    mass_g
        Of the wall at end diastole.
    wall_mm
        Volume of the wall over the area of its middle surface, at end diastole.
    length_mm
        From the middle of the apical wall to the valve plane, mean over the beat.
    phase_sd_deg
        Standard deviation of the delay over the middle surface, weighted by area, as an angle.
    thickening_percent
        Rise of the wall's thickness from end diastole to end systole at the rings of apex, middle and base.
    volumes_ml
        The 200 instants.
    """

    edv_ml: float
    esv_ml: float
    lvef_percent: float
    mass_g: float
    wall_mm: float
    length_mm: float
    phase_sd_deg: float
    thickening_percent: tuple[float, float, float]
    volumes_ml: tuple[float, ...]


def grid() -> tuple[Float, Float]:
    """Return the places of the samples: along (`ALONG`, 1) from 0 to 1 and angles (1, `ROUND`) in radians."""
    # Denser towards the tip, where the radius rises steeply.
    along = np.linspace(0.0, 1.0, ALONG)[:, None] ** 1.5
    return along, (np.arange(ROUND) * (2.0 * np.pi / ROUND))[None, :]


def contraction(heart: Heart, time_cycles: Float) -> Float:
    """Return how far the wall has contracted at times in cycles from the R wave: 0 relaxed, 1 at end systole.

    Ejection follows half a cosine; early filling gives back three quarters within a third of diastole, diastasis
    almost nothing, and atrial contraction the rest before the next R wave.
    """
    time = np.asarray(time_cycles, dtype=np.float64) % 1.0
    end = heart.systole_cycles
    diastole = 1.0 - end
    knots = np.array([0.0, 0.45, 0.75, 1.0]) * diastole + end
    ejecting = 0.5 - 0.5 * np.cos(np.pi * time / end)
    early = 0.25 + 0.75 * (0.5 + 0.5 * np.cos(np.pi * (time - knots[0]) / (knots[1] - knots[0])))
    resting = 0.25 - 0.05 * (time - knots[1]) / (knots[2] - knots[1])
    atrial = 0.20 * (0.5 + 0.5 * np.cos(np.pi * (time - knots[2]) / (knots[3] - knots[2])))
    return np.select([time < end, time < knots[1], time < knots[2]], [ejecting, early, resting], atrial)


def moments(heart: Heart, count: int) -> list[Surfaces]:
    """Return both surfaces of the wall in the middles of `count` equal parts of the beat, the first after the R wave.

    Each place is between its relaxed and its contracted position, by its own delay; stiff patches stay relaxed.
    """
    along, angle = grid()
    relaxed, contracted = _relaxed(heart), _contracted(heart)
    delay = heart.delay.cycles(along, angle)
    able = np.ones(np.broadcast(along, angle).shape)
    for patch in heart.stiff:
        able = able * (1.0 - patch.weight(along, angle))
    times = (np.arange(count) + 0.5) / count
    return [_between(relaxed, contracted, able * contraction(heart, time - delay)) for time in times]


def heart_truth(heart: Heart) -> HeartTruth:
    """Return the true volumes, mass, wall and synchrony of a heart, integrated over 200 instants of its beat."""
    beat = moments(heart, 200)
    volumes = np.array([moment.cavity_ml for moment in beat])
    full, empty = beat[int(volumes.argmax())], beat[int(volumes.argmin())]
    along, angle = grid()
    area = _middle_area_mm2(full)
    delay = np.broadcast_to(360.0 * heart.delay.cycles(along, angle), area.shape)
    mean = np.average(delay, weights=area)
    thickness = [(moment.outer_mm - moment.inner_mm).mean(axis=1) for moment in (full, empty)]
    before, after = (np.interp((0.35, 0.6, 0.85), along[:, 0], ring) for ring in thickness)
    rings = (100.0 * (after / before - 1.0)).tolist()
    heights = [moment.outer_height_mm[-1].mean() - 0.5 * moment.inner_height_mm[0].mean() for moment in beat]
    edv, esv = float(volumes.max()), float(volumes.min())
    return HeartTruth(
        edv_ml=edv,
        esv_ml=esv,
        lvef_percent=100.0 * (1.0 - esv / edv),
        mass_g=full.wall_ml * _DENSITY_G_PER_ML,
        wall_mm=1000.0 * full.wall_ml / float(area.sum()),
        length_mm=float(np.mean(heights)),
        phase_sd_deg=float(np.sqrt(np.average((delay - mean) ** 2, weights=area))),
        thickening_percent=(rings[0], rings[1], rings[2]),
        volumes_ml=tuple(volumes.tolist()),
    )


def _profile(heart: Heart, share_of_length: Float) -> Float:
    """Return the radius relative to the largest one, from the tip (0) to the valve plane (1)."""
    rising = np.clip(share_of_length / heart.widest, 0.0, 1.0)
    above = np.clip((share_of_length - heart.widest) / max(1.0 - heart.widest, 1e-9), 0.0, 1.2)
    cap = (1.0 - (1.0 - rising) ** heart.bulk) ** (1.0 / heart.roundness)
    return np.asarray(cap * (1.0 - heart.taper * above**2))


def _make(heart: Heart, *, radius_mm: Float, outer_mm: Float, apex_mm: float, length_mm: float) -> Surfaces:
    """Build surfaces from the radii round the axis (1, `ROUND`), the apical wall and the length."""
    along, angle = grid()
    tilt = heart.valve_tilt_mm * np.cos(angle - np.deg2rad(heart.valve_angle_deg))
    valve = length_mm + tilt
    inner_height = apex_mm + along * (valve - apex_mm)
    outer_height = along * valve
    return Surfaces(
        inner_mm=radius_mm * _profile(heart, (inner_height - apex_mm) / (length_mm - apex_mm)),
        inner_height_mm=inner_height,
        outer_mm=outer_mm * _profile(heart, outer_height / length_mm),
        outer_height_mm=outer_height,
    )


def _radii(heart: Heart) -> tuple[Float, Float]:
    """Return the relaxed radius of the cavity and the thickness of the wall round the axis, (1, `ROUND`) each."""
    _, angle = grid()
    radius = heart.radius_mm * (1.0 + 0.5 * heart.oval * np.cos(2.0 * angle))
    wall = heart.wall_mm * (1.0 + heart.wall_asymmetry * np.cos(angle - np.deg2rad(heart.wall_angle_deg)))
    return radius, wall


def _relaxed(heart: Heart) -> Surfaces:
    radius, wall = _radii(heart)
    return _make(heart, radius_mm=radius, outer_mm=radius + wall, apex_mm=heart.apex_wall_mm, length_mm=heart.length_mm)


def _contracted(heart: Heart) -> Surfaces:
    """Return the surfaces of a wholly contracted heart: the wall as thick as its volume, less the loss, makes it."""
    radius, wall = _radii(heart)
    small = radius * (1.0 - heart.shortening)
    wanted = _relaxed(heart).wall_ml * (1.0 - heart.wall_loss)
    low, high = 0.5, 4.0  # factor of the wall's thickness, by bisection
    for _ in range(40):
        factor = 0.5 * (low + high)
        made = _make(
            heart,
            radius_mm=small,
            outer_mm=small + factor * wall,
            apex_mm=heart.apex_wall_mm * min(factor, 1.5),
            length_mm=heart.length_mm * (1.0 - heart.descent),
        )
        low, high = (factor, high) if made.wall_ml < wanted else (low, factor)
    return made


def _between(one: Surfaces, other: Surfaces, share: Float) -> Surfaces:
    """Return the surfaces part of the way from one to the other, place by place."""
    return Surfaces(
        inner_mm=one.inner_mm + share * (other.inner_mm - one.inner_mm),
        inner_height_mm=one.inner_height_mm + share * (other.inner_height_mm - one.inner_height_mm),
        outer_mm=one.outer_mm + share * (other.outer_mm - one.outer_mm),
        outer_height_mm=one.outer_height_mm + share * (other.outer_height_mm - one.outer_height_mm),
    )


def _enclosed_ml(radius_mm: Float, height_mm: Float) -> float:
    """Return the volume inside a surface: half the squared radius, over height and angle."""
    columns = trapezoid(0.5 * radius_mm**2, height_mm, axis=0)
    return float(columns.mean() * 2.0 * np.pi / 1000.0)


def _middle_area_mm2(moment: Surfaces) -> Float:
    """Return the area of the middle surface that belongs to each sample, shape (`ALONG`, `ROUND`)."""
    _, angle = grid()
    radius = 0.5 * (moment.inner_mm + moment.outer_mm)
    height = 0.5 * (moment.inner_height_mm + moment.outer_height_mm)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=-1)
    up = np.gradient(points, axis=0)
    on = 0.5 * (np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1))
    return np.asarray(np.linalg.norm(np.cross(up, on), axis=-1))
