"""One's own patients for the label strategies: maps, clinical values, and labels by angiography, an expert, or both."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.research.label_strategies.cohort import CohortSize, StudyCohort
from myoperf.research.label_strategies.roles import Roles, assign_roles
from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.screenshots.polar_files import read_polar_disc
from myoperf.research.training.case_table import TableRow, read_table
from myoperf.research.training.splits import given_split
from myoperf.types import VESSELS, State

TEST_SHARE, VALIDATION_SHARE = 100 / 281, 40 / 281
"""Of the patients with angiography, as in the paper, where the table has no split."""
LEAST_ANGIOGRAPHY = 8
_CLINICAL = (("age", "years", 1.0, 120.0), ("height", "metres", 0.5, 2.5), ("weight", "kilograms", 10.0, 400.0))
"""Column, unit and range of the clinical values: outside it, another unit was meant."""


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnCohort:
    """Patients of a table that could be read.

    Attributes
    ----------
    cohort
        Those with angiography first, then those that an expert alone read.
    splits
        Part of the split of each, or empty.
    sha256
        Of the table and its files.
    refused
        Columns line and reason.
    """

    cohort: StudyCohort
    splits: tuple[str, ...]
    sha256: str
    refused: pd.DataFrame

    def roles(self, seed: int) -> Roles:
        """Deal the patients to the parts of the study: by the table's split, or by the paper's shares.

        Raises
        ------
        InputError
            For too few patients with angiography, or a part of which all patients or none are diseased.
        """
        known = (self.cohort.ica >= 0).all(axis=1)
        n, expert = int(known.sum()), int((~known).sum())
        if n < LEAST_ANGIOGRAPHY:
            raise InputError(f"At least {LEAST_ANGIOGRAPHY} patients with ica_LAD, ica_LCX and ica_RCA; got {n}.")
        parts = given_split(self.splits[:n])
        if parts is None:
            test, validation = round(TEST_SHARE * n), max(1, round(VALIDATION_SHARE * n))
            size = CohortSize(train=n - test - validation, validation=validation, test=test, expert=expert, fresh=0)
            roles = assign_roles(self.cohort.ica[:n], size, seed)
        else:
            if "validation" not in parts:
                raise InputError("The column split needs patients with angiography in validation; an epoch is chosen.")
            roles = Roles(parts["train"], parts["validation"], parts["test"], np.arange(n, n + expert))
        diseased = self.cohort.ica[roles.test].max(axis=1)
        if diseased.min() == diseased.max():
            raise InputError("The test part needs patients with and without a diseased artery; it has one kind.")
        return roles


def read_own_cohort(path: Path, *, side: int, labelled: bool = True, scale: Anchors | None = None) -> OwnCohort:
    """Read a table of patients, their maps as discs.

    Parameters
    ----------
    path
        CSV with the columns patient; stress and rest (pictures, NumPy maps, ``NAME_polar.npz`` or ``results.json``;
        rest may be left out); ica_LAD, ica_LCX, ica_RCA, expert_LAD, expert_LCX, expert_RCA (0, 1, or empty where not
        known; of each kind all three or none); age (years), sex (M, F, 1 or 0), weight (kg), height (m), each possibly
        empty; and, optionally, split of the patients with angiography: those that an expert alone read train.
    side
        Rows and columns of the discs.
    labelled
        Whether every patient needs labels by angiography or an expert.
    scale
        Colours of pictures, where they are not recognised.

    Raises
    ------
    InputError
        For a table that cannot be used, or when no patient can be read.
    """
    table = read_table(path, needs=("stress",), files=("stress", "rest"))
    rows, maps, refused = list[TableRow](), list[list[NDArray[np.float32]]](), list[tuple[int, str]]()
    both = all("rest" in row.files for row in table.rows)
    states: tuple[State, ...] = ("stress", "rest") if both else ("stress",)
    clinical, labels = [_clinical(row) for row in table.rows], [_labels(row, labelled) for row in table.rows]
    kept = []
    for index, row in enumerate(table.rows):
        try:
            maps.append([read_polar_disc(row.files[s], size=side, state=s, scale=scale) for s in states])
        except InputError as error:
            refused.append((row.line, str(error)))
            continue
        rows.append(row)
        kept.append(index)
    if not rows:
        raise InputError(f"None of {len(table.rows)} patients could be read; the first: {refused[0][1]}")
    # Stable: patients with angiography before the others, in the table's order.
    order = sorted(range(len(rows)), key=lambda i: (labels[kept[i]][0] < 0).any())

    cohort = StudyCohort(
        stress=np.stack([maps[i][0] for i in order]),
        rest=np.stack([maps[i][1] for i in order]) if both else None,
        clinical=np.asarray([clinical[kept[i]] for i in order], np.float32),
        ica=np.stack([labels[kept[i]][0] for i in order]),
        expert=np.stack([labels[kept[i]][1] for i in order]),
        names=np.array([rows[i].patient for i in order]),
        fresh=np.zeros(0, np.int64),
        drawn=True,
    )
    splits = tuple(rows[i].split for i in order)
    return OwnCohort(
        cohort=cohort, splits=splits, sha256=table.sha256, refused=pd.DataFrame(refused, columns=["line", "reason"])
    )


def _labels(row: TableRow, labelled: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return labels by angiography and by the expert, (3,) each, -1 where not known."""
    found = []
    for kind in ("ica", "expert"):
        values = [row.label(f"{kind}_{vessel}".lower()) for vessel in VESSELS]
        if values.count(None) not in (0, 3):
            raise InputError(f"{row.where}: {kind}_LAD, {kind}_LCX and {kind}_RCA are all known or all empty.")
        found.append(np.array([-1 if value is None else value for value in values], np.int64))
    if labelled and (found[0] < 0).any() and row.split == "test":
        raise InputError(f"{row.where}: a patient without labels by angiography trains; the split cannot be test.")
    if labelled and (found[0] < 0).any() and (found[1] < 0).any():
        raise InputError(f"{row.where}: a patient needs labels by angiography (ica_...) or by an expert (expert_...).")
    return found[0], found[1]


def _clinical(row: TableRow) -> tuple[float, float, float, float]:
    """Return sex (1 man, 0 woman), age, height, weight; NaN where not known."""
    sex = {"": np.nan, "m": 1.0, "1": 1.0, "f": 0.0, "0": 0.0}.get(row.cells.get("sex", "").lower())
    if sex is None:
        raise InputError(f"{row.where}: sex is M or F (1 or 0), or empty.")
    values = []
    for name, unit, low, high in _CLINICAL:
        value = row.number(name)
        if value is not None and not low <= value <= high:
            raise InputError(f"{row.where}: {name} is in {unit}; got a number outside {low:g} to {high:g}.")
        values.append(np.nan if value is None else value)
    age, height, weight = values
    return sex, age, height, weight
