"""Compiled steps of the distance between surfaces; imported on first use, since numba takes a while to load."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.kernels import kernel

Flat = NDArray[np.int64]


@kernel(nogil=True)
def mark_edges(mask: Any, margin: Any, marked: Any, places: Flat) -> int:
    """Mark the voxels of a mask that have a face on the outside or on the array's end; return their number.

    Parameters
    ----------
    mask
        (P, R, K) bool.
    margin
        (3,), where the mask's first voxel lies in `marked`.
    marked
        uint8, the mask's shape and `margin` on each side; written.
    places
        Flat positions in `marked` of those voxels; written, long enough for all of the mask.
    """
    planes, rows, columns = mask.shape
    high, wide = marked.shape[1], marked.shape[2]
    count = 0
    for i in range(planes):
        for j in range(rows):
            for k in range(columns):
                if mask[i, j, k]:
                    ends = i == 0 or j == 0 or k == 0 or i == planes - 1 or j == rows - 1 or k == columns - 1
                    if ends or not (
                        mask[i - 1, j, k]
                        and mask[i + 1, j, k]
                        and mask[i, j - 1, k]
                        and mask[i, j + 1, k]
                        and mask[i, j, k - 1]
                        and mask[i, j, k + 1]
                    ):
                        marked[i + margin[0], j + margin[1], k + margin[2]] = 1
                        places[count] = ((i + margin[0]) * high + j + margin[1]) * wide + k + margin[2]
                        count += 1
    return count


@kernel(nogil=True)
def search_nearby(places: Flat, marked: Any, steps: Flat, distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance from each place to the nearest marked voxel; -1 where none lies within the steps.

    Parameters
    ----------
    places
        (N,) flat positions, far enough from the ends of `marked` for every step.
    marked
        uint8, flat.
    steps, distances
        (M,), flat steps to the neighbours and how long they are, shortest first.
    """
    nearest = np.full(places.size, -1.0)
    for n in range(places.size):
        for m in range(steps.size):
            if marked[places[n] + steps[m]]:
                nearest[n] = distances[m]
                break
    return nearest
