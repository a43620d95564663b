"""Table of polar.md: the anterior direction by the direction to the head, by the right ventricle and by both."""

from __future__ import annotations

import numpy as np
import pandas as pd

from myoperf.stats import bootstrap_statistic, percentile_interval
from tables.layout import interval, markdown, read

TITLES = {
    "simulated": "simulated patients, full physics",
    "independent": "independent hearts (simulated, development)",
}
RULES = {
    "head_error_deg": "direction to the head",
    "right_ventricle_error_deg": "right ventricle",
    "analyze_error_deg": "both, as `analyze` does",
}


def _median(errors: pd.Series) -> str:
    values = errors.abs().to_numpy()
    ends = percentile_interval(bootstrap_statistic(values, np.median, rng=np.random.default_rng(0), resamples=1000))
    return interval(float(np.median(values)), ends.lo, ends.hi, ".1f")


def errors() -> str:
    """Return the errors of the rules, and how far they differ in real volumes."""
    table = read("anterior")
    body = []
    for name, title in TITLES.items():
        rows = table[table["set"] == name]
        for column, rule in RULES.items():
            error = rows[column]
            spread = (f"{error.mean():+.1f}", f"{error.std(ddof=1):.1f}", f"{error.abs().max():.0f}")
            body.append([title, rule, str(len(rows)), _median(error), *spread])
    head = ["set", "anterior by", "n", "median error (95 % interval), degrees", "mean", "SD", "worst"]
    real = table[table["set"] == "real"]
    turn = real["turn_deg"]
    return (
        f"{markdown(head, body)}\n\nIn {len(real)} open real volumes the right ventricle puts the anterior direction "
        f"{turn.mean():+.0f} degrees (SD {turn.std(ddof=1):.0f}) from the direction to the head, towards the septum; "
        f"its insertions stand out clearly in {int(real['seen'].sum())}."
    )
