"""What paper 002's study learns from: simulated stress maps, or screens of a workstation with a class a patient."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.phantom.fast import image_model
from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth_polar
from myoperf.polar import disc_image
from myoperf.research.polar_classifier.cases import image_state
from myoperf.research.screenshots.screen_folder import LABELS, LabelledScreen, ReadScreens, ScreenFolder, read_screens
from myoperf.types import PolarMap

__all__ = [
    "GIVEN",
    "LEAST_PATIENTS",
    "SIMULATED",
    "Discs",
    "describe_given",
    "draw_discs",
    "given_discs",
    "require_patients",
    "simulated_discs",
    "split",
]

SIMULATED, GIVEN = "simulated patients", "pictures of the folder given"
"""What tables and manifest call the data."""

LEAST_PATIENTS = 10
"""Of each class in a folder of screens: fewer leave less than two in the test part."""


@dataclass(frozen=True, eq=False)
class Discs:
    """Grey discs at one size with the rows of each part.

    Attributes
    ----------
    discs
        (n, side, side) from 0 to 1.
    labels
        (n,), that of the patient.
    parts
        Rows by name: train, validation, test and, of simulated patients, fresh; all of a patient in one of them.
    patients
        (n,), whose disc it is.
    refused
        Pictures of a folder that were left out.
    """

    discs: NDArray[np.float32]
    labels: NDArray[np.int64]
    parts: Mapping[str, NDArray[np.int64]]
    patients: NDArray[np.str_]
    refused: int = 0

    @property
    def judged(self) -> tuple[str, ...]:
        """Parts that nothing is trained on."""
        return tuple(part for part in ("test", "fresh") if part in self.parts)

    def names(self, part: str) -> list[str]:
        """Give the patients of a part, each once, in the order of their first disc."""
        return list(dict.fromkeys(self.patients[self.parts[part]].tolist()))

    def by_patient(self, part: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the mean of each patient's discs, in the order of `names`."""
        place = {name: i for i, name in enumerate(self.names(part))}
        owner = np.asarray([place[name] for name in self.patients[self.parts[part]].tolist()])
        mean: NDArray[np.float64] = np.bincount(owner, weights=values) / np.bincount(owner)
        return mean

    def truth(self, part: str) -> list[int]:
        """Give each patient's label, in the order of `names`."""
        return [int(label) for label in self.by_patient(part, self.labels[self.parts[part]].astype(np.float64))]


