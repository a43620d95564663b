"""Which models the main job uses: what ships with the package, or the method that needs no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from myoperf.pipeline.analyze import Models
from myoperf.types import Diagnosis, ScanResult, Study, WeightsInfo

__all__ = ["EXPERIMENTAL", "load_models"]

EXPERIMENTAL = (
    "Experimental: trained on simulated patients with known ventricles; on automatically found ones it was no "
    "better than TPD or SSS (see the model's card)."
)


def load_models(*, device: str = "cpu", experimental_diagnosis: bool = False) -> Models:
    """Give the models of the main job.

    Parameters
    ----------
    device
        For networks; nothing shipped is large enough to gain from another than the CPU yet.
    experimental_diagnosis
        Also use the polar-map classifier. It is off unless asked for, because on ventricles that were
        found, as here, it has not been shown to add to the perfusion scores; its diagnoses say so.
    """
    del device
    if not experimental_diagnosis:
        return Models()
    from myoperf.diagnosis import load_classifier  # brings torch: only when asked for

    classifier = load_classifier()

    def classify(study: Study, results: Sequence[ScanResult]) -> Diagnosis | None:
        found = classifier.classify(study, results)
        if found is None:
            return None
        return replace(found, reason=f"{found.reason} {EXPERIMENTAL}" if found.reason else EXPERIMENTAL)

    return Models(classify=classify, weights=(WeightsInfo(classifier.name.split("/")[0], classifier.sha256),))
