"""Limits of what an image of the heart can be; whatever lies beyond is refused before memory or time goes into it.

A message states the quantity, its value and the limit: numbers of a grid are no patient data.
"""

from collections.abc import Sequence

import numpy as np

from myoperf.errors import GeometryError, InputError
from myoperf.types import Float, Projections, Volume

VOXEL_MM = (0.4, 20.0)
EXTENT_MM = (40.0, 2200.0)
FARTHEST_MM = 10_000.0
MOST_FRAMES = 64
MOST_IMAGES = 8192
MOST_VALUES = 2**29
FEWEST_VIEWS = 4
LARGEST_ANGLE_DEG = 720.0
"""Pixels of one file, or values of one volume: 1 GiB of 16 bits."""


def check_spacing(label: str, spacing_mm: Sequence[float], name: str) -> None:
    """Refuse a distance between pixels or slices beyond `VOXEL_MM`.

    Raises
    ------
    GeometryError
    """
    low, high = VOXEL_MM
    for value in spacing_mm:
        if not low <= abs(value) <= high:
            raise GeometryError(
                f"{name}: {label} is {value:g} mm; {low:g} to {high:g} mm is expected. Export the file with "
                "its geometry."
            )


def check_position(label: str, position_mm: Sequence[float], name: str) -> None:
    """Refuse a position farther than `FARTHEST_MM` from the origin.

    Raises
    ------
    GeometryError
    """
    for value in position_mm:
        if not abs(value) <= FARTHEST_MM:
            raise GeometryError(
                f"{name}: {label} is {value:g} mm; at most {FARTHEST_MM:g} mm from the origin is expected. Export the "
                "file with its geometry."
            )


def check_angle(label: str, angle_deg: float, name: str) -> None:
    """Refuse an angle beyond `LARGEST_ANGLE_DEG`, two full turns.

    Raises
    ------
    GeometryError
    """
    if not abs(angle_deg) <= LARGEST_ANGLE_DEG:
        raise GeometryError(
            f"{name}: {label} is {angle_deg:g} degrees; {-LARGEST_ANGLE_DEG:g} to {LARGEST_ANGLE_DEG:g} degrees are "
            "expected. Correct the attribute or export the file again."
        )


def check_image_size(frames: int, rows: int, columns: int, name: str) -> None:
    """Refuse a file whose decoded pixels would be too many or none, before they are unpacked.

    Raises
    ------
    InputError
    """
    if not 1 <= frames <= MOST_IMAGES:
        raise InputError(f"{name}: Number of Frames is {frames}; 1 to {MOST_IMAGES} images a file are expected.")
    if min(rows, columns) < 1 or frames * rows * columns > MOST_VALUES:
        raise InputError(
            f"{name}: {frames} images of {rows} x {columns} pixels; 1 to {MOST_VALUES} pixels a file are expected."
        )


def check_volume(volume: Volume, name: str) -> None:
    """Refuse a volume whose grid or number of frames cannot be those of a heart study.

    Raises
    ------
    GeometryError, InputError
    """
    _check_grid(volume.spacing_mm, volume.grid_shape, name)
    check_position("the volume's position", volume.lps_from_index[:3, 3].tolist(), name)
    check_frames(volume.frames, name)


def check_projections(projections: Projections, name: str) -> None:
    """Refuse raw views whose number, pixels, field of view or number of gates cannot be those of a heart study.

    Raises
    ------
    GeometryError, InputError
    """
    views = projections.array.shape[1]
    if views < FEWEST_VIEWS:
        raise InputError(
            f"{name}: {views} raw {'view' if views == 1 else 'views'}; at least {FEWEST_VIEWS} are needed for a "
            "reconstruction. Give all views."
        )
    _check_grid(projections.pixel_mm, projections.array.shape[2:], name)
    check_position("the height of the views", projections.axis_lps_mm, name)
    check_frames(projections.frames, name)


def check_frames(frames: int, name: str) -> None:
    """Refuse more gates or time frames than `MOST_FRAMES`.

    Raises
    ------
    InputError
    """
    if frames > MOST_FRAMES:
        raise InputError(f"{name}: {frames} gates or time frames; at most {MOST_FRAMES} are expected.")


def _check_grid(spacing_mm: Float | Sequence[float], shape: Sequence[int], name: str) -> None:
    """Refuse a grid by its spacing and by its extent along each axis."""
    check_spacing("the distance between pixels or slices", [float(value) for value in spacing_mm], name)
    low, high = EXTENT_MM
    extents = np.asarray(spacing_mm, dtype=np.float64) * np.asarray(shape)
    for extent, count in zip(extents, shape, strict=True):
        if not low <= extent <= high:
            raise GeometryError(
                f"{name}: the image is {extent:g} mm long along an axis of {count} pixels or slices; {low:g} to "
                f"{high:g} mm is expected for a heart study."
            )
