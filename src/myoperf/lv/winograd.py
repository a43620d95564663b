"""Convolutions of 3 x 3 x 3 with a third of the multiplications: Winograd's minimal filtering.

Two neighbouring outputs of a filter of three taps need four multiplications, not six (Lavin and Gray 2016,
doi:10.1109/CVPR.2016.435: F(2, 3)); in three dimensions, 64 in place of 216 for a tile of 2 x 2 x 2 outputs. A tile's
4 x 4 x 4 inputs are transformed by additions alone, multiplied by the transformed filters (one matrix product, channels
to channels, for each of the 64 places of a tile), and transformed back. In single precision the results differ from
direct convolution in the last digits only.
"""

from typing import Any

import numpy as np

from myoperf.errors import InputError
from myoperf.kernels import kernel
from myoperf.types import Float32

_FILTER = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
"""From three taps to four factors."""
_MOST_PRODUCTS = 250_000
"""Multiplications in one matrix product: OpenBLAS then stays in the calling thread; threads work on a volume each."""
_MOST_BYTES = 1_700_000
"""Tiles and products of a band: what the processor's caches hold, so that the transforms find them there."""


def transform_filters(weights: Float32) -> Float32:
    """Return filters (out, in, 3, 3, 3) as `convolve` takes them, (64, in, out)."""
    outside, inside = weights.shape[:2]
    taps = weights.astype(np.float64)
    for axis in (2, 3, 4):
        taps = np.moveaxis(np.tensordot(_FILTER, taps, (1, axis)), 0, axis)
    factors = taps.transpose(2, 3, 4, 1, 0)
    return np.ascontiguousarray(factors.reshape(64, inside, outside), dtype=np.float32)


