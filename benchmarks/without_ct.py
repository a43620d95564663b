"""Whether limits that know the patient, or attenuation estimated from the emission, find more disease without a CT.

    python benchmarks/perfusion_physics.py cohort --folder normals-ct/part-1      normal patients to learn from
    python benchmarks/perfusion_physics.py measure --set patients --seed 9711 --count 24
    python benchmarks/perfusion_physics.py measure --set normals --seed 9713 --count 24
    python benchmarks/without_ct.py

Both ways learn a few components from normal patients with a CT: of how uncorrected maps vary, or of what the CT changes
in them (``estimated``). A patient's share of each comes from the map, without the samples that look defective, and from
sex, the body's outline in the emission and the heart's axis. The map is divided by what the components explain, and
scored against limits from maps of normals that took no part in learning. Sensitivity is for a true extent of 10 % or
more, at the TPD that 5 % of the normal patients exceed. The patients are for development: a way that won would have to
be judged on others. Writes ``docs/results/without_ct.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.perfusion import LimitsLabel, NormalLimits, scale_map, severity_map
from myoperf.perfusion.normal_limits import build_limits
from myoperf.research.normal_limits.recipe import map_without_geometry
from perfusion_physics import LEARNING, ROOT, RUNS

TABLE = ROOT / "docs/results/without_ct.csv"
WIDE_PERCENT, FALSE_ALARMS = 10.0, 0.05
FOLDS, ROUNDS = 5, 8
RIDGE = 0.3
"""Of the regression of components on features, per patient."""
FAR = 2.0
"""Samples this many mean deviations below what is expected lose weight, those twice as far have none."""
SHARED = 30.0
"""Neighbouring samples that share noise."""
DIRECTIONS = np.array([[0, -1, 0], [0.7071, -0.7071, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0]])
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Patient:
    """What is known of a patient: the stress maps without and with the CT, features, and the true TPD and extent."""

    sex: str
    plain: Array
    corrected: Array
    features: Array
    tpd: float
    extent: float


def features_of(stored: dict[str, Any]) -> Array:
    """Return sex, distances (mm) from the heart to the outline in five directions, and axis and length of the heart."""
    inverse, pose = np.linalg.inv(stored["stress_plain_affine"]), stored["stress_plain_pose"]
    inside = np.unpackbits(stored["stress_plain_outline"], axis=-1)[0].astype(np.float64)
    steps = np.arange(0.0, 300.0, 2.0)
    middle, axis = 0.5 * (pose[0] + pose[1]), pose[0] - pose[1]
    points = middle + steps[None, :, None] * DIRECTIONS[:, None, :]
    index = points @ inverse[:3, :3].T + inverse[:3, 3]
    found = ndimage.map_coordinates(inside, np.moveaxis(index, -1, 0), order=0)
    far = steps[np.where((found < 0.5).any(axis=1), (found < 0.5).argmax(axis=1), -1)]
    length = float(np.linalg.norm(axis))
    return np.array([float(str(stored["sex"]) == "M"), *far, *(axis / length), length])


def read(paths: Sequence[Path]) -> list[Patient]:
    """Return the patients of some files, those whose ventricle was not found left out."""
    out = []
    for path in sorted(paths):
        with np.load(path, allow_pickle=False) as file:
            stored = dict(file)
        if "stress_ct" in stored:
            out.append(
                Patient(
                    sex=str(stored["sex"]),
                    plain=stored["stress_plain"].astype(np.float64),
                    corrected=stored["stress_ct"].astype(np.float64),
                    features=features_of(stored),
                    tpd=float(stored.get("known_tpd_stress", 0.0)),
                    extent=float(stored.get("known_extent_stress", 0.0)),
                )
            )
    return out


def logarithm(values: Array) -> Array:
    """Return the flat logarithm of a map, smoothed a little, over its mean."""
    smooth = ndimage.gaussian_filter(values, (1, 2), mode=("nearest", "wrap"))
    return np.log(np.maximum(smooth, 1e-6) / values.mean()).ravel()


@dataclass(frozen=True, eq=False, kw_only=True)
class Components:
    """What normal uncorrected maps have in common, how something in them varies, and which features tell it."""

    mean: Array
    typical: Array
    patterns: Array
    known_mean: Array
    known_sd: Array
    expected: Array
    left: Array
    spread: Array

    def explained(self, patient: Patient, *, fitted: bool) -> Array:
        """Return the logarithm of what the components explain of the map: as features say, or `fitted` to it too."""
        prior = ((patient.features - self.known_mean) / self.known_sd) @ self.expected
        if not fitted:
            return np.asarray((self.typical + prior @ self.patterns).reshape(patient.plain.shape))
        certainty = 1.0 / np.square(self.left)
        level = np.append(self.patterns, np.ones((1, self.patterns.shape[1])), axis=0)  # the map's own scale too
        values, scores = logarithm(patient.plain) - self.mean, np.append(prior, 0.0)
        for _ in range(ROUNDS):
            low = (values - scores @ level) / self.spread
            weight = np.clip(2.0 + low / FAR, 0.0, 1.0) / np.square(self.spread) / SHARED
            gram = (level * weight) @ level.T + np.diag(np.append(certainty, 1e-3))
            scores = np.linalg.solve(gram, (level * weight) @ values + np.append(certainty * prior, 0.0))
        return np.asarray((self.typical + scores[:-1] @ self.patterns).reshape(patient.plain.shape))


def learn(patients: Sequence[Patient], *, estimated: bool, count: int, features: bool) -> Components:
    """Learn components: of the maps themselves, or (`estimated`) of what a CT changes in them."""
    plain = np.stack([logarithm(one.plain) for one in patients])
    varying = (
        plain - np.stack([logarithm(one.corrected) for one in patients]) if estimated else plain - plain.mean(axis=0)
    )
    typical, n = varying.mean(axis=0), len(patients)
    left, strength, right = np.linalg.svd(varying - typical, full_matrices=False)
    scores, patterns = left[:, :count] * np.sqrt(n - 1), right[:count] * (strength[:count, None] / np.sqrt(n - 1))
    known = np.stack([one.features for one in patients])
    known_mean, known_sd = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-9)
    known = (known - known_mean) / known_sd * features
    expected = np.linalg.solve(known.T @ known + RIDGE * n * np.eye(known.shape[1]), known.T @ scores)
    return Components(
        mean=plain.mean(axis=0),
        typical=typical,
        patterns=patterns,
        known_mean=known_mean,
        known_sd=known_sd,
        expected=expected,
        left=np.maximum((scores - known @ expected).std(axis=0), 0.2),
        spread=np.abs(plain - plain.mean(axis=0) - scores @ patterns).mean(axis=0),
    )


def limits_of(maps: Sequence[Array], patients: Sequence[Patient], by_sex: bool) -> Callable[[str], NormalLimits]:
    """Return limits from maps of normal patients, for each sex or for both."""
    label = LimitsLabel(name="trial", version="1", state="stress", provenance="simulated", licence="Apache-2.0")

    @cache
    def of(sex: str) -> NormalLimits:
        chosen = [m for m, one in zip(maps, patients, strict=True) if not by_sex or one.sex == sex]
        return build_limits([map_without_geometry(m) for m in chosen], label)

    return of


def tpd_of(values: Array, limits: NormalLimits) -> float:
    """Return the TPD of a map in percent."""
    return float(25.0 * severity_map(scale_map(values, limits), limits).mean())


def by_limits(normals: Sequence[Patient], *, ct: bool = False) -> Callable[[Patient], float]:
    """Score by limits for each sex, without anything else known."""

    def values(one: Patient) -> Array:
        return one.corrected if ct else one.plain

    limits = limits_of([values(one) for one in normals], normals, by_sex=not ct)
    return lambda one: tpd_of(values(one), limits(one.sex))


def by_components(normals: Sequence[Patient], *, fitted: bool = True, **how: Any) -> Callable[[Patient], float]:
    """Score what components leave of a map."""

    def divided(one: Patient, by: Components) -> Array:
        return np.asarray(one.plain / np.exp(by.explained(one, fitted=fitted)))

    maps = []
    for index, one in enumerate(normals):
        maps.append(divided(one, _without(normals, index % FOLDS, tuple(how.items()))))
    limits, whole = limits_of(maps, normals, by_sex=False), learn(normals, **how)
    return lambda one: tpd_of(divided(one, whole), limits(one.sex))


def _without(normals: Sequence[Patient], fold: int, how: tuple[tuple[str, Any], ...]) -> Components:
    """Learn from the normals of the other folds, once a fold."""
    key = (id(normals), fold, how)
    if key not in _LEARNED:
        _LEARNED[key] = learn([one for i, one in enumerate(normals) if i % FOLDS != fold], **dict(how))
    return _LEARNED[key]


_LEARNED: dict[Any, Components] = {}


def ways() -> dict[str, Callable[[Sequence[Patient]], Callable[[Patient], float]]]:
    """Return by name what makes a way to score from normal patients; the first is what the others are compared with."""
    out: dict[str, Callable[[Sequence[Patient]], Callable[[Patient], float]]] = {
        "limits by sex": by_limits,
        "CT": partial(by_limits, ct=True),
    }
    for estimated, count, features in product((False, True), (1, 3), (False, True)):
        name = "estimated attenuation" if estimated else "variation of normals"
        name += f", {count} component{'s' if count > 1 else ''}" + (", features" if features else "")
        out[name] = partial(by_components, estimated=estimated, count=count, features=features)
    for estimated in (False, True):
        name = f"{'estimated attenuation' if estimated else 'variation of normals'}, 3 components, features alone"
        out[name] = partial(by_components, estimated=estimated, count=3, features=True, fitted=False)
    return out


def compare(normals: Sequence[Patient], ill: Sequence[Patient], well: Sequence[Patient]) -> pd.DataFrame:
    """Return a row a way: r with the true TPD, sensitivity, and the gain in sensitivity over limits by sex."""
    rng, rows = np.random.default_rng(1), []
    true, wide = np.array([one.tpd for one in ill]), np.array([one.extent >= WIDE_PERCENT for one in ill])
    drawn = [(rng.integers(len(ill), size=len(ill)), rng.integers(len(well), size=len(well))) for _ in range(1000)]
    base: NDArray[np.float64] | None = None
    for name, way in ways().items():
        score = way(normals)
        found, normal = (np.array([score(one) for one in part]) for part in (ill, well))

        def sensitivity(i: Any, j: Any, found: Array = found, normal: Array = normal) -> float:
            return float((found[i][wide[i]] > np.quantile(normal[j], 1.0 - FALSE_ALARMS)).mean())

        again = np.array([sensitivity(i, j) for i, j in drawn])
        base = again if base is None else base
        r = [float(np.corrcoef(found[i], true[i])[0, 1]) for i, _ in drawn]
        whole = slice(None)
        row: dict[str, Any] = {"way": name, "n": len(ill), "wide": int(wide.sum()), "normals": len(well)}
        for key, value, spread in (
            ("r", float(np.corrcoef(found, true)[0, 1]), r),
            ("sensitivity", sensitivity(whole, whole), again),
            ("gain", float("nan"), again - base),
        ):
            low, high = np.percentile(spread, (2.5, 97.5))
            row |= {key: value, f"{key}_lo": low, f"{key}_hi": high}
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.assign(gain=table.sensitivity - table.sensitivity.iloc[0])


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    ill, well = (read(list(RUNS.glob(f"{name}-????.npz"))) for name in ("patients-9711", "normals-9713"))
    table = compare(read(list(LEARNING.glob("*.npz"))), ill, well)
    table.to_csv(TABLE, index=False, float_format="%.3f")
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
