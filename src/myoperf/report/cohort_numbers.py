"""What a cohort's summary tells: distributions, outliers, agreement of stress and rest, sub-groups.

Everything is computed from the cohort's table (``cohort.csv``), one row a study.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from myoperf.quantities import QUANTITIES, Quantity
from myoperf.types import Float

STATES = ("stress", "rest")
_FEWEST = 8
"""Rows that a number needs before outliers are looked for."""
_FAR = 5.0
"""Robust standard deviations from the median beyond which a value is worth a look."""
_SCALE = 1.4826
"""Of the median absolute deviation to the standard deviation of normally distributed values."""


@dataclass(frozen=True, kw_only=True)
class NormalRange:
    """A published normal range: of whom, and its ends; infinite where it is open."""

    whom: str
    low: float
    high: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Distribution:
    """The values of one number over the cohort.

    Attributes
    ----------
    values
        State (empty for a number of the study) -> values of the studies that have it.
    """

    quantity: Quantity
    values: Mapping[str, Float]
    normal: tuple[NormalRange, ...]


@dataclass(frozen=True, kw_only=True)
class Outlier:
    """A value far from those of the other studies, in robust standard deviations from their median."""

    row: int
    label: str
    value: str
    median: str
    distance: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Agreement:
    """A number at rest against the same at stress, and how far they differ (Bland and Altman 1986).

    Attributes
    ----------
    stress, rest
        Of the studies that have both.
    bias, low, high
        Mean of stress minus rest, and the limits that hold 95 % of the differences if they are normally distributed.
    """

    quantity: Quantity
    stress: Float
    rest: Float
    bias: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """A sub-group: how many studies it has, and median (quartiles) of each number."""

    kind: str
    name: str
    n: int
    cells: tuple[str, ...]


def shown_quantities(table: pd.DataFrame) -> tuple[Quantity, ...]:
    """Return the single numbers that a report shows and that any study of the table has."""
    return tuple(
        q
        for q in QUANTITIES
        if (q.page == "numbers" or q.name == "per_patient")
        and not q.per
        and q.of != "territory"
        and any(table[column].notna().any() for _, column in columns_of(q, table))
    )


def columns_of(quantity: Quantity, table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the columns that hold a number: (state, column), the state empty for a number of the study."""
    if quantity.of == "scan":
        named = [(state, f"{state}.{quantity.name}") for state in STATES]
    else:
        named = [("", quantity.name)]
    return [(state, column) for state, column in named if column in table]


def distributions(table: pd.DataFrame) -> tuple[Distribution, ...]:
    """Return the distribution of every number shown."""
    return tuple(
        Distribution(
            quantity=q,
            values={state: table[column].dropna().to_numpy(np.float64) for state, column in columns_of(q, table)},
            normal=normal_ranges(q.normal),
        )
        for q in shown_quantities(table)
    )


def normal_ranges(text: str) -> tuple[NormalRange, ...]:
    """Read the published normal range of a number; nothing where it is no plain range.

    Mean and standard deviation become the mean plus and minus two standard deviations.

    Examples
    --------
    >>> normal_ranges("below 5")
    (NormalRange(whom='', low=-inf, high=5.0),)
    >>> [r.whom for r in normal_ranges("women 71.4 (SD 6.0), men 67.2 (SD 6.0), by QGS")]
    ['women', 'men']
    >>> normal_ranges("up to 1.13 to 1.38, by protocol")
    ()
    """
    if match := re.fullmatch(r"below ([\d.]+)", text):
        return (NormalRange(whom="", low=-np.inf, high=float(match[1])),)
    if match := re.match(r"([\d.]+) or more", text):
        return (NormalRange(whom="", low=float(match[1]), high=np.inf),)
    groups = re.findall(r"(women|men) ([\d.]+) \(SD ([\d.]+)\)", text)
    return tuple(
        NormalRange(whom=whom, low=float(mean) - 2 * float(sd), high=float(mean) + 2 * float(sd))
        for whom, mean, sd in groups
    )


