"""The image of an independent heart: gates averaged over their time, blur with tails, haze, counts and a filter.

Nothing is projected or reconstructed. A reconstructed image is taken as the activity seen through a point spread
function of unequal axes and long tails, on a haze of scatter, with Poisson counts that a filter smooths afterwards.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from myoperf.geometry import affine_from_axes, index_from_lps, transform_points
from myoperf.phantom.independent.shape import ROUND, Heart, Patch, Surfaces, grid, moments
from myoperf.types import Float, LVFrame, Volume

_FINE = 3
"""Fine voxels to a voxel of the camera, along each axis."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """How the image is made.

    Attributes
    ----------
    voxel_mm, voxels
        Of the cubic grid.
    gates
        Equal parts of the mean beat.
    fwhm_mm
        Full width at half maximum along the patient's left-right, front-back and head-foot axes.
    tail, tail_fwhm_mm
        Fraction of the counts in the wide part of the point spread function, and its width.
    haze
        Scattered counts as a fraction of the others, spread by 120 mm.
    counts
        In the whole image, over all gates.
    filter_fwhm_mm
        Of the smoothing after the counts are drawn.
    beat_spread
        Standard deviation of the beats' lengths relative to their mean; late gates lose the counts of short beats.
    window
        Beats farther from the mean than this fraction are rejected.
    movement_mm, movement_share
        The patient moves by this vector (LPS) for this fraction of the acquisition.
    """

    voxel_mm: float = 6.4
    voxels: int = 56
    gates: int = 8
    fwhm_mm: tuple[float, float, float] = (11.0, 12.0, 11.0)
    tail: float = 0.12
    tail_fwhm_mm: float = 40.0
    haze: float = 0.25
    counts: float = 8e6
    filter_fwhm_mm: float = 8.0
    beat_spread: float = 0.06
    window: float = 0.2
    movement_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    movement_share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Activity around the wall, relative to the wall's, and regions of the wall with less uptake.

    Attributes
    ----------
    blood, body, lung, liver, gut
        Activity of the cavities, of soft tissue, of the lungs, of the liver and of a loop of gut.
    liver_gap_mm, gut_gap_mm
        Distance from the inferior epicardium to the organ.
    right_wall, right_wall_mm, right_width_mm
        Uptake and thickness of the right ventricle's free wall; its largest distance from the septum.
    defects
        Uptake taken away.
    """

    blood: float = 0.08
    body: float = 0.06
    lung: float = 0.03
    liver: float = 0.6
    liver_gap_mm: float = 20.0
    gut: float = 0.0
    gut_gap_mm: float = 12.0
    right_wall: float = 0.35
    right_wall_mm: float = 3.5
    right_width_mm: float = 32.0
    defects: tuple[Patch, ...] = ()


def image_heart(
    heart: Heart,
    frame: LVFrame,
    *,
    camera: Camera,
    surroundings: Surroundings,
    rng: np.random.Generator,
) -> Volume:
    """Return the gated image of a heart in the patient's space.

    Parameters
    ----------
    frame
        Where it lies: the tip of the epicardium at ``apex_mm``, the axis and the anterior direction. The place of
        the base is the heart's own (see `heart_frame`).
    rng
        Draws the beats and the counts.

    Returns
    -------
    Shape (gates, planes, rows, columns), planes from the feet to the head.
    """
    corner = frame.centre_mm - 0.5 * camera.voxel_mm * (camera.voxels - 1)
    # Index axes (plane, row, column) run to the head (+z), to the back (+y) and to the left (+x).
    affine = affine_from_axes(corner, np.eye(3)[::-1], (camera.voxel_mm,) * 3)
    still = _surroundings(heart, frame, affine, camera, surroundings)
    box, places = _heart_box(heart, frame, affine, camera.voxels)
    share = _time_shares(camera, rng)
    right = _right_width(heart, places, surroundings)
    beat = np.stack([_wall(places, moment, right, surroundings) for moment in moments(heart, share.shape[1])])
    # Places that the heart leaves to the surroundings are NaN.
    beat = np.where(np.isnan(beat), _finer(still[box]), beat)
    images = share.sum(axis=1)[:, None, None, None] * still
    for image, weights in zip(images, share, strict=True):
        image[box] = _coarser(np.tensordot(weights, beat, 1))
    return Volume(_acquire(images, camera, rng), affine)


