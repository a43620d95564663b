"""The ventricle's pose: its long axis after Ni et al. 2023 (doi:10.48550/arXiv.2310.10095), its septum after anatomy.

The paper writes ``R = Ry(alpha) Rx(beta) Rz(gamma)`` without naming axes. Assumed here, as it makes the
paper's mean angles an upright anatomical heart: transaxial axes are LPS (x left, y back, z head); the
short-axis frame's axes, R's columns, are x' septal to lateral, y' anterior to inferior, z' apex to base.
With the mean SPECT angles the axis then runs from the apex to the right, back and head, the anterior
wall faces up, the lateral wall left. The paper's translations, of opposite sign to the heart's place
(left, front), are taken as the move that brings the heart to the middle of the volume.

Real images contradict the paper in two ways. Read as above, its axes point 22 degrees to the left on average, those
of 61 open volumes 34; the axes drawn here are moved half-way towards these. And its gamma turns the anterior direction
19 degrees from the projection of "up" towards the lateral wall, whereas the insertions of real right ventricles put it
5 degrees towards the septum: AHA's segments (doi:10.1161/hc0402.102975) begin there. The turn about the axis is
therefore drawn by itself, and gamma follows from it.
"""

import numpy as np
from numpy.typing import ArrayLike

from myoperf.geometry import anterior_direction
from myoperf.types import Float, LVFrame

EULER_RANGE = ((-1.49, -0.26), (-1.69, -0.32), (0.56, 1.80))
"""Radians: (least, most) of alpha, beta, gamma over PET and SPECT, Ni et al. 2023, Table 2."""
EULER_MEAN = (-0.81, -1.06, 1.215)
EULER_SD = (0.21, 0.26, 0.24)

AXIS_SHIFT = (-0.14, 0.08)
"""Radians, added to alpha and beta: half-way to the real volumes, 28 degrees to the left and 19 down on average."""
TURN_MEAN_DEG, TURN_SD_DEG = 5.0, 8.0
"""Anterior direction about the axis, from the projection of "up" towards the septum.

`polar.estimate_anterior` finds 5.6 (SD 8.6) degrees in the open real volumes P01-P25."""

PLACE_RANGE_MM = ((5.0, 66.0), (-70.0, 16.0), (8.0, 105.0))
"""(least, most) of the heart's place against the middle of the field of view: to the left, to the back, to the head.

Table 2's translations over both scanners, in millimetres: SPECT with half a field of 64 x 6.8 / 2 = 218 mm,
PET with 128 x 2.03 / 2 = 130 mm."""
_PLACE_MEAN, _PLACE_SD = (41.0, -31.5, 60.0), (10.0, 15.5, 17.0)

_WIDE = 0.10
"""Share of patients drawn uniformly over the whole range, so that training covers its corners."""


def rotation(euler: ArrayLike) -> Float:
    """Return R = Ry(alpha) Rx(beta) Rz(gamma), shape (3, 3): equation 1 of Ni et al. 2023.

    Its columns are the short-axis frame's axes in LPS: septal to lateral, anterior to inferior, apex to base.

    Parameters
    ----------
    euler
        (alpha, beta, gamma) in radians.
    """
    (ca, cb, cg), (sa, sb, sg) = np.cos(np.asarray(euler, float)), np.sin(np.asarray(euler, float))
    ry = np.array([[ca, 0, sa], [0, 1, 0], [-sa, 0, ca]])
    rx = np.array([[1, 0, 0], [0, cb, -sb], [0, sb, cb]])
    rz = np.array([[cg, -sg, 0], [sg, cg, 0], [0, 0, 1]])
    return np.asarray(ry @ rx @ rz)


def frame_from_euler(euler: ArrayLike, centre_mm: ArrayLike, length_mm: float) -> LVFrame:
    """Build the frame whose long axis, `length_mm` long, is centred on a point.

    Parameters
    ----------
    euler
        (alpha, beta, gamma) in radians.
    centre_mm
        LPS point half-way between apex and base.
    """
    matrix = rotation(euler)
    half = 0.5 * length_mm * matrix[:, 2]
    centre = np.asarray(centre_mm, dtype=np.float64)
    return LVFrame(centre - half, centre + half, -matrix[:, 1])


def turned_euler(alpha: float, beta: float, turn_deg: float) -> Float:
    """Return Euler angles whose anterior direction is turned about the axis, from "up" towards the septum.

    Parameters
    ----------
    alpha, beta
        Radians; they set the long axis.
    turn_deg
        0: anterior is the projection of the direction to the head onto the short-axis plane.

    Returns
    -------
    (alpha, beta, gamma) in radians.
    """
    upright = rotation((alpha, beta, 0.0))
    axis, turn = upright[:, 2], np.deg2rad(turn_deg)
    up = LVFrame(-axis, axis, anterior_direction(axis))
    anterior = np.cos(turn) * up.anterior + np.sin(turn) * up.septal
    gamma = np.arctan2(anterior @ upright[:, 0], -anterior @ upright[:, 1])
    return np.array([alpha, beta, float(gamma)])


def draw_euler(rng: np.random.Generator) -> Float:
    """Draw (alpha, beta, gamma) in radians, shape (3,): one patient in ten uniformly over the range of Ni et al. 2023.

    The others vary normally about the usual axis; the anterior direction lies near "up".
    """
    alpha, beta, roll = _draw_table(rng)
    turn = TURN_MEAN_DEG + TURN_SD_DEG * (roll - EULER_MEAN[2]) / EULER_SD[2]
    return turned_euler(alpha + AXIS_SHIFT[0], beta + AXIS_SHIFT[1], float(turn))


def _draw_table(rng: np.random.Generator) -> Float:
    """Draw angles about the paper's means, cut to its range."""
    low, high = np.array(EULER_RANGE).T
    if rng.random() < _WIDE:
        return np.asarray(rng.uniform(low, high))
    while True:
        euler = rng.normal(EULER_MEAN, EULER_SD)
        if ((euler >= low) & (euler <= high)).all():
            return np.asarray(euler)


def draw_place(rng: np.random.Generator) -> tuple[Float, float]:
    """Draw where the heart lies: normally about the paper's SPECT means, one patient in ten uniformly over the range.

    Returns
    -------
    The LPS point half-way between apex and base in the patient's own space (height 0), shape (3,), and the
    heart's height above the middle of the scanner's field of view, mm.
    """
    low, high = np.array(PLACE_RANGE_MM).T
    wide = rng.random() < _WIDE
    place = rng.uniform(low, high) if wide else np.clip(rng.normal(_PLACE_MEAN, _PLACE_SD), low, high)
    return np.array([place[0], place[1], 0.0]), float(place[2])
