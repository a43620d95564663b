"""Reconstruction corrected for attenuation against PyTomography's, on a cylinder and on a simulated thorax.

Run with a Python that has torch, pytomography and this package's sources on its path:

    PYTHONPATH=src python benchmarks/attenuation_vs_pytomography.py

Both get the same noiseless views without scatter or collimator blur, the same map, and run OSEM 4 x 4 without a
post-filter. What is compared: the mean and the root mean square difference inside the activity, relative to
PyTomography's mean there, without and with correction, and how even the cylinder is. PyTomography arranges its axes in
its own way: the arrangement is found on the uncorrected images, and applied to the map. It writes
``docs/results/attenuation_pytomography.csv``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytomography.algorithms import OSEM
from pytomography.likelihoods import PoissonLogLikelihood
from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta
from pytomography.projectors.SPECT import SPECTSystemMatrix
from pytomography.transforms.SPECT import SPECTAttenuationTransform

from myoperf.geometry import index_from_lps, reslice
from myoperf.phantom.acquire import Protocol, attenuation_map, fine_grid, scanner_from_patient
from myoperf.phantom.physics import Camera, Collimator, Scatter, project
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PopulationOptions
from myoperf.phantom.voxelise import attenuation, label_volume, voxelise
from myoperf.recon import ReconOptions, reconstruct
from myoperf.types import Projections, Volume

ROOT = Path(__file__).parents[1]
SIZE, PIXEL_MM, VIEWS = 64, 6.6, 60
OPTIONS = ReconOptions(post_filter=False, scatter="off")
PERFECT = Collimator("none", 1e-3, 35.0, 1e-3)
ANGLES = 225.0 - 180.0 / VIEWS * np.arange(VIEWS)
Array = NDArray[Any]
Arrangement = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Phantom:
    """Views, the map in 1/cm and where the activity is, on the grid of the reconstruction."""

    views: Projections
    attenuation: Volume
    active: Array


def viewed(activity: Array, mu_per_mm: Array, grid: Grid, axis: tuple[float, float, float]) -> Projections:
    """Return noiseless views without scatter and blur; the axis of rotation is then the scanner's."""
    camera = Camera(
        ANGLES,
        np.full(VIEWS, 250.0),
        shape=(SIZE, SIZE),
        pixel_mm=PIXEL_MM,
        axis_lps_mm=axis,
        collimator=PERFECT,
        scatter=Scatter(share=0.0),
    )
    counts = project([activity], mu_per_mm, grid, camera).primary[:1]
    return Projections(counts, ANGLES, (PIXEL_MM, PIXEL_MM), camera.radius_mm, (0.0, 0.0, float(axis[2])))


def cylinder() -> Phantom:
    """Return 200 mm of evenly active water."""
    fine = Grid.centred((2 * SIZE, 2 * SIZE, 2 * SIZE), 0.5 * PIXEL_MM)
    discs = [disc(2 * SIZE, 0.5 * PIXEL_MM), disc(SIZE, PIXEL_MM)]
    body, coarse = (np.repeat(d[None], len(d), axis=0).astype(np.float32) for d in discs)
    views = viewed(body, 0.015 * body, fine, (0.0, 0.0, 0.0))
    place = reconstruct(views, OPTIONS).volume.lps_from_index
    return Phantom(views=views, attenuation=Volume(0.15 * coarse, place), active=coarse > 0.5)


def disc(size: int, pixel_mm: float) -> Array:
    """Return a disc of 100 mm radius."""
    steps = (np.arange(size) - 0.5 * (size - 1)) * pixel_mm
    return np.asarray(np.hypot(steps[:, None], steps[None]) < 100.0)


