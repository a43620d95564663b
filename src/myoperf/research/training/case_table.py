"""Tables of the user's own patients: CSV, one row per case, paths relative to the table."""

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from myoperf.errors import InputError

PARTS = ("train", "validation", "test")
_LABELS: Mapping[str, int | None] = MappingProxyType({"": None, "0": 0, "1": 1, "0.0": 0, "1.0": 1})
"""What a label may say: spreadsheets and pandas write 1.0 where some labels of the column are empty."""


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
        Existing file or folder by column, of the columns that hold paths and are not empty.
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
        if text not in _LABELS:
            raise InputError(f"{self.where}: {column} must be 0 or 1 (empty where it is not known).")
        return _LABELS[text]


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
        Of the table and of all its files and folders, so that a model's card shows which data it was trained on.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    sha256: str


def read_table(
    path: Path, *, needs: Sequence[str], files: Sequence[str], folders: Sequence[str] = (), once: bool = True
) -> Table:
    """Read a CSV table with the column patient and, if it has one, split (train, validation, test).

    Parameters
    ----------
    needs
        Columns that must be there and filled in every row.
    files
        Columns that hold paths, relative to the table.
    folders
        Those of `files` whose paths may be folders.
    once
        Whether a patient may have one row only; otherwise all rows of a patient must be in one part of the split.

    Raises
    ------
    InputError
        When the table cannot be read, lacks a column or rows, or a row is incomplete, names a file that is not there,
        repeats a patient or has another patient's file; the message names the line.
    """
    names, lines = read_rows(path)
    missing = [name for name in ("patient", *needs) if name not in names]
    if missing:
        raise InputError(f"{path.name} lacks the column {missing[0]}; expected {', '.join(('patient', *needs))}.")
    rows = tuple(_row(path, line, values, needs) for line, values in lines)
    if not rows:
        raise InputError(f"{path.name} has no rows; expected one per case.")
    rows = tuple(_with_files(path.parent, row, files, folders) for row in rows)
    first: dict[str, TableRow] = {}
    for row in rows:
        earlier = first.setdefault(row.patient, row)
        if once and earlier is not row:
            raise InputError(
                f"{row.where}: the patient of line {earlier.line} occurs again; expected one row per patient."
            )
        if earlier.split != row.split:
            raise InputError(f"{row.where}: the patient of line {earlier.line} is in another part of the split.")
    return Table(name=path.name, columns=tuple(names), rows=rows, sha256=_fingerprint(path, rows))


def _fingerprint(path: Path, rows: Sequence[TableRow]) -> str:
    """Return the SHA-256 of a table and its files; refuse a file that two patients share, which a split would leak."""
    mark, owner = hashlib.sha256(path.read_bytes()), dict[tuple[str, bytes], TableRow]()
    for row in rows:
        for name, file in row.files.items():
            try:
                digest = _digest(file)
            except OSError as error:
                raise InputError(f"{row.where}: {name} cannot be read ({type(error).__name__}).") from error
            mark.update(digest)
            earlier = owner.setdefault((name, digest), row)
            if earlier.patient != row.patient:
                raise InputError(
                    f"{row.where}: {name} is the same as in line {earlier.line}, of another patient; expected each "
                    "patient's own."
                )
    return mark.hexdigest()


def _digest(path: Path) -> bytes:
    """Return the SHA-256 of a file, or of the names and files of a folder."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).digest()
    mark = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        mark.update(file.relative_to(path).as_posix().encode() + b"\0" + _digest(file))
    return mark.digest()


def read_rows(path: Path) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    """Return the names of a CSV file's columns, in lower case, and (line, text by name) of each row that is not empty.

    Raises
    ------
    InputError
        When the file is not CSV in UTF-8, is separated by something else than commas, has a column twice, or has a row
        of more or fewer cells than columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = [name.strip().lower() for name in next(reader, [])]
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path.name} cannot be read as a table ({type(error).__name__}); expected CSV, UTF-8."
        ) from error
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise InputError(f"{path.name} is separated by semicolons or tabs; expected commas.")
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise InputError(f"{path.name} has the column {twice[0]} twice; expected it once.")
    rows = [(line, cells) for line, cells in lines if any(cells)]
    for line, cells in rows:
        if len(cells) != len(names):
            raise InputError(
                f"{path.name}, line {line}: {len(cells)} cells, but the table has {len(names)} columns; a comma is "
                "missing, or stands inside a cell without quotes."
            )
    return tuple(name for name in names if name), [
        (line, {name: cell for name, cell in zip(names, cells, strict=True) if name}) for line, cells in rows
    ]


def _row(path: Path, line: int, values: dict[str, str], needs: Sequence[str]) -> TableRow:
    """Return a row, its files still to be found; refuse one that lacks what it needs."""
    where, split = f"{path.name}, line {line}", values.get("split", "").lower()
    empty = [name for name in ("patient", *needs) if not values[name]]
    if empty:
        raise InputError(f"{where}: {empty[0]} must not be empty.")
    if split and split not in PARTS:
        raise InputError(f"{where}: split is {', '.join(PARTS)} or empty.")
    cells = {name: text for name, text in values.items() if name not in ("patient", "split")}
    return TableRow(where=where, line=line, patient=values["patient"], split=split, cells=cells, files={})


def _with_files(root: Path, row: TableRow, files: Sequence[str], folders: Sequence[str]) -> TableRow:
    """Return a row with the paths that its columns hold; refuse one that is not there."""
    found = {name: root / row.cells[name] for name in files if row.cells.get(name)}
    for name, path in found.items():
        if not (path.is_file() or (name in folders and path.is_dir())):
            raise InputError(
                f"{row.where}: the file of the column {name} is not there; paths are relative to the table."
            )
    return replace(row, files=found)
