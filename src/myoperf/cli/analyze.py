"""``myoperf analyze``: read, analyse, write; one folder a study."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import typer

from myoperf.cli.console import stages
from myoperf.errors import InputError
from myoperf.io import ReadResult, read_studies
from myoperf.perfusion import preferred_limits, read_limits_folder
from myoperf.pipeline import FORMATS, Options, StageClock, analyze, check_free, deliver, load_models, read_territories
from myoperf.types import LVFrame, State

__all__ = ["analyze_paths"]


def analyze_paths(
    paths: Sequence[Path],
    out: Path,
    *,
    state: str | None = None,
    formats: str = "all",
    frame: str | None = None,
    territories: str = "default",
    limits: Path | None = None,
    lv: str = "network",
    engine: str = "auto",
    device: str = "cpu",
    diagnosis: bool = True,
    overwrite: bool = False,
    quiet: bool = False,
) -> None:
    """Analyse what lies at `paths`; several studies get a folder each (``study-1`` ...) below `out`."""
    wanted = FORMATS if formats == "all" else tuple(part.strip() for part in formats.split(",") if part.strip())
    options = Options(
        frame=_frame(frame) if frame else None,
        territories=read_territories(territories),
        gate_labels="nifti" in wanted,
        command=_command(),
    )
    own = read_limits_folder(limits) if limits is not None else ()
    check_free(out, overwrite=overwrite)
    with stages(quiet=quiet) as progress:
        clock = StageClock(progress)
        with clock.stage("read"):
            read = read_studies(list(paths), state=_state(state))
        _say_skipped(read)
        models = load_models(device=device, diagnosis=diagnosis, lv=lv, engine=engine)
        models = replace(models, limits=preferred_limits(own, models.limits))
        folders = [out] if len(read.studies) == 1 else [out / f"study-{i + 1}" for i in range(len(read.studies))]
        for study, folder in zip(read.studies, folders, strict=True):
            report = analyze(study, models, options, clock=clock)
            deliver(report, folder, formats=wanted, overwrite=overwrite, clock=clock)
            clock = StageClock(progress)
    for folder in folders:
        typer.echo(str(folder / ("report.html" if "html" in wanted else "results.json")))


def _say_skipped(read: ReadResult) -> None:
    """List on standard error the files that were not used and why."""
    for skipped in read.skipped:
        typer.echo(f"skipped {skipped.file}: {skipped.reason}", err=True)


def _state(text: str | None) -> State | None:
    """Check ``--state``."""
    if text is None:
        return None
    if text in ("stress", "rest"):
        return cast(State, text)
    raise InputError(f"--state is stress or rest; got {text}.")


def _frame(text: str) -> LVFrame:
    """Read ``--frame``: apex, base and anterior, nine numbers."""
    try:
        numbers = [float(part) for part in text.replace(";", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 9:
        raise InputError("--frame needs nine numbers in LPS mm, 'apex;base;anterior', each x,y,z.")
    return LVFrame(numbers[:3], numbers[3:6], numbers[6:])  # type: ignore[arg-type]


def _command() -> str:
    """Give the command line without folders, which may carry a patient's name."""
    words = [Path(word).name if "/" in word or "\\" in word else word for word in sys.argv[1:]]
    return shlex.join(["myoperf", *words])
