"""Parallel-hole SPECT: noiseless views of a patient on a fine grid.

The grid turns with the detector (bilinear), every layer is attenuated along its ray, and the sum
is built from the far layer to the near one with a small diffusion at each step, so that every
layer ends with exactly the variance of the collimator at its depth. The reconstruction works with a
ray-driven system matrix on a coarser grid: the two share no code, grid or blur model.

Sources: depth-dependent resolution, Metz et al., Phys Med Biol 25 (1980) 1059; layer-wise diffusion,
after the slice-by-slice blurring of Bai, Zeng and Gullberg, Phys Med Biol 45 (2000) 1275; holes and the Symbia's
intrinsic resolution as in the collimator table of SIMIND. The build-up against depth (after
Siegel, 1985) and the mono-exponential scatter kernel (after Axelsson, 1984) are assumptions: their
form and numbers were not checked against the papers.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from myoperf.errors import GeometryError, InputError
from myoperf.phantom.projector_kernels import attenuation_layers, sum_layers
from myoperf.phantom.records import Grid
from myoperf.types import Float

_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
_PAD = 12


@dataclass(frozen=True)
class Collimator:
    """Parallel holes before a scintillator.

    Parameters
    ----------
    name
        As in the file's header.
    hole_mm, length_mm
        Diameter and length of the holes; the length is shortened by twice the mean free path in lead at
        140 keV (0.37 mm) for penetration.
    intrinsic_fwhm_mm
        Of the crystal.
    """

    name: str
    hole_mm: float
    length_mm: float
    intrinsic_fwhm_mm: float

    def fwhm_mm(self, distance_mm: Float) -> Float:
        """Return system resolution at a distance from the collimator's face (Metz 1980)."""
        length = self.length_mm - 2 * 0.37
        geometric = self.hole_mm * (length + np.maximum(distance_mm, 0.0)) / length
        return np.asarray(np.hypot(self.intrinsic_fwhm_mm, geometric))

    def variance_mm2(self, distance_mm: Float) -> Float:
        """Return the variance of the Gaussian of that FWHM."""
        return np.asarray((self.fwhm_mm(distance_mm) / _FWHM) ** 2)


LEHR_GE = Collimator("LEHR", 1.5, 35.0, 3.8)
LEHR_SIEMENS = Collimator("LEHR", 1.11, 24.05, 3.8)


@dataclass(frozen=True)
class Scatter:
    """Scatter in the photopeak window, as an effective build-up with a wide kernel.

    Parameters
    ----------
    share
        f: counts of a source behind the line integral L of attenuation are built up by exp(f L), that is by
        broad-beam attenuation (1 - f) mu. 0.25 turns 0.15/cm of water into 0.11/cm (Chang's correction
        takes 0.11 to 0.12 for a 20 % window): 0.45 scattered counts a primary one behind 10 cm of water.
    slope_per_mm
        The kernel on the detector falls as exp(-slope r); 0.0236/mm.
    """

    share: float = 0.25
    slope_per_mm: float = 0.0236

    def __post_init__(self) -> None:
        if not 0.0 <= self.share < 1.0 or self.slope_per_mm <= 0.0:
            raise InputError("Scatter needs a share from 0 to below 1 and a positive slope.")


@dataclass(frozen=True, eq=False)
class Camera:
    """The detector's orbit, pixels and physics.

    Parameters
    ----------
    angles_deg, radius_mm
        Shape (views,), as `myoperf.types.Projections`.
    shape
        (rows, columns) of a view.
    pixel_mm
        Square pixels.
    axis_lps_mm
        The axis of rotation at the middle row.
    shift_lps_mm
        Shape (views, 3): how far the patient has moved at each view, or None.
    axial_blur_mm
        SD of the patient's movement along the body within every view (breathing).
    """

    angles_deg: Float
    radius_mm: Float
    shape: tuple[int, int] = (64, 64)
    pixel_mm: float = 6.6
    axis_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    collimator: Collimator = LEHR_GE
    scatter: Scatter = field(default_factory=Scatter)
    shift_lps_mm: Float | None = None
    axial_blur_mm: float = 0.0

    def __post_init__(self) -> None:
        if np.shape(self.angles_deg) != np.shape(self.radius_mm) or np.ndim(self.angles_deg) != 1:
            raise GeometryError("A camera needs as many radii as angles.")
        if self.shift_lps_mm is not None and np.shape(self.shift_lps_mm) != (len(self.angles_deg), 3):
            raise GeometryError(f"Movement needs shape (views, 3); got {np.shape(self.shift_lps_mm)}.")
        if self.pixel_mm <= 0 or min(self.shape) < 1:
            raise GeometryError(f"A camera needs pixels; got {self.shape} of {self.pixel_mm} mm.")


