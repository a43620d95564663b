"""The closed-form ventricle in a torso with a liver, blurred and noisy."""

import numpy as np
from scipy import ndimage

from myoperf.geometry import anterior_direction
from myoperf.types import Volume
from support.ventricle import Ventricle, grid_about, make_ventricle, points_of

AXES = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def shell(base=(30.0, 8.0, 12.0), axis=(-0.55, 0.75, 0.37), *, outer=(36.0, 86.0), wall=14.0) -> Ventricle:
    """Return a ventricle by its outer semi-axes, with its anterior wall towards the head."""
    half = 0.5 * wall
    given = {"radius": outer[0] - half, "length": outer[1] - half, "wall": wall}
    return make_ventricle(base, axis, anterior_direction(np.array(axis)), **given)


def grid(spacing=4.0, shape=(60, 66, 70)):
    """Return a grid about the origin, planes towards the feet, and the place of every voxel."""
    affine = grid_about((0.0, 0.0, 0.0), shape, spacing, AXES)
    return affine, points_of(affine, shape)


def make(
    ventricle=None, *, spacing=4.0, shape=(60, 66, 70), liver=0.0, defect=None, noise=0.0, fwhm=8.0, seed=0, heart=1.0
):
    """Give (image, labels). `defect` is (centre angle, half width in degrees, remaining uptake)."""
    ventricle = ventricle or shell()
    affine, points = grid(spacing, shape)
    labels = ventricle.labels(points)
    body = (points[..., 0] / 150) ** 2 + (points[..., 1] / 105) ** 2 < 1
    counts = np.where(body, 10.0, 0.0)
    counts = np.where(((points - [-70, 0, -75]) ** 2).sum(-1) < 60**2, np.maximum(counts, 100 * liver), counts)
    wall = np.full(labels.shape, 100.0 * heart)
    if defect:
        gap = np.abs((ventricle.local(points)[2] - defect[0] + 180) % 360 - 180)
        wall = np.where(gap < defect[1], 100 * defect[2], wall)
    if heart:
        counts = np.where(labels == 1, wall, np.where(labels == 2, 12.0, counts))
    counts = ndimage.gaussian_filter(counts, fwhm / 2.355 / np.broadcast_to(spacing, 3))
    if noise:
        counts = counts + noise * np.sqrt(counts) * np.random.default_rng(seed).standard_normal(counts.shape)
    return Volume(counts.astype(np.float32), affine), Volume(labels.astype(np.uint8), affine)
