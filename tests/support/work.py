"""Functions that engines run in other processes, which import them from here."""

import os
import signal
import time
from pathlib import Path


def double_or_end(item):
    """Return twice a number, and this process; a word ends the process or raises."""
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "leave":
        os._exit(3)
    if item == "raise":
        raise ZeroDivisionError("seven")
    return 2 * item, os.getpid()


def threads(_):
    """Return how many threads numerical libraries may use here."""
    return os.environ["OMP_NUM_THREADS"]


def hold_memory(megabytes):
    """Hold memory until the process ends; return this process."""
    globals().setdefault("held", []).append(bytearray(b"x") * (megabytes << 20))
    return os.getpid()


def write_slowly(job, path: Path):
    """Write a result of two files into a folder, with a pause between them; log the start."""
    with (path.parent.parent / "started.txt").open("a") as log:
        log.write(f"{job}\n")
    path.mkdir()
    (path / "first").write_text(str(job))
    time.sleep(0.15)
    (path / "second").write_text(str(job))
