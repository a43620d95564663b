"""Flow and flow reserve of simulated dynamic PET against what is known.

    python benchmarks/pet_flow_simulated.py curves --patients 40
    python benchmarks/pet_flow_simulated.py images --tracer Rb-82 --patients 8
    python benchmarks/pet_flow_simulated.py images --tracer N-13 --patients 8
    python benchmarks/pet_flow_simulated.py table

``curves`` draws time-activity curves of 17 segments and both ventricles' blood at stress and rest (flow, washout,
spill-over, the bolus' shape and noise differ from patient to patient), fits them and draws intervals from the
residuals and the blood's tail. ``images`` goes through everything: simulated patients with torso, imaged frame by frame
with blur and noise, the ventricle found and intervals drawn as ``myoperf analyze`` does. Both do it twice, nothing but
the noise differing, for the repeatability. Both write ``docs/results/pet_flow.csv``, one row a patient and region;
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from myoperf.errors import MyoPerfError
from myoperf.flow import (
    DynamicProtocol,
    fit_flow,
    k1_from_flow,
    resample_blood,
    resample_residuals,
    territory_means,
    tissue_curve,
)
from myoperf.geometry import rotate_frame, transform_points
from myoperf.lv import LVFit
from myoperf.phantom.acquire import scanner_from_patient
from myoperf.phantom.anatomy import static_organs
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PatientModel, PopulationOptions
from myoperf.phantom.voxelise import label_volume, voxelise
from myoperf.pipeline import Models, load_models
from myoperf.pipeline.flow import flow_of_scan, summed_volume
from myoperf.pipeline.uncertainty import interval_of_draws, jitter_frame
from myoperf.polar import fit_surface, sample_polar_map
from myoperf.segments import TERRITORIES, segment_means
from myoperf.types import Finding, FlowResult, Scan, State, Volume

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/pet_flow.csv"
STATES: tuple[State, State] = ("stress", "rest")
SEED = {"curves": 8101, "images": 8201}
FRAMES = {
    "Rb-82": np.array([10.0] * 12 + [30.0] * 2 + [60.0] * 2 + [90.0] * 2),
    "N-13": np.array([10.0] * 12 + [30.0] * 4 + [60.0] * 3),
}
HALF_LIFE_S = {"Rb-82": 76.4, "N-13": 597.9}
K2 = {"Rb-82": (0.25, 0.05), "N-13": (0.07, 0.02)}
"""Washout rate per minute: mean and SD over segments."""
NOISE = {"Rb-82": 0.05, "N-13": 0.03}
"""SD of a segment's activity in a frame of 30 s at the scan's start, relative to the late wall; images see 8 times
as much a voxel before its correlation."""
SPACING_MM, SHAPE, BLUR_MM = 4.0, (48, 60, 60), 6.5
STEP_S = 0.5
DRAWS = 5
RESERVE_LIMIT = 2.0


class Times:
    """The frames of a tracer and a fine grid of seconds."""

    def __init__(self, tracer: str) -> None:
        self.duration = FRAMES[tracer]
        self.start = np.concatenate([[0.0], np.cumsum(self.duration)[:-1]])
        self.fine = np.arange(0.0, self.start[-1] + self.duration[-1] + STEP_S, STEP_S)
        self.growth = 2.0 ** ((self.start + 0.5 * self.duration) / HALF_LIFE_S[tracer])

    def averaged(self, curve: Any) -> Any:
        """Average a fine curve over each frame."""
        whole = np.concatenate([[0.0], np.cumsum(0.5 * (curve[1:] + curve[:-1]) * STEP_S)])
        ends = np.interp(np.append(self.start, self.start[-1] + self.duration[-1]), self.fine, whole)
        return np.diff(ends) / self.duration

    def noise_sd(self, level: Any) -> Any:
        """SD of decay-corrected activity for one unit of noise: counts follow activity, time and decay."""
        return np.sqrt(np.maximum(level, 0.02) * self.growth * 30.0 / self.duration)


def blood_of(rng: np.random.Generator, times: Times) -> tuple[Any, Any]:
    """Draw the blood of the left and the right ventricle, peak of the left about 1."""
    arrival, width = rng.uniform(12.0, 22.0), rng.uniform(5.0, 8.0)

    def bolus(delay: float, spread: float) -> Any:
        t = np.maximum(times.fine - delay, 0.0) / spread
        return t**1.5 * np.exp(1.5 * (1.0 - t))

    late = rng.uniform(0.04, 0.08)
    mixed = late * (1.0 - np.exp(-np.maximum(times.fine - arrival, 0.0) / 15.0))
    lag, widen = rng.uniform(7.0, 11.0), rng.uniform(1.3, 1.7)
    return bolus(arrival + lag, widen * width) + mixed, 1.3 * bolus(arrival, width) + mixed


def flows_of(rng: np.random.Generator) -> dict[str, Any]:
    """Draw the flow of 17 segments at rest and stress; every second patient has a territory with a poor reserve."""
    rest = rng.uniform(0.6, 1.2) * np.exp(0.07 * rng.normal(size=17))
    reserve = rng.uniform(1.8, 4.0) * np.exp(0.07 * rng.normal(size=17))
    if rng.random() < 0.5:
        vessel = rng.choice(list(TERRITORIES))
        reserve[np.asarray(TERRITORIES[vessel]) - 1] *= rng.uniform(0.35, 0.8)
    return {"rest": rest, "stress": rest * np.maximum(reserve, 0.9)}


def regions_of(values: Any) -> dict[str, float]:
    """Name the segments, the territories and the whole."""
    return {str(i): float(v) for i, v in enumerate(values, start=1)} | territory_means(np.asarray(values), TERRITORIES)


def rows_of(
    part: str, tracer: str, patient: int, known: Any, found: Any, again: Any, drawn: Any
) -> list[dict[str, Any]]:
    """Put one patient's flow and reserve into rows; each argument: state -> region -> number, `drawn` many of them."""
    known, found, again = with_reserve(known), with_reserve(found), with_reserve(again)
    drawn = [with_reserve(one) for one in drawn]
    ends = {name: interval_of_draws(found[name], [one[name] for one in drawn], source="draws") for name in found}
    low = {name: {r: max(i.low, 0.0) for r, i in of.items()} for name, of in ends.items()}
    high = {name: {r: i.high for r, i in of.items()} for name, of in ends.items()}
    rows = []
    for region in known["stress"]:
        row: dict[str, Any] = {"part": part, "tracer": tracer, "patient": patient, "region": region}
        for name in ("stress", "rest", "mfr"):
            row |= {f"{name}_known": known[name][region], name: found[name].get(region)}
            row |= {f"{name}_lo": low[name].get(region), f"{name}_hi": high[name].get(region)}
            row |= {f"{name}_again": again[name].get(region)}
        rows.append(row)
    return rows


