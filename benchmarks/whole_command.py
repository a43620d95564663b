"""Time whole commands from cold processes, today's and version 0.1.0's in turn.

    python benchmarks/whole_command.py                     three jobs, three times each: some ten minutes
    python benchmarks/whole_command.py --repeats 1 --only volume

Jobs: ``gated`` is a simulated gated stress and rest study (60 views x 8 gates), raw, all formats; ``ge`` a real raw
stress study, not gated, all formats (needs ``../shared/real``); ``volume`` one gated volume, JSON only. Version
0.1.0 is checked out into a temporary folder and runs in the same environment. Both run once before they are timed, so
that compiled kernels are on disk; limits on threads (``OMP_NUM_THREADS``) are lifted. Writes a row a job to
``docs/results/whole_command.csv``; rows of other versions stay.
"""

import argparse
import csv
import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from myoperf.version import __version__

ROOT = Path(__file__).parents[1]
INPUTS = ROOT / "runs" / "whole-command"
RESULT = ROOT / "docs" / "results" / "whole_command.csv"
BASELINE = "8698878"
REAL = ROOT.parent / "shared" / "real" / "ge_projections"
GOALS = {"gated": 4.0, "ge": 3.0, "volume": 2.5}
FORMATS = {"gated": "all", "ge": "all", "volume": "json"}
RUN = (sys.executable, "-c", "from myoperf.cli.main import run; run()")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one process took."""

    seconds: float
    processor_seconds: float
    peak_mb: float


def execute(source: Path, *words: str | Path) -> Cost:
    """Run the command from a source tree in a new process; raise if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment["PYTHONPATH"] = str(source)
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen([*RUN, *map(str, words)], env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{words[0]} failed: {errors.read().decode()[-500:]}")
    return Cost(seconds=seconds, processor_seconds=usage.ru_utime + usage.ru_stime, peak_mb=usage.ru_maxrss / 1024.0)


def inputs(folder: Path) -> dict[str, Path]:
    """Return what each job reads; simulated studies are made once and kept."""
    simulated = folder / "patient-0001" / "dicom"
    if not simulated.is_dir():
        execute(ROOT / "src", "simulate", "1", "-o", folder, "--seed", "7", "--reconstructed")
    raw = [path for path in sorted(simulated.rglob("*.dcm")) if path.name.endswith("_tomo.dcm")]
    links = folder / "raw"
    links.mkdir(exist_ok=True)
    for path in raw:
        (links / path.name).unlink(missing_ok=True)
        (links / path.name).symlink_to(path.resolve())
    return {"gated": links, "ge": REAL, "volume": simulated.parent / "stress_volume.nii.gz"}


@contextmanager
def baseline() -> Iterator[Path]:
    """Yield the sources of version 0.1.0, checked out for the time of the block."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "-q", "--detach", tree, BASELINE], check=True)
        try:
            yield tree / "src"
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)


def measure(job: str, path: Path, old: Path, repeats: int) -> dict[str, str]:
    """Return a job's row: medians of both versions, run in turn after one run each that is not timed."""
    costs: dict[Path, list[Cost]] = {old: [], ROOT / "src": []}
    state = ("--state", "stress") if job == "volume" else ()
    for turn in range(repeats + 1):
        for source, kept in costs.items():
            with tempfile.TemporaryDirectory() as out:
                cost = execute(
                    source, "analyze", path, "-o", Path(out) / "out", "-q", "--formats", FORMATS[job], *state
                )
            if turn:
                kept.append(cost)
            print(f"{job} {'0.1.0' if source == old else __version__}: {cost}", file=sys.stderr)
    before, now = ([median(getattr(c, name) for c in kept) for name in Cost.__annotations__] for kept in costs.values())
    commit = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    )
    return {
        "version": __version__,
        "job": job,
        "commit": commit.stdout.strip(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seconds_0_1_0": f"{before[0]:.1f}",
        "seconds": f"{now[0]:.1f}",
        "ratio": f"{before[0] / now[0]:.2f}",
        "goal": f"{GOALS[job]:g}",
        "processor_seconds_0_1_0": f"{before[1]:.1f}",
        "processor_seconds": f"{now[1]:.1f}",
        "processor_ratio": f"{before[1] / now[1]:.2f}",
        "peak_mb_0_1_0": f"{before[2]:.0f}",
        "peak_mb": f"{now[2]:.0f}",
        "repeats": str(repeats),
        "machine": f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}, load {os.getloadavg()[1]:.1f}",
    }


def keep(rows: Sequence[dict[str, str]]) -> None:
    """Write the rows, in place of those of the same version and job."""
    old = list(csv.DictReader(RESULT.open(encoding="utf-8"))) if RESULT.exists() else []
    new = {(row["version"], row["job"]) for row in rows}
    kept = [row for row in old if (row["version"], row["job"]) not in new]
    with RESULT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=GOALS, default=[*GOALS])
    parser.add_argument(
        "--inputs", type=Path, default=ROOT / "runs" / "whole-command", help="keeps the simulated study"
    )
    given = parser.parse_args()
    paths = inputs(given.inputs)
    jobs = [job for job in given.only if paths[job].exists()]
    with baseline() as old:
        for job in jobs:
            keep([measure(job, paths[job], old, given.repeats)])
    print(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
