"""The public SPECT-MPI set in a folder: pictures of reports, and a table of labels.

Layout: folders TrainSet and TestSet of JPEG files named after the patients' numbers, and a table GroundTruth with
the columns ``# Patients``, ``Evaluation`` (Normal, or what is abnormal) and ``Set Distribution``. Source: Kaplan
Berkaya et al., Comput Biol Med 2020;123:103893; columns as users of the set describe them, not seen by MyoPerf.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.research.screenshots.report_pictures import ReportPicture, read_report_picture

__all__ = ["PATIENTS", "SpectMpi", "find_spect_mpi", "read_spect_mpi"]

PATIENTS = {"normal": 42, "abnormal": 150}
"""Patients of the whole set."""

_TABLE, _NUMBER, _LABEL, _PART = "GroundTruth", "# Patients", "Evaluation", "Set Distribution"
_FOLDERS = ("TrainSet", "TestSet")


@dataclass(frozen=True)
class SpectMpi:
    """What a folder of the set holds.

    Attributes
    ----------
    pictures
        Patient's number -> picture, in the order of the numbers.
    truth
        Patient's number -> 0 normal, 1 abnormal.
    part
        Patient's number -> "train", "validation" or "test", as the table says.
    """

    pictures: dict[str, Path]
    truth: dict[str, int]
    part: dict[str, str]


def find_spect_mpi(folder: Path) -> SpectMpi:
    """Find the set's pictures and labels, and check that they belong together.

    Raises
    ------
    InputError
        When folders, pictures or labels are missing or disagree; the message says which.
    """
    folders = {p.name.lower(): p for p in sorted(folder.rglob("*")) if p.is_dir()}
    missing = [name for name in _FOLDERS if name.lower() not in folders]
    if missing:
        raise InputError(f"The SPECT-MPI folder needs TrainSet and TestSet; {' and '.join(missing)} was not found.")
    pictures: dict[str, Path] = {}
    for name in _FOLDERS:
        for path in sorted(folders[name.lower()].iterdir()):
            if path.suffix.lower() in (".jpg", ".jpeg"):
                if path.stem in pictures:
                    raise InputError(f"Picture {path.name} lies in both folders; every patient must occur once.")
                pictures[path.stem] = path
    rows = _rows(folder)
    unknown, without = pictures.keys() - rows.keys(), rows.keys() - pictures.keys()
    if not pictures or unknown or without:
        raise InputError(
            f"Pictures and labels must be of the same patients; {len(pictures)} pictures and {len(rows)} labels came, "
            f"{len(unknown)} pictures have no label and {len(without)} labels no picture."
        )
    order = sorted(pictures)
    return SpectMpi(
        {key: pictures[key] for key in order},
        {key: int(rows[key][_LABEL].strip().lower() != "normal") for key in order},
        {key: rows[key][_PART].strip().lower() for key in order},
    )


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    """Read the table of labels: patient's number -> row."""
    tables = [p for p in sorted(folder.rglob("*")) if p.stem.lower() == _TABLE.lower() and p.is_file()]
    texts = [p for p in tables if p.suffix.lower() == ".csv"]
    if texts:
        with texts[0].open(newline="", encoding="utf-8-sig") as file:
            records: list[dict[str, Any]] = list(csv.DictReader(file))
    elif tables:
        records = _sheet(tables[0])
    else:
        raise InputError(f"The table of labels was not found; {_TABLE}.csv, .xls or .xlsx was expected.")
    if not records or not {_NUMBER, _LABEL, _PART} <= set(records[0]):
        raise InputError(f"The table of labels needs the columns {_NUMBER}, {_LABEL} and {_PART}.")
    numbered = ((str(r[_NUMBER] or "").strip().removesuffix(".0"), r) for r in records)
    return {n: {name: str(r[name] or "") for name in (_LABEL, _PART)} for n, r in numbered if n.isdigit() and r[_LABEL]}


def _sheet(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    try:
        sheet = pd.read_excel(path, dtype=str)
    except ImportError as error:
        raise InputError(
            f"{path.name} is an Excel sheet, which needs a reader that is not installed; save it as {_TABLE}.csv."
        ) from error
    return [{str(k): v for k, v in row.items()} for row in sheet.fillna("").to_dict("records")]


def read_spect_mpi(
    found: SpectMpi, *, shape: tuple[int, int, int] = (32, 96, 96), report: Callable[[int, int], None] | None = None
) -> tuple[dict[str, ReportPicture], dict[str, str]]:
    """Read every picture.

    Parameters
    ----------
    shape
        (planes, rows, columns) of every stack.
    report
        Called with (pictures done, pictures in all).

    Returns
    -------
    Patient's number -> picture read, and patient's number -> reason, of those that could not be read.
    """
    read: dict[str, ReportPicture] = {}
    refused: dict[str, str] = {}
    for done, (key, path) in enumerate(found.pictures.items()):
        try:
            read[key] = read_report_picture(path, shape=shape)
        except (InputError, UnsupportedInputError) as error:
            refused[key] = str(error)
        if report is not None:
            report(done + 1, len(found.pictures))
    return read, refused
