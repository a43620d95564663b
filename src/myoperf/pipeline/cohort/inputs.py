"""Which studies a cohort has: one for each entry of a folder, or for each row of a CSV file."""

import csv
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from myoperf.errors import InputError
from myoperf.pipeline.normals import patient_folders
from myoperf.text import printable
from myoperf.types import Sex, State

COLUMNS = ("path", "study", "state", "sex", "limits")
"""Columns of a cohort's CSV file; only ``path`` is required."""
_FILES = (".dcm", ".nii", ".nii.gz", ".zip")
_MAX_BYTES = 120
_MOST_SHOWN = 200
"""Characters of a table's header in a message: a file that is no table may be one long line."""


@dataclass(frozen=True, kw_only=True)
class StudyInput:
    """One entry of a cohort.

    Attributes
    ----------
    name
        Of the study in the table: the file's or folder's own name, or the row's ``study``.
    path
        File or folder that holds the study.
    state, sex
        Given for files that do not say them.
    limits
        Folder of normal limits for this study, in place of the cohort's.
    """

    name: str
    path: Path
    state: State | None = None
    sex: Sex | None = None
    limits: Path | None = None

    @property
    def folder_name(self) -> str:
        """Name of the folder of the study's results."""
        return safe_name(self.name)

    def choices(self) -> dict[str, str | None]:
        """Return what was given for this study, as JSON can hold it: a change makes an earlier result invalid."""
        return {"state": self.state, "sex": self.sex, "limits": None if self.limits is None else self.limits.name}


def safe_name(name: str) -> str:
    """Return a name made safe for every file system.

    A name that had to be changed ends in eight digits of its hash, so that different names stay different.
    """
    safe = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).strip("._-").removesuffix(".part")
    safe = safe.encode("utf-8")[:_MAX_BYTES].decode("utf-8", errors="ignore")
    if safe and safe == name:
        return safe
    mark = hashlib.sha256(name.encode("utf-8", errors="surrogateescape")).hexdigest()[:8]
    return f"{safe or 'study'}-{mark}"


def list_inputs(source: Path) -> tuple[StudyInput, ...]:
    """Return the studies of a folder or a CSV file, by name.

    Parameters
    ----------
    source
        A folder: each of its sub-folders is a study, and so is each ``.dcm``, ``.nii``, ``.nii.gz`` and ``.zip`` file
        in it; a simulated cohort holds its patients'. Or a CSV file with the columns `COLUMNS`; its paths are relative
        to it.

    Raises
    ------
    InputError
        When there is no study, or a row of the CSV file cannot be used.
    """
    if source.is_file() and source.suffix.lower() == ".csv":
        inputs = _from_csv(source)
    elif source.is_dir():
        files = [file for file in source.iterdir() if file.is_file() and file.name.lower().endswith(_FILES)]
        folders = patient_folders(source) if not files or any(one.is_dir() for one in source.iterdir()) else ()
        inputs = [StudyInput(name=path.name, path=path) for path in (*folders, *files) if not path.name.startswith(".")]
    else:
        raise InputError(f"{source.name} is neither a folder of studies nor a CSV file with a column path.")
    _check_names(inputs)
    return tuple(sorted(inputs, key=lambda one: one.name))


def _from_csv(source: Path) -> list[StudyInput]:
    """Read the rows of a CSV file."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or (), [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{source.name} is no CSV file in UTF-8.") from None
    unknown = [column for column in columns if column not in COLUMNS]
    if "path" not in columns or unknown:
        allowed, got = ", ".join(COLUMNS[1:]), printable(", ".join(columns))[:_MOST_SHOWN] or "none"
        raise InputError(
            f"{source.name} needs a column path and may have {allowed}, separated by commas; its columns are {got}."
        )
    if not rows:
        raise InputError(f"{source.name} has no rows; expected one for each study.")
    return [_from_row(row, source, line) for line, row in rows]


def _from_row(row: Mapping[str | None, str | None], source: Path, line: int) -> StudyInput:
    """Check one row of a CSV file."""
    cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
    where = f"{source.name}, line {line}"
    if None in row:  # where csv puts the cells that have no column
        raise InputError(f"{where}: more cells than columns; put a path or name that holds a comma between quotes.")
    path = source.parent / cells["path"]
    if not cells["path"] or not _exists(path):
        raise InputError(f"{where}: the path does not exist; paths are relative to the CSV file.")
    if cells["state"] not in ("", "stress", "rest"):
        raise InputError(f"{where}: state is stress, rest or empty.")
    if cells["sex"] not in ("", "M", "F"):
        raise InputError(f"{where}: sex is M, F or empty.")
    limits = source.parent / cells["limits"] if cells["limits"] else None
    if limits is not None and not (_exists(limits) and limits.is_dir()):
        raise InputError(f"{where}: limits is a folder of normal limits, or empty; there is no such folder.")
    return StudyInput(
        name=cells["study"] or path.name,
        path=path,
        state=cast(State, cells["state"]) if cells["state"] else None,
        sex=cast(Sex, cells["sex"]) if cells["sex"] else None,
        limits=limits,
    )


def _exists(path: Path) -> bool:
    """Whether a path of a table exists; one that no system can hold does not."""
    try:
        return path.exists()
    except OSError:
        return False


def _check_names(inputs: list[StudyInput]) -> None:
    """Raise where two studies would write into one folder (names may differ in case only)."""
    counts = Counter(one.folder_name.casefold() for one in inputs)
    double = next((one.name for one in inputs if counts[one.folder_name.casefold()] > 1), None)
    if double is not None:
        raise InputError(f"Two studies are named {double!r}; give each its own name in the CSV file's column study.")