def split(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Split patients 64/16/20 within each class into training, validation and test rows."""
    rng, parts = np.random.default_rng(seed), ([], [], [])  # type: ignore[var-annotated]
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        test, valid = ceil(0.2 * rows.size), ceil(0.16 * rows.size)
        for part, chosen in zip(parts, (rows[test + valid :], rows[test : test + valid], rows[:test]), strict=True):
            part.extend(chosen.tolist())
    train, valid_rows, test_rows = (np.sort(np.asarray(p, dtype=np.int64)) for p in parts)
    return train, valid_rows, test_rows


def draw_discs(
    diseased: int, healthy: int, size: int, seed: int, *, imaged: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw simulated stress maps as grey discs, (n, size, size) from 0 to 1, and their labels.

    Labels: angiography, per patient.

    Parameters
    ----------
    imaged
        By the fast image-space model with attenuation corrected, as 002's were, and unrolled on the known ventricle
        with an error of pose; otherwise perfusion as it is, a little blurred and with noise.
    """
    left, discs, labels = [healthy, diseased], [], []
    index = 0
    while sum(left):
        rng = np.random.default_rng((seed, index))
        index += 1
        patient = draw_patient(rng)
        label = ica_labels(patient.coronary)["patient"]
        if not left[label]:
            continue
        left[label] -= 1
        if imaged:
            values = image_state(patient, rng, replace(image_model("spect", rng), attenuated=0.0), "stress")
        else:
            known = truth_polar(patient, "stress", 24, 72)
            values = ndimage.gaussian_filter(known, (1.5, 3.0), mode=("nearest", "wrap"))
            values = np.maximum(values + ndimage.gaussian_filter(rng.normal(0.0, 0.15, values.shape), (1.0, 2.0)), 0.0)
        polar = PolarMap(values / values.max(), np.zeros((24, 72, 3)), np.ones((24, 72)))
        discs.append(np.nan_to_num(disc_image(polar, size)))
        labels.append(label)
    return np.stack(discs).astype(np.float32), np.asarray(labels)


def simulated_discs(
    diseased: int, healthy: int, fresh: int, *, side: int, seed: int, imaged: bool, folder: Path
) -> Discs:
    """Draw simulated patients and `fresh` more of each class, or read those kept in a folder by a run that stopped."""
    path = folder / f"discs-{side}.npz"
    if not path.exists():
        discs, labels = draw_discs(diseased, healthy, side, seed, imaged=imaged)
        more, more_labels = draw_discs(fresh, fresh, side, 900_000 + seed, imaged=imaged)
        _keep(path, discs=discs, labels=labels, more=more, more_labels=more_labels)
    with np.load(path) as kept:
        discs, labels, more, more_labels = (kept[k] for k in ("discs", "labels", "more", "more_labels"))
    train, valid, test = split(labels, seed)
    rest = np.arange(len(labels), len(labels) + len(more_labels))
    return Discs(
        np.concatenate([discs, more]),
        np.concatenate([labels, more_labels]),
        {"train": train, "validation": valid, "test": test, "fresh": rest},
        np.arange(len(labels) + len(more_labels)).astype(np.str_),
    )


def given_discs(found: ScreenFolder, *, side: int, seed: int, out: Path, quiet: bool = True) -> Discs:
    """Read the screens of a folder, or the discs that a run that stopped kept; split them by patient.

    What is no screen is listed with the reason in ``refused.csv`` of the study's folder and left out.

    Raises
    ------
    InputError
        When fewer than `LEAST_PATIENTS` of a class remain.
    """
    path = out / "jobs" / f"discs-{side}.npz"
    if not path.exists():
        with Progress(console=Console(stderr=True), disable=quiet) as bar:
            task = bar.add_task("reading screens", total=None)
            read = read_screens(
                found, size=side, report=lambda done, total: bar.update(task, completed=done, total=total)
            )
        _write_refused(out / "refused.csv", read)
        require_patients(read.screens, "of the pictures that could be read; refused.csv names the others and why")
        place = {screen: row for row, screen in enumerate(found.screens)}
        _keep(path, discs=read.discs, rows=np.asarray([place[screen] for screen in read.screens]))
    with np.load(path) as kept:
        discs, rows = kept["discs"], kept["rows"]
    screens = [found.screens[row] for row in rows]
    label_of = {screen.patient: screen.label for screen in screens}
    names = list(label_of)
    owners = np.asarray([screen.patient for screen in screens])
    parts = {
        part: np.flatnonzero(np.isin(owners, [names[i] for i in chosen]))
        for part, chosen in zip(
            ("train", "validation", "test"), split(np.asarray(list(label_of.values())), seed), strict=True
        )
    }
    labels = np.asarray([screen.label for screen in screens])
    return Discs(discs, labels, parts, owners, refused=len(found.screens) - len(screens))


def describe_given(data: Discs) -> dict[str, Any]:
    """Say for the manifest what was read of a folder."""
    patients = {part: len(data.names(part)) for part in data.parts}
    return {"data": GIVEN, "pictures": len(data.discs), "refused": data.refused, "patients": patients}


def require_patients(screens: Sequence[LabelledScreen], which: str = f"in {LABELS}") -> None:
    """Check that there are patients enough to split.

    Raises
    ------
    InputError
        When there are fewer than `LEAST_PATIENTS` of a class.
    """
    without, diseased = (len({s.patient for s in screens if s.label == label}) for label in (0, 1))
    if min(without, diseased) < LEAST_PATIENTS:
        raise InputError(
            f"At least {LEAST_PATIENTS} patients of each class are needed; {diseased} with label 1 and {without} with "
            f"label 0 are {which}."
        )


def _write_refused(path: Path, read: ReadScreens) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("patient", "file", "map", "reason"))
        table.writerows((s.patient, s.file, s.place, reason) for s, reason in read.refused.items())


def _keep(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write arrays so that a half-written file is never taken for a whole one."""
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, allow_pickle=False, **arrays)
    part.replace(path)
