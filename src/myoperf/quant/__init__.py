"""Numbers from polar maps and gated volumes, formula by formula with its source."""

from __future__ import annotations

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

__all__ = [
    "NormalLimits",
    "Perfusion",
    "build_limits",
    "choose_limits",
    "measure_perfusion",
    "read_limits",
    "scale_map",
    "score_perfusion",
    "shipped_limits",
    "summarise",
    "tid_ratio",
    "write_limits",
]
