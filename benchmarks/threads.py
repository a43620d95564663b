"""Analyse one simulated gated study with one and with two threads, and compare every number of results.json.

    python benchmarks/threads.py

writes docs/results/threads.csv: for each kind of number its largest difference. The study is the simulated gated stress
and rest study of ``whole_command.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from whole_command import inputs

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "docs" / "results" / "threads.csv"


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the path and value of every number of a result."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if key not in ("provenance", "volume_curve", "phase_histogram"):
                yield from numbers(entry, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            yield from numbers(entry, f"{path}[{position}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def analyse(study: Path, out: Path, threads: int) -> dict[str, float]:
    """Return the numbers of an analysis in a new process with so many threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    words = ["-c", "from myoperf.cli.main import run; run()", "analyze", study, "-o", out, "--formats", "json", "-q"]
    subprocess.run([sys.executable, *map(str, words)], env=environment, check=True)
    result = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert result["provenance"]["threads"] == threads
    return dict(numbers(result))


def kind_of(path: str) -> str:
    """Return what a number is, without the scan and the place in a list."""
    parts = [re.sub(r"\[\d+\]|\.\d+$", "", part) for part in path.split(".")]
    of_interval = parts[0] == "intervals"
    return f"interval: {parts[-1]} of {parts[2]}" if of_interval else parts[-1]


def main() -> None:
    """Analyse twice, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--inputs", type=Path, default=ROOT / "runs" / "whole-command", help="keeps the simulated study"
    )
    study = inputs(parser.parse_args().inputs)["gated"]
    with tempfile.TemporaryDirectory(prefix="myoperf-threads-") as place:
        one, two = (analyse(study, Path(place) / f"out-{threads}", threads) for threads in (1, 2))
    assert one.keys() == two.keys(), sorted(one.keys() ^ two.keys())
    differences: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, float] = defaultdict(float)
    for path, value in one.items():
        differences[kind_of(path)].append(abs(value - two[path]))
        sizes[kind_of(path)] = max(sizes[kind_of(path)], abs(value))
    rows = [
        {"number": kind, "n": len(found), "largest_value": sizes[kind], "largest_difference": max(found)}
        for kind, found in sorted(differences.items())
    ]
    pd.DataFrame(rows).to_csv(RESULT, index=False, float_format="%.6g")
    print(pd.DataFrame(rows).sort_values("largest_difference").tail(15).to_string())


if __name__ == "__main__":
    main()
