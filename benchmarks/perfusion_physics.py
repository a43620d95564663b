"""Perfusion of simulated patients by full physics, with a CT as DICOM, through ``myoperf analyze`` against the truth.

    python benchmarks/perfusion_physics.py measure --set patients --seed 9701 --count 200
    python benchmarks/perfusion_physics.py measure --set normals --seed 9703 --count 100
    python benchmarks/perfusion_physics.py measure --set three-vessel --seed 9705 --count 10
    python benchmarks/perfusion_physics.py measure --set thallium --seed 9707 --count 60
    python benchmarks/perfusion_physics.py measure --set half-dose --seed 9709 --count 60
    python benchmarks/perfusion_physics.py measure --set prone --seed 9731 --count 60
    python benchmarks/perfusion_physics.py measure --set thallium-three-vessel --seed 9733 --count 10
    python benchmarks/perfusion_physics.py cohort --folder normals-ct
    python benchmarks/perfusion_physics.py table

``measure`` simulates a patient as ``myoperf simulate 1 --gates 1 --ct`` does (stress and rest, raw views; the CT of
each state is displaced by an SD of 4 mm along each axis and taken at another breath, SD 4 mm), reads the files back and
analyses them. A study is scored without and with its CT. Maps and scores are kept in ``runs/perfusion-physics``; a call
goes on where the last one stopped and ends by itself after ``--minutes``. ``table`` scores the maps against the limits
that the package holds at that time, so that limits can be compared on the same maps, and writes a row a patient to
``docs/results/perfusion_physics.csv``. `three-vessel` patients have disease of all three vessels and at least 60 %
of the wall. `thallium`, `half-dose` and `prone` are normal patients without a CT, with Tl-201, half the counts or on
the belly. ``cohort`` measures the normal patients that the limits of corrected scans were made from, for
`benchmarks/without_ct.py`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from called_maps import WIDE_PERCENT, call_maps
from myoperf.errors import MyoPerfError
from myoperf.io import read_studies
from myoperf.perfusion import Condition, choose_limits, shipped_limits
from myoperf.perfusion.scores import FULL_DEFECT
from myoperf.phantom.acquire import Protocol
from myoperf.phantom.cohort import simulate_cohort
from myoperf.phantom.cohort_scans import CohortOptions
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.phantom.truth import defect_map, truth
from myoperf.pipeline import Options, analyze, load_models
from myoperf.recon.outline import body_outline
from myoperf.research.normal_limits.recipe import map_without_geometry
from myoperf.types import VESSELS, Projections, ScanResult, State

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "perfusion-physics"
LEARNING = ROOT / "runs" / "perfusion-learning"
TABLE = ROOT / "docs" / "results" / "perfusion_physics.csv"
STATES: tuple[State, State] = ("stress", "rest")
SHIFT_MM, BREATH_MM = 4.0, 4.0
THREE = PopulationOptions(prevalence=dict.fromkeys(VESSELS, 1.0), patient_prevalence=1.0)
NORMAL = PopulationOptions(normal=True, male=0.5)
SETS = {
    "patients": PopulationOptions(),
    "normals": NORMAL,
    "three-vessel": THREE,
    "thallium": replace(NORMAL, tracer="Tl-201"),
    "half-dose": NORMAL,
    "prone": NORMAL,
    "thallium-three-vessel": replace(THREE, tracer="Tl-201"),
    "classifier": PopulationOptions(),
}
SEEDS = {
    "patients": 9701,
    "normals": 9703,
    "three-vessel": 9705,
    "thallium": 9707,
    "half-dose": 9709,
    "prone": 9731,
    "thallium-three-vessel": 9733,
    "classifier": 9735,
}
"""What the page shows; patients of other seeds are for development."""
WITHOUT_CT = ("thallium", "half-dose", "prone", "thallium-three-vessel", "classifier")
PROTOCOLS = {"half-dose": Protocol(gates=1, dose="half"), "prone": Protocol(gates=1, position="prone")}


def options_of(name: str) -> CohortOptions:
    """Return how the patients of a set are drawn and imaged."""
    alone = CohortOptions(population=SETS[name], protocol=PROTOCOLS.get(name, Protocol(gates=1)))
    if name in WITHOUT_CT:
        return alone
    return replace(alone, ct=True, misregistration_mm=SHIFT_MM, breath_mismatch_mm=BREATH_MM)


def patients_of(name: str, seed: int, count: int) -> list[tuple[int, PatientModel]]:
    """Return the seeds of the patients of a set, and the patients: three-vessel sets leave out the less ill."""
    found: list[tuple[int, PatientModel]] = []
    own = seed * 100_000
    while len(found) < count:
        patient = draw_patient(np.random.default_rng([own, 1]), SETS[name])
        if not name.endswith("three-vessel") or truth(patient).defect_extent_percent["stress"] >= WIDE_PERCENT:
            found.append((own, patient))
        own += 1
    return found


def known_of(patient: PatientModel) -> dict[str, float]:
    """Return what is true of a patient: TPD by the package's formula with a limit of 85 %, extent, stenoses."""
    known, out = truth(patient), {}
    for state in STATES:
        defect = defect_map(patient, state, 24, 72)
        out[f"known_tpd_{state}"] = float(100.0 * np.clip((0.85 - defect) / (FULL_DEFECT * 0.85), 0.0, 1.0).mean())
        out[f"known_extent_{state}"] = float(known.defect_extent_percent[state])
    out |= {f"ica_{vessel}": float(known.ica[vessel]) for vessel in VESSELS}
    return out


