"""Normal limits of protocols from simulated normals of the fast image-space model.

    python benchmarks/limits_simulated.py draw czt --count 88
    python benchmarks/limits_simulated.py build czt
    python benchmarks/limits_simulated.py draw czt --set check --count 60
    python benchmarks/limits_simulated.py table

``draw`` images normal men and women in turn at stress and rest, finds the ventricle as ``myoperf analyze`` does,
unrolls it and keeps the maps in ``runs/limits``; it goes on where it stopped and ends by itself after ``--minutes``.
``build`` pools them as ``myoperf normals build`` does (scans with a warning on the ventricle left out) into
``src/myoperf/quant/limits``. ``--set check`` draws other normals (another seed); ``table`` scores these against the
new limits and against those of SPECT, which they would get without, and writes ``docs/results/normal_limits.csv``
and the table in ``docs/perfusion.md``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf.errors import MyoPerfError
from myoperf.perfusion import (
    NormalLimits,
    choose_limits,
    measure_perfusion,
    shipped_limits,
    write_limits,
)
from myoperf.phantom.fast import Kind, czt_field, image_model, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions, Tracer
from myoperf.pipeline import load_models
from myoperf.pipeline.normals import NormalMap, Pooled, pool_normals
from myoperf.polar import sample_polar_map
from myoperf.stats import wilson_interval
from myoperf.types import PolarMap, State

ROOT = Path(__file__).parents[1]
TABLE, PAGE = ROOT / "docs/results/normal_limits.csv", ROOT / "docs/perfusion.md"
MARKS = ("<!-- normal_limits -->", "<!-- end of normal_limits -->")
TPD_PERCENT = 5.0
FIND_LV = load_models().find_lv
MAPS, LIMITS = ROOT / "runs" / "limits", ROOT / "src/myoperf/quant/limits"
STATES: tuple[State, State] = ("stress", "rest")
SETS = {"limits": 0, "check": 7000}
"""Added to a protocol's seed."""


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


def draw(name: str, which: str, count: int, minutes: float) -> None:
    """Write the maps of the first `count` normals of a set, those already there apart."""
    MAPS.mkdir(parents=True, exist_ok=True)
    made, start = PROTOCOLS[name], time.monotonic()
    for index in range(count):
        path = MAPS / f"{name}-{which}-{index:04d}.npz"
        if path.exists():
            continue
        if time.monotonic() - start > 60.0 * minutes:
            print(f"stopped before {index}; call again to go on", flush=True)
            return
        maps = maps_of(made, index, made.seed + SETS[which])
        partial = path.with_suffix(".part.npz")
        np.savez_compressed(partial, **maps)
        partial.rename(path)
    print(f"{name}: {count} of {which} are there", flush=True)


def maps_of(made: Made, index: int, seed: int) -> dict[str, Any]:
    """Image a normal patient at stress and rest and unroll what is found; a doubtful ventricle leaves its map out.

    Even numbers are men, odd ones women.
    """
    rng = np.random.default_rng([seed, index])
    patient = draw_patient(rng, PopulationOptions(normal=True, male=float(index % 2 == 0), tracer=made.tracer))
    model = image_model(made.kind, rng, tracer=made.tracer)
    out: dict[str, Any] = {"sex": patient.clinical.sex}
    for state in STATES:
        seen = replace(model, noise=model.noise * float(np.exp(rng.normal(0.0, 0.1))))
        image, _, frame = simulate_fast(
            patient,
            rng,
            kind=made.kind,
            state=state,
            model=seen,
            spacing_mm=made.spacing_mm,
            shape=made.shape,
            quick_labels=True,
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
    made, paths = PROTOCOLS[name], sorted(MAPS.glob(f"{name}-limits-????.npz"))
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
        f"ventricle by the network lv-compact; {len(paths)} studies, {bare} left out as doubtful"
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


def rows_of(name: str, new: tuple[NormalLimits, ...], spect: tuple[NormalLimits, ...]) -> list[dict[str, Any]]:
    """Score a protocol's check set against the new limits and against those of SPECT, one row a patient."""
    made, rows = PROTOCOLS[name], []
    for path in sorted(MAPS.glob(f"{name}-check-????.npz")):
        with np.load(path, allow_pickle=False) as stored:
            held = dict(stored)
        row: dict[str, Any] = {"protocol": name, "patient": path.stem, "sex": str(held["sex"])}
        for state in STATES:
            if state not in held:
                continue
            values = held[state].astype(np.float64)
            polar = PolarMap(values, np.zeros((*values.shape, 3)), np.ones(values.shape))
            for which, limits in (("new", new), ("spect", spect)):
                asked: dict[str, Any] = {"sex": row["sex"], "tracer": made.tracer, "camera": made.camera}
                chosen, _ = choose_limits(limits, state=state, **asked)
                measured = measure_perfusion(polar, chosen)
                row[f"tpd_{state}_{which}"] = round(float(measured.tpd_percent or 0.0), 3)
        rows.append(row)
    return rows


def share(found: pd.Series) -> str:
    """Give how many have an abnormal TPD, with the Wilson interval."""
    known = found.dropna()
    count = int((known >= TPD_PERCENT).sum())
    ends = wilson_interval(count, len(known))
    return (
        f"{100 * count / len(known):.1f} % ({100 * ends.lo:.1f} to {100 * ends.hi:.1f}), {count} of {len(known)}; "
        f"mean {known.mean():.1f} %"
    )


def table() -> None:
    """Write the rows of the check sets and the page's table."""
    shipped = shipped_limits()
    spect = tuple(one for one in shipped if one.name.startswith("simulated-tc99m"))
    rows: list[dict[str, Any]] = []
    lines = [
        "| protocol | state | limits from | new normals with TPD >= 5 %, own limits | the same with SPECT's limits |",
        "|---|---|---|---|---|",
    ]
    for name, made in PROTOCOLS.items():
        new = tuple(one for one in shipped if one.name.startswith(f"simulated-{name}-"))
        own = rows_of(name, new, spect) if new else []
        if not own:
            continue
        rows += own
        both = pd.DataFrame(own)
        for state in STATES:
            n = {one.sex: one.n for one in new if one.state == state}
            lines.append(
                f"| {made.tracer}{', CZT' if made.camera else ''} | {state} | {n['M']} men, {n['F']} women | "
                f"{share(both[f'tpd_{state}_new'])} | {share(both[f'tpd_{state}_spect'])} |"
            )
    pd.DataFrame(rows).to_csv(TABLE, index=False)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    body = "\n".join(lines)
    PAGE.write_text(f"{before}{MARKS[0]}\n{body}\n{MARKS[1]}{rest.split(MARKS[1])[1]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("draw", "build", "table"))
    parser.add_argument("protocol", choices=PROTOCOLS, nargs="?", default="czt")
    parser.add_argument("--set", choices=SETS, default="limits")
    parser.add_argument("--count", type=int, default=88)
    parser.add_argument("--minutes", type=float, default=11.0)
    parser.add_argument("--version", default="1")
    given = parser.parse_args()
    if given.step == "draw":
        draw(given.protocol, given.set, given.count, given.minutes)
    elif given.step == "build":
        build(given.protocol, given.version)
    else:
        table()


if __name__ == "__main__":
    main()
