"""Stacks of slices of simulated patients with their labels: what the multi-branch network learns from.

Each patient is drawn by `myoperf.phantom` and imaged by its fast image-space model under stress and rest. The slices
are cut, and the polar maps sampled, at the true pose plus a small error such as an automatic method makes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.phantom.fast import image_model, simulate_fast
from myoperf.phantom.labels import expert_labels, ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PopulationOptions
from myoperf.phantom.truth import truth
from myoperf.pipeline.jobs import run_jobs
from myoperf.polar import sample_polar_map
from myoperf.research.polar_classifier.cases import clinical_values
from myoperf.research.slice_stacks import stacks_from_volumes
from myoperf.research.training.arrays import load_arrays, save_arrays
from myoperf.types import LVFrame, State, Volume

SPECT_MPI_POPULATION = PopulationOptions(
    prevalence={"LAD": 0.57, "LCX": 0.42, "RCA": 0.39}, patient_prevalence=150 / 192
)
"""As many diseased patients as the public SPECT-MPI set has abnormal ones, 150 of 192; vessels in the proportion of the
angiography cohort of Hajianfar et al. 2025, doi:10.1007/s00259-025-07145-x."""


@dataclass(frozen=True, eq=False)
class SliceCases:
    """A simulated cohort as arrays, one row per patient.

    Attributes
    ----------
    stacks
        (patients, 3 views SA HLA VLA, planes, rows, columns) float16, 0 to 1, stress planes before rest planes.
    polar
        (patients, 2, rings, angles) float32: stress and rest maps of the same images, at the same pose.
    clinical
        (patients, 4): sex (1 man, 0 woman), age in years, height in m, weight in kg.
    ica, expert
        (patients,) 0 or 1: obstructive disease by angiography; abnormal to the simulated reader.
    """

    stacks: NDArray[np.float16]
    polar: NDArray[np.float32]
    clinical: NDArray[np.float32]
    ica: NDArray[np.int64]
    expert: NDArray[np.int64]

    def __post_init__(self) -> None:
        if any(len(getattr(self, f.name)) != len(self.stacks) for f in fields(self)):
            raise InputError("Every array of a cohort must hold one row per patient.")

    def __len__(self) -> int:
        return len(self.stacks)

    def take(self, rows: NDArray[Any]) -> SliceCases:
        """Return some of the patients."""
        return SliceCases(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def draw_slice_cases(
    n: int,
    seed: int,
    *,
    shape: tuple[int, int, int] = (16, 32, 32),
    options: PopulationOptions = SPECT_MPI_POPULATION,
    first: int = 0,
) -> SliceCases:
    """Draw patients `first` to `first` + n of a seed; patient i does not depend on n.

    Parameters
    ----------
    shape
        (planes, rows, columns) of every stack; half of the planes are stress.
    options
        The population.
    """
    rows: dict[str, list[Any]] = {f.name: [] for f in fields(SliceCases)}
    for index in range(first, first + n):
        rng = np.random.default_rng((seed, index))
        patient = draw_patient(rng, options)
        model = image_model("spect", rng)
        grid = Grid.centred((56, 64, 64), 6.6, patient.scan_centre_mm)
        scans: dict[State, tuple[Volume, LVFrame, Volume]] = {}
        maps = []
        states: tuple[State, State] = ("stress", "rest")
        for state in states:
            volume, labels, frame = simulate_fast(patient, rng, state=state, model=model, grid=grid, quick_labels=True)
            frame = _jitter(frame, rng)
            scans[state] = (volume, frame, labels)
            maps.append(sample_polar_map(volume, labels, frame).maximum.values)
        rows["stacks"].append(stacks_from_volumes(scans, shape=shape).array())
        rows["polar"].append(maps)
        rows["clinical"].append(clinical_values(patient))
        rows["ica"].append(ica_labels(patient.coronary)["patient"])
        rows["expert"].append(expert_labels(truth(patient).expert_scores["stress"])["patient"])
    kinds: dict[str, Any] = {"stacks": np.float16, "ica": np.int64, "expert": np.int64}
    arrays: dict[str, Any] = {name: np.asarray(values, kinds.get(name, np.float32)) for name, values in rows.items()}
    return SliceCases(**arrays)


def _jitter(frame: LVFrame, rng: np.random.Generator) -> LVFrame:
    """Return the pose with an error as large as that of the network that finds it: about 1.5 degrees and 1 mm."""
    angle = np.deg2rad(1.5) / np.sqrt(2.0)  # SD of the tilt towards each of the two axes across
    across = np.stack([frame.anterior, frame.lateral])
    shift = rng.normal(0.0, 1.0 / np.sqrt(3.0), 3) @ np.stack([frame.axis, *across])
    lean = 0.5 * frame.length_mm * rng.normal(0.0, angle, 2) @ across
    turn = rng.normal(0.0, np.deg2rad(1.5))
    return LVFrame(
        frame.apex_mm + shift - lean,
        frame.base_mm + shift + lean,
        np.cos(turn) * frame.anterior + np.sin(turn) * frame.septal,
    )


def collect_cases(
    folder: Path,
    n: int,
    seed: int,
    *,
    shape: tuple[int, int, int] = (16, 32, 32),
    chunk: int = 40,
    quiet: bool = True,
) -> SliceCases:
    """Draw patients of `SPECT_MPI_POPULATION` in chunks kept as files, so that an interrupted run resumes.

    Parameters
    ----------
    folder
        Of the chunks; it may hold several seeds.
    quiet
        Whether to hide the progress bar.

    Raises
    ------
    InputError
        When a file in the folder holds stacks of another shape.
    """
    starts = range(0, n, chunk)
    chunks = {folder / f"{seed}-{s:05d}-{min(chunk, n - s)}.npz": (s, min(chunk, n - s)) for s in starts}

    def draw(place: tuple[int, int], path: Path) -> None:
        drawn = draw_slice_cases(place[1], seed, shape=shape, first=place[0])
        save_arrays(path, {f.name: getattr(drawn, f.name) for f in fields(drawn)})

    run_jobs(chunks, draw, title="patients", quiet=quiet)
    parts = {path: load_arrays(path) for path in chunks}
    for path, part in parts.items():
        if part["stacks"].shape[2:] != shape:
            raise InputError(f"{path.name} holds stacks of {part['stacks'].shape[2:]}, not {shape}.")
    return SliceCases(**{f.name: np.concatenate([p[f.name] for p in parts.values()]) for f in fields(SliceCases)})
