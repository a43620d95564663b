"""What the verdict says of polar maps alone, for the benchmarks of perfusion; function, which bears on it too, is not
simulated there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from myoperf.perfusion import (
    Evidence,
    NormalLimits,
    cutoffs_of,
    decide,
    diffuse_loss,
    score_perfusion,
)
from myoperf.types import PolarMap, Scores, State

WIDE_PERCENT = 60.0
"""Extent from which disease of three vessels is called severe."""


def call_maps(
    maps: Mapping[State, PolarMap | None], limits: Mapping[State, NormalLimits | None], sex: str
) -> tuple[Scores, dict[str, Any]]:
    """Return the scores of stress and rest, and ``category`` and ``warned`` where there is a verdict."""
    stress, held = maps["stress"], limits["stress"]
    scores = score_perfusion(stress, maps["rest"], stress_limits=held, rest_limits=limits["rest"])
    loss = None if held is None or stress is None else diffuse_loss(stress, held)
    verdict = decide(scores, Evidence(sex=sex, diffuse_loss_percent=loss), cutoffs=cutoffs_of(held, limits["rest"]))
    return scores, {} if verdict is None else {"category": verdict.category, "warned": int(bool(verdict.warnings))}
