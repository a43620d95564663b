"""Polar maps of the left ventricle's wall: sampling, display, registration, check of the orientation."""

from myoperf.polar.align import Registration, register_polar
from myoperf.polar.anterior import AnteriorEstimate, estimate_anterior, turn_anterior
from myoperf.polar.display import Weighting, ring_radii, segments_percent
from myoperf.polar.right_ventricle import RVInsertions, check_rv_side, find_rv_insertions
from myoperf.polar.sampling import PolarPair, sample_polar_map, sample_surface
from myoperf.ventricle.surface import WallSurface, fit_surface

__all__ = [
    "AnteriorEstimate",
    "PolarPair",
    "RVInsertions",
    "Registration",
    "WallSurface",
    "Weighting",
    "check_rv_side",
    "estimate_anterior",
    "find_rv_insertions",
    "fit_surface",
    "register_polar",
    "ring_radii",
    "sample_polar_map",
    "sample_surface",
    "segments_percent",
    "turn_anterior",
]
