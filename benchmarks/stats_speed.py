"""Time DeLong and the bootstrap against plain loops, in one process, alternating.

    python benchmarks/stats_speed.py

Writes docs/results/stats_speed.csv. Time is processor time of one thread, so that a
busy machine counts little; memory is the peak of what a call takes besides its input. The peers are what users write
today: scikit-learn's ``roc_auc_score`` in a loop over resamples and models, and DeLong's placements, pair by pair
with SciPy. The peers run on a share of the work, and their time is scaled up; the share is stated.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats as distributions
from sklearn.metrics import roc_auc_score

from myoperf.stats import bootstrap_auc, delong_pairs, delong_table, resample_counts

MODELS, PATIENTS, RESAMPLES, ROUNDS = 728, 100, 1000, 7
PEER_PAIRS, PEER_AREAS = 300, 600


def seconds(job: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    job()
    return time.process_time() - start


def peak_mb(job: Callable[[], object]) -> float:
    """Peak of the memory that one call takes, MB."""
    tracemalloc.start()
    job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def delong_pair_by_pair(truth: NDArray[np.bool_], a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """P value of one pair by explicit comparison of every case with every control."""
    areas, placed = [], []
    for score in (a, b):
        case, control = score[truth], score[~truth]
        psi = (case[:, None] > control) + 0.5 * (case[:, None] == control)
        areas.append(psi.mean())
        placed.append((psi.mean(axis=1), psi.mean(axis=0)))
    s10 = np.cov(placed[0][0], placed[1][0])
    s01 = np.cov(placed[0][1], placed[1][1])
    cover = s10 / truth.sum() + s01 / (~truth).sum()
    return float(
        2 * distributions.norm.sf(abs(areas[0] - areas[1]) / np.sqrt(cover[0, 0] + cover[1, 1] - 2 * cover[0, 1]))
    )


def main() -> None:
    """Measure, check that both agree, write the table."""
    rng = np.random.default_rng(0)
    truth = np.arange(PATIENTS) % 5 < 3
    scores = rng.random((MODELS, PATIENTS)) + 0.4 * truth
    counts = resample_counts(truth, resamples=RESAMPLES, rng=rng)
    picked = rng.integers(MODELS, size=(PEER_PAIRS, 2))
    areas = [
        (int(m), int(r))
        for m, r in zip(rng.integers(MODELS, size=PEER_AREAS), rng.integers(RESAMPLES, size=PEER_AREAS), strict=True)
    ]

    def ours_pairs() -> object:
        return delong_pairs(delong_table(truth, scores))

    def ours_bootstrap() -> object:
        return bootstrap_auc(truth, scores, counts)

    def peer_pairs() -> list[float]:
        return [delong_pair_by_pair(truth, scores[a], scores[b]) for a, b in picked if a != b]

    def peer_bootstrap() -> list[float]:
        rows = [np.repeat(np.arange(PATIENTS), counts[r]) for _, r in areas]
        return [float(roc_auc_score(truth[row], scores[m][row])) for (m, _), row in zip(areas, rows, strict=True)]

    boot = bootstrap_auc(truth, scores, counts)
    worst = max(abs(boot[m, r] - value) for (m, r), value in zip(areas, peer_bootstrap(), strict=True))
    assert worst < 1e-12, worst
    ours_pairs()
    pairs = MODELS * (MODELS - 1) // 2
    table = []
    for job, goal, ours, peer, scale in (
        ("DeLong, all pairs", 50, ours_pairs, peer_pairs, pairs / sum(a != b for a, b in picked)),
        ("bootstrap of all areas", 500, ours_bootstrap, peer_bootstrap, MODELS * RESAMPLES / PEER_AREAS),
    ):
        both = [(seconds(ours), seconds(peer) * scale) for _ in range(ROUNDS)]
        mine, theirs = median(t for t, _ in both), median(t for _, t in both)
        table.append(
            {
                "job": job,
                "models": MODELS,
                "patients": PATIENTS,
                "pairs": pairs,
                "resamples": RESAMPLES,
                "rounds": ROUNDS,
                "myoperf_ms": round(1000 * mine, 2),
                "slowest_ms": round(1000 * max(t for t, _ in both), 2),
                "goal_ms": goal,
                "peak_mb": round(peak_mb(ours), 1),
                "loop_s_scaled_up": round(theirs, 2),
                "ratio": round(median(b / a for a, b in both)),
            }
        )
    out = Path(__file__).parents[1] / "docs" / "results" / "stats_speed.csv"
    out.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(table).to_csv(out, index=False)
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
