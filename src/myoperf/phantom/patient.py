"""One simulated patient in memory: a study that the main job can analyse, and its truth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from myoperf.errors import InputError
from myoperf.geometry import rotate_frame
from myoperf.phantom.acquire import scanner_from_patient
from myoperf.phantom.cohort_files import TRACERS
from myoperf.phantom.cohort_scans import CohortOptions, CohortScan, scan_patient
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, Truth
from myoperf.phantom.truth import truth
from myoperf.phantom.voxelise import label_volume
from myoperf.types import Scan, State, Study, Volume

_CAMERAS = {"spect": "MyoPerf simulated camera", "czt": "MyoPerf simulated CZT camera", "pet": None}


@dataclass(frozen=True, eq=False, kw_only=True)
class SimulatedPatient:
    """A simulated patient's study and what is true of the patient.

    Attributes
    ----------
    study
        Scans at stress and at rest, ready for `myoperf.analyze`.
    truth
        Pose (in the scans' LPS millimetres), volumes, perfusion of every segment, function and disease.
    labels
        State -> true labels of the mean over the beat (uint8; 1 myocardium, 2 blood pool), on the grid of the image
        or of its reconstruction by `myoperf.reconstruct`.
    attenuation
        State -> attenuation map in 1/cm, where the options ask for one.
    """

    study: Study
    truth: Truth
    labels: Mapping[State, Volume]
    attenuation: Mapping[State, Volume]


def simulate_patient(seed: int, *, options: CohortOptions | None = None) -> SimulatedPatient:
    """Simulate one patient, scanned at stress and at rest, whose truth is known.

    Use it to try an analysis or a method against the truth. The patient is the first that
    ``myoperf simulate 1 --seed SEED`` writes as files with the same options.

    Parameters
    ----------
    seed
        0 or more; the same seed and options give the same patient and the same noise.
    options
        What to simulate; by default gated raw SPECT views with the physics of collimator, attenuation and scatter,
        which takes about 15 s a state on one core. ``CohortOptions(fast=True)`` gives images at once, without views.

    Raises
    ------
    InputError
        When the seed is negative.

    Examples
    --------
    >>> import myoperf
    >>> quick = myoperf.CohortOptions(fast=True, protocol=myoperf.Protocol(gates=1))
    >>> patient = myoperf.simulate_patient(11, options=quick)
    >>> [scan.state for scan in patient.study.scans]
    ['stress', 'rest']
    >>> patient.truth.segments_percent["stress"].shape
    (17,)
    """
    if seed < 0:
        raise InputError(f"The seed of a simulated patient is 0 or more; got {seed}.")
    options = options or CohortOptions()
    rng = np.random.default_rng([seed, 1])
    model = draw_patient(rng, options.population)
    known = truth(model)
    scans = scan_patient(model, ("stress", "rest"), rng, options)
    study = Study(
        tuple(_scan(state, scan, model, options) for state, scan in scans.items()),
        sex=model.clinical.sex,
        age_years=model.clinical.age_years,
        height_m=model.clinical.height_m,
        weight_kg=model.clinical.weight_kg,
    )
    return SimulatedPatient(
        study=study,
        truth=replace(known, lv_frame=rotate_frame(known.lv_frame, scanner_from_patient(model))),
        labels={
            state: Volume(label_volume(model, scan.in_patient(model), state), scan.grid.lps_from_index)
            for state, scan in scans.items()
        },
        attenuation={state: scan.attenuation for state, scan in scans.items() if scan.attenuation is not None},
    )


def _scan(state: State, scan: CohortScan, patient: PatientModel, options: CohortOptions) -> Scan:
    """Return the scan as it would be read from the files of a cohort."""
    gates = options.protocol.gates
    image = scan.image if scan.views is None else scan.views
    assert image is not None
    return Scan(
        image,
        state=state,
        modality="PT" if options.modality == "pet" else "NM",
        framing="gated" if gates > 1 else "static",
        tracer=TRACERS[patient.tracer],
        camera=_CAMERAS[options.modality],
        frame_duration_ms=np.full(gates, 60000.0 / patient.function.heart_rate_bpm / gates) if gates > 1 else None,
        description=f"simulated {state} {options.modality}",
    )
