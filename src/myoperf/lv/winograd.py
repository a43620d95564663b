"""Convolutions of 3 x 3 x 3 with an eighth of the multiplications: Winograd's minimal filtering.

Four neighbouring outputs of a filter of three taps need six multiplications, not twelve (Lavin and Gray 2016,
doi:10.1109/CVPR.2016.435: F(4, 3)); in three dimensions, 216 in place of 1728 for a tile of 4 x 4 x 4 outputs. A tile's
6 x 6 x 6 inputs are transformed, multiplied by the transformed filters (one matrix product, channels to channels, for
each of the 216 places of a tile), and transformed back.

The transforms take a tile as polynomials, whose product follows from its values at six points. The points 0, 1, -1,
1/2, -2 and infinity keep the factors small: in single precision the results differ from direct convolution by some
1e-5 of the largest, a fourth of what the usual 0, 1, -1, 2, -2 and infinity give.
"""

from typing import Any

import numpy as np

from myoperf.kernels import kernel
from myoperf.types import Float32

_OUT, _IN = 4, 6
"""Outputs and inputs of a tile along each axis."""
_FILTER = np.array([[15, 0, 0], [5, 5, 5], [-5, 5, -5], [-16, -8, -4], [1, -2, 4], [0, 0, 15]]) / 15.0
"""From three taps to six factors."""
_FORTH = np.array(
    [
        [1.0, -1.5, -2.0, 1.5, 1.0, 0.0],
        [0.0, -1.0, 0.5, 2.5, 1.0, 0.0],
        [0.0, 1.0, -2.5, 0.5, 1.0, 0.0],
        [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
        [0.0, 0.5, -1.0, -0.5, 1.0, 0.0],
        [0.0, 1.0, -1.5, -2.0, 1.5, 1.0],
    ],
    dtype=np.float32,
)
"""From six inputs to what the factors multiply."""
_BACK = np.array(
    [
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.0, 1.0, -1.0, 0.5, -2.0, 0.0],
        [0.0, 1.0, 1.0, 0.25, 4.0, 0.0],
        [0.0, 1.0, -1.0, 0.125, -8.0, 1.0],
    ],
    dtype=np.float32,
)
"""From six products to four outputs."""
_MOST_BYTES = 3_000_000
"""Tiles and products of a band: what the processor's caches hold, so that the transforms find them there."""


def transform_filters(weights: Float32) -> Float32:
    """Return filters (out, in, 3, 3, 3) as `convolve` takes them, (216, in, out)."""
    outside, inside = weights.shape[:2]
    taps = weights.astype(np.float64)
    for axis in (2, 3, 4):
        taps = np.moveaxis(np.tensordot(_FILTER, taps, (1, axis)), 0, axis)
    factors = taps.transpose(2, 3, 4, 1, 0)
    return np.ascontiguousarray(factors.reshape(_IN**3, inside, outside), dtype=np.float32)


