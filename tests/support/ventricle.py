"""A closed-form left ventricle: half an ellipsoid shell on any grid, with segment values and labels."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from myoperf import geometry
from myoperf.segments import segment_of
from myoperf.types import LVFrame, Volume

LENGTH, RADIUS, WALL = 80.0, 28.0, 10.0


@dataclass(frozen=True)
class Phantom:
    volume: Volume
    labels: Volume
    frame: LVFrame


def ellipse_arc_fraction(height):
    """Fraction of the mid-wall's arc from the apex at a height (mm) above it."""
    polar = np.linspace(0, np.pi / 2, 2001)
    z, r = LENGTH * (1 - np.cos(polar)), RADIUS * np.sin(polar)
    arc = np.concatenate([[0], np.cumsum(np.hypot(np.diff(z), np.diff(r)))])
    return np.interp(height, z, arc / arc[-1])


def make_phantom(
    *,
    values=(100.0,) * 17,
    euler_deg=(20.0, -35.0, 50.0),
    spacing_mm=(4.2, 3.0, 3.5),
    shape=(42, 60, 51),
    centre=(11.0, -7.0, 33.0),
    pose=None,
    oversample=3,
):
    """Build the phantom: 17 segment values on the wall, 0 elsewhere; anti-aliased by oversampling."""
    pose = pose or LVFrame(np.add(centre, (30.0, -18.0, -12.0)), np.add(centre, (-24.0, 20.0, 18.0)), (0.4, -0.4, 0.8))
    axis = pose.axis
    pose = LVFrame(pose.apex_mm, pose.apex_mm + LENGTH * axis, pose.anterior)
    axes = Rotation.from_euler("zyx", euler_deg, degrees=True).as_matrix()
    spacing = np.asarray(spacing_mm)
    origin = np.asarray(centre) - axes.T @ (spacing * (np.asarray(shape) - 1) / 2)
    affine = geometry.affine_from_axes(origin, axes, spacing)
    image = np.zeros(shape, np.float64)
    wall = np.zeros(shape)
    pool = np.zeros(shape)
    offsets = (np.arange(oversample) + 0.5) / oversample - 0.5
    base = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).astype(float)
    for shift in np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), -1).reshape(-1, 3):
        local = geometry.transform_points(affine, base + shift) - pose.base_mm
        z, x, y = local @ pose.axis, local @ pose.anterior, local @ pose.septal
        r = np.hypot(x, y)
        outer = (z / (LENGTH + WALL / 2)) ** 2 + (r / (RADIUS + WALL / 2)) ** 2 <= 1
        inner = (z / (LENGTH - WALL / 2)) ** 2 + (r / (RADIUS - WALL / 2)) ** 2 <= 1
        above = z <= 0
        in_wall = outer & ~inner & (z <= 6.0)
        scale = np.sqrt((z / LENGTH) ** 2 + (r / RADIUS) ** 2)
        height = np.clip(LENGTH + z / np.maximum(scale, 1e-6), 0, LENGTH)
        segment = segment_of(ellipse_arc_fraction(height), np.rad2deg(np.arctan2(y, x)))
        image += np.where(in_wall, np.asarray(values)[segment - 1], 0.0)
        wall += in_wall
        pool += inner & above
    total = oversample**3
    labels = np.where(wall > total / 2, 1, np.where(pool > total / 2, 2, 0)).astype(np.uint8)
    return Phantom(Volume((image / total).astype(np.float32), affine), Volume(labels, affine), pose)
