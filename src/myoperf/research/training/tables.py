"""Tables of a study as CSV and Markdown, with a manifest that says how they were made."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from myoperf.errors import MissingWeightsError
from myoperf.pipeline.jobs import write_whole

_NONE: Mapping[str, str] = MappingProxyType({})


def markdown_table(frame: pd.DataFrame, *, titles: Mapping[str, str] = _NONE, number: str = ".3f") -> str:
    """Return a table in Markdown, a value and its interval in one cell: ``0.901 (0.850 to 0.940)``.

    Parameters
    ----------
    frame
        The limits of a column NAME are the columns NAME_lo and NAME_hi; missing values give empty cells.
    titles
        Of columns; default: the column's name with spaces.
    number
        Format of floating-point numbers.
    """
    shown = [str(c) for c in frame.columns if not str(c).endswith(("_lo", "_hi"))]
    head = [titles.get(column, column.replace("_", " ")) for column in shown]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(shown)]
    for row in frame.to_dict("records"):
        lines.append("| " + " | ".join(_cell(row, column, number) for column in shown) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[Any, Any], column: str, number: str) -> str:
    value, low, high = (row.get(f"{column}{end}") for end in ("", "_lo", "_hi"))
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    if not isinstance(value, float):
        return str(value)
    if low is None or high is None or not np.isfinite([low, high]).all():
        return format(value, number)
    return f"{value:{number}} ({low:{number}} to {high:{number}})"


SMOKE = "Scale smoke: a test of the code on very few patients and steps. Its figures mean nothing."
"""Stands above every table of that scale."""


def mark_scale(frame: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Return a table with a first column that says so where it is of scale smoke; other tables as they are."""
    if scale != "smoke" or "scale" in frame:
        return frame
    return pd.concat([pd.DataFrame({"scale": ["smoke"] * len(frame)}, index=frame.index), frame], axis=1)


def require_finished(out: Path, failed: Mapping[Path, str], planned: Collection[Path]) -> None:
    """List jobs that lacked weights in ``missing.csv``; tables are made of the others.

    Raises
    ------
    MissingWeightsError
        When no planned job is finished; the message is that of the first.
    """
    missing = [{"job": path.stem, "reason": reason} for path, reason in failed.items()]
    if missing and not any(path.exists() for path in planned):
        raise MissingWeightsError(missing[0]["reason"])
    if missing:
        pd.DataFrame(missing).to_csv(out / "missing.csv", index=False)
    else:
        (out / "missing.csv").unlink(missing_ok=True)


def write_table(
    out: Path,
    name: str,
    frame: pd.DataFrame,
    *,
    text: str = "",
    titles: Mapping[str, str] = _NONE,
    number: str = ".3f",
    float_format: str | None = None,
) -> None:
    """Write a table as ``NAME.csv`` and, see `markdown_table`, as ``NAME.md``; smoke (`mark_scale`) is said above it.

    Parameters
    ----------
    text
        Stands above the Markdown table.
    float_format
        Of numbers in the CSV file; default: all digits.
    """
    if "scale" in frame and (frame["scale"] == "smoke").any():
        text = "\n\n".join(part for part in (SMOKE, text) if part)
    frame.to_csv(out / f"{name}.csv", index=False, float_format=float_format)
    above = f"{text}\n\n" if text else ""
    (out / f"{name}.md").write_text(above + markdown_table(frame, titles=titles, number=number), encoding="utf-8")


def write_manifest(out: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``manifest.json``: what a study ran on, with which settings."""
    with write_whole(out / "manifest.json") as part:
        part.write_text(json.dumps(dict(manifest), indent=1) + "\n", encoding="utf-8")
