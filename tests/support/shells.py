"""Closed-form ventricles: half-ellipsoid shells with a cavity, a torso, a liver and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from myoperf.geometry import affine_from_axes, anterior_direction, transform_points
from myoperf.types import LVFrame, Volume

AXES = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True)
class Shell:
    """Outer and inner half ellipsoids sharing the mitral plane."""

    base: tuple[float, float, float] = (30.0, 8.0, 12.0)
    axis: tuple[float, float, float] = (-0.55, 0.75, 0.37)
    outer: tuple[float, float] = (36.0, 86.0)
    wall: float = 14.0

    def frame(self) -> LVFrame:
        axis = np.array(self.axis) / np.linalg.norm(self.axis)
        apex = np.array(self.base) - axis * (self.outer[1] - 0.5 * self.wall)
        return LVFrame(apex, np.array(self.base), anterior_direction(axis))

    def labels(self, points):
        axis = np.array(self.axis) / np.linalg.norm(self.axis)
        offset = points - np.array(self.base)
        along = offset @ axis
        across = np.linalg.norm(offset - along[..., None] * axis, axis=-1)
        a, c = self.outer
        outer = (across / a) ** 2 + (along / c) ** 2 <= 1
        inner = (across / (a - self.wall)) ** 2 + (along / (c - self.wall)) ** 2 <= 1
        return np.where(along <= 0, np.where(inner, 2, np.where(outer, 1, 0)), 0)


def grid(spacing=4.0, shape=(60, 66, 70)):
    step = np.broadcast_to(spacing, 3)
    origin = -0.5 * (np.array(shape)[[2, 1, 0]] - 1) * step[[2, 1, 0]] * [1, 1, -1]
    affine = affine_from_axes(origin, AXES, spacing)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return affine, transform_points(affine, index)


def make(
    shell=None, *, spacing=4.0, shape=(60, 66, 70), liver=0.0, defect=None, noise=0.0, fwhm=8.0, seed=0, heart=1.0
):
    """Give (image, labels). `defect` is (centre angle, half width in degrees, remaining uptake)."""
    shell = shell or Shell()
    affine, points = grid(spacing, shape)
    labels = shell.labels(points)
    body = (points[..., 0] / 150) ** 2 + (points[..., 1] / 105) ** 2 < 1
    counts = np.where(body, 10.0, 0.0)
    counts = np.where(((points - [-70, 0, -75]) ** 2).sum(-1) < 60**2, np.maximum(counts, 100 * liver), counts)
    wall = np.full(labels.shape, 100.0 * heart)
    if defect:
        frame = shell.frame()
        offset = points - frame.base_mm
        angle = np.rad2deg(np.arctan2(offset @ frame.septal, offset @ frame.anterior))
        gap = np.abs((angle - defect[0] + 180) % 360 - 180)
        wall = np.where(gap < defect[1], 100 * defect[2], wall)
    if heart:
        counts = np.where(labels == 1, wall, np.where(labels == 2, 12.0, counts))
    counts = ndimage.gaussian_filter(counts, fwhm / 2.355 / np.broadcast_to(spacing, 3))
    if noise:
        counts = counts + noise * np.sqrt(counts) * np.random.default_rng(seed).standard_normal(counts.shape)
    return Volume(counts.astype(np.float32), affine), Volume(labels.astype(np.uint8), affine)
