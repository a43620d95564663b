"""Write simulated cohorts: DICOM, NIfTI or compact arrays, truth files, one table. Same seed, same bytes."""

import csv
import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from myoperf.errors import InputError, OutputExistsError
from myoperf.files import whole_file, whole_folder
from myoperf.phantom.cohort_files import truth_json, write_arrays, write_dicom, write_labels, write_nifti_volumes
from myoperf.phantom.cohort_scans import CohortOptions, scan_patient
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, Truth
from myoperf.phantom.truth import truth
from myoperf.types import VESSELS, State

_STATES: tuple[State, State] = ("stress", "rest")


def simulate_cohort(
    n: int,
    out: str | Path,
    *,
    seed: int = 0,
    options: CohortOptions | None = None,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Simulate patients 1 to n, both states each, and write them by the contract ``myoperf.truth/1``.

    Patient i depends on (seed, i) alone, so the number of workers and n change nothing in its bytes.

    Parameters
    ----------
    out
        A folder that does not exist yet, or is empty.
    workers
        Processes; memory grows with them and not with n.
    progress
        Called with the number of patients written so far.

    Returns
    -------
    Path of ``cohort.csv``.

    Raises
    ------
    InputError
        When n, the seed or the number of workers is impossible.
    OutputExistsError
        When the folder is not empty.
    """
    out, options = Path(out), options or CohortOptions()
    if n < 1 or seed < 0 or workers < 1:
        raise InputError(f"A cohort needs n and workers of 1 or more and a seed from 0; got {n}, {workers}, {seed}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out.name} exists and is not empty; choose another folder.")
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for row in _write_patients(n, out, seed, options, workers):
        rows.append(row)
        if progress is not None:
            progress(len(rows))
    table = out / "cohort.csv"
    with whole_file(table) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return table


def _write_patient(index: int, out: Path, seed: int, options: CohortOptions) -> dict[str, Any]:
    """Simulate patient `index` of a cohort into ``out/patient-NNNN``, and return the patient's row of the table."""
    rng = np.random.default_rng([seed, index])
    patient = draw_patient(rng, options.population)
    known = truth(patient)
    name = f"patient-{index:04d}"
    scans = scan_patient(patient, _STATES, rng, options)
    with whole_folder(out / name) as partial:
        if options.as_ == "dicom":
            write_dicom(partial, name, seed, patient, scans, options)
            if options.reconstructed:
                write_nifti_volumes(partial, scans)
        elif options.as_ == "nifti":
            write_nifti_volumes(partial / "nifti", scans)
        else:
            write_arrays(partial, patient, known, scans)
        write_labels(partial, patient, scans)
        contents = truth_json(patient, known, seed=seed, index=index, scans=scans)
        (partial / "truth.json").write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")
    return _row(name, patient, known)


def _write_patients(n: int, out: Path, seed: int, options: CohortOptions, workers: int) -> Iterator[dict[str, Any]]:
    """Write patients 1 to n, and return their rows in order."""
    write = partial(_write_patient, out=out, seed=seed, options=options)
    if workers == 1:
        yield from map(write, range(1, n + 1))
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(write, range(1, n + 1))


def _row(name: str, patient: PatientModel, known: Truth) -> dict[str, Any]:
    clinical = patient.clinical
    return {
        "patient": name,
        "simulated": 1,
        "sex": clinical.sex,
        "age_years": round(clinical.age_years, 1),
        "height_m": round(clinical.height_m, 3),
        "weight_kg": round(clinical.weight_kg, 1),
        "stressor": clinical.stressor,
        "diabetes": int(clinical.diabetes),
        "hypertension": int(clinical.hypertension),
        **{f"ica_{key}": int(known.ica[key]) for key in (*VESSELS, "patient")},
        **{f"expert_{key}": int(known.expert[key]) for key in (*VESSELS, "patient")},
        "sss": int(sum(known.expert_scores["stress"])),
        "srs": int(sum(known.expert_scores["rest"])),
        "lvef_percent": round(float(known.lvef_percent["rest"]), 2),
        "edv_ml": round(float(known.edv_ml["rest"]), 2),
        "esv_ml": round(float(known.esv_ml["rest"]), 2),
    }
