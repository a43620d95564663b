"""``myoperf train polar``: draw simulated patients, train, calibrate and evaluate the classifier, write its card."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from myoperf import __version__
from myoperf.diagnosis import load_classifier
from myoperf.phantom.records import SIMULATOR_VERSION
from myoperf.research.polar_classifier.cases import SETS, STATES, PolarCases, draw_set, join_cases
from myoperf.research.polar_classifier.comparators import measure_comparators
from myoperf.research.polar_classifier.evaluation import (
    LimitsBySex,
    limits_from,
    measure_cohort,
    measure_groups,
    measure_likeness,
    measure_threshold_choice,
    shipped_limits_of,
    verdict,
)
from myoperf.research.polar_classifier.training import Schedule, fit_classifier, supplement, write_classifier
from myoperf.research.training.recipes import pick_recipe
from myoperf.types import VESSELS, State

VERSION = "5"
MANY = 200
"""Patients from whom limits can be built for maps like theirs; fewer are scored by the shipped limits."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a run: sets of `myoperf.research.polar_classifier.cases.SETS` and how many patients of each.

    Attributes
    ----------
    learned
        To learn from; "main" is one of them.
    calibration
        To calibrate, and to set the limits of abstention.
    test
        Patients of one set to test on.
    normal
        Patients with a low likelihood of disease, added to the test patients for a lower prevalence.
    limits
        Healthy patients whose limits match the test patients' maps, for TPD and SSS.
    others
        Further sets to test on.
    not_imaged
        Patients added to those learned from, without imaging.
    schedule
        Of the networks.
    """

    learned: Mapping[str, int]
    calibration: Mapping[str, int]
    test: tuple[str, int]
    normal: tuple[str, int] | None
    limits: tuple[str, int] | None
    others: Mapping[str, int]
    not_imaged: int
    schedule: Schedule = field(default_factory=Schedule)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "smoke": Recipe(
            learned={"main": 6},
            calibration={"known": 10},
            test=("known-judged", 12),
            normal=None,
            limits=None,
            others={},
            not_imaged=30,
            schedule=Schedule(networks=1, width=4, epochs=2, batch=8, components=4),
        ),
        "small": Recipe(
            learned={"main": 500, "rarer": 660},
            calibration={"calibration": 200},
            test=("sealed", 600),
            normal=("normal-sealed", 100),
            limits=("limits", 200),
            others={"louder-found": 40, "czt-found": 40},
            not_imaged=3000,
        ),
        "full": Recipe(
            learned={"main": 4000, "rarer": 2000, "learned": 2000},
            calibration={"calibration": 500},
            test=("sealed", 1000),
            normal=("normal-sealed", 100),
            limits=("limits", 400),
            others={"louder-found": 500, "czt-found": 500, "rarer-found": 500},
            not_imaged=20000,
        ),
    }
)
"""``smoke`` does not search for ventricles. ``small`` is what ships: about an hour and a half on one processor core."""


def run(
    scale: str, out: Path, seed: int, *, data: Path | None = None, resume: bool = False, quiet: bool = False
) -> None:
    """Train by a recipe into a folder: weights and a card with every number.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    data
        Folder for the patients drawn and the networks trained, which are kept there and used by later runs; default:
        ``cases`` in `out`.
    resume
        Continue from what was drawn and trained before; the result is the same.
    """
    recipe, folder = pick_recipe(RECIPES, scale), data or out / "cases"
    folder.mkdir(parents=True, exist_ok=True)

    def draw(name: str, n: int) -> PolarCases:
        return draw_set(name, n, folder, quiet=quiet)

    learned = {name: draw(name, n) for name, n in recipe.learned.items()}
    calibration = join_cases([draw(name, n) for name, n in recipe.calibration.items()])
    test = draw(*recipe.test)
    normal = None if recipe.normal is None else draw(*recipe.normal)
    training = supplement(join_cases(list(learned.values())), 500_000 + seed, recipe.not_imaged)
    classifier = fit_classifier(training, calibration, recipe.schedule, seed, keep=folder)
    found = SETS[recipe.test[0]].find_ventricle
    known = join_cases([cases for name, cases in learned.items() if not SETS[name].find_ventricle])
    matched = None if recipe.limits is None else draw(*recipe.limits)
    limits: dict[State, dict[bool, LimitsBySex]] = {
        state: {True: matched_limits(matched, state), False: matched_limits(known, state)} for state in STATES
    }
    stress = limits["stress"]
    both: dict[State, LimitsBySex] = {state: limits[state][found] for state in STATES}
    metrics = {
        "test": measure_cohort(classifier, test, stress[found], seed=seed),
        "test_stress_only": measure_cohort(classifier, test, stress[found], rest=False, seed=seed),
        "groups": measure_groups(classifier, test, stress[found], normal),
    }
    told = measure_comparators(classifier, join_cases(list(learned.values())), calibration, test, both, seed=seed)
    shipped = load_classifier()
    cohorts = learned | {"calibration": calibration, "test": test} | ({} if normal is None else {"normal": normal})
    for name, n in recipe.others.items():
        cohorts[name] = draw(name, n)
        own = stress[SETS[name].find_ventricle]
        metrics[name] = measure_cohort(classifier, cohorts[name], own, seed=seed)
    where = "found as analyze finds it" if found else "as it is known to lie"
    card = _about(recipe, scale, seed, where) | {
        "patients": {name: _counts(cases) for name, cases in cohorts.items()} | {"widened": recipe.not_imaged},
        "normal_limits": sorted({f"{item.name} version {item.version}, n {item.n}" for item in stress[found].values()}),
        "threshold": measure_threshold_choice(classifier, calibration, test, 0.9),
        "known_told_from_found": measure_likeness(learned["main"], test, classifier.constants["components"], seed=seed),
        "metrics": metrics,
        "told_the_same": told,
        "shipped_before": {
            "version": shipped.card["version"],
            "test": measure_cohort(shipped, test, stress[found], seed=seed),
        },
        "verdict": f"ventricle {where}, both states: {verdict(metrics['test'])}; {verdict(told)}",
    }
    write_classifier(out, classifier, card)


def matched_limits(cases: PolarCases | None, state: State) -> LimitsBySex:
    """Return limits from healthy patients of a cohort, or the shipped ones if the cohort is small or absent."""
    if cases is not None and len(cases) >= MANY:
        return limits_from(cases, state=state)
    return shipped_limits_of(state)


def _counts(cases: PolarCases) -> dict[str, int]:
    return {"n": len(cases), "diseased": int(cases.ica.max(axis=1).sum())}


def _about(recipe: Recipe, scale: str, seed: int, where: str) -> dict[str, Any]:
    """Return the text of the card."""
    return {
        "name": "polar-classifier",
        "version": VERSION,
        "task": "obstructive coronary disease (left main >= 50 %, LAD, LCX or RCA >= 70 %) per vessel",
        "input": "polar maps 24 x 72, maximum over the wall, scaled to the 98th percentile; rest and clinical optional",
        "labels": list(VESSELS),
        "training_data": f"simulated patients only (simulator version {SIMULATOR_VERSION}); no real patient",
        "ventricle_in_test": where,
        "command": f"myoperf train polar --scale {scale} --seed {seed}",
        "recipe": asdict(recipe.schedule),
        "myoperf": __version__,
        "licence": "Apache-2.0",
        "limits": "Research use only. Labels, blur, attenuation and noise are simulated; expect less on real studies.",
    }
