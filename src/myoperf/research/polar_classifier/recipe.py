"""``myoperf train polar``: draw simulated patients, train, calibrate and measure the classifier, write its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.research.polar_classifier.cases import SETS, PolarCases, draw_set, join_cases
from myoperf.research.polar_classifier.evaluation import (
    limits_from,
    measure_cohort,
    measure_groups,
    measure_likeness,
    measure_threshold_choice,
    stress_limits,
    verdict,
)
from myoperf.research.polar_classifier.training import Recipe, fit_classifier, widen, write_classifier
from myoperf.types import VESSELS

__all__ = ["SCALES", "PolarScale", "run"]

VERSION = "4"
MANY = 200
"""Patients on the known ventricle from which limits of their own can be built; fewer are scored by the package's."""


@dataclass(frozen=True)
class PolarScale:
    """Size of a training: sets of `myoperf.research.polar_classifier.cases.SETS` and how many patients of each.

    Attributes
    ----------
    learned
        To learn from.
    calibration
        To calibrate and set the limits of abstention.
    judged
        Patients of one set that judge.
    normal
        Patients of low likelihood that judge beside them, where prevalence is to be lower.
    others
        Further sets that are measured.
    widened
        Patients added without imaging.
    """

    learned: Mapping[str, int]
    calibration: Mapping[str, int]
    judged: tuple[str, int]
    normal: tuple[str, int] | None
    others: Mapping[str, int]
    widened: int
    recipe: Recipe = field(default_factory=Recipe)


SCALES: Mapping[str, PolarScale] = MappingProxyType(
    {
        "smoke": PolarScale(
            {"main": 6}, {"known": 10}, ("known-judged", 12), None, {}, 30, Recipe(1, 4, 2, 8, components=4)
        ),
        "small": PolarScale(
            {"main": 500, "rarer": 660},
            {"calibration": 200},
            ("judged-anew", 300),
            ("normal-anew", 100),
            {"judged": 200, "known-judged": 40, "louder": 40, "czt": 40, "louder-found": 40, "czt-found": 40},
            3000,
        ),
        "full": PolarScale(
            {"main": 4000, "rarer": 2000, "learned": 2000},
            {"calibration": 500},
            ("judged", 1000),
            ("normal", 100),
            {"louder-found": 500, "czt-found": 500, "rarer-found": 500},
            20000,
        ),
    }
)
"""Smoke looks for no ventricle. Small is what ships: about an hour of a processor core."""


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
        Folder that holds, or gets, the patients drawn and the networks trained; default ``cases`` in `out`. What is
        there is not drawn or trained anew.
    resume
        Go on from what was drawn and trained before; the result is the same whether or not.
    """
    if scale not in SCALES:
        raise InputError(f"Unknown scale {scale!r}; known are {', '.join(SCALES)}.")
    plan, folder = SCALES[scale], data or out / "cases"

    def draw(name: str, n: int) -> PolarCases:
        return draw_set(name, n, folder, quiet=quiet)

    learned = {name: draw(name, n) for name, n in plan.learned.items()}
    calibration = join_cases([draw(name, n) for name, n in plan.calibration.items()])
    judged = draw(*plan.judged)
    normal = None if plan.normal is None else draw(*plan.normal)
    material = join_cases(list(learned.values()))
    widened = widen(material, 500_000 + seed, plan.widened)
    classifier = fit_classifier(widened, calibration, plan.recipe, seed, keep=folder)
    known = join_cases([cases for name, cases in learned.items() if not SETS[name].found])
    limits = {True: stress_limits(), False: limits_from(known) if len(known) >= MANY else stress_limits()}
    here = limits[SETS[plan.judged[0]].found]
    metrics = {
        "test": measure_cohort(classifier, judged, here, seed=seed),
        "test_stress_only": measure_cohort(classifier, judged, here, rest=False, seed=seed),
        "groups": measure_groups(classifier, judged, here, normal),
    }
    patients = {name: _say(cases) for name, cases in learned.items()}
    patients |= {"calibration": _say(calibration), "test": _say(judged)}
    if normal is not None:
        patients["normal"] = _say(normal)
    for name, n in plan.others.items():
        cases = draw(name, n)
        metrics[name] = measure_cohort(classifier, cases, limits[SETS[name].found], seed=seed)
        patients[name] = _say(cases)
    likeness = measure_likeness(learned["main"], judged, classifier.constants["components"], seed=seed)
    where = "found as analyze finds it" if SETS[plan.judged[0]].found else "as it is known to lie"
    card = _about(plan, scale, seed, where) | {
        "patients": patients | {"widened": plan.widened},
        "normal_limits": sorted({f"{item.name} version {item.version}" for item in here.values()}),
        "threshold": measure_threshold_choice(classifier, calibration, judged, 0.9),
        "known_told_from_found": likeness,
        "metrics": metrics,
        "verdict": f"ventricle {where}, both states: {verdict(metrics['test'])}",
    }
    write_classifier(out, classifier, card)


def _about(plan: PolarScale, scale: str, seed: int, where: str) -> dict[str, Any]:
    """Give what the card says apart from numbers."""
    return {
        "name": "polar-classifier",
        "version": VERSION,
        "task": "obstructive coronary disease (left main >= 50 %, LAD, LCX or RCA >= 70 %) per vessel",
        "input": "polar maps 24 x 72, maximum over the wall, scaled to the 98th percentile; rest and clinical optional",
        "labels": list(VESSELS),
        "training_data": "simulated patients only; never seen a real one",
        "ventricle_in_test": where,
        "command": f"myoperf train polar --scale {scale} --seed {seed}",
        "recipe": asdict(plan.recipe),
        "myoperf": __version__,
        "licence": "Apache-2.0",
        "limits": "Research use only. Labels, blur, attenuation and noise are a model's; expect less on real studies.",
    }
