"""Where the wall ends, and the basal segments that follow, on hearts whose truth is known.

    python benchmarks/valve_plane.py independent --count 60    hearts for development, not of the simulator
    python benchmarks/valve_plane.py simulated --count 24      simulated patients, full physics, stress and rest
    python benchmarks/valve_plane.py normals --count 40        simulated normals, fast model: scores before and after

Each ventricle is found as ``myoperf analyze`` does and unrolled three times: up to its labels' end (the way until
version 0.2), up to the measured end of the wall, and, as the ceiling, up to the true end in the pose that was found.
All are compared with the same image on the true mid-wall, averaged over the beat, up to its true end: truth blurred
alike. ``normals`` scores both maps against the limits of the package. One row a scan in
``docs/results/valve_plane.csv`` and ``valve_plane_normals.csv``; goes on where it stopped and ends by itself after
``--minutes``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf.errors import MyoPerfError
from myoperf.geometry import angle_deg, transform_points, unit
from myoperf.lv import LVFit
from myoperf.perfusion import choose_limits, score_perfusion
from myoperf.phantom.acquire import Protocol, acquire, scanner_from_patient
from myoperf.phantom.fast import simulate_fast
from myoperf.phantom.heart import fraction_of_meridian, wall_at
from myoperf.phantom.independent import draw_heart
from myoperf.phantom.independent.draw import DrawnHeart
from myoperf.phantom.independent.shape import grid, moments
from myoperf.phantom.motion import moved_surfaces, pose_at
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.pipeline import Models, load_models
from myoperf.pipeline.valve import end_at_wall
from myoperf.polar import sample_polar_map, sample_surface, segments_percent
from myoperf.recon import reconstruct
from myoperf.types import Float, LVFrame, State, Volume
from myoperf.ventricle import WallSurface

RESULTS = Path(__file__).parents[1] / "docs/results"
RINGS, ANGLES, INSTANTS = 24, 72, 24
SEED = 1616
Truth = tuple[Float, Float]
"""Mid-wall points (n, angles, 3) from apex to the wall's end, mean over the beat, and the wall's thickness there."""


@cache
def network() -> Models:
    """Return what finds the ventricle."""
    return load_models(diagnosis=False)


def truth_of_heart(drawn: DrawnHeart) -> Truth:
    """Return the mean mid-wall of an independent heart."""
    frame, (_, angle) = drawn.frame, grid()
    tip = frame.apex_mm - 0.5 * drawn.heart.apex_wall_mm * frame.axis
    beat = moments(drawn.heart, INSTANTS)
    radius = np.mean([0.5 * (m.inner_mm + m.outer_mm) for m in beat], axis=0)
    height = np.mean([0.5 * (m.inner_height_mm + m.outer_height_mm) for m in beat], axis=0)
    side = np.cos(angle)[..., None] * frame.anterior + np.sin(angle)[..., None] * frame.septal
    thickness = np.mean([m.outer_mm - m.inner_mm for m in beat], axis=0)
    return tip + height[..., None] * frame.axis + radius[..., None] * side, thickness


def truth_of_patient(patient: PatientModel, state: State) -> Truth:
    """Return the mean mid-wall of a simulated patient, in the scanner's space."""
    fraction, angle = np.linspace(0.0, 1.0, 97)[:, None], (np.arange(ANGLES) * (360.0 / ANGLES))[None]
    wall = wall_at(patient.ventricle, fraction_of_meridian(patient.ventricle, fraction, angle), angle)
    places, thickness = [], []
    for moment in (np.arange(INSTANTS) + 0.5) / INSTANTS:
        inner, outer = moved_surfaces(patient, state, float(moment), wall, angle)
        pose, middle = pose_at(patient, state, float(moment)), 0.5 * (inner + outer)
        turn = np.deg2rad(angle) + pose.twist_rad * np.cos(wall.theta) ** 2
        across = middle * np.sin(wall.theta) / np.sqrt(pose.stretch)
        apexward = middle * np.cos(wall.theta) * pose.stretch + pose.shift_mm
        places.append(np.stack([across * np.cos(turn), across * np.sin(turn), apexward], axis=-1))
        thickness.append(outer - inner)
    frame = patient.frame
    points = frame.base_mm + np.mean(places, axis=0) @ np.stack([frame.anterior, frame.septal, -frame.axis])
    return transform_points(scanner_from_patient(patient), points), np.mean(thickness, axis=0)


