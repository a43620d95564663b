"""Polar maps of simulated patients with their labels: what the polar classifier learns from and is judged on.

Each patient is drawn by `myoperf.phantom`, imaged by its fast image-space model under stress and rest, and
unrolled on the ventricle found as ``myoperf analyze`` finds it; or, three times as fast, on the ventricle as it is
known to lie, after an error of pose and of depth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from myoperf.errors import AnalysisError, InputError
from myoperf.lv import LVFit
from myoperf.phantom.fast import ImageModel, Kind, image_model, simulate_fast
from myoperf.phantom.labels import expert_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.phantom.truth import truth
from myoperf.pipeline import load_models
from myoperf.polar import sample_polar_map
from myoperf.types import VESSELS, Float, LVFrame, State, Volume

__all__ = [
    "SETS",
    "CaseSet",
    "PolarCases",
    "draw_cases",
    "draw_set",
    "image_state",
    "join_cases",
    "read_cases",
    "write_cases",
]

RINGS, ANGLES = 24, 72
_STATES: tuple[State, State] = ("stress", "rest")
FindLV = Callable[[Volume], LVFit]


@dataclass(frozen=True, eq=False)
class PolarCases:
    """A simulated cohort as arrays, one row a patient.

    Attributes
    ----------
    stress, rest
        (patients, rings, angles) float32, maximum over the wall, as `myoperf.polar` gives it. Rest is NaN in
        patients of whom stress alone was imaged.
    clinical
        (patients, 4): sex (1 man, 0 woman), age in years, height in m, weight in kg.
    ica, expert
        (patients, 3) 0 or 1 for LAD, LCX, RCA: by angiography, by the simulated reader.
    edv_ml
        (patients,): true end-diastolic volume under stress.
    key
        (patients, 2): the seed and index each was drawn with.
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
            raise InputError("The arrays of a cohort must hold one row a patient each.")

    def __len__(self) -> int:
        return int(self.stress.shape[0])

    @property
    def has_rest(self) -> NDArray[np.bool_]:
        """Whose rest was imaged, (patients,)."""
        known: NDArray[np.bool_] = np.isfinite(self.rest[:, 0, 0])
        return known

    def take(self, rows: NDArray[Any]) -> PolarCases:
        """Give some of the patients."""
        return PolarCases(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def _jitter(frame: LVFrame, rng: np.random.Generator) -> LVFrame:
    """Move the pose as an automatic method errs: about 5 degrees, 2 mm at the apex, 3 mm at the base."""
    side = rng.normal(0.0, 0.08, 2) @ np.stack([frame.anterior, frame.lateral])
    turn = rng.normal(0.0, 0.1)
    return LVFrame(
        frame.apex_mm + rng.normal(0.0, 2.0) * frame.axis,
        frame.base_mm + rng.normal(0.0, 3.0) * frame.axis + 0.5 * frame.length_mm * side,
        np.cos(turn) * frame.anterior + np.sin(turn) * frame.septal,
    )


def _maps(patient: PatientModel, rng: np.random.Generator, *, kind: Kind, louder: float) -> list[Float]:
    """Image both states of one patient and unroll each on the known ventricle."""
    model = image_model(kind, rng)
    model = replace(model, noise=model.noise * louder)
    return [image_state(patient, rng, model, state, kind=kind) for state in _STATES]


def _found(patient: PatientModel, key: tuple[int, int], kind: Kind, louder: float, find_lv: FindLV) -> list[Float]:
    """Image both states and unroll each on the ventricle found in it; a state's map does not depend on the other's."""
    model = image_model(kind, np.random.default_rng((*key, 1)))
    model = replace(model, noise=model.noise * louder)
    return [
        image_state(patient, np.random.default_rng((*key, 2 + place)), model, state, kind=kind, find_lv=find_lv)
        for place, state in enumerate(_STATES)
    ]


def image_state(
    patient: PatientModel,
    rng: np.random.Generator,
    model: ImageModel,
    state: State,
    *,
    kind: Kind = "spect",
    find_lv: FindLV | None = None,
) -> Float:
    """Image one state and unroll it, (rings, angles); the noise varies by a tenth.

    Parameters
    ----------
    find_lv
        Unroll on the ventricle that it finds (AnalysisError where it fails); default: the known one, with an error.
    """
    seen = replace(model, noise=model.noise * float(np.exp(rng.normal(0.0, 0.1))))
    volume, labels, frame = simulate_fast(
        patient, rng, kind=kind, state=state, model=seen, shape=(56, 64, 64), quick_labels=True
    )
    if find_lv is not None:
        fit = find_lv(volume)
        labels, frame = fit.labels, fit.frame
    else:
        frame = _jitter(frame, rng)
    return _unroll(volume, labels, frame)


def _unroll(volume: Volume, labels: Volume, frame: LVFrame) -> Float:
    return np.asarray(sample_polar_map(volume, labels, frame, rings=RINGS, angles=ANGLES).maximum.values, np.float32)


def draw_cases(
    n: int,
    seed: int,
    *,
    first: int = 0,
    options: PopulationOptions | None = None,
    kind: Kind = "spect",
    louder: float = 1.0,
    found: bool = False,
) -> PolarCases:
    """Draw patients `first` to `first` + n - 1 of a seed; a patient is the same whatever n is.

    Parameters
    ----------
    options
        The population; default: paper 001's angiography cohort.
    kind
        Camera of the image-space model.
    louder
        Factor on the noise.
    found
        Unroll on the ventricle found as ``myoperf analyze`` finds it; a patient in whom that fails is left out.
    """
    find_lv = load_models().find_lv if found else None
    rows: dict[str, list[Any]] = {f.name: [] for f in fields(PolarCases)}
    for index in range(first, first + n):
        rng = np.random.default_rng((seed, index))
        patient = draw_patient(rng, options)
        try:
            if find_lv is not None:
                stress, rest = _found(patient, (seed, index), kind, louder, find_lv)
            else:
                stress, rest = _maps(patient, rng, kind=kind, louder=louder)
        except AnalysisError:
            continue
        known, form = truth(patient), patient.clinical
        expert = expert_labels(known.expert_scores["stress"])
        rows["stress"].append(stress)
        rows["rest"].append(rest)
        rows["clinical"].append((form.sex == "M", form.age_years, form.height_m, form.weight_kg))
        rows["ica"].append([known.ica[v] for v in VESSELS])
        rows["expert"].append([expert[v] for v in VESSELS])
        rows["edv_ml"].append(known.edv_ml["stress"])
        rows["key"].append((seed, index))
    kinds = {"ica": np.int64, "expert": np.int64, "key": np.int64}
    arrays: dict[str, Any] = {name: np.asarray(values, kinds.get(name, np.float32)) for name, values in rows.items()}
    return PolarCases(**arrays)


def join_cases(parts: list[PolarCases]) -> PolarCases:
    """Put cohorts one after the other."""
    return PolarCases(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(PolarCases)})


