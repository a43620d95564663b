"""Normal limits of protocols from simulated normals of the fast image-space model.

    python benchmarks/limits_simulated.py draw czt --count 100
    python benchmarks/limits_simulated.py build czt

``draw`` images normal men and women at stress and rest, finds the ventricle, unrolls it and keeps the maps in
``runs/limits``; it goes on where it stopped and ends by itself after ``--minutes``. ``build`` pools them as
``myoperf normals build`` does (scans with a warning on the ventricle left out) into ``src/myoperf/quant/limits``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from myoperf.errors import MyoPerfError
from myoperf.phantom.fast import Kind, czt_field, image_model, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions, Tracer
from myoperf.pipeline import load_models
from myoperf.pipeline.normals import NormalMap, Pooled, pool_normals
from myoperf.polar import sample_polar_map
from myoperf.quant import write_limits
from myoperf.types import PolarMap, State

ROOT = Path(__file__).parents[1]
FIND_LV = load_models().find_lv
MAPS, LIMITS = ROOT / "runs" / "limits", ROOT / "src/myoperf/quant/limits"
STATES: tuple[State, State] = ("stress", "rest")


@dataclass(frozen=True)
class Made:
    """One protocol's images and what its limits are for."""

    kind: Kind
    tracer: Tracer
    camera: str | None
    seed: int
    spacing_mm: float
    shape: tuple[int, int, int]


PROTOCOLS = {
    "czt": Made("czt", "Tc-99m", "CZT", 20262, 4.0, (96, 110, 110)),
    "n13": Made("pet", "N-13", None, 20263, 4.0, (64, 96, 96)),
    "rb82": Made("pet", "Rb-82", None, 20264, 4.0, (64, 96, 96)),
}


def draw(name: str, first: int, count: int, minutes: float) -> None:
    """Write the maps of normals first ... first + count - 1, those already there apart."""
    MAPS.mkdir(parents=True, exist_ok=True)
    made, start = PROTOCOLS[name], time.monotonic()
    for index in range(first, first + count):
        path = MAPS / f"{name}-{index:04d}.npz"
        if path.exists():
            continue
        if time.monotonic() - start > 60.0 * minutes:
            print(f"stopped before {index}; call again to go on", flush=True)
            return
        maps = maps_of(made, index)
        partial = path.with_suffix(".part.npz")
        np.savez_compressed(partial, **maps)
        partial.rename(path)
    print(f"{name}: {first} to {first + count - 1} are there", flush=True)


def maps_of(made: Made, index: int) -> dict[str, Any]:
    """Image a normal patient at stress and rest and unroll what is found; a doubtful ventricle leaves its map out."""
    rng = np.random.default_rng([made.seed, index])
    patient = draw_patient(rng, PopulationOptions(normal=True, male=0.5, tracer=made.tracer))
    model = image_model(made.kind, rng, tracer=made.tracer)
    out: dict[str, Any] = {"sex": patient.clinical.sex}
    for state in STATES:
        seen = replace(model, noise=model.noise * float(np.exp(rng.normal(0.0, 0.1))))
        image, _, frame = simulate_fast(
            patient, rng, kind=made.kind, state=state, model=seen, spacing_mm=made.spacing_mm, shape=made.shape
        )
        if made.kind == "czt":
            image = czt_field(image, frame.centre_mm, rng)
        try:
            fit = FIND_LV(image)
            polar = sample_polar_map(image, fit.labels, fit.frame).maximum
        except MyoPerfError:
            continue
        if not any(f.severity != "info" and f.code.startswith("lv-") for f in fit.findings):
            out[state] = polar.values.astype(np.float32)
    return out


def build(name: str, version: str) -> None:
    """Pool the maps and write the limits."""
    made, paths = PROTOCOLS[name], sorted(MAPS.glob(f"{name}-????.npz"))
    maps, bare = [], 0
    for path in paths:
        with np.load(path, allow_pickle=False) as stored:
            held = dict(stored)
        there = [state for state in STATES if state in held]
        bare += not there
        for state in there:
            values = held[state].astype(np.float64)
            polar = PolarMap(values, np.zeros((*values.shape, 3)), np.ones(values.shape))
            maps.append(NormalMap(polar, state, str(held["sex"])))
    said = (
        f"simulated {name.upper()} images, fast image-space model (benchmarks/limits_simulated.py, seed {made.seed}), "
        f"classical left ventricle; {len(paths)} studies, {bare} left out as doubtful"
    )
    pooled = Pooled(tuple(maps), studies=len(paths), failed=0, doubtful=bare)
    limits = pool_normals(
        pooled,
        name=f"simulated-{name}",
        version=version,
        tracer=made.tracer,
        camera=made.camera,
        provenance=said,
        licence="Apache-2.0",
    )
    for one in limits:
        write_limits(LIMITS / f"{one.name}.npz", one)
        print(f"{one.name}: n = {one.n}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("draw", "build"))
    parser.add_argument("protocol", choices=PROTOCOLS)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=11.0)
    parser.add_argument("--version", default="1")
    given = parser.parse_args()
    if given.step == "draw":
        draw(given.protocol, given.first, given.count, given.minutes)
    else:
        build(given.protocol, given.version)


if __name__ == "__main__":
    main()
