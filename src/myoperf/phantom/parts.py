"""The parts a simulated patient is made of: request form, trunk, ventricle, beat, coronary tree, reader.

Frozen and parametric; `myoperf.phantom.records` puts them together and defines the coordinates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]
Stressor = Literal["exercise", "dipyridamole", "dobutamine"]


@dataclass(frozen=True)
class Clinical:
    """The clinical facts of a request form."""

    sex: Literal["M", "F"]
    age_years: float
    height_m: float
    weight_kg: float
    stressor: Stressor
    diabetes: bool
    hypertension: bool

    @property
    def bmi(self) -> float:
        """Body mass index, kg/m2."""
        return self.weight_kg / self.height_m**2


@dataclass(frozen=True)
class EllipsoidShape:
    """An ellipsoid: centre and semi-axes in LPS mm, turned by `yaw_deg` about z, then `roll_deg` about y."""

    centre_mm: Vector
    radii_mm: Vector
    yaw_deg: float = 0.0
    roll_deg: float = 0.0


@dataclass(frozen=True)
class Tube:
    """A tube of round cross-section along a polyline: a loop of bowel."""

    points_mm: tuple[Vector, ...]
    radius_mm: float
    brightness: float = 1.0


@dataclass(frozen=True)
class Torso:
    """The trunk about the heart.

    Attributes
    ----------
    half_width_mm, half_depth_mm
        Semi-axes of the body's superelliptic outline (exponent `outline_power`) at the heart.
    waist_per_mm
        Relative change of the outline per millimetre towards the head.
    wall_mm
        Skin to pleura.
    diaphragm_left_mm, diaphragm_right_mm
        Height (z) of the tops of the two domes.
    solids
        Organ name -> ellipsoids (liver, gallbladder, stomach, spleen, kidneys, lungs, breasts).
    loops
        Bowel.
    """

    half_width_mm: float
    half_depth_mm: float
    outline_power: float
    waist_per_mm: float
    wall_mm: float
    diaphragm_left_mm: float
    diaphragm_right_mm: float
    spine_mm: Vector
    spine_radius_mm: float
    aorta_mm: Vector
    aorta_radius_mm: float
    solids: Mapping[str, tuple[EllipsoidShape, ...]]
    loops: tuple[Tube, ...]


@dataclass(frozen=True)
class Ventricle:
    """The shape of the left ventricle at the reference (end-diastolic) instant.

    The distance of the mid-wall from the centre of the valve plane is
    ``((cos t / length)^p + (sin t / radius)^p)^(-1/p)`` in the direction that makes the angle t with
    the apex, drawn in towards the valve by `taper`. See `myoperf.phantom.heart`.

    Attributes
    ----------
    length_mm, radius_mm
        Semi-axes of the mid-wall: apex to valve plane, and across at the valve.
    power
        p: 2 an ellipsoid, more a bullet, less a cone.
    ellipticity, ellipticity_deg
        Relative second-harmonic change of the radius around the axis, and its direction.
    valve_tilt
        Slope of the valve plane: the lateral wall ends this times the radius further from the apex than the
        axis does, the septum as much nearer.
    wall_mm
        Shape (17,): nominal thickness in the middle of each segment.
    papillary_mm
        Height of the two papillary swellings into the cavity, along the rays.
    taper
        Relative loss of the radius at the valve plane against the ellipsoid; the wall is then widest above it.
    bulge_mm, bulge_fraction, bulge_angle_deg, bulge_width
        An aneurysm: outward bulge of the mid-wall about a place; width in fractions of the wall's length.
    """

    length_mm: float
    radius_mm: float
    power: float
    ellipticity: float
    ellipticity_deg: float
    valve_tilt: float
    wall_mm: tuple[float, ...]
    papillary_mm: float
    taper: float = 0.0
    bulge_mm: float = 0.0
    bulge_fraction: float = 0.1
    bulge_angle_deg: float = 0.0
    bulge_width: float = 0.2


@dataclass(frozen=True)
class Function:
    """How the ventricle beats.

    Attributes
    ----------
    ejection
        Regional ejection of healthy wall when it is most contracted (0-1), mean over the wall.
    apex_gain, septal_gain
        Relative extra ejection at the apex, and (negative) at the septum.
    systole
        Time of end systole as a share of the cycle.
    stretch
        Volume-preserving lengthening along the axis at end systole, together with the radial motion.
    twist_deg
        Turn of the apex against the base at end systole.
    phase_sd_deg
        SD of the phase of contraction over the wall (exact over the polar map).
    phase_pattern
        Coefficients of the phase field's shape: (cos, sin) of the first and second angular harmonic, apex-base.
    stress_dilation, stress_stunning
        Relative growth of the cavity, and loss of ejection, after stress.
    heart_rate_bpm
        At rest, during acquisition.
    beat_spread
        Standard deviation of the R-R intervals about their running mean, relative to it.
    wall_loss
        Share of the wall's volume that leaves it at end systole (blood squeezed from its vessels).
    """

    ejection: float
    apex_gain: float
    septal_gain: float
    systole: float
    stretch: float
    twist_deg: float
    phase_sd_deg: float
    phase_pattern: tuple[float, float, float, float, float]
    stress_dilation: float
    stress_stunning: float
    heart_rate_bpm: float
    beat_spread: float = 0.0
    wall_loss: float = 0.0


@dataclass(frozen=True)
class Lesion:
    """A stenosis.

    Attributes
    ----------
    vessel
        LM, LAD, LCX or RCA.
    percent
        Diameter stenosis as angiography states it, 0-100.
    effective_percent
        The stenosis that explains the flow: it differs by the lesion's length and shape, and by the reading.
    collateral
        0-1: share of the lost flow that collaterals bring.
    reach
        Fraction of the wall (from the apex) the lesion commands: 1 and more is proximal.
    branch_deg
        (centre, half width) of a side branch's window in angle, or None for the whole vessel.
    """

    vessel: str
    percent: float
    effective_percent: float
    collateral: float
    reach: float
    branch_deg: tuple[float, float] | None = None


@dataclass(frozen=True)
class Infarct:
    """A scar: smooth-edged region of lost wall inside a vessel's territory."""

    vessel: str
    fraction: float
    angle_deg: float
    half_fraction: float
    half_angle_deg: float
    severity: float
    epicardial_share: float


