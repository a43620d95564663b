"""Polar maps as pictures for networks of photographs, and simulated maps that need no image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.geometry.disc import disc_image
from myoperf.phantom.records import PatientModel
from myoperf.phantom.truth import truth_polar
from myoperf.research.polar_classifier.cases import ANGLES, RINGS
from myoperf.types import State


def draw_discs(maps: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Draw polar maps as the round pictures that image networks take.

    Parameters
    ----------
    maps
        (n, rings, angles); each is scaled by its own maximum.
    side
        Pixels of the picture's side.

    Returns
    -------
    (n, side, side), 0 to 1; 0 outside the disc, anterior up and septum left.

    Examples
    --------
    >>> disc = draw_discs(np.ones((1, 4, 8)), 16)
    >>> disc.shape, float(disc[0, 8, 8]), float(disc[0, 0, 0])
    ((1, 16, 16), 1.0, 0.0)
    """
    discs = [disc_image(values / values.max(), side) for values in maps]
    return np.nan_to_num(np.stack(discs)).astype(np.float32)


def blurred_map(patient: PatientModel, state: State, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a patient's true perfusion, blurred and with noise, as a map (rings, angles): no image, so fast.

    The blur is about that of a SPECT camera: 1.5 rings along the wall, 3 of 72 columns around it.
    """
    perfusion = truth_polar(patient, state, RINGS, ANGLES)
    noise = ndimage.gaussian_filter(rng.normal(0.0, 0.15, perfusion.shape), (1.0, 2.0), mode=("nearest", "wrap"))
    blurred: NDArray[np.float64] = ndimage.gaussian_filter(perfusion, (1.5, 3.0), mode=("nearest", "wrap")) + noise
    return blurred
