"""Normal limits of a camera and tracer from simulated normal patients of the fast image-space model.

Normal men and women are imaged in turn at stress and rest; the ventricle is found and unrolled as ``myoperf analyze``
does. Scans with a warning about the ventricle are left out, and the maps are pooled as by ``myoperf normals build``::

    python -m myoperf.research.normal_limits.recipe czt -o LIMITS
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from myoperf.errors import MyoPerfError
from myoperf.lv import LVFit
from myoperf.perfusion import NormalLimits, write_limits
from myoperf.phantom.fast import Kind, czt_field, image_model, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.prone import lay_prone
from myoperf.phantom.records import SIMULATOR_VERSION, Grid, PatientModel, PopulationOptions, Tracer
from myoperf.pipeline import load_models
from myoperf.pipeline.anterior import turn_to_septum
from myoperf.pipeline.jobs import JobsOutcome, run_jobs
from myoperf.pipeline.normals import NormalMap, Pooled, pool_normals
from myoperf.pipeline.valve import end_at_wall
from myoperf.polar import sample_polar_map
from myoperf.types import Float, PolarMap, Position, State, Volume

STATES: tuple[State, State] = ("stress", "rest")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Images that a set of limits is made from, and what the limits hold for.

    Parameters
    ----------
    kind
        Camera of the image-space model.
    tracer, camera
        What the limits hold for; `camera` None: any.
    seed
        Of the patients.
    spacing_mm, shape
        Voxel and grid (planes, rows, columns) of the images.
    patients
        Half of them men; a few maps are left out as doubtful.
    position
        How they lie.
    """

    kind: Kind
    tracer: Tracer
    camera: str | None
    seed: int
    spacing_mm: float
    shape: tuple[int, int, int]
    patients: int = 88
    position: Position = "supine"


_CZT = Recipe(kind="czt", tracer="Tc-99m", camera="CZT", seed=20262, spacing_mm=4.0, shape=(96, 110, 110))
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "czt": _CZT,
        "czt-prone": replace(_CZT, seed=20268, position="prone"),
        "rb82": Recipe(kind="pet", tracer="Rb-82", camera=None, seed=20264, spacing_mm=4.0, shape=(64, 96, 96)),
        "n13": Recipe(kind="pet", tracer="N-13", camera=None, seed=20266, spacing_mm=4.0, shape=(64, 96, 96)),
    }
)


@dataclass(frozen=True, eq=False)
class Normal:
    """A patient's maps, as a rule a normal one's; a state whose ventricle is in doubt has none.

    Parameters
    ----------
    sex
        "M" or "F".
    maps
        State -> (rings, angles), maximum over the wall.
    """

    sex: str
    maps: Mapping[State, Float]


def map_without_geometry(values: Float) -> PolarMap:
    """Return the values (rings, angles) of a simulated map as a `PolarMap` whose places are all 0.

    Perfusion scores and limits read the values alone; nothing that needs the geometry may be given such a map.
    """
    return PolarMap(values, np.zeros((*values.shape, 3)), np.ones(values.shape))


def image_normal(
    recipe: Recipe,
    index: int,
    *,
    find_lv: Callable[[Volume], LVFit],
    seed: int | None = None,
    states: Sequence[State] = STATES,
) -> Normal:
    """Image a normal patient at stress and rest and unroll the ventricle that is found.

    Depends on the seed and `index` alone. Even numbers are men, odd ones women.

    Parameters
    ----------
    seed
        Default: the recipe's. Another seed gives other patients, to test the limits on.
    states
        Which to image.
    """
    rng = np.random.default_rng([recipe.seed if seed is None else seed, index])
    patient = draw_patient(rng, PopulationOptions(normal=True, male=float(index % 2 == 0), tracer=recipe.tracer))
    return image_patient(recipe, patient, rng, find_lv=find_lv, states=states)


