"""Merge cohorts that were analysed apart (on several machines, at several sites) into one."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from myoperf.errors import InputError, OutputExistsError
from myoperf.pipeline.cohort.rows import STUDIES, InputRows, Row, read_rows, write_rows
from myoperf.pipeline.jobs import claim_folder, write_whole


def merge_cohorts(cohorts: Sequence[Path], out: Path) -> tuple[int, int]:
    """Put the studies of several cohorts into one folder; results of the same settings only.

    A study that several cohorts have (the same name and Study Instance UID) is taken once, from the first in which it
    did not fail. Where different studies have the same name, the later gets its cohort's name before its own. Files
    are linked where the disk allows it, else copied.

    Returns
    -------
    Number of entries in the merged cohort, and of entries left out as they were there already.

    Raises
    ------
    InputError
        When a folder is no cohort, or the cohorts have different settings.
    OutputExistsError
        When `out` is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise OutputExistsError(f"The folder {out.name} is not empty; choose another with -o.")
    settings = [_settings(cohort) for cohort in cohorts]
    left_out, taken = 0, 0
    for cohort, one in zip(cohorts, settings, strict=True):
        claim_folder(out, one)
        (out / STUDIES).mkdir(exist_ok=True)
        for folder in sorted((cohort / STUDIES).iterdir()):
            rows = read_rows(folder)
            if rows is None:
                continue
            there = read_rows(out / STUDIES / folder.name)
            name = folder.name if there is None else f"{cohort.resolve().name}-{folder.name}"
            if there is not None and _same(there.rows, rows.rows):
                left_out += 1
                if not (_failed(there.rows) and not _failed(rows.rows)):
                    continue
                shutil.rmtree(out / STUDIES / folder.name)
                name, taken = folder.name, taken - 1
            _take(folder, rows, out / STUDIES / name)
            taken += 1
    return taken, left_out


def _settings(cohort: Path) -> dict[str, object]:
    """Read the settings of a cohort's folder."""
    try:
        settings: dict[str, object] = json.loads((cohort / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        settings = {}
    if not str(settings.get("schema")).startswith("myoperf.cohort/"):
        raise InputError(f"{cohort.name} is not a folder that `myoperf cohort` wrote; it has no settings of a cohort.")
    return settings


def _same(first: Sequence[Row], second: Sequence[Row]) -> bool:
    """Whether two entries of one name are the same study; without UIDs they count as different, so none is lost."""
    first_ids, second_ids = ({row.get("study_uid") for row in rows} - {None} for rows in (first, second))
    return bool(first_ids) and first_ids == second_ids


def _failed(rows: Sequence[Row]) -> bool:
    return any(row["status"] == "failed" for row in rows)


def _take(folder: Path, rows: InputRows, target: Path) -> None:
    """Link or copy an entry's folder under a new name, and name its rows by it."""
    moved = target.name != folder.name
    with write_whole(target) as part:
        shutil.copytree(folder, part, copy_function=_link_or_copy)
        if moved:
            prefix = target.name.removesuffix(folder.name)
            renamed = tuple(
                dict(row)
                | {
                    "study": f"{prefix}{row['study']}",
                    "folder": str(row["folder"]).replace(folder.name, target.name, 1),
                }
                for row in rows.rows
            )
            (part / "rows.json").unlink()  # may be a link to the original
            write_rows(part, InputRows(rows=renamed, choices=rows.choices))


def _link_or_copy(source: str, target: str) -> None:
    """Link a file, or copy it to another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
