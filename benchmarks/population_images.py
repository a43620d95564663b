"""Noiseless images of normal simulated patients, sampled along the true wall, for ``benchmarks/population.py``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from myoperf.geometry import index_from_lps, rotate_frame
from myoperf.phantom.acquire import Protocol, attenuation_map, expected_views, scanner_from_patient
from myoperf.phantom.fast import FITTED, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PatientModel, PopulationOptions
from myoperf.phantom.voxelise import label_volume
from myoperf.pipeline.jobs import run_jobs
from myoperf.polar import sample_polar_map
from myoperf.recon import reconstruct
from myoperf.segments import segment_means
from myoperf.types import LVFrame, Volume

SEED = 3200
SEGMENTS = [f"segment_{n}" for n in range(1, 18)]
PROTOCOL = Protocol(views=32, gates=1, motion_probability=0.0, oversampling=1.6)
"""Half the views and a coarser grid than a patient's scan: noiseless images change by less than a percent."""


def segments_of(image: Volume, labels: Volume, frame: LVFrame) -> list[float]:
    """Return the largest counts across the true wall, mean of each segment, in per cent of the highest."""
    values = segment_means(sample_polar_map(image, labels, frame).maximum.values)
    return [round(float(v), 2) for v in 100.0 * values / values.max()]


def image_patient(index: int) -> pd.DataFrame:
    """Image one normal patient at stress: even numbers are men."""
    rng = np.random.default_rng([SEED, index])
    patient = draw_patient(rng, PopulationOptions(normal=True, male=float(index % 2 == 0)))
    rows = [*_full_physics(patient, rng), *_fast(patient)]
    about = {"patient": index, "sex": patient.clinical.sex, "bmi": round(patient.clinical.bmi, 1)}
    named = [
        about | {"method": method, "corrected": corrected} | dict(zip(SEGMENTS, values, strict=True))
        for method, corrected, values in rows
    ]
    return pd.DataFrame(named)


def _full_physics(patient: PatientModel, rng: np.random.Generator) -> list[tuple[str, bool, list[float]]]:
    views, _ = expected_views(patient, "stress", PROTOCOL, rng)
    views = replace(views, array=views.array * np.float32(4e6 / views.array.sum(dtype=np.float64)))
    mu = attenuation_map(patient, views)
    to_scanner = scanner_from_patient(patient)
    frame = rotate_frame(patient.frame, to_scanner)
    out = []
    for corrected in (False, True):
        image = reconstruct(views, attenuation=mu if corrected else None).volume
        grid = Grid(image.grid_shape, index_from_lps(to_scanner) @ image.lps_from_index)
        labels = Volume(label_volume(patient, grid, "stress"), image.lps_from_index)
        out.append(("full physics", corrected, segments_of(image, labels, frame)))
    return out


def _fast(patient: PatientModel) -> list[tuple[str, bool, list[float]]]:
    out = []
    for corrected in (False, True):
        model = replace(FITTED["spect"], noise=0.0, attenuated=0.0 if corrected else FITTED["spect"].attenuated)
        image, labels, frame = simulate_fast(patient, np.random.default_rng(0), model=model)
        out.append(("fast", corrected, segments_of(image, labels, frame)))
    return out


def draw_images(folder: Path, count: int) -> None:
    """Image patients into a folder, one table each; those already there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = {folder / f"patient-{index:04d}.csv": index for index in range(count)}
    run_jobs(jobs, lambda index, path: image_patient(index).to_csv(path, index=False), title="images")


def read_images(folder: Path) -> pd.DataFrame:
    """Read the segments of all images that there are."""
    tables = [pd.read_csv(path) for path in sorted(folder.glob("patient-????.csv"))]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
