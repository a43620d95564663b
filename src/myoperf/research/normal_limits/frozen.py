"""Ten frozen normals: whether today's code still measures what the normal limits were made with.

Limits hold only for the way the ventricle is found, turned, ended and unrolled when they are made. Ten simulated
normals that the limits do not hold are measured by today's code and compared with what they gave when the limits
were built::

    python -m myoperf.research.normal_limits.frozen          # after limits were built: write FROZEN anew
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from myoperf.perfusion import choose_limits, measure_perfusion, shipped_limits
from myoperf.pipeline import load_models
from myoperf.research.normal_limits.recipe import RECIPES, image_normal, map_without_geometry

SEGMENTS = tuple(str(k) for k in range(1, 18))
FROZEN = Path(__file__).parent / "frozen_normals.csv"
PATIENTS, SEED = {"czt": 6, "rb82": 4}, 777
MOST_TPD, MOST_SEGMENT = 0.3, 1.0
"""Changes of TPD (points) and of a segment's uptake (% of the maximum) from which limits have to be made anew."""

Measured = Mapping[tuple[str, int], Mapping[str, float]]
"""(recipe, patient) -> TPD of stress as ``tpd``, and the uptake of segments 1 to 17 as ``1`` to ``17``."""


def measure_frozen(patients: Mapping[str, int] = PATIENTS) -> Measured:
    """Image the frozen normals at stress and score them against the shipped limits.

    Parameters
    ----------
    patients
        Recipe (`myoperf.research.normal_limits.recipe.RECIPES`) -> how many.

    Returns
    -------
    A patient whose ventricle is in doubt is left out.
    """
    find_lv, limits = load_models(diagnosis=False).find_lv, shipped_limits()
    measured = {}
    for name, count in patients.items():
        recipe = RECIPES[name]
        for index in range(count):
            normal = image_normal(recipe, index, find_lv=find_lv, seed=SEED, states=("stress",))
            if "stress" not in normal.maps:
                continue
            chosen, _ = choose_limits(
                limits, state="stress", sex=normal.sex, tracer=recipe.tracer, camera=recipe.camera
            )
            score = measure_perfusion(map_without_geometry(normal.maps["stress"]), chosen)
            segments = {k: float(p) for k, p in zip(SEGMENTS, score.segments_percent, strict=True)}
            measured[name, index] = {"tpd": float(score.tpd_percent or 0.0)} | segments
    return measured


def changes(frozen: Measured, measured: Measured) -> list[str]:
    """Return a line for each patient who is gone, or whose numbers moved by more than the limits bear.

    `MOST_TPD` and `MOST_SEGMENT` say how much that is. Without a line, the limits still hold.
    """
    lines = [f"{key}: not measured" for key in frozen if key not in measured]
    for key in (k for k in frozen if k in measured):
        moved = {name: abs(measured[key][name] - value) for name, value in frozen[key].items()}
        tpd, segment = moved.pop("tpd"), max(moved.values())
        if tpd > MOST_TPD or segment > MOST_SEGMENT:
            lines.append(f"{key}: TPD by {tpd:.2f}, a segment by {segment:.2f}")
    return lines


def write_frozen(path: Path, measured: Measured) -> None:
    """Write what was measured as a table, one row a patient."""
    columns = ["recipe", "patient", "tpd", *SEGMENTS]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for key, values in measured.items():
            writer.writerow([*key, *(f"{values[name]:.3f}" for name in columns[2:])])


def read_frozen(path: Path = FROZEN) -> Measured:
    """Read a table of `write_frozen`."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    keys = [(row.pop("recipe"), int(row.pop("patient"))) for row in rows]
    return {key: {name: float(value) for name, value in row.items()} for key, row in zip(keys, rows, strict=True)}


if __name__ == "__main__":
    write_frozen(FROZEN, measure_frozen())
