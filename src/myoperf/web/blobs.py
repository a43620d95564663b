"""Files by their content: each is stored once, under the SHA-256 of its bytes, and never changes.

No name from outside takes part in a path, so no request can reach another file. A file appears under its final name
only when it is complete; what a killed process left is a temporary file that `sweep` removes.
"""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from myoperf.web.errors import NotThereError, TooLargeError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = ".part"
_NEWBORN_S = 3600.0
"""A file this young is never swept: what refers to it may not be written yet."""


class Blobs:
    """A folder of files by content, such as ``ab/abcdef...``.

    Parameters
    ----------
    folder
        Made if missing.

    Examples
    --------
    >>> import tempfile
    >>> blobs = Blobs(Path(tempfile.mkdtemp()))
    >>> key = blobs.put([b"uptake"])
    >>> key[:8], blobs.read(key)
    ('7a89dfe8', b'uptake')
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, chunks: Iterable[bytes], *, limit: int | None = None) -> str:
        """Store bytes and return their SHA-256; bytes that are there already are not stored twice.

        Raises
        ------
        TooLargeError
            For more than `limit` bytes; nothing is kept.
        """
        with Incoming(self, limit=limit) as incoming:
            for chunk in chunks:
                incoming.write(chunk)
            return incoming.keep()

    def put_file(self, path: Path) -> str:
        """Store a copy of a file and return the SHA-256 of its bytes."""
        with path.open("rb") as file:
            return self.put(iter(lambda: file.read(1 << 20), b""))

    def path(self, sha256: str) -> Path:
        """Return where a file is stored, for reading.

        Raises
        ------
        NotThereError
            When it is not, or the text is no SHA-256.
        """
        path = self._place(sha256)
        if path is None or not path.is_file():
            raise NotThereError("A file of this study is missing in the folder of files; restore it from a backup.")
        return path

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a file; raises as `path`."""
        return self.path(sha256).read_bytes()

    def read_checked(self, sha256: str) -> bytes:
        """Return the bytes of a file after comparing them with their hash; raises as `path`, also where they differ."""
        data = self.read(sha256)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise NotThereError("A file of this study is damaged; restore it from a backup.")
        return data

    def keys(self) -> Iterator[str]:
        """Yield the SHA-256 of every file."""
        for path in self.folder.glob("??/*"):
            if _SHA256.fullmatch(path.name):
                yield path.name

    def sweep(self, wanted: frozenset[str]) -> int:
        """Remove old files that nothing refers to, and what killed processes left; return how many."""
        old = time.time() - _NEWBORN_S
        removed = 0
        for path in (*self.folder.glob("??/*"), *self.folder.glob(f"*{_PART}")):
            if path.name not in wanted and path.stat().st_mtime < old:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def missing(self, wanted: frozenset[str]) -> frozenset[str]:
        """Return which of some files are not there."""
        return wanted - frozenset(self.keys())

    def _place(self, sha256: str) -> Path | None:
        return self.folder / sha256[:2] / sha256 if _SHA256.fullmatch(sha256) else None


class Incoming:
    """A file that is being received: write its chunks, then `keep` it; left without `keep` it disappears."""

    def __init__(self, blobs: Blobs, *, limit: int | None = None) -> None:
        self._blobs, self._limit = blobs, limit
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> "Incoming":
        handle, name = tempfile.mkstemp(suffix=_PART, dir=self._blobs.folder)
        self._file, self._path = os.fdopen(handle, "wb"), Path(name)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Add a chunk.

        Raises
        ------
        TooLargeError
            When the file grows beyond the limit.
        """
        self.size += len(chunk)
        if self._limit is not None and self.size > self._limit:
            raise TooLargeError(f"A file may have at most {self._limit >> 20} MiB; send fewer or smaller files.")
        self._hash.update(chunk)
        self._file.write(chunk)

    def keep(self) -> str:
        """Put the complete file in its place, on disk before its name is, and return its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        sha256 = self._hash.hexdigest()
        place = self._blobs.folder / sha256[:2] / sha256
        place.parent.mkdir(exist_ok=True, mode=0o700)
        if place.exists():
            os.utime(place)  # young again, so that no sweep takes it before it is referred to
        else:
            self._path.replace(place)
        return sha256
