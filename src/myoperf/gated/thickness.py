"""How thick the wall is and how far the image blurs it, told apart by how the wall's profile changes over the beat.

A blurred wall is about sqrt(sigma^2 + t^2 / 12) wide: one image cannot tell a thick wall in a sharp image from a thin
one in a blurred image. Over the beat the blur stays, and the wall thickens as its area shrinks: its profile widens and
brightens the more the thicker it is. Thickness, sigma and how much the wall thickens are fitted to the mean profiles
of all gates at once, with priors, together with the blood in the cavity, the counts around the wall and the broad tails
of the point spread function. MyoPerf's own method.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.geometry import sample_each
from myoperf.types import Float, Volume
from myoperf.ventricle.rays import Rays, slant

Chosen = NDArray[np.bool_]
"""Which rays (rings, angles) are used."""
OFFSETS_MM = np.arange(-14.0, 14.5, 2.0)
"""Where profiles are sampled, from the wall's peak outwards."""
_NOISE = 0.02
"""Error of a sample of the mean profile, relative to the peak: what the model leaves out, more than counts."""
_LOUDNESS = 0.04
"""How far the height of a gate's profile may differ from what thickening makes of it: the time in each gate and the
wall's uptake are not known better."""
_TAIL, _TAIL_SD, _TAIL_MM = 0.1, 0.2, 19.0
"""Counts in the broad part of the point spread function (scatter, septa) as a share of those in the narrow part, how
well that is known, and the SD of the Gaussian that stands for it (45 mm of full width at half maximum)."""
_BLOOD_SD = 0.12
"""How far counts in the cavity and around the ventricle may differ, relative to the wall's."""
_FEWEST_GATES = 4
_THINNEST_MM, _THICKEST_MM, _STEP_MM = 3.0, 20.0, 2.5
_SHARPEST_MM, _BLUREST_MM = 2.0, 12.0
_LEAST_GAIN, _MOST_GAIN = 0.3, 2.0
_SYSTOLIC_LOSS = 0.05
"""Share of the wall's volume that leaves it in systole, as blood of its vessels: 0 to 0.1, the middle taken."""
_APEX_THINNER = 0.25
"""The apex is thinner than the rest of the wall by about this share."""
_PROBE_MM, _PROBE_MM2 = 2.0, 6.0
"""Changes of thickness and squared width by which slopes are measured."""


@dataclass(frozen=True, kw_only=True)
class WallBlur:
    """Thickness of the wall and resolution of the image, each with the standard deviation to which it is known.

    Attributes
    ----------
    thickness_mm, thickness_sd_mm
        Mean thickness at end diastole. A SD of 0 holds it. In a prior the logarithm is normal: a thickness of 7.5 mm
        with a SD of 2.5 mm means that 5 and 11 mm, a third less and half more, are equally likely.
    sigma_mm, sigma_sd_mm
        SD of the Gaussian that blurs the image. A SD of 0 holds it.
    gain, gain_sd
        Thickening over what the shrinking area of the wall and a loss of 5 % of its volume make it.
    blood
        Counts per millilitre of the cavity less those around the ventricle, relative to the wall's: above 0 with blood
        between lungs, below 0 beside a hot liver or gut. Either moves the peak of the blurred wall.
    """

    thickness_mm: float
    thickness_sd_mm: float
    sigma_mm: float
    sigma_sd_mm: float
    gain: float = 1.0
    gain_sd: float = 0.2
    blood: float = 0.0


SPECT_BLUR = WallBlur(thickness_mm=9.0, thickness_sd_mm=3.6, sigma_mm=6.5, sigma_sd_mm=1.5)
"""What is known before a SPECT image is seen: walls of 4 to 20 mm in 19 of 20, and images of 9 to 22 mm of full width
at half maximum (reconstruction, filter, breathing). By MRI walls have 5 to 6 mm at mid-cavity and 7 to 9 mm where they
are thickest, without trabeculae (Kawel et al. 2012, PMC3412148), and 15 mm and more in hypertrophic cardiomyopathy. The
middle lies above MRI's because filtered reconstructions, whose point spread dips below zero, show walls thinner than a
Gaussian blur would: chosen on development hearts and patients (docs/function.md)."""
PET_BLUR = WallBlur(thickness_mm=7.5, thickness_sd_mm=2.6, sigma_mm=3.6, sigma_sd_mm=1.2)
"""The same for PET: 4 to 14 mm."""


