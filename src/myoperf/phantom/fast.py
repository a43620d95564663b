"""Image-space simulation for training: what a reconstruction looks like, without views.

A volume is the patient's activity, darkened by the attenuation an uncorrected reconstruction keeps
(SPECT), blurred by one resolution in the plane and another along the body, with noise whose size
follows the image and whose grain follows the reconstruction's filter. The SPECT numbers in `FITTED` were
fitted to the full physics reconstructed by `myoperf.recon`; ``benchmarks/phantom_fast_fit.py`` refits them.
CZT was set by hand against the PhysioNet volumes of patients 1-25 (``benchmarks/phantom_looks.py``).
PET carries round values typical of such cameras and is fitted to nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from myoperf.errors import InputError
from myoperf.geometry import index_from_lps, rotate_frame
from myoperf.phantom.acquire import scanner_from_patient
from myoperf.phantom.anatomy import static_organs
from myoperf.phantom.gating import gate_beats
from myoperf.phantom.projector_kernels import attenuation_layers
from myoperf.phantom.records import Grid, PatientModel, Tracer
from myoperf.phantom.voxelise import attenuation, label_volume, ventricle_labels, voxelise_gates
from myoperf.types import Float, LVFrame, State, Volume

Kind = Literal["spect", "czt", "pet"]


@dataclass(frozen=True)
class ImageModel:
    """How an image looks.

    Parameters
    ----------
    across_mm, along_mm
        SD of the resolution in the transaxial plane and along the body.
    attenuated
        0-1: exponent on the mean attenuation over a half turn; 0 for a corrected image.
    scattered, scatter_sd_mm
        Share and width of the broad haze.
    noise
        SD of the noise, relative to the image's 99.5th percentile, where the image has that value; at full dose.
    noise_power
        The SD of the noise is in proportion to this power of the image.
    grain_mm
        SD of the Gaussian that correlates the noise.
    """

    across_mm: float
    along_mm: float
    attenuated: float
    scattered: float
    scatter_sd_mm: float
    noise: float
    noise_power: float
    grain_mm: float


FITTED: Mapping[Kind, ImageModel] = MappingProxyType(
    {
        "spect": ImageModel(7.26, 5.91, 0.683, 0.106, 45.0, 0.050, 0.55, 5.8),
        "czt": ImageModel(7.4, 7.4, 0.78, 0.18, 40.0, 0.065, 0.4, 6.2),
        "pet": ImageModel(2.8, 2.8, 0.0, 0.02, 40.0, 0.06, 0.5, 3.0),
    }
)
"""Central values. SPECT: fitted to 6 patients (scatter_sd_mm set by hand). CZT: set by hand
against real volumes; its resolution stands for camera, filter and breathing together. PET: FWHM 6.6 mm, assumed."""

_RB82_EXTRA_MM = 1.6
"""Positron range of Rb-82, added in quadrature (SD), and twice the noise of N-13."""


def image_model(kind: Kind, rng: np.random.Generator, *, tracer: Tracer = "N-13") -> ImageModel:
    """Draw the image model of one scan around the central values of its kind.

    Resolution (SD 10 %), haze (25 %), grain (15 %) and noise (35 %) vary log-normally, attenuation normally
    (20 %). How the central values were fitted is in docs/phantom-physics.md.

    Parameters
    ----------
    kind
        ``"spect"``, ``"czt"`` or ``"pet"``.
    tracer
        Of PET: Rb-82 is wider, by its positron range, and twice as noisy.

    Raises
    ------
    InputError
        For another kind.

    Examples
    --------
    >>> model = image_model("czt", np.random.default_rng(0))
    >>> model.across_mm > 0.0 and 0.0 <= model.attenuated <= 1.2
    True
    """
    if kind not in FITTED:
        raise InputError(f"Image-space simulation knows {', '.join(FITTED)}; got {kind!r}.")
    middle = FITTED[kind]
    blur, grain, noise, dark, haze = rng.normal(size=5)
    widen, louder = (_RB82_EXTRA_MM, 2.0) if kind == "pet" and tracer == "Rb-82" else (0.0, 1.0)
    scale = float(np.exp(0.1 * blur))
    return ImageModel(
        across_mm=float(np.hypot(middle.across_mm * scale, widen)),
        along_mm=float(np.hypot(middle.along_mm * scale, widen)),
        attenuated=float(np.clip(middle.attenuated * (1.0 + 0.2 * dark), 0.0, 1.2)),
        scattered=middle.scattered * float(np.exp(0.25 * haze)),
        scatter_sd_mm=middle.scatter_sd_mm,
        noise=louder * middle.noise * float(np.exp(0.35 * noise)),
        noise_power=middle.noise_power,
        grain_mm=middle.grain_mm * float(np.exp(0.15 * grain)),
    )


def simulate_fast(
    patient: PatientModel,
    rng: np.random.Generator,
    *,
    model: ImageModel | None = None,
    state: State = "stress",
    grid: Grid | None = None,
    gates: int = 1,
    quick_labels: bool = False,
) -> tuple[Volume, Volume, LVFrame]:
    """Simulate one reconstructed image with its labels and pose.

    Parameters
    ----------
    model
        How the image looks; default: a SPECT model drawn by `image_model`.
    grid
        Cubes of 1 to 12 mm in the patient's space, as `Grid.centred` lays them about ``patient.scan_centre_mm``;
        default: 64 x 64 x 64 of 6.6 mm there.
    gates
        1 for the mean over the beat; else frames of the beat, each with the noise of its share of the counts.
    quick_labels
        Label the voxels that the averaged image was made from (8 points in a voxel at an edge instead of 27): takes
        almost half the time off.

    Returns
    -------
    image (float32, normal myocardium about 1 before blur), labels (uint8: 1 myocardium, 2 blood pool) on
    the same grid with plane 0 nearest the head, and the true pose, all in the scanner's space (see
    `acquire.scanner_from_patient`).

    Raises
    ------
    InputError
        For voxels that are too small or too large, or fewer than 8 of them along an axis.
    GeometryError
        When the grid is not transaxial cubes.
    """
    model = model or image_model("spect", rng)
    grid = grid or Grid.centred((64, 64, 64), 6.6, patient.scan_centre_mm)
    spacing = grid.cube_mm
    if not 1.0 <= spacing <= 12.0 or min(grid.shape) < 8:
        raise InputError(f"An image needs cubes of 1 to 12 mm and 8 or more a side; got {spacing:g} mm, {grid.shape}.")
    static = static_organs(patient, grid)
    beats = gate_beats(patient.function, gates)
    averaged, gated = voxelise_gates(patient, grid, beats, state=state, static=static)
    darken: NDArray[np.float32] = np.ones((), np.float32)
    if model.attenuated > 0:
        mu = attenuation(patient, grid, organs=averaged)
        darken = half_turn_attenuation(mu, spacing) ** np.float32(model.attenuated)
    frames = []
    for organs, share in zip(gated, beats.recorded, strict=True):
        # A gate holds its share of the counts; the noise is that of all counts in the mean over gates.
        louder = replace(model, noise=model.noise / float(np.sqrt(share)))
        frames.append(_degrade(organs.total() * darken, spacing, louder, rng)[::-1] * np.float32(share * gates))
    image = np.stack(frames)
    if quick_labels:
        labels = ventricle_labels(averaged.occupancy["myocardium"], averaged.lv_cavity)
    else:
        labels = label_volume(patient, grid, state)
    scanner = scanner_from_patient(patient)
    flip = np.eye(4)
    flip[0, 0], flip[0, 3] = -1.0, grid.shape[0] - 1.0
    affine = scanner @ grid.lps_from_index @ flip
    return Volume(image, affine), Volume(labels[::-1].copy(), affine), rotate_frame(patient.frame, scanner)


def half_turn_attenuation(mu_per_mm: NDArray[Any], spacing_mm: float, *, views: int = 8) -> NDArray[np.float32]:
    """Return the mean of exp(-line integral) over views from RAO 45 to LPO 45, (planes, rows, columns).

    The field is smooth, so it is calculated at half resolution.
    """
    zoom = tuple(max(1, n // 2) / n for n in mu_per_mm.shape)
    small = np.ascontiguousarray(ndimage.zoom(mu_per_mm, zoom, order=1).transpose(1, 2, 0), dtype=np.float32)
    step = float(np.float32(spacing_mm * mu_per_mm.shape[1] / small.shape[0]))
    rows, columns, planes = small.shape
    side = int(np.ceil(np.hypot(rows, columns)))
    middle, centre = 0.5 * (side - 1), np.array([0.5 * (rows - 1), 0.5 * (columns - 1)])
    r, c = np.meshgrid(np.arange(rows) - centre[0], np.arange(columns) - centre[1], indexing="ij")
    out = np.zeros((rows, columns, planes), dtype=np.float32)
    for angle in np.deg2rad(225.0 - 180.0 / views * (np.arange(views) + 0.5)):
        outward, along = np.array([np.cos(angle), np.sin(angle)]), np.array([np.sin(angle), -np.cos(angle)])  # (y, x)
        start = centre + middle * outward - middle * along
        path = attenuation_layers(small * np.float32(step), np.array([*start, *-outward, *along]), side, side)
        k = np.rint(middle - (r * outward[0] + c * outward[1])).astype(np.intp)
        j = np.rint(middle + (r * along[0] + c * along[1])).astype(np.intp)
        out += np.exp(-path[np.clip(k, 0, side - 1), np.clip(j, 0, side - 1)])
    field_ = (out / views).transpose(2, 0, 1)
    back = tuple(n / m for n, m in zip(mu_per_mm.shape, field_.shape, strict=True))
    return np.asarray(ndimage.zoom(field_, back, order=1), dtype=np.float32)


def _degrade(
    activity: NDArray[np.float32], spacing_mm: float, model: ImageModel, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the image of an activity, (planes, rows, columns): blur, haze and noise by Fourier transforms."""
    size = [fft.next_fast_len(n + int(3 * model.across_mm / spacing_mm), real=True) for n in activity.shape]
    square = [
        (2 * np.pi * f / spacing_mm) ** 2 for f in (fft.fftfreq(size[0]), fft.fftfreq(size[1]), fft.rfftfreq(size[2]))
    ]
    kz, ky, kx = (s.astype(np.float32) for s in np.ix_(*square))
    # A voxel has averaged already: its variance (1/12) is taken off.
    across = max(model.across_mm**2 - spacing_mm**2 / 12, 0.0)
    along = max(model.along_mm**2 - spacing_mm**2 / 12, 0.0)
    sharp = np.exp(np.float32(-0.5) * (across * (ky + kx) + along * kz))
    haze = np.exp(np.float32(-0.5 * model.scatter_sd_mm**2) * (kz + ky + kx))
    transfer = (1 - np.float32(model.scattered)) * sharp + np.float32(model.scattered) * haze
    spectrum = fft.rfftn(activity, s=size) * transfer
    image = fft.irfftn(spectrum, s=size)[: activity.shape[0], : activity.shape[1], : activity.shape[2]]
    image = np.maximum(image, 0.0)
    grain = np.exp(np.float32(-0.5 * model.grain_mm**2) * (kz + ky + kx))
    white = rng.standard_normal(size, dtype=np.float32)
    noise = fft.irfftn(fft.rfftn(white) * grain, s=size)[: activity.shape[0], : activity.shape[1], : activity.shape[2]]
    noise /= max(float(noise.std()), 1e-9)
    level = max(float(np.percentile(image, 99.5)), 1e-9)
    noisy = image + model.noise * level * (image / level) ** model.noise_power * noise
    return np.asarray(np.maximum(noisy, 0.0), dtype=np.float32)


