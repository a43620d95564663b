"""Stacks of one's own patients: studies that MyoPerf reads, report pages, or the public SPECT-MPI set."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from myoperf.errors import InputError, MyoPerfError
from myoperf.io import read_studies
from myoperf.pipeline import Models, Options, analyze, load_models
from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.screenshots.report_pictures import read_report_picture
from myoperf.research.slice_stacks import stacks_from_results
from myoperf.research.slice_transformer.spect_mpi import ORDER, find_spect_mpi, read_spect_mpi
from myoperf.research.training.case_table import Table, TableRow, read_table
from myoperf.research.training.splits import given_split
from myoperf.types import Float32

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnCases:
    """Patients that could be read.

    Attributes
    ----------
    stacks
        (patients, views, planes, rows, columns).
    patients, labels, parts
        (patients,): names; 0 or 1, or -1 where it is not known; part of the split, or empty.
    sha256
        Of the data.
    refused
        Columns line and reason.
    """

    stacks: Float32
    patients: NDArray[np.str_]
    labels: NDArray[np.int64]
    parts: NDArray[np.str_]
    sha256: str
    refused: pd.DataFrame

    def split(self) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
        """Return training and held-out rows by the split that the data have; None where they have none.

        The validation part trains nothing and is not held out: no epoch is chosen.

        Raises
        ------
        InputError
            When only some patients have a part, nobody is in train or test, or one of these has one class.
        """
        parts = given_split(self.parts.tolist())
        if parts is None:
            return None
        for part in ("train", "test"):
            if set(self.labels[parts[part]].tolist()) != {0, 1}:
                raise InputError(f"Both labels, 0 and 1, are needed in train and test; {part} has one.")
        return parts["train"], parts["test"]


def read_own_cases(
    data: Path,
    shape: Shape,
    *,
    labelled: bool = True,
    order: tuple[str, str] | None = None,
    scale: Anchors | None = None,
) -> OwnCases:
    """Read the public set's folder, or a table of one's own patients.

    Parameters
    ----------
    data
        Folder of the public SPECT-MPI set, or a CSV table: patient, picture (a report page) or study (anything that
        ``myoperf analyze`` reads, with stress or rest known), label (0 or 1) and, optionally, split.
    shape
        (planes, rows, columns) of the stacks.
    labelled
        Whether every row of a table needs a label.
    order, scale
        Of report pages, where they are not recognised.

    Raises
    ------
    InputError
        For a table that cannot be used, or when no case can be read.
    """
    if not data.is_file():
        return _public_cases(data, shape, order=order, scale=scale)
    table = _read_table(data, labelled=labelled)
    cut = _stack_cutter(shape)
    stacks, read, refused = [], list[TableRow](), list[tuple[int, str]]()
    for row in table.rows:
        try:
            if "picture" in row.files:
                stacks.append(
                    read_report_picture(row.files["picture"], shape=shape, order=order, scale=scale).stacks.array()
                )
            else:
                stacks.append(cut(row.files["study"]))
            read.append(row)
        except MyoPerfError as error:
            refused.append((row.line, str(error)))
    if not read:
        raise InputError(f"None of {len(table.rows)} cases could be read; the first: {refused[0][1]}")
    labels = [row.label("label") for row in read]
    return OwnCases(
        stacks=np.stack(stacks).astype(np.float32),
        patients=np.array([row.patient for row in read]),
        labels=np.array([-1 if label is None else label for label in labels], dtype=np.int64),
        parts=np.array([row.split for row in read]),
        sha256=table.sha256,
        refused=pd.DataFrame(refused, columns=["line", "reason"]),
    )


def _read_table(data: Path, *, labelled: bool) -> Table:
    """Read the table and check that each row has a page or a study, which may be a folder."""
    table = read_table(data, needs=("label",) if labelled else (), files=("picture", "study"), folders=("study",))
    if not {"picture", "study"} & set(table.columns):
        raise InputError(
            f"{table.name} lacks the column picture (or study); expected patient, picture or study, label."
        )
    for row in table.rows:
        row.label("label")
        if len(row.files) != 1:
            raise InputError(f"{row.where}: expected a path in one of the columns picture and study.")
    return table


def _stack_cutter(shape: Shape) -> Callable[[Path], Float32]:
    """Return the function that analyses a study and cuts its stacks; networks are loaded with the first."""
    models = list[Models]()

    def cut(path: Path) -> Float32:
        models.extend([] if models else [load_models()])
        study = read_studies(path).studies[0]
        report = analyze(study, models[0], Options(interval_draws=0))
        scored = set((report.scores.scans if report.scores else {}).values())
        results = [result for result in report.results if not scored or result.name in scored]
        return stacks_from_results(results, shape=shape).array().astype(np.float32)

    return cut


def _public_cases(data: Path, shape: Shape, *, order: tuple[str, str] | None, scale: Anchors | None) -> OwnCases:
    """Read the SPECT-MPI set; pictures that cannot be read are left out."""
    public = find_spect_mpi(data)
    pictures, refused = read_spect_mpi(public, shape=shape, order=order or ORDER, scale=scale)
    if not pictures:
        raise InputError(f"None of {len(refused)} pictures could be read; myoperf data fetch spect-mpi gives reasons.")
    mark = hashlib.sha256(b"".join(hashlib.sha256(public.pictures[p].read_bytes()).digest() for p in pictures))
    return OwnCases(
        stacks=np.stack([picture.stacks.array() for picture in pictures.values()]).astype(np.float32),
        patients=np.array([str(patient) for patient in pictures]),
        labels=np.array([public.truth[patient] for patient in pictures], dtype=np.int64),
        parts=np.array([public.part[patient] for patient in pictures]),
        sha256=mark.hexdigest(),
        refused=pd.DataFrame({"line": range(len(refused)), "reason": "see myoperf data fetch spect-mpi"}),
    )
