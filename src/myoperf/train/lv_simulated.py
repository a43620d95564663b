"""Simulated volumes with the left ventricle's truth: what the networks learn from beside real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from myoperf.phantom.fast import Kind, czt_field, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions
from myoperf.train.cases import Case

__all__ = ["KINDS", "Camera", "draw_case"]


@dataclass(frozen=True)
class Camera:
    """The grids a kind of camera writes.

    Parameters
    ----------
    shape
        Planes, rows, columns.
    smallest_mm, largest_mm
        Side of the cubic voxels, drawn evenly.
    """

    shape: tuple[int, int, int]
    smallest_mm: float
    largest_mm: float


KINDS: Mapping[Kind, Camera] = MappingProxyType(
    {
        "spect": Camera((56, 64, 64), 5.8, 7.0),
        "czt": Camera((60, 88, 88), 4.0, 4.0),
        "pet": Camera((52, 80, 80), 3.6, 4.6),
    }
)


def draw_case(seed: int, index: int, kind: Kind, *, population: PopulationOptions | None = None) -> Case:
    """Simulate one image in image space (`myoperf.phantom.fast`) with labels and pose.

    Depends on (seed, kind, index) alone; stress where the index is even, rest where it is odd.
    Images of the CZT kind are cut to that camera's small field.
    """
    camera = KINDS[kind]
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind), index])
    patient = draw_patient(rng, population)
    image, labels, frame = simulate_fast(
        patient,
        rng,
        kind=kind,
        state="rest" if index % 2 else "stress",
        spacing_mm=float(rng.uniform(camera.smallest_mm, camera.largest_mm)),
        shape=camera.shape,
    )
    if kind == "czt":
        place = int(rng.integers(2**31))
        image = czt_field(image, frame.centre_mm, np.random.default_rng(place))
        labels = czt_field(labels, frame.centre_mm, np.random.default_rng(place))
        labels = labels.with_array(labels.array[0].astype(np.uint8))
    name = f"{kind}-{seed}-{index}"
    return Case(f"S{name}", name, image, labels, frame, simulated=True)
