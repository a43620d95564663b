"""The worklist, a page at a time, and all that is known of one study."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select

from myoperf.errors import InputError
from myoperf.web.database import addenda, analyses, analysis_files, edits, jobs, reading, signatures, studies
from myoperf.web.errors import NotThereError
from myoperf.web.readings import latest
from myoperf.web.room import Room

SORTABLE = ("received_at", "patient_id", "status", "sss", "sds", "tpd_stress_percent", "lvef_percent")
STATUSES = ("waiting", "analysing", "ready", "failed", "signed")
_LARGEST_PAGE = 200


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which studies a worklist shows.

    Attributes
    ----------
    search
        Start of the patient's ID, or the study's number; empty for all.
    status
        One of `STATUSES`; empty for all.
    sort, descending
        One of `SORTABLE`; studies without the value come last.
    start, count
        Studies to leave out, and to show at most.
    """

    search: str = ""
    status: str = ""
    sort: str = "received_at"
    descending: bool = True
    start: int = 0
    count: int = 50

    def __post_init__(self) -> None:
        if self.sort not in SORTABLE:
            raise InputError(f"A worklist is sorted by one of {', '.join(SORTABLE)}.")
        if self.status and self.status not in STATUSES:
            raise InputError(f"A study is one of {', '.join(STATUSES)}.")
        if self.start < 0 or not 0 < self.count <= _LARGEST_PAGE:
            raise InputError(f"A page has 1 to {_LARGEST_PAGE} studies.")


def worklist(room: Room, page: Page) -> dict[str, Any]:
    """Return the studies of a page, ready for JSON, and how many there are in all."""
    where = _where(page)
    column = studies.c[page.sort]
    order = column.desc() if page.descending else column.asc()
    query = select(studies).where(*where).order_by(column.is_(None), order, studies.c.id.desc())
    with reading(room.engine) as connection:
        total = int(connection.execute(select(func.count()).select_from(studies).where(*where)).scalar_one())
        rows = connection.execute(query.offset(page.start).limit(page.count)).mappings().all()
        progress = _progress(connection, [row["id"] for row in rows if row["status"] in ("waiting", "analysing")])
    return {"total": total, "studies": [{**row, "progress": progress.get(row["id"], "")} for row in rows]}


def study_of(room: Room, study_id: int) -> dict[str, Any]:
    """Return all that is known of a study apart from its analyses' files, ready for JSON.

    Raises
    ------
    NotThereError
        For an unknown study.
    """
    with reading(room.engine) as connection:
        row = connection.execute(select(studies).where(studies.c.id == study_id)).mappings().one_or_none()
        if row is None:
            raise NotThereError(f"There is no study {study_id}.")
        of_study = {table.name: table.c.study_id == study_id for table in (analyses, edits, jobs, signatures, addenda)}
        made = select(analyses).where(of_study["analyses"]).order_by(analyses.c.number)
        changed = select(edits).where(of_study["edits"]).order_by(edits.c.version)
        open_jobs = select(jobs).where(
            of_study["jobs"], jobs.c.kind != "prepare", or_(jobs.c.state != "done", jobs.c.kind == "correct")
        )
        signed = connection.execute(select(signatures).where(of_study["signatures"])).mappings().one_or_none()
        return {
            "study": dict(row),
            "reading": latest(connection, study_id).as_json(),
            "analyses": [_without(a, "id", "study_id", "worklist") for a in connection.execute(made).mappings()],
            "history": [_without(e, "id", "study_id") for e in connection.execute(changed).mappings()],
            "jobs": [_without(j, "study_id") for j in connection.execute(open_jobs.order_by(jobs.c.id)).mappings()],
            "signature": None if signed is None else _without(signed, "study_id"),
            "addenda": [
                _without(a, "id", "study_id")
                for a in connection.execute(select(addenda).where(of_study["addenda"])).mappings()
            ],
        }


def file_of(room: Room, study_id: int, number: int, role: str) -> tuple[str, str]:
    """Return the media type and the SHA-256 of a file of an analysis.

    Raises
    ------
    NotThereError
        When there is no such analysis, or no such file of it.
    """
    query = select(analysis_files.c.media_type, analysis_files.c.sha256).join(analyses)
    mine = query.where(analyses.c.study_id == study_id, analyses.c.number == number, analysis_files.c.role == role)
    with reading(room.engine) as connection:
        found = connection.execute(mine).one_or_none()
    if found is None:
        raise NotThereError("This study has no such file; an analysis of perfusion only has no report yet.")
    return str(found.media_type), str(found.sha256)


def files_of(room: Room, study_id: int, number: int) -> dict[str, str]:
    """Return the role of each of an analysis' files -> its SHA-256."""
    query = select(analysis_files.c.role, analysis_files.c.sha256).join(analyses)
    with reading(room.engine) as connection:
        mine = query.where(analyses.c.study_id == study_id, analyses.c.number == number)
        return {str(row.role): str(row.sha256) for row in connection.execute(mine.order_by(analysis_files.c.role))}


def _where(page: Page) -> list[ColumnElement[bool]]:
    """Return the conditions of a page's filter."""
    where: list[ColumnElement[bool]] = []
    if page.status:
        where.append(studies.c.status == page.status)
    if page.search:
        starts = studies.c.patient_id.startswith(page.search, autoescape=True)
        where.append(or_(starts, studies.c.id == int(page.search)) if _is_number(page.search) else starts)
    return where


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _progress(connection: Connection, of_studies: list[int]) -> dict[int, str]:
    """Return what the workers say of studies that are being analysed."""
    query = select(jobs.c.study_id, jobs.c.progress).where(jobs.c.study_id.in_(of_studies), jobs.c.state == "running")
    return {int(row.study_id): str(row.progress) for row in connection.execute(query)}


def _without(row: RowMapping, *names: str) -> dict[str, Any]:
    return {str(name): value for name, value in row.items() if name not in names}