def _coarser(fine: Float) -> Float:
    """Return the mean of the fine voxels in every voxel."""
    planes, rows, columns = (size // _FINE for size in fine.shape)
    return np.asarray(fine.reshape(planes, _FINE, rows, _FINE, columns, _FINE).mean(axis=(1, 3, 5)))


def _finer(coarse: Float) -> Float:
    """Return every voxel repeated for its fine voxels."""
    return np.asarray(coarse.repeat(_FINE, axis=0).repeat(_FINE, axis=1).repeat(_FINE, axis=2))


def _time_shares(camera: Camera, rng: np.random.Generator, *, beats: int = 400, steps: int = 32) -> Float:
    """Return how much time each gate spends in each step of the cycle: shape (gates, steps).

    A camera that gates forward counts from the R wave in steps of the mean beat. A short beat ends before the last
    gates are reached; systole keeps nearly its length (it goes with the root of the beat's), diastole takes the rest.
    """
    length = rng.normal(1.0, camera.beat_spread, beats)
    length = length[np.abs(length - 1.0) <= camera.window]
    fine = 8 * steps
    clock = (np.arange(fine) + 0.5) / fine
    gate = np.minimum((clock * camera.gates).astype(np.int64), camera.gates - 1)
    out = np.zeros((camera.gates, steps))
    for beat in length:
        inside = clock < beat
        systole = 0.4 * np.sqrt(beat)
        cycle = np.where(clock < systole, 0.4 * clock / systole, 0.4 + 0.6 * (clock - systole) / (beat - systole))
        step = np.minimum((np.clip(cycle, 0.0, 0.9999) * steps).astype(np.int64), steps - 1)
        np.add.at(out, (gate[inside], step[inside]), 1.0)
    return np.asarray(out / out.sum())


def _local(frame: LVFrame, points_mm: Float) -> tuple[Float, Float, Float]:
    """Return height above the tip, radius about the axis and angle (anterior 0, septum 90 degrees) of points."""
    offset = points_mm - frame.apex_mm
    front, side = offset @ frame.anterior, offset @ frame.septal
    return offset @ frame.axis, np.hypot(front, side), np.arctan2(side, front) % (2.0 * np.pi)


@dataclass(frozen=True, eq=False)
class _Places:
    """Height, radius and angle of the voxels of the box around the heart, and where a table of a surface has them.

    `heights` are those of the table's rows, a quarter of a millimetre apart; its columns are the angles of `grid`.
    """

    height: Float
    radius: Float
    angle: Float
    heights: Float
    row: NDArray[np.intp]
    column: NDArray[np.intp]


def _places_of(frame: LVFrame, points_mm: Float) -> _Places:
    height, radius, angle = _local(frame, points_mm)
    heights = np.arange(height.min() - 0.25, height.max() + 0.5, 0.25)
    row = np.rint((height - heights[0]) / 0.25).astype(np.intp)
    column = np.rint(angle * (ROUND / (2.0 * np.pi))).astype(np.intp) % ROUND
    return _Places(height, radius, angle, heights, row, column)


def _heart_box(heart: Heart, frame: LVFrame, affine: Float, size: int) -> tuple[tuple[slice, slice, slice], _Places]:
    """Return the part of the camera's grid that the heart can reach, and where its fine voxels lie."""
    reach = 1.2 * heart.radius_mm + 1.4 * heart.wall_mm + 8.0
    ends = np.stack([frame.apex_mm, frame.apex_mm + (heart.length_mm + heart.valve_tilt_mm) * frame.axis])
    index = transform_points(index_from_lps(affine), np.concatenate([ends - reach, ends + reach]))
    low = np.clip(np.floor(index.min(axis=0)), 0, size).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, 0, size).astype(int)
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    steps = [(np.arange((b - a) * _FINE) + 0.5) / _FINE - 0.5 + a for a, b in zip(low, high, strict=True)]
    mesh = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1)
    return box, _places_of(frame, transform_points(affine, mesh))


def _radius_at(places: _Places, radius_mm: Float, height_mm: Float) -> Float:
    """Return a surface's radius at the height and angle of voxels; 0 below its tip and above its valve plane."""
    columns = zip(height_mm.T, radius_mm.T, strict=True)
    table = np.stack([np.interp(places.heights, z, r, left=0.0, right=0.0) for z, r in columns], axis=1)
    return table[places.row, places.column]


def _wall(places: _Places, moment: Surfaces, right_mm: Float, around: Surroundings) -> Float:
    """Return the activity of the box at one instant, NaN where the heart is not."""
    inner = _radius_at(places, moment.inner_mm, moment.inner_height_mm)
    outer = _radius_at(places, moment.outer_mm, moment.outer_height_mm)
    along, _ = grid()
    height = moment.outer_height_mm.mean(axis=1)
    share = np.interp(places.height, height, along[:, 0])
    uptake = np.ones(places.height.shape)
    for patch in around.defects:
        uptake -= patch.weight(share, places.angle)
    right = _right_ventricle(places, outer, right_mm, around)
    wall = np.where(places.radius < outer, np.clip(uptake, 0.0, 1.0), right)
    return np.where(places.radius < inner, around.blood, wall)