def outliers(table: pd.DataFrame, *, most: int = 30) -> tuple[Outlier, ...]:
    """Return the values farthest from those of the other studies, the farthest first, one for each study.

    The distance is (value - median) / (1.4826 x median absolute deviation). Only numbers of the scans and the dilation
    ratio count: a large perfusion deficit is disease, not a value to doubt.
    """
    found: list[Outlier] = []
    for q in shown_quantities(table):
        for state, column in columns_of(q, table) if q.of == "scan" or q.name == "tid_ratio" else ():
            values = table[column].to_numpy(np.float64)
            known = values[np.isfinite(values)]
            if known.size < _FEWEST:
                continue
            median = float(np.median(known))
            scale = _SCALE * float(np.median(np.abs(known - median)))
            if scale <= 0.0:
                continue
            distance = (values - median) / scale
            label = f"{q.label}, {state}" if state else q.label
            found += [
                Outlier(
                    row=int(row),
                    label=label,
                    value=with_unit(q, values[row]),
                    median=with_unit(q, median),
                    distance=float(distance[row]),
                )
                for row in np.flatnonzero(np.abs(distance) > _FAR)
            ]
    farthest: dict[int, Outlier] = {}
    for one in sorted(found, key=lambda outlier: -abs(outlier.distance)):
        farthest.setdefault(one.row, one)
    return tuple(farthest.values())[:most]


def agreements(table: pd.DataFrame) -> tuple[Agreement, ...]:
    """Compare stress and rest for volumes, ejection fraction, mass and synchrony, where 3 studies or more have both."""
    names = ("lvef_percent", "edv_ml", "esv_ml", "mass_g", "myocardium_ml", "phase_bandwidth_deg")
    found = []
    for q in shown_quantities(table):
        if q.name not in names or len(columns_of(q, table)) < 2:
            continue
        both = table[[f"{state}.{q.name}" for state in STATES]].dropna().to_numpy(np.float64)
        if len(both) < 3:
            continue
        difference = both[:, 0] - both[:, 1]
        bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
        found.append(
            Agreement(quantity=q, stress=both[:, 0], rest=both[:, 1], bias=bias, low=bias - spread, high=bias + spread)
        )
    return tuple(found)


GROUPED = ("sss", "sds", "tpd_stress_percent", "lvef_percent", "edv_ml", "phase_sd_deg")


def group_columns(table: pd.DataFrame) -> list[tuple[str, Quantity, str]]:
    """Return what the table of sub-groups shows: (heading, number, column)."""
    chosen = []
    for q in shown_quantities(table):
        if q.name in GROUPED:
            for state, column in columns_of(q, table):
                chosen.append((f"{q.label}, {state}" if state else q.label, q, column))
    return chosen


def groups(table: pd.DataFrame, *, most: int = 12) -> tuple[GroupRow, ...]:
    """Return the sub-groups by sex, camera and tracer, the largest first; all studies before them."""
    chosen = group_columns(table)

    def row(kind: str, name: str, part: pd.DataFrame) -> GroupRow:
        cells = tuple(_quartiles(q, part[column]) for _, q, column in chosen)
        return GroupRow(kind=kind, name=name, n=len(part), cells=cells)

    rows = [row("", "all studies", table)]
    for kind in ("sex", "camera", "tracer"):
        named = table[kind].fillna("not known")
        for name, _ in list(named.value_counts().items())[:most]:
            rows.append(row(kind, str(name), table[named == name]))
    return tuple(rows)


def count_words(cells: Sequence[object]) -> list[tuple[str, int]]:
    """Count the words that cells join by semicolons, the most frequent first."""
    words = pd.Series([word for cell in cells if isinstance(cell, str) for word in cell.split(";") if word], dtype=str)
    return [(str(word), int(n)) for word, n in words.value_counts().items()]


def with_unit(quantity: Quantity, value: float) -> str:
    """Return a value as the report shows it, with its unit where that is one."""
    unit = quantity.unit if quantity.unit in ("%", "ml", "°", "g", "EDV/s", "ms") else ""
    return f"{value:.{quantity.digits}f}{'' if unit == '°' else ' ' if unit else ''}{unit}"


def _quartiles(quantity: Quantity, values: pd.Series) -> str:
    """Return median and quartiles of a number; empty where no study has it."""
    known = values.dropna().to_numpy(np.float64)
    if known.size == 0:
        return ""
    low, median, high = np.percentile(known, [25, 50, 75])
    digits = quantity.digits
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
