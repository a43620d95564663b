"""How often new simulated normal patients are called abnormal, or extensive disease is said not to be excluded.

    python benchmarks/verdict_normals.py --until 600

images normal patients of both sexes at stress and rest with the fast image-space model of a SPECT camera and finds
their ventricles, then decides on each with the package's limits (published cut-offs) and with limits of the other nine
tenths of them (own cut-offs). Writes ``docs/results/verdict_normals.csv``, one row a patient and kind of limits.
Patients that were imaged are kept in a folder, so that a run goes on where it stopped. Function is not simulated:
ejection fraction, volumes and TID do not bear on these rates.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from myoperf.perfusion import (
    Evidence,
    LimitsLabel,
    NormalLimits,
    build_limits,
    choose_limits,
    cutoffs_of,
    decide,
    diffuse_loss,
    score_perfusion,
    shipped_limits,
    with_cutoffs,
)
from myoperf.research.normal_limits.recipe import Normal, Recipe, draw_normals, map_without_geometry, read_normals
from myoperf.types import PolarMap, State

ROOT = Path(__file__).resolve().parents[1]
RECIPE = Recipe(kind="spect", tracer="Tc-99m", camera=None, seed=77101, spacing_mm=6.4, shape=(64, 64, 64))
SEED, GROUPS = 77101, 10
STATES: tuple[State, State] = ("stress", "rest")
COLUMNS = ("limits", "patient", "sex", "sss", "srs", "tpd_stress", "tpd_rest", "category", "extensive")


def polar(normal: Normal, state: State) -> PolarMap:
    """Return the map of a state."""
    return map_without_geometry(normal.maps[state])


def rows_with(
    name: str, normals: Sequence[tuple[int, Normal]], limits: dict[State, NormalLimits | None]
) -> Iterator[dict[str, object]]:
    """Decide on patients with the limits of each state."""
    for index, normal in normals:
        stress, rest = (polar(normal, state) for state in STATES)
        scores = score_perfusion(stress, rest, stress_limits=limits["stress"], rest_limits=limits["rest"])
        held = limits["stress"]
        evidence = Evidence(sex=normal.sex, diffuse_loss_percent=None if held is None else diffuse_loss(stress, held))
        verdict = decide(scores, evidence, cutoffs=cutoffs_of(limits["stress"], limits["rest"]))
        if verdict is not None:
            yield {
                "limits": name,
                "patient": index,
                "sex": normal.sex,
                "sss": scores.sss,
                "srs": scores.srs,
                "tpd_stress": f"{scores.tpd_stress_percent:.2f}",
                "tpd_rest": f"{scores.tpd_rest_percent:.2f}",
                "category": verdict.category,
                "extensive": int(bool(verdict.warnings)),
            }


def own_limits(normals: Sequence[tuple[int, Normal]]) -> dict[State, NormalLimits | None]:
    """Build limits with cut-offs from patients."""
    out: dict[State, NormalLimits | None] = {}
    for state in STATES:
        maps = [polar(normal, state) for _, normal in normals]
        label = LimitsLabel(name="own", version="1", state=state, provenance="simulated", licence="none")
        out[state] = with_cutoffs(build_limits(maps, label), maps)
    return out


def main() -> None:
    """Image, decide and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--until", type=float, help="seconds of imaging; a later run goes on")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "verdict-normals")
    given = parser.parse_args()
    draw_normals(RECIPE, given.work, name="spect", count=given.patients, seed=SEED, until=given.until)
    imaged = [(i, n) for i, n in enumerate(read_normals(given.work, "spect")) if set(n.maps) == set(STATES)]
    rows: list[dict[str, object]] = []
    for sex in ("F", "M"):
        of_sex = [one for one in imaged if one[1].sex == sex]
        package = {s: choose_limits(shipped_limits(), state=s, sex=sex, tracer="Tc-99m")[0] for s in STATES}
        rows += rows_with("package", of_sex, package)
        for group in range(GROUPS):
            out = of_sex[group::GROUPS]
            rows += rows_with("own", out, own_limits([one for one in of_sex if one not in out]))
    path = ROOT / "docs" / "results" / "verdict_normals.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (str(row["limits"]), int(str(row["patient"])))))
    for name in ("package", "own"):
        chosen = [row for row in rows if row["limits"] == name]
        abnormal = np.mean(["abnormal" in str(row["category"]) for row in chosen])
        extensive = np.mean([int(str(row["extensive"])) for row in chosen])
        print(f"{name}: n {len(chosen)}, abnormal {abnormal:.1%}, extensive disease not excluded {extensive:.1%}")


if __name__ == "__main__":
    main()
