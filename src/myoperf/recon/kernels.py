"""Compiled steps of projecting: a sparse matrix times many planes, and a collimator's blurs one after the other.

Imported on first use, since numba takes some tenths of a second to load. All planes and frames of a voxel or bin lie
next to each other in memory, so that every inner loop runs along them. Products and sums may be fused by the compiler,
which changes the last digit only.
"""

from typing import Any

import numpy as np

from myoperf.kernels import kernel
from myoperf.types import Float32

TOGETHER = 8
"""Entries of a row that are added at a time: the row of the result is read and written once for all of them."""


@kernel(nogil=True, fastmath={"contract"})
def multiply(starts: Any, columns: Any, values: Float32, source: Float32, target: Float32) -> None:
    """Multiply a sparse matrix with `source`.

    Parameters
    ----------
    starts, columns, values
        The matrix by rows, each padded with zeros to a multiple of `TOGETHER` entries: row r has the entries from
        ``starts[r]`` to ``starts[r + 1]``.
    source, target
        (columns, n) and (rows, n), contiguous; `target` is written.
    """
    width = source.shape[1]
    for row in range(target.shape[0]):
        out = target[row]
        out[:] = 0.0
        for e in range(starts[row], starts[row + 1], TOGETHER):
            v0, v1, v2, v3 = values[e], values[e + 1], values[e + 2], values[e + 3]
            v4, v5, v6, v7 = values[e + 4], values[e + 5], values[e + 6], values[e + 7]
            s0, s1 = source[columns[e]], source[columns[e + 1]]
            s2, s3 = source[columns[e + 2]], source[columns[e + 3]]
            s4, s5 = source[columns[e + 4]], source[columns[e + 5]]
            s6, s7 = source[columns[e + 6]], source[columns[e + 7]]
            for n in range(width):
                low = v0 * s0[n] + v1 * s1[n] + v2 * s2[n] + v3 * s3[n]
                out[n] += low + (v4 * s4[n] + v5 * s5[n] + v6 * s6[n] + v7 * s7[n])


@kernel(nogil=True)
def divide_counts(measured: Float32, expected: Float32, floor: np.float32) -> None:
    """Write measured over expected counts, at least `floor`, in place of the expected ones; both contiguous."""
    above, below = measured.reshape(-1), expected.reshape(-1)
    for n in range(below.size):
        below[n] = above[n] / max(below[n], floor)


@kernel(nogil=True)
def multiply_activity(activity: Float32, update: Float32, scale: Float32) -> None:
    """Multiply activity (voxels, frames, planes) by an update and by a scale (voxels, 1, planes), in place."""
    voxels, frames, planes = activity.shape
    for v in range(voxels):
        factor = scale[v, 0]
        for f in range(frames):
            line, step = activity[v, f], update[v, f]
            for p in range(planes):
                line[p] *= step[p] * factor[p]


@kernel(nogil=True, fastmath={"contract"})
def _filter(source: Float32, step: int, taps: Float32, margin: int, target: Float32) -> None:
    """Filter a flat image symmetrically along neighbours `step` places apart, two of each side at a time.

    The outermost `margin` places are left out; `taps` holds the middle and an even number of one side.
    """
    size = source.size - 2 * margin
    out, middle = target[margin : margin + size], source[margin : margin + size]
    for near in range(1, taps.size, 2):
        weight, weight_far, far = taps[near], taps[near + 1], near + 1
        before, after = source[margin - near * step :], source[margin + near * step :]
        before_far, after_far = source[margin - far * step :], source[margin + far * step :]
        if near == 1:
            first = taps[0]
            for n in range(size):
                sides = weight * (before[n] + after[n]) + weight_far * (before_far[n] + after_far[n])
                out[n] = first * middle[n] + sides
        else:
            for n in range(size):
                out[n] += weight * (before[n] + after[n]) + weight_far * (before_far[n] + after_far[n])


@kernel(nogil=True)
def _blur(image: Float32, flat: Float32, spare: Float32, reach: int, across: Float32, along: Float32) -> None:
    """Blur (columns, planes) in place by two symmetric filters, 0 beyond the edges; `flat` is a view of the image.

    Around the columns, and after the planes of each, are `reach` zeros; so both directions are filtered as one long
    line, and what the filter along planes spreads into the zeros is removed.
    """
    width = image.shape[1]
    _filter(flat, width, across[: 2 * _pairs(across) + 1], reach * width, spare)
    _filter(spare, 1, along[: 2 * _pairs(along) + 1], reach * width, flat)
    image[:, width - reach :] = 0.0


@kernel(nogil=True)
def _pairs(taps: Float32) -> int:
    """Return how many pairs of neighbours of one side a filter needs, 1 or more."""
    pairs = taps.size // 2
    while pairs > 1 and taps[2 * pairs - 1] == 0.0:
        pairs -= 1
    return pairs


@kernel(nogil=True)
def blur_bins(bins: Float32, across: Float32, along: Float32, pads: tuple[int, int], counts: Float32) -> None:
    """Sum bins, each part blurred by its width, onto the detector.

    The widest part is blurred by what it is wider than the next, added to it, and so on: since the variances of
    Gaussians add up, every step is a narrow filter.

    Parameters
    ----------
    bins
        (views, parts, columns, frames, planes), contiguous; narrowest part first.
    across, along
        (parts, reach + 1), reach even: middle and one side of the filter from each part to the next narrower one, and
        zeros where it is shorter.
    pads
        Columns and planes beyond each edge of the detector.
    counts
        (views, detector columns, frames, rows), written.
    """
    views, parts, columns, frames, planes = bins.shape
    reach = max(across.shape[1], along.shape[1]) - 1
    image = np.zeros((columns + 2 * reach, planes + reach), bins.dtype)
    flat, spare = image.reshape(-1), np.zeros(image.size, bins.dtype)
    rows = counts.shape[3]
    for view in range(views):
        for frame in range(frames):
            image[:] = 0.0
            for part in range(parts - 1, -1, -1):
                for column in range(columns):
                    image[reach + column, :planes] += bins[view, part, column, frame]
                _blur(image, flat, spare, reach, across[part], along[part])
            for column in range(counts.shape[1]):
                counts[view, column, frame] = image[reach + pads[0] + column, pads[1] : pads[1] + rows]


@kernel(nogil=True)
def unblur_counts(counts: Float32, across: Float32, along: Float32, pads: tuple[int, int], bins: Float32) -> None:
    """Write bins from counts: the exact transpose of `blur_bins`, with the same parameters."""
    views, parts, columns, frames, planes = bins.shape
    reach = max(across.shape[1], along.shape[1]) - 1
    image = np.zeros((columns + 2 * reach, planes + reach), bins.dtype)
    flat, spare = image.reshape(-1), np.zeros(image.size, bins.dtype)
    rows = counts.shape[3]
    for view in range(views):
        for frame in range(frames):
            image[:] = 0.0
            for column in range(counts.shape[1]):
                image[reach + pads[0] + column, pads[1] : pads[1] + rows] = counts[view, column, frame]
            for part in range(parts):
                _blur(image, flat, spare, reach, across[part], along[part])
                for column in range(columns):
                    bins[view, part, column, frame] = image[reach + column, :planes]
