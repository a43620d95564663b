"""Compiled steps of following the wall: peaks on rays through a cubic spline, and points spread over a grid.

Imported on first use, since numba takes some tenths of a second to load. Gates lie next to each other in memory, so
that the position and the weights of a sample are worked out once for all of them.
"""

from typing import Any

import numpy as np

from myoperf.kernels import kernel
from myoperf.types import Float

PAD_BEFORE, PAD_AFTER = 3, 4
"""Copies of the outermost coefficients at the ends of each axis: every sample then has its four neighbours a side."""
_HALF = 4
_REACH, _WIDEN = 12, 8
"""Samples on either side of the expected place that are looked at first, and then more at a time."""


@kernel(nogil=True)
def _spline_weights(share: float, weights: Any) -> None:
    """Write the cubic B-spline's weights of the four samples around a place, a share of a step past the second."""
    rest = 1.0 - share
    weights[0] = rest * rest * rest / 6.0
    weights[1] = (share * share * (share - 2.0) * 3.0 + 4.0) / 6.0
    weights[2] = (rest * rest * (rest - 2.0) * 3.0 + 4.0) / 6.0
    weights[3] = share * share * share / 6.0


@kernel(nogil=True)
def _sample_spline(coefficients: Any, flat: Any, place: Any, weights: Any, line: Any, out: Any) -> None:
    """Write the values (gates,) of a spline at a place; far beyond the grid the outermost coefficients hold.

    Sums over planes and rows run along lines of 4 columns x gates, which lie next to each other in memory.
    """
    planes, rows, columns, gates = coefficients.shape
    first = 0
    for axis, size in enumerate((planes, rows, columns)):
        inside = size - PAD_BEFORE - PAD_AFTER
        at = min(max(place[axis], -2.0), inside + 1.0)
        below = int(np.floor(at))
        _spline_weights(at - below, weights[axis])
        first = first * size + below + PAD_BEFORE - 1
    line[:] = 0.0
    for i in range(4):
        for j in range(4):
            weight = weights[0, i] * weights[1, j]
            start = (first + (i * rows + j) * columns) * gates
            source = flat[start : start + 4 * gates]
            for n in range(4 * gates):
                line[n] += weight * source[n]
    for gate in range(gates):
        total = 0.0
        for k in range(4):
            total += weights[2, k] * line[k * gates + gate]
        out[gate] = total


@kernel(nogil=True)
def _highest(profile: Any, first: int, end: int, expected: float, window: float) -> tuple[int, float]:
    """Return the sample in [first, end) with the most counts, weighed around the expected place, and that value.

    The Gaussian weights follow from one another: each is the last times a ratio, which falls by the same factor.
    """
    best, most = first, -np.inf
    away = first - expected
    weight, ratio = np.exp(-0.5 * (away / window) ** 2), np.exp(-(away + 0.5) / window**2)
    falling = np.exp(-1.0 / window**2)
    for sample in range(first, end):
        value = profile[sample] * weight
        if value > most:
            best, most = sample, value
        weight *= ratio
        ratio *= falling
    return best, most


@kernel(nogil=True)
def _nothing_higher(most: float, top: float, nearest: float, window: float) -> bool:
    """Whether no sample at least so far from the expected place can exceed `most`: none has more counts than `top`."""
    return bool(most > top * np.exp(-0.5 * (nearest / window) ** 2))


@kernel(nogil=True)
def _parabola(around: Any, slopes: Float, seconds: Float) -> tuple[float, float]:
    """Return the shift to the top of the parabola through 9 samples, and its second derivative."""
    slope, second = 0.0, 0.0
    for n in range(2 * _HALF + 1):
        slope += slopes[n] * around[n]
        second += seconds[n] * around[n]
    if second >= 0.0:
        return 0.0, second
    return min(max(-slope / min(second, -1e-12), -_HALF), _HALF), second


