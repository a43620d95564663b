"""Read report pages painted in many colour scales, and pages whose apex is dark under stress.

    PYTHONPATH=tests python benchmarks/report_colours.py [--resume]

writes docs/results/report_colours.csv (a row a scale: correlation of what was read with what was painted, the worst
view and state of each of three layouts, or "refused") and docs/results/report_apices.csv (16 pages of simulated
patients whose first five short-axis slices of stress are dimmed to a twentieth). Everything is simulated.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from myoperf.errors import UnsupportedInputError
from myoperf.research.screenshots.colour_scales import SCALES
from myoperf.research.screenshots.report_pictures import ReportPicture, read_report_picture
from myoperf.research.slice_stacks import SliceStacks
from support.screenshots import LAYOUTS, Layout, patient_stacks, read_as_painted, render

RESULTS = Path(__file__).parents[1] / "docs" / "results"
PAINTED = (
    *("grey", "inverted-grey", "hot", "hot-iron", "warm-metal", "pet", "pet-20-step", "cool", "ge", "rainbow"),
    *("jet", "spectrum"),
)
"""Twelve scales, each on the three layouts."""


def read(picture: np.ndarray, folder: Path) -> ReportPicture:
    """Read a page after JPEG."""
    Image.fromarray(picture).save(folder / "page.jpg", quality=85)
    return read_report_picture(folder / "page.jpg", shape=(32, 64, 64))


def correlation(layout: Layout, seed: int, folder: Path) -> str:
    """Return the worst correlation of a view and state with what was painted, or ``refused``."""
    picture, painted = render(layout, patient_stacks(seed))
    try:
        page = read(picture, folder)
    except UnsupportedInputError:
        return "refused"
    return f"{min(read_as_painted(page, layout, painted)):.3f}"


def dark_apex(seed: int, folder: Path) -> dict[str, object]:
    """Read a page whose first five short-axis slices are dark under stress."""
    stacks = patient_stacks(seed)
    views = {view: stack.copy() for view, stack in stacks.views.items()}
    views["sa"][:4] *= 0.05
    try:
        page = read(render(LAYOUTS["public"], SliceStacks(views))[0], folder)
    except UnsupportedInputError as error:
        return {"patient": seed, "stress": 0, "rest": 0, "reason": str(error)}
    return {"patient": seed, "stress": page.slices["sa", "stress"], "rest": page.slices["sa", "rest"], "reason": ""}


def main() -> None:
    """Write both tables, one row as soon as it is known."""
    tables = {
        "report_colours.csv": [(name, lambda folder, name=name: colours_row(name, folder)) for name in PAINTED],
        "report_apices.csv": [(str(seed), lambda folder, seed=seed: dark_apex(seed, folder)) for seed in range(16)],
    }
    with tempfile.TemporaryDirectory() as made:
        for file, jobs in tables.items():
            path = RESULTS / file
            rows: list[dict[str, object]] = []
            if "--resume" in sys.argv and path.is_file():
                with path.open(newline="") as lines:
                    rows = list(csv.DictReader(lines))
            for key, job in jobs[len(rows) :]:
                rows.append(job(Path(made)))
                with path.open("w", newline="") as lines:
                    writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)
                print(file, key, rows[-1], flush=True)


def colours_row(name: str, folder: Path) -> dict[str, object]:
    """Return a scale's correlations on the three layouts."""
    assert name in SCALES
    seeds = {"public": 0, "wide": 2, "large": 3}
    return {"scale": name} | {
        key: correlation(replace(LAYOUTS[key], scale=name, bar=False), seed, folder) for key, seed in seeds.items()
    }


if __name__ == "__main__":
    main()
