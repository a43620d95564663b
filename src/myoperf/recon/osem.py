"""Ordered-subsets expectation maximisation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from myoperf.recon.projector import Projector
from myoperf.types import Float32


def interleaved_subsets(angles_deg: ArrayLike, subsets: int) -> tuple[tuple[int, ...], ...]:
    """Return subsets that take the views in turn along the orbit; where they do not divide evenly, sizes differ by one.

    The order depends on the angles alone, not on the order in which views are stored, so that the same views give the
    same image whichever direction of rotation a file states: by falling angle from the far side of the largest gap,
    or from 360 degrees down where the views are spread evenly over a full turn.

    Parameters
    ----------
    angles_deg
        Shape (views,), as in `myoperf.types.Projections`.

    Examples
    --------
    >>> interleaved_subsets([45, 30, 15, 0], 2), interleaved_subsets([0, 15, 30, 45], 2)
    (((0, 2), (1, 3)), ((3, 1), (2, 0)))
    """
    falling = np.round(-np.asarray(angles_deg, dtype=np.float64), 6) % 360.0
    order = np.argsort(falling, kind="stable")
    gaps = np.diff(falling[order], append=falling[order][0] + 360.0)
    if np.isclose(gaps, gaps.max(), atol=1e-3).sum() == 1:
        order = np.roll(order, -int(np.argmax(gaps)) - 1)
    count = min(subsets, order.size)
    return tuple(tuple(int(view) for view in order[first::count]) for first in range(count))


def osem(
    counts: Float32, projectors: Sequence[Projector], *, iterations: int, scattered: Float32 | None = None
) -> Float32:
    """Reconstruct by OSEM (Hudson and Larkin, IEEE Trans Med Imaging 13:601, 1994, doi:10.1109/42.363108).

    Per subset S: ``x <- x / (A_S^T 1) * A_S^T (y_S / (A_S x + s_S))``, from a uniform image. Each subset has
    its own sensitivity, so subsets need not have equally many views.

    Parameters
    ----------
    counts
        (views, columns, frames, rows), not negative.
    projectors
        One for each subset, all of one geometry.
    iterations
        Passes over all subsets.
    scattered
        Expected counts s that no activity along the ray accounts for, shape as `counts`; None for none. They are added
        to the expected counts instead of being taken from the measured ones, which keeps those Poisson.

    Returns
    -------
    Activity (voxels, frames, planes), including the planes beyond the detector.
    """
    from myoperf.recon.kernels import divide_counts, multiply_activity

    first = projectors[0]
    measured = [np.ascontiguousarray(counts[list(p.views)], dtype=np.float32) for p in projectors]
    inverse = [_inverse_sensitivity(p) for p in projectors]
    level = float(counts.mean())
    # A lower expected count is rounding error, and the ratio to it would be noise.
    floor = np.float32(1e-6 * level)
    activity = np.full((first.voxels, counts.shape[2], first.planes), level / first.geometry.columns, np.float32)
    for _ in range(iterations):
        for projector, subset_counts, scale in zip(projectors, measured, inverse, strict=True):
            expected = projector.forward(activity)
            if scattered is not None:
                expected += scattered[list(projector.views)]
            divide_counts(subset_counts, expected, floor)
            multiply_activity(activity, projector.back(expected), scale)
    return activity


def _inverse_sensitivity(projector: Projector) -> Float32:
    """Return 1 / (A^T 1), shape (voxels, 1, planes)."""
    shape = len(projector.views), projector.geometry.columns, 1, projector.geometry.rows
    sensitivity = projector.back(np.ones(shape, dtype=np.float32))
    # Planes beyond the detector that hardly reach it fade out instead of growing from noise.
    return np.asarray(1.0 / np.maximum(sensitivity, 0.01 * sensitivity.max()), dtype=np.float32)
