"""Evaluate a polar-map classifier: compared with TPD and SSS, in subgroups, on other cameras, with abstention."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from myoperf.diagnosis.classifier import Classifier, Reading
from myoperf.diagnosis.inputs import scale_maps
from myoperf.errors import InputError
from myoperf.perfusion import (
    LimitsLabel,
    NormalLimits,
    build_limits,
    choose_limits,
    measure_perfusion,
    shipped_limits,
)
from myoperf.research.normal_limits.recipe import map_without_geometry
from myoperf.research.polar_classifier.cases import PolarCases, join_cases
from myoperf.research.polar_classifier.training import read_cohort
from myoperf.segments import TERRITORIES
from myoperf.stats import (
    ConfidenceInterval,
    bootstrap_auc,
    bootstrap_p,
    delong_pairs,
    delong_table,
    measure_calibration,
    measure_threshold,
    percentile_interval,
    resample_counts,
    threshold_for_sensitivity,
    wilson_interval,
)
from myoperf.types import VESSELS, Float, State

LimitsBySex = Mapping[float, NormalLimits]
"""Limits for men (1) and women (0), as clinical rows code sex."""


def shipped_limits_of(state: State) -> dict[float, NormalLimits]:
    """Return the shipped limits of a state that ``myoperf analyze`` uses for men (1) and women (0)."""
    out = {}
    for sex, letter in ((1.0, "M"), (0.0, "F")):
        limits, _ = choose_limits(shipped_limits(), state=state, sex=letter, tracer="Tc-99m", camera=None)
        if limits is None:
            raise InputError("The comparison needs shipped limits; build them with 'myoperf normals build'.")
        out[sex] = limits
    return out


def limits_from(cases: PolarCases, *, state: State = "stress") -> dict[float, NormalLimits]:
    """Build limits for men (1) and women (0) from the patients of a cohort whose arteries are free of disease.

    Use them where the shipped limits do not fit how the cohort was imaged.
    """
    values = cases.stress if state == "stress" else cases.rest
    well, out = cases.ica.sum(axis=1) == 0, {}
    for sex, letter in ((1.0, "M"), (0.0, "F")):
        maps = [map_without_geometry(each) for each in values[well & (cases.clinical[:, 0] == sex)]]
        label = LimitsLabel(
            name="healthy simulated patients",
            version="1",
            state=state,
            sex=letter,
            provenance="simulated",
            licence="Apache-2.0",
        )
        out[sex] = build_limits(maps, label)
    return out


def score_maps(cases: PolarCases, limits: LimitsBySex, *, state: State = "stress") -> dict[str, Float]:
    """Measure TPD and SSS, which the classifier is compared with.

    Parameters
    ----------
    limits
        Of the state.

    Returns
    -------
    ``tpd`` (percent) and ``sss`` per patient (n,), ``tpd_vessel`` and ``sss_vessel`` (n, 3) for LAD, LCX, RCA.
    """
    out: dict[str, list[Any]] = {"tpd": [], "sss": [], "tpd_vessel": [], "sss_vessel": []}
    maps = cases.stress if state == "stress" else cases.rest
    for values, sex in zip(maps, cases.clinical[:, 0], strict=True):
        perfusion = measure_perfusion(map_without_geometry(values), limits[float(sex)])
        out["tpd"].append(perfusion.tpd_percent)
        out["sss"].append(int(perfusion.scores.sum()))
        out["tpd_vessel"].append([perfusion.territory_tpd(v) for v in VESSELS])
        out["sss_vessel"].append([sum(int(perfusion.scores[s - 1]) for s in TERRITORIES[v]) for v in VESSELS])
    return {name: np.asarray(values, dtype=np.float64) for name, values in out.items()}


def measure_areas(truth: NDArray[Any], scores: Mapping[str, Float]) -> dict[str, Any]:
    """Return the AUC of each score with DeLong's interval, and p of the first against each other (paired)."""
    table = delong_table(truth, np.stack(list(scores.values())))
    out: dict[str, Any] = {"n": int(truth.size), "n_positive": int(truth.sum())}
    for index, name in enumerate(scores):
        out[name] = _estimate("auc", float(table.auc[index]), table.interval(index))
    pairs = delong_pairs(table)
    first = next(iter(scores))
    for a, b, p in zip(pairs.a, pairs.b, pairs.p, strict=True):
        if a == 0:
            out[f"{first}_against_{list(scores)[b]}_p"] = float(f"{p:.3g}")
    return out


