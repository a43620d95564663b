"""The one ventricle of the tests: half an ellipsoid's shell about its blood, in closed form and in any pose."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from myoperf.geometry import affine_from_axes, transform_points
from myoperf.segments import segment_of
from myoperf.types import LVFrame, PolarMap, Volume


@dataclass(frozen=True, kw_only=True)
class Ventricle:
    """Two half ellipsoids on one mitral plane; the wall lies between them, blood in the inner one.

    Attributes
    ----------
    frame
        From the mid-wall's apex to the middle of the mitral plane.
    outer, inner
        Semi-axes (across, along the long axis) in mm.
    rim_mm
        How far the wall reaches past the mitral plane.
    """

    frame: LVFrame
    outer: tuple[float, float]
    inner: tuple[float, float]
    rim_mm: float = 0.0

    @property
    def radius(self) -> float:
        """Mid-wall radius at the mitral plane, mm."""
        return 0.5 * (self.outer[0] + self.inner[0])

    @property
    def length(self) -> float:
        """From the mid-wall's apex to the mitral plane, mm."""
        return 0.5 * (self.outer[1] + self.inner[1])

    @property
    def wall_ml(self) -> float:
        """Volume of the wall up to the mitral plane."""
        return half_ellipsoid_ml(self.outer) - half_ellipsoid_ml(self.inner)

    @property
    def pool_ml(self) -> float:
        """Volume of the blood."""
        return half_ellipsoid_ml(self.inner)

    def moved(self, shift_mm) -> "Ventricle":
        """Return the ventricle shifted by a vector in mm."""
        ends = (np.add(end, shift_mm) for end in (self.frame.apex_mm, self.frame.base_mm))
        return replace(self, frame=LVFrame(*ends, self.frame.anterior))

    def scaled(self, outer, inner, *, towards_apex_mm=0.0) -> "Ventricle":
        """Return the ventricle with other semi-axes and its mitral plane moved, as in another gate."""
        base = self.frame.base_mm - towards_apex_mm * self.frame.axis
        apex = base - 0.5 * (outer[1] + inner[1]) * self.frame.axis
        return replace(self, frame=LVFrame(apex, base, self.frame.anterior), outer=outer, inner=inner)

    def local(self, points):
        """Return height over the mitral plane towards the apex, distance from the axis and angle (degrees)."""
        offset = points - self.frame.base_mm
        anterior, septal = offset @ self.frame.anterior, offset @ self.frame.septal
        return -(offset @ self.frame.axis), np.hypot(anterior, septal), np.degrees(np.arctan2(septal, anterior))

    def size(self, points):
        """Return how large the mid-wall's ellipsoid has to grow to hold a point: 1 on the mid-wall."""
        height, radius, _ = self.local(points)
        return np.hypot(height / self.length, radius / self.radius)

    def labels(self, points):
        """Return 1 in the wall, 2 in the blood, 0 elsewhere."""
        height, radius, _ = self.local(points)
        within = [(radius / a) ** 2 + (height / c) ** 2 <= 1 for a, c in (self.outer, self.inner)]
        pool = within[1] & (height >= 0)
        return np.where(pool, 2, np.where(within[0] & ~within[1] & (height >= -self.rim_mm), 1, 0)).astype(np.uint8)

    def slope(self, points):
        """Return the eccentric angle on the mid-wall as a fraction: 0 at the apex, 1 at the mitral plane and beyond."""
        height = np.maximum(self.local(points)[0], 0.0)
        return np.arccos(np.clip(height / (self.length * np.maximum(self.size(points), 1e-6)), 0, 1)) / (np.pi / 2)

    def arc(self, points):
        """Return the fraction of the mid-wall's arc from the apex to the mitral plane, on which segments are laid."""
        slopes, arc = self._arc()
        return np.interp(self.slope(points), slopes, arc)

    def segments(self, points):
        """Return the AHA segment, 1 to 17, of points of the wall."""
        return segment_of(self.arc(points), self.local(points)[2])

    def distance_mm(self, points):
        """Return the distance outwards from the mid-wall to first order; far away past the mitral plane."""
        height, radius, _ = self.local(points)
        size, along = self.size(points), np.maximum(height, 0.0)
        gradient = np.hypot(along / self.length**2, radius / self.radius**2) / np.maximum(size, 1e-6)
        return np.where(height > -3.0, (size - 1.0) / np.maximum(gradient, 1e-6), 99.0)

    def polar_map(self, rings=24, angles=72, values=None) -> PolarMap:
        """Return a map whose places lie on the mid-wall, at equal steps of arc; ones where no values are given."""
        slopes, arc = self._arc()
        slope = np.interp((np.arange(rings) + 0.5) / rings, arc, slopes)[:, None, None] * np.pi / 2
        turn = (np.arange(angles) * 2 * np.pi / angles)[:, None]
        side = np.cos(turn) * self.frame.anterior + np.sin(turn) * self.frame.septal
        mid = self.frame.base_mm - self.length * np.cos(slope) * self.frame.axis + self.radius * np.sin(slope) * side
        wall = 0.5 * (self.outer[0] - self.inner[0] + self.outer[1] - self.inner[1])
        return PolarMap(np.ones((rings, angles)) if values is None else values, mid, np.full((rings, angles), wall))

    def _arc(self):
        """Return eccentric angles as fractions and the fractions of the mid-wall's arc that they lie at."""
        slopes = np.linspace(0, 1, 4001)
        heights, radii = -self.length * np.cos(slopes * np.pi / 2), self.radius * np.sin(slopes * np.pi / 2)
        arc = np.concatenate([[0], np.cumsum(np.hypot(np.diff(heights), np.diff(radii)))])
        return slopes, arc / arc[-1]


