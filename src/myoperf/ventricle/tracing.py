"""The wall's surfaces along rays: mid-wall, inner and outer edge, and where the wall ends."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.geometry import sample
from myoperf.types import Float, Volume
from myoperf.ventricle.bullet import Bullet, rays_over_bullet
from myoperf.ventricle.fit import bend_sheet
from myoperf.ventricle.profiles import find_peaks
from myoperf.ventricle.rays import Rays
from myoperf.ventricle.valve_plane import ValveSearch, find_valve_plane

PAST_BASE_MM = 24.0
EDGE_MM = (4.0, 14.0)
"""Limits of half a wall's thickness as the image shows it, broadened by its resolution."""
SIDE_MM = 20.0


@dataclass(frozen=True, eq=False)
class TracedWall:
    """The wall as distances along rays.

    Attributes
    ----------
    rays
        Laid over the bullet that was refined to the image.
    inner_mm, middle_mm, outer_mm
        (rings, angles) distances along the rays.
    counts
        (rings, angles) at mid-wall.
    weight
        (rings, angles) 0 to 1: how clearly the image shows a wall; 0 where it is interpolated.
    rim_mm
        (angles,) height of the valve plane above the hub.
    """

    rays: Rays
    inner_mm: Float
    middle_mm: Float
    outer_mm: Float
    counts: Float
    weight: Float
    rim_mm: Float

    @property
    def below_valve(self) -> NDArray[np.bool_]:
        """(rings, angles): whether the ray meets the wall apical to the valve plane."""
        cap = np.arange(len(self.middle_mm)) < self.rays.cap_rings
        return np.asarray(cap[:, None] | (self.rays.height_mm[:, None] <= self.rim_mm))


def trace_wall(image: Volume, bullet: Bullet, anterior: Float, *, rim_mm: float | None = None) -> TracedWall:
    """Trace the wall of a static image along the rays of a bullet.

    The mid-wall is the profile's maximum near the bullet, made smooth by `bend_sheet`; the edges
    are half-way between the wall's peak and the lowest counts within 20 mm on either side, so
    they outline the wall *as the image shows it*, broadened by its resolution.

    Parameters
    ----------
    image
        Static, from `myoperf.lv.detect.prepare`.
    anterior
        (3,) direction of angle 0.
    rim_mm
        Height of the mitral plane above the hub where it is known; estimated from the image when None.
    """
    rays = rays_over_bullet(bullet, anterior, past_base_mm=PAST_BASE_MM)
    start = bullet.radius_along(rays)
    reach = np.arange(float(np.ceil(start.max() + 32.0)))
    profiles = sample(image, rays.sweep(reach))[0].astype(np.float64)
    profiles = ndimage.gaussian_filter1d(profiles, 1.5, axis=0)
    profiles = ndimage.gaussian_filter1d(profiles, 0.7, axis=2, mode="wrap")
    arc = rays.arc_mm(start)
    past = 1 / (1 + np.exp((arc - arc[rays.cap_rings] - bullet.base_mm) / 4.0))
    middle = start
    for window in (9.0, 6.0, 5.0):
        peaks = find_peaks(profiles, middle, window_mm=window)
        weight = past * _clearness(profiles, peaks.place_mm, peaks.height)
        middle = bend_sheet(peaks.place_mm, weight, start)
    middle = np.clip(middle, 0.4 * start, 1.6 * start)
    inwards, outwards = (_edge(profiles, middle, weight, side) for side in (-1, 1))
    nearest = np.clip(np.rint(middle), 0, len(reach) - 1).astype(int)
    counts = np.take_along_axis(profiles, nearest[None], axis=0)[0]
    rim = _valve_plane(counts, rays, bullet) if rim_mm is None else np.full(rays.angles, rim_mm)
    inner = np.maximum(middle - inwards, 0.15 * middle)
    return TracedWall(rays, inner, middle, middle + outwards, counts, weight, rim)


def _clearness(profiles: Float, place_mm: Float, height: Float) -> Float:
    """Rate from 0 to 1 how clearly each ray's peak rises above the cavity and reaches the wall's usual counts."""
    steps = np.arange(len(profiles), dtype=np.float64)[:, None, None]
    cavity = np.where(steps <= place_mm, profiles, np.inf).min(axis=0)
    usual = np.percentile(height, 75) + 1e-12
    clear = np.clip((height - cavity) / (0.4 * usual), 0, 1) * np.clip(height / (0.6 * usual), 0, 1) ** 2
    return np.asarray(np.where(height > 1.7 * usual, 0.2 * clear, clear))  # hotter than this is rarely wall


def _edge(profiles: Float, middle_mm: Float, weight: Float, side: int) -> Float:
    """Measure from mid-wall to where counts fall half-way, inwards (-1) or outwards (1): smooth, (rings, angles)."""
    steps = np.arange(len(profiles), dtype=np.float64)[:, None, None]
    nearest = np.clip(np.rint(middle_mm), 0, len(profiles) - 1).astype(int)
    peak = np.take_along_axis(profiles, nearest[None], axis=0)[0]
    offset = side * (steps - middle_mm)
    near = (offset >= 0) & (offset <= SIDE_MM)
    low = np.minimum(np.where(near, profiles, np.inf).min(axis=0), peak)
    level = np.maximum(0.5 * (peak + low), 0.5 * peak)
    edge = np.where(near & (profiles < level), offset, np.inf).min(axis=0) - 0.5
    present = np.isfinite(edge) & (peak - low > 0.25 * peak)
    trust = weight * present
    usual = float(np.median(edge[trust > 0.3])) if (trust > 0.3).any() else 8.0
    half = np.clip(np.where(present, edge, usual), *EDGE_MM)
    return np.clip(bend_sheet(half, trust, np.full_like(half, usual), stiffness=2.0, pull=0.1), *EDGE_MM)


def _valve_plane(counts: Float, rays: Rays, bullet: Bullet) -> Float:
    """Find the valve plane of a static image past a bullet whose length is only a first guess: (angles,)."""
    # Usual are the counts from the middle of the cap to 30 mm above the hub.
    last = rays.cap_rings + max(2, int(30.0 / rays.tube_step_mm))
    search = ValveSearch(
        usual_rings=slice(rays.cap_rings // 2, last),
        usual_percentile=75.0,
        lowest_mm=0.3 * bullet.radius_mm,
        open_sectors=True,
        ridge=0.2,
        rounds=10,
        most_tilt_mm=0.4 * bullet.radius_mm,
    )
    expected = np.full((1, rays.angles), bullet.base_mm)
    return np.asarray(find_valve_plane(counts[None], rays, expected, search)[0])