def convolve(image: Float32, filters: Float32) -> Float32:
    """Convolve by 3 x 3 x 3, zero beyond the edges, as networks do (without flipping the filter).

    Parameters
    ----------
    image
        (planes, rows, columns, in); sides that are multiples of 4 waste nothing.
    filters
        From `transform_filters`.

    Returns
    -------
    (planes, rows, columns, out)
    """
    planes, rows, columns, inside = image.shape
    deep, high, wide = (-(-side // _OUT) for side in (planes, rows, columns))  # in tiles
    # Every fourth column lies apart, so that whole lines of tiles are added at once.
    padded = np.zeros((_OUT * deep + 2, _OUT * high + 2, _OUT, wide + 1, inside), dtype=np.float32)
    _pad(np.ascontiguousarray(image), padded)
    out = np.empty((planes, rows, columns, filters.shape[2]), dtype=np.float32)
    _convolve(padded, filters, _band(high, wide, *filters.shape[1:]), out)
    return out


def _band(high: int, wide: int, inside: int, outside: int) -> int:
    """Return how many of `high` rows of tiles are worked on at once: a divisor, so that bands are alike."""
    most = _MOST_BYTES // (_IN**3 * wide * (inside + outside) * 4)
    return max(n for n in range(1, high + 1) if high % n == 0 and n <= max(most, 1))


@kernel(nogil=True)
def _pad(image: Float32, padded: Float32) -> None:
    """Copy an image, with a margin of 1, so that column n goes to (n % 4, n // 4)."""
    planes, rows, columns, inside = image.shape
    for p in range(planes):
        for r in range(rows):
            for n in range(columns):
                source, target = image[p, r, n], padded[p + 1, r + 1, (n + 1) % _OUT, (n + 1) // _OUT]
                for c in range(inside):
                    target[c] = source[c]


@kernel(nogil=True, fastmath={"contract"})
def _weigh_four(a: Any, b: Any, c: Any, d: Any, weights: Any, out: Any) -> None:
    """Write the weighted sum of four lines; `weights` has those of the first and the last of six lines too."""
    one, two, three, four = weights[1], weights[2], weights[3], weights[4]
    for n in range(out.size):
        out[n] = one * a[n] + two * b[n] + three * c[n] + four * d[n]


@kernel(nogil=True, fastmath={"contract"})
def _add_end(end: Any, out: Any) -> None:
    """Add the first or the last of six lines, whose weight is 1."""
    for n in range(out.size):
        out[n] += end[n]


@kernel(nogil=True)
def _forth(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, out: Any, step: int) -> None:
    """Write the six transformed values of six inputs, `step` apart: whole lines at once, in loops that vectorise."""
    n = a.size
    for k in range(_IN):
        _weigh_four(b, c, d, e, _FORTH[k], out[k * step : k * step + n])
    _add_end(a, out[:n])
    _add_end(f, out[(_IN - 1) * step : (_IN - 1) * step + n])


@kernel(nogil=True)
def _back(products: Any, step: int, out: Any, out_step: int) -> None:
    """Write, `out_step` apart, the four outputs of six products that lie `step` apart."""
    lines = [products[k * step : k * step + out_step] for k in range(_IN)]
    for k in range(_OUT):
        _weigh_four(lines[1], lines[2], lines[3], lines[4], _BACK[k], out[k * out_step : (k + 1) * out_step])
    _add_end(lines[0], out[:out_step])
    _add_end(lines[5], out[(_OUT - 1) * out_step : _OUT * out_step])


@kernel(nogil=True)
def _tiles_forth(flat: Any, start: int, plane: int, line: int, inside: int, band: int, spare: Any, tiles: Any) -> None:
    """Transform a band of tiles, one axis after the other: planes, rows, columns.

    Parameters
    ----------
    flat, start, plane, line, inside
        The padded image, where the band begins, and the sizes of a plane, a line and a place.
    spare
        Two flat arrays, for the image transformed along planes, and then along rows.
    tiles
        (216, tiles of the band, in), written.
    """
    along_planes, along_rows = spare
    rows = (_OUT * band + 2) * line
    p = [flat[start + k * plane : start + k * plane + rows] for k in range(_IN)]
    _forth(p[0], p[1], p[2], p[3], p[4], p[5], along_planes, rows)
    step = band * line
    for i in range(_IN):
        for h in range(band):
            first = i * rows + _OUT * h * line
            r = [along_planes[first + k * line : first + (k + 1) * line] for k in range(_IN)]
            _forth(r[0], r[1], r[2], r[3], r[4], r[5], along_rows[_IN * i * step + h * line :], step)
    every, width = line // _OUT, line // _OUT - inside
    out, step = tiles.reshape(-1), tiles.shape[1] * inside
    for ij in range(_IN**2):
        for h in range(band):
            first = (ij * band + h) * line
            starts = [first + k % _OUT * every + k // _OUT * inside for k in range(_IN)]
            s = [along_rows[k : k + width] for k in starts]
            _forth(s[0], s[1], s[2], s[3], s[4], s[5], out[_IN * ij * step + h * width :], step)


@kernel(nogil=True)
def _tiles_back(products: Any, spare: Any, out: Any) -> None:
    """Transform products (216, tiles, out) back, into the 64 parts of a band's outputs: (64, tiles, out)."""
    along_planes, along_rows = spare
    size = products.shape[1] * products.shape[2]
    flat, parts = products.reshape(-1), out.reshape(-1)
    _back(flat, _IN**2 * size, along_planes, _IN**2 * size)
    for i in range(_OUT):
        _back(along_planes[i * _IN**2 * size :], _IN * size, along_rows[i * _OUT * _IN * size :], _IN * size)
    for ij in range(_OUT**2):
        _back(along_rows[ij * _IN * size :], size, parts[ij * _OUT * size :], size)


@kernel(nogil=True)
def _convolve(padded: Float32, filters: Float32, band: int, out: Float32) -> None:
    """Convolve by bands of tiles: `band` rows of tiles of one plane of tiles, which stay in the processor's cache."""
    planes, rows, columns, outside = out.shape
    inside, width = padded.shape[4], padded.shape[3] - 1
    line = _OUT * padded.shape[3] * inside
    plane = padded.shape[1] * line
    count = band * width
    forth = (np.empty(_IN * (_OUT * band + 2) * line, np.float32), np.empty(_IN**2 * band * line, np.float32))
    back = (
        np.empty(_OUT * _IN**2 * count * outside, np.float32),
        np.empty(_OUT**2 * _IN * count * outside, np.float32),
    )
    tiles = np.empty((_IN**3, count, inside), np.float32)
    products = np.empty((_IN**3, count, outside), np.float32)
    parts = np.empty((_OUT**3, count, outside), np.float32)
    for p in range(0, planes, _OUT):
        for r in range(0, padded.shape[1] - 2, _OUT * band):
            _tiles_forth(padded.reshape(-1), p * plane + r * line, plane, line, inside, band, forth, tiles)
            for place in range(_IN**3):
                np.dot(tiles[place], filters[place], products[place])
            _tiles_back(products, back, parts)
            for part in range(_OUT**3):
                i, j, k = p + part // 16, r + part // 4 % 4, part % 4
                for h in range(band):
                    row = j + _OUT * h
                    if i >= planes or row >= rows:
                        continue
                    line_out = out[i, row]
                    for w in range(width):
                        if _OUT * w + k < columns:
                            for c in range(outside):  # a slice of so few values takes longer than the values
                                line_out[_OUT * w + k, c] = parts[part, h * width + w, c]
