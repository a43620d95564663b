"""Depth-dependent collimator blur as a short sum of fixed blurs.

A Gaussian of any width between two bounds is closely approximated by a weighted sum of three
neighbours among a few fixed Gaussians. So each voxel is added, with its weights, to three of a few
sparse projections, and those are blurred instead of every depth.

The blur on pixels is the discrete Gaussian ``T(n, t) = exp(-t) I_n(t)`` (Lindeberg, IEEE Trans
Pattern Anal Mach Intell 12:234, 1990, doi:10.1109/34.49051): its variance is exactly t at any
width, its sum exactly 1, and T(., s) * T(., t) = T(., s + t). The last makes the least-squares fit
below closed-form: the inner product of two such kernels is T(0, s + t).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from myoperf.recon.system import SystemGeometry
from myoperf.types import Float32, Float64

_PARTS = 3  # fixed blurs summed for one width
_TOLERANCE = 5e-4  # largest relative error of a kernel
_MAXIMUM_NODES = 64
_LEAST_TAP, _LONGEST_FILTER = 1e-6, 64
_REACH_SIGMAS = 3.0  # activity farther beyond the detector's edge hardly blurs onto it


def discrete_gaussian(inputs: int, outputs: int, variance: ArrayLike) -> Float64:
    """Return the matrix that blurs `inputs` pixels onto the `outputs` in their middle.

    Parameters
    ----------
    inputs, outputs
        Number of pixels; ``inputs - outputs`` is even.
    variance
        In pixels squared, any shape (...).

    Returns
    -------
    Shape (..., outputs, inputs).
    """
    pad = (inputs - outputs) // 2
    distance = np.abs(np.arange(inputs)[None, :] - pad - np.arange(outputs)[:, None])
    return np.asarray(special.ive(distance, np.asarray(variance)[..., None, None]))


@dataclass(frozen=True, eq=False)
class BlurBank:
    """A few fixed blurs; blurs of other widths are interpolated between them.

    Parameters
    ----------
    sigma_mm
        (nodes,) widths, evenly spaced.
    pad_columns, pad_rows
        Pixels beyond the detector's edges from which activity still blurs onto it.
    error
        Largest relative error (norm) of an interpolated kernel.
    """

    sigma_mm: Float64
    pad_columns: int
    pad_rows: int
    error: float

    @property
    def nodes(self) -> int:
        """Number of fixed blurs."""
        return int(self.sigma_mm.size)

    def weights(self, sigma_mm: Float64, geometry: SystemGeometry) -> tuple[NDArray[np.int64], Float64]:
        """Return, for widths of any shape (...), the nodes to sum and their weights, both (..., parts)."""
        node, weight, _ = _fit(self.sigma_mm, sigma_mm, geometry)
        return node, weight


def blur_bank(geometry: SystemGeometry) -> BlurBank:
    """Return the fewest blurs from which every depth's kernel follows within 5e-4 (norm).

    Parameters
    ----------
    geometry
        With a collimator response.
    """
    assert geometry.response is not None
    depth = geometry.depth_mm(tuple(range(len(geometry.angles_deg))))
    lowest, highest = (float(s) for s in geometry.response.sigma_mm([depth.min(), depth.max()]))
    reach = _REACH_SIGMAS * highest
    pads = int(np.ceil(reach / geometry.column_mm)), int(np.ceil(reach / geometry.row_mm))
    if highest - lowest < 1e-6 * highest:
        return BlurBank(np.array([highest]), *pads, error=0.0)
    for nodes in range(_PARTS, _MAXIMUM_NODES):
        sigma = np.linspace(lowest, highest, nodes)
        error = float(_fit(sigma, np.linspace(lowest, highest, 8 * nodes + 1), geometry)[2].max())
        if error <= _TOLERANCE:
            break
    return BlurBank(sigma, *pads, error=error)


def blur_steps(bank: BlurBank, geometry: SystemGeometry) -> tuple[Float32, Float32]:
    """Return the filters that blur from each width of a bank to the next wider one, the first from none.

    Returns
    -------
    across, along
        (nodes, reach + 1), float32, reach even: middle and one side of each filter across and along the axis of
        rotation, 0 where a tap would be below 1e-6.
    """
    variance = np.diff(np.square(bank.sigma_mm), prepend=0.0)[:, None]
    filters = []
    for step_mm in (geometry.column_mm, geometry.row_mm):
        kernel = special.ive(np.arange(_LONGEST_FILTER + 1), variance / step_mm**2)
        kernel[kernel < _LEAST_TAP] = 0.0
        last = int(np.flatnonzero(kernel.any(axis=0))[-1])
        filters.append(np.ascontiguousarray(kernel[:, : max(2 * -(-last // 2), 2) + 1], dtype=np.float32))
    return filters[0], filters[1]


def _fit(nodes_mm: Float64, sigma_mm: Float64, geometry: SystemGeometry) -> tuple[NDArray[np.int64], Float64, Float64]:
    """Fit kernels to their nearest nodes by least squares; return nodes, weights (..., parts) and error (...)."""
    parts = min(_PARTS, nodes_mm.size)
    if nodes_mm.size == 1:
        shape = (*sigma_mm.shape, 1)
        return np.zeros(shape, dtype=np.int64), np.ones(shape), np.zeros(sigma_mm.shape)
    position = (sigma_mm - nodes_mm[0]) / (nodes_mm[1] - nodes_mm[0])
    start = np.clip(np.rint(position).astype(np.int64) - 1, 0, nodes_mm.size - parts)
    node = start[..., None] + np.arange(parts)
    node_variance, variance = np.square(nodes_mm[node]), np.square(sigma_mm)

    def inner_product(variance_mm2: Float64) -> Float64:
        """T(0, s + t) across times along, for two kernels whose variances sum to this."""
        across = special.ive(0, variance_mm2 / geometry.column_mm**2)
        return np.asarray(across * special.ive(0, variance_mm2 / geometry.row_mm**2))

    gram = inner_product(node_variance[..., :, None] + node_variance[..., None, :])
    target = inner_product(node_variance + variance[..., None])
    weight = np.linalg.solve(gram, target[..., None])[..., 0]
    norm = inner_product(2.0 * variance)
    residual = np.maximum(norm - (weight * target).sum(axis=-1), 0.0)
    return node, weight.astype(np.float64), np.sqrt(residual / norm)
