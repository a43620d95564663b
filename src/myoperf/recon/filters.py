"""Smoothing after reconstruction."""

import numpy as np
from scipy import fft

from myoperf.errors import InputError
from myoperf.types import Volume


def nyquist_per_mm(volume: Volume) -> float:
    """Return the Nyquist frequency of the transaxial pixels in cycles/mm: 1 / (2 pixel)."""
    return float(0.5 / volume.spacing_mm[2])


def butterworth(volume: Volume, *, order: float = 5.0, cutoff_nyquist: float = 0.5) -> Volume:
    """Return a volume low-pass filtered in three dimensions.

    The amplitude at frequency f (cycles/mm, magnitude in 3D) is ``1 / sqrt(1 + (f / fc)^(2 order))``,
    0.707 at the cut-off fc. Some workstations omit the root (0.5 at the cut-off), some call
    2 x order the "power". Edges are mirrored (a cosine transform), so the filter neither
    darkens the first and last planes nor wraps around, and keeps the sum of each frame.

    Parameters
    ----------
    volume
        Any number of frames, each filtered separately.
    order
        Steepness.
    cutoff_nyquist
        fc as a fraction of the transaxial Nyquist frequency.

    Returns
    -------
    Volume of float32 on the same grid; sharp edges ring, so values can be slightly negative.

    Raises
    ------
    InputError
        When order or cut-off is not positive.
    """
    if order <= 0 or cutoff_nyquist <= 0:
        raise InputError(f"A Butterworth filter needs a positive order and cut-off; got {order} and {cutoff_nyquist}.")
    cutoff = cutoff_nyquist * nyquist_per_mm(volume)
    squared = np.zeros((1, 1, 1))
    for axis, (size, step) in enumerate(zip(volume.grid_shape, volume.spacing_mm, strict=True)):
        along = np.square(np.arange(size) / (2.0 * size * step * cutoff))
        squared = squared + along.reshape([-1 if i == axis else 1 for i in range(3)])
    gain = (1.0 / np.sqrt(1.0 + squared**order)).astype(np.float32)
    spectrum = fft.dctn(volume.array.astype(np.float32), axes=(1, 2, 3), norm="ortho")
    return volume.with_array(fft.idctn(spectrum * gain, axes=(1, 2, 3), norm="ortho"))
