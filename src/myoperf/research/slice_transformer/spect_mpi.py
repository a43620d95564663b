"""The public SPECT-MPI set in a folder: pictures of reports, and a table of labels.

Layout: folders TrainSet and TestSet of JPEG files named after the patients' numbers, and a table GroundTruth with
the columns ``# Patients``, ``Evaluation`` (Normal, or what is abnormal) and ``Set Distribution``. Source: Kaplan
Berkaya et al., Comput Biol Med 2020;123:103893, doi:10.1016/j.compbiomed.2020.103893. The columns are those that users
of the set describe; MyoPerf has not been run on the set itself.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.screenshots.pictures import SUFFIXES
from myoperf.research.screenshots.report_pictures import ReportPicture, read_report_picture

PATIENTS = {"normal": 42, "abnormal": 150}
"""Number of patients in the whole set."""

_TABLE, _NUMBER, _LABEL, _PART = "GroundTruth", "# Patients", "Evaluation", "Set Distribution"
_FOLDERS = ("TrainSet", "TestSet")
ORDER = ("hla", "vla")
"""Of the long axes below the short axis: the set's layout, as its users measured it. The shapes of the slices need not
tell them apart, as they may not with bright gut beside the heart."""


@dataclass(frozen=True)
class SpectMpi:
    """Pictures and labels in a folder of the set.

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
        When folders, pictures or labels are missing or do not match; the message says which.
    """
    folders = {p.name.lower(): p for p in sorted(folder.rglob("*")) if p.is_dir()}
    missing = [name for name in _FOLDERS if name.lower() not in folders]
    if missing:
        raise InputError(f"The SPECT-MPI folder needs TrainSet and TestSet; {' and '.join(missing)} is missing.")
    pictures: dict[str, Path] = {}
    for name in _FOLDERS:
        for path in sorted(folders[name.lower()].iterdir()):
            if path.suffix.lower() in SUFFIXES:
                if path.stem in pictures:
                    raise InputError(f"Picture {path.name} is in both folders; every patient must occur once.")
                pictures[path.stem] = path
    rows = _rows(folder)
    unknown, without = pictures.keys() - rows.keys(), rows.keys() - pictures.keys()
    if not pictures or unknown or without:
        raise InputError(
            f"Pictures and labels must match by patient: {len(unknown)} of {len(pictures)} pictures lack a label, "
            f"{len(without)} of {len(rows)} labels lack a picture."
        )
    order = sorted(pictures)
    return SpectMpi(
        {key: pictures[key] for key in order},
        {key: int(rows[key][_LABEL].strip().lower() != "normal") for key in order},
        {key: _part(rows[key][_PART]) for key in order},
    )


def _part(word: str) -> str:
    """Return which part of the official split a word of the table means (Train, Training, Validation, Test ...)."""
    for start, part in (("train", "train"), ("val", "validation"), ("test", "test")):
        if word.strip().lower().startswith(start):
            return part
    raise InputError(
        f"The column {_PART} of the table of labels holds Train, Validation or Test; got {word.strip()!r}."
    )


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    """Read the table of labels: patient's number -> row; lines of totals are left out."""
    tables = [p for p in sorted(folder.rglob("*")) if p.stem.lower() == _TABLE.lower() and p.is_file()]
    if not tables:
        raise InputError(f"There is no table of labels; {_TABLE}.csv, .xls or .xlsx was expected.")
    path = next((p for p in tables if p.suffix.lower() == ".csv"), tables[0])
    try:
        read = pd.read_csv if path.suffix.lower() == ".csv" else pd.read_excel
        table = read(path, dtype=str).fillna("")
    except ImportError as error:
        raise InputError(
            f"{path.name} is an Excel sheet, which needs a reader that is not installed; save it as {_TABLE}.csv."
        ) from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path.name} cannot be read as a table ({type(error).__name__}); save it as {_TABLE}.csv, UTF-8."
        ) from error
    if not {_NUMBER, _LABEL, _PART} <= set(table.columns):
        raise InputError(f"The table of labels needs the columns {_NUMBER}, {_LABEL} and {_PART}.")
    numbers = table[_NUMBER].str.strip().str.removesuffix(".0")
    kept = table[numbers.str.isdigit() & (table[_LABEL] != "")]
    return dict(zip(numbers[kept.index], kept[[_LABEL, _PART]].to_dict("records"), strict=True))


def read_spect_mpi(
    mpi: SpectMpi,
    *,
    shape: tuple[int, int, int] = (32, 96, 96),
    order: tuple[str, str] | None = ORDER,
    scale: Anchors | None = None,
    report: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, ReportPicture], dict[str, str]]:
    """Read every picture of the set.

    Parameters
    ----------
    shape
        (planes, rows, columns) of every stack.
    order, scale
        As in `read_report_picture`; the set's own layout and, recognised by its colours, scale.
    report
        Called with (pictures done, pictures in all).

    Returns
    -------
    Patient's number -> picture, of those that can be read, and patient's number -> reason, of the others.
    """
    read: dict[str, ReportPicture] = {}
    refused: dict[str, str] = {}
    for done, (key, path) in enumerate(mpi.pictures.items()):
        try:
            read[key] = read_report_picture(path, shape=shape, order=order, scale=scale)
        except (InputError, UnsupportedInputError) as error:
            refused[key] = str(error)
        if report is not None:
            report(done + 1, len(mpi.pictures))
    return read, refused
