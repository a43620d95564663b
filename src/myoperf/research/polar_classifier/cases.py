"""Polar maps of simulated patients with their labels, to train and test the polar-map classifier.

Each patient is drawn by `myoperf.phantom`, imaged by its fast image-space model at stress and rest, and unrolled,
either on the ventricle that is found as ``myoperf analyze`` finds it, or, three times as fast, on the true ventricle
with a random error of pose and depth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.diagnosis.inputs import GRID
from myoperf.errors import AnalysisError, InputError
from myoperf.lv import LVFit
from myoperf.phantom.fast import ImageModel, Kind, image_model, simulate_fast
from myoperf.phantom.labels import expert_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PatientModel, PopulationOptions
from myoperf.phantom.truth import truth
from myoperf.pipeline import load_models
from myoperf.pipeline.anterior import turn_to_septum
from myoperf.pipeline.jobs import run_jobs
from myoperf.pipeline.valve import end_at_wall
from myoperf.polar import sample_polar_map
from myoperf.types import VESSELS, Float, LVFrame, State, Volume

RINGS, ANGLES = GRID
STATES: tuple[State, State] = ("stress", "rest")
FindLV = Callable[[Volume], LVFit]


@dataclass(frozen=True, eq=False)
class PolarCases:
    """A simulated cohort as arrays, one row a patient.

    Attributes
    ----------
    stress, rest
        (patients, rings, angles) float32, maximum over the wall, as `myoperf.polar` gives it. Rest is NaN for
        patients who were imaged at stress alone.
    clinical
        (patients, 4): sex (1 man, 0 woman), age in years, height in m, weight in kg.
    ica, expert
        (patients, 3) 0 or 1 for LAD, LCX, RCA: by angiography, by the simulated reader.
    edv_ml
        (patients,): true end-diastolic volume at stress.
    key
        (patients, 2): seed and index from which each patient was drawn.
    """

    stress: NDArray[np.float32]
    rest: NDArray[np.float32]
    clinical: NDArray[np.float32]
    ica: NDArray[np.int64]
    expert: NDArray[np.int64]
    edv_ml: NDArray[np.float32]
    key: NDArray[np.int64]

    def __post_init__(self) -> None:
        n = self.stress.shape[0]
        if any(getattr(self, f.name).shape[0] != n for f in fields(self)):
            raise InputError("The arrays of a cohort must have one row for each patient.")

    def __len__(self) -> int:
        return int(self.stress.shape[0])

    @property
    def has_rest(self) -> NDArray[np.bool_]:
        """Whether each patient was imaged at rest, (patients,)."""
        known: NDArray[np.bool_] = np.isfinite(self.rest[:, 0, 0])
        return known

    def take(self, rows: NDArray[Any]) -> PolarCases:
        """Select some of the patients."""
        return PolarCases(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class CaseSet:
    """How the patients of a set are drawn, imaged and unrolled.

    Attributes
    ----------
    seed
        Of the patients.
    options
        The population; default: the patients with angiography of Hajianfar et al. 2025.
    kind
        Camera of the image-space model.
    noise
        Factor on its noise.
    find_ventricle
        Unroll on the ventricle found as ``myoperf analyze`` finds it, not on the true one with an error of pose.
    """

    seed: int
    options: PopulationOptions | None = None
    kind: Kind = "spect"
    noise: float = 1.0
    find_ventricle: bool = False


_FEWER = PopulationOptions(prevalence={"LAD": 0.25, "LCX": 0.20, "RCA": 0.17}, patient_prevalence=0.43)
_NORMAL = PopulationOptions(normal=True, male=0.5)
SETS: Mapping[str, CaseSet] = MappingProxyType(
    {
        "main": CaseSet(seed=1000),
        "rarer": CaseSet(seed=2000, options=_FEWER),
        "known": CaseSet(seed=8000),
        "known-judged": CaseSet(seed=8100),
        "louder": CaseSet(seed=8200, noise=2.0),
        "czt": CaseSet(seed=8300, kind="czt"),
        "rarer-judged": CaseSet(seed=8400, options=_FEWER),
        "learned": CaseSet(seed=31000, find_ventricle=True),
        "calibration": CaseSet(seed=32000, find_ventricle=True),
        "judged": CaseSet(seed=7001, find_ventricle=True),
        "normal": CaseSet(seed=7101, options=_NORMAL, find_ventricle=True),
        "judged-anew": CaseSet(seed=7201, find_ventricle=True),
        "normal-anew": CaseSet(seed=7301, options=_NORMAL, find_ventricle=True),
        "sealed": CaseSet(seed=7401, find_ventricle=True),
        "normal-sealed": CaseSet(seed=7501, options=_NORMAL, find_ventricle=True),
        "limits": CaseSet(seed=7601, options=_NORMAL, find_ventricle=True),
        "rarer-found": CaseSet(seed=4000, options=_FEWER, find_ventricle=True),
        "louder-found": CaseSet(seed=5000, noise=2.0, find_ventricle=True),
        "czt-found": CaseSet(seed=6000, kind="czt", find_ventricle=True),
    }
)
"""`rarer` and the sets named after it have the prevalences of the patients that Hajianfar et al. 2025 had read by
experts alone. `limits` are healthy patients whose normal limits match the maps of the fast model. Versions 2 and 3 were
tested on `judged` and `normal`, version 4 on `judged-anew` and `normal-anew`, version 5 on `sealed` and
`normal-sealed`. The names stand in the cards of shipped models and in folders of cases."""


def _jitter(frame: LVFrame, rng: np.random.Generator) -> LVFrame:
    """Move the pose by the error of an automatic method: about 5 degrees, 2 mm at the apex, 3 mm at the base."""
    side = rng.normal(0.0, 0.08, 2) @ np.stack([frame.anterior, frame.lateral])
    turn = rng.normal(0.0, 0.1)
    return LVFrame(
        frame.apex_mm + rng.normal(0.0, 2.0) * frame.axis,
        frame.base_mm + rng.normal(0.0, 3.0) * frame.axis + 0.5 * frame.length_mm * side,
        np.cos(turn) * frame.anterior + np.sin(turn) * frame.septal,
    )


def image_state(
    patient: PatientModel,
    rng: np.random.Generator,
    model: ImageModel,
    state: State,
    *,
    find_lv: FindLV | None = None,
) -> Float:
    """Image one state and unroll it, (rings, angles); the noise varies by a tenth.

    Parameters
    ----------
    find_lv
        Unroll on the ventricle that it finds (AnalysisError if it fails); default: the true one, with an error of pose.
    """
    noisy = replace(model, noise=model.noise * float(np.exp(rng.normal(0.0, 0.1))))
    grid = Grid.centred((56, 64, 64), 6.6, patient.scan_centre_mm)
    volume, labels, frame = simulate_fast(patient, rng, state=state, model=noisy, grid=grid, quick_labels=True)
    if find_lv is not None:
        (turned,) = turn_to_septum((volume, find_lv(volume)))
        (fit,) = end_at_wall((volume, turned))
        labels, frame, rim_mm = fit.labels, fit.frame, fit.rim_mm
    else:
        frame, rim_mm = _jitter(frame, rng), None
    polar = sample_polar_map(volume, labels, frame, rings=RINGS, angles=ANGLES, rim_mm=rim_mm)
    return np.asarray(polar.maximum.values, np.float32)


def _image_patient(
    patient: PatientModel, key: tuple[int, int], rng: np.random.Generator, plan: CaseSet, find_lv: FindLV | None
) -> list[Float]:
    """Image and unroll both states.

    On the true ventricle all draws continue the patient's generator; with `find_lv` each state has its own, so that a
    map does not depend on the other state.
    """
    separate = find_lv is not None
    model = image_model(plan.kind, np.random.default_rng((*key, 1)) if separate else rng)
    model = replace(model, noise=model.noise * plan.noise)
    maps = []
    for k, state in enumerate(STATES):
        draws = np.random.default_rng((*key, 2 + k)) if separate else rng
        maps.append(image_state(patient, draws, model, state, find_lv=find_lv))
    return maps


def clinical_values(patient: PatientModel) -> tuple[float, float, float, float]:
    """Return sex (1 man, 0 woman), age in years, height in m and weight in kg."""
    form = patient.clinical
    return float(form.sex == "M"), form.age_years, form.height_m, form.weight_kg


def collect_cases(rows: Sequence[tuple[PatientModel, tuple[int, int], Float, Float]]) -> PolarCases:
    """Return a cohort with the labels and clinical values of its patients.

    Parameters
    ----------
    rows
        For each patient: the patient, the (seed, index) it was drawn from, and its stress and rest map
        (rings, angles).
    """
    known = [truth(patient) for patient, *_ in rows]
    expert = [expert_labels(each.expert_scores["stress"]) for each in known]
    return PolarCases(
        stress=np.asarray([stress for _, _, stress, _ in rows], np.float32),
        rest=np.asarray([rest for _, _, _, rest in rows], np.float32),
        clinical=np.asarray([clinical_values(patient) for patient, *_ in rows], np.float32),
        ica=np.asarray([[each.ica[v] for v in VESSELS] for each in known], np.int64),
        expert=np.asarray([[each[v] for v in VESSELS] for each in expert], np.int64),
        edv_ml=np.asarray([each.edv_ml["stress"] for each in known], np.float32),
        key=np.asarray([key for _, key, *_ in rows], np.int64),
    )


def draw_cases(plan: CaseSet, n: int, *, first: int = 0) -> PolarCases:
    """Draw patients `first` to `first` + n - 1 of a set; a patient is the same whatever n is.

    A patient whose ventricle is not found in both states is left out.
    """
    find_lv = load_models().find_lv if plan.find_ventricle else None
    rows = []
    for index in range(first, first + n):
        rng = np.random.default_rng((plan.seed, index))
        patient = draw_patient(rng, plan.options)
        try:
            stress, rest = _image_patient(patient, (plan.seed, index), rng, plan, find_lv)
        except AnalysisError:
            continue
        rows.append((patient, (plan.seed, index), stress, rest))
    return collect_cases(rows)


def join_cases(parts: Sequence[PolarCases]) -> PolarCases:
    """Concatenate cohorts."""
    return PolarCases(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(PolarCases)})


def write_cases(path: Path, cases: PolarCases) -> None:
    """Write a cohort as a NumPy file of compressed arrays."""
    with path.open("wb") as file:
        np.savez_compressed(file, **{f.name: getattr(cases, f.name) for f in fields(cases)})


def read_cases(path: Path) -> PolarCases:
    """Read a cohort written by `write_cases`; InputError if the file is not one."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return PolarCases(**{f.name: stored[f.name] for f in fields(PolarCases)})
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path.name} is not a cohort of polar maps ({type(error).__name__}).") from error


CHUNK = 20


def draw_set(name: str, n: int, folder: Path, *, quiet: bool = True) -> PolarCases:
    """Return the first n patients of a set, drawn into files of `CHUNK` patients; files that exist are not drawn again.

    Parameters
    ----------
    name
        A key of `SETS`.
    folder
        Of the files ``NAME-FIRST-COUNT.npz``.
    """
    counts = {first: min(CHUNK, n - first) for first in range(0, n, CHUNK)}
    jobs = {folder / f"{name}-{first:05d}-{count}.npz": (first, count) for first, count in counts.items()}

    def draw(job: tuple[int, int], path: Path) -> None:
        write_cases(path, draw_cases(SETS[name], job[1], first=job[0]))

    run_jobs(jobs, draw, title=f"patients ({name})", quiet=quiet)
    return join_cases([read_cases(path) for path in jobs])
