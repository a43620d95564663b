"""The probability of obstructive coronary disease per vessel and per patient, explained and with its doubt."""

from __future__ import annotations

from myoperf.diagnosis.classifier import Classifier, load_classifier
from myoperf.diagnosis.explain import activation_map, occlusion_map

__all__ = ["Classifier", "activation_map", "load_classifier", "occlusion_map"]
