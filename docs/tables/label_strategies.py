"""Tables of label-strategies.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tables.layout import markdown, p_value, read, read_json, short_interval, transcribed

LEVELS = ("vessel", "patient")


def model_of(row: Mapping[str, Any]) -> str:
    """Name a model of the grid."""
    return f"{row['network']}, {row['input']}, {row['augmentation']}"


def ran() -> str:
    """Return how many models were trained on whom, and how long that took."""
    run = read_json("label_strategies_run")
    return (
        f"{run['models']} models of {run['patients']} simulated patients and {run['fresh']} fresh ones; "
        f"training took {run['seconds']:.0f} s on a busy machine. "
        f"Mean epochs {read('label_strategies_models')['epochs'].mean():.1f}.{transcribed(run)}"
    )


def reader() -> str:
    """Return the four readings per level with the paper's, and what the tests between them show."""
    run, rows = read_json("label_strategies_reader"), read("label_strategies_reader")
    tests = read("label_strategies_reader_tests")
    cells = []
    for row in rows.to_dict("records"):
        measured = [
            f"{short_interval(row, name)} [{row[f'paper_{name}']:.2f}]"
            for name in ("auc", "sensitivity", "specificity")
        ]
        cells.append([row["level"], row["reading"], row["n"], row["diseased"], *measured])
    helped = tests[(tests["a"] == "reader alone") & (tests["b"] == "reader with network")]
    names = ("p_delong_holm", "p_mcnemar_sensitivity_holm", "p_mcnemar_specificity_holm")
    least = min(float(helped[name].min()) for name in names)
    end = "no level shows a difference" if least >= 0.05 else "a difference is shown at one level or more"
    return (
        f"{run['patients']} patients, {run['data']}, seed {run['seed']}.\n\n"
        + markdown(("level", "reading", "n", "diseased", "AUC", "sensitivity", "specificity"), cells)
        + f"\n\nReader alone against the same reader with the network: {end} in area, sensitivity or specificity "
        f"(least p after Holm {least:.3f})."
    )


def cohort() -> str:
    """Return prevalence and that of Hajianfar et al. 2025."""
    rows = []
    for row in read("label_strategies_cohort").to_dict("records"):
        cells = []
        for name in ("LAD", "LCX", "RCA", "patient"):
            paper = row[f"{name}_percent_in_paper"]
            cells.append(f"{row[f'{name}_percent']:.0f}" + ("" if pd.isna(paper) else f" ({paper:.0f})"))
        rows.append([row["part"], row["n"], row["labels"], *cells])
    return markdown(("part", "n", "labels", "LAD %", "LCX %", "RCA %", "patient %"), rows)


def best() -> str:
    """Return the best model of each strategy, as the paper's tables 2 and 3 do."""
    table, parts = read("label_strategies_best"), []
    names = ("auc", "accuracy", "sensitivity", "specificity", "balanced_accuracy", "precision")
    head = ("strategy", "network, input, augmentation", *(n.replace("_", " ") for n in names))
    for level in LEVELS:
        chosen = table[table["level"] == level].to_dict("records")
        rows = [[row["strategy"], model_of(row), *(short_interval(row, n) for n in names)] for row in chosen]
        parts.append(f"Per {level}:\n\n{markdown(head, rows)}")
    return "\n\n".join(parts)


def beats() -> str:
    """Return the ten models of task 2 that beat most others, as the paper's table 4 does."""
    models, parts = read("label_strategies_models"), []
    second = models[models["strategy"] != "task 1"]
    head = ("strategy", "network, input, augmentation", "AUC", f"beats, of {len(second) - 1}", "after Holm")
    for level in LEVELS:
        top = second.sort_values([f"beats_{level}", f"auc_{level}"], ascending=False).head(10).to_dict("records")
        rows = []
        for row in top:
            counts = [row[f"beats_{level}"], row[f"beats_{level}_holm"]]
            rows.append([row["strategy"], model_of(row), short_interval(row, f"auc_{level}"), *counts])
        parts.append(f"Per {level}:\n\n{markdown(head, rows)}")
    return "\n\n".join(parts)


FACTORS = {
    "level": lambda row: row["level"],
    "factor": lambda row: row["factor"],
    "compared": lambda row: f"{row['a']} - {row['b']}",
    "difference of pooled medians": lambda row: f"{row['median_difference']:+.3f}",
    "p, pooled rank sum": lambda row: p_value(row["p_rank_sum"]),
    "mean difference, matched models": lambda row: f"{row['mean_difference_matched']:+.3f}",
    "pairs": lambda row: row["n_matched"],
    "p, permutation": lambda row: p_value(row["p_paired"]),
    "after Holm": lambda row: p_value(row["p_paired_holm"]),
}


def factors() -> str:
    """Return the pooled rank sum and the permutation over matched models."""
    table = read("label_strategies_factors")
    pooled, paired, holm = ((table[p] < 0.05).sum() for p in ("p_rank_sum", "p_paired", "p_paired_holm"))
    rows = [[write(row) for write in FACTORS.values()] for row in table.to_dict("records")]
    return (
        f"Of {len(table)} comparisons the pooled rank sum calls {pooled} significant at 0.05, the permutation over "
        f"matched models {paired}, after Holm within a factor {holm}.\n\n{markdown(list(FACTORS), rows)}"
    )


def optimism() -> str:
    """Return what choosing a model on the test patients does to its AUC."""
    rows = []
    for row in read("label_strategies_optimism").to_dict("records"):
        around = "" if pd.isna(row["lo"]) else f" ({row['lo']:.2f}-{row['hi']:.2f})"
        areas = [f"{row['auc_where_chosen']:.3f}", f"{row['auc_reported']:.3f}{around}"]
        rows.append([row["level"], row["way"], *areas, f"{row['n_reported']:.0f}"])
    return markdown(("level", "way", "AUC where chosen", "AUC reported", "n"), rows)
