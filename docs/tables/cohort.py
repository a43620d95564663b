"""Tables of cohort.md."""

from __future__ import annotations

import pandas as pd

from tables.layout import RESULTS, markdown, read

STUDIES = 1_000_000
DAYS = 7.0
PRICES = {"core_hour": 0.04, "gb_month": 0.02}
"""Assumed prices in US dollars: a core of a cloud machine for an hour, a gigabyte of object storage for a month."""
PARQUET_BYTES, CSV_BYTES = 2_500, 6_000
"""Assumed size of a study's row in the table, as Parquet and as CSV."""


NOT_MEASURED = "Not measured yet: `python benchmarks/cohort_throughput.py` writes the figures."


def throughput() -> str:
    """Return what each part of the measurement cost."""
    if not _measured():
        return NOT_MEASURED
    head = ("", "studies", "seconds a study", "processor seconds a study", "studies an hour", "largest worker, MB",
            "bytes a study", "processor")  # fmt: skip
    rows = []
    for row in read("cohort_throughput").to_dict("records"):
        sizes = ("" if pd.isna(row[name]) else f"{row[name]:.0f}" for name in ("peak_mb", "bytes_a_study"))
        seconds = (f"{row[name]:.2f}" for name in ("seconds_a_study", "cpu_seconds_a_study"))
        rows.append([row["part"], row["studies"], *seconds, f"{row['studies_an_hour']:.0f}", *sizes, row["processor"]])
    return markdown(head, rows)


def _measured() -> bool:
    return (RESULTS / "cohort_throughput.csv").is_file()


def ratios() -> str:
    """Return how throughput grows with the workers, and how a study's cost compares with the cold commands."""
    if not _measured():
        return NOT_MEASURED
    table = read("cohort_throughput").set_index("part")
    one, two = table.loc["cohort, 1 worker"], table.loc["cohort, 2 workers"]
    rows = [["throughput with 2 workers / with 1", f"{one.seconds_a_study / two.seconds_a_study:.2f}", "at least 1.8"]]
    for version, wish in (("0.1.0", "at least 6"), ("this version", "")):
        cold = table.loc[f"analyze, cold, {version}"]
        rows += [
            [f"time of `myoperf analyze` of {version} / a study of the cohort (2 workers)",
             f"{cold.seconds_a_study / two.seconds_a_study:.1f}", wish],
            [f"processor time of `myoperf analyze` of {version} / a study of the cohort (2 workers)",
             f"{cold.cpu_seconds_a_study / two.cpu_seconds_a_study:.1f}", ""],
        ]  # fmt: skip
    rows.append(["largest worker, MB", f"{two.peak_mb:.0f}", "at most 1200"])
    return markdown(("", "measured", "wish"), rows)


def memory() -> str:
    """Return the largest worker's memory over the run of two workers, by tenths of its samples."""
    if not _measured():
        return NOT_MEASURED
    table = read("cohort_memory")
    table = table[table.workers == 2].reset_index(drop=True)
    rows = []
    for tenth in range(10):
        part = table.iloc[tenth * len(table) // 10 : (tenth + 1) * len(table) // 10]
        if len(part):
            largest = part.largest_worker_mb
            rows.append([f"{10 * tenth} to {10 * tenth + 10} %", f"{largest.median():.0f}", f"{largest.max():.0f}"])
    return markdown(("part of the run", "largest worker, median MB", "largest worker, most MB"), rows)


def million() -> str:
    """Return cores, memory, storage and cost of a million studies, from the measured figures."""
    if not _measured():
        return NOT_MEASURED
    two = read("cohort_throughput").set_index("part").loc["cohort, 2 workers"]
    core_hours = STUDIES * 2.0 * two.seconds_a_study / 3600.0
    cores = core_hours / (24.0 * DAYS)
    gigabytes = STUDIES * two.bytes_a_study / 1e9
    table = STUDIES * (PARQUET_BYTES + CSV_BYTES) / 1e9
    rows = [
        ["core hours", f"{core_hours:,.0f}", "2 cores x seconds a study of the run with two workers"],
        [f"cores for {DAYS:.0f} days", f"{cores:,.0f}", "no core idle"],
        ["memory", f"{cores * two.peak_mb / 1000.0:,.0f} GB", "cores x largest worker"],
        ["results", f"{gigabytes:,.0f} GB", "JSON only; bytes a study as measured, without the blocks of the disk"],
        ["tables", f"{table:,.1f} GB", f"assumed {CSV_BYTES} bytes a row as CSV, {PARQUET_BYTES} as Parquet"],
        ["cost of computing", f"${core_hours * PRICES['core_hour']:,.0f}", f"${PRICES['core_hour']} a core hour"],
        ["cost of storage", f"${gigabytes * PRICES['gb_month']:,.0f} a month", f"${PRICES['gb_month']} a GB and month"],
    ]
    return markdown(("", "a million studies", "how"), rows)
