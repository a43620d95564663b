"""The settings that all studies of a cohort share."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from myoperf.perfusion import read_limits_folder
from myoperf.pipeline.delivery import check_formats, needs_gate_labels
from myoperf.pipeline.options import Options
from myoperf.pipeline.territories import read_territories
from myoperf.version import __version__

SCHEMA = "myoperf.cohort/1"


@dataclass(frozen=True, kw_only=True)
class CohortSettings:
    """How every study of a cohort is analysed and written; the meanings are those of ``myoperf analyze``.

    Attributes
    ----------
    intervals
        Whether the analysis is repeated for the intervals of the numbers; most of the time goes into that.
    command
        Recorded in each report.
    """

    formats: tuple[str, ...] = ("json",)
    lv: str = "network"
    engine: str = "auto"
    device: str = "cpu"
    diagnosis: bool = True
    territories: str = "default"
    limits: Path | None = None
    intervals: bool = True
    command: str = ""

    def options(self) -> Options:
        """Return the settings of the main job."""
        return Options(
            territories=read_territories(self.territories),
            interval_draws=Options().interval_draws if self.intervals else 0,
            gate_labels=needs_gate_labels(self.formats),
            command=self.command,
        )

    def record(self) -> dict[str, object]:
        """Return everything that changes a result, as JSON can hold it; raise where a setting cannot be used."""
        check_formats(self.formats)
        territories = {vessel: list(segments) for vessel, segments in read_territories(self.territories).items()}
        return {
            "schema": SCHEMA,
            "myoperf": __version__,
            "formats": sorted({*self.formats, "json"}),
            "lv": self.lv,
            "engine": self.engine,
            "device": self.device,
            "diagnosis": self.diagnosis,
            "territories": territories,
            "limits": None if self.limits is None else limits_fingerprint(self.limits),
            "intervals": self.intervals,
        }


def limits_fingerprint(folder: Path) -> str:
    """Return a checksum of the limits in a folder, after reading them once to see that they can be used."""
    read_limits_folder(folder)
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("*.npz"))}
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()