def apex_pattern(rays: Rays, middle_mm: Float, area_mm2: float) -> Float:
    """Return how thick the wall is along the rays relative to its mean, shape (rings, 1): thinner at the apex.

    Parameters
    ----------
    middle_mm
        Shape (rings, angles): the mid-wall.
    area_mm2
        Of the mid-wall up to the valve plane.
    """
    cap = slice(rays.cap_rings)
    thinner = np.zeros((rays.tilt_rad.size, 1))
    thinner[cap, 0] = _APEX_THINNER * np.cos(rays.tilt_rad[cap]) ** 2
    cap_area = rays.cap_solid_angle * middle_mm[cap] ** 2 * slant(rays, middle_mm)[cap]
    return np.asarray((1.0 - thinner) / (1.0 - float((thinner[cap] * cap_area).sum()) / area_mm2))


def thickness_over_beat(blur: WallBlur, area_mm2: Float) -> Float:
    """Return the wall's thickness in every gate, from that at the largest area of the mid-wall, (gates,)."""
    return np.asarray(blur.thickness_mm * (1.0 + blur.gain * (_plain_thickening(area_mm2) - 1.0)))


def _plain_thickening(area_mm2: Float) -> Float:
    """Return the thickness relative to end diastole of a wall that keeps its volume, but for the loss in systole."""
    shrunk = 1.0 - area_mm2 / area_mm2.max()
    # The whole loss belongs to a normal beat, which takes a quarter or more of the area.
    return np.asarray((1.0 - _SYSTOLIC_LOSS * np.minimum(4.0 * shrunk, 1.0)) / (1.0 - shrunk))


def clear_rays(rays: Rays, weight: Float, rim_mm: Float) -> Chosen:
    """Choose rays whose profile shows the wall alone: trusted, off the apex and 12 mm below the valve plane."""
    off_apex = np.arange(len(weight))[:, None] >= rays.cap_rings // 3
    away = off_apex & (rays.height_mm[:, None] < rim_mm.min(axis=0) - 12.0)
    chosen = away & (weight > 0.5 * weight.max())
    return np.asarray(chosen if chosen.any() else weight >= np.median(weight))


