"""Phase of contraction from the counts of a gated polar map.

The wall brightens as it thickens. The first Fourier harmonic of each place's counts over the beat
gives a phase: when in the beat that place contracts (Chen et al., J Nucl Cardiol 2005;12:687,
doi:10.1016/j.nuclcard.2005.06.088).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.segments import segment_map

__all__ = ["Synchrony", "measure_synchrony", "phase_bandwidth_deg", "phase_entropy_percent"]

Float = NDArray[np.floating[Any]]

BIN_DEG = 6.0
_SMOOTH_RINGS, _SMOOTH_DEG = 3.0, 22.5
_RELIABLE_DEG = 20.0


@dataclass(frozen=True, eq=False)
class Synchrony:
    """Phase of contraction over the wall, the noise of the counts taken off.

    Attributes
    ----------
    phase_deg
        Shape (rings, angles): 0 to 360, where in the cycle (from the R wave) the counts peak.
    amplitude_percent
        Shape (rings, angles): first harmonic against the mean counts there.
    mean_deg, sd_deg, bandwidth_deg, skewness, kurtosis, entropy_percent
        Of the phase over the wall. All but the entropy weigh each place with its amplitude: a scar that
        does not thicken has no phase. Kurtosis is excess (0 for a Gaussian).
    raw_sd_deg, noise_deg
        SD before the noise was taken off, and the SD that noise alone would give.
    reliable
        Whether the noise is below 20 degrees and has been measured.
    histogram
        ``edges_deg`` (61,) and ``counts`` (60,), bins of 6 degrees.
    segments_deg
        Shape (17,): mean phase of each segment minus the wall's mean.
    """

    phase_deg: Float
    amplitude_percent: Float
    mean_deg: float
    sd_deg: float
    bandwidth_deg: float
    skewness: float
    kurtosis: float
    entropy_percent: float
    raw_sd_deg: float
    noise_deg: float
    reliable: bool
    histogram: Mapping[str, list[float]]
    segments_deg: Float


def measure_synchrony(counts: Float) -> Synchrony:
    """Measure phase and its spread.

    The harmonic is averaged (real and imaginary part) over neighbouring places, SD 3 rings of 24 and 22.5
    degrees, about the resolution of SPECT. What noise is left in it is read from the highest
    harmonic, in which a ventricle hardly moves, and phases are drawn towards their mean until their
    variance is the measured one less the noise's (no further than to a tenth).

    Parameters
    ----------
    counts
        Shape (gates, rings, angles): counts of the moving wall, ring 0 at the apex; 4 gates or more.
        Counts at fixed places will not do: the wall moves out of them. From fewer than 7 gates noise cannot be told.

    Raises
    ------
    InputError
        When there are fewer than 4 gates or no counts.
    """
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 3 or values.shape[0] < 4:
        raise InputError(f"Phase needs (gates, rings, angles) with at least 4 gates; got shape {values.shape}.")
    mean = values.mean(axis=0)
    if not (mean.max() > 0):
        raise InputError("The gated polar map holds no counts, so it has no phase.")
    first = _smoothed(_harmonic(values, 1))
    mean = _smoothed(mean.astype(np.complex128)).real
    weight = np.abs(first) / max(float(np.abs(first).sum()), 1e-12)
    centre = float(np.angle(first.sum()))
    phase = np.rad2deg(np.angle(first * np.exp(-1j * centre)))
    middle = float((weight * phase).sum())
    raw = float(np.sqrt((weight * (phase - middle) ** 2).sum()))
    noise = _noise_deg(values, first, weight)
    kept = np.sqrt(max(1.0 - (noise / max(raw, 1e-9)) ** 2, 0.1)) if noise > 0 else 1.0
    phase = middle + kept * (phase - middle)
    spread = kept * raw
    scaled = (phase - middle) / max(spread, 1e-9)
    whole = (np.rad2deg(centre) + phase) % 360.0
    edges = np.arange(0.0, 360.0 + 0.5 * BIN_DEG, BIN_DEG)
    index = segment_map(*phase.shape)
    return Synchrony(
        phase_deg=whole,
        amplitude_percent=100.0 * np.abs(first) / np.maximum(mean, 1e-3 * mean.max()),
        mean_deg=float((np.rad2deg(centre) + middle) % 360.0),
        sd_deg=spread,
        bandwidth_deg=phase_bandwidth_deg(phase, weight),
        skewness=float((weight * scaled**3).sum()),
        kurtosis=float((weight * scaled**4).sum() - 3.0),
        entropy_percent=phase_entropy_percent(whole),
        raw_sd_deg=raw,
        noise_deg=noise,
        reliable=values.shape[0] >= 7 and noise < _RELIABLE_DEG,
        histogram={"edges_deg": edges.tolist(), "counts": np.histogram(whole, edges)[0].astype(float).tolist()},
        segments_deg=np.array([phase[index == s].mean() for s in range(1, 18)]) - middle,
    )


def _harmonic(values: Float, order: int) -> NDArray[np.complex128]:
    """Give a Fourier harmonic of the beat, (rings, angles); the k-th gate's time is (k + 0.5) / gates."""
    gates = values.shape[0]
    turn = np.exp(2j * np.pi * order * (np.arange(gates) + 0.5) / gates)
    return np.asarray(np.tensordot(turn, values, axes=(0, 0)) * (2.0 / gates))