def pool_vessels(cases: PolarCases, scores: Mapping[str, Float], seed: int) -> dict[str, Any]:
    """Compare scores over all vessels pooled, as Hajianfar et al. 2025 do; intervals and tests resample patients.

    Parameters
    ----------
    scores
        (patients, 3) each; p values compare the first with each other one.
    """
    truth, (first, *_) = cases.ica.ravel(), scores
    matrix = np.stack([values.ravel() for values in scores.values()])
    patient = np.repeat(np.arange(len(cases)), 3)
    counts = resample_counts(truth, resamples=1000, rng=np.random.default_rng(seed), patient=patient)
    samples = bootstrap_auc(truth, matrix, counts)
    auc = delong_table(truth, matrix).auc
    out: dict[str, Any] = {"n": int(truth.size), "n_positive": int(truth.sum())}
    for index, name in enumerate(scores):
        out[name] = _estimate("auc", float(auc[index]), percentile_interval(samples[index]))
        if index:
            out[f"{first}_against_{name}_p"] = round(bootstrap_p(samples[0] - samples[index]), 4)
    return out


def _columns(reading: Reading, scores: Mapping[str, Float]) -> dict[str, Float]:
    return {"classifier": reading.per_patient, "tpd": scores["tpd"], "sss": scores["sss"]}


