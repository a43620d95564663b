"""Volumes, ejection fraction, phase and TID of simulated patients against their truth.

    python benchmarks/function_simulated.py --cohort population --seed 9501 --patients 200
    python benchmarks/function_simulated.py --cohort dyssynchrony --seed 9502 --patients 40
    python benchmarks/function_simulated.py --cohort dilation --seed 9504 --patients 40
    python benchmarks/function_simulated.py --cohort population --seed 9501 --patients 40 --gates 16
    python benchmarks/function_simulated.py --again --cohort population --seed 9501 --patients 200

Simulates the views (full physics; see ``function_cohort.py``), reconstructs them, finds the ventricle as
``myoperf analyze`` does and measures; the measurement gets no part of the truth. It writes one row per patient to
``docs/results/function_simulated.csv``, goes on where it stopped and ends by itself after ``--minutes``. With
``--again`` rows that another version of the measurement wrote (column ``method``: hash of the sources of
``myoperf.gated``) are measured again from the stored views; call it until it says that all are done.
``--doubted`` repeats only those in which a ventricle was found with a warning in either state, or in which it is
not known whether it was.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from function_cohort import COHORTS, patient_of, views_of
from myoperf.errors import MyoPerfError
from myoperf.gated import measure_function
from myoperf.gated.function import static_cavities_ml
from myoperf.lv import check_lengths, share_pose
from myoperf.perfusion import tid_ratio
from myoperf.phantom.motion import volumes
from myoperf.phantom.truth import truth
from myoperf.pipeline import Options, load_models
from myoperf.pipeline.anterior import set_anterior
from myoperf.pipeline.scan import LocatedScan, locate_ventricle, reconstruct_scan, transfer_uncertain_pose
from myoperf.pipeline.valve import set_bases
from myoperf.polar import sample_polar_map
from myoperf.types import BLOOD_POOL, Finding, Projections, Scan, State

ROOT = Path(__file__).parents[1]
VIEWS = ROOT / "runs" / "function"
TABLE = ROOT / "docs/results/function_simulated.csv"
MODELS = load_models(diagnosis=False)
NUMBERS = ("edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg", "phase_bandwidth_deg", "tid_ratio")
STATES: tuple[State, State] = ("stress", "rest")
KEYS = ("cohort", "seed", "patient", "gates")


def known_of(cohort: str, seed: int, index: int) -> dict[str, float]:
    """Return what is true of a patient; TID compares the cavities' means over the beat, as ungated images show them."""
    patient, _ = patient_of(cohort, seed, index)
    known, beat = truth(patient), np.arange(64) / 64.0
    out = {f"{name}_true": float(getattr(known, name)["stress"]) for name in NUMBERS if name != "tid_ratio"}
    out["tid_ratio_true"] = float(volumes(patient, "stress", beat).mean() / volumes(patient, "rest", beat).mean())
    out["wall_mm"] = float(np.mean(patient.ventricle.wall_mm))
    out["scars"] = len(patient.coronary.infarcts)
    return out


def doubted(findings: Iterable[Finding]) -> bool:
    """Whether a finding of the ventricle's warns."""
    return any(f.severity != "info" for f in findings)


def located(views: dict[str, Projections], again: str) -> tuple[LocatedScan, LocatedScan]:
    """Find the ventricle under stress and at rest as analyze does, on the first noise or (``_again``) the second."""
    options = Options(motion="off")
    scans: dict[str, Scan] = {state: Scan(views[f"{state}{again}"], state=state, framing="gated") for state in STATES}
    images = {state: reconstruct_scan(scan, options, name=state) for state, scan in scans.items()}
    each = {state: locate_ventricle(one, MODELS, options) for state, one in images.items()}
    both = set_bases(set_anterior(transfer_uncertain_pose(each, MODELS, options), options), options)
    return both["stress"], both["rest"]


def labelled_ml(found: LocatedScan) -> float:
    """Return the labelled cavity."""
    return found.fit.labels.label_ml(BLOOD_POOL)


