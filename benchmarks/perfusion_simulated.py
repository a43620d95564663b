"""Perfusion scores of simulated patients against their truth, with the found and with the true ventricle.

    python benchmarks/perfusion_simulated.py draw --set patients --state stress --seed 7001 --count 200
    python benchmarks/perfusion_simulated.py draw --set normals --state stress --seed 7101 --count 100
    ... and both with --state rest
    python benchmarks/perfusion_simulated.py table

``draw`` images each patient in one state by the fast image-space model (kind "spect"), finds the ventricle as
``myoperf analyze`` does, unrolls it, and once more with the ventricle as it is known to lie; it keeps the polar maps
in ``runs/perfusion``, goes on where it stopped and ends by itself after ``--minutes``. ``table`` scores
everybody against the limits of the package and against limits of the new normals, a normal against limits made
without it, and writes ``docs/results/perfusion_simulated.csv``.
``variants`` tries other scales and limits on patients of another seed (9901).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from myoperf.errors import MyoPerfError
from myoperf.perfusion import (
    LimitsLabel,
    NormalLimits,
    build_limits,
    choose_limits,
    score_perfusion,
    shipped_limits,
)
from myoperf.perfusion import normal_limits as rules
from myoperf.perfusion.scores import FULL_DEFECT
from myoperf.phantom.fast import image_model, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PatientModel, PopulationOptions
from myoperf.phantom.truth import defect_map, truth
from myoperf.pipeline import load_models
from myoperf.pipeline.anterior import turn_to_septum
from myoperf.pipeline.valve import end_at_wall
from myoperf.polar import check_rv_side, sample_polar_map
from myoperf.stats import wilson_interval
from myoperf.types import VESSELS, LVFrame, PolarMap, State
from myoperf.ventricle import fit_surface

ROOT = Path(__file__).parents[1]
MAPS = ROOT / "runs" / "perfusion"
STATES: tuple[State, State] = ("stress", "rest")
SETS = {"patients": PopulationOptions(), "normals": PopulationOptions(normal=True, male=0.5)}
SEEDS = {"patients": 7001, "normals": 7101}
VARIANTS = {"package": ("found", True), "found": ("found", False), "true": ("true", False)}
"""Which ventricle is unrolled, and whether the limits are the package's or those of the new normals."""
FIND_LV = load_models().find_lv
SHAPE = (56, 64, 64)
TABLE = ROOT / "docs/results/perfusion_simulated.csv"
TRIED, TRIED_SEED = ROOT / "docs/results/perfusion_variants.csv", 9901


def known_of(patient: PatientModel, state: State) -> dict[str, Any]:
    """Return what is true of a patient in one state, as numbers."""
    known, defect = truth(patient), defect_map(patient, state, 24, 72)
    return {
        "sex": patient.clinical.sex,
        "ica": [known.ica[v] for v in VESSELS],
        "known_extent": known.defect_extent_percent[state],
        "known_tpd": float(100.0 * np.clip((0.85 - defect) / (FULL_DEFECT * 0.85), 0.0, 1.0).mean()),
        "known_defect": defect.astype(np.float32),
    }


def maps_of(patient: PatientModel, state: State, seed: tuple[int, ...]) -> dict[str, Any]:
    """Image a patient in one state and unroll the found and the true ventricle; a failure leaves its map out."""
    model = image_model("spect", np.random.default_rng([*seed, 1]))
    rng = np.random.default_rng([*seed, 2 + STATES.index(state)])
    model = replace(model, noise=model.noise * float(np.exp(rng.normal(0.0, 0.1))))
    grid = Grid.centred(SHAPE, 6.6, patient.scan_centre_mm)
    image, labels, frame = simulate_fast(patient, rng, state=state, model=model, grid=grid)
    out: dict[str, Any] = {"true": sample_polar_map(image, labels, frame).maximum.values.astype(np.float32)}
    try:
        (turned_fit,) = turn_to_septum((image, FIND_LV(image)))
        (fit,) = end_at_wall((image, turned_fit))
        pair = sample_polar_map(image, fit.labels, fit.frame, rim_mm=fit.rim_mm)
    except MyoPerfError:
        return out
    turned = LVFrame(fit.frame.apex_mm, fit.frame.base_mm, -fit.frame.anterior)
    out |= {"found": pair.maximum.values.astype(np.float32), "thickness": pair.surface.thickness_mm.astype(np.float32)}
    out["rv_doubt"] = bool(check_rv_side(image, pair.surface))
    out["rv_doubt_turned"] = bool(check_rv_side(image, fit_surface(fit.labels, turned)))
    out["doubt"] = any(f.severity != "info" and f.code.startswith("lv-") for f in fit.findings)
    apart = np.degrees(np.arccos(np.clip(fit.frame.axis @ frame.axis, -1, 1)))
    apex, base = (
        float((a - b) @ frame.axis) for a, b in ((fit.frame.apex_mm, frame.apex_mm), (fit.frame.base_mm, frame.base_mm))
    )
    out["pose"] = np.array([float(apart), apex, base, frame.length_mm])
    return out