def surface_of(truth: Truth) -> WallSurface:
    """Return the true surface on the grid of a polar map."""
    points, thickness = truth
    columns = np.arange(ANGLES) * points.shape[1] // ANGLES
    points, thickness = points[:, columns], thickness[:, columns]
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    arc = np.concatenate([np.zeros((1, ANGLES)), np.cumsum(steps, axis=0)])
    share = (np.arange(RINGS) + 0.5) / RINGS
    middle, wall = np.empty((RINGS, ANGLES, 3)), np.empty((RINGS, ANGLES))
    for k in range(ANGLES):
        place = share * arc[-1, k]
        middle[:, k] = np.stack([np.interp(place, arc[:, k], points[:, k, axis]) for axis in range(3)], axis=-1)
        wall[:, k] = np.interp(place, arc[:, k], thickness[:, k])
    around = np.roll(middle, -1, axis=1) - np.roll(middle, 1, axis=1)
    normal = unit(np.cross(np.gradient(middle, axis=0), around))
    normal[0] = unit(normal[1].mean(axis=0))
    return WallSurface(middle, normal, np.maximum(wall, 2.0), np.ones(wall.shape, dtype=np.bool_))


def true_rim(truth: Truth, frame: LVFrame) -> Float:
    """Return the height of the true end above the plane of a pose, at evenly spaced angles of that pose: (angles,)."""
    offset = truth[0][-1] - frame.base_mm
    turn = np.arctan2(offset @ frame.septal, offset @ frame.anterior) % (2 * np.pi)
    order = np.argsort(turn)
    wanted = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    return np.interp(wanted, turn[order], (offset @ frame.axis)[order], period=2 * np.pi)


def measure(image: Volume, before: LVFit, after: LVFit, truth: Truth) -> dict[str, Any]:
    """Return the errors of the ends and of the basal segments (1 to 6, in points of the maximum)."""
    rim = true_rim(truth, before.frame)
    known = segments_percent(sample_surface(image, surface_of(truth)).maximum)
    measured = 0.0 if after.rim_mm is None else np.interp(np.arange(ANGLES) / 2, np.arange(36), after.rim_mm, period=36)
    ends = {
        "before": np.zeros(ANGLES),
        "after": measured + after.frame.length_mm - before.frame.length_mm,
        "ceiling": rim,
    }
    row: dict[str, Any] = {"length_before": before.frame.length_mm, "length_after": after.frame.length_mm}
    row["basal_true"] = known[:6].mean()
    for name, end in ends.items():
        polar = sample_polar_map(image, before.labels, before.frame, rim_mm=end).maximum
        off = segments_percent(polar) - known
        row[f"end_mm_{name}"] = (end - rim).mean()
        row[f"end_rms_mm_{name}"] = np.sqrt(((end - rim) ** 2).mean())
        row |= {f"segment_{i + 1}_{name}": off[i] for i in range(6)}
        row[f"mid_{name}"], row[f"apical_{name}"] = off[6:12].mean(), off[12:].mean()
    return row


def independent(number: int) -> Iterator[dict[str, Any]]:
    """Yield the row of an independent heart."""
    drawn = draw_heart(number)
    scan = drawn.study.scans[0].image
    assert isinstance(scan, Volume)
    image = scan.summed()
    before = network().find_lv(image)
    (after,) = end_at_wall((image, before))
    off = angle_deg(before.frame.axis, drawn.frame.axis)
    yield {"state": "stress", "axis_deg": off} | measure(image, before, after, truth_of_heart(drawn))


