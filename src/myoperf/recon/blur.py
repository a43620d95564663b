"""Depth-dependent collimator blur as a short sum of fixed blurs.

A Gaussian of any width between two bounds is, closely, a weighted sum of three neighbours out of a
few fixed Gaussians. So a view is blurred by sending each voxel, with its weights, to three of a few
sparse projections and blurring those, instead of blurring every depth by itself.

The blur on pixels is the discrete Gaussian ``T(n, t) = exp(-t) I_n(t)`` (Lindeberg, IEEE Trans
Pattern Anal Mach Intell 12:234, 1990, doi:10.1109/34.49051): its variance is exactly t at any
width, its sum exactly 1, and T(., s) * T(., t) = T(., s + t). The last makes the least-squares fit
below closed form: the inner product of two such kernels is T(0, s + t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from myoperf.recon.system import SystemGeometry
from myoperf.types import Float64

__all__ = ["BlurBank", "blur_bank", "discrete_gaussian"]

_PARTS = 3
_TOLERANCE = 5e-4
_MAXIMUM_NODES = 64
_REACH_SIGMAS = 3.0


def discrete_gaussian(inputs: int, outputs: int, variance: ArrayLike) -> Float64:
    """Give the matrix that blurs `inputs` pixels onto the `outputs` in their middle.

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
    """A few fixed blurs between whose widths the others are interpolated.

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
        """Find, for widths of any shape (...), the nodes to sum and their weights, both (..., parts)."""
        node, weight, _ = _fit(self.sigma_mm, sigma_mm, geometry)
        return node, weight


def blur_bank(geometry: SystemGeometry) -> BlurBank:
    """Choose the fewest blurs that give every depth's kernel within 5e-4 (norm).

    Parameters
    ----------
    geometry
        With a response.
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


def _fit(nodes_mm: Float64, sigma_mm: Float64, geometry: SystemGeometry) -> tuple[NDArray[np.int64], Float64, Float64]:
    """Fit kernels by least squares on their nearest nodes: nodes, weights (..., parts) and error (...)."""
    parts = min(_PARTS, nodes_mm.size)
    if nodes_mm.size == 1:
        shape = (*sigma_mm.shape, 1)
        return np.zeros(shape, dtype=np.int64), np.ones(shape), np.zeros(sigma_mm.shape)
    place = (sigma_mm - nodes_mm[0]) / (nodes_mm[1] - nodes_mm[0])
    start = np.clip(np.rint(place).astype(np.int64) - 1, 0, nodes_mm.size - parts)
    node = start[..., None] + np.arange(parts)
    near, own = np.square(nodes_mm[node]), np.square(sigma_mm)

    def product(variance_mm2: Float64) -> Float64:
        across = special.ive(0, variance_mm2 / geometry.column_mm**2)
        return np.asarray(across * special.ive(0, variance_mm2 / geometry.row_mm**2))

    gram = product(near[..., :, None] + near[..., None, :])
    target = product(near + own[..., None])
    weight = np.linalg.solve(gram, target[..., None])[..., 0]
    whole = product(2.0 * own)
    missed = np.maximum(whole - (weight * target).sum(axis=-1), 0.0)
    return node, weight.astype(np.float64), np.sqrt(missed / whole)
