"""``myoperf train lv``: simulate, train, cross-validate on real volumes, judge, write weights and card.

1. A network is trained on simulated volumes alone.
2. With real volumes at hand, it is trained on for every fold of their patients (real and simulated
   volumes together), and each fold's network is judged on the patients it has not seen.
3. What ships is trained on in the same way with all of them; so its figures on real volumes are those of
   the folds' networks, and its figures on simulated ones are its own, on patients of another seed.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from rich.progress import track
from safetensors.torch import load_file, save_file

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.lv import find_lv
from myoperf.lv.compact_network import LVCompact
from myoperf.lv.network import NetworkLV
from myoperf.phantom.fast import Kind
from myoperf.research.lv_network.cases import Case, folds, read_cases, read_real, write_cases
from myoperf.research.lv_network.disturbance import DISTURBANCES, disturb_case
from myoperf.research.lv_network.evaluation import Row, failure_detection, judge, judge_finder, summarise
from myoperf.research.lv_network.simulated import KINDS, draw_case
from myoperf.research.lv_network.training import RecipeLV, train_lv

__all__ = ["SCALES", "Scale", "run"]

REAL_SOURCE = "doi:10.13026/ce2z-dw74 (Calixto et al., PhysioNet 1.0.0, CC BY 4.0)"


@dataclass(frozen=True)
class Scale:
    """How large a training is.

    Parameters
    ----------
    training, testing
        Simulated volumes by kind of camera, one a patient; the two sets share no seed.
    first, onward, final
        Steps on simulation alone, on each fold, and on everything.
    folds
        Of the real volumes' patients.
    """

    training: Mapping[Kind, int]
    testing: Mapping[Kind, int]
    first: RecipeLV
    onward: RecipeLV
    final: RecipeLV
    folds: int = 3


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "smoke": Scale(
            {"spect": 1, "czt": 1},
            {"spect": 1},
            RecipeLV(steps=2, batch=1),
            RecipeLV(steps=1, batch=1),
            RecipeLV(steps=1, batch=1),
            folds=2,
        ),
        "small": Scale(
            {"czt": 200, "spect": 240, "pet": 100},
            {"spect": 100, "czt": 60, "pet": 60},
            RecipeLV(steps=4500),
            RecipeLV(steps=1800, rate=1e-3),
            RecipeLV(steps=2400, rate=1e-3),
        ),
        "full": Scale(
            {"spect": 2000, "czt": 1500, "pet": 1500},
            {"spect": 200, "czt": 100, "pet": 100},
            RecipeLV(steps=40000, batch=4),
            RecipeLV(steps=10000, batch=4, rate=1e-3),
            RecipeLV(steps=10000, batch=4, rate=1e-3),
            folds=5,
        ),
    }
)
TRAINING_SEED, TESTING_SEED, REAL_SHARE = 501, 901, 0.7


def run(scale: str, out: Path, seed: int, *, data: Path | None, resume: bool, quiet: bool) -> None:
    """Train and judge; goes on where an earlier run in `out` stopped when `resume`.

    Parameters
    ----------
    scale
        A key of `SCALES`.
    out
        Gets ``model.safetensors``, ``card.json``, ``judged.csv`` and a folder a training.
    seed
        Added to every seed.
    data
        Folder of the open real volumes with masks (see `myoperf.research.lv_network.cases.read_real`); None for
        simulation alone.

    Raises
    ------
    InputError
        When `data` is no such folder.
    """
    size = SCALES[scale]
    real = () if data is None else read_real(data)
    if data is not None and len({c.patient for c in real}) < size.folds:
        raise InputError(f"--data needs volumes with masks of at least {size.folds} patients.")
    out.mkdir(parents=True, exist_ok=True)
    training = _simulated(out / "training.npz", size.training, TRAINING_SEED + seed, quiet)
    testing = _simulated(out / "testing.npz", size.testing, TESTING_SEED + seed, quiet)

    def trained(name: str, recipe: RecipeLV, cases: Sequence[Case], start: Mapping[str, Any] | None) -> NetworkLV:
        home = out / name
        file = home / "model.safetensors"
        if resume and file.exists():
            net = LVCompact()
            net.load_state_dict(load_file(file))
        else:
            recipe = replace(recipe, seed=recipe.seed + seed)
            net = train_lv(cases, recipe, folder=home, start=start, real_share=REAL_SHARE, resume=resume, quiet=quiet)
            save_file({k: v.contiguous() for k, v in net.state_dict().items()}, file)
        return NetworkLV(net.eval(), {})

    judged: list[tuple[str, Row]] = []

    def note(name: str, part: str, rows: Callable[[], list[Row]]) -> None:
        file = out / "judged" / f"{name}, {part}.json"
        if not (resume and file.exists()):
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(rows()), encoding="utf-8")
        judged.extend((name, row) for row in json.loads(file.read_text(encoding="utf-8")))

    first = trained("simulated", size.first, training, None)
    start = first.net.state_dict()
    if real:
        note("simulated only, real volumes", "all", lambda: judge(first, real))
    note("simulated only, simulated volumes", "all", lambda: judge(first, testing))
    last = first
    if real:
        for k, held in enumerate(folds(real, size.folds, 0)):
            seen = [c for c in real if c.patient not in held]
            model = trained(f"fold{k}", replace(size.onward, seed=k + 1), [*seen, *training], start)
            unseen = [c for c in real if c.patient in held]
            name = "real and simulated, real volumes not seen"
            note(name, f"fold {k}", partial(judge, model, unseen))
        last = trained("all", replace(size.final, seed=9), [*real, *training], start)
        note("shipped, simulated volumes", "all", lambda: judge(last, testing))
        note("classical method, real volumes", "all", lambda: judge_finder(find_lv, real))
    note("classical method, simulated volumes", "all", lambda: judge_finder(find_lv, testing))
    spoilt = _spoilt(testing, TESTING_SEED + seed)
    note("shipped, spoilt simulated volumes", "all", lambda: judge(last, spoilt))
    write_model(out, last.net, judged, _about(scale, size, seed, data is not None))


def _simulated(file: Path, counts: Mapping[Kind, int], seed: int, quiet: bool) -> list[Case]:
    if not file.exists():
        wanted = [(kind, index) for kind, count in counts.items() for index in range(count)]
        cases = [
            draw_case(seed, index, kind)
            for kind, index in track(wanted, description="simulating", disable=quiet, transient=True)
        ]
        write_cases(file, cases)
    return list(read_cases(file))


def _spoilt(cases: Sequence[Case], seed: int) -> list[Case]:
    """Spoil every third case, each in the next of the ways."""
    chosen = cases[::3]
    rng = np.random.default_rng(seed)
    return [disturb_case(case, rng, DISTURBANCES[k % len(DISTURBANCES)]) for k, case in enumerate(chosen)]


def _about(scale: str, size: Scale, seed: int, with_real: bool) -> dict[str, Any]:
    counts = ", ".join(f"{n} {kind}" for kind, n in size.training.items())
    source = f"simulated volumes ({counts})" + (f" and open real volumes, {REAL_SOURCE}" if with_real else "")
    data = " --data FOLDER" if with_real else ""
    return {
        "name": "lv-compact",
        "version": "1",
        "task": "pose, wall and blood pool of the left ventricle in a transaxial perfusion volume",
        "training_data": source,
        "command": f"myoperf train lv --scale {scale} --seed {seed}{data}",
        "recipe": {name: asdict(getattr(size, name)) for name in ("first", "onward", "final")},
        "folds": size.folds if with_real else 0,
        "truth_of_real_volumes": "wall drawn by readers; blood pool and pose derived from the wall's geometry",
        "myoperf": __version__,
        "licence": "Apache-2.0",
        "limits": "Research use only. PET and ordinary SPECT were seen in simulation only.",
    }


def write_model(out: Path, net: LVCompact, judged: Sequence[tuple[str, Row]], about: Mapping[str, Any]) -> None:
    """Write weights, card and one row a judged volume; the card's figures are worked out from the rows."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "model.safetensors"
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, file)
    names = list(dict.fromkeys(name for name, _ in judged))
    metrics: dict[str, Any] = {}
    for name in names:
        rows = [row for other, row in judged if other == name]
        kinds = {"": rows} | {
            f", {kind}": part for kind in KINDS if (part := [r for r in rows if str(r["case"]).startswith(f"{kind}-")])
        }
        for tail, part in kinds.items():
            metrics[name + tail] = summarise(part) | {"failures": failure_detection(part)}
    card = dict(about) | {
        "metrics": metrics,
        "verdict": verdict(metrics),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
    }
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    columns = list(dict.fromkeys(key for _, row in judged for key in row))
    with (out / "judged.csv").open("w", newline="") as lines:
        table = csv.DictWriter(lines, ["set", *columns], restval="")
        table.writeheader()
        for name, row in judged:
            table.writerow({"set": name} | {k: _text(v) for k, v in row.items()})


def verdict(metrics: Mapping[str, Any]) -> str:
    """Say the wall's overlap on every set, all cameras together, in one line."""
    parts = []
    for name, figures in metrics.items():
        if name.endswith(tuple(KINDS)):
            continue
        wall = figures["wall_dice"]
        low, high = wall["interval"]
        n = f"{figures['volumes']} volumes of {figures['patients']} patients"
        parts.append(f"{name}: wall DSC {wall['mean']:.3f} ({low:.3f}-{high:.3f}; {n})")
    return "; ".join(parts)


def _text(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
