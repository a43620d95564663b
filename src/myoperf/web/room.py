"""The reading room's store: a database, and a folder of files by content, that agree with each other."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select

from myoperf.errors import InputError
from myoperf.files import whole_folder
from myoperf.web.blobs import Blobs
from myoperf.web.database import analysis_files, open_database, reading, signatures, studies, upload_files

_DATABASE = "room.sqlite"


@dataclass(frozen=True, kw_only=True)
class Room:
    """Where a reading room keeps what it has.

    Attributes
    ----------
    engine
        The database.
    blobs
        Uploaded files, and the pictures, numbers and reports of analyses.
    """

    engine: Engine
    blobs: Blobs

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a folder for files in the making, removed after use; a killed process leaves it in the room, not in
        the system's folder of temporary files, as it may hold a patient's data.
        """
        self._scratch.mkdir(exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            yield Path(folder)

    def clear_scratch(self) -> None:
        """Remove what killed processes left in the making; call it while none works."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def _scratch(self) -> Path:
        return self.blobs.folder.parent / "scratch"


def open_room(folder: Path, url: str | None = None) -> Room:
    """Return the room in a folder, made if it is new; `url` names another database than the folder's own."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Room(engine=open_database(url or folder / _DATABASE), blobs=Blobs(folder / "files"))


def check_room(room: Room) -> int:
    """Compare files with rows, remove old files that no row names, and return how many files are missing.

    Files are written before rows, so a killed process leaves none missing: a number above 0 means a damaged disk or a
    backup that is not whole.
    """
    wanted = wanted_files(room)
    room.blobs.sweep(wanted)
    return len(room.blobs.missing(wanted))


def wanted_files(room: Room) -> frozenset[str]:
    """Return the SHA-256 of every file that a row names."""
    with reading(room.engine) as connection:
        columns = (upload_files.c.sha256, analysis_files.c.sha256, signatures.c.sha256)
        return frozenset(key for column in columns for (key,) in connection.execute(select(column)))


def back_up(folder: Path, target: Path) -> int:
    """Copy a room, also one in use, into a new folder, and return its number of studies.

    The database is copied as of one moment by SQLite's own backup; every file that it names was written before. What
    it copies is opened again with ``myoperf serve --data``.

    Raises
    ------
    InputError
        When `folder` is no room with a database of its own.
    OutputExistsError
        When `target` is not free.
    """
    source = folder / _DATABASE
    if not source.is_file():
        raise InputError(f"{folder.name} holds no reading room ({_DATABASE} is missing); give its folder as --data.")
    with whole_folder(target) as partial:
        with sqlite3.connect(source) as live, sqlite3.connect(partial / _DATABASE) as copy:
            live.backup(copy)
        live.close()
        copy.close()
        room, blobs = open_room(partial), Blobs(folder / "files")
        for key in wanted_files(room):
            place = room.blobs.folder / key[:2]
            place.mkdir(exist_ok=True)
            shutil.copyfile(blobs.path(key), place / key)
        with reading(room.engine) as connection:
            count = int(connection.execute(select(func.count()).select_from(studies)).scalar_one())
        room.engine.dispose()
    return count
