"""The classifier within its limits: for which studies it speaks, at which pre-test probability, and when it and the
verdict contradict each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from myoperf.errors import InputError
from myoperf.perfusion import camera_kind
from myoperf.pipeline.options import Models
from myoperf.pipeline.scoring import first_of_each_state, pose_doubts
from myoperf.types import VESSELS, Diagnosis, Finding, PretestProbability, ScanResult, Study, Verdict

DEFAULT_PRETEST = 0.2
"""Where age or sex is not known: MyoPerf's own round figure, between those of the table below."""
_BY_AGE: Mapping[str, tuple[float, ...]] = {
    "M": (0.04, 0.10, 0.17, 0.26, 0.34),
    "F": (0.03, 0.06, 0.06, 0.11, 0.19),
}
"""Obstructive disease at 30-39, 40-49, 50-59, 60-69 and from 70 years with atypical angina, the middle one of the
symptoms of the table: files do not tell them (Knuuti et al., ESC guidelines 2019, doi:10.1093/eurheartj/ehz425, table
5). Known disease raises it: give it by ``--pretest``."""
_YOUNGEST = 30.0
_LEAST = 1e-6
"""Probabilities are kept this far from 0 and 1, so that their odds are finite."""
_CONTRADICTING = float(np.log(3.0))
"""Change of the log odds by the classifier from which it contradicts a verdict: threefold odds. MyoPerf's own."""


def outside_training(results: Sequence[ScanResult]) -> str | None:
    """Return why a study is unlike those that the classifier learned from; None where it is not.

    It learned from SPECT of supine patients by parallel-hole cameras, without correction for attenuation.
    """
    scans = first_of_each_state(results)
    reasons = []
    for state, result in scans.items():
        scan = result.scan
        if scan.modality == "PT":
            reasons.append(f"{state} is PET")
            continue
        if camera_kind(scan.camera) == "CZT":
            reasons.append(f"{state} is from a solid-state camera")
        if scan.attenuation_corrected:
            reasons.append(f"{state} is corrected for attenuation")
        if scan.position == "prone":
            reasons.append(f"{state} is prone")
    reasons += pose_doubts(scans)
    if not reasons:
        return None
    return f"The model was trained on supine SPECT from parallel-hole cameras: {'; '.join(reasons)}."


def withheld(model: str, reason: str) -> Diagnosis:
    """Return a diagnosis without probabilities."""
    nothing = float("nan")
    vessels = dict.fromkeys(VESSELS, nothing)
    return Diagnosis(model, vessels, nothing, (nothing, nothing), abstained=True, reason=reason)


def pretest_of(study: Study, given: float | None) -> PretestProbability:
    """Return the pre-test probability of obstructive disease: the user's, else that of age and sex, else the default.

    Raises
    ------
    InputError
        When the user's is not between 0 and 1.
    """
    if given is not None:
        if not 0.0 < given < 1.0:
            raise InputError(f"A pre-test probability lies between 0 and 1; got {given}.")
        return PretestProbability(given, "given by the user")
    by_age = _BY_AGE.get(study.sex or "")
    if by_age is None or study.age_years is None or study.age_years < _YOUNGEST:
        return PretestProbability(DEFAULT_PRETEST, "assumed, as age or sex is not known")
    group = min(int((study.age_years - _YOUNGEST) // 10), len(by_age) - 1)
    return PretestProbability(by_age[group], "by age and sex with atypical angina, ESC 2019; symptoms are not known")


def at_pretest(diagnosis: Diagnosis, pretest: PretestProbability) -> Diagnosis:
    """Return a diagnosis whose probabilities hold at another pre-test probability than the model was calibrated at.

    The likelihood ratio, the odds over those of the patients that it was calibrated on, stays; the odds before the test
    are exchanged (Bayes' theorem).

    Parameters
    ----------
    diagnosis
        With `trained_at`; without, it is returned as it is.

    Examples
    --------
    >>> one = Diagnosis("m", {"LAD": 0.74}, 0.74, (0.7, 0.8), trained_at=PretestProbability(0.74, "calibration"))
    >>> round(at_pretest(one, PretestProbability(0.2, "assumed")).per_patient, 3)
    0.2
    """
    if diagnosis.trained_at is None:
        return diagnosis
    shift = float(logit(pretest.probability) - logit(diagnosis.trained_at.probability))

    def moved(probability: float) -> float:
        return float(expit(logit(np.clip(probability, _LEAST, 1.0 - _LEAST)) + shift))

    low, high = diagnosis.interval
    return replace(
        diagnosis,
        per_vessel={vessel: moved(p) for vessel, p in diagnosis.per_vessel.items()},
        per_patient=moved(diagnosis.per_patient),
        interval=(moved(low), moved(high)),
        pretest=pretest,
    )


def diagnose(study: Study, results: Sequence[ScanResult], models: Models, *, pretest: float | None) -> Diagnosis | None:
    """Return the classifier's diagnosis of a study at its pre-test probability; withheld where it may not speak.

    Returns
    -------
    None where there is no classifier or no stress scan.
    """
    if models.classify is None or not results:
        return None
    at = pretest_of(study, pretest)
    reason = outside_training(results)
    if reason is not None:
        return withheld(models.classifier, reason) if "stress" in first_of_each_state(results) else None
    diagnosis = models.classify(study, results)
    if diagnosis is None:
        return None
    if diagnosis.abstained:
        return withheld(diagnosis.model, diagnosis.reason or "The study is unlike those that the model learned from.")
    return at_pretest(diagnosis, at)


def check_diagnosis(diagnosis: Diagnosis | None, verdict: Verdict | None) -> tuple[Finding, ...]:
    """Return what the reader has to know of a diagnosis: why there is none, what it was learned from, a contradiction.

    It contradicts the verdict where it changes the odds of disease threefold the other way.
    """
    if diagnosis is None:
        return ()
    if diagnosis.abstained:
        message = f"The research model gives no probability. {diagnosis.reason or ''}".strip()
        return (Finding("diagnosis-doubt", "info", message),)
    findings = []
    if diagnosis.reason:
        findings.append(Finding("diagnosis-simulated", "info", diagnosis.reason))
    if verdict is None or not verdict.reliable or diagnosis.pretest is None:
        return tuple(findings)
    before, after = diagnosis.pretest.probability, diagnosis.per_patient
    change = float(logit(np.clip(after, _LEAST, 1.0 - _LEAST)) - logit(before))
    against = change <= -_CONTRADICTING if verdict.abnormal else change >= _CONTRADICTING
    if against:
        likelier = "less" if verdict.abnormal else "more"
        message = (
            f"The research model contradicts the verdict ({verdict.category}): by it, obstructive disease is much "
            f"{likelier} likely after the test than before (its own section has the numbers). Read the images: neither "
            "is known to be right."
        )
        findings.append(Finding("model-contradicts", "warning", message))
    return tuple(findings)
