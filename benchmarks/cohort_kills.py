"""Kill ``myoperf cohort`` at random moments, resume it, and check that nothing is lost and nothing is done twice.

    myoperf simulate 40 -o runs/cohort/patients --fast --seed 5
    python benchmarks/cohort_kills.py --patients runs/cohort/patients

A cohort runs by the installed command with two workers (classical ventricle, no intervals: what is tested does not
depend on what is measured, and kills then fall into reading, writing and renaming as often as into computing). At a
random moment, drawn anew each time, it gets SIGKILL: the run itself, one of its workers, or the whole group. The moment
is counted from the start of the command for every fourth kill, else from when the first study is being written or done.
Then it is resumed. At every kill each finished study's files are compared with what they were when they were
first seen: a study done twice would have another time of writing. At the end the table must have every study once.
A worker killed alone fails its study, by name; these are then analysed again with ``--retry-failed``.

Writes ``docs/results/cohort_kills.csv`` (one row a kill) and fails where anything was lost or done twice.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "cohort_kills.csv"
WHAT = ("run", "run", "worker", "group")


def command(patients: Path, out: Path, *, retry: bool = False) -> list[str]:
    """Return the command line of the cohort."""
    words = [sys.executable, "-c", "from myoperf.cli.main import run; run()", "cohort", str(patients), "-o", str(out)]
    words += ["--workers", "2", "--lv", "classical", "--no-diagnosis", "--no-intervals", "--quiet", "--resume"]
    return words + ["--retry-failed"] * retry


def marks(out: Path) -> dict[str, tuple[int, int]]:
    """Return the finished studies, each with what a second writing would change; raise where one is not whole."""
    found = {}
    for folder in (out / "studies").glob("*"):
        if folder.suffix != ".part":
            status = (folder / "rows.json").stat()
            found[folder.name] = (status.st_ino, status.st_mtime_ns)
            if '"status": "ok"' in (folder / "rows.json").read_text() and not (folder / "results.json").is_file():
                raise SystemExit(f"{folder.name} has a row and no result")
    return found


def workers_of(pid: int) -> list[int]:
    """Return the workers of a run (the tracker of Python's own resources is none)."""
    pids = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in pids if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for_a_study(run: subprocess.Popen[bytes], out: Path) -> None:
    """Wait until a study is being written or is done that was not when this began, or the run has ended."""
    before = set((out / "studies").glob("*"))
    while run.poll() is None and set((out / "studies").glob("*")) <= before:
        time.sleep(0.02)


def kill(run: subprocess.Popen[bytes], what: str) -> None:
    """Kill the run, one of its workers, or all of its processes."""
    if what == "worker" and (workers := workers_of(run.pid)):
        os.kill(random.choice(workers), signal.SIGKILL)
    elif what == "group":
        os.killpg(run.pid, signal.SIGKILL)
    else:
        os.kill(run.pid, signal.SIGKILL)


def main() -> None:
    """Kill and resume, then check the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=Path, required=True, help="folder of `myoperf simulate --fast`")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=4.0, help="seconds to a kill, at most")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "cohort" / "kills")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    random.seed(given.seed)
    shutil.rmtree(given.out, ignore_errors=True)
    seen: dict[str, tuple[int, int]] = {}
    rows = []
    for number in range(1, given.kills + 1):
        run = subprocess.Popen(command(given.patients, given.out), start_new_session=True, stderr=subprocess.DEVNULL)
        after, what = random.uniform(0.0, given.longest), random.choice(WHAT)
        if number % 4:
            wait_for_a_study(run, given.out)
        time.sleep(after)
        running = run.poll() is None
        if running:
            kill(run, what)
        if what == "worker" and running:
            time.sleep(1.0)
            os.killpg(run.pid, signal.SIGKILL)  # the run went on without its worker; it ends here
        run.wait()
        time.sleep(0.5)
        now, partial = marks(given.out), len(list((given.out / "studies").glob("*.part")))
        lost, twice = [n for n in seen if n not in now], [n for n in seen if n in now and now[n] != seen[n]]
        partial = len(list((given.out / "studies").glob("*.part"))) if (given.out / "studies").exists() else 0
        rows.append(
            [number, what if running else "ended before", round(after, 2), len(now), partial, len(lost), len(twice)]
        )
        print(*rows[-1], flush=True)
        seen = now
    finish = subprocess.run(command(given.patients, given.out), check=False, stderr=subprocess.DEVNULL).returncode
    table = pd.read_csv(given.out / "cohort.csv")
    died = int((table["status"] == "failed").sum())
    if died:
        finish = subprocess.run(command(given.patients, given.out, retry=True), check=False).returncode
        table = pd.read_csv(given.out / "cohort.csv")
    wanted = sorted(folder.name for folder in given.patients.glob("patient-*"))
    rows.append(["end", f"{died} failed by a killed worker, then retried", "", len(table), 0, 0, 0])
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kill", "what", "after_s", "studies_done", "being_written", "lost", "done_twice"])
        writer.writerows(rows)
    good = sorted(table["study"]) == wanted and finish == 0 and not any(row[5] or row[6] for row in rows)
    print("nothing lost, nothing twice" if good else "FAILED")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
