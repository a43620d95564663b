"""``myoperf study reader``: Table 5 and figure 5 of Hajianfar et al. 2025, readers without and with a network.

Sensitivity and specificity are compared by McNemar's exact test, areas by DeLong's, per artery, per vessel (the three
arteries of a patient taken as independent, as in the paper) and per patient (the highest of the three).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.pipeline.jobs import claim_folder
from myoperf.research.label_strategies.levels import Level
from myoperf.research.label_strategies.readings import Readings, read_readings, simulate_readings
from myoperf.research.training.options import RunOptions
from myoperf.research.training.plots import draw_roc
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.tables import mark_scale, write_manifest, write_table
from myoperf.stats import (
    adjust_p,
    bootstrap_auc,
    delong_pairs,
    delong_table,
    mcnemar,
    measure_threshold,
    percentile_interval,
)
from myoperf.types import VESSELS

TABLE_5: Mapping[str, Mapping[str, tuple[float, float, float]]] = MappingProxyType(
    {
        "expert scores": {
            "LAD": (0.58, 0.35, 0.77),
            "RCA": (0.63, 0.33, 0.92),
            "LCX": (0.64, 0.30, 0.88),
            "patient": (0.66, 0.78, 0.42),
            "vessel": (0.62, 0.33, 0.86),
        },
        "reader alone": {
            "LAD": (0.61, 0.67, 0.56),
            "RCA": (0.65, 0.49, 0.82),
            "LCX": (0.74, 0.65, 0.82),
            "patient": (0.62, 0.88, 0.36),
            "vessel": (0.68, 0.61, 0.75),
        },
        "network": {
            "LAD": (0.80, 0.61, 0.84),
            "RCA": (0.55, 0.54, 0.57),
            "LCX": (0.59, 0.67, 0.51),
            "patient": (0.77, 0.84, 0.61),
            "vessel": (0.64, 0.61, 0.62),
        },
        "reader with network": {
            "LAD": (0.68, 0.82, 0.53),
            "RCA": (0.63, 0.74, 0.51),
            "LCX": (0.63, 0.84, 0.42),
            "patient": (0.61, 0.94, 0.27),
            "vessel": (0.65, 0.81, 0.48),
        },
    }
)
"""The paper's AUC, sensitivity and specificity on its 100 test patients."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Simulated patients, and whether they are imaged (otherwise the network reads blurred true perfusion)."""

    patients: int
    imaged: bool


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "smoke": Recipe(patients=30, imaged=False),
        "small": Recipe(patients=100, imaged=True),
        "full": Recipe(patients=1000, imaged=True),
    }
)
"""Small has as many patients as the paper."""


def run(scale: str, out: Path, seed: int = 0, *, options: RunOptions | None = None) -> list[dict[str, Any]]:
    """Compare the readings and write the tables.

    Parameters
    ----------
    scale
        A key of `RECIPES`; not used with `data`.
    out
        Gets ``reader_study.csv``, ``reader_comparisons.csv``, ``predictions.csv`` (for ``myoperf evaluate``),
        ``reader_roc.png`` and ``manifest.json``.
    options
        `data`: a table of real readers, see `read_readings`.

    Returns
    -------
    The rows of ``reader_study.csv``.

    Raises
    ------
    InputError
        For a table that cannot be used, or patients of one class.
    """
    options, recipe = options or RunOptions(), pick_recipe(RECIPES, scale)
    settings: dict[str, Any] = {"myoperf": __version__, "study": "reader", "seed": seed}
    if options.data is not None:
        readings = read_readings(options.data)
        scale, settings = "", settings | {"data_sha256": readings.sha256}
        claim_folder(out / "jobs", settings)
    else:
        settings |= {"scale": scale}
        claim_folder(out / "jobs", settings)
        readings = simulate_readings(recipe.patients, seed, out / "cohort", imaged=recipe.imaged, quiet=options.quiet)
    return _write(out, readings, scale, settings)