def measure_patient(views: dict[str, Projections], again: str = "") -> dict[str, float]:
    """Measure one patient on the first noise, or (``again="_again"``) on the second."""
    stress, rest = located(views, again)
    fits = [one.fit for one in (stress, rest)]
    maps = [
        sample_polar_map(one.summed, fit.labels, fit.frame, rim_mm=fit.rim_mm).maximum
        for one, fit in zip((stress, rest), fits, strict=True)
    ]
    result = measure_function(stress.frames, stress.fit.frame, maps[0])
    synchrony = result.synchrony
    assert synchrony is not None
    holders = {name: synchrony if name.startswith("phase") else result for name in NUMBERS if name != "tid_ratio"}
    found = {name: getattr(holder, name) for name, holder in holders.items()}
    out = {name: float("nan") if value is None else float(value) for name, value in found.items()}
    poses = share_pose(stress.summed, rest.summed, (stress.fit.frame, rest.fit.frame))
    modelled = static_cavities_ml(
        [(one.frames, pose, polar) for one, pose, polar in zip((stress, rest), poses, maps, strict=True)],
        thickness_mm=result.wall.wall_ed_mm,
    )
    out["tid_ratio"] = tid_ratio(modelled[0], modelled[1]) or float("nan")
    out["tid_labels_ratio"] = tid_ratio(labelled_ml(stress), labelled_ml(rest)) or float("nan")
    out["phase_noise_deg"] = synchrony.phase_noise_deg
    out["phase_sd_uncorrected_deg"] = synchrony.phase_sd_uncorrected_deg
    out["phase_reliable"] = float(synchrony.phase_reliable)
    out["phase_disagreement"] = float("nan") if synchrony.phase_disagreement is None else synchrony.phase_disagreement
    unlike = check_lengths(stress.fit.frame, rest.fit.frame)
    out["doubt"] = float(any(doubted((*one.fit.findings, *unlike)) for one in (stress, rest)))
    out["counts"] = float(views[f"stress{again}"].array.sum(dtype=np.float64))
    return out


def method_of() -> str:
    """Return a name that changes with the sources of the measurement."""
    files = [*sorted((ROOT / "src/myoperf/gated").glob("*.py")), ROOT / "src/myoperf/lv/match.py"]
    return "q" + hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def measure(
    cohort: str, seed: int, patients: int, gates: int, minutes: float, *, again: bool = False, doubts: bool = False
) -> None:
    """Add the rows that are not there yet.

    Parameters
    ----------
    again
        Also repeat those that another version measured; with `doubts` only where a ventricle is uncertain.
    """
    start, method = time.monotonic(), method_of()
    table = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=list(KEYS))
    if "method" not in table:
        table["method"] = ""
    good = table[(table.method == method) | (doubts & (table.doubt == 0))] if again or doubts else table
    there = set(good[list(KEYS)].itertuples(index=False, name=None))
    for index in range(patients):
        key = (cohort, seed, index, gates)
        if key in there:
            continue
        if time.monotonic() - start > 60.0 * minutes:
            print(f"stopped before {index}; call again to go on", flush=True)
            return
        views = views_of(VIEWS, cohort, seed, index, gates)
        row: dict[str, Any] = dict(zip(KEYS, key, strict=True)) | known_of(cohort, seed, index) | {"method": method}
        try:
            row |= measure_patient(views)
        except MyoPerfError as error:
            row["failed"] = str(error).split(".")[0]
        table = table[~(table[list(KEYS)] == list(key)).all(axis=1)]
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        table.sort_values(list(KEYS)).to_csv(TABLE, index=False, float_format="%.3f")
    print(f"{cohort} {seed}, {gates} gates: {patients} are there", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", choices=COHORTS, default="population")
    parser.add_argument("--seed", type=int, default=9501)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--gates", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=11.0)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--doubted", action="store_true")
    options = parser.parse_args()
    again, doubts = options.again, options.doubted
    cohort = options.cohort, options.seed, options.patients, options.gates
    measure(*cohort, options.minutes, again=again, doubts=doubts)


if __name__ == "__main__":
    main()