@dataclass(frozen=True, eq=False)
class Views:
    """Noiseless counts of each source, shape (sources, views, rows, columns)."""

    primary: NDArray[np.float32]
    scattered: NDArray[np.float32]

    @property
    def total(self) -> NDArray[np.float32]:
        """Counts in the photopeak window."""
        return self.primary + self.scattered


def project(
    sources: Sequence[NDArray[Any]], mu_per_mm: NDArray[Any], grid: Grid, camera: Camera, *, threads: int = 1
) -> Views:
    """Return the noiseless views of several sources in one attenuating body.

    Each source is projected only inside the box of its non-zero voxels, and all share the attenuation of
    a view, so that the gates of a heart cost little compared with the body.

    Parameters
    ----------
    sources
        Activities, each (planes, rows, columns): counts a voxel would give one view without attenuation.
    mu_per_mm
        Same shape: linear attenuation, 1/mm.
    grid
        Transaxial cubes as `Grid.centred` lays them.
    threads
        Views projected at a time; the result does not depend on it.

    Raises
    ------
    GeometryError
        When the grid is not transaxial cubes or a shape differs from it.
    """
    spacing, origin = grid.cube_mm, grid.lps_from_index[:3, 3]
    if any(np.shape(array) != grid.shape for array in (*sources, mu_per_mm)):
        raise GeometryError(f"Every source and the attenuation map need the grid's shape {grid.shape}.")
    mu = np.ascontiguousarray(np.transpose(mu_per_mm, (1, 2, 0)), dtype=np.float32) * np.float32(spacing)
    boxes = [_box(source) for source in sources]
    shape = (len(sources), len(camera.angles_deg), *camera.shape)
    primary, scattered = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def one(view: int) -> None:
        _one_view(view, boxes, mu, (spacing, origin), camera, (primary[:, view], scattered[:, view]))

    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(one, range(shape[1])))
    if camera.scatter.share > 0:
        scattered = _spread(scattered, camera)
    return Views(primary, scattered)


def orbit_radius(
    body: NDArray[Any], grid: Grid, angles_deg: Float, *, axis_lps_mm: Sequence[float], margin_mm: float, circular: bool
) -> Float:
    """Return the radius at each view that clears the body by a margin: its contour, or the circle round it.

    Parameters
    ----------
    body
        (planes, rows, columns), True inside the body.
    """
    spacing, origin = grid.cube_mm, grid.lps_from_index[:3, 3]
    rows, columns = np.nonzero(body.any(axis=0))
    if not rows.size:
        raise GeometryError("An orbit needs a body; the mask is empty.")
    x = origin[0] + spacing * columns - axis_lps_mm[0]
    y = origin[1] + spacing * rows - axis_lps_mm[1]
    angles = np.deg2rad(np.asarray(angles_deg, dtype=np.float64))
    reach = (np.sin(angles)[:, None] * x + np.cos(angles)[:, None] * y).max(axis=1)
    radius = np.maximum(reach, 60.0) + 0.5 * spacing + margin_mm
    return np.full_like(radius, radius.max()) if circular else radius


