"""Small tables of texts, the building blocks of the report."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from myoperf.types import ScanResult

ABSENT = "–"


@dataclass(frozen=True)
class Fact:
    """One labelled text."""

    label: str
    text: str


@dataclass(frozen=True)
class Table:
    """A small table of texts: the first column names the rows; an empty text is an empty cell."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def without_empty_columns(table: Table) -> Table:
    """Drop the columns in which every cell is empty."""
    kept = [i for i in range(len(table.columns)) if i == 0 or any(row[i] for row in table.rows)]
    return Table(tuple(table.columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in table.rows))


def number(value: Any, digits: int = 1) -> str:
    """Write a number with fixed decimals, integers as they are, and a dash for a missing or infinite value."""
    if value is None:
        return ABSENT
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | np.integer):
        return str(int(value))
    return f"{float(value):z.{digits}f}" if math.isfinite(float(value)) else ABSENT


def state_title(result: ScanResult) -> str:
    """Name a scan as the report shows it: ``Stress``, ``Rest`` or its own name."""
    return result.name[:1].upper() + result.name[1:]
