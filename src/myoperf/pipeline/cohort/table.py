"""The cohort's table: ``cohort.csv`` and ``cohort.parquet``, made from the rows beside each study's results."""

import csv
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from myoperf.pipeline.cohort.rows import HEAD, STUDIES, TAIL, Row, read_rows
from myoperf.pipeline.jobs import write_whole
from myoperf.text import table_cell

TABLE, PARQUET = "cohort.csv", "cohort.parquet"
_BATCH = 4096


def write_tables(out: Path) -> tuple[Path, ...]:
    """Write the tables of a cohort's folder from its finished studies; return their paths.

    Rows are in the order of the studies' folders and are read one by one, so that memory does not grow with the
    cohort. The Parquet file, with the same columns, is written where the package pyarrow is installed.
    """
    columns = _columns(out)
    with write_whole(out / TABLE) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([table_cell(row.get(column)) for column in columns] for row in iterate_rows(out))
    if find_spec("pyarrow") is None:
        return (out / TABLE,)
    with write_whole(out / PARQUET) as part:
        _write_parquet(out, columns, part)
    return out / TABLE, out / PARQUET


def iterate_rows(out: Path) -> Iterator[Row]:
    """Yield the rows of a cohort's finished studies, by the name of their folder."""
    for folder in sorted(path for path in (out / STUDIES).glob("*") if path.suffix != ".part"):
        finished = read_rows(folder)
        if finished is not None:
            yield from finished.rows


def _columns(out: Path) -> dict[str, bool]:
    """Return the table's columns in their order, and whether each holds numbers."""
    numeric: dict[str, bool] = {}
    for row in iterate_rows(out):
        for column, cell in row.items():
            numeric[column] = numeric.get(column, True) and not isinstance(cell, str)
    middle = [column for column in numeric if column not in (*HEAD, *TAIL)]
    texts = set(HEAD) - {"age_years"} | {"findings"}
    return {column: column not in texts and numeric.get(column, True) for column in (*HEAD, *middle, *TAIL)}


def _write_parquet(out: Path, columns: dict[str, bool], path: Path) -> None:
    """Write the rows as Parquet, a batch at a time."""
    import pyarrow as pa  # an extra of the package
    import pyarrow.parquet as pq

    kinds: dict[bool, Any] = {True: pa.float64(), False: pa.string()}
    schema = pa.schema([(column, kinds[numeric]) for column, numeric in columns.items()])
    rows = iterate_rows(out)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(islice(rows, _BATCH)):
            writer.write_table(pa.Table.from_pylist([dict(row) for row in batch], schema=schema))
