"""Numbers from polar maps and gated volumes, formula by formula with its source."""

from __future__ import annotations

from myoperf.quant.curve import VolumeCurve, fit_volume_curve
from myoperf.quant.function import measure_function
from myoperf.quant.normals import (
    NormalLimits,
    build_limits,
    choose_limits,
    read_limits,
    scale_map,
    shipped_limits,
    write_limits,
)
from myoperf.quant.perfusion import Perfusion, measure_perfusion, score_perfusion, tid_ratio
from myoperf.quant.summary import summarise
from myoperf.quant.synchrony import Synchrony, measure_synchrony

__all__ = [
    "NormalLimits",
    "Perfusion",
    "Synchrony",
    "VolumeCurve",
    "build_limits",
    "choose_limits",
    "fit_volume_curve",
    "measure_function",
    "measure_perfusion",
    "measure_synchrony",
    "read_limits",
    "scale_map",
    "score_perfusion",
    "shipped_limits",
    "summarise",
    "tid_ratio",
    "write_limits",
]
