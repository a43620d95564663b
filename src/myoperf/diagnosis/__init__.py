"""Probability of obstructive coronary disease per vessel and per patient, with its explanation and its doubt."""

from myoperf.diagnosis.classifier import Classifier, load_classifier
from myoperf.diagnosis.explain import occlusion_map

__all__ = ["Classifier", "load_classifier", "occlusion_map"]
