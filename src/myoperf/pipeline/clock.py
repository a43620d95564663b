"""Time and peak memory of each stage, for the report's provenance, and the announcement of stages as they start."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STAGES = ("read", "reconstruct", "orient", "segment", "polar", "quantify", "diagnose", "report", "total")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _reset_peak() -> None:
    """Start a new peak of resident memory (Linux; elsewhere the peak is that of the whole process)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def _peak_mb() -> float:
    """Peak resident memory in MB since the last reset."""
    try:
        line = next(row for row in _STATUS.read_text().splitlines() if row.startswith("VmHWM"))
        return float(line.split()[1]) / 1024.0
    except (OSError, StopIteration):
        scale = 1024.0 * 1024.0 if sys.platform == "darwin" else 1024.0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def resident_mb() -> float:
    """Return the resident memory of this process in MB; where the system does not tell, its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _peak_mb()
    return pages * resource.getpagesize() / 1024.0**2


@dataclass
class StageClock:
    """Collects wall seconds and peak resident megabytes by stage; a stage entered twice adds up.

    Parameters
    ----------
    announce
        Called with a short text when a stage starts, e.g. to show progress.
    """

    announce: Callable[[str], None] = lambda _: None
    seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, name: str, announced: str = "") -> Iterator[None]:
        """Measure what runs inside the block under `name`, after announcing it where there is a text."""
        if announced:
            self.announce(announced)
        _reset_peak()
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
            self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), _peak_mb())

    def timings(self) -> dict[str, float]:
        """Return the seconds of every stage, 0 for one that did not run, and the total since the clock was made."""
        known = {name: self.seconds.get(name, 0.0) for name in STAGES if name != "total"}
        return {**known, "total": time.perf_counter() - self.started}

    def peaks(self) -> dict[str, float]:
        """Return the peak resident memory of each stage that ran, in MB, with the highest of all as the total."""
        return {**self.peak_mb, "total": max(self.peak_mb.values(), default=_peak_mb())}