def _noise_deg(values: Float, first: NDArray[np.complex128], weight: Float) -> float:
    """Give the SD of phase that noise alone makes, from the highest full harmonic (0 with fewer than 7 gates).

    Whatever of that harmonic has the first one's pattern is the beat's own and is taken off.
    """
    order = (values.shape[0] - 1) // 2
    if order < 3:
        return 0.0
    rest = _smoothed(_harmonic(values, order))
    power = np.abs(first) ** 2
    rest = rest - first * ((np.conj(first) * rest).sum() / max(float(power.sum()), 1e-30))
    variance = 0.5 * float((np.abs(rest) ** 2).mean()) / np.maximum(power, 1e-30)
    return float(np.rad2deg(np.sqrt((weight * np.minimum(variance, 1.0)).sum())))


def _smoothed(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    sigma = (_SMOOTH_RINGS * values.shape[0] / 24.0, _SMOOTH_DEG * values.shape[1] / 360.0)
    parts = [ndimage.gaussian_filter(part, sigma, mode=("nearest", "wrap")) for part in (values.real, values.imag)]
    return np.asarray(parts[0] + 1j * parts[1])


def phase_bandwidth_deg(phase_deg: Float, weight: Float | None = None) -> float:
    """Give the shortest arc of the circle, in degrees, that holds 95 % of the samples, or of their weight."""
    values = np.asarray(phase_deg, dtype=np.float64).ravel() % 360.0
    share = np.ones(values.size) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
    order = np.argsort(values, kind="stable")
    around = np.concatenate([values[order], values[order] + 360.0])
    share = np.concatenate([share[order], share[order]]) / share.sum()
    upto = np.cumsum(share)
    before = upto[: values.size] - share[: values.size]
    last = np.searchsorted(upto, before + 0.95 - 1e-9)
    return float((around[np.minimum(last, around.size - 1)] - around[: values.size]).min())


def phase_entropy_percent(phase_deg: Float, *, bin_deg: float = BIN_DEG) -> float:
    """Give the Shannon entropy of the phase histogram in percent of its maximum, ln(360 / bin)."""
    bins = round(360.0 / bin_deg)
    count = np.bincount((np.asarray(phase_deg).ravel() % 360.0 // bin_deg).astype(np.int64) % bins, minlength=bins)
    share = count[count > 0] / count.sum()
    return float(-100.0 * (share * np.log(share)).sum() / np.log(bins))
