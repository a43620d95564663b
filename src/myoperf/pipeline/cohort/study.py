"""Analyse one entry of a cohort into its folder. Runs in the worker processes."""

import errno
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from myoperf.errors import describe_error, silent_libraries
from myoperf.files import make_private
from myoperf.io import read_studies
from myoperf.perfusion import NormalLimits, preferred_limits, read_limits_folder
from myoperf.pipeline.analyze import analyze
from myoperf.pipeline.clock import StageClock
from myoperf.pipeline.cohort.inputs import StudyInput, safe_name
from myoperf.pipeline.cohort.rows import STUDIES, Cell, InputRows, failed_row, row_of_report, write_rows
from myoperf.pipeline.cohort.settings import CohortSettings
from myoperf.pipeline.delivery import write_report
from myoperf.pipeline.jobs import remove_part
from myoperf.pipeline.models import load_models
from myoperf.pipeline.options import Models
from myoperf.types import Study

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of the cohort's disk: they would fail every further study, so they stop the run, which can be resumed."""


@dataclass(frozen=True)
class AnalyseInput:
    """Analyses an entry of a cohort and writes its folder: the formats chosen, and the rows of the table.

    A study that cannot be analysed gives a row with the reason; an input of several studies gives a row and a
    sub-folder for each.
    """

    settings: CohortSettings

    def __call__(self, one: StudyInput, folder: Path) -> None:
        """Write the folder of an entry."""
        with silent_libraries():
            self._write(one, folder)
        make_private(folder)  # a process that was not started by the command may have other permissions

    def _write(self, one: StudyInput, folder: Path) -> None:
        """Analyse the studies of an entry and write their rows."""
        started = time.perf_counter()
        try:
            studies = read_studies([one.path], state=one.state, sex=one.sex).studies
        except Exception as error:
            rows: list[dict[str, Cell]] = [failed_row(_reason(error))]
        else:
            several = len(studies) > 1
            rows = []
            for study in studies:
                inner = safe_name(study.name) if several else ""
                rows.append(self._analyse(study, one, folder / inner, started) | {"folder": inner})
                started = time.perf_counter()
        rows[0].setdefault("seconds", round(time.perf_counter() - started, 2))
        folder.mkdir(exist_ok=True)
        write_rows(folder, InputRows(rows=tuple(named(row, one) for row in rows), choices=one.choices()))

    def _analyse(self, study: Study, one: StudyInput, folder: Path, started: float) -> dict[str, Cell]:
        """Analyse one study and return its row."""
        settings, clock, models = self.settings, StageClock(), _models(self.settings)
        try:
            limits = preferred_limits(_limits(one.limits or settings.limits), models.limits)
            report = analyze(study, replace(models, limits=limits), settings.options(), clock=clock)
            report = write_report(report, folder, formats=settings.formats, clock=clock)
            row = row_of_report(report)
        except Exception as error:
            remove_part(folder)
            row = failed_row(_reason(error))
            row |= {"patient_id": study.patient_id, "study_uid": study.study_uid, "sex": study.sex}
        peak, seconds = round(clock.peaks()["total"], 1), round(time.perf_counter() - started, 2)
        return row | {"seconds": seconds, "memory_mb": peak}


@cache
def _models(settings: CohortSettings) -> Models:
    """Return the models, loaded once for each process; settings that cannot be used stop the run."""
    return load_models(device=settings.device, diagnosis=settings.diagnosis, lv=settings.lv, engine=settings.engine)


@cache
def _limits(folder: Path | None) -> tuple[NormalLimits, ...]:
    """Return the user's normal limits, read once for each process."""
    return () if folder is None else read_limits_folder(folder)


def named(row: Mapping[str, Cell], one: StudyInput) -> dict[str, Cell]:
    """Return a row with the study's name and its folder within the cohort's."""
    inner = str(row.get("folder") or "")
    name = f"{one.name}/{inner}" if inner else one.name
    folder = "/".join(part for part in (STUDIES, one.folder_name, inner) if part)
    return dict(row) | {"study": name, "folder": folder}


def _reason(error: Exception) -> str:
    """Say in one line why a study failed; an error of the disk that holds the cohort is raised again."""
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        raise error
    return describe_error(error)
