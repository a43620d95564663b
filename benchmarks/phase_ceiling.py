"""How well the wall's thickening could tell the delay of contraction, were there no blur and no noise.

    python benchmarks/phase_ceiling.py --patients 150 --seed 8200

The truth of a simulated patient's phase SD is that of the delay given to each cone of directions from the valve
plane. The thickness across the wall joins surfaces of different cones. Here it is measured on the exact surfaces
(8 gates), its first harmonic's phase is taken, weighed with its size, and its SD is held against the truth. Writes
``docs/results/phase_ceiling.csv``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from myoperf.phantom.heart import wall_at
from myoperf.phantom.motion import gate_times, moved_surfaces
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.types import Float

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/phase_ceiling.csv"
GATES, RINGS, ANGLES, NODES = 8, 24, 36, 81


def thickness(patient: PatientModel) -> Float:
    """Return the thickness across the wall, (gates, rings, angles), at fractions of the mid-wall's arc in each gate."""
    share = np.broadcast_to(np.linspace(0, 1, NODES)[:, None], (NODES, ANGLES))
    angle = np.broadcast_to((np.arange(ANGLES) * 360.0 / ANGLES)[None], (NODES, ANGLES))
    wall = wall_at(patient.ventricle, share, angle)
    across, along = np.sin(wall.theta), np.cos(wall.theta)
    rings = (np.arange(RINGS) + 0.5) / RINGS
    out = np.empty((GATES, RINGS, ANGLES))
    for gate, time in enumerate(gate_times(GATES)):
        inner, outer = moved_surfaces(patient, "stress", float(time), wall, angle)
        gap = np.hypot(
            (inner * across)[:, None] - (outer * across)[None], (inner * along)[:, None] - (outer * along)[None]
        )
        near, distance = gap.argmin(axis=1), gap.min(axis=1)
        x, z = (0.5 * (inner * part + np.take_along_axis(outer * part, near, axis=0)) for part in (across, along))
        arc = np.concatenate(
            [np.zeros((1, ANGLES)), np.cumsum(np.hypot(np.diff(x, axis=0), np.diff(z, axis=0)), axis=0)]
        )
        for a in range(ANGLES):
            out[gate, :, a] = np.interp(rings, arc[:, a] / arc[-1, a], distance[:, a])
    return out


def phase_sd_deg(values: Float) -> float:
    """Return the SD of the first harmonic's phase, weighed with its size."""
    turn = np.exp(2j * np.pi * (np.arange(GATES) + 0.5) / GATES)
    first = np.tensordot(turn, values, axes=(0, 0))
    weight = np.abs(first) / np.abs(first).sum()
    phase = np.rad2deg(np.angle(first * np.exp(-1j * np.angle(first.sum()))))
    return float(np.sqrt((weight * (phase - (weight * phase).sum()) ** 2).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=150)
    parser.add_argument("--seed", type=int, default=8200)
    options = parser.parse_args()
    rows = []
    for index in range(options.patients):
        patient = draw_patient(np.random.default_rng([options.seed, index]), PopulationOptions(normal=index % 4 == 0))
        true, scars = patient.function.phase_sd_deg, len(patient.coronary.infarcts)
        rows.append((index, true, phase_sd_deg(thickness(patient)), scars))
    table = pd.DataFrame(rows, columns=["patient", "phase_sd_deg_true", "phase_sd_deg_of_thickness", "scars"])
    table.to_csv(TABLE, index=False, float_format="%.3f")
    print(table.describe().to_string())


if __name__ == "__main__":
    main()
