"""Tables of what each paper consists of and how it is met: of every page about a paper."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from tables.layout import markdown

DOCS = Path(__file__).parents[1]
STATUS = ("exact", "differs", "absent")


def components(name: str) -> str:
    """Return a paper's components; fails where a row names no test that is there, or no difference.

    What is called exact names a test function, so that the word does not outlive the code that it describes.
    """
    rows = pd.read_csv(DOCS / "components" / f"{name}.csv", dtype=str, keep_default_na=False)
    for row in rows.to_dict("records"):
        if row["status"] not in STATUS or (row["status"] == "differs" and not row["how"]):
            raise ValueError(f"{name}.csv: {row['component']!r} needs a status of {STATUS}, and how it differs.")
        if row["status"] == "exact" and "::" not in row["test"]:
            raise ValueError(f"{name}.csv: {row['component']!r} is called exact; name the test that shows it.")
        if row["test"] and not exists(row["test"]):
            raise ValueError(f"{name}.csv: the test {row['test']} does not exist.")
    head = ("kind", "component", "here", "how, why", "test")
    return markdown(
        head,
        (
            [row["kind"], row["component"], row["status"], row["how"], link(row["test"])]
            for row in rows.to_dict("records")
        ),
    )


def exists(test: str) -> bool:
    """Whether a file of tests, and the test in it, is there."""
    path, _, function = test.partition("::")
    file = DOCS.parent / path
    return file.is_file() and (
        not function or bool(re.search(rf"^def {function}\(", file.read_text("utf-8"), re.MULTILINE))
    )


def link(test: str) -> str:
    """Return a link to a test's file, shown by the file's name."""
    path = test.partition("::")[0]
    return f"[{Path(path).stem}](../{path})" if test else "-"


def ms_st_unet() -> str:
    """Return the components of Ni et al. 2023."""
    return components("ms_st_unet")


def two_stage() -> str:
    """Return the components of Hai et al. 2022."""
    return components("two_stage")


def label_strategies() -> str:
    """Return the components of Hajianfar et al. 2025."""
    return components("label_strategies")


def multi_branch_mit() -> str:
    """Return the components of Zhao et al. and Xie et al."""
    return components("multi_branch_mit")
