"""Labels as in Hajianfar et al. 2025 (doi:10.1007/s00259-025-07145-x): angiography, and an expert's 17 scores.

Angiography: left main >= 50 % or LAD, LCX, RCA >= 70 % diameter stenosis; a narrowed left main counts for
LAD and LCX (assumed: the paper states no rule). Expert: each segment scored 0-4 from its uptake against the
best wall, with reader noise and bias; a territory is abnormal at a summed stress score of 4 or
more, a patient if any territory is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from myoperf.phantom.parts import Coronary, Reader
from myoperf.segments import TERRITORIES
from myoperf.types import VESSELS, State

SCORE_EDGES = (0.82, 0.74, 0.64, 0.50)
"""Relative uptake below which a segment scores 1, 2, 3, 4."""
_LEFT_MAIN_PERCENT, _VESSEL_PERCENT, _TERRITORY_SCORE = 50.0, 70.0, 4


def stenosis_percent(coronary: Coronary) -> dict[str, float]:
    """Return the tightest diameter stenosis of LM, LAD, LCX and RCA, per cent, as angiography states it; 0 if open."""
    out = {"LM": 0.0, "LAD": 0.0, "LCX": 0.0, "RCA": 0.0}
    for lesion in coronary.lesions:
        out[lesion.vessel] = max(out[lesion.vessel], lesion.percent)
    return out


def _with_patient(vessels: dict[str, int]) -> dict[str, int]:
    return {**vessels, "patient": max(vessels.values())}


def ica_labels(coronary: Coronary) -> dict[str, int]:
    """Return disease by angiography (0 or 1) for LAD, LCX, RCA and ``patient``: stenoses of 70 %.

    A left main artery narrowed by 50 % counts for LAD and LCX.
    """
    percent = stenosis_percent(coronary)
    left_main = percent["LM"] >= _LEFT_MAIN_PERCENT
    return _with_patient(
        {v: int(percent[v] >= _VESSEL_PERCENT or (left_main and v in ("LAD", "LCX"))) for v in VESSELS}
    )


def draw_reader(rng: np.random.Generator, male: bool) -> Reader:
    """Draw the expert's errors on this study.

    Part of the noise is common to stress and rest. What attenuation leaves in the image is read as a mild inferior
    loss in men and anterior loss in women.
    """
    bias = float(rng.normal(0.0, 0.04))
    common, stress, rest = rng.normal(0.0, 0.055, size=(3, 17))
    artefact = np.zeros(17)
    artefact[[index - 1 for index in ((4, 10, 15) if male else (1, 7, 13))]] = -abs(rng.normal(0.0, 0.05))
    return Reader(
        bias,
        tuple(float(x) for x in common + stress + artefact),
        tuple(float(x) for x in common + rest + artefact),
    )


def expert_scores(reader: Reader, state: State, relative: ArrayLike) -> tuple[int, ...]:
    """Score 17 segments 0-4.

    Parameters
    ----------
    relative
        Shape (17,): mean uptake of each segment, scaled to the best wall (1).
    """
    noise = reader.stress_noise if state == "stress" else reader.rest_noise
    read = np.asarray(relative, dtype=np.float64) + np.asarray(noise) + reader.threshold_bias
    scores = (read[:, None] < np.asarray(SCORE_EDGES)).sum(axis=1)
    return tuple(int(score) for score in scores)


def expert_labels(stress_scores: Sequence[int]) -> dict[str, int]:
    """Return what the expert calls abnormal, 0 or 1, for LAD, LCX, RCA and ``patient``.

    Parameters
    ----------
    stress_scores
        17 scores from 0 to 4 in the AHA's order; a territory whose sum reaches 4 is abnormal.
    """
    sums = {v: sum(stress_scores[s - 1] for s in TERRITORIES[v]) for v in VESSELS}
    return _with_patient({v: int(sums[v] >= _TERRITORY_SCORE) for v in VESSELS})
