"""An attenuation map made ready for an emission image: its unit, its grid, and what it does not show."""

import numpy as np

from myoperf.errors import InputError
from myoperf.geometry import index_from_lps, reslice, transform_points
from myoperf.recon.hounsfield import WATER_PER_CM
from myoperf.types import Float32, Volume

_HOUNSFIELD = -500.0
_SOFT_PER_CM = (0.11, 0.19)
"""Where the median of a body lies: soft tissue of Tc-99m's photons is 0.15, a broad beam's 0.12. Hounsfield units plus
1000 or 1024, and the ones and twos of a mask, lie outside."""
_LUNG_PER_CM = 0.09
"""Between lung and soft tissue."""
_HALF_HEART_MM = 50.0


def in_per_cm(attenuation: Volume) -> Volume:
    """Return a map in 1/cm whose unit differs from that by a power of ten, as cameras store maps as whole numbers.

    The unit follows from the body itself: its median must be that of tissue.

    Raises
    ------
    InputError
        When the map has several frames, no power of ten makes it a body's, or it is in Hounsfield units.
    """
    values = attenuation.array
    if attenuation.frames != 1:
        raise InputError(f"an attenuation map has one frame, this one {attenuation.frames}")
    if float(values.min()) < _HOUNSFIELD:
        raise InputError("it is in Hounsfield units without a voltage; give the CT as DICOM")
    body = values[values > 0.3 * np.percentile(values, 99)]
    median = float(np.median(body)) if body.size else 0.0
    power = -np.floor(np.log10(median)) - 1 if median > 0 else 0.0
    if not _SOFT_PER_CM[0] <= median * 10.0**power <= _SOFT_PER_CM[1]:
        raise InputError(f"the median of its body is {median:.3g}, which no power of ten makes tissue's 0.15/cm")
    return attenuation.with_array(np.maximum(values * 10.0**power, 0.0).astype(np.float32))


def covers(attenuation: Volume, heart_mm: tuple[float, float, float]) -> bool:
    """Whether a map holds the heart: everything within 50 mm of its centre."""
    steps = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * _HALF_HEART_MM
    index = transform_points(index_from_lps(attenuation.lps_from_index), np.asarray(heart_mm) + steps)
    return bool(((index >= -0.5) & (index <= np.array(attenuation.grid_shape) - 0.5)).all())


def on_emission_grid(
    attenuation: Volume, emission: Volume, *, measured: Float32 | None = None, outline: Volume | None = None
) -> tuple[Volume, float]:
    """Resample a map to the emission's grid and complete it.

    Planes beyond the map's ends repeat its last one. What the body's outline holds and the CT did not measure, beside
    its circle, is filled with water, since it is trunk or arm.

    Parameters
    ----------
    attenuation
        1/cm.
    measured
        Shape of the map: the share of each voxel that was measured; None where all was.
    outline
        1 in the body, on any grid; None fills nothing.

    Returns
    -------
    (map on the grid, filled volume in ml)
    """
    grid, shape = emission.lps_from_index, emission.grid_shape
    mu = np.array(reslice(attenuation, grid, shape).array[0], dtype=np.float32)
    centres = transform_points(grid, [(plane, 0.5 * shape[1], 0.5 * shape[2]) for plane in range(shape[0])])
    at = transform_points(index_from_lps(attenuation.lps_from_index), centres)[:, 0]
    covered = np.flatnonzero((at >= 0.0) & (at <= attenuation.grid_shape[0] - 1.0))
    if not covered.size:
        raise InputError("no plane of it lies in the emission's field of view")
    nearest = covered[np.abs(np.arange(shape[0])[:, None] - covered[None, :]).argmin(axis=1)]
    filled_ml = 0.0
    if measured is not None and outline is not None:
        share = reslice(attenuation.with_array(measured), grid, shape).array[0]
        body = reslice(outline.with_array(outline.array.astype(np.float32)), grid, shape).array[0]
        missing = (share < 0.5) & (body > 0.5)
        missing[np.setdiff1d(np.arange(shape[0]), covered)] = False
        mu[missing] = WATER_PER_CM
        filled_ml = float(np.count_nonzero(missing)) * emission.voxel_ml
    return Volume(mu[nearest], grid), filled_ml


def share_in_lung(attenuation: Volume, labels: Volume, label: int) -> float:
    """Return the share of labelled voxels that lie in the map's lung or outside the body, 0 to 1.

    Parameters
    ----------
    attenuation, labels
        On one grid; the map in 1/cm.
    """
    inside = labels.array[0] == label
    if not inside.any():
        return 0.0
    return float((attenuation.array[0][inside] < _LUNG_PER_CM).mean())
