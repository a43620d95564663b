"""Throughput and memory of ``myoperf cohort`` on simulated reconstructed studies, against version 0.1.0's cold command.

    myoperf simulate 500 -o runs/cohort/patients --fast --seed 5
    python benchmarks/cohort_throughput.py --patients runs/cohort/patients

Three parts, each of which continues where it stopped (``runs/cohort`` holds their state; ``--restart`` discards it):

- the cohort with one worker on the first ``--one`` studies, and with two workers on all of them, JSON results with
  intervals; time from the first study's end to the last one's, so that the start of the processes is left out of the
  throughput and reported apart;
- resident memory of the workers, sampled every five seconds;
- ``myoperf analyze STUDY --formats json`` of version 0.1.0 (commit 8698878, from a git worktree), a new process for
  each of ``--cold`` studies, alternating with the same command of this version.

Writes ``docs/results/cohort_throughput.csv`` (one row a part) and ``cohort_memory.csv``; ``python docs/pages.py
cohort`` fills the page. Needs a machine on which nothing else runs.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from myoperf.pipeline.cohort import CohortProgress, CohortSettings, StudyInput, run_cohort
from myoperf.pipeline.engines import LocalEngine

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
STATE = ROOT / "runs" / "cohort"
BEFORE = "8698878"
_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """One row of the results: what ran, on how many studies, and its cost."""

    part: str
    workers: int
    studies: int
    failed: int
    seconds_a_study: float
    cpu_seconds_a_study: float
    studies_an_hour: float
    start_s: float
    peak_mb: float
    bytes_a_study: float
    processor: str


def children() -> list[int]:
    """Return the processes that this one started."""
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in listed]


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024.0**2
    except (OSError, IndexError):
        return 0.0


class Log:
    """Times of finished studies and samples of memory, kept in files so that a part can continue."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ends, self.memory = folder / "ends.csv", folder / "memory.csv"
        self.began, self.stopped = time.monotonic(), threading.Event()
        self.session = len({row[0] for row in self.rows(self.ends)})

    @staticmethod
    def rows(file: Path) -> list[list[str]]:
        """Read a log."""
        return list(csv.reader(file.read_text().splitlines())) if file.exists() else []

    def write(self, file: Path, *values: float) -> None:
        """Add a line."""
        with file.open("a") as out:
            csv.writer(out).writerow([self.session, *(round(value, 3) for value in values)])

    def progress(self, state: CohortProgress) -> None:
        """Log the end of a study: seconds since this session began, processor seconds of ended workers, bytes."""
        if state.done:
            self.write(self.ends, time.monotonic() - self.began, state.done, state.failed, state.written_bytes)

    def sample(self) -> None:
        """Log the memory of the largest worker, and the time of all workers on the processor, until stopped."""
        while not self.stopped.wait(_EVERY_S):
            used = [resident_mb(pid) for pid in children()]
            if used:
                self.write(self.memory, time.monotonic() - self.began, max(used), sum(used), cpu_seconds())


def cpu_seconds() -> float:
    """Return the processor time of this process's children, ended and running."""
    total = os.times().children_user + os.times().children_system
    for pid in children():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def run_part(inputs: list[StudyInput], workers: int, state: Path) -> Part:
    """Run, or continue, the cohort with a number of workers, and sum up its logs."""
    log = Log(state)
    sampler = threading.Thread(target=log.sample, daemon=True)
    sampler.start()
    out = state / "out"
    run_cohort(inputs, out, CohortSettings(), LocalEngine(workers=workers), resume=out.exists(), progress=log.progress)
    log.stopped.set()
    sampler.join()
    ends = [[float(cell) for cell in row] for row in log.rows(log.ends)]
    memory = [[float(cell) for cell in row] for row in log.rows(log.memory)]
    seconds = studies = failed = written = cpu = 0.0
    starts = []
    for session in sorted({row[0] for row in ends}):
        rows = [row for row in ends if row[0] == session]
        starts.append(rows[0][1])
        # The first ends of all workers hold the start of their processes: counted from the last of them.
        first = rows[min(workers, len(rows)) - 1]
        seconds, studies = seconds + rows[-1][1] - first[1], studies + rows[-1][2] - first[2]
        failed, written = failed + rows[-1][3], written + rows[-1][4]
        cpu += max((row[4] for row in memory if row[0] == session), default=0.0)
    each = seconds / studies if studies else float("nan")
    return Part(
        part=f"cohort, {workers} worker{'s' if workers > 1 else ''}",
        workers=workers,
        studies=len(inputs),
        failed=int(failed),
        seconds_a_study=each,
        cpu_seconds_a_study=cpu / len(inputs),
        studies_an_hour=3600.0 / each,
        start_s=statistics.median(starts),
        peak_mb=max((row[2] for row in memory), default=float("nan")),
        bytes_a_study=written / len(inputs),
        processor=processor(),
    )


