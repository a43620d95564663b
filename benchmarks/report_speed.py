"""Time and memory of writing a report, today's against an earlier version's, alternating process by process.

    python benchmarks/report_speed.py --against 8698878        (version 0.1.0)

Writes ``docs/results/report_speed.csv``. Both versions draw the reports of their own tests: stress (gated) and rest of
a closed-form ventricle with scores and a diagnosis, and one scan with nothing else. Each process writes the polar maps'
files, ``report.html`` and ``report.pdf`` twice: the first time with the imports this needs, the second without.
``import_s`` is that of ``import myoperf.report``.
Processor time, not the clock, so that other work on the machine counts little; the shortest of the rounds counts.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES = ("make_report", "bare_report")
TITLES = {"make_report": "gated stress and rest, diagnosis", "bare_report": "one scan"}
CHILD = """
import json, resource, sys, time
from pathlib import Path
start = time.process_time()
import myoperf.report
import_s = time.process_time() - start
try:
    from support import report as fixtures
except ImportError:  # up to version 0.1.0
    import conftest as fixtures
from myoperf import report as made_by
given, folder = getattr(fixtures, sys.argv[1])(), Path(sys.argv[2])
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def write():
    start = time.process_time()
    drawn = {"drawings": made_by.draw_report(given)} if hasattr(made_by, "draw_report") else {}
    for result in given.results:
        made_by.write_polar(result, folder)
    made_by.write_html(given, folder / "report.html", **drawn)
    made_by.write_pdf(given, folder / "report.pdf", **drawn)
    return time.process_time() - start
before = peak()
first, again = write(), write()
sizes = {name: (folder / f"report.{name}").stat().st_size for name in ("html", "pdf")}
out = {"import_s": import_s, "first_s": first, "again_s": again, "memory_mb": peak() - before}
print(json.dumps(out | {f"{name}_mb": size / 1e6 for name, size in sizes.items()}))
"""


def unpack(commit: str, folder: Path) -> Path:
    """Write a commit's package and tests into a folder and return it."""
    words = ["git", "archive", commit, "src", "tests"]
    packed = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run(root: Path, case: str) -> dict[str, float]:
    """Return what one process of a version measures."""
    paths = os.pathsep.join(str(root / part) for part in ("src", "tests", "tests/report"))
    settings = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-c", CHILD, case, folder]
        done = subprocess.run(words, env=settings, cwd=folder, capture_output=True, text=True, check=True)
    return {name: float(value) for name, value in json.loads(done.stdout.splitlines()[-1]).items()}


def best(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the least of each measure."""
    return {name: min(one[name] for one in rounds) for name in rounds[0]}


def main() -> None:
    """Measure both versions in turn and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", required=True, metavar="COMMIT", help="The earlier version.")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        versions = {"before": unpack(given.against, Path(folder)), "now": ROOT}
        for case in CASES:
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in versions}
            for _ in range(given.rounds):
                for name, root in versions.items():
                    rounds[name].append(run(root, case))
            before, now = best(rounds["before"]), best(rounds["now"])
            for measure in before:
                ratio = before[measure] / now[measure]
                rows.append(
                    {
                        "report": TITLES[case],
                        "measure": measure,
                        "before": round(before[measure], 3),
                        "now": round(now[measure], 3),
                        "ratio": round(ratio, 2),
                        "rounds": given.rounds,
                    }
                )
                print(*rows[-1].values(), flush=True)
    with (ROOT / "docs/results/report_speed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
