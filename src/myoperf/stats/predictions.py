"""The predictions file of ``myoperf evaluate``, read strictly: nothing is guessed, shifted or renamed.

One row per patient (or per vessel, with a column ``vessel``): ``patient``, ``truth`` (0 or 1) and one column of
probabilities per model. A patient called NA is a patient; a row with a cell too many is refused, not shifted.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.types import Float

_NOT_MODELS = ("patient", "truth", "vessel")
_GROUPS = ("all", "patient")
_MISSING = ("", "nan", "na", "n/a", "null", "none")


@dataclass(frozen=True, eq=False)
class Predictions:
    """The probabilities that models assign to patients, and the truth.

    Parameters
    ----------
    patient
        (rows,) identifiers.
    truth
        (rows,) 0 or 1.
    vessel
        (rows,) names, or None for one row per patient.
    models
        Names.
    probability
        (models, rows), each from 0 to 1.
    """

    patient: NDArray[np.str_]
    truth: NDArray[np.int64]
    vessel: NDArray[np.str_] | None
    models: tuple[str, ...]
    probability: NDArray[np.float64]

    @property
    def vessels(self) -> tuple[str, ...]:
        """Names of the vessels in the order of the file; none for one row per patient."""
        return () if self.vessel is None else tuple(dict.fromkeys(self.vessel.tolist()))

    @property
    def has_both(self) -> bool:
        """Whether there are rows with and without disease."""
        return bool(0 < self.truth.sum() < self.truth.size)

    def of_vessel(self, name: str) -> Predictions:
        """Return the rows of one vessel, one per patient."""
        if self.vessel is None:
            raise InputError("These predictions have no vessels.")
        rows = self.vessel == name
        return Predictions(self.patient[rows], self.truth[rows], None, self.models, self.probability[:, rows])

    def of_patients(self) -> Predictions:
        """Return one row per patient: diseased when any vessel is, probability the highest of the vessels'.

        A patient with a missing vessel is left out, as the patient's truth is not known.
        """
        names, index, count = np.unique(self.patient, return_inverse=True, return_counts=True)
        truth = np.zeros(names.size, dtype=np.int64)
        np.maximum.at(truth, index, self.truth)
        probability = np.zeros((len(self.models), names.size))
        for values, best in zip(self.probability, probability, strict=True):
            np.maximum.at(best, index, values)
        whole = count == max(len(self.vessels), 1)
        return Predictions(names[whole], truth[whole], None, self.models, probability[:, whole])


def read_predictions(path: Path) -> Predictions:
    """Read and check a predictions file.

    Raises
    ------
    InputError
        When it is not a CSV file, lacks a column, has one twice, holds a missing or impossible value, repeats a patient
        (or a patient's vessel), or has one class only.
    """
    return _check_columns(path, _read_columns(path))


def _check_columns(path: Path, columns: Mapping[str, tuple[str, ...]]) -> Predictions:
    """Return the predictions in the columns of a file."""
    for name in ("patient", "truth"):
        if name not in columns:
            raise InputError(
                f"{path.name} lacks the column '{name}'; expected patient, truth and one column per model, separated "
                f"by commas; got {', '.join(columns)[:80]}."
            )
    models = tuple(name for name in columns if name not in _NOT_MODELS)
    if not models:
        raise InputError(
            f"{path.name} has no model: expected one column of probabilities per model besides patient and truth."
        )
    for name in _NOT_MODELS:
        if "" in columns.get(name, ()):
            advice = "; leave those rows out (myoperf predict writes known.csv), or see --unverified"
            raise InputError(f"{path.name} has empty cells in column '{name}'{advice if name == 'truth' else ''}.")
    truth = _numbers(path, "truth", columns["truth"])
    if not np.isin(truth, (0, 1)).all() or np.unique(truth).size < 2:
        raise InputError(f"{path.name}: truth must be 0 or 1, with both present.")
    probability = np.array([_numbers(path, name, columns[name]) for name in models])
    for name, row in zip(models, probability, strict=True):
        if not ((row >= 0) & (row <= 1)).all():
            raise InputError(f"{path.name}: probabilities must lie between 0 and 1; those of '{name}' do not.")
    patient, vessel = columns["patient"], columns.get("vessel")
    if vessel is not None and set(vessel) & set(_GROUPS):
        raise InputError(
            f"{path.name}: no vessel may be called 'all' or 'patient'; the tables use these names for groups of rows."
        )
    keys = list(zip(patient, vessel, strict=True)) if vessel is not None else list(patient)
    if len(set(keys)) < len(keys):
        raise InputError(f"{path.name}: each {'patient and vessel' if vessel else 'patient'} may occur only once.")
    return Predictions(
        np.array(patient, dtype=str),
        truth.astype(np.int64),
        None if vessel is None else np.array(vessel, dtype=str),
        models,
        probability,
    )


@dataclass(frozen=True, eq=False)
class PartlyVerified:
    """Predictions of patients some of whom had no reference test.

    Parameters
    ----------
    verified
        Those of the patients with a truth.
    truth
        Shape (patients,): NaN where there was no reference test.
    probability
        Shape (models, patients).
    covariates
        Shape (patients, columns); None without.
    """

    verified: Predictions
    truth: Float
    probability: Float
    covariates: Float | None


def read_partly_verified(path: Path, covariates: Sequence[str] = ()) -> PartlyVerified:
    """Read a predictions file whose truth is empty where a patient had no reference test.

    Parameters
    ----------
    path
        As of `read_predictions`, one row a patient.
    covariates
        Columns of numbers on which verification depends in addition to the test; they are no models.

    Raises
    ------
    InputError
        As of `read_predictions`; where a covariate is missing, there is a column of vessels, or no truth is empty.
    """
    columns = dict(_read_columns(path))
    absent = [name for name in ("patient", "truth", *covariates) if name not in columns]
    if absent:
        raise InputError(f"{path.name} lacks the column '{absent[0]}'; got {', '.join(columns)[:80]}.")
    if "vessel" in columns:
        raise InputError(f"{path.name} has a column 'vessel'; the correction for verification needs one row a patient.")
    known = np.array([cell.lower() not in _MISSING for cell in columns["truth"]])
    if known.all():
        raise InputError(f"{path.name}: every patient has a truth, so there is nothing to correct.")
    values = [_numbers(path, name, columns.pop(name)) for name in covariates]
    held = {name: tuple(cell for cell, k in zip(cells, known, strict=True) if k) for name, cells in columns.items()}
    verified = _check_columns(path, held)
    truth = np.full(known.size, np.nan)
    truth[known] = verified.truth
    probability = np.array([_numbers(path, name, columns[name]) for name in verified.models])
    if not ((probability >= 0) & (probability <= 1)).all():
        raise InputError(f"{path.name}: probabilities must lie between 0 and 1.")
    return PartlyVerified(verified, truth, probability, np.column_stack(values) if values else None)


def read_factors(path: Path, models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read the factors of each model: a column ``model``, then one column per factor, such as ``network``.

    Returns
    -------
    Factor -> its level for every model, in the order of `models`. Factors of one level only are left out.

    Raises
    ------
    InputError
        When a model is missing or occurs twice, or no factor has two levels.
    """
    columns = _read_columns(path)
    if "model" not in columns:
        raise InputError(f"{path.name} lacks the column 'model'; expected model and one column per factor.")
    place = {name: row for row, name in enumerate(columns["model"])}
    if len(place) < len(columns["model"]):
        raise InputError(f"{path.name}: each model may occur only once.")
    absent = [name for name in models if name not in place]
    if absent:
        raise InputError(f"{path.name} has no row for '{absent[0]}'; every model of the predictions needs one.")
    factors = {
        name: tuple(cells[place[model]] for model in models) for name, cells in columns.items() if name != "model"
    }
    factors = {name: levels for name, levels in factors.items() if len(set(levels)) > 1}
    if not factors:
        raise InputError(f"{path.name} has no factor of two levels or more.")
    return factors


def _read_columns(path: Path) -> Mapping[str, tuple[str, ...]]:
    """Read a CSV file's cells by column; every row must have as many as the header."""
    if not path.is_file():
        raise InputError(f"{path.name or path} is not a file.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file, strict=True) if any(row)]
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not a readable CSV file (it is not text in UTF-8).") from error
    except (OSError, csv.Error) as error:
        raise InputError(f"{path.name} is not a readable CSV file ({type(error).__name__}).") from error
    if not rows:
        raise InputError(f"{path.name} is not a readable CSV file (it is empty).")
    header, *body = rows
    if len(header) < 2:
        raise InputError(f"{path.name} has one column only; expected columns separated by commas.")
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise InputError(f"{path.name} has two columns '{twice[0]}'.")
    if "" in header:
        raise InputError(f"{path.name} has a column without a name (an index?); name it or remove it.")
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise InputError(f"{path.name}: row {number} has {len(row)} cells, the header {len(header)}.")
    if not body:
        raise InputError(f"{path.name} has a header and no rows.")
    return dict(zip(header, zip(*body, strict=True), strict=True))


def _numbers(path: Path, name: str, cells: Sequence[str]) -> NDArray[np.float64]:
    """Turn cells into numbers; true and false count as 1 and 0."""
    words = {"true": 1.0, "false": 0.0}
    out = np.empty(len(cells))
    for row, cell in enumerate(cells):
        word = cell.lower()
        if word in _MISSING:
            raise InputError(
                f"{path.name} has empty cells (row {row + 1}, column '{name}'); every row needs a truth and a "
                "probability from every model."
            )
        try:
            out[row] = words[word] if word in words else float(cell)
        except ValueError:
            raise InputError(f"{path.name}: column '{name}' is not numeric (row {row + 1}).") from None
    return out