def with_reserve(by_state: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Add stress over rest."""
    none = float("nan")
    return by_state | {"mfr": {r: v / by_state["rest"].get(r, none) for r, v in by_state["stress"].items()}}


def curves(patients: int) -> list[dict[str, Any]]:
    """Simulate, fit and draw intervals; no image."""
    rows = []
    for tracer in FRAMES:
        times = Times(tracer)
        for patient in range(patients):
            rng = np.random.default_rng([SEED["curves"], patient, len(tracer)])
            flows, known, found, again = flows_of(rng), {}, {}, {}
            drawn: list[dict[str, dict[str, float]]] = [{} for _ in range(DRAWS)]
            for state in STATES:
                known[state] = regions_of(flows[state])
                fits, second = fit_curves(rng, times, tracer, flows[state])
                found[state], again[state] = regions_of(fits[0]), regions_of(second)
                for one, values in zip(drawn, fits[1:], strict=True):
                    one[state] = regions_of(values)
            rows += rows_of("curves", tracer, patient, known, found, again, drawn)
    return rows


def fit_curves(rng: np.random.Generator, times: Times, tracer: Any, flow: Any) -> tuple[list[Any], Any]:
    """Return the fitted flow of 17 noisy curves with that of every draw, and the flow with other noise."""
    left, right = blood_of(rng, times)
    k2 = np.maximum(rng.normal(*K2[tracer], 17), 0.01)
    spill_left, spill_right = rng.uniform(0.15, 0.4, 17), rng.uniform(0.0, 0.05, 17)
    spill_right[[1, 2, 7, 8, 13]] += 0.12
    k1 = k1_from_flow(flow, tracer)
    tissue = np.stack([tissue_curve(float(a), float(b), times.fine, left) for a, b in zip(k1, k2, strict=True)])
    wall = (1 - spill_left - spill_right)[:, None] * tissue + np.outer(spill_left, left) + np.outer(spill_right, right)
    clean = np.stack([times.averaged(one) for one in wall])
    late = float(clean[:, -3:].mean())
    unit = NOISE[tracer] * late
    protocol = DynamicProtocol(tracer=tracer, start_s=times.start, duration_s=times.duration)

    def acquired() -> tuple[Any, Any, Any]:
        noisy = clean + unit * times.noise_sd(clean / late) * rng.normal(size=clean.shape)
        pools = [times.averaged(pool) for pool in (left, right)]
        pools = [p + 0.5 * unit * times.noise_sd(p / late) * rng.normal(size=p.size) for p in pools]
        return noisy, *pools

    noisy, *pools = acquired()
    first = fit_flow(noisy, pools[0], right=pools[1], protocol=protocol)
    drawn = []
    for _ in range(DRAWS):
        one, other = (resample_blood(pool, rng, protocol=protocol) for pool in pools)
        curves = resample_residuals(noisy, first.fitted, rng)
        drawn.append(fit_flow(curves, one, right=other, protocol=protocol).mbf_ml_min_g)
    second, one, other = acquired()
    return [first.mbf_ml_min_g, *drawn], fit_flow(second, one, right=other, protocol=protocol).mbf_ml_min_g


def images(tracer: Any, patients: int, minutes: float) -> list[dict[str, Any]]:
    """Image patients frame by frame, find the ventricle and measure."""
    rows, began = [], time.monotonic()
    models = load_models()
    for patient in range(patients):
        if time.monotonic() - began > 60.0 * minutes:
            print(f"stopped before {patient}")
            break
        rng = np.random.default_rng([SEED["images"], patient, len(tracer)])
        model = draw_patient(rng, PopulationOptions(tracer=tracer))
        rest = rng.uniform(0.7, 1.1)
        scale = {"rest": rest, "stress": rest * rng.uniform(2.2, 3.5)}
        known, found, again = {}, {}, {}
        drawn: list[dict[str, dict[str, float]]] = [{} for _ in range(DRAWS)]
        try:
            for state in STATES:
                known[state], first, again[state] = one_image(rng, model, state, tracer, scale[state], models)
                found[state] = first[0]
                for one, values in zip(drawn, first[1:], strict=True):
                    one[state] = values
        except MyoPerfError as error:
            print(f"{tracer} {patient}: {error}")
            continue
        rows += rows_of("images", tracer, patient, known, found, again, drawn)
    return rows


def one_image(
    rng: np.random.Generator, patient: PatientModel, state: State, tracer: Any, flow: float, models: Models
) -> tuple[dict[str, float], list[dict[str, float]], dict[str, float]]:
    """Return a patient's known flow in one state, the measured one with its draws, and that of a second acquisition.

    The wall's flow is `flow` times its uptake relative to normal, in steps of a tenth.
    """
    times = Times(tracer)
    grid = Grid.centred(SHAPE, SPACING_MM, patient.frame.centre_mm)
    organs = voxelise(patient, grid, state=state, gates=8, supersample=2, static=static_organs(patient, grid))
    flip = np.eye(4)
    flip[0, 0], flip[0, 3] = -1.0, SHAPE[0] - 1.0
    move = scanner_from_patient(patient)
    affine, frame = move @ grid.lps_from_index @ flip, rotate_frame(patient.frame, move)
    share = np.maximum(organs.occupancy["myocardium"], 1e-6)
    truth = Volume((flow * organs.myocardium_uptake / share * (share > 0.5))[::-1].copy().astype(np.float32), affine)
    labels = Volume(label_volume(patient, grid, state)[::-1].copy(), affine)
    mean = sample_polar_map(Volume(np.where(labels.array == 1, truth.array, 0.0), affine), labels, frame)
    inside = sample_polar_map(Volume((labels.array == 1).astype(np.float32), affine), labels, frame)
    known = segment_means(mean.mean.values) / segment_means(inside.mean.values)
    masks, fine = parts_of(rng, organs, patient, grid, times, tracer, flow)
    seen = []
    for draws in (DRAWS, 0):
        moving = Volume(frames_of(rng, masks, fine, times, NOISE[tracer])[:, ::-1].copy(), affine)
        scan = Scan(
            moving,
            state=state,
            modality="PT",
            framing="dynamic",
            tracer=tracer,
            frame_start_ms=1000.0 * times.start,
            frame_duration_ms=1000.0 * times.duration,
        )
        seen.append(flows_seen(scan, moving, models, rng, draws))
    return regions_of(known), seen[0], seen[1][0]


def flows_seen(
    scan: Scan, moving: Volume, models: Models, rng: np.random.Generator, draws: int
) -> list[dict[str, float]]:
    """Measure flow, then `draws` times from a resampled pose and curves, as `analyze` does for its intervals."""
    late = summed_volume(scan, moving)[0]
    fit = models.find_lv(late)

    def flow_in(pose: LVFit, rng: np.random.Generator | None = None) -> tuple[FlowResult | None, tuple[Finding, ...]]:
        surface = fit_surface(pose.labels, pose.frame)
        return flow_of_scan(scan, moving, pose, surface, territories=TERRITORIES, rng=rng)

    measured, said = flow_in(fit)
    if measured is None:
        raise MyoPerfError(said[0].message)
    without = np.isnan(measured.mbf_ml_min_g)
    print(f"{scan.tracer} {scan.state}: segments without flow {np.flatnonzero(without) + 1}", flush=True)
    out = [regions_of(measured.mbf_ml_min_g)]
    for _ in range(draws):
        frame = jitter_frame(fit.frame, rng)
        drawn, _ = flow_in(replace(fit, frame=frame, labels=models.segment_lv(late, frame)[0]), rng)
        out.append({} if drawn is None else regions_of(drawn.mbf_ml_min_g))
    return out


def parts_of(
    rng: np.random.Generator, organs: Any, patient: PatientModel, grid: Grid, times: Times, tracer: Any, flow: float
) -> tuple[Any, Any]:
    """Return what an image is made of: masks (n, planes, rows, columns) and their fine curves (n, times)."""
    left, right = blood_of(rng, times)
    place = transform_points(grid.lps_from_index, np.indices(SHAPE).reshape(3, -1).T) - patient.frame.base_mm
    septal = (place @ patient.frame.septal).reshape(SHAPE)
    pool = organs.occupancy["blood"]
    on_right = (septal > 18.0) & (organs.lv_cavity < 0.01)
    wall = organs.occupancy["myocardium"]
    level = np.clip(np.rint(10.0 * organs.myocardium_uptake / np.maximum(wall, 1e-6)), 0, 12).astype(int)
    masks, fine = [np.where(on_right, 0.0, pool), np.where(on_right, pool, 0.0)], [left, right]

    def tissue(of: float) -> Any:
        return tissue_curve(float(k1_from_flow(of, tracer)), K2[tracer][0], times.fine, left)

    for step in np.unique(level[wall > 0]):
        masks.append(np.where(level == step, wall, 0.0))
        fine.append(tissue(flow * step / 10.0))
    usual = tissue(1.0)
    for organ, share in organs.occupancy.items():
        if organ not in ("blood", "myocardium"):
            part = {"lungs": 0.25, "liver": 0.7, "right_ventricle": 0.6}.get(organ, 0.12)
            masks.append(share)
            fine.append(part * usual + (0.3 * right if organ == "lungs" else 0.05 * left))
    return np.stack(masks), np.stack(fine)


def frames_of(rng: np.random.Generator, masks: Any, fine: Any, times: Times, noise: float) -> Any:
    """Blur the parts, let them take their courses and add noise that follows counts and decay."""
    blurred = np.stack([ndimage.gaussian_filter(m.astype(np.float32), BLUR_MM / 2.3548 / SPACING_MM) for m in masks])
    clean = np.tensordot(np.stack([times.averaged(one) for one in fine]).T, blurred, axes=1)
    level = float(np.percentile(clean[-3:].mean(axis=0), 99.0))
    out = np.empty_like(clean)
    for at, (frame, duration, growth) in enumerate(zip(clean, times.duration, times.growth, strict=True)):
        grain = ndimage.gaussian_filter(rng.normal(size=frame.shape), 0.8)
        sd = 8.0 * noise * level * np.sqrt(np.maximum(frame / level, 0.02) * growth * 30.0 / duration)
        out[at] = np.maximum(frame + sd * grain / grain.std() * 0.5, 0.0)
    return out.astype(np.float32)


def save(rows: list[dict[str, Any]]) -> None:
    """Put rows into the table in place of those of the same part and tracer."""
    new = pd.DataFrame(rows).round(3)
    if TABLE.is_file():
        old = pd.read_csv(TABLE, dtype={"region": str})
        keys = set(zip(new["part"], new["tracer"], strict=True))
        kept = [key not in keys for key in zip(old["part"], old["tracer"], strict=True)]
        new = pd.concat([old[kept], new], ignore_index=True)
    new.to_csv(TABLE, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("curves", "images"))
    parser.add_argument("--tracer", choices=FRAMES, default="Rb-82")
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=11.0)
    given = parser.parse_args()
    if given.step == "curves":
        save(curves(given.patients))
    else:
        save(images(given.tracer, given.patients, given.minutes))


if __name__ == "__main__":
    main()