@kernel(nogil=True)
def spline_peaks(
    coefficients: Float,
    start: Float,
    step: Float,
    expected: Float,
    samples: int,
    window: float,
    slopes: Float,
    seconds: Float,
    peaks: Float,
) -> None:
    """Find the peak of the counts along every ray near an expected place, in all gates.

    A spline never exceeds its highest coefficient, so samples so far away that their weight times that value is below
    the best one found need not be looked at; the peak is the same as over the whole ray.

    Parameters
    ----------
    coefficients
        (planes, rows, columns, gates) of cubic B-splines, contiguous, padded by `PAD_BEFORE` and `PAD_AFTER`.
    start, step
        (rays, 3): index of each ray's first sample in the grid without padding, and the step between samples.
    expected
        (rays, gates): expected place in samples.
    samples
        Of a ray.
    window
        SD in samples of the Gaussian by which counts are weighed around the expected place.
    slopes, seconds
        (9,): weights of the first and second derivative.
    peaks
        (3, rays, gates), written: place, counts at the nearest sample, minus the second derivative.
    """
    gates = coefficients.shape[3]
    flat = coefficients.ravel()
    top = np.empty(gates)
    for gate in range(gates):
        top[gate] = max(coefficients[..., gate].max(), 0.0)
    profile, line = np.empty((samples, gates)), np.empty(4 * gates)
    weights, at = np.empty((3, 4)), np.empty(3)
    for ray in range(start.shape[0]):
        low, high = int(np.floor(expected[ray].min())) - _REACH, int(np.ceil(expected[ray].max())) + _REACH + 1
        low, high = min(max(low, 0), samples - 1), max(min(high, samples), 1)
        first, end = low, low
        while True:
            for sample in range(low, high):
                if sample < first or sample >= end:
                    for axis in range(3):
                        at[axis] = start[ray, axis] + sample * step[ray, axis]
                    _sample_spline(coefficients, flat, at, weights, line, profile[sample])
            first, end = low, high
            for gate in range(gates):
                place, most = _highest(profile[:, gate], first, end, expected[ray, gate], window)
                before, after = expected[ray, gate] - (first - 1), end - expected[ray, gate]
                if first > 0 and not _nothing_higher(most, top[gate], max(before, 0.0), window):
                    low = max(first - _WIDEN, 0)
                if end < samples and not _nothing_higher(most, top[gate], max(after, 0.0), window):
                    high = min(end + _WIDEN, samples)
                place = min(max(place, _HALF + 1), samples - _HALF - 2)
                low, high = min(low, place - _HALF), max(high, place + _HALF + 1)
                if first <= place - _HALF and place + _HALF < end:
                    shift, second = _parabola(profile[place - _HALF : place + _HALF + 1, gate], slopes, seconds)
                    peaks[0, ray, gate] = place + shift
                    peaks[1, ray, gate] = max(profile[place, gate], 0.0)
                    peaks[2, ray, gate] = -second
            if low == first and high == end:
                break


@kernel(nogil=True)
def spread_points(index: Float, counts: Float, grid: Float) -> None:
    """Add points to their eight neighbours on a grid; those outside it are dropped.

    Parameters
    ----------
    index
        (gates, n, 3) places on the grid.
    counts
        (gates, n).
    grid
        (gates, planes, rows, columns), added to.
    """
    gates, planes, rows, columns = grid.shape
    for gate in range(gates):
        image = grid[gate]
        for n in range(index.shape[1]):
            z, y, x = index[gate, n, 0], index[gate, n, 1], index[gate, n, 2]
            if not (0.0 <= z <= planes - 1.001 and 0.0 <= y <= rows - 1.001 and 0.0 <= x <= columns - 1.001):
                continue
            i, j, k = int(z), int(y), int(x)
            to_row, to_column = y - j, x - k
            for plane in range(2):
                share = counts[gate, n] * (z - i if plane else 1.0 - (z - i))
                image[i + plane, j, k] += share * (1.0 - to_row) * (1.0 - to_column)
                image[i + plane, j, k + 1] += share * (1.0 - to_row) * to_column
                image[i + plane, j + 1, k] += share * to_row * (1.0 - to_column)
                image[i + plane, j + 1, k + 1] += share * to_row * to_column
