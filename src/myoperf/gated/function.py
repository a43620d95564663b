"""Volumes, ejection fraction, motion, thickening and synchrony of a gated scan."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from myoperf.errors import AnalysisError, InputError
from myoperf.gated.gates import require_counts
from myoperf.gated.regional import PHASE_RESPONSE, moving_wall, regional, shape_numbers, wall_surfaces
from myoperf.gated.synchrony import measure_synchrony, without_phase
from myoperf.gated.thickness import SPECT_BLUR, WallBlur
from myoperf.gated.tracking import Tracking, track_wall, track_walls
from myoperf.gated.volume_curve import fit_volume_curve
from myoperf.types import Float, FunctionResult, LVFrame, PolarMap, Volume, VolumeCurve, WallFunction
from myoperf.ventricle.rays import cavity_ml, mid_wall_area_mm2

WALL_G_PER_ML = 1.05
"""Density of myocardium."""
_LEAST_LEFT = 0.05
"""Share of the end-diastolic volume below which none can be left at end systole. MyoPerf's own limit."""


def measure_function(
    gated: Volume,
    frame: LVFrame,
    polar: PolarMap,
    *,
    frame_duration_ms: Float | None = None,
    thickness_mm: float | None = None,
    prior: WallBlur = SPECT_BLUR,
    rounds: int = 5,
) -> FunctionResult:
    """Measure ventricular function and synchrony.

    The wall is tracked through the beat by `myoperf.gated.tracking`. The endocardium lies half a thickness inside the
    mid-wall; the thickness is measured with the image's resolution (`myoperf.gated.thickness`). A moving valve plane
    closes the volumes.

    Parameters
    ----------
    gated
        4 gates or more, in order from the R wave.
    frame, polar
        Pose; polar map of the summed volume or of the gates, from whose mid-wall the search for the moving wall
        starts.
    frame_duration_ms
        Shape (gates,): length of each gate; filling rates need it.
    thickness_mm
        Mean wall thickness at end diastole where it is known, as from echocardiography; measured when None.
    prior
        What is known beforehand of the wall and of the image's resolution: `SPECT_BLUR` or `PET_BLUR`, or with the
        resolution that the reconstruction is known to have.
    rounds
        Of fitting the model wall; 2 suffice for the spread over repeated draws.

    Raises
    ------
    InputError
        When there are fewer than 4 gates or the polar map has another number of gates.
    AnalysisError
        When there are no counts along the wall or hardly any in a gate, or when the volume curve is none that a
        ventricle can have.
    """
    if gated.frames < 4:
        raise InputError(f"Ventricular function needs 4 gates or more; got {gated.frames}.")
    if polar.values.ndim == 3 and polar.values.shape[0] != gated.frames:
        raise InputError(f"The polar map has {polar.values.shape[0]} gates, the volume {gated.frames}.")
    require_counts(gated)
    if thickness_mm is not None:
        prior = replace(prior, thickness_mm=thickness_mm, thickness_sd_mm=0.0)
    wall = track_wall(gated, frame, polar, prior=prior, rounds=rounds)
    inner = wall.shell.inner_mm(wall.rays)
    volumes = cavity_ml(wall.rays, inner, wall.shell.rim_mm)
    beat = None if frame_duration_ms is None else float(np.sum(frame_duration_ms))
    curve = fit_volume_curve(volumes, beat_ms=beat)
    if curve.esv_ml < _LEAST_LEFT * curve.edv_ml:
        raise AnalysisError(
            f"the volume curve falls from {curve.edv_ml:.0f} to {curve.esv_ml:.0f} ml, and no ventricle empties so far"
            ": the wall was not followed."
        )
    synchrony = measure_synchrony(*moving_wall(wall), response=PHASE_RESPONSE)
    return FunctionResult(
        edv_ml=curve.edv_ml,
        esv_ml=curve.esv_ml,
        lvef_percent=100.0 * (1.0 - curve.esv_ml / curve.edv_ml),
        volumes_ml=tuple(float(v) for v in volumes),
        mid_wall_volumes_ml=tuple(float(v) for v in cavity_ml(wall.rays, wall.shell.middle_mm, wall.shell.rim_mm)),
        surfaces=wall_surfaces(wall),
        curve=curve,
        wall=_wall_function(wall, curve),
        synchrony=synchrony if curve.beats else without_phase(synchrony),
    )


