"""The one place (with `io` at the border) that flips, transposes or converts an axis.

World frame: LPS millimetres. Index order: (plane, row, column). See `myoperf.types`. Linear interpolation
is compiled (`myoperf.geometry.kernels`); nearest neighbour and cubic splines come from scipy.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from myoperf.errors import GeometryError
from myoperf.types import Float, Float32, LVFrame, Volume

__all__ = [
    "affine_from_axes",
    "angle_deg",
    "anterior_direction",
    "horizontal_long_axis",
    "index_from_lps",
    "largest_piece",
    "lps_from_ras",
    "reslice",
    "rotate_frame",
    "sample",
    "sample_each",
    "short_axis",
    "short_axis_grid",
    "transaxial",
    "transform_points",
    "unit",
    "vertical_long_axis",
]


_RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_HEAD, _FRONT = np.array([0.0, 0.0, 1.0]), np.array([0.0, -1.0, 0.0])
"""LPS directions towards the patient's head and chest."""


def unit(vectors: ArrayLike) -> Float:
    """Return vectors of shape (..., 3) scaled to length one.

    Examples
    --------
    >>> unit([0.0, 3.0, 4.0]).tolist()
    [0.0, 0.6, 0.8]
    """
    array = np.asarray(vectors, dtype=np.float64)
    return np.asarray(array / np.linalg.norm(array, axis=-1, keepdims=True))


def anterior_direction(axis: ArrayLike) -> Float:
    """Return the anterior direction that belongs to a long axis in a patient lying straight.

    Clinical reorientation turns the transaxial stack about the patient's length (azimuth) and then
    tilts it (elevation); there is no third turn. "Up" in the short-axis image is then the
    projection of the direction to the head onto the short-axis plane. For a left ventricle that
    points left, forward and down this puts the septum to the patient's right and front and the
    lateral wall to the left and back. The right ventricle is not consulted
    (`myoperf.polar.check_rv_side` does that).

    Parameters
    ----------
    axis
        (3,) LPS direction from apex to base.

    Returns
    -------
    (3,) unit vector at right angles to the axis.
    """
    long_axis = unit(axis)
    up = _HEAD - long_axis * (_HEAD @ long_axis)
    if np.linalg.norm(up) < 1e-3:  # upright heart: the anterior wall faces the front
        up = _FRONT - long_axis * (_FRONT @ long_axis)
    return unit(up)


def largest_piece(mask: NDArray[Any], *, corners: bool = True) -> NDArray[np.bool_]:
    """Return the largest connected piece of a mask; all False where the mask is empty.

    Parameters
    ----------
    mask
        Any number of dimensions; nonzero inside.
    corners
        Whether voxels that share only an edge or a corner are connected (26 neighbours in 3D), or
        only those that share a face (6).
    """
    inside = np.asarray(mask) != 0
    pieces, count = ndimage.label(inside, ndimage.generate_binary_structure(inside.ndim, inside.ndim if corners else 1))
    if count == 0:
        return np.zeros(inside.shape, dtype=np.bool_)
    return np.asarray(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))


def lps_from_ras(affine: ArrayLike) -> Float:
    """Convert a world affine from RAS (NIfTI) to LPS (DICOM), or back: the conversion is its own inverse.

    Parameters
    ----------
    affine
        (4, 4), index to millimetres.

    Returns
    -------
    (4, 4): x and y of the world with the other sign.

    Examples
    --------
    >>> lps_from_ras(np.eye(4)).diagonal().tolist()
    [-1.0, -1.0, 1.0, 1.0]
    """
    return _RAS_LPS @ np.asarray(affine, dtype=np.float64)