def measure_cohort(
    classifier: Classifier,
    cases: PolarCases,
    limits: LimitsBySex,
    *,
    rest: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """Evaluate one cohort: AUC per patient, per vessel and pooled, calibration, abstention.

    Parameters
    ----------
    limits
        For TPD and SSS, by sex, from ventricles found or true as in the cohort.
    rest
        Let the classifier read the rest maps; TPD and SSS are of stress in any case.
    """
    reading, scores = read_cohort(classifier, cases, rest=rest), score_maps(cases, limits)
    truth = cases.ica.max(axis=1)
    answered = reading.distance <= 1.0
    columns = _columns(reading, scores)
    out: dict[str, Any] = {
        "patient": measure_areas(truth, columns),
        "vessels": pool_vessels(
            cases,
            {"classifier": reading.probability, "tpd": scores["tpd_vessel"], "sss": scores["sss_vessel"]},
            seed,
        ),
        "abstained": _share(~answered),
    }
    for index, vessel in enumerate(VESSELS):
        by_vessel = {
            "classifier": reading.probability[:, index],
            "tpd": scores["tpd_vessel"][:, index],
            "sss": scores["sss_vessel"][:, index],
        }
        if 0 < cases.ica[:, index].sum() < len(cases):
            out[vessel] = measure_areas(cases.ica[:, index], by_vessel)
    calibration = measure_calibration(cases.ica.ravel(), reading.probability.ravel())
    out["calibration"] = {n: round(float(getattr(calibration, n)), 4) for n in ("brier", "slope", "intercept", "ece")}
    if not answered.all() and answered.sum() >= 10 and 0 < truth[answered].sum() < answered.sum():
        out["patient_without_abstained"] = measure_areas(truth[answered], {n: v[answered] for n, v in columns.items()})
    return out


def _share(flags: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the share of True with Wilson's interval."""
    interval = wilson_interval(int(flags.sum()), int(flags.size))
    return {"n": int(flags.size), **_estimate("share", float(flags.mean()), interval)}


def _estimate(name: str, value: float, interval: ConfidenceInterval) -> dict[str, Any]:
    return {name: round(value, 4), "interval": [round(interval.lo, 4), round(interval.hi, 4)]}


def measure_groups(
    classifier: Classifier, cases: PolarCases, limits: LimitsBySex, normal: PolarCases | None = None
) -> dict[str, Any]:
    """Evaluate subgroups and missing information, per patient, compared with TPD and SSS.

    Parameters
    ----------
    normal
        Patients with a low likelihood of disease, added to the others for the group of lower prevalence.
    """
    truth, scores = cases.ica.max(axis=1), score_maps(cases, limits)
    columns = _columns(read_cohort(classifier, cases), scores)
    small = cases.edv_ml <= np.quantile(cases.edv_ml, 0.25)
    out: dict[str, Any] = {}
    groups = {"men": cases.clinical[:, 0] == 1, "women": cases.clinical[:, 0] == 0, "small_hearts": small}
    for name, rows in groups.items():
        if 0 < truth[rows].sum() < rows.sum():
            out[name] = measure_areas(truth[rows], {n: v[rows] for n, v in columns.items()})
    blind = read_cohort(classifier, cases, clinical=False)
    out["no_clinical_values"] = measure_areas(truth, _columns(blind, scores))
    if normal is not None:
        wide = join_cases([cases, normal])
        columns = _columns(read_cohort(classifier, wide), score_maps(wide, limits))
        out["with_normals"] = measure_areas(wide.ica.max(axis=1), columns)
        out["normals_abstained"] = _share(read_cohort(classifier, normal).distance > 1.0)
    return out


def measure_likeness(known: PolarCases, found: PolarCases, components: Float, *, seed: int = 0) -> dict[str, Any]:
    """Measure whether stress maps from true and from found ventricles can be told apart: an AUC of 0.5 means no.

    The AUC is that of a cross-validated logistic regression on the main components of the maps.

    Parameters
    ----------
    known, found
        Maps on true and on found ventricles, from one population; as many of each are used.
    components
        (k, places).
    """
    n = min(len(known), len(found))
    maps = scale_maps(np.concatenate([known.stress[:n], found.stress[:n]])).reshape(2 * n, -1)
    which = np.repeat([0, 1], n)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    probability = cross_val_predict(model, maps @ components.T, which, cv=folds, method="predict_proba")[:, 1]
    return measure_areas(which, {"told_apart": probability})


def measure_threshold_choice(
    classifier: Classifier, calibration: PolarCases, test: PolarCases, sensitivity: float
) -> dict[str, Any]:
    """Choose the threshold for a sensitivity on the calibration patients, and measure it on the test patients.

    Parameters
    ----------
    sensitivity
        Requested, 0 to 1, per patient.

    Returns
    -------
    ``wanted_sensitivity``, ``threshold``, and ``sensitivity`` and ``specificity`` on the test patients with 95 %
    intervals.
    """
    threshold = threshold_for_sensitivity(
        calibration.ica.max(axis=1), read_cohort(classifier, calibration).per_patient, sensitivity
    )
    truth = test.ica.max(axis=1)
    _, measured = measure_threshold(
        truth,
        read_cohort(classifier, test).per_patient,
        counts=resample_counts(truth, resamples=200, rng=np.random.default_rng(0)),
        threshold=threshold,
    )
    out: dict[str, Any] = {"wanted_sensitivity": sensitivity, "threshold": float(threshold)}
    for name in ("sensitivity", "specificity"):
        out[name] = _estimate("value", measured[name].value, measured[name].interval)
    return out


NAMES = {
    "tpd": "TPD",
    "sss": "SSS",
    "tpd_model": "a model of TPD that is told as much",
    "true_perfusion": "a model of the true perfusion",
}


def verdict(measured: Mapping[str, Any]) -> str:
    """Return in one sentence whether the classifier is better than what it is compared with on the test patients."""
    parts = []
    for level in ("patient", "vessels"):
        for score, name in NAMES.items():
            if score not in measured[level]:
                continue
            area, other = measured[level]["classifier"]["auc"], measured[level][score]["auc"]
            p = measured[level][f"classifier_against_{score}_p"]
            word = "no clear difference from" if p >= 0.05 else "better than" if area > other else "worse than"
            parts.append(f"per {level.rstrip('s')}: {word} {name} (AUC {area:.3f} against {other:.3f}, p {p:g})")
    return "; ".join(parts)
