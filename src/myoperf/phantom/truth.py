"""The truth of a simulated patient: pose, volumes, perfusion of every segment, function, disease and labels."""

from functools import lru_cache

import numpy as np

from myoperf.errors import InputError
from myoperf.phantom.coronary import healthy_pattern, perfusion
from myoperf.phantom.heart import Wall, fraction_of_meridian, myocardium_ml, wall_at
from myoperf.phantom.labels import expert_labels, expert_scores, ica_labels, stenosis_percent
from myoperf.phantom.motion import moved_surfaces, phase_deg, reference_ejection, volumes
from myoperf.phantom.parts import Ventricle
from myoperf.phantom.records import PatientModel, Truth
from myoperf.segments import segment_means
from myoperf.types import Float, State

_RINGS, _ANGLES = 40, 72
_DEFECT_BELOW = 0.85


def _polar_places(rings: int, angles: int) -> tuple[Float, Float]:
    if rings < 2 or angles < 2:
        raise InputError(f"A polar map needs at least 2 x 2 samples; got {rings} x {angles}.")
    return ((np.arange(rings) + 0.5) / rings)[:, None], (np.arange(angles) * 360.0 / angles)[None]


def truth_polar(patient: PatientModel, state: State, rings: int = 40, angles: int = 72) -> Float:
    """Return relative uptake averaged over the wall's depth, (rings, angles); 1 is healthy wall.

    Ring 0 lies at the apex, angle 0 is anterior and rises through the septum, as `myoperf.types.PolarMap`.
    """
    inner, outer = perfusion(patient.coronary, state, patient.tracer, *_polar_places(rings, angles))
    return np.asarray(0.5 * (inner + outer))


def defect_map(patient: PatientModel, state: State, rings: int = 40, angles: int = 72) -> Float:
    """Return the uptake relative to the same patient without disease, scaled so that the best-perfused wall is 1.

    Use it to say where and how deep a defect is, free of the normal unevenness.

    Returns
    -------
    Shape (rings, angles), as a polar map; the 98th percentile is 1.
    """
    ratio = truth_polar(patient, state, rings, angles) / healthy_pattern(
        patient.coronary, state, *_polar_places(rings, angles)
    )
    return np.asarray(ratio / np.percentile(ratio, 98.0))


def phase_bandwidth_deg(phase: Float) -> float:
    """Return the shortest range of phase, in degrees, that holds 95 % of the samples.

    Parameters
    ----------
    phase
        Delays in degrees about 0, of any shape; they do not wrap round at 360.
    """
    values = np.sort(np.asarray(phase).ravel())
    held = int(np.ceil(0.95 * values.size)) - 1
    return float((values[held:] - values[: values.size - held]).min())


@lru_cache(maxsize=16)
def _polar_wall(ventricle: Ventricle) -> Wall:
    """Return the wall at the samples of the truth's polar map."""
    fraction, angle = _polar_places(_RINGS, _ANGLES)
    return wall_at(ventricle, fraction_of_meridian(ventricle, fraction, angle), angle)


def _thickening(patient: PatientModel, state: State) -> tuple[Float, Float]:
    """Return thickening (per cent) and inward endocardial motion (mm) of 17 segments, from global ED to ES.

    Thickness and motion run along the rays from the valve plane's centre, before the heart's motion as a whole.
    """
    _, angle = _polar_places(_RINGS, _ANGLES)
    times = np.arange(64) / 64.0
    curve = volumes(patient, state, times)
    wall = _polar_wall(patient.ventricle)
    full, empty = (
        moved_surfaces(patient, state, float(times[i]), wall, angle) for i in (curve.argmax(), curve.argmin())
    )
    thickening = 100.0 * ((empty[1] - empty[0]) / (full[1] - full[0]) - 1.0)
    return segment_means(thickening), segment_means(full[0] - empty[0])


def truth(patient: PatientModel) -> Truth:
    """Return everything that is true of a patient, at stress and at rest: what a report's numbers are compared with.

    Volumes and motion are taken at 64 instants of the beat, maps on 40 rings x 72 angles.
    """
    states: tuple[State, State] = ("stress", "rest")
    fraction, angle = _polar_places(_RINGS, _ANGLES)
    beat = {s: volumes(patient, s, np.arange(64) / 64.0) for s in states}
    phase = phase_deg(patient.function, fraction, angle)
    phase_sd, bandwidth = float(phase.std()), phase_bandwidth_deg(phase)
    polar = {s: truth_polar(patient, s, _RINGS, _ANGLES) for s in states}
    defect = {s: defect_map(patient, s, _RINGS, _ANGLES) for s in states}
    scaled = {s: segment_means(polar[s]) / np.percentile(polar[s], 98.0) for s in states}
    scores = {s: expert_scores(patient.reader, s, scaled[s]) for s in states}
    moving = {s: _thickening(patient, s) for s in states}
    return Truth(
        lv_frame=patient.frame,
        edv_ml={s: float(beat[s].max()) for s in states},
        esv_ml={s: float(beat[s].min()) for s in states},
        lvef_percent={s: float(100.0 * (1.0 - beat[s].min() / beat[s].max())) for s in states},
        myocardium_ml=myocardium_ml(patient.ventricle),
        phase_sd_deg=dict.fromkeys(states, phase_sd),
        phase_bandwidth_deg=dict.fromkeys(states, bandwidth),
        segments_percent={s: 100.0 * segment_means(polar[s]) / polar[s].max() for s in states},
        defect_extent_percent={s: float(100.0 * (defect[s] < _DEFECT_BELOW).mean()) for s in states},
        segment_phase_deg=dict.fromkeys(states, segment_means(phase)),
        segment_ejection={s: segment_means(reference_ejection(patient, s, fraction, angle)) for s in states},
        segment_thickening_percent={s: moving[s][0] for s in states},
        segment_motion_mm={s: moving[s][1] for s in states},
        stenosis_percent=stenosis_percent(patient.coronary),
        ica=ica_labels(patient.coronary),
        expert=expert_labels(scores["stress"]),
        expert_scores=scores,
    )