_CZT_SHAPE, _CZT_MM = (50, 70, 70), 4.0


def czt_field(image: Volume, heart_mm: Float, rng: np.random.Generator) -> Volume:
    """Cut an image of 4 mm voxels to the small field of a multi-pinhole camera about the heart.

    50 x 70 x 70 voxels; zero outside a flattened ball of about 122 mm radius that two planes close at head
    and foot, as in the volumes of Calixto et al. (doi:10.13026/ce2z-dw74). The heart lies within
    about a centimetre of its middle.

    Raises
    ------
    InputError
        When the voxels are not cubes of 4 mm.
    """
    affine = image.lps_from_index
    if not np.allclose(np.abs(affine[:3, :3]), _CZT_MM * np.fliplr(np.eye(3)), atol=1e-3):
        raise InputError("The small field of view is cut from transaxial cubes of 4 mm.")
    middle = index_from_lps(affine) @ np.append(heart_mm + rng.normal(0.0, 8.0, 3) + (-8.0, 12.0, 0.0), 1.0)
    first = np.rint(middle[:3] - 0.5 * (np.array(_CZT_SHAPE) - 1)).astype(int)
    z, y, x = ((np.arange(n) - 0.5 * (n - 1)) * _CZT_MM for n in _CZT_SHAPE)
    inside = (z[:, None, None] / 170.0) ** 2 + (y[:, None] / 122.0) ** 2 + (x / 124.0) ** 2 < 1.0
    inside &= (np.abs(z) < 94.0)[:, None, None]
    out = np.zeros((image.frames, *_CZT_SHAPE), np.float32)
    cuts = [_overlap(int(f), n, m) for f, n, m in zip(first, _CZT_SHAPE, image.grid_shape, strict=True)]
    out[(slice(None), *(into for into, _ in cuts))] = image.array[(slice(None), *(taken for _, taken in cuts))]
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ first
    return Volume(np.where(inside, out, np.float32(0.0)), moved)


def _overlap(first: int, wanted: int, there: int) -> tuple[slice, slice]:
    start, stop = max(first, 0), min(first + wanted, there)
    return slice(start - first, max(stop, start) - first), slice(start, max(stop, start))
