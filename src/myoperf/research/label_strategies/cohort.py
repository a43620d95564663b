"""The simulated cohort: patients with angiography, patients that only an expert read, and fresh ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from myoperf.errors import InputError
from myoperf.phantom.population import draw_patient
from myoperf.research.polar_classifier.cases import SETS, CaseSet, PolarCases, collect_cases, draw_set, join_cases
from myoperf.research.polar_classifier.discs import blurred_map, draw_discs
from myoperf.types import VESSELS


@dataclass(frozen=True, kw_only=True)
class CohortSize:
    """Numbers of patients by what is known of them.

    Attributes
    ----------
    train, validation, test
        With angiography: 141, 40 and 100 in Hajianfar et al. 2025.
    expert
        With an expert's reading only: 659, of lower prevalence.
    fresh
        Drawn as those with angiography, and used for nothing but to measure what choosing a model on the test
        patients does; the paper had none.
    imaged
        Imaged by the fast image-space model and unrolled on the true ventricle with an error of pose; otherwise the
        true perfusion, blurred.
    """

    train: int
    validation: int
    test: int
    expert: int
    fresh: int
    imaged: bool = True

    @property
    def angiography(self) -> int:
        """Patients with angiography that the paper's parts share."""
        return self.train + self.validation + self.test


@dataclass(frozen=True, eq=False, kw_only=True)
class StudyCohort:
    """Patients in the order angiography, expert only, fresh.

    Attributes
    ----------
    stress, rest
        (patients, rings, angles) polar maps or, where `drawn`, (patients, side, side) discs from 0 to 1. Rest is None
        where not every patient has it.
    drawn
        Whether they are discs.
    clinical
        (patients, 4): sex (1 man, 0 woman), age in years, height in m, weight in kg; NaN where it is not known.
    ica, expert
        (patients, 3) for LAD, LCX, RCA: 0, 1, or -1 where it is not known.
    names
        (patients,).
    fresh
        Rows of the fresh ones.
    """

    stress: NDArray[np.float32]
    rest: NDArray[np.float32] | None
    clinical: NDArray[np.float32]
    ica: NDArray[np.int64]
    expert: NDArray[np.int64]
    names: NDArray[np.str_]
    fresh: NDArray[np.int64]
    drawn: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def pictures(self, side: int) -> Tensor:
        """Draw stress and rest maps as grey discs from 0 to 1, each by its own maximum, (patients, 2, side, side).

        Where rest is not known, the second channel is 0: only networks of the stress map may be given it.
        """
        maps = [self.stress, np.zeros_like(self.stress) if self.rest is None else self.rest]
        if not self.drawn:
            known = [draw_discs(each, side) for each in maps[: 1 if self.rest is None else 2]]
            return torch.from_numpy(np.stack([known[0], known[-1] * (self.rest is not None)], axis=1))
        discs = torch.from_numpy(np.stack(maps, axis=1))
        if discs.shape[-1] == side:
            return discs
        return functional.interpolate(discs, size=side, mode="bilinear", align_corners=False, antialias=True)


def draw_cohort(size: CohortSize, seed: int, folder: Path, *, quiet: bool = True) -> StudyCohort:
    """Draw the simulated cohort: patients with angiography, with an expert's reading alone, and fresh ones.

    Parameters
    ----------
    folder
        Imaged patients are kept in it, and those that an earlier run drew are read from it.
    quiet
        Show no progress.

    Raises
    ------
    InputError
        For imaged patients with another seed than 0.
    """
    first, few = size.angiography + size.fresh, size.expert
    if size.imaged and seed:
        raise InputError(f"The imaged cohort is drawn with seed 0; got {seed}. The networks' seed is the study's.")
    ica, expert = (
        draw_set(name, n, folder, quiet=quiet) if size.imaged else draw_blurred(n, SETS[name], seed)
        for name, n in (("main", first), ("rarer", few))
    )
    cases = join_cases([ica.take(np.arange(size.angiography)), expert, ica.take(np.arange(size.angiography, first))])
    return StudyCohort(
        stress=cases.stress,
        rest=cases.rest,
        clinical=cases.clinical,
        ica=cases.ica,
        expert=cases.expert,
        names=np.array([f"P{row:04d}" for row in range(len(cases))]),
        fresh=np.arange(len(cases) - size.fresh, len(cases)),
    )


def draw_blurred(n: int, plan: CaseSet, seed: int) -> PolarCases:
    """Draw patients whose maps are those of their true uptake, blurred and noisy: quick, for scale smoke.

    Parameters
    ----------
    plan
        Which population; a patient is the same whatever `n` is.
    seed
        Added to the set's own.
    """
    rows = []
    for index in range(n):
        key = (plan.seed + seed, index)
        rng = np.random.default_rng(key)
        patient = draw_patient(rng, plan.options)
        rows.append((patient, key, blurred_map(patient, "stress", rng), blurred_map(patient, "rest", rng)))
    return collect_cases(rows)


def prevalence(labels: NDArray[Any]) -> dict[str, float]:
    """Return the share of diseased vessels and of patients with any, in percent, by name.

    Parameters
    ----------
    labels
        (n, 3): 1 for disease of LAD, LCX, RCA.
    """
    share = {vessel: 100.0 * float(labels[:, i].mean()) for i, vessel in enumerate(VESSELS)}
    return share | {"patient": 100.0 * float(labels.max(axis=1).mean())}