def static_cavities_ml(
    scans: Sequence[tuple[Volume, LVFrame, PolarMap]], *, thickness_mm: float = SPECT_BLUR.thickness_mm
) -> tuple[float, ...]:
    """Measure the cavities of scans of one patient with one camera and reconstruction, as stress and rest for TID.

    Gates are summed; the cavity is measured as `measure_function` measures every gate's. The resolution is fitted to
    all scans at once: what noise does to it then affects all cavities alike and cancels in their ratio. Scans whose
    voxels differ in size by more than a tenth are not of one camera: each is fitted alone.

    Parameters
    ----------
    scans
        ``(volume, frame, polar)`` of each: the polar map is that of the summed volume.
    thickness_mm
        Assumed mean wall thickness at end diastole.

    Returns
    -------
    Millilitres of each.

    Raises
    ------
    AnalysisError
        When there are no counts along a wall.
    """
    prior = replace(SPECT_BLUR, thickness_mm=thickness_mm, thickness_sd_mm=0.0)
    summed = [(volume.summed(), frame, polar) for volume, frame, polar in scans]
    sizes = np.array([float(np.prod(volume.spacing_mm)) ** (1.0 / 3.0) for volume, _, _ in summed])
    if sizes.max() > 1.1 * sizes.min():
        walls = tuple(track_wall(*one, prior=prior) for one in summed)
    else:
        walls = track_walls(summed, prior=prior)
    return tuple(float(cavity_ml(w.rays, w.shell.inner_mm(w.rays), w.shell.rim_mm)[0]) for w in walls)


def _nearest_gate(time: float, gates: int) -> int:
    """Return the gate that a time in cycles falls into."""
    return min(int(time * gates), gates - 1)


def _wall_ml(wall: Tracking) -> Float:
    """Return the wall's volume in every gate, (gates,)."""
    inner = wall.shell.inner_mm(wall.rays)
    inside, whole = (
        cavity_ml(wall.rays, edge, wall.shell.rim_mm) for edge in (inner, 2.0 * wall.shell.middle_mm - inner)
    )
    return np.asarray(whole - inside)


def _wall_function(wall: Tracking, curve: VolumeCurve) -> WallFunction:
    """Measure the wall between the gates of end diastole and end systole."""
    gates = wall.shell.middle_mm.shape[0]
    ed, es = _nearest_gate(curve.ed_cycles, gates), _nearest_gate(curve.es_cycles, gates)
    wall_ml = _wall_ml(wall)
    thick = 1000.0 * wall_ml / mid_wall_area_mm2(wall.rays, wall.shell.middle_mm, wall.shell.rim_mm)
    (shape_ed, eccentricity_ed), (shape_es, eccentricity_es) = shape_numbers(wall, ed), shape_numbers(wall, es)
    motion, thickening = regional(wall, curve.ed_cycles, curve.es_cycles)
    return WallFunction(
        ed_gate=ed + 1,
        es_gate=es + 1,
        mass_g=float(wall_ml[ed] * WALL_G_PER_ML),
        wall_ed_mm=float(thick[ed]),
        wall_es_mm=float(thick[es]),
        wall_sd_mm=wall.blur.thickness_sd_mm,
        resolution_sd_mm=wall.blur.sigma_sd_mm * 2.3548,
        resolution_fwhm_mm=wall.blur.sigma_mm * 2.3548,  # of a Gaussian: 2 sqrt(2 ln 2) sigma
        fit_residual_mm=wall.residual_mm,
        shape_index_ed=shape_ed,
        shape_index_es=shape_es,
        eccentricity_ed=eccentricity_ed,
        eccentricity_es=eccentricity_es,
        motion_mm=motion,
        thickening_percent=thickening,
    )