def write_cases(path: Path, cases: PolarCases) -> None:
    """Write a cohort as ``.npz``."""
    np.savez_compressed(path, **{f.name: getattr(cases, f.name) for f in fields(cases)})


def read_cases(path: Path) -> PolarCases:
    """Read a cohort written by `write_cases`; InputError when the file is not one."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return PolarCases(**{f.name: stored[f.name] for f in fields(PolarCases)})
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path.name} is no cohort of polar maps ({type(error).__name__}).") from error


@dataclass(frozen=True)
class CaseSet:
    """A cohort of the recipe.

    Attributes
    ----------
    seed
        Of its patients.
    options
        The population; default: 001's patients with angiography.
    kind, louder, found
        As in `draw_cases`.
    """

    seed: int
    options: PopulationOptions | None = None
    kind: Kind = "spect"
    louder: float = 1.0
    found: bool = False


_FEWER = PopulationOptions(prevalence={"LAD": 0.25, "LCX": 0.20, "RCA": 0.17}, patient_prevalence=0.43)
_NORMAL = PopulationOptions(normal=True, male=0.5)
SETS: Mapping[str, CaseSet] = MappingProxyType(
    {
        "main": CaseSet(1000),
        "rarer": CaseSet(2000, _FEWER),
        "known": CaseSet(8000),
        "known-judged": CaseSet(8100),
        "louder": CaseSet(8200, louder=2.0),
        "czt": CaseSet(8300, kind="czt"),
        "rarer-judged": CaseSet(8400, _FEWER),
        "learned": CaseSet(31000, found=True),
        "calibration": CaseSet(32000, found=True),
        "judged": CaseSet(7001, found=True),
        "normal": CaseSet(7101, _NORMAL, found=True),
        "judged-anew": CaseSet(7201, found=True),
        "normal-anew": CaseSet(7301, _NORMAL, found=True),
        "rarer-found": CaseSet(4000, _FEWER, found=True),
        "louder-found": CaseSet(5000, louder=2.0, found=True),
        "czt-found": CaseSet(6000, kind="czt", found=True),
    }
)
"""Those above `learned` are unrolled on the known ventricle, with an error of pose; the others on the found one.
`rarer` and its like have 001's prevalences of patients an expert read only. `judged` and `normal` are the patients
of the perfusion scores' page (docs/perfusion.md), on which versions 2 and 3 were judged; no version before 4 has met
`judged-anew` and `normal-anew`."""

CHUNK = 20


def draw_set(name: str, n: int, folder: Path, *, quiet: bool = True) -> PolarCases:
    """Draw the first n patients of a set in chunks kept in a folder; chunks already there are read."""
    plan = SETS[name]
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in track(range(0, n, CHUNK), f"patients ({name})", disable=quiet, console=Console(stderr=True)):
        count = min(CHUNK, n - first)
        path = folder / f"{name}-{first:05d}-{count}.npz"
        if not path.exists():
            drawn = draw_cases(
                count,
                plan.seed,
                first=first,
                options=plan.options,
                kind=plan.kind,
                louder=plan.louder,
                found=plan.found,
            )
            part = path.with_name(f"{path.stem}.part.npz")
            write_cases(part, drawn)
            part.replace(path)
        parts.append(read_cases(path))
    return join_cases(parts)
