"""Uploads: files that were received together become studies that wait to be analysed."""

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select

from myoperf.errors import InputError
from myoperf.web.blobs import Blobs
from myoperf.web.database import add_row, jobs, now, reading, record, studies, upload_files, uploads, writing
from myoperf.web.errors import NotThereError
from myoperf.web.room import Room

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_DEEPEST = 6
_MOST_FILES = 20_000


@dataclass(frozen=True, kw_only=True)
class ReceivedFile:
    """A file of an upload: the name its sender gave it, folders included, and the SHA-256 of its bytes."""

    name: str
    sha256: str


def receive(room: Room, files: Sequence[ReceivedFile], *, reader: str) -> int:
    """Make a study of files that are in the room already, queue its analysis, and return the study's number.

    The same files sent twice are one study: its number is returned again and nothing is queued.

    Raises
    ------
    InputError
        Without a file, or with too many.
    NotThereError
        When a file is not in the room.
    """
    if not 0 < len(files) <= _MOST_FILES:
        raise InputError(f"An upload needs 1 to {_MOST_FILES} files; got {len(files)}.")
    for file in files:
        room.blobs.path(file.sha256)
    fingerprint = hashlib.sha256("".join(sorted(file.sha256 for file in files)).encode()).hexdigest()
    with writing(room.engine) as connection:
        query = select(studies.c.id).join(uploads).where(uploads.c.fingerprint == fingerprint, studies.c.part == 0)
        known = connection.execute(query).scalar_one_or_none()
        if known is not None:
            return int(known)
        row = {"fingerprint": fingerprint, "received_at": now(), "reader": reader}
        upload_id = add_row(connection, uploads, row)
        rows = [
            {"upload_id": upload_id, "position": position, "name": safe_name(file.name), "sha256": file.sha256}
            for position, file in enumerate(files)
        ]
        connection.execute(insert(upload_files), rows)
        study_id = add_study(connection, upload_id, 0, reader)
        record(connection, reader, "receive", study_id, f"{len(files)} files")
        return study_id


def add_study(connection: Connection, upload_id: int, part: int, reader: str) -> int:
    """Add one study of an upload and queue its analysis; return its number, also where it was there before."""
    query = select(studies.c.id).where(studies.c.upload_id == upload_id, studies.c.part == part)
    known = connection.execute(query).scalar_one_or_none()
    if known is not None:
        return int(known)
    row = {"upload_id": upload_id, "part": part, "status": "waiting", "received_at": now()}
    study_id = add_row(connection, studies, row)
    job = {"study_id": study_id, "kind": "analyze", "state": "queued", "reader": reader, "queued_at": now()}
    connection.execute(insert(jobs).values(job))
    return study_id


def unpack(room: Room, study_id: int, folder: Path) -> int:
    """Put the files of a study's upload into a folder under safe names, and return which of its studies it is.

    Raises
    ------
    NotThereError
        For an unknown study, or when a file is missing.
    """
    with reading(room.engine) as connection:
        study = connection.execute(select(studies).where(studies.c.id == study_id)).one_or_none()
        if study is None:
            raise NotThereError(f"There is no study {study_id}.")
        query = select(upload_files).where(upload_files.c.upload_id == study.upload_id).order_by("position")
        files = connection.execute(query).all()
    for file in files:
        _place(room.blobs, file.sha256, _free(folder / file.name))
    return int(study.part)


def safe_name(name: str) -> str:
    """Return a relative path made of letters, digits, dots, dashes and underscores, which stays in its folder.

    Examples
    --------
    >>> safe_name("../../etc/Müller stress.dcm")
    'etc/M_ller_stress.dcm'
    """
    parts = [_UNSAFE.sub("_", part).lstrip(".")[-80:] for part in name.replace("\\", "/").split("/")]
    kept = [part for part in parts if part.strip("._-")][-_DEEPEST:]
    return "/".join(kept) or "file"


def _place(blobs: Blobs, sha256: str, path: Path) -> None:
    """Copy a file of the room; by a link where the disk allows, which nothing that reads it can tell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = blobs.path(sha256)
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def _free(path: Path) -> Path:
    """Return a path that no file has: two files of one upload may have one name after `safe_name`."""
    number, free = 2, path
    while free.exists():
        free = path.with_name(f"{number}-{path.name}")
        number += 1
    return free
