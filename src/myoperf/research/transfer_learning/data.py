"""Pictures to learn from: simulated stress maps, or screens of a workstation with a class a patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from myoperf.errors import InputError
from myoperf.phantom.fast import image_model
from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.pipeline.jobs import make_once
from myoperf.research.polar_classifier.cases import image_state
from myoperf.research.polar_classifier.discs import blurred_map, draw_discs
from myoperf.research.screenshots.screen_folder import LabelledScreen, ScreenFolder, read_screens
from myoperf.research.training.arrays import load_arrays, save_arrays
from myoperf.research.training.options import RunOptions
from myoperf.research.training.splits import given_split, split_rows

SIMULATED, GIVEN = "simulated patients", "pictures given with --data"
"""How tables and manifest name the data."""

LEAST_PATIENTS = 10
"""Of each class in a folder of screens: fewer leave less than two in the test part."""


@dataclass(frozen=True, kw_only=True)
class CohortSize:
    """Numbers of simulated patients.

    Attributes
    ----------
    diseased, healthy
        Patients of each class.
    fresh
        Further patients of each class, in no part of the split.
    imaged
        Stress images corrected for attenuation, unrolled on the true ventricle with an error of pose; otherwise the
        true perfusion, blurred.
    """

    diseased: int
    healthy: int
    fresh: int
    imaged: bool = True


@dataclass(frozen=True, eq=False)
class Discs:
    """Grey discs at one size with the rows of each part.

    Attributes
    ----------
    discs
        (n, side, side) from 0 to 1, or (n, side, side, 3) in colours.
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
    parts: Mapping[str, NDArray[np.intp]]
    patients: NDArray[np.str_]
    refused: int = 0

    @property
    def tested(self) -> tuple[str, ...]:
        """Names of the parts that nothing is trained or chosen on."""
        return tuple(part for part in ("test", "fresh") if part in self.parts)

    def names(self, part: str) -> list[str]:
        """Return the patients of a part, each once, in the order of their first disc."""
        return list(dict.fromkeys(self.patients[self.parts[part]].tolist()))

    def by_patient(self, part: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of each patient's discs, in the order of `names`."""
        place = {name: i for i, name in enumerate(self.names(part))}
        owner = np.asarray([place[name] for name in self.patients[self.parts[part]].tolist()])
        mean: NDArray[np.float64] = np.bincount(owner, weights=values) / np.bincount(owner)
        return mean

    def truth(self, part: str) -> list[int]:
        """Return each patient's label, in the order of `names`."""
        return [int(label) for label in self.by_patient(part, self.labels[self.parts[part]].astype(np.float64))]


def split(labels: NDArray[np.int64], seed: int, given: Sequence[str] = ()) -> dict[str, NDArray[np.intp]]:
    """Split patients within each class into the rows of train, validation and test.

    Parameters
    ----------
    given
        Each patient's part where a table says it; else they are dealt 64/16/20. Where the table has no validation
        part, a fifth of each class of its training part is taken.
    """
    rng, parts = np.random.default_rng(seed), given_split(given)
    if parts is None:
        train, test, validation = split_rows(labels, 0.2, 0.16, rng=rng)
        return {"train": train, "validation": validation, "test": test}
    if "validation" not in parts:
        left, held = split_rows(labels[parts["train"]], 0.2, rng=rng)
        parts |= {"train": parts["train"][left], "validation": parts["train"][held]}
    for part, rows in parts.items():
        if set(labels[rows].tolist()) != {0, 1}:
            raise InputError(f"Both labels, 0 and 1, are needed in every part of the split; {part} has one.")
    return parts


def simulate_discs(
    diseased: int, healthy: int, side: int, seed: int, *, imaged: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw simulated stress maps as grey discs, (n, side, side) from 0 to 1, and their labels by angiography.

    Parameters
    ----------
    imaged
        See `CohortSize`; the pictures of Hai et al. 2022 were corrected for attenuation.
    """
    left, maps, labels = [healthy, diseased], [], []
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
            maps.append(image_state(patient, rng, replace(image_model("spect", rng), attenuated=0.0), "stress"))
        else:
            maps.append(np.maximum(blurred_map(patient, "stress", rng), 0.0))
        labels.append(label)
    return draw_discs(np.stack(maps), side), np.asarray(labels)


def simulated_discs(size: CohortSize, *, side: int, seed: int, folder: Path) -> Discs:
    """Draw simulated patients and fresh ones, or read those that an interrupted run kept in a folder."""

    def simulate(part: Path) -> None:
        discs, labels = simulate_discs(size.diseased, size.healthy, side, seed, imaged=size.imaged)
        more, more_labels = simulate_discs(size.fresh, size.fresh, side, 900_000 + seed, imaged=size.imaged)
        save_arrays(part, {"discs": discs, "labels": labels, "more": more, "more_labels": more_labels})

    path = folder / f"discs-{side}.npz"
    make_once(path, simulate)
    kept = load_arrays(path)
    discs, labels, more, more_labels = (kept[k] for k in ("discs", "labels", "more", "more_labels"))
    n = len(labels) + len(more_labels)
    return Discs(
        np.concatenate([discs, more]),
        np.concatenate([labels, more_labels]),
        split(labels, seed) | {"fresh": np.arange(len(labels), n)},
        np.arange(n).astype(np.str_),
    )


def discs_from_screens(
    folder: ScreenFolder, *, side: int, seed: int, out: Path, options: RunOptions | None = None
) -> Discs:
    """Read the screens of a folder, or the discs that an interrupted run kept; split them by patient.

    Of the options, `colours`, `colour_scale` and `quiet` are used.

    Pictures that show no polar map are left out and listed with the reason in ``refused.csv`` of the study's folder.

    Raises
    ------
    InputError
        When fewer than `LEAST_PATIENTS` of a class remain.
    """
    options = options or RunOptions(quiet=True)

    def read_all(part: Path) -> None:
        with Progress(console=Console(stderr=True), disable=options.quiet) as bar:
            task = bar.add_task("reading screens", total=None)
            read = read_screens(
                folder,
                size=side,
                colours=options.colours,
                scale=options.colour_scale,
                report=lambda done, total: bar.update(task, completed=done, total=total),
            )
        refused = [(screen.patient, screen.file, screen.place, reason) for screen, reason in read.refused.items()]
        table = pd.DataFrame(refused, columns=["patient", "file", "map", "reason"])
        table.to_csv(out / "refused.csv", index=False)
        require_patients(read.screens, "of the pictures that could be read; refused.csv names the others and why")
        place = {screen: row for row, screen in enumerate(folder.screens)}
        save_arrays(part, {"discs": read.discs, "rows": np.asarray([place[screen] for screen in read.screens])})

    path = out / "jobs" / f"discs-{side}{'-colours' if options.colours else ''}.npz"
    make_once(path, read_all)
    kept = load_arrays(path)
    screens = [folder.screens[row] for row in kept["rows"]]
    label_of = {screen.patient: screen.label for screen in screens}
    split_of = {screen.patient: screen.split for screen in screens}
    names, owners = np.asarray(list(label_of)), np.asarray([screen.patient for screen in screens])
    parts = {
        part: np.flatnonzero(np.isin(owners, names[chosen]))
        for part, chosen in split(np.asarray(list(label_of.values())), seed, list(split_of.values())).items()
    }
    labels = np.asarray([screen.label for screen in screens])
    return Discs(kept["discs"], labels, parts, owners, refused=len(folder.screens) - len(screens))


def describe_screens(data: Discs) -> dict[str, Any]:
    """Return what the manifest says of the pictures read from a folder."""
    patients = {part: len(data.names(part)) for part in data.parts}
    return {"data": GIVEN, "pictures": len(data.discs), "refused": data.refused, "patients": patients}


def require_patients(screens: Sequence[LabelledScreen], which: str = "in the data") -> None:
    """Check that there are patients enough to split, unless the table splits them.

    Raises
    ------
    InputError
        When there are fewer than `LEAST_PATIENTS` of a class.
    """
    if any(screen.split for screen in screens):
        return
    without, diseased = (len({s.patient for s in screens if s.label == label}) for label in (0, 1))
    if min(without, diseased) < LEAST_PATIENTS:
        raise InputError(
            f"At least {LEAST_PATIENTS} patients of each class are needed; {diseased} with label 1 and {without} with "
            f"label 0 are {which}."
        )
