"""Forward and back projection between a volume and its views, each the exact transpose of the other."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from myoperf.recon.blur import blur_bank, blur_steps
from myoperf.recon.system import SystemGeometry, system_matrix
from myoperf.types import Float32


@dataclass(frozen=True, eq=False)
class _Rows:
    """A sparse matrix by rows, each padded with zeros as `myoperf.recon.kernels.multiply` takes it."""

    shape: tuple[int, int]
    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Float32

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> "_Rows":
        from myoperf.recon.kernels import TOGETHER

        entries = np.diff(matrix.indptr)
        starts = np.concatenate([[0], np.cumsum(-(-entries // TOGETHER) * TOGETHER)])
        place = np.arange(matrix.nnz) + np.repeat(starts[:-1] - matrix.indptr[:-1], entries)
        columns, values = np.zeros(starts[-1], dtype=np.int64), np.zeros(starts[-1], dtype=np.float32)
        columns[place], values[place] = matrix.indices, matrix.data
        return cls((matrix.shape[0], matrix.shape[1]), starts, columns, values)

    def times(self, source: Float32) -> Float32:
        """Return the product with (columns, n)."""
        from myoperf.recon.kernels import multiply

        out = np.empty((self.shape[0], source.shape[1]), dtype=np.float32)
        multiply(self.starts, self.columns, self.values, np.ascontiguousarray(source), out)
        return out


@dataclass(frozen=True, eq=False)
class _Matrices:
    """What projects some views of a geometry, computed once.

    ``blurs`` are the filters of a collimator response, None without one: see `myoperf.recon.blur.blur_steps`.
    """

    views: int
    matrix: sparse.csr_array
    bins: _Rows
    voxels: _Rows
    pads: tuple[int, int]
    blurs: tuple[Float32, Float32] | None

    @cached_property
    def by_view(self) -> tuple[sparse.csr_array, ...]:
        """The matrix of each view: with attenuation, planes differ."""
        height = self.matrix.shape[0] // self.views
        return tuple(self.matrix[view * height : (view + 1) * height] for view in range(self.views))


@lru_cache(maxsize=32)
def _matrices(geometry: SystemGeometry, views: tuple[int, ...]) -> _Matrices:
    """Return what projects a geometry's views."""
    pads, blurs = (0, 0), None
    if geometry.response is None:
        matrix = system_matrix(geometry, views)
    else:
        bank = blur_bank(geometry)
        sigma = geometry.response.sigma_mm(geometry.depth_mm(views))
        matrix = system_matrix(
            geometry,
            views,
            pad=bank.pad_columns,
            nodes=bank.nodes,
            node_weights=bank.weights(sigma, geometry),
        )
        pads, blurs = (bank.pad_columns, bank.pad_rows), blur_steps(bank, geometry)
    rows, columns = _Rows.of(matrix), _Rows.of(matrix.T.tocsr())
    return _Matrices(len(views), matrix, rows, columns, pads, blurs)


class Projector:
    """Forward and back projection of some views.

    Inside, activity has the shape (voxels, frames, planes) and counts (views, columns, frames,
    rows), float32: all planes and frames go through one sparse matrix at once. With a collimator
    response there are planes beyond the detector's first and last row, since activity there blurs
    onto it; without them the first and last planes of a reconstruction become bright bands.

    Parameters
    ----------
    geometry
        Camera and grid.
    views
        Indices of the views; all by default.
    attenuation
        (all views, voxels, planes) share of photons that leave the patient, from
        `myoperf.recon.attenuation.attenuation_factors`; None for no attenuation.
    """

    def __init__(
        self, geometry: SystemGeometry, views: tuple[int, ...] | None = None, *, attenuation: Float32 | None = None
    ) -> None:
        self.geometry = geometry
        self.views = tuple(range(len(geometry.angles_deg))) if views is None else views
        self._matrices = _matrices(geometry, self.views)
        self._attenuation = None if attenuation is None else attenuation[list(self.views)]

    @property
    def pad_planes(self) -> int:
        """Planes before the first and after the last detector row."""
        return self._matrices.pads[1]

    @property
    def planes(self) -> int:
        """Planes of activity, the padding included."""
        return self.geometry.rows + 2 * self.pad_planes

    @property
    def voxels(self) -> int:
        """Voxels of a plane within the reconstructed circle."""
        return int(self._matrices.bins.shape[1])

    @property
    def entries(self) -> int:
        """Entries of the sparse system matrix: a projection multiplies each with every plane of every frame."""
        return int(self._matrices.matrix.nnz)

    def forward(self, activity: Float32) -> Float32:
        """Project activity (voxels, frames, planes) to expected counts (views, columns, frames, rows)."""
        frames = activity.shape[1]
        if self._attenuation is None:
            bins = self._matrices.bins.times(activity.reshape(self.voxels, -1))
        else:
            views = zip(self._matrices.by_view, self._attenuation, strict=True)
            bins = np.concatenate([m @ (a[:, None] * activity).reshape(self.voxels, -1) for m, a in views])
        return self._blur(bins.reshape(len(self.views), -1, frames, self.planes))

    def back(self, counts: Float32) -> Float32:
        """Return activity (voxels, frames, planes) from counts: the transpose of `forward`."""
        frames = counts.shape[2]
        bins = self._unblur(counts)
        if self._attenuation is None:
            flat = bins.reshape(-1, frames * self.planes)
            return self._matrices.voxels.times(flat).reshape(self.voxels, frames, self.planes)
        activity = np.zeros((self.voxels, frames, self.planes), dtype=np.float32)
        for matrix, attenuation, view in zip(self._matrices.by_view, self._attenuation, bins, strict=True):
            unattenuated = matrix.T @ view.reshape(-1, frames * self.planes)
            activity += attenuation[:, None] * unattenuated.reshape(activity.shape)
        return activity

    def _blur(self, bins: Float32) -> Float32:
        """Return counts from bins (views, parts * bins, frames, planes), blurred onto the detector."""
        if self._matrices.blurs is None:
            return bins
        from myoperf.recon.kernels import blur_bins

        views, frames = bins.shape[0], bins.shape[2]
        across, along = self._matrices.blurs
        counts = np.empty((views, self.geometry.columns, frames, self.geometry.rows), dtype=np.float32)
        parts = bins.reshape(views, len(across), -1, frames, self.planes)
        blur_bins(parts, across, along, self._matrices.pads, counts)
        return counts

    def _unblur(self, counts: Float32) -> Float32:
        """Return bins from counts: the transpose of `_blur`."""
        if self._matrices.blurs is None:
            return counts
        from myoperf.recon.kernels import unblur_counts

        views, columns, frames, _ = counts.shape
        across, along = self._matrices.blurs
        wide = columns + 2 * self._matrices.pads[0]
        bins = np.empty((views, len(across), wide, frames, self.planes), dtype=np.float32)
        unblur_counts(counts, across, along, self._matrices.pads, bins)
        return bins.reshape(views, -1, frames, self.planes)

    def scatter(self, activity: Float32) -> Float32:
        """Return activity as a volume's array (frames, rows, columns, columns), without the planes beyond."""
        rows, columns, frames = self.geometry.rows, self.geometry.columns, activity.shape[1]
        array = np.zeros((frames, rows, columns, columns), dtype=np.float32)
        planes = slice(self.pad_planes, self.pad_planes + rows)
        array[:, :, self.geometry.inside] = np.moveaxis(activity[:, :, planes], 0, 2)
        return array
