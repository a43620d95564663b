"""Resolution of a reconstructed image, measured by adding a point to the views that it is made from."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from myoperf.errors import AnalysisError, GeometryError
from myoperf.geometry import transform_points
from myoperf.recon.collimator import FWHM_PER_SIGMA, CollimatorResponse
from myoperf.recon.reconstruction import ReconOptions, reconstruct
from myoperf.recon.system import SystemGeometry
from myoperf.types import Float64, Projections

_BRIGHTNESS = 0.05  # of the point against the brightest bin: small enough for a linear response
_REACH_MM = 22.0  # the fit covers the centre of the response, not the filter's rings


@dataclass(frozen=True, kw_only=True)
class ImageResolution:
    """Width of a point in a reconstructed image.

    Attributes
    ----------
    fwhm_mm
        One number: the geometric mean of the three widths.
    fwhm_xyz_mm
        Full width at half maximum along the patient's left-right, front-back and body axes.
    """

    fwhm_mm: float
    fwhm_xyz_mm: tuple[float, float, float]


def image_resolution(
    projections: Projections,
    place_lps_mm: tuple[float, float, float],
    response: CollimatorResponse,
    options: ReconOptions | None = None,
) -> ImageResolution:
    """Return the resolution of a reconstruction at a place, such as the middle of the left ventricle's wall.

    The local impulse response (Fessler and Rogers, IEEE Trans Image Process 5:1346, 1996, doi:10.1109/83.535846): a
    weak point is added to the views, blurred as the collimator blurs at its distance in each view; the difference
    of the images with and without it is the response, to which a Gaussian is fitted. Collimator, detector bins,
    iterations, resolution recovery and filter are all in it. The patient's breathing and heart beat, scatter and
    attenuation are not.

    Parameters
    ----------
    projections
        The views that were reconstructed, with a radius; gates are summed.
    place_lps_mm
        Inside the field of view, 40 mm or more from its ends. Iterations converge first where there is much activity:
        in the wall the response is sharper than in the cavity.
    response
        Of the collimator that the views were acquired with, also where the reconstruction does not correct for it.
    options
        Of the reconstruction; the defaults of `reconstruct` where None.

    Raises
    ------
    GeometryError
        When the projections have no radius, or the place lies outside the field of view.
    AnalysisError
        When the response is no single peak.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> counts = rng.poisson(20.0, (1, 30, 32, 32)).astype(np.float32)
    >>> views = Projections(counts, 225.0 - 6.0 * np.arange(30), (6.0, 6.0), np.full(30, 200.0))
    >>> from myoperf.recon import GE_LEHR
    >>> 10.0 < image_resolution(views, (0.0, 0.0, 0.0), GE_LEHR).fwhm_mm < 20.0
    True
    """
    views = projections.summed()
    geometry = SystemGeometry.of(views, response)
    point = views_of_point(geometry, np.subtract(place_lps_mm, views.axis_lps_mm))
    strength = _BRIGHTNESS * float(views.array.max()) / float(point.max())
    brighter = replace(views, array=views.array.astype(np.float32) + (strength * point[None]).astype(np.float32))
    # The options' response may differ from `response`: it is what the reconstruction believes.
    plain, added = (reconstruct(each, options).volume for each in (views, brighter))
    difference = (added.array[0] - plain.array[0]).astype(np.float64)
    index = np.argwhere(np.ones(difference.shape, dtype=np.bool_))
    places = transform_points(plain.lps_from_index, index) - np.asarray(place_lps_mm)
    near = np.linalg.norm(places, axis=1) <= _REACH_MM
    return _fitted(places[near], difference.ravel()[near])


def views_of_point(geometry: SystemGeometry, place_mm: Float64) -> Float64:
    """Return the expected views of a point of one count per view, (views, rows, columns): Gaussians summed over bins.

    Parameters
    ----------
    geometry
        With a response and a radius.
    place_mm
        (x, y, z) relative to the axis at the middle row.

    Raises
    ------
    GeometryError
        When the point lies outside the field of view.
    """
    assert geometry.response is not None
    x, y, z = (float(v) for v in place_mm)
    half_width, half_height = 0.5 * geometry.columns * geometry.column_mm, 0.5 * geometry.rows * geometry.row_mm
    if np.hypot(x, y) > half_width or abs(z) > half_height:
        raise GeometryError("The resolution was requested at a place outside the field of view.")
    angles = np.deg2rad(geometry.angles_deg)
    offset = np.array(geometry.axis_offset_mm) if geometry.axis_offset_mm else np.zeros(angles.size)
    across = -x * np.cos(angles) + y * np.sin(angles) + offset
    depth = np.array(geometry.radius_mm) - x * np.sin(angles) - y * np.cos(angles)
    sigma = geometry.response.sigma_mm(depth)
    column_edges = (np.arange(geometry.columns + 1) - 0.5 * geometry.columns) * geometry.column_mm
    row_edges = (np.arange(geometry.rows + 1) - 0.5 * geometry.rows) * geometry.row_mm
    columns = np.diff(special.ndtr((column_edges - across[:, None]) / sigma[:, None]), axis=1)
    rows = np.diff(special.ndtr((row_edges + z) / sigma[:, None]), axis=1)  # rows run to the feet
    return np.asarray(rows[:, :, None] * columns[:, None, :])


def _fitted(places: Float64, values: Float64) -> ImageResolution:
    """Fit a Gaussian to a response about its place and return its widths."""
    from scipy import optimize  # slow to load

    def gaussian(places: Float64, peak: float, *shape: float) -> Float64:
        centre, sigma = np.array(shape[:3]), np.array(shape[3:])
        return np.asarray(peak * np.exp(-0.5 * np.square((places - centre) / sigma).sum(axis=1)))

    scale = float(values.max())
    start = (1.0, 0.0, 0.0, 0.0, 6.0, 6.0, 6.0)
    try:
        fitted, _ = optimize.curve_fit(gaussian, places, values / scale, p0=start)
    except (RuntimeError, ValueError) as error:
        raise AnalysisError("The resolution could not be measured: the point's image has no single peak.") from error
    x, y, z = (float(v) for v in FWHM_PER_SIGMA * np.abs(fitted[4:]))
    return ImageResolution(fwhm_mm=float((x * y * z) ** (1.0 / 3.0)), fwhm_xyz_mm=(x, y, z))