def image_patient(
    recipe: Recipe,
    patient: PatientModel,
    rng: np.random.Generator,
    *,
    find_lv: Callable[[Volume], LVFit],
    states: Sequence[State] = STATES,
) -> Normal:
    """Image any patient as `image_normal` does a normal one."""
    if recipe.position == "prone":
        patient = lay_prone(patient, rng)
    model = image_model(recipe.kind, rng, tracer=recipe.tracer)
    grid = Grid.centred(recipe.shape, recipe.spacing_mm, patient.scan_centre_mm)
    found: dict[State, tuple[Volume, LVFit]] = {}
    for state in states:
        noisy = replace(model, noise=model.noise * float(np.exp(rng.normal(0.0, 0.1))))
        image, _, frame = simulate_fast(patient, rng, state=state, model=noisy, grid=grid, quick_labels=True)
        if recipe.kind == "czt":
            image = czt_field(image, frame.centre_mm, rng)
        with suppress(MyoPerfError):
            found[state] = (image, find_lv(image))
    maps: dict[State, Float] = {}
    images = [image for image, _ in found.values()]
    fits = end_at_wall(*zip(images, turn_to_septum(*found.values()), strict=True))
    for state, image, fit in zip(found, images, fits, strict=True):
        if any(f.severity != "info" and f.code.startswith("lv-") for f in fit.findings):
            continue
        with suppress(MyoPerfError):
            polar = sample_polar_map(image, fit.labels, fit.frame, rim_mm=fit.rim_mm).maximum
            maps[state] = polar.values.astype(np.float32)
    return Normal(patient.clinical.sex, maps)


def draw_normals(
    recipe: Recipe,
    folder: Path,
    *,
    name: str,
    count: int | None = None,
    seed: int | None = None,
    until: float | None = None,
    quiet: bool = False,
) -> JobsOutcome:
    """Image normal patients into a folder, one ``NAME-0000.npz`` each; those already there are kept.

    Parameters
    ----------
    count
        Default: the recipe's.
    seed
        As in `image_normal`.
    until
        See `myoperf.pipeline.jobs.run_jobs`.
    """
    find_lv = load_models(diagnosis=False).find_lv
    jobs = {folder / f"{name}-{index:04d}.npz": index for index in range(count or recipe.patients)}

    def image(index: int, path: Path) -> None:
        write_normal(path, image_normal(recipe, index, find_lv=find_lv, seed=seed))

    return run_jobs(jobs, image, title=f"normals ({name})", quiet=quiet, until=until)


def write_normal(path: Path, normal: Normal) -> None:
    """Write a patient's maps for `read_normals`."""
    arrays: dict[str, Any] = {"sex": normal.sex}
    arrays.update({str(state): values for state, values in normal.maps.items()})
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_normals(folder: Path, name: str) -> tuple[Normal, ...]:
    """Return the patients that `write_normal` wrote under ``NAME-0000.npz`` and on, in the order of their numbers.

    One whose ventricle was found with doubt has no maps.
    """
    normals = []
    for path in sorted(folder.glob(f"{name}-????.npz")):
        with np.load(path, allow_pickle=False) as stored:
            maps = {state: stored[state].astype(np.float64) for state in STATES if state in stored}
            normals.append(Normal(str(stored["sex"]), maps))
    return tuple(normals)


def build_limits_of(name: str, normals: tuple[Normal, ...], *, version: str) -> tuple[NormalLimits, ...]:
    """Pool the maps of simulated normal patients to normal limits by state and sex.

    Parameters
    ----------
    name
        Recipe by which the patients were imaged, a key of `RECIPES`.
    normals
        Patients whose ventricle was found with doubt have no maps; they are counted and left out.
    version
        Of the limits.
    """
    recipe = RECIPES[name]
    maps = [
        NormalMap(map_without_geometry(values), state, normal.sex, position=recipe.position, patient=str(index))
        for index, normal in enumerate(normals)
        for state, values in normal.maps.items()
    ]
    doubtful = sum(not normal.maps for normal in normals)
    return pool_normals(
        Pooled(tuple(maps), studies=len(normals), failed=0, doubtful=doubtful),
        name=f"simulated-{name.removesuffix('-prone')}",
        version=version,
        tracer=recipe.tracer,
        camera=recipe.camera,
        provenance=(
            f"simulated {name.split('-')[0].upper()} images, {recipe.position}, fast image-space model "
            "(myoperf.research.normal_limits, "
            f"seed {recipe.seed}, simulator version {SIMULATOR_VERSION}), ventricle by the network lv-compact; "
            f"{len(normals)} studies, {doubtful} left out as doubtful"
        ),
        licence="Apache-2.0",
    )


def main() -> None:
    """Draw the normals of a recipe, continuing where an earlier run stopped, and write the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder that gets the limits, and maps/")
    parser.add_argument("--version", default=f"3 (simulator {SIMULATOR_VERSION})", help="of the limits")
    given = parser.parse_args()
    maps = given.out / "maps"
    draw_normals(RECIPES[given.recipe], maps, name=given.recipe)
    for limits in build_limits_of(given.recipe, read_normals(maps, given.recipe), version=given.version):
        write_limits(given.out / f"{limits.name}.npz", limits)
        print(f"{limits.name}: n = {limits.n}")


if __name__ == "__main__":
    main()
