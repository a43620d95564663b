"""Shape of the ventricle, and motion and thickening of its segments."""

import numpy as np

from myoperf.gated.tracking import Tracking
from myoperf.segments import segment_means
from myoperf.types import Float
from myoperf.ventricle.rays import Rays, at_rings, equal_arc_rings

_RINGS = 24

PHASE_RESPONSE: Float = np.array(
    [
        (0.60, 0.50, 0.40, 0.25),
        (0.00, 0.00, 0.00, 0.00),
        (0.00, 1.10, 1.10, 1.10),
        (0.00, 1.10, 1.10, 1.10),
    ]
)
"""How much of a contraction delay the output of `moving_wall` shows (first and second harmonic of thickness, then of
motion) for terms of the harmonic 0, 1, 2 and 3 or more round the axis. Blur mixes the thickness of neighbouring wall.
Not used (0): the second harmonic of thickness, which shows a delay in the simulator's hearts and none in the
independent ones; and motion for delays along the axis, of which it shows a fifth in the former and all in the latter,
since that depends on how base and apex move. Rounded slopes over both (``benchmarks/phase_response.py``)."""


def unroll(rays: Rays, values: Float, middle_mm: Float, rim_mm: Float) -> Float:
    """Resample a field on the rays of one gate at equal steps of the mid-wall's arc from apex to valve.

    Parameters
    ----------
    values, middle_mm
        Shape (rings, angles) on the rays.
    rim_mm
        Shape (angles,).

    Returns
    -------
    Shape (24, angles), as a polar map.
    """
    return at_rings(values, equal_arc_rings(rays, middle_mm, rings=_RINGS, rim_mm=rim_mm))


def moving_wall(wall: Tracking) -> tuple[Float, Float, Float]:
    """Return what `measure_synchrony` takes, on a polar map of 24 rings: thickness, motion and counts of the wall.

    Returns
    -------
    thickness
        (gates, 24, angles): local thickness of the moving wall (see `Tracking.local_mm`).
    motion_mm
        (gates, 24, angles): inward displacement of the mid-wall along the rays from its mean over the beat, at
        fixed positions of the mean surface.
    level
        (24, angles): counts of the wall, mean over the beat.
    """
    shell = wall.shell
    thickness, level = (
        np.stack(
            [
                unroll(wall.rays, field, middle, rim)
                for field, middle, rim in zip(fields, shell.middle_mm, shell.rim_mm, strict=True)
            ]
        )
        for fields in (wall.local_mm, wall.peak)
    )
    mean, rim = shell.middle_mm.mean(axis=0), shell.rim_mm.mean(axis=0)
    motion = np.stack([unroll(wall.rays, mean - middle, mean, rim) for middle in shell.middle_mm])
    return thickness, motion, level.mean(axis=0)


def regional(wall: Tracking, ed: int, es: int) -> tuple[Float, Float]:
    """Measure inward endocardial motion and thickening of the 17 segments between two gates.

    Motion runs along the rays. Thickening is the rise of the wall's peak counts: below the
    resolution of the image counts rise in proportion to thickness (partial volume; Galt et al.,
    IEEE Trans Med Imaging 1990;9:144).

    Parameters
    ----------
    wall
        The wall followed through the beat.
    ed, es
        Gates of end diastole and end systole, from 0.

    Returns
    -------
    (motion in mm, thickening in percent), each of shape (17,), AHA order.
    """
    shell = wall.shell
    inner = shell.inner_mm(wall.rays)
    motion = unroll(wall.rays, inner[ed] - inner[es], shell.middle_mm[ed], shell.rim_mm[ed])
    before, after = (
        segment_means(unroll(wall.rays, wall.peak[gate], shell.middle_mm[gate], shell.rim_mm[gate]))
        for gate in (ed, es)
    )
    # A segment without counts at end diastole would thicken without bound.
    floor = 0.02 * float(np.max(before))
    return segment_means(motion), 100.0 * (after / np.maximum(before, floor) - 1.0)


def shape_numbers(wall: Tracking, gate: int) -> tuple[float, float]:
    """Measure shape index and eccentricity at a gate.

    Shape index: largest inner diameter across over inner length from apex to valve (1 is a sphere;
    Abidov et al., J Nucl Cardiol 2006;13:652). Eccentricity: sqrt(1 - (diameter / (2 length))^2) of the
    half ellipsoid with the mid-wall's length and largest radius; 0 is half a sphere.
    """
    shell, rays = wall.shell, wall.rays
    inner, rim = shell.inner_mm(rays)[gate], float(shell.rim_mm[gate].mean())
    rows = slice(rays.cap_rings, rays.cap_rings + max(1, int(rim / rays.tube_step_mm)))
    tip = float(inner[0].mean() * np.cos(rays.tilt_rad[0]))
    across = 2.0 * float(inner[rows].mean(axis=1).max())
    middle = float(shell.middle_mm[gate, 0].mean()) + rim
    radius = float(shell.middle_mm[gate, rows].mean(axis=1).max())
    return across / (tip + rim), float(np.sqrt(max(0.0, 1.0 - (radius / middle) ** 2)))
