"""Write simulated cohorts: DICOM or compact arrays, truth files, one table. Same seed, same bytes."""

from __future__ import annotations

import csv
import gzip
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError, OutputExistsError
from myoperf.geometry import index_from_lps, lps_from_ras, rotate_frame
from myoperf.io.nm_writer import NMHeader, uid_from, write_projections, write_volume
from myoperf.phantom.acquire import Acquisition, Protocol, acquire, scanner_from_patient
from myoperf.phantom.motion import volume_curve
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PatientModel, PopulationOptions, Truth
from myoperf.phantom.truth import truth
from myoperf.phantom.voxelise import label_volume
from myoperf.recon import reconstruct
from myoperf.types import VESSELS, State, Volume

__all__ = ["CohortOptions", "simulate_cohort", "simulate_patient", "truth_json"]

_STATES: tuple[State, State] = ("stress", "rest")


@dataclass(frozen=True)
class CohortOptions:
    """What to simulate and how to write it.

    Parameters
    ----------
    as_
        ``"dicom"`` (raw NM views, and the reconstruction where asked for) or ``"arrays"`` (one npz a patient).
    reconstructed
        With ``"dicom"``: also write the reconstruction (OSEM 4 x 4, Butterworth 0.5 order 5) as NM RECON TOMO.
    """

    as_: Literal["dicom", "arrays"] = "dicom"
    reconstructed: bool = False
    population: PopulationOptions = field(default_factory=PopulationOptions)
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        if self.as_ not in ("dicom", "arrays"):
            raise InputError(f"Cohorts are written as 'dicom' or 'arrays'; got {self.as_!r}.")
        if self.population.tracer != "Tc-99m":
            raise InputError("Cohorts are written for Tc-99m SPECT; PET comes from the image-space stream.")


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
        When the folder holds anything.
    """
    out, options = Path(out), options or CohortOptions()
    if n < 1 or seed < 0 or workers < 1:
        raise InputError(f"A cohort needs n and workers of 1 or more and a seed from 0; got {n}, {workers}, {seed}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out.name} is there already and not empty; choose another folder.")
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for row in _run(((i, out, seed, options) for i in range(1, n + 1)), workers):
        rows.append(row)
        if progress is not None:
            progress(len(rows))
    rows.sort(key=lambda row: str(row["patient"]))
    table = out / "cohort.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return table


def simulate_patient(index: int, out: Path, seed: int, options: CohortOptions) -> dict[str, Any]:
    """Simulate patient `index` of a cohort into ``out/patient-NNNN``; give the patient's row of the table."""
    rng = np.random.default_rng([seed, index])
    patient = draw_patient(rng, options.population)
    known = truth(patient)
    name = f"patient-{index:04d}"
    partial = out / f".{name}.{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    scans = {state: acquire(patient, state, rng, options.protocol) for state in _STATES}
    if options.as_ == "dicom":
        _write_dicom(partial, name, seed, patient, scans, options)
    else:
        _write_arrays(partial, patient, scans)
    for state in _STATES:
        _write_labels(partial / f"truth_{state}_labels.nii.gz", patient, state, scans[state])
    contents = truth_json(patient, known, seed=seed, index=index, scans=scans)
    (partial / "truth.json").write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")
    partial.replace(out / name)
    return _row(name, patient, known)


def truth_json(
    patient: PatientModel, known: Truth, *, seed: int, index: int, scans: Mapping[State, Acquisition]
) -> dict[str, Any]:
    """Give the truth file's contents, schema ``myoperf.truth/1``; volumes and synchrony are those at rest."""

    def perfusion(state: State) -> dict[str, Any]:
        return {
            "segments_percent": _rounded(known.segments_percent[state]),
            "defect_extent_percent": round(float(known.defect_extent_percent[state]), 3),
            "edv_ml": round(float(known.edv_ml[state]), 3),
            "esv_ml": round(float(known.esv_ml[state]), 3),
            "lvef_percent": round(float(known.lvef_percent[state]), 3),
            "gate_volumes_ml": _rounded(volume_curve(patient, state, scans[state].record["gates"]), 3),
            "segments_phase_deg": _rounded(known.segment_phase_deg[state], 3),
            "segments_ejection_percent": _rounded(100.0 * known.segment_ejection[state], 3),
            "segments_thickening_percent": _rounded(known.segment_thickening_percent[state], 3),
            "segments_motion_mm": _rounded(known.segment_motion_mm[state], 3),
        }

    frame = rotate_frame(known.lv_frame, scanner_from_patient(patient))
    return {
        "schema": "myoperf.truth/1",
        "simulated": True,
        "seed": [seed, index],
        "lv_frame": {
            "apex_mm": _rounded(frame.apex_mm),
            "base_mm": _rounded(frame.base_mm),
            "anterior": _rounded(frame.anterior, 6),
        },
        "edv_ml": round(float(known.edv_ml["rest"]), 3),
        "esv_ml": round(float(known.esv_ml["rest"]), 3),
        "lvef_percent": round(float(known.lvef_percent["rest"]), 3),
        "phase_sd_deg": round(float(known.phase_sd_deg["rest"]), 3),
        "phase_bandwidth_deg": round(float(known.phase_bandwidth_deg["rest"]), 3),
        "myocardium_ml": round(float(known.myocardium_ml), 3),
        "stress": perfusion("stress"),
        "rest": perfusion("rest"),
        "stenosis_percent": {v: round(float(known.stenosis_percent[v]), 1) for v in ("LM", *VESSELS)},
        "ica": {key: int(known.ica[key]) for key in (*VESSELS, "patient")},
        "expert": {
            "stress_scores": [int(s) for s in known.expert_scores["stress"]],
            "rest_scores": [int(s) for s in known.expert_scores["rest"]],
            **{key: int(known.expert[key]) for key in (*VESSELS, "patient")},
        },
        "acquisition": {state: dict(scan.record) for state, scan in scans.items()},
    }