def run_cold(inputs: list[StudyInput], name: str, source: Path) -> list[tuple[float, float]]:
    """Run the cold command of a version on each study; return wall and processor seconds."""
    found = []
    for one in inputs:
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-c", "from myoperf.cli.main import run; run()", "analyze", str(one.path)]
            command += ["-o", f"{scratch}/out", "--formats", "json", "--quiet"]
            environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | {"PYTHONPATH": str(source)}
            before, start = cpu_seconds(), time.monotonic()
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
            found.append((time.monotonic() - start, cpu_seconds() - before))
            print(f"{name}: {found[-1][0]:.1f} s", flush=True)
    return found


def cold_parts(inputs: list[StudyInput]) -> list[Part]:
    """Measure the cold commands of 0.1.0 and of this version, alternating."""
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "--detach", str(before), BEFORE], check=True)
        try:
            times: dict[str, list[tuple[float, float]]] = {"0.1.0": [], "this version": []}
            for one in inputs:
                times["0.1.0"] += run_cold([one], "0.1.0", before / "src")
                times["this version"] += run_cold([one], "this version", ROOT / "src")
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(before)], check=True)
    parts = []
    for name, found in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*found, strict=True))
        parts.append(
            Part(
                part=f"analyze, cold, {name}",
                workers=1,
                studies=len(found),
                failed=0,
                seconds_a_study=wall,
                cpu_seconds_a_study=cpu,
                studies_an_hour=3600.0 / wall,
                start_s=0.0,
                peak_mb=float("nan"),
                bytes_a_study=float("nan"),
                processor=processor(),
            )
        )
    return parts


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Run the parts and write their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=Path, required=True, help="folder of `myoperf simulate --fast`")
    parser.add_argument("--studies", type=int, default=500, help="of the run with two workers")
    parser.add_argument("--one", type=int, default=100, help="of the run with one worker")
    parser.add_argument("--cold", type=int, default=5, help="of the cold commands")
    parser.add_argument("--state", type=Path, default=STATE, help="folder that keeps what is done")
    parser.add_argument("--restart", action="store_true", help="discard what is done")
    given = parser.parse_args()
    if given.restart:
        shutil.rmtree(given.state, ignore_errors=True)
    folders = sorted(given.patients.glob("patient-*"))[: given.studies]
    inputs = [StudyInput(name=folder.name, path=folder / "dicom") for folder in folders]
    parts = [run_part(inputs[: given.one], 1, given.state / "one"), run_part(inputs, 2, given.state / "two")]
    parts += cold_parts(inputs[: given.cold])
    with (RESULTS / "cohort_throughput.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(parts[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(p).items()} for p in parts)
    with (RESULTS / "cohort_memory.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["workers", "session", "seconds", "largest_worker_mb", "all_workers_mb"])
        for workers, name in ((1, "one"), (2, "two")):
            writer.writerows([workers, *row[:4]] for row in Log.rows(given.state / name / "memory.csv"))
    for part in parts:
        print(f"{part.part}: {part.seconds_a_study:.2f} s a study, {part.studies_an_hour:.0f} an hour")


if __name__ == "__main__":
    main()
