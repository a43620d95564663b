"""Compare the ways to run the shipped network, as `analyze` uses it: time a volume, and what changes.

    python benchmarks/lv_engines.py [--data FOLDER | --cases FILE.npz] [--volumes 24] [--rounds 1] [--most N]
    python benchmarks/lv_engines.py --job parts | gates

Volumes: of FOLDER (doi:10.13026/ce2z-dw74; or real ones of a file written by
`myoperf.research.lv_network.cases.write_cases`), and of each
simulated kind a quarter as many. Ways: eager single precision (the reference), bfloat16 autocast, and both
through OpenVINO where it is installed. One process, one thread, ways alternating volume by volume, processor time.
Differences to the reference: overlap of wall and pool, angle of the long axes, volumes, the findings. Rows are kept
from call to call in docs/results/lv_engines.csv (delete it to start over); lv_engines_summary.csv is made of them.
parts: how one volume's time divides. gates: 8 of each of 3 volumes, together, in fours and one by one.
"""

from __future__ import annotations

import argparse
import cProfile
import dataclasses
import importlib.util
import os
import pstats
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch

import myoperf
from myoperf.lv.engine import AT_A_TIME, TorchNetwork, build_runner
from myoperf.lv.inference import ENGINES, Engine
from myoperf.lv.metrics import dice
from myoperf.lv.network import NetworkLV, load_network_lv
from myoperf.research.lv_network.cases import Case, read_cases, read_real
from myoperf.research.lv_network.simulated import draw_case

WEIGHTS = Path(myoperf.__file__).parent / "weights" / "lv-compact"
RESULTS = Path(__file__).parents[1] / "docs" / "results"
REFERENCE = "float32"
SEED = 803
GATES = 8

Draw = Callable[[], Case]


def same(case: Case) -> Case:
    """Return what was read already."""
    return case


