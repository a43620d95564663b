"""Table of repeatability.md."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from tables.layout import interval, markdown, read

WARNED = ".doubt"
"""Ends the names of rows that are no number of the report: whether the ventricle was found with a warning."""


def repeatability() -> str:
    """Return the within-patient SD and repeatability coefficient of every number of the report."""
    table = read("repeatability")
    failed = int((table.number == "failed").sum())
    table = table[table.number != "failed"]
    marks = table[table.number.str.endswith(WARNED)]
    warned = set(marks[marks[["first", "second"]].max(axis=1) > 0].patient)
    table = table.drop(marks.index)
    rows = []
    for name, pairs in table.groupby(table.number.str.replace(r"\.\d+$", " (each of its list)", regex=True)):
        gap = (pairs["second"] - pairs["first"]).to_numpy()
        n = len(gap)
        if n < 5:
            continue
        within = float(np.sqrt((gap**2).mean() / 2.0))
        low, high = (within * np.sqrt(n / chi2.ppf(p, n)) for p in (0.975, 0.025))
        kept = gap[~pairs.patient.isin(warned)]
        form = ".3f" if str(name).endswith("ratio") or "index" in str(name) or "eccentricity" in str(name) else ".2f"
        coefficients = (1.96 * np.sqrt(2.0) * within, 1.96 * float(np.sqrt((kept**2).mean())))
        mean = f"{pairs['first'].mean():{form}}"
        rows.append([name, n, mean, interval(within, low, high, form), *(f"{c:{form}}" for c in coefficients)])
    within = "within-patient SD (95 % interval)"
    head = ("number", "pairs", "mean", within, "repeatability coefficient", "without a warning")
    return (
        f"{table.patient.nunique()} simulated patients, each acquired twice (full physics, noise drawn twice); "
        f"{failed} more could not be measured. In {len(warned)} a ventricle was found with a warning "
        f"(`check-orientation` or `lv-classical`).\n\n{markdown(head, rows)}"
    )
