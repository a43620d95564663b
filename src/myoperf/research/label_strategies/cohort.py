"""The simulated cohort: patients with angiography, patients that only an expert read, and fresh ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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


@dataclass(frozen=True, eq=False)
class StudyCohort:
    """Patients in the order angiography, expert only, fresh.

    Attributes
    ----------
    fresh
        Rows of the fresh ones.
    """

    cases: PolarCases
    fresh: NDArray[np.int64]

    def pictures(self, side: int) -> Tensor:
        """Draw stress and rest maps as grey discs from 0 to 1, each by its own maximum, (patients, 2, side, side)."""
        discs = np.stack([draw_discs(self.cases.stress, side), draw_discs(self.cases.rest, side)], axis=1)
        return torch.from_numpy(discs)


def draw_cohort(size: CohortSize, seed: int, folder: Path, *, quiet: bool = True) -> StudyCohort:
    """Draw the cohort; imaged patients are kept in a folder in chunks, and chunks that exist are read."""
    first, few = size.angiography + size.fresh, size.expert
    if size.imaged and seed:
        raise InputError(f"The imaged cohort is drawn with seed 0; got {seed}. The networks' seed is the study's.")
    ica, expert = (
        draw_set(name, n, folder, quiet=quiet) if size.imaged else _draw_blurred(n, SETS[name], seed)
        for name, n in (("main", first), ("rarer", few))
    )
    cases = join_cases([ica.take(np.arange(size.angiography)), expert, ica.take(np.arange(size.angiography, first))])
    return StudyCohort(cases, np.arange(len(cases) - size.fresh, len(cases)))


def _draw_blurred(n: int, plan: CaseSet, seed: int) -> PolarCases:
    """Draw patients without imaging them."""
    rows = []
    for index in range(n):
        key = (plan.seed + seed, index)
        rng = np.random.default_rng(key)
        patient = draw_patient(rng, plan.options)
        rows.append((patient, key, blurred_map(patient, "stress", rng), blurred_map(patient, "rest", rng)))
    return collect_cases(rows)


def prevalence(labels: NDArray[Any]) -> dict[str, float]:
    """Return the share of diseased vessels and patients, in percent, from labels (n, 3)."""
    share = {vessel: 100.0 * float(labels[:, i].mean()) for i, vessel in enumerate(VESSELS)}
    return share | {"patient": 100.0 * float(labels.max(axis=1).mean())}