def _write(out: Path, readings: Readings, scale: str, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write every table and the manifest."""
    levels, seed = _levels(readings), int(settings["seed"])
    if "patient" not in levels:
        raise InputError("The patients need both: some with and some without a diseased artery.")
    table = measure_readings(readings, levels, seed)
    write_table(out, "reader_study", mark_scale(table, scale), text=f"{readings.source.capitalize()}.")
    compared = mark_scale(compare_readings(readings, levels), scale)
    write_table(out, "reader_comparisons", compared, text="McNemar's exact test, DeLong's test.", number=".4g")
    columns: dict[str, Any] = {
        "patient": np.repeat(readings.patients, 3),
        "vessel": np.tile(VESSELS, len(readings.patients)),
        "truth": readings.ica.ravel(),
    }
    pd.DataFrame(columns | {name: values.ravel() for name, values in readings.called.items()}).to_csv(
        out / "predictions.csv", index=False
    )
    curves = {
        name: [(reading, level.truth, level.scores[i]) for i, reading in enumerate(readings.called)]
        for name, level in levels.items()
    }
    draw_roc(curves).savefig(out / "reader_roc.png", dpi=150)
    write_manifest(out, {**settings, "data": readings.source, "patients": len(readings.patients)})
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _levels(readings: Readings) -> dict[str, Level]:
    """Return each artery, vessel and patient with all readings; those of one class are left out."""
    called = np.stack(list(readings.called.values()))
    patient = np.arange(len(readings.patients))
    levels = {
        vessel: Level(vessel, readings.ica[:, index], called[:, :, index], patient)
        for index, vessel in enumerate(VESSELS)
    }
    levels |= {name: Level.of(name, readings.ica, called) for name in ("vessel", "patient")}
    return {name: level for name, level in levels.items() if level.has_both}


def measure_readings(readings: Readings, levels: Mapping[str, Level], seed: int) -> pd.DataFrame:
    """Return Table 5 of Hajianfar et al. 2025: a row a level and reading, and beside each number the paper's.

    Intervals are of 95 %, by bootstrap over patients.

    Parameters
    ----------
    levels
        Vessels, patients and each artery that has both classes, by name.
    seed
        Of the bootstrap.
    """
    rows = []
    for name, level in levels.items():
        counts = level.counts(seed)
        samples = bootstrap_auc(level.truth, level.scores, counts)
        for index, reading in enumerate(readings.called):
            row: dict[str, Any] = {"level": name, "reading": reading, "n": level.truth.size}
            row["diseased"] = int(level.truth.sum())
            row |= percentile_interval(samples[index]).columns("auc", float(level.auc()[index]))
            _, measured = measure_threshold(level.truth, level.scores[index], counts=counts, clustered=name == "vessel")
            for metric in ("sensitivity", "specificity"):
                row |= measured[metric].columns(metric)
            paper = TABLE_5[reading][name]
            rows.append(row | dict(zip(("paper_auc", "paper_sensitivity", "paper_specificity"), paper, strict=True)))
    return pd.DataFrame(rows)


def compare_readings(readings: Readings, levels: Mapping[str, Level]) -> pd.DataFrame:
    """Return a row a level and pair of readings: differences, p by McNemar and DeLong, and after Holm in a level."""
    rows = []
    for name, level in levels.items():
        pairs = delong_pairs(delong_table(level.truth, level.scores))
        p_auc = {(int(a), int(b)): float(p) for a, b, p in zip(pairs.a, pairs.b, pairs.p, strict=True)}
        called, diseased = level.scores >= 0.5, level.truth == 1
        part = []
        for (a, one), (b, other) in combinations(enumerate(readings.called), 2):
            row: dict[str, Any] = {"level": name, "a": one, "b": other}
            row["auc_difference"] = float(level.auc()[a] - level.auc()[b])
            row["p_delong"] = p_auc[a, b]
            for metric, chosen, right in (("sensitivity", diseased, True), ("specificity", ~diseased, False)):
                correct = called[:, chosen] == right
                row[f"{metric}_difference"] = float(correct[a].mean() - correct[b].mean())
                row[f"p_mcnemar_{metric}"] = mcnemar(correct[a], correct[b])
            part.append(row)
        table = pd.DataFrame(part)
        for test in ("p_delong", "p_mcnemar_sensitivity", "p_mcnemar_specificity"):
            table[f"{test}_holm"] = adjust_p(table[test])
        rows.append(table)
    return pd.concat(rows, ignore_index=True)
