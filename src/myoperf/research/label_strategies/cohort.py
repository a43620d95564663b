"""The simulated cohort: patients with angiography, patients that only an expert read, and fresh ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from myoperf.errors import InputError
from myoperf.phantom.labels import expert_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth
from myoperf.research.polar_classifier.cases import SETS, CaseSet, PolarCases, draw_set, join_cases
from myoperf.research.polar_classifier.discs import blurred_map, draw_discs
from myoperf.types import VESSELS

__all__ = ["CohortSize", "StudyCohort", "draw_cohort", "prevalence"]


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
    rows: dict[str, list[Any]] = {k: [] for k in ("stress", "rest", "clinical", "ica", "expert", "edv_ml", "key")}
    for index in range(n):
        rng = np.random.default_rng((plan.seed + seed, index))
        patient = draw_patient(rng, plan.options)
        known, form = truth(patient), patient.clinical
        read = expert_labels(known.expert_scores["stress"])
        rows["stress"].append(blurred_map(patient, "stress", rng))
        rows["rest"].append(blurred_map(patient, "rest", rng))
        rows["clinical"].append((form.sex == "M", form.age_years, form.height_m, form.weight_kg))
        rows["ica"].append([known.ica[v] for v in VESSELS])
        rows["expert"].append([read[v] for v in VESSELS])
        rows["edv_ml"].append(known.edv_ml["stress"])
        rows["key"].append((plan.seed + seed, index))
    arrays: dict[str, Any] = {
        name: np.asarray(values, np.int64 if name in ("ica", "expert", "key") else np.float32)
        for name, values in rows.items()
    }
    return PolarCases(**arrays)


def prevalence(labels: NDArray[Any]) -> dict[str, float]:
    """Return the share of diseased vessels and patients, in percent, from labels (n, 3)."""
    share = {vessel: 100.0 * float(labels[:, i].mean()) for i, vessel in enumerate(VESSELS)}
    return share | {"patient": 100.0 * float(labels.max(axis=1).mean())}