@dataclass(frozen=True)
class Coronary:
    """The tree, its disease and the flow it leaves.

    Attributes
    ----------
    dominance
        Which vessel feeds the inferior wall: "right", "left" or "balanced".
    borders_deg
        Angles of the LAD-RCA, RCA-LCX and LCX-LAD borders at base and mid level.
    apical_borders_deg
        The same near the apex.
    wrap_fraction
        Below this fraction of the wall the LAD feeds everything (it wraps the apex).
    softness_deg
        Width of the borders.
    reserve
        Coronary flow reserve of healthy wall under this stress.
    rest_flow
        ml/min/g.
    microvascular
        0-1: diffuse loss of reserve.
    patch
        Coefficients of the smooth perfusion field of small vessels and normal variation (see `coronary`).
    subendocardial
        0-1: how much ischaemia keeps to the inner wall.
    """

    dominance: Literal["right", "left", "balanced"]
    borders_deg: tuple[float, float, float]
    apical_borders_deg: tuple[float, float, float]
    wrap_fraction: float
    softness_deg: float
    lesions: tuple[Lesion, ...]
    infarcts: tuple[Infarct, ...]
    reserve: float
    rest_flow: float
    microvascular: float
    patch_stress: tuple[float, ...]
    patch_rest: tuple[float, ...]
    subendocardial: float


@dataclass(frozen=True)
class Reader:
    """The expert who scored the study: noise and bias are drawn once, with the patient."""

    threshold_bias: float
    stress_noise: tuple[float, ...]
    rest_noise: tuple[float, ...]
