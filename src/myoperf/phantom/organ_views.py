"""Project the organs one by one: another liver, another lung, without projecting again.

Views are linear in activity, so the noiseless views of any uptake are a sum of unit views; noise comes last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.phantom.acquire import Protocol, fine_grid, place_camera
from myoperf.phantom.anatomy import static_organs
from myoperf.phantom.physics import project
from myoperf.phantom.records import ORGANS, PatientModel
from myoperf.phantom.voxelise import attenuation, voxelise
from myoperf.types import Projections, State

__all__ = ["OrganViews", "project_organs"]


@dataclass(frozen=True, eq=False)
class OrganViews:
    """Noiseless ungated views of every organ at unit uptake.

    Attributes
    ----------
    geometry
        Projections that hold the sum at the patient's own uptake.
    unit
        Organ (`records.ORGANS`) -> float32 (views, rows, columns), scatter included.
    uptake
        Organ -> the patient's own concentration relative to normal myocardium.
    """

    geometry: Projections
    unit: Mapping[str, NDArray[np.float32]]
    uptake: Mapping[str, float]

    def mixed(self, **uptake: float) -> Projections:
        """Give the noiseless views with some organs' uptake changed.

        Raises
        ------
        InputError
            For an unknown organ or a negative uptake.
        """
        if set(uptake) - set(self.unit) or min(uptake.values(), default=0.0) < 0:
            raise InputError(f"Uptake is 0 or more for {', '.join(self.unit)}; got {uptake}.")
        level = {**self.uptake, **uptake}
        total = sum((np.float32(level[organ]) * view for organ, view in self.unit.items()), np.float32(0.0))
        return replace(self.geometry, array=np.asarray(total)[None])


def project_organs(
    patient: PatientModel, state: State, protocol: Protocol, rng: np.random.Generator, *, threads: int = 1
) -> OrganViews:
    """Project every organ by itself through the attenuation of all, averaged over the beat.

    The same generator state places the same camera as `acquire.expected_views`.

    Raises
    ------
    InputError
        For a gated protocol.
    """
    if protocol.gates != 1:
        raise InputError(f"Organs are projected one by one for ungated protocols; got {protocol.gates} gates.")
    grid = fine_grid(patient, protocol)
    static = static_organs(patient, grid)
    mu = attenuation(patient, grid, organs=voxelise(patient, grid, state=state, gates=4, supersample=2, static=static))
    organs = voxelise(patient, grid, state=state, gates=8, supersample=2, static=static)
    present = [organ for organ in ORGANS if organs.uptake[organ] > 0]
    camera, _ = place_camera(patient, grid, mu, protocol, rng)
    sources = [organs.activity(organ) / np.float32(organs.uptake[organ]) for organ in present]
    views = project(sources, mu, grid, camera, threads=threads).total * np.float32(grid.voxel_ml)
    axis = (0.0, 0.0, float(camera.axis_lps_mm[2]))
    unit = MappingProxyType(dict(zip(present, views, strict=True)))
    uptake = MappingProxyType({organ: float(organs.uptake[organ]) for organ in present})
    total = sum((np.float32(uptake[organ]) * unit[organ] for organ in present), np.float32(0.0))
    pixel = (camera.pixel_mm, camera.pixel_mm)
    geometry = Projections(np.asarray(total)[None], camera.angles_deg, pixel, camera.radius_mm, axis)
    return OrganViews(geometry, unit, uptake)
