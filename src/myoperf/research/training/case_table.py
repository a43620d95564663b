"""Tables of one's own patients: CSV, a row a case, paths relative to the table."""

import csv
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from myoperf.errors import InputError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row of a table, its files found and its patient and split checked.

    Attributes
    ----------
    where
        Name of the table and line in the file, from 1: errors name it, never the patient.
    split
        One of `PARTS`, or empty.
    cells
        Text of every other column by its name in lower case; empty where nothing is known.
    files
        Existing file by column, of the columns that hold paths and are not empty.
    """

    where: str
    line: int
    patient: str
    split: str
    cells: Mapping[str, str]
    files: Mapping[str, Path]

    def number(self, column: str) -> float | None:
        """Return a finite number, or None where the cell is empty or the column absent; InputError for other text."""
        text = self.cells.get(column, "")
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not math.isfinite(value):
            raise InputError(f"{self.where}: {column} must be a number or empty; got other text.")
        return value

    def label(self, column: str) -> int | None:
        """Return 0 or 1, or None where the cell is empty or the column absent; InputError for anything else."""
        text = self.cells.get(column, "")
        if text not in ("", "0", "1"):
            raise InputError(f"{self.where}: {column} must be 0 or 1 (empty where it is not known).")
        return int(text) if text else None


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of a table.

    Attributes
    ----------
    name
        Of the file.
    columns
        In lower case.
    sha256
        Of the table and of all its files, so that a card tells data apart.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    sha256: str


def read_table(path: Path, *, needs: Sequence[str], files: Sequence[str], once: bool = True) -> Table:
    """Read a CSV table with the column patient and, if it has one, split (train, validation, test).

    Parameters
    ----------
    needs
        Columns that must be there and filled in every row.
    files
        Columns that hold paths, relative to the table.
    once
        Whether a patient may have one row only; otherwise all rows of a patient must be in one part of the split.

    Raises
    ------
    InputError
        When the table cannot be read, lacks a column or rows, or a row is incomplete, names a file that is not there or
        repeats a patient; the message names the line.
    """
    names, lines = _read(path)
    missing = [name for name in ("patient", *needs) if name not in names]
    if missing:
        raise InputError(f"{path.name} lacks the column {missing[0]}; expected {', '.join(('patient', *needs))}.")
    rows = tuple(_row(path, line, values, needs, files) for line, values in lines)
    if not rows:
        raise InputError(f"{path.name} has no rows; expected one a case.")
    first: dict[str, TableRow] = {}
    for row in rows:
        earlier = first.setdefault(row.patient, row)
        if once and earlier is not row:
            raise InputError(f"{row.where}: the patient of line {earlier.line} again; expected one row each.")
        if earlier.split != row.split:
            raise InputError(f"{row.where}: the patient of line {earlier.line} in another part of the split.")
    mark = hashlib.sha256(path.read_bytes())
    for row in rows:
        for file in row.files.values():
            mark.update(hashlib.sha256(file.read_bytes()).digest())
    return Table(name=path.name, columns=tuple(names), rows=rows, sha256=mark.hexdigest())


def _read(path: Path) -> tuple[Sequence[str], list[tuple[int, dict[str, str]]]]:
    """Return the names of the columns, in lower case, and (line, values by name)."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            names = {str(name): str(name).strip().lower() for name in reader.fieldnames or ()}
            lines = [
                (reader.line_num, {short: str(row[name]).strip() for name, short in names.items()}) for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path.name} cannot be read as a table ({type(error).__name__}); expected CSV, UTF-8."
        ) from error
    return list(names.values()), lines


def _row(path: Path, line: int, values: dict[str, str], needs: Sequence[str], files: Sequence[str]) -> TableRow:
    where, split = f"{path.name}, line {line}", values.get("split", "").lower()
    empty = [name for name in ("patient", *needs) if not values[name] and name not in files]
    if empty:
        raise InputError(f"{where}: {empty[0]} must not be empty.")
    if split and split not in PARTS:
        raise InputError(f"{where}: split is {', '.join(PARTS)} or empty.")
    found = {}
    for name in files:
        if not values.get(name) and name not in needs:
            continue
        found[name] = path.parent / values[name]
        if not values[name] or not found[name].is_file():
            raise InputError(f"{where}: the file of the column {name} is not there; paths are relative to the table.")
    cells = {name: text for name, text in values.items() if name not in ("patient", "split")}
    return TableRow(where=where, line=line, patient=values["patient"], split=split, cells=cells, files=found)


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """One patient with a picture.

    Attributes
    ----------
    line
        In the file, from 1: errors name it, never the patient.
    picture
        Existing file.
    label
        0 or 1; None where the table has none.
    split
        One of `PARTS`, or empty.
    """

    line: int
    patient: str
    picture: Path
    label: int | None
    split: str


@dataclass(frozen=True, kw_only=True)
class CaseTable:
    """The patients of a table of pictures.

    Attributes
    ----------
    sha256
        Of the table and of all its files, so that a card tells data apart.
    """

    rows: tuple[CaseRow, ...]
    sha256: str


def read_case_table(path: Path, *, labelled: bool) -> CaseTable:
    """Read a CSV table with the columns patient and picture, and label (0 or 1) and split where it has them.

    Parameters
    ----------
    labelled
        Whether every row needs a label.

    Raises
    ------
    InputError
        See `read_table`; also for a label that is neither 0 nor 1.
    """
    table = read_table(path, needs=("picture", *(("label",) if labelled else ())), files=("picture",))
    rows = [
        CaseRow(
            line=row.line,
            patient=row.patient,
            picture=row.files["picture"],
            label=row.label("label"),
            split=row.split,
        )
        for row in table.rows
    ]
    return CaseTable(rows=tuple(rows), sha256=table.sha256)