def draw(name: str, state: State, seed: int, first: int, count: int, minutes: float) -> bool:
    """Write the maps of patients first ... first + count - 1, those already there apart; False when time ran out."""
    MAPS.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    for index in range(first, first + count):
        path = MAPS / f"{name}-{seed}-{index:04d}-{state}.npz"
        if path.exists():
            continue
        if time.monotonic() - start > 60.0 * minutes:
            print(f"stopped before {path.stem}; call again to go on", flush=True)
            return False
        patient = draw_patient(np.random.default_rng([seed, index]), SETS[name])
        partial = path.with_suffix(".part.npz")
        np.savez_compressed(partial, **known_of(patient, state), **maps_of(patient, state, (seed, index)))
        partial.rename(path)
    print(f"{name} {seed} {state}: {first} to {first + count - 1} are there", flush=True)
    return True


def polar_of(values: Any) -> PolarMap:
    """Wrap values as a polar map without geometry, which scoring does not use."""
    return PolarMap(np.asarray(values, np.float64), np.zeros((*values.shape, 3)), np.ones(values.shape))


class OwnLimits:
    """Limits from the new normals themselves, by ventricle, state and sex; a normal's own map is left out for it."""

    def __init__(self, drawn: list[dict[str, Any]]) -> None:
        self.drawn = [one for one in drawn if one["set"] == "normals"]
        self.held: dict[tuple[Any, ...], NormalLimits | None] = {}

    def of(self, one: dict[str, Any], ventricle: str, state: State) -> NormalLimits | None:
        """Return the limits for one patient's map."""
        leave = one["patient"] if one["set"] == "normals" else None
        key = (ventricle, state, one["sex"], leave)
        if key not in self.held:
            maps = [
                polar_of(other[state][ventricle])
                for other in self.drawn
                if other["sex"] == one["sex"]
                and other["patient"] != leave
                and ventricle in other.get(state, {})
                and not other[state].get("doubt", True)
            ]
            label = LimitsLabel(name="own", version="1", state=state, provenance="simulated", licence="none")
            self.held[key] = build_limits(maps, label) if len(maps) >= 10 else None
        return self.held[key]


def scores_of(one: dict[str, Any], variant: str, own: OwnLimits) -> dict[str, float]:
    """Score a patient's maps in one variant; what cannot be scored is left out."""
    ventricle, packaged = VARIANTS[variant]
    maps: dict[str, PolarMap | None] = {}
    limits: dict[str, NormalLimits | None] = {}
    for state in STATES:
        values = one.get(state, {}).get(ventricle)
        if packaged:
            limits[state] = choose_limits(shipped_limits(), state=state, sex=one["sex"], tracer="Tc-99m")[0]
        else:
            limits[state] = own.of(one, ventricle, state)
        maps[state] = None if values is None or limits[state] is None else polar_of(values)
    scores = score_perfusion(maps["stress"], maps["rest"], stress_limits=limits["stress"], rest_limits=limits["rest"])
    out: dict[str, Any] = {"tpd_stress": scores.tpd_stress_percent, "tpd_rest": scores.tpd_rest_percent}
    out |= {"sss": scores.sss, "srs": scores.srs, "sds": scores.sds, "tpd_ischemic": scores.tpd_ischemic_percent}
    out |= {f"extent_{state}": getattr(scores, f"{state}_extent_percent") for state in STATES}
    for vessel, part in scores.territories.items():
        out |= {f"tpd_{vessel}": part.tpd_stress_percent, f"sss_{vessel}": part.sss}
    return {key: round(float(value), 3) for key, value in out.items() if value is not None}


