"""Geometry of a rotating camera and the reconstructed grid, and the share of each voxel that falls on each bin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from myoperf.errors import GeometryError
from myoperf.geometry import affine_from_axes
from myoperf.recon.collimator import CollimatorResponse
from myoperf.types import Float64, Projections


@dataclass(frozen=True)
class SystemGeometry:
    """What a system matrix depends on; hashable, so that matrices are computed once per geometry.

    The grid has ``columns x columns`` voxels in a plane, of the detector's column width, centred on
    the axis of rotation; one plane per detector row, plane 0 nearest the head; rows of the grid run
    to the patient's back (+y), columns to the patient's left (+x). Only voxels within the circle
    covered by every view are reconstructed.

    Parameters
    ----------
    angles_deg
        One for each view, as in `myoperf.types.Projections`.
    columns, rows
        Detector bins across and along the axis of rotation.
    column_mm, row_mm
        Their size.
    radius_mm
        Axis to collimator face, one for each view; needed with a response.
    axis_offset_mm
        Where the axis of rotation is seen on the detector, one for each view, as in `myoperf.types.Projections`;
        empty where that is its middle.
    response
        Collimator blur, or None for a perfect collimator.
    """

    angles_deg: tuple[float, ...]
    columns: int
    rows: int
    column_mm: float
    row_mm: float
    radius_mm: tuple[float, ...] | None = None
    response: CollimatorResponse | None = None
    axis_offset_mm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.response is not None and (self.radius_mm is None or len(self.radius_mm) != len(self.angles_deg)):
            raise GeometryError(
                "A collimator response needs the distance from the axis to the collimator for every view, which the "
                "projections do not give: reconstruct without the response, or give radius_mm."
            )

    @classmethod
    def of(cls, projections: Projections, response: CollimatorResponse | None = None) -> SystemGeometry:
        """Return the geometry of measured projections."""
        row_mm, column_mm = projections.pixel_mm
        radius = projections.radius_mm if response is not None else None
        return cls(
            angles_deg=tuple(projections.angles_deg.tolist()),
            columns=int(projections.array.shape[3]),
            rows=int(projections.array.shape[2]),
            column_mm=float(column_mm),
            row_mm=float(row_mm),
            radius_mm=None if radius is None else tuple(radius.tolist()),
            response=response,
            axis_offset_mm=() if projections.axis_offset_mm is None else tuple(projections.axis_offset_mm.tolist()),
        )

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Mask (columns, columns) of the reconstructed voxels, a circle about the axis."""
        steps = np.arange(self.columns) - 0.5 * (self.columns - 1)
        return np.asarray(np.hypot(steps[:, None], steps[None, :]) <= 0.5 * self.columns)

    @cached_property
    def voxels_mm(self) -> tuple[Float64, Float64]:
        """(x, y) of the reconstructed voxels, relative to the axis."""
        rows, columns = np.nonzero(self.inside)
        middle = 0.5 * (self.columns - 1)
        x, y = (columns - middle) * self.column_mm, (rows - middle) * self.column_mm
        return x.astype(np.float64), y.astype(np.float64)

    def depth_mm(self, views: tuple[int, ...]) -> Float64:
        """Return the distance from the collimator's face, (views, voxels), never negative."""
        if self.radius_mm is None:
            raise GeometryError("The distance from the axis to the collimator is not known.")
        x, y = self.voxels_mm
        angles = np.deg2rad(self.angles_deg)[list(views)][:, None]
        radius = np.array(self.radius_mm)[list(views)][:, None]
        return np.asarray(np.maximum(radius - x * np.sin(angles) - y * np.cos(angles), 0.0))

    def lps_from_index(self, axis_lps_mm: tuple[float, float, float]) -> NDArray[np.floating]:
        """Return the grid's affine in the patient: its centre is on the axis at the middle row."""
        half = 0.5 * (self.columns - 1) * self.column_mm
        origin = np.add(axis_lps_mm, (-half, -half, 0.5 * (self.rows - 1) * self.row_mm))
        axes = [(0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)]
        return affine_from_axes(origin, axes, (self.row_mm, self.column_mm, self.column_mm))