def thorax() -> Phantom:
    """Return a normal man's thorax at stress: what is compared is his left ventricle's wall."""
    patient = draw_patient(np.random.default_rng(9731), PopulationOptions(normal=True, male=1.0))
    grid = fine_grid(patient, Protocol())
    activity = voxelise(patient, grid, state="stress").total()
    views = viewed(activity, attenuation(patient, grid), grid, patient.scan_centre_mm)
    image = reconstruct(views, OPTIONS).volume
    inside = Grid(image.grid_shape, index_from_lps(scanner_from_patient(patient)) @ image.lps_from_index)
    wall = label_volume(patient, inside, "stress") == 1
    return Phantom(views=views, attenuation=attenuation_map(patient, views), active=wall)


def peer(views: Projections, mu_per_cm: Array | None) -> Array:
    """Return PyTomography's image; the map in its own arrangement."""
    step = 0.1 * PIXEL_MM
    objects, projections = SPECTObjectMeta([step] * 3, [SIZE] * 3), SPECTProjMeta((SIZE, SIZE), [step, step], ANGLES)
    counts = torch.tensor(np.ascontiguousarray(np.swapaxes(views.array[0], 1, 2)[:, :, ::-1]), dtype=torch.float32)
    transforms = []
    if mu_per_cm is not None:
        transforms.append(SPECTAttenuationTransform(torch.tensor(np.ascontiguousarray(mu_per_cm), dtype=torch.float32)))
    system = SPECTSystemMatrix(
        obj2obj_transforms=transforms, proj2proj_transforms=[], object_meta=objects, proj_meta=projections
    )
    return np.asarray(OSEM(PoissonLogLikelihood(system, counts))(n_iters=4, n_subsets=4).cpu()).squeeze()


def arranged(image: Array, how: Arrangement) -> Array:
    """Return PyTomography's image with our axes."""
    order, flips = how
    return image.transpose(order)[:: flips[0], :: flips[1], :: flips[2]]


def as_theirs(image: Array, how: Arrangement) -> Array:
    """Undo `arranged`."""
    order, flips = how
    return image[:: flips[0], :: flips[1], :: flips[2]].transpose(np.argsort(order))


def arrangement(ours: Array, theirs: Array) -> Arrangement:
    """Return how PyTomography's axes lie to ours: the arrangement of all 48 that agrees best."""
    every = product(permutations(range(3)), product((1, -1), repeat=3))
    return max(every, key=lambda how: float(np.corrcoef(ours.ravel(), arranged(theirs, how).ravel())[0, 1]))


def row(name: str, corrected: bool, ours: Array, theirs: Array, active: Array) -> dict[str, Any]:
    """Compare two images inside the activity, planes near the ends left out."""
    kept = active.copy()
    kept[:4] = kept[-4:] = False
    mine, other = ours[kept].astype(np.float64), theirs[kept].astype(np.float64)
    return {
        "phantom": name,
        "corrected": int(corrected),
        "voxels": int(kept.sum()),
        "mean_percent": 100.0 * (mine.mean() / other.mean() - 1.0),
        "rms_percent": 100.0 * float(np.sqrt(np.square(mine - other).mean())) / other.mean(),
        "uneven_percent": 100.0 * mine.std() / mine.mean(),
        "uneven_pytomography_percent": 100.0 * other.std() / other.mean(),
    }


def main() -> None:
    rows = []
    for name, phantom in (("cylinder", cylinder()), ("thorax, wall of the left ventricle", thorax())):
        plain = reconstruct(phantom.views, OPTIONS).volume
        found = peer(phantom.views, None)
        how = arrangement(plain.array[0], found)
        rows.append(row(name, False, plain.array[0], arranged(found, how), phantom.active))
        corrected = reconstruct(phantom.views, OPTIONS, attenuation=phantom.attenuation).volume.array[0]
        mu = reslice(phantom.attenuation, plain.lps_from_index, plain.grid_shape).array[0]
        found = arranged(peer(phantom.views, as_theirs(mu, how)), how)
        rows.append(row(name, True, corrected, found, phantom.active))
    table = pd.DataFrame(rows)
    table.to_csv(ROOT / "docs/results/attenuation_pytomography.csv", index=False, float_format="%.3g")
    print(f"PyTomography {version('pytomography')}")
    print(table.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