def _run(jobs: Iterable[tuple[int, Path, int, CohortOptions]], workers: int) -> Iterator[dict[str, Any]]:
    """Work the jobs off in any order, with only a few waiting at a time."""
    if workers == 1:
        for job in jobs:
            yield simulate_patient(*job)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: set[Future[dict[str, Any]]] = set()
        for job in jobs:
            waiting.add(pool.submit(simulate_patient, *job))
            if len(waiting) >= 2 * workers:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in waiting)


def _write_dicom(
    folder: Path,
    name: str,
    seed: int,
    patient: PatientModel,
    scans: Mapping[State, Acquisition],
    options: CohortOptions,
) -> None:
    (folder / "dicom").mkdir()
    study = uid_from("simulated", seed, name)
    gate_ms = 60000.0 / patient.function.heart_rate_bpm / options.protocol.gates
    for number, (state, scan) in enumerate(scans.items(), start=1):
        header = NMHeader(
            patient_id=f"SIM-{name}",
            sex=patient.clinical.sex,
            age_years=patient.clinical.age_years,
            height_m=patient.clinical.height_m,
            weight_kg=patient.clinical.weight_kg,
            state=state,
            study_uid=study,
            uid_key=str(seed),
            series_description=f"Simulated {state} TOMO",
            series_number=number,
        )
        beat = gate_ms if options.protocol.gates > 1 else None
        write_projections(folder / "dicom" / f"{state}_tomo.dcm", scan.projections, header, frame_duration_ms=beat)
        if options.reconstructed:
            volume = reconstruct(scan.projections).volume
            write_volume(folder / "dicom" / f"{state}_recon.dcm", volume, header, frame_duration_ms=beat)


def _write_arrays(folder: Path, patient: PatientModel, scans: Mapping[State, Acquisition]) -> None:
    """Write one compressed npz: reconstructions (float16, each divided by its maximum), labels and affines."""
    arrays: dict[str, Any] = {"simulated": np.array(True)}
    for state, scan in scans.items():
        volume = reconstruct(scan.projections.summed()).volume
        scale = float(volume.array.max()) or 1.0
        arrays[f"{state}_volume"] = (volume.array[0] / scale).astype(np.float16)
        arrays[f"{state}_scale"] = np.array(scale)
        arrays[f"{state}_labels"] = label_volume(patient, _in_patient(_grid_of(volume), patient), state)
        arrays[f"{state}_lps_from_index"] = np.asarray(volume.lps_from_index)
    np.savez_compressed(folder / "arrays.npz", **arrays)


def _grid_of(volume: Volume) -> Grid:
    return Grid(volume.grid_shape, volume.lps_from_index)


def _in_patient(grid: Grid, patient: PatientModel) -> Grid:
    """Carry a grid from the scanner's space to the model's."""
    return Grid(grid.shape, index_from_lps(scanner_from_patient(patient)) @ grid.lps_from_index)


def _recon_grid(scan: Acquisition) -> Grid:
    """Give the grid `myoperf.recon.reconstruct` puts these views on: plane 0 nearest the head."""
    rows, columns = scan.projections.array.shape[-2:]
    grid = Grid.centred((rows, columns, columns), scan.projections.pixel_mm[1], scan.projections.axis_lps_mm)
    affine = grid.lps_from_index.copy()
    affine[2, 3] += (rows - 1) * affine[2, 0]
    affine[2, 0] *= -1
    return Grid(grid.shape, affine)


def _write_labels(path: Path, patient: PatientModel, state: State, scan: Acquisition) -> None:
    """Write the true labels on the reconstruction's grid; no time stamp in the gzip header."""
    grid = _recon_grid(scan)
    labels: NDArray[np.uint8] = label_volume(patient, _in_patient(grid, patient), state)
    affine = lps_from_ras(grid.lps_from_index[:, [2, 1, 0, 3]])
    make: Any = nibabel.Nifti1Image
    image = make(labels.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"simulated: 1 myocardium, 2 blood pool"
    path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))


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


def _rounded(values: Any, digits: int = 4) -> list[float]:
    return [round(float(v), digits) for v in values]
