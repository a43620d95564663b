"""Time and agreement of the reconstruction compared with PyTomography, on one raw study, in one process.

Run with a Python that has torch, pytomography and this package's sources on its path:

    export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
    PYTHONPATH=src python benchmarks/recon_vs_pytomography.py STUDY.dcm [--repeats 9]

Both take turns with the same number of threads; times are medians after one warm-up each; post-filter off in both.
Writes ``docs/results/recon.csv`` and ``recon_run.json`` (the conditions).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import permutations, product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from pytomography.algorithms import OSEM
from pytomography.io.SPECT import dicom
from pytomography.likelihoods import PoissonLogLikelihood
from pytomography.projectors.SPECT import SPECTSystemMatrix
from pytomography.transforms.SPECT import SPECTPSFTransform

from myoperf.recon import GE_LEHR, CollimatorResponse, Projector, ReconOptions, SystemGeometry, reconstruct
from myoperf.recon.blur import blur_bank, discrete_gaussian
from myoperf.recon.projector import _matrices
from myoperf.recon.system import footprints
from myoperf.types import Projections

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def read(path: Path) -> Projections:
    """Read the one-detector, one-rotation study this benchmark is made for."""
    header = pydicom.dcmread(path)
    rotation = header.RotationInformationSequence[0]
    sign = -1.0 if rotation.RotationDirection == "CW" else 1.0
    views = int(header.NumberOfFrames)
    angles = float(rotation.StartAngle) + sign * float(rotation.AngularStep) * np.arange(views)
    row, column = (float(step) for step in header.PixelSpacing)
    return Projections(header.pixel_array, angles, (row, column), np.full(views, float(rotation.RadialPosition)))


def peer(path: Path, psf: bool) -> Callable[[], NDArray[Any]]:
    """Prepare PyTomography's OSEM; its reading and set-up are not timed."""
    object_meta, projection_meta = dicom.get_metadata(str(path))
    counts = dicom.get_projections(str(path))
    transforms = []
    if psf:
        meta = dicom.get_psfmeta_from_scanner_params("G8-LEHR", energy_keV=140.5, intrinsic_resolution=0.38)
        transforms.append(SPECTPSFTransform(meta))
    system = SPECTSystemMatrix(
        obj2obj_transforms=transforms, proj2proj_transforms=[], object_meta=object_meta, proj_meta=projection_meta
    )
    likelihood = PoissonLogLikelihood(system, counts)
    return lambda: np.asarray(OSEM(likelihood)(n_iters=4, n_subsets=4).cpu()).squeeze()


def alternate(first: Callable[[], Any], second: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Time two jobs in turn; medians in milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for job, kept in zip((first, second), times, strict=True):
            start = time.perf_counter()
            job()
            if turn:
                kept.append(1e3 * (time.perf_counter() - start))
    return median(times[0]), median(times[1])


def agreement(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[float, float]:
    """Correlation and relative difference (norm) within 0.45 of the field, end planes left out.

    The peer orders and turns its axes in its own way: of all 48 arrangements the best is taken.
    """
    side = ours.shape[-1]
    steps = np.arange(side) - 0.5 * (side - 1)
    inside = np.hypot(steps[:, None], steps[None]) < 0.45 * side
    kept = ours[4:-4, inside].ravel().astype(np.float64)
    best, chosen = -1.0, kept
    for order, flips in product(permutations(range(3)), product((1, -1), repeat=3)):
        moved = theirs.transpose(order)[:: flips[0], :: flips[1], :: flips[2]]
        if moved.shape != ours.shape:
            continue
        values = moved[4:-4, inside].ravel().astype(np.float64)
        score = float(np.corrcoef(kept, values)[0, 1])
        if score > best:
            best, chosen = score, values
    return best, float(np.linalg.norm(kept - chosen) / np.linalg.norm(chosen))


def forward_error(projections: Projections, response: CollimatorResponse, image: NDArray[Any]) -> float:
    """Relative error (norm) of the short sum of blurs against blurring every voxel by its own kernel."""
    geometry = SystemGeometry.of(projections, response)
    bank, views = blur_bank(geometry), (0, 10, 20)
    projector = Projector(geometry, views)
    activity = projector.gather(image[None])
    wide, tall = geometry.columns + 2 * bank.pad_columns, geometry.rows + 2 * bank.pad_rows
    first, weights = footprints(geometry, views, bank.pad_columns)
    sigmas = response.sigma_mm(geometry.depth_mm(views))
    slow = np.zeros((len(views), geometry.columns, geometry.rows))
    for view, sigma in enumerate(sigmas):
        for voxel, own in enumerate(sigma):
            bins = np.zeros(wide)
            np.add.at(bins, np.clip(first[view, voxel] + np.arange(3), 0, wide - 1), weights[view, voxel])
            across = discrete_gaussian(wide, geometry.columns, (own / geometry.column_mm) ** 2) @ bins
            along = discrete_gaussian(tall, geometry.rows, (own / geometry.row_mm) ** 2) @ activity[voxel, 0]
            slow[view] += np.outer(across, along)
    fast = projector.forward(activity)[:, :, 0]
    return float(np.linalg.norm(fast - slow) / np.linalg.norm(slow))


def measure(path: Path, repeats: int) -> list[dict[str, str]]:
    """Make the table's rows: without and with collimator response."""
    projections, rows = read(path), []
    for name, response in (("OSEM 4 x 4", None), ("OSEM 4 x 4 with collimator response", GE_LEHR)):
        options = ReconOptions(post_filter=False, psf=response)
        theirs = peer(path, response is not None)
        _matrices.cache_clear()
        start = time.perf_counter()
        ours = reconstruct(projections, options).volume.array[0]
        cold = 1e3 * (time.perf_counter() - start)
        mine, peers = alternate(lambda o=options: reconstruct(projections, o), theirs, repeats)
        correlation, difference = agreement(ours, theirs())
        error = forward_error(projections, response, ours) if response else float("nan")
        rows.append(
            {
                "job": name,
                "first run ms": f"{cold:.0f}",
                "myoperf ms": f"{mine:.1f}",
                "PyTomography ms": f"{peers:.0f}",
                "ratio": f"{peers / mine:.1f}",
                "correlation": f"{correlation:.4f}",
                "relative difference": f"{difference:.3f}",
                "forward error of the short sum": f"{error:.1e}" if response else "-",
            }
        )
    return rows


def write(rows: list[dict[str, str]], conditions: str) -> None:
    """Write the CSV, and the conditions it was measured under."""
    with (RESULTS / "recon.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = json.dumps({"conditions": conditions}, indent=1) + "\n"
    (RESULTS / "recon_run.json").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    rows = measure(arguments.study, arguments.repeats)
    note = (
        f"Medians of {arguments.repeats} alternating runs after a warm-up, {os.cpu_count()} cores "
        f"({platform.machine()}, load average {os.getloadavg()[0]:.1f}), "
        f"{torch.get_num_threads()} thread(s) each, Python {platform.python_version()}, torch {torch.__version__}, "
        f"PyTomography {version('pytomography')}, numpy {np.__version__}."
    )
    write(rows, note)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