def _right_width(heart: Heart, places: _Places, around: Surroundings) -> Float:
    """Return how far the right ventricle's cavity reaches from the septum at the height and angle of voxels, in mm."""
    side = np.maximum(np.cos(places.angle - np.deg2rad(100.0)), 0.0) ** 0.6
    rise = np.clip((places.height / heart.length_mm - 0.15) / 0.5, 0.0, 1.0)
    return np.asarray(around.right_width_mm * side * np.sqrt(rise))


def _right_ventricle(places: _Places, outer: Float, width: Float, around: Surroundings) -> Float:
    """Return the activity of the right ventricle, a crescent of blood and wall on the septum's side; NaN elsewhere."""
    beyond = places.radius - outer
    inside = (beyond < width) & (outer > 0)
    wall = (beyond < width + around.right_wall_mm) & (outer > 0) & (width > 1.0)
    return np.where(inside, around.blood, np.where(wall, around.right_wall, np.nan))


def _surroundings(heart: Heart, frame: LVFrame, affine: Float, camera: Camera, around: Surroundings) -> Float:
    """Return the activity of the chest without the heart on the camera's grid."""
    steps = np.arange(camera.voxels)
    head = (affine[2, 3] + affine[2, 0] * steps)[:, None, None] - frame.centre_mm[2]
    back = (affine[1, 3] + affine[1, 1] * steps)[None, :, None] - frame.centre_mm[1]
    left = (affine[0, 3] + affine[0, 2] * steps)[None, None, :] - frame.centre_mm[0]
    # The heart lies to the left of and in front of the middle of the chest.
    chest = ((left + 45.0) / 165.0) ** 2 + ((back - 35.0) / 115.0) ** 2 < 1.0
    lungs = ((np.abs(left + 45.0) - 75.0) / 58.0) ** 2 + ((back - 45.0) / 85.0) ** 2 < 1.0
    out = np.broadcast_to(np.where(chest, around.body, 0.0), (camera.voxels,) * 3).copy()
    out[np.broadcast_to(lungs & chest, out.shape) & (head > -30.0)] = around.lung
    size = heart.radius_mm + heart.wall_mm
    bottom = -size - around.liver_gap_mm
    liver = ((left + 85.0) / 95.0) ** 2 + ((back - 20.0) / 85.0) ** 2 + ((head - bottom + 60.0) / 60.0) ** 2 < 1.0
    out[liver & chest] = around.liver
    loop = bottom + around.liver_gap_mm - around.gut_gap_mm - 12.0
    gut = ((left - 5.0) / 35.0) ** 2 + ((back - 5.0) / 14.0) ** 2 + ((head - loop) / 12.0) ** 2 < 1.0
    if around.gut > 0:
        out[gut & chest] = around.gut
    return out


def _spread(camera: Camera) -> Float:
    """Return the transfer function of the point spread function on the camera's grid, for `scipy.fft.rfftn`."""
    size = camera.voxels
    frequency = np.meshgrid(fft.fftfreq(size), fft.fftfreq(size), fft.rfftfreq(size), indexing="ij")
    cycles_mm = np.stack(frequency, axis=-1) / camera.voxel_mm

    def gauss(fwhm_mm: tuple[float, float, float]) -> Float:
        sigma = np.array(fwhm_mm[::-1]) / 2.3548
        return np.asarray(np.exp(-2.0 * np.pi**2 * ((cycles_mm * sigma) ** 2).sum(axis=-1)))

    narrow = (1.0 - camera.tail) * gauss(camera.fwhm_mm) + camera.tail * gauss((camera.tail_fwhm_mm,) * 3)
    moved = np.exp(-2j * np.pi * (cycles_mm @ np.array(camera.movement_mm[::-1])))
    movement = 1.0 + camera.movement_share * (moved - 1.0)
    return np.asarray((narrow + camera.haze * gauss((120.0,) * 3)) * movement)


def _acquire(activity: Float, camera: Camera, rng: np.random.Generator) -> Float:
    """Blur the gates, draw counts and smooth them."""
    transfer = _spread(camera)
    blurred = np.stack([fft.irfftn(fft.rfftn(gate) * transfer, s=gate.shape) for gate in activity])
    blurred = np.maximum(blurred, 0.0)
    scale = camera.counts / blurred.sum()
    counts = rng.poisson(blurred * scale).astype(np.float64)
    sigma = camera.filter_fwhm_mm / 2.3548 / camera.voxel_mm
    return np.asarray(ndimage.gaussian_filter(counts, (0.0, sigma, sigma, sigma)), dtype=np.float32)