@dataclass(frozen=True, eq=False, kw_only=True)
class Across:
    """Where the mean profiles across the wall are taken: rays, and the wall's peak in every gate along them."""

    rays: Rays
    middle_mm: Float
    chosen: Chosen

    def profiles(self, volume: Volume, *, reference: Volume | None = None) -> Float:
        """Return the mean profile in every gate, each ray relative to its own peak's mean over the beat.

        Parameters
        ----------
        reference
            The image whose peaks count as 1; `volume` itself when None.

        Returns
        -------
        Shape (gates, `OFFSETS_MM`).
        """
        lines = self._lines(volume, OFFSETS_MM)
        peaks = lines[:, OFFSETS_MM.size // 2] if reference is None else self._lines(reference, np.zeros(1))[:, 0]
        usual = peaks.mean(axis=0)
        return np.asarray((lines / np.maximum(usual, 1e-9 + 0.05 * usual.max())).mean(axis=2))

    def _lines(self, volume: Volume, offsets_mm: Float) -> Float:
        """Return the counts (gates, offsets, chosen rays) about the peaks."""
        directions = self.rays.direction[self.chosen]
        origins = np.broadcast_to(self.rays.origin_mm, self.rays.direction.shape)[self.chosen]
        place = np.maximum(self.middle_mm[:, None, self.chosen] + offsets_mm[:, None], 0.0)
        return sample_each(volume, origins + place[..., None] * directions).astype(np.float64)


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelProfiles:
    """The model's mean profiles and how they change, all (gates, offsets).

    Attributes
    ----------
    now
        At the present thickness and blur.
    by_thickness, by_variance
        Their slopes by the end-diastolic thickness at the same squared width, and by the squared width.
    tail
        The same wall blurred broadly.
    blood
        The cavity filled evenly, with as many counts per millilitre as the wall has where its profiles are 1.
    """

    now: Float
    by_thickness: Float
    by_variance: Float
    tail: Float
    blood: Float


def model_profiles(
    image_of: Callable[[WallBlur], Volume], image: Volume, cavity: Volume, across: Across, blur: WallBlur
) -> ModelProfiles:
    """Measure the model's profiles and their slopes by finite differences.

    Parameters
    ----------
    image_of
        Gives the model's image at another thickness and blur.
    image
        The model's image at `blur`.
    cavity
        The image of its cavity filled evenly, on the same scale.
    """
    now = across.profiles(image)
    thick = blur.thickness_mm + _PROBE_MM
    sharper = float(np.sqrt(max(_squared_width(blur) - thick**2 / 12.0, _SHARPEST_MM**2)))
    blurred = float(np.sqrt(blur.sigma_mm**2 + _PROBE_MM2))
    thicker, wider = (
        across.profiles(image_of(replace(blur, thickness_mm=t, sigma_mm=s)))
        for t, s in ((thick, sharper), (blur.thickness_mm, blurred))
    )
    broad = np.stack([ndimage.gaussian_filter(frame, _TAIL_MM / image.spacing_mm) for frame in image.array])
    return ModelProfiles(
        now=now,
        by_thickness=(thicker - now) / _PROBE_MM,
        by_variance=(wider - now) / _PROBE_MM2,
        tail=across.profiles(image.with_array(broad), reference=image),
        blood=across.profiles(cavity, reference=image),
    )


def refine_blur(blur: WallBlur, prior: WallBlur, patient: Float, model: ModelProfiles, area_mm2: Float) -> WallBlur:
    """Move thickness, blur and gain towards the patient's mean profiles, by one linear least-squares step.

    Parameters
    ----------
    blur, model
        The model as it is.
    prior
        What the three are drawn to.
    patient
        Shape (gates, offsets): the patient's mean profiles.
    area_mm2
        Shape (gates,): of the model's mid-wall.
    """
    gated = len(patient) >= _FEWEST_GATES
    held = np.array([prior.thickness_sd_mm == 0 or not gated, prior.sigma_sd_mm == 0, not gated])
    others = _nuisances(model)
    height = float(np.linalg.lstsq(others, patient.ravel(), rcond=None)[0][0])
    slopes = height * np.column_stack(
        [model.by_thickness.ravel(), model.by_variance.ravel(), _by_gain(blur, model, area_mm2).ravel()]
    )
    rows, aims = _priors(blur, prior, others.shape[1], len(patient))
    matrix = np.concatenate([np.concatenate([slopes * ~held, others], axis=1) / _NOISE, rows])
    normal = matrix.T @ matrix
    # A trace of ridge: the profiles of one gate do not tell all columns apart.
    normal[np.diag_indices_from(normal)] += 1e-9 * normal.diagonal().max()
    covariance = np.linalg.inv(normal)
    terms = covariance @ (matrix.T @ np.concatenate([patient.ravel() / _NOISE, aims]))
    step = np.where(held, 0.0, np.clip(terms[:3], (-_STEP_MM, -20.0, -0.3), (_STEP_MM, 20.0, 0.3)))
    thick = float(np.clip(blur.thickness_mm + step[0], _THINNEST_MM, _THICKEST_MM))
    if held[0]:
        thick = blur.thickness_mm
    square = np.clip(_squared_width(blur) + step[1] - thick**2 / 12.0, _SHARPEST_MM**2, _BLUREST_MM**2)
    of_sigma = _sigma_by(blur)
    return WallBlur(
        thickness_mm=thick,
        thickness_sd_mm=prior.thickness_sd_mm if held[0] else float(np.sqrt(covariance[0, 0])),
        sigma_mm=blur.sigma_mm if held[1] else float(np.sqrt(square)),
        sigma_sd_mm=0.0 if held[1] else float(np.sqrt(of_sigma @ covariance[:2, :2] @ of_sigma)),
        gain=float(np.clip(blur.gain + step[2], _LEAST_GAIN, _MOST_GAIN)),
        gain_sd=float(np.sqrt(covariance[2, 2])),
        blood=float(np.clip(terms[6] / max(height, 1e-9), -2.5 * _BLOOD_SD, 2.5 * _BLOOD_SD)),
    )


def _by_gain(blur: WallBlur, model: ModelProfiles, area_mm2: Float) -> Float:
    """Return the slopes by the gain: those by each gate's own thickness, times what a gate thickens by it."""
    plain = _plain_thickening(area_mm2)
    relative = 1.0 + blur.gain * (plain - 1.0)
    of_gate = (model.by_thickness + model.by_variance * blur.thickness_mm / 6.0) / relative[:, None]
    return np.asarray(of_gate * (blur.thickness_mm * (plain - 1.0))[:, None])


def _nuisances(model: ModelProfiles) -> Float:
    """Return what else makes a profile, as columns.

    Height, tails, even counts, counts that the cavity has more than the surroundings (blood against lung), then
    every gate's shift and height.
    """
    gates, shape = len(model.now), model.now.shape
    slopes = np.gradient(model.now, OFFSETS_MM, axis=1)
    each = np.zeros((2, gates, *shape))
    each[0, range(gates), range(gates)], each[1, range(gates), range(gates)] = slopes, model.now
    common = [model.now.ravel(), model.tail.ravel(), np.ones(model.now.size), model.blood.ravel()]
    return np.column_stack([*common, *each.reshape(2 * gates, -1)])


def _priors(blur: WallBlur, prior: WallBlur, nuisances: int, gates: int) -> tuple[Float, Float]:
    """Return the priors as rows of the least squares, and their right-hand sides, both over the SD."""
    rows = np.zeros((5 + gates, 3 + nuisances))
    # The thickness is known by its logarithm: where the image tells little, as in thin walls, it must not run to zero.
    rows[0, 0], rows[1, :2], rows[2, 2], rows[3, 4] = 1.0 / blur.thickness_mm, _sigma_by(blur), 1.0, 1.0
    rows[4, 6] = 1.0
    rows[5:, -gates:] = np.eye(gates)
    aims = np.zeros(5 + gates)
    aims[:4] = (
        np.log(prior.thickness_mm / blur.thickness_mm),
        prior.sigma_mm - blur.sigma_mm,
        prior.gain - blur.gain,
        _TAIL,
    )
    spread = np.full(5 + gates, _LOUDNESS)
    relative_sd = prior.thickness_sd_mm / prior.thickness_mm
    # One gate does not tell blood from the wall's own width.
    blood_sd = _BLOOD_SD if gates >= _FEWEST_GATES else 0.0
    spread[:5] = relative_sd, prior.sigma_sd_mm, prior.gain_sd, _TAIL_SD, blood_sd
    spread = np.maximum(spread, 1e-3)
    return rows / spread[:, None], aims / spread


def _sigma_by(blur: WallBlur) -> Float:
    """Return the slopes of sigma by the thickness at the same squared width, and by the squared width."""
    return np.array([-blur.thickness_mm / (12.0 * blur.sigma_mm), 0.5 / blur.sigma_mm])


def _squared_width(blur: WallBlur) -> float:
    """Return the squared width of a blurred slab as thick as the wall."""
    return blur.sigma_mm**2 + blur.thickness_mm**2 / 12.0
