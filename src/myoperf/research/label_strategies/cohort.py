"""The simulated cohort of paper 001's study: patients with angiography, patients an expert read only, fresh ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from myoperf.errors import InputError
from myoperf.phantom.labels import expert_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions
from myoperf.phantom.truth import truth, truth_polar
from myoperf.polar import disc_image
from myoperf.research.polar_classifier.cases import ANGLES, RINGS, SETS, PolarCases, draw_set, join_cases
from myoperf.types import VESSELS, PolarMap

__all__ = ["CohortSize", "StudyCohort", "draw_cohort", "draw_discs", "prevalence"]


@dataclass(frozen=True)
class CohortSize:
    """Patients by what is known of them.

    Attributes
    ----------
    train, validation, test
        With angiography: 141, 40 and 100 in 001.
    expert
        With an expert's reading only: 659, of lower prevalence.
    fresh
        Drawn as those with angiography, for judging what choosing a model on the test does; 001 had none.
    imaged
        Imaged by the fast image-space model and unrolled on the ventricle as it is known to lie, with an error of
        pose; otherwise the known perfusion, blurred.
    """

    train: int
    validation: int
    test: int
    expert: int
    fresh: int
    imaged: bool = True

    @property
    def angiography(self) -> int:
        """Patients with angiography."""
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


def draw_discs(maps: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Draw maps (n, rings, angles) as discs (n, side, side) from 0 to 1; 0 outside."""
    nowhere, thick = np.zeros((*maps.shape[1:], 3)), np.ones(maps.shape[1:])
    out = np.stack([disc_image(PolarMap(values / values.max(), nowhere, thick), side) for values in maps])
    return np.nan_to_num(out).astype(np.float32)


def draw_cohort(size: CohortSize, seed: int, folder: Path, *, quiet: bool = True) -> StudyCohort:
    """Draw the cohort; imaged patients are kept in a folder in chunks, and chunks already there are read."""
    first, few = size.angiography + size.fresh, size.expert
    if size.imaged:
        if seed:
            raise InputError(f"The imaged cohort is drawn with seed 0; got {seed}. The networks' seed is the study's.")
        ica, expert = (draw_set(name, n, folder, quiet=quiet) for name, n in (("main", first), ("rarer", few)))
    else:
        ica, expert = (
            _draw_blurred(n, SETS[name].seed + seed, SETS[name].options)
            for name, n in (("main", first), ("rarer", few))
        )
    cases = join_cases([ica.take(np.arange(size.angiography)), expert, ica.take(np.arange(size.angiography, first))])
    return StudyCohort(cases, np.arange(len(cases) - size.fresh, len(cases)))


def _draw_blurred(n: int, seed: int, options: PopulationOptions | None) -> PolarCases:
    """Draw patients without imaging them: known perfusion, blurred, with noise."""
    rows: dict[str, list[Any]] = {k: [] for k in ("stress", "rest", "clinical", "ica", "expert", "edv_ml", "key")}
    for index in range(n):
        rng = np.random.default_rng((seed, index))
        patient = draw_patient(rng, options)
        known, form = truth(patient), patient.clinical
        read = expert_labels(known.expert_scores["stress"])
        for state in ("stress", "rest"):
            values = truth_polar(patient, state, RINGS, ANGLES)
            grain = ndimage.gaussian_filter(rng.normal(0.0, 0.15, values.shape), (1.0, 2.0), mode=("nearest", "wrap"))
            rows[state].append(ndimage.gaussian_filter(values, (1.5, 3.0), mode=("nearest", "wrap")) + grain)
        rows["clinical"].append((form.sex == "M", form.age_years, form.height_m, form.weight_kg))
        rows["ica"].append([known.ica[v] for v in VESSELS])
        rows["expert"].append([read[v] for v in VESSELS])
        rows["edv_ml"].append(known.edv_ml["stress"])
        rows["key"].append((seed, index))
    arrays: dict[str, Any] = {
        name: np.asarray(values, np.int64 if name in ("ica", "expert", "key") else np.float32)
        for name, values in rows.items()
    }
    return PolarCases(**arrays)


def prevalence(labels: NDArray[Any]) -> dict[str, float]:
    """Give the share of diseased vessels and patients, in percent."""
    share = {vessel: 100.0 * float(labels[:, i].mean()) for i, vessel in enumerate(VESSELS)}
    return share | {"patient": 100.0 * float(labels.max(axis=1).mean())}