def affine_from_axes(origin_mm: ArrayLike, axes: ArrayLike, spacing_mm: ArrayLike) -> Float:
    """Build ``lps_from_index`` from the first voxel's centre and the direction of each index axis.

    Parameters
    ----------
    origin_mm
        (3,) LPS centre of voxel (0, 0, 0).
    axes
        (3, 3): row i is the LPS unit vector along index axis i (plane, row, column).
    spacing_mm
        (3,) or one number: step along each index axis.

    Returns
    -------
    (4, 4), for `myoperf.types.Volume`.

    Examples
    --------
    Transaxial planes 5 mm apart from head to foot, with pixels of 4 mm:

    >>> axes = [[0, 0, -1], [0, 1, 0], [1, 0, 0]]
    >>> affine = affine_from_axes((-126, -126, 300), axes, (5, 4, 4))
    >>> transform_points(affine, (1, 0, 0)).tolist()
    [-126.0, -126.0, 295.0]
    """
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(axes, dtype=np.float64).T * np.broadcast_to(spacing_mm, 3)
    affine[:3, 3] = origin_mm
    return affine


def index_from_lps(lps_from_index: ArrayLike) -> Float:
    """Return the inverse of an affine: from LPS millimetres to voxel indices.

    Parameters
    ----------
    lps_from_index
        (4, 4).

    Raises
    ------
    GeometryError
        When the affine has no inverse.
    """
    affine = np.asarray(lps_from_index, dtype=np.float64)
    try:
        return np.linalg.inv(affine)
    except np.linalg.LinAlgError as error:
        raise GeometryError("The affine cannot be inverted.") from error


def transform_points(affine: ArrayLike, points: ArrayLike) -> Float:
    """Apply an affine to points.

    Parameters
    ----------
    affine
        (4, 4), such as a volume's ``lps_from_index``.
    points
        Shape (..., 3).

    Returns
    -------
    Shape (..., 3), float64.

    Examples
    --------
    >>> transform_points(np.diag([2.0, 2.0, 2.0, 1.0]), [[1, 2, 3], [0, 0, 1]]).tolist()
    [[2.0, 4.0, 6.0], [0.0, 0.0, 2.0]]
    """
    matrix = np.asarray(affine, dtype=np.float64)
    return np.asarray(points, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]


def angle_deg(one: ArrayLike, other: ArrayLike) -> float:
    """Return the angle between two directions (3,) of length 1, 0 to 180 degrees.

    Examples
    --------
    >>> round(angle_deg([1, 0, 0], [0, 0, 1]))
    90
    """
    return float(np.rad2deg(np.arccos(np.clip(np.dot(one, other), -1, 1))))