def measure_one(name: str, seed: int) -> dict[str, Any]:
    """Simulate, read and analyse one patient; the scans' maps and findings, or what failed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "cohort"
        simulate_cohort(1, out, seed=seed, options=options_of(name))
        return measure_files(out / "patient-0001" / "dicom")


def measure_files(folder: Path) -> dict[str, Any]:
    """Read and analyse the one study of a folder; the scans' maps and findings, or what failed."""
    try:
        (study,) = read_studies([folder]).studies
        report = analyze(study, replace(load_models(), classify=None), Options(interval_draws=0))
    except MyoPerfError as error:
        return {"failed": type(error).__name__}
    found: dict[str, Any] = {"sex": study.sex, "verdict": str(report.scores.category)}
    for result in report.results:
        corrected = bool(result.scan.attenuation_corrected)
        key = f"{result.state}_{'ct' if corrected else 'plain'}"
        found[key] = result.polar.values.astype(np.float32)
        found[f"{key}_findings"] = json.dumps(sorted(f.code for f in result.findings))
        found |= body_of(result, key)
    return found


def body_of(result: ScanResult, key: str) -> dict[str, NDArray[Any]]:
    """Return the image, the body's outline and the pose, or the map: corrections without CT may be judged on them."""
    views, pose = result.scan.image, result.frame
    assert isinstance(views, Projections)
    if views.attenuation is not None:
        return {f"{key}_attenuation": views.attenuation.array.astype(np.float16)}
    return {
        f"{key}_image": (result.volume.array / result.volume.array.max()).astype(np.float16),
        f"{key}_affine": result.volume.lps_from_index,
        f"{key}_outline": np.packbits(body_outline(views).array.astype(bool), axis=-1),
        f"{key}_pose": np.stack([pose.apex_mm, pose.base_mm, pose.anterior]),
    }


