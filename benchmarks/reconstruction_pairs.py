"""What the comparisons of reconstructions share: simulated patients and normals in turn, their maps against truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.pipeline.jobs import run_jobs

Job = TypeVar("Job")


def is_normal(index: int) -> bool:
    """Return whether a case is a normal (odd numbers) and not a patient."""
    return index % 2 == 1


def draw_case(seed: int, index: int) -> tuple[PatientModel, np.random.Generator]:
    """Draw a patient or a normal; the generator goes on to the scan."""
    rng = np.random.default_rng([seed, index])
    population = PopulationOptions(normal=True, male=0.5) if is_normal(index) else PopulationOptions(male=0.5)
    return draw_patient(rng, population), rng


def keep_arrays(jobs: Mapping[Path, Job], work: Callable[[Job], Mapping[str, Any]], minutes: float) -> None:
    """Keep what `work` returns of each job in a NumPy file, those already there apart; start none after `minutes`."""

    def write(job: Job, path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, **work(job))

    outcome = run_jobs(jobs, write, title="scans", quiet=False, until=time.monotonic() + 60.0 * minutes)
    if outcome.left:
        print(f"stopped before {outcome.left[0].stem}; call again to go on", flush=True)


def stored_arrays(folder: Path, name: str) -> dict[int, dict[str, Any]]:
    """Return what `keep_arrays` kept in ``NAME-0000.npz``, by the number."""
    stored = {}
    for path in sorted(folder.glob(f"{name}-????.npz")):
        with np.load(path) as one:
            stored[int(path.stem[-4:])] = dict(one)
    return stored


def relative_map(measured: Any, normals: Sequence[Any]) -> Any:
    """Return a map over the mean of normal maps, 1 where it is best perfused."""
    mean = np.mean([one / one.mean() for one in normals], axis=0)
    ratio = (measured / measured.mean()) / mean
    return ratio / np.percentile(ratio, 98.0)


def compare_maps(maps: Mapping[int, Any], truths: Mapping[int, Any]) -> dict[int, dict[str, float]]:
    """Compare each map, over the mean of the normals' (its own left out), with the true one.

    Returns
    -------
    By case: mean deficit, measured and true, and of a patient the correlation of both maps.
    """
    out = {}
    for index, measured in maps.items():
        normals = [other for key, other in maps.items() if is_normal(key) and key != index]
        relative, true = relative_map(measured, normals), truths[index]
        out[index] = {
            "deficit": float(np.clip(1.0 - relative, 0.0, 1.0).mean()),
            "deficit_true": float(np.clip(1.0 - true, 0.0, 1.0).mean()),
            "map_r": np.nan if is_normal(index) else float(np.corrcoef(relative.ravel(), true.ravel())[0, 1]),
        }
    return out


def share_above(patients: pd.Series, normals: pd.Series) -> float:
    """Return the share of pairs of a patient and a normal in which the patient's value is the larger."""
    return float(np.mean(np.subtract.outer(patients.to_numpy(), normals.to_numpy()) > 0))