def sample(volume: Volume, points_mm: ArrayLike, *, order: int = 1, outside: float = 0.0) -> NDArray[Any]:
    """Interpolate a volume at LPS points.

    Parameters
    ----------
    volume
        Any number of frames.
    points_mm
        Shape (..., 3).
    order
        0 nearest, 1 trilinear, 3 cubic spline.
    outside
        Value beyond the grid.

    Returns
    -------
    Array of shape (frames, ...), float32 (the volume's own type for order 0).
    """
    points = np.asarray(points_mm, dtype=np.float64)
    matrix = index_from_lps(volume.lps_from_index)
    if order == 1:
        from myoperf.geometry.kernels import sample_points

        flat = np.empty((volume.frames, points.size // 3), dtype=np.float32)
        image = np.ascontiguousarray(volume.array, dtype=np.float32)
        sample_points(image, matrix, np.ascontiguousarray(points.reshape(-1, 3)), float(outside), flat)
        return flat.reshape(volume.frames, *points.shape[:-1])
    index = np.moveaxis(transform_points(matrix, points), -1, 0)
    dtype = volume.array.dtype if order == 0 else np.float32
    out = np.empty((volume.frames, *points.shape[:-1]), dtype=dtype)
    for frame, values in zip(volume.array, out, strict=True):
        ndimage.map_coordinates(frame, index, output=values, order=order, mode="grid-constant", cval=outside)
    return out


def sample_each(volume: Volume, points_mm: ArrayLike, *, outside: float = 0.0) -> Float32:
    """Interpolate every frame of a volume linearly at LPS points of its own, as on a wall that moves.

    Parameters
    ----------
    points_mm
        Shape (frames, ..., 3).
    outside
        Value beyond the grid.

    Returns
    -------
    Shape (frames, ...).

    Examples
    --------
    >>> gates = Volume(np.array([1.0, 2.0], np.float32).reshape(2, 1, 1, 1) * np.ones((3, 3, 3), np.float32), np.eye(4))
    >>> sample_each(gates, [[[1, 1, 1]], [[1, 2, 1]]]).tolist()
    [[1.0], [2.0]]
    """
    from myoperf.geometry.kernels import sample_points

    points = np.ascontiguousarray(points_mm, dtype=np.float64)
    image, matrix = np.ascontiguousarray(volume.array, dtype=np.float32), index_from_lps(volume.lps_from_index)
    flat, places = np.empty((volume.frames, 1, points[0].size // 3), np.float32), points.reshape(len(points), -1, 3)
    for frame, place, out in zip(image, places, flat, strict=True):
        sample_points(frame[None], matrix, place, float(outside), out)
    return flat.reshape(points.shape[:-1])


def reslice(volume: Volume, lps_from_index: ArrayLike, shape: tuple[int, int, int], *, order: int = 1) -> Volume:
    """Resample a volume onto another grid.

    Parameters
    ----------
    volume
        Any number of frames; every one is resampled.
    lps_from_index
        (4, 4) affine of the new grid.
    shape
        (planes, rows, columns) of the new grid.
    order
        0 nearest (for labels), 1 trilinear, 3 cubic spline.

    Returns
    -------
    Volume on the new grid, float32 (the volume's own type for order 0); 0 beyond the old grid.

    Examples
    --------
    >>> volume = Volume(np.ones((8, 9, 10)), np.diag([4.0, 4.0, 4.0, 1.0]))
    >>> reslice(volume, np.diag([8.0, 8.0, 8.0, 1.0]), (4, 4, 5)).spacing_mm.tolist()
    [8.0, 8.0, 8.0]
    """
    affine = np.asarray(lps_from_index, dtype=np.float64)
    matrix = index_from_lps(volume.lps_from_index) @ affine
    dtype = volume.array.dtype if order == 0 else np.float32
    out = np.empty((volume.frames, *shape), dtype=dtype)
    if order == 1:
        from myoperf.geometry.kernels import sample_grid

        sample_grid(np.ascontiguousarray(volume.array, dtype=np.float32), matrix, out)
        return Volume(out, affine)
    for frame, values in zip(volume.array, out, strict=True):
        ndimage.affine_transform(
            frame, matrix[:3, :3], matrix[:3, 3], output_shape=shape, output=values, order=order, mode="grid-constant"
        )
    return Volume(out, affine)


def short_axis_grid(
    frame: LVFrame, *, spacing_mm: float = 4.0, field_mm: float = 160.0, margin_mm: float = 24.0
) -> tuple[Float, tuple[int, int, int]]:
    """Return a grid of short-axis planes over the left ventricle.

    Planes run from apex to base (reaching `margin_mm` past both), rows from anterior to inferior,
    columns from septal to lateral; the long axis passes through the middle of every plane.

    Parameters
    ----------
    frame
        Pose of the ventricle.
    spacing_mm
        Between planes, rows and columns.
    field_mm
        Side of the square planes.
    margin_mm
        How far the planes go on past apex and base.

    Returns
    -------
    (lps_from_index, (planes, rows, columns))
    """
    planes = int(np.ceil((frame.length_mm + 2 * margin_mm) / spacing_mm)) + 1
    side = int(np.ceil(field_mm / spacing_mm))
    axes = np.stack([frame.axis, -frame.anterior, frame.lateral])
    half = 0.5 * (side - 1) * spacing_mm
    origin = frame.apex_mm - margin_mm * axes[0] - half * axes[1] - half * axes[2]
    return affine_from_axes(origin, axes, spacing_mm), (planes, side, side)


def short_axis(volume: Volume, frame: LVFrame, *, spacing_mm: float = 4.0, order: int = 1) -> Volume:
    """Reslice a volume to short axis, on the grid of `short_axis_grid`.

    Parameters
    ----------
    volume
        Transaxial or any other; gates are kept.
    frame
        Pose of the ventricle.
    spacing_mm
        Of the new voxels.
    order
        0 nearest (for labels), 1 trilinear, 3 cubic spline.

    Examples
    --------
    >>> volume = Volume(np.ones((40, 41, 42)), affine_from_axes((-80, -80, -80), np.eye(3), 4.0))
    >>> frame = LVFrame(apex_mm=(30, -30, -20), base_mm=(-10, 10, 10), anterior=(0, 0, 1))
    >>> short_axis(volume, frame).array.shape
    (1, 30, 40, 40)
    """
    return reslice(volume, *short_axis_grid(frame, spacing_mm=spacing_mm), order=order)


def vertical_long_axis(short_axis_volume: Volume) -> Volume:
    """Turn a short-axis volume to vertical long axis: the same voxels, with the axes in another order.

    Returns
    -------
    Planes septal to lateral, rows anterior to inferior, columns base to apex.
    """
    return _permuted(short_axis_volume, (2, 1, 0), flip=(False, False, True))


def horizontal_long_axis(short_axis_volume: Volume) -> Volume:
    """Turn a short-axis volume to horizontal long axis: the same voxels, with the axes in another order.

    Returns
    -------
    Planes inferior to anterior, rows apex to base, columns septal to lateral.
    """
    return _permuted(short_axis_volume, (1, 0, 2), flip=(True, False, False))


def transaxial(volume: Volume) -> Volume:
    """Return a stack along the patient's axes with transaxial planes: the same voxels at the same places.

    A stack whose planes are transaxial already is returned as it is. Of others (coronal, sagittal) planes run from
    head to foot then, rows from front to back and columns from right to left, each as nearly as the stack allows.
    """
    directions = volume.lps_from_index[:3, :3] / volume.spacing_mm  # columns: index axes
    x, y, z = (int(np.argmax(np.abs(row))) for row in directions)
    if z == 0:
        return volume
    flip = directions[2, z] > 0, directions[1, y] < 0, directions[0, x] < 0
    return _permuted(volume, (z, y, x), flip=flip)


def _permuted(volume: Volume, order: tuple[int, int, int], *, flip: tuple[bool, bool, bool]) -> Volume:
    """Return the same voxels with index axes in another order; axes of the result marked in `flip` run backwards."""
    array = volume.array.transpose(0, *(axis + 1 for axis in order))
    steps = volume.lps_from_index[:3, :3][:, order].copy()
    origin = volume.lps_from_index[:3, 3].copy()
    slices: list[slice] = [slice(None)]
    for axis, backwards in enumerate(flip):
        slices.append(slice(None, None, -1) if backwards else slice(None))
        if backwards:
            origin += steps[:, axis] * (array.shape[axis + 1] - 1)
            steps[:, axis] *= -1
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, origin
    return Volume(array[tuple(slices)], affine)


def rotate_frame(frame: LVFrame, lps_from_lps: ArrayLike) -> LVFrame:
    """Return a pose moved by a rigid transform, such as the registration of two scans.

    Parameters
    ----------
    frame
        Pose of the ventricle.
    lps_from_lps
        (4, 4): new from old LPS millimetres.
    """
    matrix = np.asarray(lps_from_lps, dtype=np.float64)
    apex, base = transform_points(matrix, np.stack([frame.apex_mm, frame.base_mm]))
    return LVFrame(apex, base, matrix[:3, :3] @ frame.anterior)