def convolve(image: Float32, filters: Float32) -> Float32:
    """Convolve by 3 x 3 x 3, zero beyond the edges, as networks do (without flipping the filter).

    Parameters
    ----------
    image
        (planes, rows, columns, in); even sides.
    filters
        From `transform_filters`.

    Returns
    -------
    (planes, rows, columns, out)

    Raises
    ------
    InputError
        For an odd side.
    """
    planes, rows, columns, inside = image.shape
    if planes % 2 or rows % 2 or columns % 2:
        raise InputError(f"Tiles of 2 x 2 x 2 need even sides; got {planes} x {rows} x {columns}.")
    # Even and odd columns lie apart, so that whole lines are added at once.
    padded = np.zeros((planes + 2, rows + 2, 2, columns // 2 + 1, inside), dtype=np.float32)
    padded[1:-1, 1:-1, 0, 1:] = image[:, :, 1::2]
    padded[1:-1, 1:-1, 1, :-1] = image[:, :, ::2]
    out = np.empty((planes, rows, columns, filters.shape[2]), dtype=np.float32)
    _convolve(padded, filters, _band(rows // 2, columns // 2, *filters.shape[1:]), out)
    return out


def _band(rows: int, columns: int, inside: int, outside: int) -> int:
    """Return how many of `rows` rows of tiles are worked on at once: a divisor, so that bands are alike."""
    in_cache = _MOST_BYTES // (64 * columns * (inside + outside) * 4)
    most = min(in_cache, _MOST_PRODUCTS // (columns * inside * outside))
    return max(n for n in range(1, rows + 1) if rows % n == 0 and n <= max(most, 1))


@kernel(nogil=True)
def _add(one: Any, other: Any, out: Any) -> None:
    for n in range(out.size):
        out[n] = one[n] + other[n]


@kernel(nogil=True)
def _subtract(one: Any, other: Any, out: Any) -> None:
    for n in range(out.size):
        out[n] = one[n] - other[n]


@kernel(nogil=True)
def _forth(a: Any, b: Any, c: Any, d: Any, out: Any, step: int) -> None:
    """Write the four transformed values of four inputs, `step` apart: whole lines at once, in loops that vectorise."""
    n = a.size
    _subtract(a, c, out[:n])
    _add(b, c, out[step : step + n])
    _subtract(c, b, out[2 * step : 2 * step + n])
    _subtract(b, d, out[3 * step : 3 * step + n])


@kernel(nogil=True)
def _back(products: Any, step: int, first: Any, second: Any) -> None:
    """Write both outputs of four products that lie `step` apart."""
    n = first.size
    a, b = products[:n], products[step : step + n]
    c, d = products[2 * step : 2 * step + n], products[3 * step : 3 * step + n]
    for k in range(n):
        first[k] = a[k] + b[k] + c[k]
    for k in range(n):
        second[k] = b[k] - c[k] - d[k]


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
        (64, tiles of the band, in), written.
    """
    along_planes, along_rows = spare
    rows = (2 * band + 2) * line
    a, b, c, d = start, start + plane, start + 2 * plane, start + 3 * plane
    _forth(flat[a : a + rows], flat[b : b + rows], flat[c : c + rows], flat[d : d + rows], along_planes, rows)
    step = band * line
    for i in range(4):
        for h in range(band):
            a = i * rows + 2 * h * line
            b, c, d, e = a + line, a + 2 * line, a + 3 * line, a + 4 * line
            lines = along_planes[a:b], along_planes[b:c], along_planes[c:d], along_planes[d:e]
            _forth(lines[0], lines[1], lines[2], lines[3], along_rows[4 * i * step + h * line :], step)
    half, width = line // 2, line // 2 - inside
    out, step = tiles.reshape(-1), tiles.shape[1] * inside
    for ij in range(16):
        for h in range(band):
            even = along_rows[(ij * band + h) * line : (ij * band + h) * line + half]
            odd = along_rows[(ij * band + h) * line + half : (ij * band + h + 1) * line]
            to = out[4 * ij * step + h * width :]
            _forth(even[:width], odd[:width], even[inside:], odd[inside:], to, step)


@kernel(nogil=True)
def _tiles_back(products: Any, spare: Any, out: Any) -> None:
    """Transform products (64, tiles, out) back, into eight parts of a band's outputs: (8, tiles, out)."""
    half, quarter = spare
    size = products.shape[1] * products.shape[2]
    flat, parts = products.reshape(-1), out.reshape(-1)
    _back(flat, 16 * size, half[: 16 * size], half[16 * size :])
    for i in range(2):
        a, b, c = 8 * i * size, (8 * i + 4) * size, 8 * (i + 1) * size
        _back(half[16 * i * size :], 4 * size, quarter[a:b], quarter[b:c])
    for ij in range(4):
        a, b, c = 2 * ij * size, (2 * ij + 1) * size, 2 * (ij + 1) * size
        _back(quarter[4 * ij * size :], size, parts[a:b], parts[b:c])


@kernel(nogil=True)
def _convolve(padded: Float32, filters: Float32, band: int, out: Float32) -> None:
    """Convolve by bands of tiles: `band` rows of tiles of one plane of tiles, which stay in the processor's cache."""
    planes, rows, columns, outside = out.shape
    inside = padded.shape[4]
    line = 2 * padded.shape[3] * inside
    plane = padded.shape[1] * line
    width = columns // 2
    count = band * width
    forth = (np.empty(4 * (2 * band + 2) * line, np.float32), np.empty(16 * band * line, np.float32))
    back = (np.empty(32 * count * outside, np.float32), np.empty(16 * count * outside, np.float32))
    tiles = np.empty((64, count, inside), np.float32)
    products = np.empty((64, count, outside), np.float32)
    parts = np.empty((8, count, outside), np.float32)
    for p in range(planes // 2):
        for r in range(0, rows // 2, band):
            start = 2 * p * plane + 2 * r * line
            _tiles_forth(padded.reshape(-1), start, plane, line, inside, band, forth, tiles)
            for place in range(64):
                np.dot(tiles[place], filters[place], products[place])
            _tiles_back(products, back, parts)
            for part in range(8):
                i, j, k = part // 4, part // 2 % 2, part % 2
                for h in range(band):
                    line_out = out[2 * p + i, 2 * (r + h) + j]
                    for w in range(width):
                        for c in range(outside):  # a slice of so few values takes longer than the values
                            line_out[2 * w + k, c] = parts[part, h * width + w, c]