def _box(source: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cut a source to its non-zero voxels: (rows, columns, planes) and the corner there."""
    if not np.any(source):
        return np.zeros((0, 0, 0), np.float32), np.zeros(3, np.int64)
    cuts = []
    for axis in (1, 2, 0):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(np.any(source, axis=others))
        cuts.append(slice(int(used[0]), int(used[-1]) + 1))
    cut = np.transpose(source, (1, 2, 0))[tuple(cuts)]
    return np.ascontiguousarray(cut, dtype=np.float32), np.array([c.start for c in cuts], dtype=np.int64)


def _one_view(
    view: int,
    boxes: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]],
    mu: NDArray[np.float32],
    lattice: tuple[float, Float],
    camera: Camera,
    out: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    spacing, origin = lattice
    rows, columns, _ = mu.shape
    angle = np.deg2rad(float(camera.angles_deg[view]))
    outward, along = (np.sin(angle), np.cos(angle)), (-np.cos(angle), np.sin(angle))  # (x, y)
    moved = np.zeros(3) if camera.shift_lps_mm is None else np.asarray(camera.shift_lps_mm)[view]
    axis = (np.asarray(camera.axis_lps_mm) - moved - origin) / spacing  # index of the axis: (x, y, z)
    corners = np.array([[x, y] for x in (0, columns - 1) for y in (0, rows - 1)]) - axis[:2]
    deep, wide = corners @ np.asarray(outward), corners @ np.asarray(along)
    front, layers = float(np.ceil(deep.max())), int(np.ceil(deep.max()) - np.floor(deep.min())) + 1
    start, across = float(np.floor(wide.min())), int(np.ceil(wide.max()) - np.floor(wide.min())) + 1
    x0, y0 = (axis[i] + front * outward[i] + start * along[i] for i in (0, 1))
    steps = np.array([y0, x0, -outward[1], -outward[0], along[1], along[0]])
    path = attenuation_layers(mu, steps, layers, across)
    distance = float(camera.radius_mm[view]) - spacing * (front - np.arange(layers))
    # The voxel (1/12) and the bilinear turn (1/6) blur already: both are taken off the detector's variance.
    # Less than 0.45 would leave points too sharp to be shared between pixels (at 3.3 mm: nearer than 5 cm).
    variance = np.maximum(camera.collimator.variance_mm2(distance) / spacing**2, 0.45)
    breath = (camera.axial_blur_mm / spacing) ** 2
    weights = 0.5 * np.append(np.diff(variance), 0.0)
    edges_u = (np.arange(camera.shape[1] + 1) - 0.5 * camera.shape[1]) * camera.pixel_mm / spacing
    edges_z = axis[2] - (np.arange(camera.shape[0] + 1) - 0.5 * camera.shape[0]) * camera.pixel_mm / spacing
    for index, (activity, corner) in enumerate(boxes):
        if not activity.size:
            continue
        box = _turned_box(activity.shape, corner, axis, (outward, along), (front, start, layers, across))
        first, scattered = sum_layers(activity, corner, path, steps, box, weights, camera.scatter.share)
        u = start + box[2] - _PAD + np.arange(first.shape[0])
        z = corner[2] - _PAD + np.arange(first.shape[1])
        left = variance[box[0]]
        over_u, over_z = _bin(edges_u, u, left - 0.25), _bin(edges_z[::-1], z, left - 1.0 / 12.0 + breath)[::-1]
        out[0][index] = over_z @ first.T @ over_u.T
        if camera.scatter.share > 0:
            out[1][index] = _bin(edges_z[::-1], z, 0.05)[::-1] @ scattered.T @ _bin(edges_u, u, 0.05).T


def _turned_box(
    shape: tuple[int, ...],
    corner: NDArray[np.int64],
    axis: Float,
    directions: Any,
    frame: tuple[float, float, int, int],
) -> NDArray[np.int64]:
    """Return (first layer, past last, first column, past last, padding) that hold a box of the grid."""
    front, start, layers, across = frame
    low, high = corner[:2] - 1, corner[:2] + np.asarray(shape[:2])
    corners = np.array([[x, y] for x in (low[1], high[1]) for y in (low[0], high[0])]) - axis[:2]
    deep, wide = corners @ np.asarray(directions[0]), corners @ np.asarray(directions[1])
    return np.array(
        [
            max(0, int(np.floor(front - deep.max()))),
            min(layers, int(np.ceil(front - deep.min())) + 1),
            max(0, int(np.floor(wide.min() - start))),
            min(across, int(np.ceil(wide.max() - start)) + 1),
            _PAD,
        ],
        dtype=np.int64,
    )


def _bin(edges: Float, centres: Float, variance: float) -> NDArray[np.float32]:
    """Return the share of a Gaussian at each centre that falls between neighbouring (rising) edges."""
    sigma = np.sqrt(max(float(variance), 1e-3))
    below = special.ndtr((edges[:, None] - centres[None, :]) / sigma)
    return np.asarray(np.diff(below, axis=0), dtype=np.float32)


def _spread(scattered: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    """Convolve every view with the unit-sum kernel exp(-slope r)."""
    rows, columns = camera.shape
    size = (fft.next_fast_len(2 * rows - 1, real=True), fft.next_fast_len(2 * columns - 1, real=True))
    r, c = (np.minimum(np.arange(n), n - np.arange(n)) * camera.pixel_mm for n in size)
    kernel = np.exp(-camera.scatter.slope_per_mm * np.hypot(r[:, None], c[None, :]))
    transfer = fft.rfft2((kernel / kernel.sum()).astype(np.float32))
    out = fft.irfft2(fft.rfft2(scattered, s=size) * transfer, s=size)[..., :rows, :columns]
    return np.asarray(np.maximum(out, 0.0), dtype=np.float32)
