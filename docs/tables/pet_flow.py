"""Tables of pet-flow.md: simulated blood flow against its truth."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from myoperf.segments import TERRITORIES
from myoperf.stats import bootstrap_statistic, percentile_interval, wilson_interval
from tables.layout import interval, markdown, read

TRACERS = ("Rb-82", "N-13")
RESERVE_LIMIT = 2.0
REGIONS = {
    "segments": [str(i) for i in range(1, 18)],
    "territories": list(TERRITORIES),
    "whole ventricle": ["global"],
}
NUMBERS = {"stress": "flow at stress", "rest": "flow at rest", "mfr": "reserve"}


def agreement(rows: pd.DataFrame, name: str, rng: np.random.Generator) -> list[str]:
    """Write bias and SD of relative differences, and r, with 95 % intervals over patients."""
    rows = rows.dropna(subset=[name])

    def statistics(pairs: Any) -> Any:
        measured, known = pairs.T
        difference = 100.0 * (measured / known - 1.0)
        x, y = measured - measured.mean(), known - known.mean()
        return np.array([difference.mean(), difference.std(ddof=1), x @ y / np.sqrt((x @ x) * (y @ y))])

    pairs = rows[[name, f"{name}_known"]].to_numpy()
    samples = bootstrap_statistic(pairs, statistics, rng=rng, resamples=500, patient=rows["patient"])
    ends = np.percentile(samples, [2.5, 97.5], axis=0)
    return [interval(*of, form) for *of, form in zip(statistics(pairs), *ends, (".1f", ".1f", ".3f"), strict=True)]


def coverage(rows: pd.DataFrame, name: str, rng: np.random.Generator) -> str:
    """Write the share of intervals that hold the truth, in percent, with an interval over patients."""
    rows = rows.dropna(subset=[f"{name}_lo"])
    held = (rows[f"{name}_lo"] <= rows[f"{name}_known"]) & (rows[f"{name}_known"] <= rows[f"{name}_hi"])
    if rows["region"].nunique() == 1:
        return share(int(held.sum()), len(held))
    ends = percentile_interval(bootstrap_statistic(held, rng=rng, resamples=500, patient=rows["patient"]))
    return interval(100 * held.mean(), 100 * ends.lo, 100 * ends.hi, ".0f")


def repeatability(rows: pd.DataFrame, name: str) -> str:
    """Write the repeatability coefficient in percent of the mean of both: 1.96 sqrt(2) within-patient SD."""
    both = rows.dropna(subset=[name, f"{name}_again"])
    gap = 200.0 * (both[f"{name}_again"] - both[name]) / (both[f"{name}_again"] + both[name])
    return f"{1.96 * np.sqrt((gap**2).mean()):.0f}"


def share(hits: int, n: int) -> str:
    """Write a share in percent with Wilson's interval."""
    ends = wilson_interval(hits, n)
    return interval(100 * hits / n, 100 * ends.lo, 100 * ends.hi, ".0f")


def side_of_limit(rows: pd.DataFrame, tracer: str) -> str:
    """Say how often a territory's reserve falls on the right side of the published limit."""
    of = rows[rows["region"].isin(REGIONS["territories"])]
    right = (of["mfr"] < RESERVE_LIMIT) == (of["mfr_known"] < RESERVE_LIMIT)
    ends = wilson_interval(int(right.sum()), len(right))
    return (
        f"- {tracer}: on the right side of a reserve of {RESERVE_LIMIT:.1f} in {right.sum()} of {len(right)} "
        f"territories ({100 * right.mean():.0f} %, {100 * ends.lo:.0f} to {100 * ends.hi:.0f})."
    )


def flows(part: str, rng: np.random.Generator) -> str:
    """Return bias, spread, coverage and repeatability of flow for one way of simulating."""
    table, rows = read("pet_flow", dtype={"region": str}).query("part == @part"), []
    for tracer in TRACERS:
        of_tracer = table[table["tracer"] == tracer]
        for title, regions in REGIONS.items():
            chosen = of_tracer[of_tracer["region"].isin(regions)]
            for name, words in NUMBERS.items():
                cells = [*agreement(chosen, name, rng), coverage(chosen, name, rng), repeatability(chosen, name)]
                rows.append([f"{tracer}, n = {of_tracer['patient'].nunique()}", title, words, *cells])
    head = ("tracer", "region", "number", "bias %", "SD %", "r", "interval holds the truth, %", "repeatability, %")
    limits = [side_of_limit(table[table["tracer"] == tracer], tracer) for tracer in TRACERS]
    return "\n".join([markdown(head, rows), "", *limits])


@cache
def tables() -> dict[str, str]:
    """Return both tables; their intervals come from one stream of random numbers."""
    rng = np.random.default_rng(0)
    return {part: flows(part, rng) for part in ("curves", "images")}


def curves() -> str:
    """Return the agreement of flow measured on simulated curves."""
    return tables()["curves"]


def images() -> str:
    """Return the agreement of flow measured on simulated images."""
    return tables()["images"]
