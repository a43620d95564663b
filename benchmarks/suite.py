"""Compare the time of ``make test`` with that of version 0.1.0, and of its rebuilding, which did the same.

    python benchmarks/suite.py                              the versions in turn, three times each; some 90 minutes
    python benchmarks/suite.py --rounds 1 --only contracts  another target of the Makefile: a quick try
    python docs/pages.py house

Each run takes a clean copy of a commit, as continuous integration does: nothing is compiled, nothing is cached. All
versions run their own Makefile with the programs and libraries of this checkout's .venv, so that only the code differs:
constraints.txt has gained lines since version 0.1.0 but changed none that its tests import. ``../shared`` is linked
beside the copy.

Writes docs/results/suite.csv, a row a run, with seconds of processor time of every process that the command started
(so that a busy machine counts little), seconds of the clock, and what pytest counted. A run that failed is written
with its exit code, and the command then ends with code 1.
"""

import argparse
import csv
import io
import os
import re
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "docs" / "results" / "suite.csv"
VERSIONS = {"0.1.0": "8698878", "rebuilt (0.2.0)": "f1c88c0", "now": "HEAD"}
"""Commits by version."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the tests of one version."""

    version: str
    commit: str
    tests: int
    processor_s: float
    clock_s: float
    exit_code: int


def copy_commit(commit: str, folder: Path) -> Path:
    """Write the files of a commit to ``folder/checkout``, with the shared data beside it."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder / "checkout", filter="data")
    (folder / "shared").symlink_to((ROOT / ".." / "shared").resolve())
    for words in (["init", "-q"], ["add", "-A"]):  # tests ask git which files are the project's
        subprocess.run(["git", *words], cwd=folder / "checkout", check=True)
    return folder / "checkout"


def run_tests(version: str, commit: str, target: str) -> Run:
    """Run a target of a version's own Makefile in a clean copy of it."""
    programs = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as scratch:
        checkout = copy_commit(commit, Path(scratch))
        environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "PATH": f"{programs}:{os.environ['PATH']}"}
        for name in ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "MAKEFLAGS"):
            environment.pop(name, None)
        words = ["make", target, f"BIN={programs}", "-o", "install", "-o", "tools"]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(words, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:], file=sys.stderr)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    passed = re.findall(r"(\d+) passed", done.stdout)
    return Run(
        version=version,
        commit=commit,
        tests=int(passed[-1]) if passed else 0,
        processor_s=round(processor, 1),
        clock_s=round(clock, 1),
        exit_code=done.returncode,
    )


def write_runs(path: Path, runs: list[Run]) -> None:
    """Write the table of the runs made so far, so that a command that is stopped keeps them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Run)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(run) for run in runs)


def main() -> int:
    """Run the versions in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="test", metavar="TARGET", help="a target of the Makefile; default test")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    runs: list[Run] = []
    write_runs(chosen.output, runs)
    for version, name in list(VERSIONS.items()) * chosen.rounds:
        described = subprocess.run(["git", "rev-parse", "--short=7", name], cwd=ROOT, capture_output=True, check=True)
        commit = described.stdout.decode().strip()
        runs.append(run_tests(version, commit, chosen.only))
        print(runs[-1], flush=True)
        write_runs(chosen.output, runs)
    return int(any(run.exit_code for run in runs))


if __name__ == "__main__":
    sys.exit(main())
