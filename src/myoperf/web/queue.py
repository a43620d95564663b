"""The queue of analyses: claimed by one worker each, taken up again after a crash, and finished exactly once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from myoperf.web.corrections import Stored
from myoperf.web.database import add_row, analyses, analysis_files, edits, jobs, now, reading, record, studies, writing
from myoperf.web.intake import add_study
from myoperf.web.readings import Reading, latest
from myoperf.web.room import Room
from myoperf.web.security import MACHINE

_MOST_ATTEMPTS = 3
"""A job that a worker died of this often is not tried again."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work that a worker took on.

    Attributes
    ----------
    kind
        ``"analyze"`` (a study as it came), ``"correct"`` (perfusion as a reader corrected the scans, at once),
        ``"complete"`` (everything else as corrected) or ``"prepare"`` (load what a correction starts from).
    correction
        Name of a scan -> what was corrected of it, see `myoperf.web.corrections`.
    """

    id: int
    study_id: int
    kind: str
    reader: str
    correction: Mapping[str, Stored]
    based_on: int | None


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file of an analysis, in the room already, that the page asks for by its role."""

    role: str
    media_type: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a worker made of a job: files, and what the worklist shows of the study (columns of `studies`)."""

    files: tuple[StoredFile, ...]
    row: Mapping[str, Any]
    parts: int = 1


def claim(room: Room, kinds: Collection[str]) -> Job | None:
    """Take the oldest queued job of some kinds; None when there is none. No two workers get the same."""
    with writing(room.engine) as connection:
        query = select(jobs).where(jobs.c.state == "queued", jobs.c.kind.in_(kinds)).order_by(jobs.c.id).limit(1)
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        mine = update(jobs).where(jobs.c.id == row.id, jobs.c.state == "queued")
        taken = connection.execute(mine.values(state="running", attempts=row.attempts + 1, progress="starting"))
        if taken.rowcount != 1:
            return None
        if row.kind == "analyze":
            connection.execute(update(studies).where(studies.c.id == row.study_id).values(status="analysing"))
        return Job(
            id=row.id,
            study_id=row.study_id,
            kind=row.kind,
            reader=row.reader,
            correction=row.correction or {},
            based_on=row.based_on,
        )


def announce(room: Room, job: Job, text: str) -> None:
    """Say what a worker is doing, for the page."""
    with writing(room.engine) as connection:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(progress=text[:200]))


def finish(room: Room, job: Job, outcome: Outcome) -> None:
    """Record the analysis that a job made: all of it or nothing, and once, however often the job was tried.

    What a reader signed meanwhile stays: the analysis is recorded, but the reading does not rest on it.
    """
    with writing(room.engine) as connection:
        done = update(jobs).where(jobs.c.id == job.id, jobs.c.state == "running")
        if connection.execute(done.values(state="done", progress="", ended_at=now())).rowcount != 1:
            return
        number = _add_analysis(connection, job, outcome)
        _read_on(connection, job, number, outcome)
        if job.kind == "analyze":
            study = connection.execute(select(studies).where(studies.c.id == job.study_id)).one()
            for part in range(1, outcome.parts if study.part == 0 else 1):
                add_study(connection, study.upload_id, part, job.reader)
        elif job.kind == "correct":
            _queue(connection, job, kind="complete", based_on=number)
        record(connection, job.reader, f"{job.kind} done", job.study_id, f"analysis {number}")


def fail(room: Room, job: Job, reason: str) -> None:
    """Record that a job failed and why; a study that was never analysed is then failed itself."""
    with writing(room.engine) as connection:
        _fail(connection, job.id, job.study_id, job.kind, reason)


def take_up_again(room: Room, kinds: Collection[str], *, crashed: bool) -> int:
    """Queue again what workers that are no more had claimed; return how many. Call it while none of them runs.

    Parameters
    ----------
    crashed
        Whether the worker ended by itself, as by a lack of memory: a job that this happens to three times is not tried
        again. When the whole server was stopped, its jobs are not to blame.
    """
    with writing(room.engine) as connection:
        left = connection.execute(select(jobs).where(jobs.c.state == "running", jobs.c.kind.in_(kinds))).all()
        for row in left:
            if not crashed:
                again = {"state": "queued", "progress": "", "attempts": row.attempts - 1}
                connection.execute(update(jobs).where(jobs.c.id == row.id).values(again))
            elif row.attempts >= _MOST_ATTEMPTS:
                reason = f"The analysis ended its process {row.attempts} times; it is not tried again. [worker]"
                _fail(connection, row.id, row.study_id, row.kind, reason)
            else:
                connection.execute(update(jobs).where(jobs.c.id == row.id).values(state="queued", progress=""))
        return len(left)


def prepare(room: Room, study_id: int, *, reader: str) -> None:
    """Let a worker load what a correction of a study starts from, before a reader waits for it."""
    with writing(room.engine) as connection:
        if unfinished(connection, study_id, ("prepare",)) == 0:
            row = {"study_id": study_id, "kind": "prepare", "state": "queued", "reader": reader, "queued_at": now()}
            connection.execute(insert(jobs).values(row))


def forget(room: Room, job: Job) -> None:
    """Remove a job that leaves nothing to keep."""
    with writing(room.engine) as connection:
        connection.execute(delete(jobs).where(jobs.c.id == job.id))


def retry(room: Room, study_id: int, *, reader: str) -> bool:
    """Queue a failed study's analysis again; return whether it was failed."""
    with writing(room.engine) as connection:
        failed = update(studies).where(studies.c.id == study_id, studies.c.status == "failed")
        if connection.execute(failed.values(status="waiting", note="")).rowcount != 1:
            return False
        row = {"study_id": study_id, "kind": "analyze", "state": "queued", "reader": reader, "queued_at": now()}
        connection.execute(insert(jobs).values(row))
        record(connection, reader, "retry", study_id)
        return True


