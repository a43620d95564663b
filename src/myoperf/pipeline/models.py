"""Which models the main job uses: what ships with the package, or the method that needs no weights."""

from __future__ import annotations

from myoperf.diagnosis import load_classifier
from myoperf.pipeline.analyze import Models
from myoperf.types import WeightsInfo

__all__ = ["load_models"]


def load_models(*, device: str = "cpu") -> Models:
    """Give the shipped models.

    The left ventricle is found by the classical method and the polar-map classifier diagnoses; both
    run on the CPU in under a second or two, whatever `device` says.
    """
    del device  # nothing shipped is large enough to gain from another device yet
    classifier = load_classifier()
    return Models(
        classify=classifier.classify, weights=(WeightsInfo(classifier.name.split("/")[0], classifier.sha256),)
    )