def read_drawn(name: str, seed: int) -> list[dict[str, Any]]:
    """Read what was drawn of a set: one record a patient, with a part a state."""
    patients: dict[int, dict[str, Any]] = {}
    for path in sorted(MAPS.glob(f"{name}-{seed}-????-*.npz")):
        if path.stem.endswith(".part"):
            continue
        index, state = path.stem.split("-")[2:]
        with np.load(path, allow_pickle=False) as stored:
            part = dict(stored)
        one = patients.setdefault(int(index), {"set": name, "seed": seed, "patient": int(index)})
        one |= {"sex": str(part["sex"]), "ica": part["ica"], state: part}
    return [patients[index] for index in sorted(patients)]


def row_of(one: dict[str, Any], own: OwnLimits) -> dict[str, Any]:
    """Return one patient's line of the table."""
    row: dict[str, Any] = {key: one[key] for key in ("set", "seed", "patient", "sex")}
    row |= {f"ica_{vessel}": int(is_ill) for vessel, is_ill in zip(VESSELS, one["ica"], strict=True)}
    row["ica_any"] = int(one["ica"].any())
    for state in STATES:
        if state not in one:
            continue
        part = one[state]
        row[f"extent_{state}_known"] = round(float(part["known_extent"]), 3)
        row[f"tpd_{state}_known"] = round(float(part["known_tpd"]), 3)
        row |= {f"{key}_{state}": int(part[key]) for key in ("doubt", "rv_doubt", "rv_doubt_turned") if key in part}
    for variant in VARIANTS:
        row |= {f"{key}_{variant}": value for key, value in scores_of(one, variant, own).items()}
    return row


def tabulate(seeds: dict[str, int]) -> None:
    """Score all patients of the seeds, write the CSV."""
    drawn = [one for name, seed in seeds.items() for one in read_drawn(name, seed)]
    own = OwnLimits(drawn)
    table = pd.DataFrame([row_of(one, own) for one in drawn])
    table.to_csv(TABLE, index=False)
    missing = int(table["tpd_stress_found"].isna().sum())
    print(f"{len(table)} patients; no ventricle was found in {missing} at stress.")


def variants() -> None:
    """Try other scales and limits on patients that are not reported; write the CSV."""
    normal, ill = read_drawn("normals", SEEDS["normals"]), read_drawn("patients", TRIED_SEED)
    ill = [one for one in ill if "found" in one["stress"]]
    known = [float(one["stress"]["known_tpd"]) for one in ill]
    rows = []
    for hottest in (0.25, 0.10, 0.05):
        for mads in (3.0, 2.5, 2.0):
            with mock.patch.multiple(rules, HOTTEST_SHARE=hottest, LIMIT_MADS=mads):
                own = OwnLimits(normal)
                measured, clean = (
                    [scores_of({**one, "rest": {}}, "found", own)["tpd_stress"] for one in group]
                    for group in (ill, [one for one in normal if "found" in one["stress"]])
                )
            row = {"hottest_share": hottest, "limit_mads": mads, "patients": len(ill), "normals": len(clean)}
            r = float(np.corrcoef(known, measured)[0, 1])
            lo, hi = np.tanh(np.arctanh(r) + 1.96 / np.sqrt(len(known) - 3) * np.array([-1, 1]))
            row |= {"r": r, "r_lo": lo, "r_hi": hi, "slope": np.polyfit(known, measured, 1)[0]}
            abnormal = int((np.array(clean) >= 5).sum())
            ends = wilson_interval(abnormal, len(clean))
            row |= {"abnormal": abnormal, "abnormal_percent": 100 * abnormal / len(clean)}
            rows.append(row | {"abnormal_percent_lo": 100 * ends.lo, "abnormal_percent_hi": 100 * ends.hi})
    table = pd.DataFrame(rows)
    table.to_csv(TRIED, index=False, float_format="%.4g")
    print(table.to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("draw", "table", "variants"))
    parser.add_argument("--set", choices=SETS, default="patients")
    parser.add_argument("--state", choices=STATES, default="stress")
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=11.0)
    given = parser.parse_args()
    if given.step == "draw":
        draw(given.set, given.state, given.seed, given.first, given.count, given.minutes)
    elif given.step == "variants":
        variants()
    else:
        tabulate(SEEDS)


if __name__ == "__main__":
    main()
