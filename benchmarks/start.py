"""Time how fast the package and its help start.

    python benchmarks/start.py

Writes docs/results/start.csv: medians over new processes, in seconds of processor time (so that a busy machine counts
little) and of the clock. "python" is the interpreter alone. No command of the product needs PyTorch on a processor;
trainings do.
"""

import csv
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

RESULT = Path(__file__).parents[1] / "docs" / "results" / "start.csv"
ROUNDS = 9
_LOADED = """
from myoperf.pipeline import load_models
from myoperf.pipeline.analyze import analyze
load_models(device="cpu")
"""
JOBS = {
    "python": [sys.executable, "-c", "pass"],
    "import myoperf": [sys.executable, "-c", "import myoperf"],
    "myoperf --help": [sys.executable, "-c", "from myoperf.cli.main import run; run()", "--help"],
    "myoperf analyze --help": [sys.executable, "-c", "from myoperf.cli.main import run; run()", "analyze", "--help"],
    "what analyze needs, networks loaded": [sys.executable, "-c", _LOADED],
    "the same and PyTorch": [sys.executable, "-c", f"import torch; {_LOADED}"],
}


def seconds(words: list[str]) -> tuple[float, float]:
    """Run one process; return its seconds of processor time and of the clock."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Time every job in turn, once to warm the disk's cache and then `ROUNDS` times."""
    for words in JOBS.values():
        seconds(words)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in JOBS}
    for _ in range(ROUNDS):
        for name, words in JOBS.items():
            times[name].append(seconds(words))
    with RESULT.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("job", "n", "processor_s", "clock_s"))
        for name, values in times.items():
            processor, clock = (f"{median(column):.3f}" for column in zip(*values, strict=True))
            table.writerow((name, ROUNDS, processor, clock))


if __name__ == "__main__":
    main()
