"""Volumes, ejection fraction, wall motion and synchrony of gated scans."""

from myoperf.gated.function import measure_function, static_cavities_ml
from myoperf.gated.synchrony import measure_synchrony
from myoperf.gated.thickness import PET_BLUR, SPECT_BLUR, WallBlur
from myoperf.gated.volume_curve import fit_volume_curve

__all__ = [
    "PET_BLUR",
    "SPECT_BLUR",
    "WallBlur",
    "fit_volume_curve",
    "measure_function",
    "measure_synchrony",
    "static_cavities_ml",
]
