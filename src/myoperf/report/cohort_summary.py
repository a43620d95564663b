"""``summary.html`` of a cohort: one self-contained page to see what came out and where to look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import jinja2
import pandas as pd

from myoperf.quantities import Quantity
from myoperf.report import cohort_numbers as numbers
from myoperf.report.cohort_charts import agreement_chart, distribution_chart
from myoperf.report.content import RESEARCH_BAND, SIMULATED_BAND
from myoperf.report.svg import to_svg
from myoperf.version import __version__

_MOST_ROWS = 5000
"""Studies that the page lists; of larger cohorts the failed and the outlying ones come first."""
_MOST_NAMES = 5
_NUMBERS_OF_A_STUDY = ("sss", "sds", "tpd_stress_percent", "tid_ratio", "stress.lvef_percent", "rest.lvef_percent")
_TEXTS = {"study": str, "folder": str, "patient_id": str, "reason": str, "findings": str, "camera": str, "tracer": str}


@dataclass(frozen=True, kw_only=True)
class StudyLink:
    """A study's name and where its result lies, relative to the page; no address where nothing was written."""

    name: str
    address: str


def write_cohort_summary(table: Path, page: Path) -> Path:
    """Write the summary of a cohort's table; links are relative to the table's folder. Return the page's path."""
    page.write_text(render_cohort_summary(read_cohort_table(table), table.parent), encoding="utf-8")
    return page


def read_cohort_table(table: Path) -> pd.DataFrame:
    """Read ``cohort.csv``, without the columns of intervals, segments and gates, which the summary does not need."""

    def needed(column: str) -> bool:
        return not column.endswith(("_lo", "_hi")) and not column.rpartition(".")[2].isdigit()

    frame = pd.read_csv(table, dtype=_TEXTS, usecols=needed, low_memory=False)
    return frame.astype({"sex": object, "category": object, "normal_limits": object})


def render_cohort_summary(table: pd.DataFrame, folder: Path) -> str:
    """Return the page's text; `folder` is the cohort's, where the results that it links to lie."""
    analysed = table[table["status"] == "ok"].reset_index(drop=True)
    failed = table[table["status"] != "ok"]
    outlying = numbers.outliers(analysed)
    links = {row: _link(analysed.loc[row], folder) for row in dict.fromkeys(one.row for one in outlying)}
    simulated = analysed["camera"].fillna("").str.contains("simulated", case=False).any()
    charts = [
        (to_svg(distribution_chart(one), f"Distribution of {one.quantity.label}"), one.quantity)
        for one in numbers.distributions(analysed)
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("myoperf.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    listed, left_out = _listed(table, analysed, outlying, folder)
    return environment.get_template("cohort.html.j2").render(
        version=__version__,
        research_band=RESEARCH_BAND,
        simulated_band=SIMULATED_BAND if simulated else "",
        facts=_facts(table, analysed, failed),
        charts=charts,
        failures=_failures(failed, folder),
        findings=[(code, n, n / max(len(analysed), 1)) for code, n in numbers.count_words(list(analysed["findings"]))],
        outliers=[(links[one.row], one) for one in outlying],
        agreements=[
            (to_svg(agreement_chart(one), f"{one.quantity.label}: stress against rest"), one)
            for one in numbers.agreements(analysed)
        ],
        group_heads=[heading for heading, _, _ in numbers.group_columns(analysed)],
        groups=numbers.groups(analysed),
        study_heads=[heading for heading, _ in _study_columns(table)],
        studies=listed,
        left_out=left_out,
    )


def _facts(table: pd.DataFrame, analysed: pd.DataFrame, failed: pd.DataFrame) -> list[tuple[str, str]]:
    """Describe the cohort in a few lines."""

    def words(column: str) -> str:
        return ", ".join(f"{name} ({n})" for name, n in analysed[column].fillna("not known").value_counts().items())

    facts = [
        (
            "Studies",
            f"{len(table)} stud{'y' if len(table) == 1 else 'ies'}: {len(analysed)} analysed, {len(failed)} failed",
        )
    ]
    for title, column in (
        ("Sex", "sex"),
        ("Camera", "camera"),
        ("Tracer", "tracer"),
        ("Normal limits", "normal_limits"),
    ):
        if len(analysed):
            facts.append((title, words(column)))
    ages, seconds, memory = (analysed[name].dropna() for name in ("age_years", "seconds", "memory_mb"))
    if len(ages):
        facts.append(("Age", f"median {ages.median():.0f} years ({ages.min():.0f} to {ages.max():.0f})"))
    if len(seconds):
        facts.append(("Time", f"median {seconds.median():.1f} s a study, at most {seconds.max():.1f} s"))
    if len(memory):
        facts.append(("Memory", f"at most {memory.max():.0f} MB a process"))
    return facts


def _failures(failed: pd.DataFrame, folder: Path) -> list[tuple[str, int, list[str], int]]:
    """Group the failures by reason, the most frequent first: reason, number, some of the studies, how many more."""
    found = []
    for reason, part in failed.groupby(failed["reason"].fillna("no reason recorded"), sort=False):
        names = list(part["study"])
        found.append((str(reason), len(part), names[:_MOST_NAMES], max(0, len(part) - _MOST_NAMES)))
    return sorted(found, key=lambda entry: -entry[1])


def _study_columns(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return heading and column of the numbers in the list of studies."""
    found = []
    for q in numbers.shown_quantities(table):
        for state, column in numbers.columns_of(q, table):
            if column in _NUMBERS_OF_A_STUDY:
                found.append((f"{q.label}, {state}" if state else q.label, column))
    return found


def _listed(
    table: pd.DataFrame, analysed: pd.DataFrame, outlying: Sequence[numbers.Outlier], folder: Path
) -> tuple[list[tuple[StudyLink, str, list[str], str]], int]:
    """List the studies, each with a link, its status, numbers and findings; and how many are left out."""
    worth_a_look = set(analysed.loc[[one.row for one in outlying], "study"])
    first = (table["status"] != "ok") | table["study"].isin(worth_a_look)
    chosen = table if len(table) <= _MOST_ROWS else pd.concat([table[first], table[~first]]).head(_MOST_ROWS)
    by_column: Mapping[str, Quantity] = {
        column: q for q in numbers.shown_quantities(table) for _, column in numbers.columns_of(q, table)
    }
    columns = [column for _, column in _study_columns(table)]
    rows = []
    for _, row in chosen.iterrows():
        cells = ["" if pd.isna(row[c]) else f"{row[c]:.{by_column[c].digits}f}" for c in columns]
        words = "" if pd.isna(row["findings"]) else str(row["findings"]).replace(";", ", ")
        status = "" if row["status"] == "ok" else f"failed: {row['reason']}"
        rows.append((_link(row, folder), status, cells, words))
    return rows, len(table) - len(chosen)


def _link(row: pd.Series, folder: Path) -> StudyLink:
    """Return the link to a study's report, or to its numbers where no page was written."""
    name, inner = str(row["study"]), str(row["folder"])
    for file in ("report.html", "report.pdf", "results.json"):
        if (folder / inner / file).is_file():
            return StudyLink(name=name, address=quote(f"{inner}/{file}"))
    return StudyLink(name=name, address="")
