"""Tables of one's own patients: a row a case, paths relative to the table."""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from myoperf.errors import InputError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """One case of a table.

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
    """The cases of a table.

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
        When the table cannot be read, lacks a column, names a file that is not there or a patient twice, or holds
        another label or part of the split; the message names the line.
    """
    names, lines = _read(path)
    missing = [name for name in ("patient", "picture", *(("label",) if labelled else ())) if name not in names]
    if missing:
        raise InputError(f"{path.name} lacks the column {missing[0]}; expected patient, picture, label.")
    rows = tuple(_row(path, line, values, labelled=labelled) for line, values in lines)
    if not rows:
        raise InputError(f"{path.name} has no rows; expected one a case.")
    first: dict[str, int] = {}
    for row in rows:
        if first.setdefault(row.patient, row.line) != row.line:
            raise InputError(
                f"{path.name}, line {row.line}: the patient of line {first[row.patient]} again; expected one row each."
            )
    mark = hashlib.sha256(path.read_bytes())
    for row in rows:
        mark.update(hashlib.sha256(row.picture.read_bytes()).digest())
    return CaseTable(rows=rows, sha256=mark.hexdigest())


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


def _row(path: Path, line: int, values: dict[str, str], *, labelled: bool) -> CaseRow:
    where = f"{path.name}, line {line}"
    label, split = values.get("label", ""), values.get("split", "").lower()
    if not values["patient"]:
        raise InputError(f"{where}: patient must not be empty.")
    if label not in ("0", "1") and (labelled or label):
        raise InputError(f"{where}: label must be 0 or 1.")
    if split and split not in PARTS:
        raise InputError(f"{where}: split is {', '.join(PARTS)} or empty.")
    picture = path.parent / values["picture"]
    if not values["picture"] or not picture.is_file():
        raise InputError(f"{where}: the file of the column picture is not there; paths are relative to the table.")
    return CaseRow(
        line=line, patient=values["patient"], picture=picture, label=int(label) if label else None, split=split
    )
