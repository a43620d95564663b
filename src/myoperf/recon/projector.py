"""Forward and back projection between a volume and its views, each the exact transpose of the other."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from myoperf.recon.blur import blur_bank, discrete_gaussian
from myoperf.recon.system import SystemGeometry, system_matrix
from myoperf.types import Float32


@dataclass(frozen=True, eq=False)
class _Matrices:
    """Matrices for some views of a geometry, computed once.

    ``across`` (columns, nodes * bins) blurs across the axis and sums the nodes, ``along`` (nodes,
    planes, rows) blurs along the axis; both are None without a collimator response.
    """

    bins: sparse.csr_array
    voxels: sparse.csr_array
    by_view: tuple[sparse.csr_array, ...]
    pad_planes: int
    across: Float32 | None
    along: Float32 | None


@lru_cache(maxsize=32)
def _matrices(geometry: SystemGeometry, views: tuple[int, ...]) -> _Matrices:
    """Return the matrices of a geometry's views; `_Matrices` names their shapes."""
    if geometry.response is None:
        matrix, pad_planes, across, along = system_matrix(geometry, views), 0, None, None
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
        pad_planes = bank.pad_rows
        wide, tall = geometry.columns + 2 * bank.pad_columns, geometry.rows + 2 * pad_planes
        kernels = discrete_gaussian(wide, geometry.columns, np.square(bank.sigma_mm / geometry.column_mm))
        across = np.ascontiguousarray(kernels.swapaxes(0, 1).reshape(geometry.columns, -1), dtype=np.float32)
        kernels = discrete_gaussian(tall, geometry.rows, np.square(bank.sigma_mm / geometry.row_mm))
        along = np.ascontiguousarray(kernels.swapaxes(1, 2), dtype=np.float32)
    height = matrix.shape[0] // len(views)
    by_view = tuple(matrix[view * height : (view + 1) * height] for view in range(len(views)))
    return _Matrices(matrix, matrix.T.tocsr(), by_view, pad_planes, across, along)


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
        return self._matrices.pad_planes

    @property
    def planes(self) -> int:
        """Planes of activity, the padding included."""
        return self.geometry.rows + 2 * self.pad_planes

    @property
    def voxels(self) -> int:
        """Voxels of a plane within the reconstructed circle."""
        return int(self._matrices.bins.shape[1])

    def forward(self, activity: Float32) -> Float32:
        """Project activity (voxels, frames, planes) to expected counts (views, columns, frames, rows)."""
        frames = activity.shape[1]
        if self._attenuation is None:
            bins = self._matrices.bins @ activity.reshape(self.voxels, -1)
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
            return np.asarray((self._matrices.voxels @ flat).reshape(self.voxels, frames, self.planes))
        activity = np.zeros((self.voxels, frames, self.planes), dtype=np.float32)
        for matrix, attenuation, view in zip(self._matrices.by_view, self._attenuation, bins, strict=True):
            unattenuated = matrix.T @ view.reshape(-1, frames * self.planes)
            activity += attenuation[:, None] * unattenuated.reshape(activity.shape)
        return activity

    def _blur(self, bins: Float32) -> Float32:
        """Return counts from bins (views, nodes * bins, frames, planes), blurred onto the detector."""
        across, along = self._matrices.across, self._matrices.along
        if across is None or along is None:
            return bins
        views, frames, rows = bins.shape[0], bins.shape[2], self.geometry.rows
        stacked = bins.reshape(views, len(along), -1, self.planes) @ along
        return np.asarray((across @ stacked.reshape(views, -1, frames * rows)).reshape(views, -1, frames, rows))

    def _unblur(self, counts: Float32) -> Float32:
        """Return bins from counts: the transpose of `_blur`."""
        across, along = self._matrices.across, self._matrices.along
        if across is None or along is None:
            return counts
        views, columns, frames, rows = counts.shape
        stacked = across.T @ counts.reshape(views, columns, frames * rows)
        blurred = stacked.reshape(views, len(along), -1, rows) @ along.swapaxes(1, 2)
        return np.asarray(blurred.reshape(views, -1, frames, self.planes))

    def scatter(self, activity: Float32) -> Float32:
        """Return activity as a volume's array (frames, rows, columns, columns), without the planes beyond."""
        rows, columns, frames = self.geometry.rows, self.geometry.columns, activity.shape[1]
        array = np.zeros((frames, rows, columns, columns), dtype=np.float32)
        planes = slice(self.pad_planes, self.pad_planes + rows)
        array[:, :, self.geometry.inside] = np.moveaxis(activity[:, :, planes], 0, 2)
        return array
