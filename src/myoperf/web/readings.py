"""What readers make of a study: which analysis they read, their scores and words, their signature.

Every change names the version of the study that its reader saw; if another reader changed the study since, it is
refused and nothing is overwritten. A change adds a row that holds the whole reading after it, so nothing that anyone
decided is lost, and taking a change back is a change too. A signed study refuses every change here, below the page.
"""

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from myoperf.errors import InputError
from myoperf.web.database import (
    addenda,
    analyses,
    analysis_files,
    edits,
    jobs,
    now,
    record,
    signatures,
    studies,
    writing,
)
from myoperf.web.errors import ConflictError, NotThereError, SignedError
from myoperf.web.room import Room

_LONGEST = 20_000
_SEGMENTS, _HIGHEST = 17, 4


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The state of a study's reading.

    Attributes
    ----------
    analysis
        Number of the analysis that it rests on; 0 before there is one.
    stress_scores, rest_scores
        The reader's scores of 17 segments, 0 to 4; None where the machine's stand.
    impression
        The reader's words; empty where the machine's summary stands.
    """

    analysis: int = 0
    stress_scores: tuple[int, ...] | None = None
    rest_scores: tuple[int, ...] | None = None
    impression: str = ""

    def __post_init__(self) -> None:
        for scores in (self.stress_scores, self.rest_scores):
            if scores is not None and (
                len(scores) != _SEGMENTS or not all(isinstance(s, int) and 0 <= s <= _HIGHEST for s in scores)
            ):
                raise InputError(f"Scores are {_SEGMENTS} whole numbers from 0 to {_HIGHEST}, one a segment.")
        if len(self.impression) > _LONGEST:
            raise InputError(f"The impression may have {_LONGEST} characters; got {len(self.impression)}.")

    def as_json(self) -> dict[str, Any]:
        """Return the reading as JSON holds it."""
        return {
            "analysis": self.analysis,
            "stress_scores": None if self.stress_scores is None else list(self.stress_scores),
            "rest_scores": None if self.rest_scores is None else list(self.rest_scores),
            "impression": self.impression,
        }


def reading_from(stored: Mapping[str, Any]) -> Reading:
    """Return a reading from its JSON."""
    stress, rest = stored["stress_scores"], stored["rest_scores"]
    return Reading(
        analysis=stored["analysis"],
        stress_scores=None if stress is None else tuple(stress),
        rest_scores=None if rest is None else tuple(rest),
        impression=stored["impression"],
    )


def latest(connection: Connection, study_id: int) -> Reading:
    """Return the reading of a study as it stands; an empty one before its first analysis."""
    query = select(edits.c.reading).where(edits.c.study_id == study_id).order_by(edits.c.version.desc()).limit(1)
    stored = connection.execute(query).scalar_one_or_none()
    return Reading() if stored is None else reading_from(stored)


def set_scores(
    room: Room,
    study_id: int,
    version: int,
    *,
    reader: str,
    stress: Sequence[int] | None,
    rest: Sequence[int] | None,
) -> int:
    """Keep a reader's scores beside the machine's (None: the machine's stand), and return the new version."""

    def change(reading: Reading) -> Reading:
        return replace(
            reading,
            stress_scores=None if stress is None else tuple(stress),
            rest_scores=None if rest is None else tuple(rest),
        )

    return _edit(room, study_id, version, reader, "scores", change)


def set_impression(room: Room, study_id: int, version: int, *, reader: str, text: str) -> int:
    """Keep a reader's words (empty: the machine's summary stands), and return the new version."""
    words = plain_words(text)
    return _edit(room, study_id, version, reader, "impression", lambda reading: replace(reading, impression=words))


def plain_words(text: str) -> str:
    r"""Return a text without what is no letter: control characters but line ends and tabs, and halves of letters.

    They come with text that is pasted. No file can hold half a letter (a surrogate), so that one alone would make the
    study unreadable.

    Examples
    --------
    >>> plain_words("Normal.\r\n\x00\ud800")
    'Normal.\n'
    """
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs"))


def undo(room: Room, study_id: int, version: int, *, reader: str) -> int:
    """Undo the last change that is not undone yet, and return the new version.

    The first analysis is never taken back.

    Raises
    ------
    InputError
        When there is nothing to take back.
    """
    with writing(room.engine) as connection:
        new = advance(connection, study_id, version)
        query = select(edits).where(edits.c.study_id == study_id).order_by(edits.c.version)
        done = list(connection.execute(query))
        undone = _last_standing(done)
        before = reading_from(done[[edit.version for edit in done].index(undone.version) - 1].reading)
        reading = reading_from(done[-1].reading)
        if undone.kind == "analysis":
            reading = replace(reading, analysis=_completed(connection, study_id, before.analysis))
            show_on_worklist(connection, study_id, reading.analysis)
        elif undone.kind == "scores":
            reading = replace(reading, stress_scores=before.stress_scores, rest_scores=before.rest_scores)
        else:
            reading = replace(reading, impression=before.impression)
        _add_edit(connection, study_id, new, reader, "undo", reading, undoes=undone.version)
        record(connection, reader, "undo", study_id, f"version {new}")
        return new


def sign(room: Room, study_id: int, version: int, *, reader: str) -> str:
    """Sign a study as final: nothing about it changes any more. Return the SHA-256 of the signed content.

    What is signed is kept as a file: the reading, the number and files of its analysis, and every edit.

    Raises
    ------
    ConflictError
        While a correction is being measured, or when the study changed since `version`.
    SignedError
        When it is signed already.
    """
    with writing(room.engine) as connection:
        new = advance(connection, study_id, version)
        waiting = select(jobs.c.id).where(
            jobs.c.study_id == study_id, jobs.c.kind != "prepare", jobs.c.state.in_(("queued", "running"))
        )
        if connection.execute(waiting.limit(1)).first() is not None:
            raise ConflictError("The study is still being measured; sign it when that is done.")
        if latest(connection, study_id).analysis == 0:
            raise ConflictError("The study is not analysed; there is nothing to sign.")
        content = json.dumps(_signed_content(connection, study_id), sort_keys=True).encode()
        sha256 = hashlib.sha256(content).hexdigest()
        room.blobs.put([content])
        at = now()
        row = {"study_id": study_id, "version": new, "reader": reader, "signed_at": at, "sha256": sha256}
        connection.execute(insert(signatures).values(row))
        values = {"status": "signed", "signed_at": at, "signed_by": reader}
        connection.execute(update(studies).where(studies.c.id == study_id).values(values))
        record(connection, reader, "sign", study_id, f"version {new}, sha256 {sha256}")
        return sha256


def add_addendum(room: Room, study_id: int, *, reader: str, text: str) -> None:
    """Amend a signed study; what was signed stays as it is.

    Raises
    ------
    InputError
        For an empty or too long text.
    ConflictError
        For a study that is not signed: it can still be changed itself.
    """
    text = plain_words(text).strip()
    if not 0 < len(text) <= _LONGEST:
        raise InputError(f"An addendum needs 1 to {_LONGEST} characters; got {len(text)}.")
    with writing(room.engine) as connection:
        if _study(connection, study_id).signed_at is None:
            raise ConflictError("The study is not signed; change the study itself.")
        row = {"study_id": study_id, "reader": reader, "made_at": now(), "text": text}
        connection.execute(insert(addenda).values(row))
        record(connection, reader, "addendum", study_id)


def advance(connection: Connection, study_id: int, version: int) -> int:
    """Claim the right to change a study at a given version, and return the next version.

    Raises
    ------
    NotThereError
        For an unknown study.
    SignedError
        For a signed one.
    ConflictError
        When it stands at another version.
    """
    mine = update(studies).where(studies.c.id == study_id, studies.c.version == version, studies.c.signed_at.is_(None))
    if connection.execute(mine.values(version=version + 1)).rowcount == 1:
        return version + 1
    study = _study(connection, study_id)
    if study.signed_at is not None:
        raise SignedError("The study is signed and can no longer be changed; write an addendum.")
    raise ConflictError(
        f"The study was changed meanwhile (version {study.version}, you saw {version}); look at it again, then repeat."
    )


def show_on_worklist(connection: Connection, study_id: int, number: int) -> None:
    """Let the worklist show the numbers of one of a study's analyses."""
    query = select(analyses.c.worklist).where(analyses.c.study_id == study_id, analyses.c.number == number)
    row = connection.execute(query).scalar_one()
    connection.execute(update(studies).where(studies.c.id == study_id).values(row))


def _completed(connection: Connection, study_id: int, number: int) -> int:
    """Return the number of the analysis that completed one of perfusion only, where it is there by now."""
    query = select(analyses.c.number).join(jobs, jobs.c.id == analyses.c.job_id)
    complete = query.where(analyses.c.study_id == study_id, jobs.c.kind == "complete", jobs.c.based_on == number)
    found = connection.execute(complete).scalar_one_or_none()
    return number if found is None else int(found)


def _edit(room: Room, study_id: int, version: int, reader: str, kind: str, change: Any) -> int:
    """Add a reader's change of the reading."""
    with writing(room.engine) as connection:
        new = advance(connection, study_id, version)
        before = latest(connection, study_id)
        if before.analysis == 0:
            raise ConflictError("The study is not analysed yet; wait until it is.")
        _add_edit(connection, study_id, new, reader, kind, change(before))
        record(connection, reader, kind, study_id, f"version {new}")
        return new


def _add_edit(
    connection: Connection,
    study_id: int,
    version: int,
    reader: str,
    kind: str,
    reading: Reading,
    *,
    undoes: int | None = None,
) -> None:
    row = {
        "study_id": study_id,
        "version": version,
        "reader": reader,
        "made_at": now(),
        "kind": kind,
        "reading": reading.as_json(),
        "undoes": undoes,
    }
    connection.execute(insert(edits).values(row))


def _last_standing(done: Sequence[Row[Any]]) -> Row[Any]:
    """Return the last edit that no later one took back; the completion of an analysis goes with its correction."""
    taken_back = {edit.undoes for edit in done if edit.undoes is not None}
    standing = [edit for edit in done[1:] if edit.kind not in ("undo", "completion") and edit.version not in taken_back]
    if not standing:
        raise InputError("There is nothing to undo.")
    return standing[-1]


def _study(connection: Connection, study_id: int) -> Row[Any]:
    study = connection.execute(select(studies).where(studies.c.id == study_id)).one_or_none()
    if study is None:
        raise NotThereError(f"There is no study {study_id}.")
    return study


def _signed_content(connection: Connection, study_id: int) -> dict[str, Any]:
    """Return what a signature stands for."""
    reading = latest(connection, study_id)
    query = select(analysis_files.c.role, analysis_files.c.sha256).join(analyses)
    of_analysis = query.where(analyses.c.study_id == study_id, analyses.c.number == reading.analysis)
    history = select(edits).where(edits.c.study_id == study_id).order_by(edits.c.version)
    return {
        "schema": "myoperf.signed/1",
        "study": study_id,
        "reading": reading.as_json(),
        "files": {row.role: row.sha256 for row in connection.execute(of_analysis)},
        "edits": [
            {"version": e.version, "reader": e.reader, "at": e.made_at, "kind": e.kind, "reading": e.reading}
            for e in connection.execute(history)
        ],
    }