def _shadow_below(edge: Float64, wide: Float64, narrow: Float64) -> Float64:
    """Return the share of a unit square's shadow (two boxes convolved: a trapezoid) that falls below an edge."""

    def ramp(shift: Float64) -> Float64:
        return np.square(np.maximum(edge + shift, 0.0))

    total, difference = 0.5 * (wide + narrow), 0.5 * (wide - narrow)
    return np.asarray((ramp(total) - ramp(difference) - ramp(-difference) + ramp(-total)) / (2.0 * wide * narrow))


def footprints(
    geometry: SystemGeometry, views: tuple[int, ...], pad: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the bins that each voxel's shadow falls on, exactly: the voxel is a square, the bin a strip.

    Parameters
    ----------
    geometry
        Camera and grid.
    views
        Indices into the geometry's angles.
    pad
        Bins added on either side of the detector.

    Returns
    -------
    first (views, voxels), weights (views, voxels, 3)
        Index of the first bin (of ``columns + 2 pad``) and the share of the voxel on it and on the
        next two. The shares of a voxel sum to 1.
    """
    x, y = geometry.voxels_mm
    angles = np.deg2rad(geometry.angles_deg)[list(views)][:, None]
    cosine, sine = np.cos(angles), np.sin(angles)
    offset = np.array(geometry.axis_offset_mm)[list(views)][:, None] if geometry.axis_offset_mm else 0.0
    column = (y * sine - x * cosine + offset) / geometry.column_mm + 0.5 * (geometry.columns - 1) + pad
    # A shadow without slope (a view along the grid) is the limit of a very steep one.
    sides = np.maximum(np.abs(np.concatenate([cosine, sine], axis=1)), 1e-5)
    wide, narrow = sides.max(axis=1)[:, None], sides.min(axis=1)[:, None]
    first = np.floor(column - 0.5 * (wide + narrow) + 0.5).astype(np.int64)
    edges = [_shadow_below(first + step - 0.5 - column, wide, narrow) for step in range(4)]
    return first, np.stack([high - low for low, high in pairwise(edges)], axis=-1)


def system_matrix(
    geometry: SystemGeometry,
    views: tuple[int, ...],
    *,
    pad: int = 0,
    nodes: int = 1,
    node_weights: tuple[NDArray[np.int64], Float64] | None = None,
) -> sparse.csr_array:
    """Return the sparse matrix from one plane of voxels to the bins of some views.

    Parameters
    ----------
    geometry, views, pad
        As for `footprints`.
    nodes, node_weights
        With a bank of collimator blurs: how many it has, and which of them each voxel is added to in
        each view and with what weight, both (views, voxels, parts).

    Returns
    -------
    Matrix of float32, shape (views * nodes * (columns + 2 pad), voxels), bins fastest, views slowest.
    """
    first, weights = footprints(geometry, views, pad)
    bins = geometry.columns + 2 * pad
    if node_weights is None:
        node_weights = np.zeros((*first.shape, 1), dtype=np.int64), np.ones((*first.shape, 1))
    node, share = node_weights
    view = np.arange(len(views))[:, None, None, None]
    voxel = np.arange(first.shape[1])[None, :, None, None]
    column = first[:, :, None, None] + np.arange(3)
    row = (view * nodes + node[:, :, :, None]) * bins + column
    value = share[:, :, :, None] * weights[:, :, None, :]
    keep = (column >= 0) & (column < bins) & (np.abs(value) > 1e-7)
    shape = (len(views) * nodes * bins, first.shape[1])
    index = row[keep], np.broadcast_to(voxel, row.shape)[keep]
    return sparse.coo_array((value[keep].astype(np.float32), index), shape=shape).tocsr()