def keep(path: Path, measured: Callable[[], dict[str, Any]]) -> None:
    """Measure a patient who is not there yet, and keep what was found."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part.npz")
    np.savez_compressed(partial, **measured())
    partial.rename(path)


def measure(name: str, seed: int, count: int, minutes: float) -> None:
    """Measure the patients of a set that are not there yet."""
    start = time.monotonic()
    for place, (own, patient) in enumerate(patients_of(name, seed, count)):
        if time.monotonic() - start > 60.0 * minutes:
            print(f"stopped before patient {place} of {name} {seed}; call again to go on")
            return
        known = known_of(patient)
        keep(RUNS / f"{name}-{seed}-{place:04d}.npz", lambda k=known, n=own: k | measure_one(name, n))
    print(f"{name} {seed}: {count} patients are there")


def measure_cohort(folder: Path) -> None:
    """Measure the patients of a cohort that ``myoperf simulate`` wrote."""
    for dicom in sorted(folder.rglob("dicom")):
        name = f"{dicom.parents[1].name}-{dicom.parent.name}"
        keep(LEARNING / f"{name}.npz", lambda d=dicom: measure_files(d))


def scores_of(stored: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """Score a patient's maps without (`plain`) or with (`ct`) correction against the package's limits."""
    sex, tracer, position = str(stored["sex"]), SETS[name].tracer, "prone" if name == "prone" else "supine"
    condition = Condition(corrected=kind == "ct", reconstruction="OSEM", position=position)
    maps = {
        s: map_without_geometry(stored[f"{s}_{kind}"].astype(np.float64)) if f"{s}_{kind}" in stored else None
        for s in STATES
    }
    limits = {
        s: choose_limits(
            shipped_limits(), state=s, sex=sex, tracer=tracer, camera=None, modality="NM", condition=condition
        )[0]
        for s in STATES
    }
    scores, called = call_maps(maps, limits, sex)
    row: dict[str, Any] = {f"tpd_stress_{kind}": scores.tpd_stress_percent, f"sss_{kind}": scores.sss}
    row |= {f"tpd_rest_{kind}": scores.tpd_rest_percent, f"extent_stress_{kind}": scores.stress_extent_percent}
    row |= {f"{name}_{kind}": value for name, value in called.items()}
    for state in STATES:
        limit = limits[state]
        row[f"limits_{state}_{kind}"] = "" if limit is None else f"{limit.name} {limit.version}"
    return row


def tabulate() -> None:
    """Score everybody, write the CSV; sets without a patient in `RUNS` keep their rows."""
    rows: list[dict[str, Any]] = []
    for path in sorted(RUNS.glob("*-[0-9][0-9][0-9][0-9].npz")):
        name, seed, place = path.stem.rsplit("-", 2)
        if int(seed) != SEEDS[name] or name == "classifier":  # which classifier_physics.py reads
            continue
        with np.load(path, allow_pickle=False) as file:
            stored = dict(file)
        row: dict[str, Any] = {"set": name, "seed": int(seed), "patient": int(place)}
        row |= {key: round(float(stored[key]), 4) for key in stored if key.startswith(("known_", "ica_"))}
        if "failed" in stored:
            rows.append(row | {"failed": str(stored["failed"])})
            continue
        row |= {"sex": str(stored["sex"]), "analysed": str(stored["verdict"])}
        for kind in ("plain",) if name in WITHOUT_CT else ("plain", "ct"):
            row |= scores_of(stored, kind, name)
            codes = json.loads(str(stored.get(f"stress_{kind}_findings", "[]")))
            row[f"doubt_{kind}"] = int(any(c.startswith("lv-") or c == "check-orientation" for c in codes))
        rows.append(row)
    table = pd.DataFrame(rows)
    if TABLE.exists():
        before = pd.read_csv(TABLE, keep_default_na=False, dtype=str)
        table = pd.concat([before[~before["set"].isin(set(table["set"]))], table])
    table.to_csv(TABLE, index=False, float_format="%.4g")
    print(f"{len(rows)} patients in {TABLE.relative_to(ROOT)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("measure", "cohort", "table"))
    parser.add_argument("--folder", type=Path, help="of `cohort`: patients that `myoperf simulate` wrote")
    parser.add_argument("--set", choices=SETS, default="patients")
    parser.add_argument("--seed", type=int, help="default: that of the page")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=600.0)
    given = parser.parse_args()
    if given.step == "measure":
        measure(given.set, given.seed or SEEDS[given.set], given.count, given.minutes)
    elif given.step == "cohort":
        measure_cohort(given.folder)
    else:
        tabulate()


if __name__ == "__main__":
    main()
