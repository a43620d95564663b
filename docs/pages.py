"""Fill the tables of the pages in docs/ from the files in docs/results that commands wrote.

    python docs/pages.py                 fill every page
    python docs/pages.py function lv     fill these pages
    python docs/pages.py --check         change nothing; fail if a page differs from what its files give

A page holds a table between two comments. The first says what belongs there, in one of two ways::

    <!-- table: results/stats_speed.csv -->              every column of the file
    <!-- table: results/stats_speed.csv
    where: patients == 100
    job: {job}
    median, ms: {myoperf_ms:.1f}
    -->                                                  rows that a pandas query selects; a line for each column,
                                                         with Python's format of the file's columns
    <!-- table: function.pet -->                         what the function ``pet`` of docs/tables/function.py
                                                         returns

and the second, ``<!-- end -->``, closes it. What stands between them is replaced.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from pathlib import Path

import pandas as pd
from tables.layout import markdown

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(<!-- table: (\S+)(.*?)-->\n).*?(<!-- end -->)", re.DOTALL)
FIELD = re.compile(r"{([^}:]+)(:[^}]*)?}")


def table_of_file(path: Path, settings: str) -> str:
    """Return the table of a CSV file, with the columns and rows that the settings name; say so if nothing is in it."""
    rows, columns = pd.read_csv(path), {}
    if rows.empty:
        return "Not measured yet."
    for line in filter(None, settings.strip().splitlines()):
        title, form = line.split(": ", 1)
        if title == "where":
            rows = rows.query(form)
        else:
            columns[title] = form
    columns = columns or {name.replace("_", " "): f"{{{name}}}" for name in rows}
    return markdown(list(columns), ([cell(form, row) for form in columns.values()] for row in rows.to_dict("records")))


def cell(form: str, row: dict[str, object]) -> str:
    """Return a cell; empty where a value in it is missing."""
    if any(pd.isna(row[name]) for name, _ in FIELD.findall(form)):
        return ""

    def written(match: re.Match[str]) -> str:
        value = row[match[1]]
        return format(value, (match[2] or ":")[1:] or ("g" if isinstance(value, float) else ""))

    return FIELD.sub(written, form)


def fill(text: str) -> str:
    """Return a page's text with every table filled."""

    def block(match: re.Match[str]) -> str:
        start, source, settings, end = match.groups()
        if source.endswith(".csv"):
            table = table_of_file(DOCS / source, settings)
        else:
            module, function = source.split(".")
            table = getattr(importlib.import_module(f"tables.{module}"), function)()
        return f"{start}{table}\n{end}"

    return BLOCK.sub(block, text)


def main() -> None:
    """Fill or check pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="*", help="name of a page without .md; every page if none is given")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a page differs")
    given = parser.parse_args()
    differing = []
    for path in [DOCS / f"{name}.md" for name in given.page] or sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        filled = fill(text)
        if filled != text:
            differing.append(path.name)
            if not given.check:
                path.write_text(filled, encoding="utf-8")
    if given.check and differing:
        sys.exit(f"Not what docs/results gives: {', '.join(differing)}. Run python docs/pages.py.")


if __name__ == "__main__":
    main()
