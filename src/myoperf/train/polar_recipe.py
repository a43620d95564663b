"""``myoperf train polar``: draw simulated patients, train, calibrate and measure the classifier, write its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.train.polar import Recipe, fit_classifier, widen, write_classifier
from myoperf.train.polar_cases import SETS, PolarCases, draw_set, join_cases
from myoperf.train.polar_report import (
    measure_cohort,
    measure_groups,
    measure_threshold_choice,
    stress_limits,
    verdict,
)
from myoperf.types import VESSELS

__all__ = ["SCALES", "PolarScale", "run"]


@dataclass(frozen=True)
class PolarScale:
    """Size of a training.

    Attributes
    ----------
    known
        Patients of each set imaged and unrolled on the known ventricle, all to learn from.
    learned, calibration, judged
        Patients of the set `found` that are learned from too, that calibrate, and that judge, one after the other;
        of the main job's kind: ventricle found automatically.
    both
        The set, its ventricle known, that calibrates the reading of both states, and its patients.
    repeats
        How often each of the `learned` stands in the training material.
    others
        Further sets that are measured.
    widened
        Patients added without imaging.
    """

    known: Mapping[str, int]
    found: str
    learned: int
    calibration: int
    judged: int
    both: tuple[str, int]
    others: Mapping[str, int]
    widened: int
    repeats: int = 3
    recipe: Recipe = field(default_factory=Recipe)


SCALES: Mapping[str, PolarScale] = MappingProxyType(
    {
        "smoke": PolarScale(
            {"main": 6}, "known", 4, 10, 12, ("known-judged", 8), {}, 30, 1, Recipe(1, 4, 2, 8, components=4)
        ),
        "small": PolarScale(
            {"main": 400, "rarer": 400},
            "found",
            40,
            40,
            120,
            ("known", 40),
            {"known-judged": 40, "louder": 40, "czt": 40},
            500,
        ),
        "full": PolarScale(
            {"main": 4000, "rarer": 2000},
            "found",
            2000,
            500,
            1000,
            ("known", 500),
            {"known-judged": 500, "louder-found": 500, "czt-found": 500, "rarer-found": 500},
            10000,
        ),
    }
)
"""Smoke looks for no ventricle. Small is what ships: as much as a processor core draws and learns in half an hour."""


def _say(cases: PolarCases) -> dict[str, Any]:
    return {"n": len(cases), "diseased": int(cases.ica.max(axis=1).sum())}


def run(
    scale: str, out: Path, seed: int, *, data: Path | None = None, resume: bool = False, quiet: bool = False
) -> None:
    """Train by the recipe into a folder: weights and the card, which every number comes from.

    Parameters
    ----------
    scale
        smoke, small or full.
    data
        Folder that holds, or gets, the patients drawn; default ``cases`` in `out`. Patients there are not drawn anew.
    resume
        Go on from patients drawn before; they are the same whether or not.
    """
    if scale not in SCALES:
        raise InputError(f"Unknown scale {scale!r}; known are {', '.join(SCALES)}.")
    plan, folder = SCALES[scale], data or out / "cases"
    known = {name: draw_set(name, n, folder, quiet=quiet) for name, n in plan.known.items()}
    found = draw_set(plan.found, plan.learned + plan.calibration + plan.judged, folder, quiet=quiet)
    index = found.key[:, 1]
    first = found.take(np.flatnonzero(index < plan.learned))
    calibration = found.take(np.flatnonzero((index >= plan.learned) & (index < plan.learned + plan.calibration)))
    judged = found.take(np.flatnonzero(index >= plan.learned + plan.calibration))
    material = widen(join_cases([*known.values(), *[first] * plan.repeats]), 500_000 + seed, plan.widened)
    both = draw_set(*plan.both, folder, quiet=quiet)
    classifier = fit_classifier(material, both, calibration, plan.recipe, seed)
    limits = stress_limits()
    measured = {
        "test": measure_cohort(classifier, judged, limits, seed=seed),
        "groups": measure_groups(classifier, judged),
    }
    patients = {name: _say(cases) for name, cases in known.items()}
    patients |= {
        "learned": _say(first),
        "calibration": _say(calibration),
        "calibration_both": _say(both),
        "test": _say(judged),
    }
    for name, n in plan.others.items():
        cases = draw_set(name, n, folder, quiet=quiet)
        measured[name] = measure_cohort(classifier, cases, limits, seed=seed)
        patients[name] = _say(cases)
    read = "both states" if judged.has_rest.all() else "stress alone"
    where = "found automatically" if SETS[plan.found].found else "as it is known to lie"
    card = {
        "name": "polar-classifier",
        "version": "2",
        "task": "obstructive coronary disease (left main >= 50 %, LAD, LCX or RCA >= 70 %) per vessel",
        "input": "polar maps 24 x 72, maximum over the wall, scaled to the 98th percentile; rest and clinical optional",
        "labels": list(VESSELS),
        "training_data": "simulated patients only; never seen a real one",
        "ventricle_in_test": where,
        "read_in_test": read,
        "patients": patients | {"widened": plan.widened},
        "command": f"myoperf train polar --scale {scale} --seed {seed}",
        "recipe": asdict(plan.recipe),
        "myoperf": __version__,
        "licence": "Apache-2.0",
        "normal_limits": sorted({item.name for item in limits.values()}),
        "threshold": measure_threshold_choice(classifier, calibration, judged, 0.9),
        "metrics": measured,
        "verdict": f"ventricle {where}, {read}: {verdict(measured['test'])}",
        "limits": "Research use only. Labels, blur, attenuation and noise are a model's; expect less on real studies.",
    }
    write_classifier(out, classifier, card)
