"""Smooth surfaces over the rays: a penalised series of cosines x harmonics, and a sheet that resists bending."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from myoperf.types import Float
from myoperf.ventricle.rays import Rays


@dataclass(frozen=True, eq=False)
class WallSeries:
    """A penalised series on rays: cosines along the wall's profile x harmonics round the long axis.

    Attributes
    ----------
    basis
        Shape (rays, terms); rays are (rings, angles) in one row.
    penalty
        Shape (terms,): what the square of each term costs.
    """

    basis: Float
    penalty: Float

    @classmethod
    def on(cls, rays: Rays, *, cosines: int, harmonics: int, stiffness: float) -> WallSeries:
        """Build the series on rays.

        Terms of a series on other rays of the same ventricle mean the same surface, so one can be
        fitted on coarse rays and evaluated on fine ones.

        Parameters
        ----------
        cosines
            Terms along the profile, the constant included.
        harmonics
            Highest harmonic round the axis.
        stiffness
            Scale of the penalty.
        """
        waves = [np.ones(rays.angles)]
        order = [0]
        for k in range(1, harmonics + 1):
            waves += [np.cos(k * rays.angle_rad), np.sin(k * rays.angle_rad)]
            order += [k, k]
        profile = np.cos(np.pi * rays.profile[:, None] * np.arange(cosines))
        # All angles meet at the pole: harmonics must vanish there, the higher ones with the square of the distance.
        pole = np.sin(rays.tilt_rad)[:, None] ** np.minimum(order, 2)
        basis = np.einsum("rc,rw,wa->rawc", profile, pole, np.stack(waves)).reshape(-1, len(order) * cosines)
        # The fourth power of the order is the square of a second derivative: bending.
        bending = np.arange(cosines) ** 4.0 + np.array(order)[:, None] ** 4.0
        return cls(basis, stiffness * bending.ravel())

    def fit(self, values: Float, weight: Float, *, robust: bool = False) -> Float:
        """Estimate the terms by penalised least squares.

        Parameters
        ----------
        values
            Shape (..., rings, angles); several surfaces share the weights.
        weight
            Shape (rings, angles), 0 or more.
        robust
            Whether to re-weight twice by Tukey's biweight against stray values; for one surface only.

        Returns
        -------
        Shape (terms,) or (terms, surfaces).
        """
        flat, target = weight.ravel().astype(np.float64), values.reshape(-1, weight.size).T
        used = flat
        for round_ in range(3 if robust else 1):
            weighted = self.basis * used[:, None]
            normal = weighted.T @ self.basis
            normal[np.diag_indices_from(normal)] += self.penalty * used.sum()
            terms = np.linalg.solve(normal, weighted.T @ target)
            if robust and round_ < 2:
                residual = np.abs(self.basis @ terms - target)[:, 0]
                scale = 6.0 * max(float(np.median(residual[flat > 0.5])), 0.5)
                used = flat * np.clip(1.0 - (residual / scale) ** 2, 0.0, None) ** 2
        return np.asarray(terms[:, 0] if values.ndim == 2 else terms)

    def smooth(self, values: Float, weight: Float) -> Float:
        """Return the fitted surfaces, shape as `values` (..., rings, angles)."""
        return np.asarray((self.basis @ self.fit(values, weight)).T.reshape(values.shape))


def beat_basis(gates: int) -> Float:
    """Return the Fourier basis (gates, terms) with which the beat is followed: 2 harmonics, 3 from 12 gates on.

    Gate k stands for the time (k + 0.5) / gates of the beat; one gate has the constant alone.
    """
    return _waves((np.arange(gates) + 0.5) / gates, min(2 if gates < 12 else 3, (gates - 1) // 2))


def beat_at(values: Float, time_cycles: Float) -> Float:
    """Return values of gates (gates, ...) at times of the beat, by the harmonics of `beat_basis`: (times, ...).

    A gate holds the mean over its time, which lowers the k-th harmonic by the sinc of k / gates; that is undone.
    """
    basis = beat_basis(len(values))
    order = (np.arange(basis.shape[1]) + 1) // 2
    terms = np.linalg.lstsq(basis * np.sinc(order / len(values)), values.reshape(len(values), -1), rcond=None)[0]
    times = np.atleast_1d(time_cycles)
    return np.asarray((_waves(times, basis.shape[1] // 2) @ terms).reshape(times.size, *values.shape[1:]))


def _waves(time_cycles: Float, harmonics: int) -> Float:
    waves = [np.ones(time_cycles.size)]
    for k in range(1, harmonics + 1):
        waves += [np.cos(2 * np.pi * k * time_cycles), np.sin(2 * np.pi * k * time_cycles)]
    return np.stack(waves, axis=1)


def bend_sheet(values: Float, weight: Float, prior: Float, *, stiffness: float = 3.0, pull: float = 0.03) -> Float:
    """Return the smooth surface (rings, angles) nearest to weighted values, with gaps closed.

    Minimises the sum of weight (x - values)^2 + pull (x - prior)^2 + stiffness times the squared
    second differences along the rings and, closed, round the angles. Unlike `WallSeries` it keeps to
    a prior where nothing is measured, which a search for the ventricle needs.

    Parameters
    ----------
    values, weight, prior
        Shape (rings, angles).
    """
    rings, angles = values.shape
    bend_round = sparse.diags(
        [-2.0, 1.0, 1.0, 1.0, 1.0], [0, 1, -1, angles - 1, 1 - angles], shape=(angles, angles), format="csr"
    )
    bend_along = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(max(rings - 2, 0), rings))
    both = sparse.vstack([sparse.kron(sparse.eye(rings), bend_round), sparse.kron(bend_along, sparse.eye(angles))])
    matrix = sparse.diags(weight.ravel() + pull) + stiffness * (both.T @ both)
    return np.asarray(spsolve(matrix.tocsc(), (weight * values + pull * prior).ravel())).reshape(rings, angles)
