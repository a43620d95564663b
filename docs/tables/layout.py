"""Where results lie, and how a table and the numbers in it are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from myoperf.stats.compare import adjust_p

RESULTS = Path(__file__).parents[1] / "results"


def read(name: str, **how: Any) -> pd.DataFrame:
    """Read a CSV file of the results by its name without ending."""
    return pd.read_csv(RESULTS / f"{name}.csv", **how)


def read_json(name: str) -> dict[str, Any]:
    """Read a JSON file of the results by its name without ending."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def transcribed(run: Mapping[str, Any]) -> str:
    """Return the sentence that a run's settings were transcribed, not written by its command; empty where they were."""
    source = run.get("transcribed_from")
    return (
        f" These figures of the run were transcribed from the page of {source}; its own files were not kept."
        if source
        else ""
    )


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out a Markdown table."""
    first, *others = ("| " + " | ".join(map(str, line)) + " |" for line in (head, *rows))
    return "\n".join([first, "|---" * len(head) + "|", *others])


def interval(value: float, low: float, high: float, form: str = ".3f") -> str:
    """Write a value with its interval: 0.812 (0.790 to 0.834)."""
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def short_interval(row: Mapping[str, Any], name: str) -> str:
    """Write columns ``name``, ``name_lo`` and ``name_hi`` as 0.812 (0.79-0.83); a dash where there is no value."""
    if pd.isna(row[name]):
        return "-"
    return f"{row[name]:.3f} ({row[f'{name}_lo']:.2f}-{row[f'{name}_hi']:.2f})"


def corrected(p: pd.DataFrame, method: Literal["holm", "benjamini-hochberg"]) -> pd.DataFrame:
    """Return p values after correction for as many tests as the whole frame holds."""
    return pd.DataFrame(
        adjust_p(p.to_numpy().ravel(), method=method).reshape(p.shape), index=p.index, columns=p.columns
    )


def p_value(p: float) -> str:
    """Write a p value; a dash where there is none."""
    return "-" if pd.isna(p) else "< 0.0001" if p < 1e-4 else f"{p:.4f}"
