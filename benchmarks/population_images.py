"""Noiseless images of normal simulated patients, sampled along the true wall, for ``benchmarks/population.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from myoperf.geometry import sample, transform_points
from myoperf.phantom.acquire import Protocol, attenuation_map, expected_views, scanner_from_patient
from myoperf.phantom.fast import FITTED, simulate_fast
from myoperf.phantom.heart import fraction_of_meridian, wall_at
from myoperf.phantom.motion import gate_times, moved_surfaces, pose_at
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.pipeline.jobs import run_jobs
from myoperf.recon import reconstruct
from myoperf.segments import segment_means
from myoperf.types import Float, Volume

TABLE = Path(__file__).parents[1] / "docs/results/population_images.csv"
SEED = 3200
SEGMENTS = [f"segment_{n}" for n in range(1, 18)]
PROTOCOL = Protocol(views=32, gates=1, motion_probability=0.0, oversampling=1.6)
"""Half the views and a coarser grid than a patient's scan: noiseless images change by less than a percent."""


def wall_places_mm(patient: PatientModel) -> Float:
    """Return places from inside to outside the wall in the scanner's space, mean over the beat at stress.

    Shape (depths, rings, angles, 3): the wall's own rings from its apex to its own end, which the septum has nearer to
    the apex than the lateral wall.
    """
    fraction, angle = ((np.arange(24) + 0.5) / 24)[:, None], (np.arange(72) * 5.0)[None]
    ventricle = patient.ventricle
    wall = wall_at(ventricle, fraction_of_meridian(ventricle, fraction, angle), angle)
    depth = np.linspace(-0.25, 1.25, 7)[:, None, None]
    places = np.zeros((7, *wall.theta.shape, 3))
    for time in gate_times(8):
        inner, outer = moved_surfaces(patient, "stress", float(time), wall, angle)
        pose = pose_at(patient, "stress", float(time))
        distance = inner + depth * (outer - inner)
        across = distance * np.sin(wall.theta) / np.sqrt(pose.stretch)
        turn = np.deg2rad(np.broadcast_to(angle, wall.theta.shape)) + pose.twist_rad * np.cos(wall.theta) ** 2
        along = distance * np.cos(wall.theta) * pose.stretch + pose.shift_mm
        places += np.stack([across * np.cos(turn), across * np.sin(turn), along], axis=-1) / 8.0
    frame = patient.frame
    inside = frame.base_mm + places @ np.stack([frame.anterior, frame.septal, -frame.axis])
    return transform_points(scanner_from_patient(patient), inside.reshape(-1, 3)).reshape(places.shape)


def segments_of(image: Volume, places: Float) -> list[float]:
    """Return the largest counts across the true wall, mean of each segment, in per cent of the highest."""
    values = segment_means(sample(image, places.reshape(-1, 3))[0].reshape(places.shape[:-1]).max(axis=0))
    return [round(float(v), 2) for v in 100.0 * values / values.max()]


def patient_of(index: int) -> tuple[PatientModel, np.random.Generator]:
    """Draw a normal patient, even numbers men, with the generator that the acquisition goes on with."""
    rng = np.random.default_rng([SEED, index])
    return draw_patient(rng, PopulationOptions(normal=True, male=float(index % 2 == 0))), rng


def table_of(index: int, patient: PatientModel, method: str, segments: Sequence[list[float]]) -> pd.DataFrame:
    """Return the segments of one patient, uncorrected first, a row an image."""
    about = {"patient": index, "sex": patient.clinical.sex, "bmi": round(patient.clinical.bmi, 1), "method": method}
    rows = [
        about | {"corrected": bool(k)} | dict(zip(SEGMENTS, values, strict=True)) for k, values in enumerate(segments)
    ]
    return pd.DataFrame(rows)


def image_patient(index: int) -> pd.DataFrame:
    """Image one patient at stress by full physics."""
    patient, rng = patient_of(index)
    views, _ = expected_views(patient, "stress", PROTOCOL, rng)
    views = replace(views, array=views.array * np.float32(4e6 / views.array.sum(dtype=np.float64)))
    mu = attenuation_map(patient, views)
    places = wall_places_mm(patient)
    images = [reconstruct(views, attenuation=map_).volume for map_ in (None, mu)]
    return table_of(index, patient, "full physics", [segments_of(image, places) for image in images])


def image_fast(index: int) -> pd.DataFrame:
    """Image one patient at stress by the fast model."""
    patient, _ = patient_of(index)
    places, segments = wall_places_mm(patient), []
    for attenuated in (FITTED["spect"].attenuated, 0.0):
        model = replace(FITTED["spect"], noise=0.0, attenuated=attenuated)
        image, _, _ = simulate_fast(patient, np.random.default_rng(0), model=model, quick_labels=True)
        segments.append(segments_of(image, places))
    return table_of(index, patient, "fast", segments)


METHODS = {"full physics": image_patient, "fast": image_fast}


def draw_images(folder: Path, count: int, method: str) -> None:
    """Image patients into a folder, one table each; those already there are kept. All are gathered in `TABLE`."""
    folder.mkdir(parents=True, exist_ok=True)
    short, image = method.split()[0], METHODS[method]
    jobs = {folder / f"{short}-{index:04d}.csv": index for index in range(count)}
    run_jobs(jobs, lambda index, path: image(index).to_csv(path, index=False), title="images")
    tables = [pd.read_csv(path) for path in sorted(folder.glob("*-????.csv"))]
    pd.concat(tables, ignore_index=True).to_csv(TABLE, index=False)


def read_images() -> pd.DataFrame:
    """Read the segments of all images that were made."""
    return pd.read_csv(TABLE)
