"""What a classifier of polar maps is compared with on the same patients: a model of TPD that is told everything the
classifier reads, and a model of the true perfusion, which no image can tell better.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from myoperf.diagnosis.classifier import Classifier
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import defect_map
from myoperf.research.polar_classifier.cases import ANGLES, RINGS, SETS, STATES, PolarCases
from myoperf.research.polar_classifier.evaluation import LimitsBySex, measure_areas, pool_vessels, score_maps
from myoperf.research.polar_classifier.training import read_cohort
from myoperf.segments import TERRITORIES, segment_means
from myoperf.types import VESSELS, Float, State


def measure_comparators(
    classifier: Classifier,
    learned: PolarCases,
    calibration: PolarCases,
    test: PolarCases,
    limits: Mapping[State, LimitsBySex],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the classifier on the test patients with a model of TPD and with one of the true perfusion.

    Parameters
    ----------
    learned
        Patients from whom the model of the true perfusion learns; their images play no part.
    calibration
        Patients from whom the model of TPD learns: their ventricles were found as those of the test patients.
    limits
        Of both states.

    Returns
    -------
    ``patient`` and ``vessels`` (the three pooled): areas with intervals, and p of each comparison with the classifier.
    """
    reading = read_cohort(classifier, test)
    tpd = fit_and_read(tpd_values(calibration, limits), calibration.ica, tpd_values(test, limits))
    known = fit_and_read(true_values(learned), learned.ica, true_values(test))
    patient = {"classifier": reading.per_patient, "tpd_model": tpd[:, 3], "true_perfusion": known[:, 3]}
    vessels = {"classifier": reading.probability, "tpd_model": tpd[:, :3], "true_perfusion": known[:, :3]}
    return {
        "learned": {"tpd_model": len(calibration), "true_perfusion": len(learned)},
        "patient": measure_areas(test.ica.max(axis=1), patient),
        "vessels": pool_vessels(test, vessels, seed),
    }


def tpd_values(cases: PolarCases, limits: Mapping[State, LimitsBySex]) -> Float:
    """Return TPD of both states, whole and by vessel, beside the clinical values.

    Parameters
    ----------
    limits
        Of both states, by sex.

    Returns
    -------
    (patients, 12).
    """
    columns = []
    for state in STATES:
        scores = score_maps(cases, limits[state], state=state)
        columns += [scores["tpd"][:, None], scores["tpd_vessel"]]
    return np.column_stack([*columns, cases.clinical])


def true_values(cases: PolarCases) -> Float:
    """Return the true loss of perfusion of both states, whole and by vessel, beside the clinical values.

    Free of camera, noise and the normal unevenness: `myoperf.phantom.truth.defect_map` of the patients, who are drawn
    again by their keys.

    Returns
    -------
    (patients, 12): of each state the mean loss of 17 segments and of each vessel's, each 0 to 1.
    """
    options = {plan.seed: plan.options for plan in SETS.values()}
    rows = []
    for seed, index in cases.key.tolist():
        patient = draw_patient(np.random.default_rng((seed, index)), options.get(seed))
        row = []
        for state in STATES:
            loss = 1.0 - segment_means(defect_map(patient, state, RINGS, ANGLES))
            row += [loss.mean(), *(loss[np.asarray(TERRITORIES[vessel]) - 1].mean() for vessel in VESSELS)]
        rows.append(row)
    return np.column_stack([np.asarray(rows), cases.clinical])


def fit_and_read(learned: Float, labels: NDArray[np.int64], judged: Float) -> Float:
    """Fit one logistic regression a vessel, and one for the patient, and read other patients.

    Parameters
    ----------
    learned, judged
        (n, k) and (m, k): values of the patients to learn from and of those to read.
    labels
        (n, 3) 0 or 1: LAD, LCX, RCA.

    Returns
    -------
    (m, 4): probability for LAD, LCX, RCA and the patient.
    """
    targets = np.column_stack([labels, np.max(labels, axis=1)])
    return np.column_stack([_read_one(learned, target, judged) for target in targets.T])


def _read_one(learned: Float, target: NDArray[Any], judged: Float) -> Float:
    if np.unique(target).size < 2:  # nothing to tell apart
        return np.full(len(judged), float(target[0]))
    return np.asarray(_model().fit(learned, target).predict_proba(judged)[:, 1])


def _model() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000))