def unfinished(connection: Connection, study_id: int, kinds: Collection[str]) -> int:
    """Return how many jobs of a study are queued or running."""
    query = select(func.count()).where(
        jobs.c.study_id == study_id, jobs.c.kind.in_(kinds), jobs.c.state.in_(("queued", "running"))
    )
    return int(connection.execute(query).scalar_one())


def add_correction(
    connection: Connection, study_id: int, *, based_on: int, reader: str, corrections: Mapping[str, Stored]
) -> int:
    """Queue the measurement of a study as a reader corrected it; return the job's number."""
    row = {
        "study_id": study_id,
        "kind": "correct",
        "state": "queued",
        "reader": reader,
        "correction": dict(corrections),
        "based_on": based_on,
        "queued_at": now(),
    }
    return add_row(connection, jobs, row)


def anything_queued(room: Room, kinds: Collection[str]) -> bool:
    """Return whether a worker for some kinds of jobs has something to do."""
    with reading(room.engine) as connection:
        query = select(jobs.c.id).where(jobs.c.state == "queued", jobs.c.kind.in_(kinds)).limit(1)
        return connection.execute(query).first() is not None


def _queue(connection: Connection, job: Job, *, kind: str, based_on: int) -> None:
    """Queue what follows a job."""
    row = {
        "study_id": job.study_id,
        "kind": kind,
        "state": "queued",
        "reader": job.reader,
        "correction": dict(job.correction),
        "based_on": based_on,
        "queued_at": now(),
    }
    connection.execute(insert(jobs).values(row))


def _add_analysis(connection: Connection, job: Job, outcome: Outcome) -> int:
    """Add an analysis with its files and return its number."""
    query = select(func.max(analyses.c.number)).where(analyses.c.study_id == job.study_id)
    number = int(connection.execute(query).scalar() or 0) + 1
    row = {
        "study_id": job.study_id,
        "number": number,
        "job_id": job.id,
        "reader": MACHINE if job.kind == "analyze" else job.reader,
        "made_at": now(),
        "complete": job.kind != "correct",
        "correction": dict(job.correction) or None,
        "worklist": dict(outcome.row),
    }
    analysis_id = add_row(connection, analyses, row)
    files = [{"analysis_id": analysis_id, **vars(file)} for file in outcome.files]
    connection.execute(insert(analysis_files), files)
    return number


def _read_on(connection: Connection, job: Job, number: int, outcome: Outcome) -> None:
    """Move the reading to a new analysis, unless the study was signed or is now read on another one."""
    study = connection.execute(select(studies).where(studies.c.id == job.study_id).with_for_update()).one()
    before = latest(connection, job.study_id)
    if study.signed_at is not None or (job.kind == "complete" and before.analysis != job.based_on):
        return
    after = Reading(
        analysis=number,
        stress_scores=before.stress_scores,
        rest_scores=before.rest_scores,
        impression=before.impression,
    )
    version = study.version + 1
    row = {
        "study_id": job.study_id,
        "version": version,
        "reader": MACHINE if job.kind == "analyze" else job.reader,
        "made_at": now(),
        "kind": "completion" if job.kind == "complete" else "analysis",
        "reading": after.as_json(),
    }
    connection.execute(insert(edits).values(row))
    values = {**outcome.row, "status": "ready", "note": "", "version": version}
    connection.execute(update(studies).where(studies.c.id == job.study_id).values(values))


def _fail(connection: Connection, job_id: int, study_id: int, kind: str, reason: str) -> None:
    values = {"state": "failed", "reason": reason, "progress": "", "ended_at": now()}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
    if kind == "analyze":
        connection.execute(update(studies).where(studies.c.id == study_id).values(status="failed", note=reason))
    record(connection, MACHINE, f"{kind} failed", study_id)
