"""How much of a delay of contraction shows in the wall's thickness and motion as they are followed in images.

    python benchmarks/phase_response.py --hearts 60 --patients 24

Independent hearts (for development) whose phase SD exceeds 3 degrees, and simulated patients without noise; see
``phase_hearts.py``. The true delay is laid out in the terms of `myoperf.gated.delay`; each harmonic of thickness and
of motion is turned back by a share of it, one share for each harmonic round the axis, and the shares are those that
leave the least out of phase, over all hearts of a family. `myoperf.gated.regional.PHASE_RESPONSE` was set after them.
Writes ``docs/results/phase_response.csv``; walls are kept under ``runs/phase``, so a run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from myoperf.gated.delay import Basis, Harmonic, delay_basis
from myoperf.gated.synchrony import _maps
from myoperf.types import Float
from phase_hearts import ANGLES, RINGS, FollowedHeart, heart_of

ROOT = Path(__file__).parents[1]
WALLS = ROOT / "runs/phase"
TABLE = ROOT / "docs/results/phase_response.csv"
MAPS = ("thickness, first", "thickness, second", "motion, first", "motion, second")
ORDERS = ("0", "1", "2", "3 and 4")
_LEAST_DEG = 3.0


def true_terms(heart: FollowedHeart, basis: Basis) -> Float:
    """Return the terms of the true delay, radians."""
    delay = np.deg2rad(heart.delay_deg).ravel()
    return np.asarray(np.linalg.lstsq(basis.values, delay - delay.mean(), rcond=None)[0])


def out_of_phase(shares: Float, cases: list[tuple[Harmonic, Float]], basis: Basis) -> float:
    """Return the fraction that is out of phase after the true delay is undone by these shares, mean of the hearts."""
    shown, total = np.asarray(shares)[np.minimum(basis.around, 3)], 0.0
    for harmonic, terms in cases:
        turn = (basis.values @ (shown * terms)).reshape(harmonic.values.shape)
        turned = harmonic.values * np.exp(-1j * harmonic.order * turn)
        turned = turned * np.exp(-1j * np.angle((harmonic.weight * turned).sum()))
        total += float((harmonic.weight * turned.imag**2).sum() / (harmonic.weight * np.abs(turned) ** 2).sum())
    return total / len(cases)


def responses(family: str, hearts: list[FollowedHeart]) -> list[dict[str, object]]:
    """Return a row for every harmonic and order."""
    basis, rows = delay_basis(RINGS, ANGLES), []
    every = np.ones((4, len(basis.around)))
    maps = [_maps(h.thickness / h.thickness.mean(), h.motion, h.level, every) for h in hearts]
    terms = [true_terms(h, basis) for h in hearts]
    for place, name in enumerate(MAPS):
        cases = [(of_heart[place], known) for of_heart, known in zip(maps, terms, strict=True)]
        found = minimize(out_of_phase, np.full(4, 0.7), args=(cases, basis), method="Nelder-Mead", tol=1e-4)
        none = out_of_phase(np.zeros(4), cases, basis)
        for order, share in zip(ORDERS, found.x, strict=True):
            rows.append({"family": family, "map": name, "around": order, "response": share, "hearts": len(hearts)})
            rows[-1] |= {"out_of_phase": found.fun, "out_of_phase_without": none}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearts", type=int, default=60)
    parser.add_argument("--patients", type=int, default=24)
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for family, count in (("independent", options.hearts), ("noiseless", options.patients)):
        hearts = [heart_of(WALLS, family, number) for number in range(count)]
        hearts = [heart for heart in hearts if heart.phase_sd_deg > _LEAST_DEG]
        rows += responses(family, hearts) if hearts else []
    table = pd.DataFrame(rows)
    table.to_csv(TABLE, index=False, float_format="%.4f")
    print(table.to_string())


if __name__ == "__main__":
    main()
