"""Regional truth of the phantom hearts that the simulator did not make: thickening and motion of their segments."""

from __future__ import annotations

import numpy as np

from myoperf.phantom.independent.shape import Heart, Surfaces, grid, moments
from myoperf.segments import segment_means
from myoperf.types import Float

RINGS, ANGLES, INSTANTS = 24, 72, 64


def regional_truth(heart: Heart) -> tuple[Float, Float]:
    """Return the thickening (percent) and the inward motion of the endocardium (mm) of the 17 segments."""
    beat = moments(heart, INSTANTS)
    volumes = [moment.cavity_ml for moment in beat]
    full, empty = beat[int(np.argmax(volumes))], beat[int(np.argmin(volumes))]
    thickening = 100.0 * (_thickness(empty) / np.maximum(_thickness(full), 0.5) - 1.0)
    along, up = np.gradient(full.inner_mm, axis=0), np.gradient(full.inner_height_mm, axis=0)
    outwards = (empty.inner_mm - full.inner_mm) * up - (empty.inner_height_mm - full.inner_height_mm) * along
    motion = -outwards / np.maximum(np.hypot(along, up), 1e-9)
    return segment_means(_unrolled(full, thickening)), segment_means(_unrolled(full, motion))


def _thickness(moment: Surfaces) -> Float:
    return np.hypot(moment.outer_mm - moment.inner_mm, moment.outer_height_mm - moment.inner_height_mm)


def _unrolled(moment: Surfaces, values: Float) -> Float:
    """Return values at equal steps of the mid-wall's arc and of the angle: a polar map."""
    radius = 0.5 * (moment.inner_mm + moment.outer_mm)
    height = 0.5 * (moment.inner_height_mm + moment.outer_height_mm)
    steps = np.hypot(np.diff(radius, axis=0), np.diff(height, axis=0))
    arc = np.concatenate([np.zeros((1, radius.shape[1])), np.cumsum(steps, axis=0)]) / steps.sum(axis=0)
    share = (np.arange(RINGS) + 0.5) / RINGS
    columns = (np.arange(ANGLES) * grid()[1].size / ANGLES).astype(int)
    return np.stack([np.interp(share, arc[:, k], values[:, k]) for k in columns], axis=1)