def make_ventricle(base_mm, axis, anterior, *, radius, length, wall, rim_mm=0.0) -> Ventricle:
    """Return a ventricle by its mid-wall (radius and length) and the thickness of its wall, mm."""
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    frame = LVFrame(np.asarray(base_mm, float) - length * axis, base_mm, anterior)
    outer, inner = ((radius + half, length + half) for half in (0.5 * wall, -0.5 * wall))
    return Ventricle(frame=frame, outer=outer, inner=inner, rim_mm=rim_mm)


def right_ventricle(ventricle, points):
    """Return where the right ventricle's blood lies: a ball on the septal side, outside the left one."""
    frame = ventricle.frame
    away = np.linalg.norm(points - (frame.base_mm - 24 * frame.axis + 56 * frame.septal), axis=-1)
    return (away < 22) & (ventricle.size(points) > ventricle.outer[0] / ventricle.radius)


def thick_ventricle(radius=27.0, *, middle=1.0, half=0.2) -> Ventricle:
    """Return a ventricle of 66 mm whose wall takes a share of its size on both sides of the mid-wall."""
    base, apex = np.array((-8.0, 8.0, 6.0)), np.array((32.0, -30.0, -24.0))
    frame = LVFrame(apex, base, (0.0, -0.5, 0.8))
    outer, inner = ((share * radius, share * frame.length_mm) for share in (middle + half, middle - half))
    return Ventricle(frame=frame, outer=outer, inner=inner)


def wall_image(ventricle, *, side=36, spacing_mm=4.5, uptake=lambda points: 1.0) -> Volume:
    """Return the wall alone on a cube of voxels about the origin: 100 counts times the uptake at each point."""
    affine = grid_about((0.0, 0.0, 0.0), (side,) * 3, spacing_mm)
    points = points_of(affine, (side,) * 3)
    counts = np.where(ventricle.labels(points) == 1, 100.0 * uptake(points), 0.0)
    return Volume(counts.astype(np.float32), affine)