def timed(job: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    done = job()
    return done, time.process_time() - start


def ways() -> dict[Engine, NetworkLV]:
    there = importlib.util.find_spec("openvino") is not None
    if not there:
        print("OpenVINO is not installed; its ways are left out.")
    names = [name for name in ENGINES if name != "auto" and (there or not name.startswith("openvino"))]
    return {name: load_network_lv(WEIGHTS, engine=name) for name in names}


def row_of(volume: str, kind: str, name: str, fit: Any, reference: Any, seconds: list[float]) -> dict[str, Any]:
    got, known = fit.labels.array[0], reference.labels.array[0]
    cosine = np.clip(fit.frame.axis @ reference.frame.axis, -1, 1)
    return {
        "volume": volume,
        "kind": kind,
        "way": name,
        "cpu_s": round(float(np.median(seconds)), 4),
        "wall_dice": round(dice(got == 1, known == 1), 5),
        "pool_dice": round(dice(got == 2, known == 2), 5),
        "axis_deg": round(float(np.rad2deg(np.arccos(cosine))), 4),
        "wall_volume_percent": round(100.0 * (float((got == 1).sum()) / float((known == 1).sum()) - 1.0), 3),
        "pool_volume_percent": round(100.0 * (float((got == 2).sum()) / float((known == 2).sum()) - 1.0), 3),
        "finding_changes": int(bool(fit.findings) != bool(reference.findings)),
    }


def compare(networks: dict[Engine, NetworkLV], cases: list[tuple[str, str, Draw]], rounds: int, most: int) -> None:
    """Judge volumes that have no rows yet, `most` of them; rows are written after each."""
    file = RESULTS / "lv_engines.csv"
    rows = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["volume"])
    waiting = [case for case in cases if case[0] not in set(rows["volume"])][:most]
    for k, (name, kind, draw) in enumerate(waiting):
        image = draw().image
        times: dict[str, list[float]] = {way: [] for way in networks}
        fits: dict[str, Any] = {}
        if not k:
            for network in networks.values():
                network.find_lv(image)
        for _ in range(rounds):
            for way, network in networks.items():
                fits[way], seconds = timed(partial(network.find_lv, image))
                times[way].append(seconds)
        found = [row_of(name, kind, way, fits[way], fits[REFERENCE], times[way]) for way in networks]
        rows = pd.concat([rows, pd.DataFrame(found)]) if len(rows) else pd.DataFrame(found)
        rows.to_csv(file, index=False)
        print(name, f"{len(waiting) - k - 1} left", flush=True)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Median times and ratios, and the largest differences, by kind and over all."""
    out = []
    for kind, part in [("all", rows), *rows.groupby("kind", sort=False)]:
        base = part[part["way"] == REFERENCE].set_index("volume")["cpu_s"]
        for name, own in part.groupby("way", sort=False):
            out.append(
                {
                    "volumes": kind,
                    "n": len(own),
                    "way": name,
                    "cpu_s_median": round(own["cpu_s"].median(), 3),
                    "cpu_s_most": round(own["cpu_s"].max(), 3),
                    "ratio": round(float((base / own.set_index("volume")["cpu_s"]).median()), 2),
                    "wall_dice_mean": round(own["wall_dice"].mean(), 4),
                    "wall_dice_least": round(own["wall_dice"].min(), 4),
                    "pool_dice_mean": round(own["pool_dice"].mean(), 4),
                    "pool_dice_least": round(own["pool_dice"].min(), 4),
                    "axis_deg_median": round(own["axis_deg"].median(), 3),
                    "axis_deg_most": round(own["axis_deg"].max(), 3),
                    "wall_volume_percent_most": round(own["wall_volume_percent"].abs().max(), 2),
                    "pool_volume_percent_most": round(own["pool_volume_percent"].abs().max(), 2),
                    "findings_changed": int(own["finding_changes"].sum()),
                }
            )
    return pd.DataFrame(out)


def gates(networks: dict[Engine, NetworkLV], cases: list[Case]) -> pd.DataFrame:
    """Label the same volume as several gates: all at once, as shipped (in fours), and one by one."""
    rows = []
    for name, network in networks.items():
        if not isinstance(network.net, TorchNetwork):
            continue  # takes crops one by one
        net = network.net.net
        runners = {size: build_runner(net, name, at_a_time=size) for size in (1, AT_A_TIME, GATES)}
        times: dict[int, list[float]] = {size: [] for size in runners}
        for case in cases:
            beat = np.linspace(0.9, 1.1, GATES)[:, None, None, None].astype(np.float32)
            gated = dataclasses.replace(case.image, array=case.image.array * beat)
            others = {
                size: dataclasses.replace(network, net=TorchNetwork(net, runner)) for size, runner in runners.items()
            }
            for turn in range(3):
                for size, other in others.items():
                    seconds = timed(partial(other.segment_gates, gated, case.frame))[1]
                    if turn:  # the first is for warming up
                        times[size].append(seconds)
        for size, spent in times.items():
            ratio = float(np.median(np.divide(times[1], spent)))
            rows.append(
                {
                    "way": name,
                    "gates": GATES,
                    "at_a_time": size,
                    "cpu_s": round(float(np.median(spent)), 3),
                    "ratio_to_one_by_one": round(ratio, 2),
                }
            )
    return pd.DataFrame(rows)


PARTS = {
    "localiser": "_locate",
    "U-Net, six crops": "_logits",
    "turning the volume and back": ("sample_at", "pull", "normalise", "turned", "probabilities_on"),
    "pose from the mask, seven times": "frame_from_mask",
    "largest piece": "label",
}


def parts(networks: dict[Engine, NetworkLV], drawn: dict[str, Draw]) -> pd.DataFrame:
    """Profile one volume of each kind by processor time; parts overlap nowhere but in the localiser's sampling."""
    rows = []
    for kind, draw in drawn.items():
        case = draw()
        for name, network in networks.items():
            network.find_lv(case.image)
            profile = cProfile.Profile(time.process_time)
            profile.runcall(network.find_lv, case.image)
            spent = {key[2]: value[3] for key, value in pstats.Stats(profile).stats.items()}  # type: ignore[attr-defined]
            row: dict[str, Any] = {"volume": kind, "way": name, "total_ms": round(1000 * spent["find_lv"])}
            for title, functions in PARTS.items():
                names = (functions,) if isinstance(functions, str) else functions
                row[f"{title}_ms"] = round(1000 * sum(spent.get(f, 0.0) for f in names))
            rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the open volumes")
    parser.add_argument("--cases", type=Path, help="real volumes as cases, in place of FOLDER")
    parser.add_argument("--volumes", type=int, default=24, help="real ones; a quarter as many of each simulated kind")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--job", choices=("volumes", "parts", "gates"), default="volumes")
    parser.add_argument("--most", type=int, default=1000, help="volumes to add in this call; those done are kept")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cases: list[tuple[str, str, Draw]] = []
    if args.data is not None or args.cases is not None:
        real = read_real(args.data) if args.cases is None else [c for c in read_cases(args.cases) if not c.simulated]
        step = max(len(real) // args.volumes, 1)
        cases += [(case.name, "real", partial(same, case)) for case in real[::step][: args.volumes]]
    for kind in ("spect", "czt", "pet"):
        for i in range(max(args.volumes // 4, 1)):
            cases.append((f"{kind}-{SEED}-{i}", f"simulated {kind}", partial(draw_case, SEED, i, kind)))
    networks = ways()
    if args.job == "volumes":
        compare(networks, cases, args.rounds, args.most)
    elif args.job == "parts":
        table = parts(networks, {kind: draw for _, kind, draw in cases})
        table.to_csv(RESULTS / "lv_engines_parts.csv", index=False)
        print(table.to_string(index=False))
    else:
        table = gates(networks, [draw_case(SEED, 0, kind) for kind in ("spect", "czt", "pet")])
        table.to_csv(RESULTS / "lv_engines_gates.csv", index=False)
        print(table.to_string(index=False))
    if (RESULTS / "lv_engines.csv").exists():
        table = summary(pd.read_csv(RESULTS / "lv_engines.csv"))
        table.to_csv(RESULTS / "lv_engines_summary.csv", index=False)


if __name__ == "__main__":
    main()
