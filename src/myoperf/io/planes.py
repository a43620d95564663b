"""Image planes: orientation and pixel spacing of NM and PET, as the header gives them."""

import numpy as np
from numpy.typing import ArrayLike
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError
from myoperf.io.header import number, stated_numbers
from myoperf.io.plausible import check_spacing
from myoperf.types import Finding, Float


def plane_axes(cosines: ArrayLike, name: str) -> Float:
    """Return the unit vectors (normal, down the rows, along the columns) of Image Orientation, shape (3, 3).

    The normal is the cross product of the direction along a row and down a column (PS3.3 C.7.6.2.1.1).

    Raises
    ------
    GeometryError
        When the two directions are missing, are not unit vectors or are not at right angles.
    """
    values = np.asarray(cosines, dtype=np.float64)
    if values.shape != (6,):
        raise GeometryError(
            f"{name}: Image Orientation is missing; a volume's orientation is never guessed. Export the file with its "
            "geometry; for short-axis slices, with the view code or an Image ID that says Short Axis."
        )
    along, down = values[:3], values[3:]
    lengths = np.linalg.norm(along), np.linalg.norm(down)
    if not np.allclose(lengths, 1.0, atol=0.02) or abs(along @ down) > 0.02:
        raise GeometryError(f"{name}: Image Orientation is not two unit vectors at right angles.")
    along = along / lengths[0]
    down = down - along * (along @ down)
    down = down / np.linalg.norm(down)
    return np.stack([np.cross(along, down), down, along])


def pixel_spacing_mm(dataset: Dataset, name: str) -> tuple[float, float]:
    """Return (row, column) spacing; Pixel Spacing includes the zoom (PS3.3 C.8.4.8).

    Raises
    ------
    GeometryError
        When it is missing, not positive or implausible.
    InputError
        When it cannot be understood.
    """
    values = stated_numbers(dataset, "PixelSpacing", name)
    if len(values) != 2 or min(values) <= 0:
        raise GeometryError(f"{name}: Pixel Spacing is missing or not positive; export the file with its geometry.")
    check_spacing("Pixel Spacing", values, name)
    return values[0], values[1]


def check_slices(header: Dataset, slices: int) -> tuple[Finding, ...]:
    """Return a warning where an image has fewer slices than Number of Slices (0054,0081) says."""
    stated = number(header, "NumberOfSlices") or 0
    if slices >= stated:
        return ()
    message = f"The file states {stated:.0f} slices, the image has {slices}: part of the heart may be missing."
    return (Finding("slices-missing", "warning", message),)


_NEARLY_PARALLEL = np.cos(np.deg2rad(15.0))


def is_transaxial(axes: Float) -> bool:
    """Whether the planes' normal is within 15 degrees of the patient's long axis."""
    return bool(abs(axes[0][2]) > _NEARLY_PARALLEL)


def is_coronal_or_sagittal(axes: Float) -> bool:
    """Whether planes, rows and columns are within 15 degrees of the patient's axes, the planes not transaxial."""
    along_axis = np.abs(axes) > _NEARLY_PARALLEL
    return bool((along_axis.sum(axis=0) == 1).all() and not along_axis[0, 2])


def cuts_across_heart(axes: Float) -> bool:
    """Whether the planes' normal is within 50 degrees of the long axis of a typical heart, as in short-axis slices.

    The planes of horizontal and vertical long-axis slices contain that axis: their normals are some 90 degrees from it.
    """
    return bool(abs(axes[0] @ NOMINAL_SHORT_AXIS[0]) > np.cos(np.deg2rad(50.0)))


def _nominal_short_axis() -> Float:
    """Return the axes (apex to base, anterior to inferior, septal to lateral) of a typical heart."""
    axis = np.array([-0.66, 0.62, 0.42])
    axis /= np.linalg.norm(axis)
    inferior = np.array([0.0, 0.0, -1.0])
    inferior -= axis * (axis @ inferior)
    inferior /= np.linalg.norm(inferior)
    return np.stack([axis, inferior, np.cross(axis, -inferior)])


NOMINAL_SHORT_AXIS = _nominal_short_axis()
"""Axes assumed for short-axis slices whose file has no patient orientation: unit vectors (plane, row, column).

Planes run from apex to base, rows from anterior to inferior, columns from septal to lateral; the
apex points to the left, forwards and down as in most patients. A finding says that directions in
the patient are nominal then; what is measured within the heart does not depend on them.
"""