def half_ellipsoid_ml(semi_axes) -> float:
    """Return the volume of half an ellipsoid of revolution with semi-axes (across, along) in mm."""
    return 2 / 3 * np.pi * semi_axes[0] ** 2 * semi_axes[1] / 1000


def grid_about(centre_mm, shape, spacing_mm, axes=None):
    """Return the affine of a grid about a point: planes to the head, rows to the back, columns to the left."""
    axes = np.eye(3)[[2, 1, 0]] if axes is None else axes
    spacing = np.broadcast_to(np.asarray(spacing_mm, float), 3)
    origin = np.asarray(centre_mm) - axes.T @ (spacing * (np.asarray(shape) - 1) / 2)
    return affine_from_axes(origin, axes, spacing)


def points_of(affine, shape, *, shift=(0.0, 0.0, 0.0)):
    """Return the place of every voxel (..., 3), or of a point in it shifted from its middle by parts of a voxel."""
    return transform_points(affine, np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) + shift)


def subvoxels(count):
    """Return the shifts (count^3, 3) of points that fill a voxel evenly."""
    steps = (np.arange(count) + 0.5) / count - 0.5
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)


def voxelise(ventricle, affine, shape, *, values=(100.0,) * 17, oversample=3) -> tuple[Volume, Volume]:
    """Return image and labels: 17 segment values on the wall, 0 elsewhere, each voxel the mean of its parts."""
    image, wall, pool = np.zeros((3, *shape))
    for shift in subvoxels(oversample):
        points = points_of(affine, shape, shift=shift)
        labels = ventricle.labels(points)
        image[labels == 1] += np.asarray(values)[ventricle.segments(points[labels == 1]) - 1]
        wall += labels == 1
        pool += labels == 2
    total = oversample**3
    found = np.where(wall > total / 2, 1, np.where(pool > total / 2, 2, 0)).astype(np.uint8)
    return Volume((image / total).astype(np.float32), affine), Volume(found, affine)


@dataclass(frozen=True)
class Phantom:
    """A ventricle on a grid."""

    ventricle: Ventricle
    volume: Volume
    labels: Volume

    @property
    def frame(self) -> LVFrame:
        """The ventricle's pose."""
        return self.ventricle.frame


def make_phantom(
    *, values=(100.0,) * 17, euler_deg=(20.0, -35.0, 50.0), spacing_mm=(4.2, 3.0, 3.5), shape=(42, 60, 51)
) -> Phantom:
    """Return an oblique ventricle with given segment values, on an oblique grid with unequal axes."""
    apex, centre = np.array((41.0, -25.0, 21.0)), (11.0, -7.0, 33.0)
    axis = np.array((-54.0, 38.0, 30.0)) / np.linalg.norm((-54.0, 38.0, 30.0))
    ventricle = make_ventricle(
        apex + 80.0 * axis, axis, (0.4, -0.4, 0.8), radius=28.0, length=80.0, wall=10.0, rim_mm=6
    )
    axes = Rotation.from_euler("zyx", euler_deg, degrees=True).as_matrix()
    affine = grid_about(centre, shape, spacing_mm, axes)
    return Phantom(ventricle, *voxelise(ventricle, affine, shape, values=values))


def with_right_ventricle(volume, frame, side, *, wall=55.0, blood=20.0) -> Volume:
    """Add a right ventricle on a side of the frame: a shell of wall about blood, joined to the left one's wall."""
    local = points_of(volume.lps_from_index, volume.grid_shape) - frame.base_mm
    z, x, y = local @ frame.axis, local @ frame.anterior, local @ side
    outside = np.hypot(x, y) > 34.0
    size = np.sqrt(((z + 25) / 55) ** 2 + (x / 42) ** 2 + ((y - 25) / 42) ** 2)
    chamber = np.where(size < 0.85, blood, np.where(size < 1.0, wall, 3.0))
    return volume.with_array(np.where(outside, chamber, volume.array[0]).astype(np.float32))