def simulated(number: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a simulated patient at stress and at rest, whose ventricles end alike."""
    rng = np.random.default_rng([SEED, number])
    patient = draw_patient(rng)
    states: tuple[State, State] = ("stress", "rest")
    views = [acquire(patient, state, rng, Protocol(gates=1)).projections for state in states]
    images = [reconstruct(one).volume.summed() for one in views]
    fits = [network().find_lv(image) for image in images]
    ended = end_at_wall(*zip(images, fits, strict=True))
    for state, image, before, after in zip(states, images, fits, ended, strict=True):
        truth = truth_of_patient(patient, state)
        axis = scanner_from_patient(patient)[:3, :3] @ patient.frame.axis
        yield {"state": state, "axis_deg": angle_deg(before.frame.axis, axis)} | measure(image, before, after, truth)


def normals(number: int) -> Iterator[dict[str, Any]]:
    """Yield the scores of a normal patient at stress and rest, before and after, against the limits of the package."""
    rng = np.random.default_rng([SEED + 1, number])
    patient = draw_patient(rng, PopulationOptions(normal=True, male=float(number % 2 == 0)))
    states: tuple[State, State] = ("stress", "rest")
    images = [simulate_fast(patient, rng, state=state, quick_labels=True)[0] for state in states]
    fits = [network().find_lv(image) for image in images]
    ended = end_at_wall(*zip(images, fits, strict=True))
    row: dict[str, Any] = {"sex": patient.clinical.sex}
    for name, chosen in (("before", fits), ("after", ended)):
        maps = [
            sample_polar_map(image, fit.labels, fit.frame, rim_mm=fit.rim_mm).maximum
            for image, fit in zip(images, chosen, strict=True)
        ]
        limits = [
            choose_limits(network().limits, state=state, sex=patient.clinical.sex, tracer="Tc-99m")[0]
            for state in states
        ]
        scores = score_perfusion(*maps, stress_limits=limits[0], rest_limits=limits[1])
        for key in ("tpd_stress_percent", "tpd_rest_percent", "sss", "srs", "sds"):
            row[f"{key}_{name}"] = getattr(scores, key)
        for state, polar in zip(states, maps, strict=True):
            row[f"basal_{state}_{name}"] = segments_percent(polar)[:6].mean()
        row[f"length_ratio_{name}"] = chosen[0].frame.length_mm / chosen[1].frame.length_mm
    yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hearts", choices=tuple(SETS))
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--minutes", type=float, default=20.0)
    given = parser.parse_args()
    draw, name = SETS[given.hearts]
    path = RESULTS / name
    table = pd.read_csv(path) if path.exists() else pd.DataFrame({"hearts": [], "number": []})
    there, start = set(table[table.hearts == given.hearts].number), time.monotonic()
    for number in range(given.count):
        if number in there:
            continue
        if time.monotonic() - start > 60.0 * given.minutes:
            print(f"stopped before {number}; call again to go on")
            break
        try:
            rows = [{"hearts": given.hearts, "number": number} | row for row in draw(number)]
        except MyoPerfError as error:
            rows = [{"hearts": given.hearts, "number": number, "failed": str(error).split(".")[0]}]
        table = pd.concat([table, pd.DataFrame(rows)], ignore_index=True) if len(table) else pd.DataFrame(rows)
        table.sort_values(["hearts", "number"], kind="stable").to_csv(path, index=False, float_format="%.2f")
    print(f"{given.hearts}: {(table.hearts == given.hearts).sum()} scans")


SETS: dict[str, tuple[Callable[[int], Iterator[dict[str, Any]]], str]] = {
    "independent": (independent, "valve_plane.csv"),
    "simulated": (simulated, "valve_plane.csv"),
    "normals": (normals, "valve_plane_normals.csv"),
}

if __name__ == "__main__":
    main()
