"""Files and folders that appear whole or not at all, replace nothing by accident, and only their owner can read.

What MyoPerf writes is patient data. A file or folder is written under a temporary hidden name next to its place
(``.NAME.myoperf-...``) and renamed when it is complete. The rename itself refuses a name that is taken, so that of two
processes with one destination the second fails instead of removing what the first wrote. A process that is killed
leaves a temporary folder behind; the next one with the same destination removes it (`sweep`).
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from myoperf.errors import OutputExistsError

_MARK = ".myoperf-"
_EARLIER = "-earlier-"
_NEWBORN_S = 60.0
"""A temporary folder this young is never swept: its owner may not hold its lock yet."""
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR}
_MUST_STAY = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EINVAL}
"""Errors of a rename onto a folder that cannot be replaced itself, such as a mount point."""
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_LEAST_FREE_BYTES = 2**20


@contextmanager
def whole_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `folder` when the block ends without an error.

    A process that stops before leaves `folder` as it was. Folders and files get the modes 0700 and 0600. A folder that
    must stay itself (the working directory, a mount point, one whose parent cannot be written to) is filled instead of
    replaced: entry by entry, in the order of their names with ``results.json`` last.

    Parameters
    ----------
    overwrite
        Replace what is in the folder by then: it is set aside under ``NAME-earlier-...`` for the moment between two
        renames, and removed last.

    Raises
    ------
    OutputExistsError
        Without `overwrite`, when the folder is not empty at the end of the block; nothing in it changes.
    """
    folder = Path(os.path.realpath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    inside = folder.is_dir() and _must_stay(folder)
    with _temporary_folder(folder if inside else folder.parent, folder.name) as partial:
        yield partial
        make_private(partial)
        if inside:
            _fill(partial, folder, overwrite=overwrite)
        else:
            _put_in_place(partial, folder, overwrite=overwrite)


@contextmanager
def add_to_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder whose entries move into `folder` when the block ends without an error.

    Raises
    ------
    OutputExistsError
        When `folder` has an entry of one of their names by then; no entry is replaced, and none is added.
    """
    folder = Path(os.path.realpath(folder))
    folder.mkdir(parents=True, exist_ok=True)
    with _temporary_folder(folder, folder.name) as partial:
        yield partial
        make_private(partial)
        _move_entries(partial, folder)


@contextmanager
def whole_file(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an error, readable by its owner only.

    The temporary path has the same name, by whose ending some writers choose their format.

    Raises
    ------
    OutputExistsError
        Without `overwrite`, when the file exists at the end of the block; it stays as it is.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_folder(path.parent, path.name) as folder:
        yield folder / path.name
        make_private(folder)
        if overwrite:
            (folder / path.name).replace(path)
        else:
            _rename_file(folder / path.name, path)


def make_private(folder: Path) -> None:
    """Take every permission of group and others from a folder and all that is in it; the owner's stay as they are."""
    for root, _, files in os.walk(folder):
        for path in (Path(root), *(Path(root, name) for name in files)):
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & 0o077 and not path.is_symlink():
                path.chmod(mode & 0o700)


def check_destination(path: Path) -> None:
    """Raise unless a file or folder can be written at `path`: its nearest existing folder is writable and has space.

    Nothing is left there.

    Raises
    ------
    OSError
        With the reason and the path: not a folder, not writable, no space left, no place for files.
    """
    place = Path(os.path.realpath(path))
    while not place.exists():
        place = place.parent
    if place == Path(os.path.realpath(path)) and not (place.is_dir() and _must_stay(place)):
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        reason = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(reason, os.strerror(reason), str(place))
    size = shutil.disk_usage(place)
    if not size.total:  # no disk but a view of the system, such as /proc; or one whose driver does not count
        _try_to_write(place)
    elif size.free < _LEAST_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))


def check_folder(folder: Path) -> None:
    """Raise unless files can be added to `folder`, as `check_destination`; it need not exist yet.

    `check_destination` is for what replaces an empty folder: then only the folder around it must be writable.
    """
    check_destination(folder / "file")


def _try_to_write(place: Path) -> None:
    """Raise unless a folder can be made in `place`."""
    try:
        Path(tempfile.mkdtemp(prefix=_MARK, dir=place)).rmdir()
    except OSError as error:
        raise OSError(error.errno, "Files cannot be kept here; choose another folder", str(place)) from None


@contextmanager
def lock_destination(path: Path) -> Iterator[None]:
    """Hold the right to write to `path`, so that a second process is refused at its start and not at its end.

    The lock is the system's lock on the file ``.NAME.myoperf-lock`` next to `path`; it ends with the process. Where the
    file system knows no locks, or the folder next to it cannot be written to, the block runs without.

    Raises
    ------
    OutputExistsError
        When another process holds it.
    """
    path = Path(os.path.realpath(path))
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _lock(path.parent / f".{path.name}{_MARK}lock", path.name):
            yield
    finally:
        for parent in missing:
            with contextlib.suppress(OSError):  # something was written into it
                parent.rmdir()


@contextmanager
def _lock(file: Path, name: str) -> Iterator[None]:
    """Hold the lock of a file that is there only as long as it is locked."""
    try:
        handle = _locked(file)
    except BlockingIOError:
        raise OutputExistsError(
            f"Another MyoPerf run is writing to {name}; wait until it ends, or choose another folder."
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS | {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
        yield
        return
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(handle)


def sweep(path: Path) -> tuple[str, ...]:
    """Remove what killed processes left next to `path`, and return a line about each.

    A result that a killed process had set aside gets its name back where the name is free.
    """
    path = Path(os.path.realpath(path))
    lines = []
    for place in (path.parent, path):
        for left in sorted(place.glob(f".{path.name}{_MARK}*")) if place.is_dir() else ():
            if left.is_dir() and not left.is_symlink() and _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
                lines.append(f"removed {left.name}, which an interrupted run left")
    for aside in sorted(path.parent.glob(f"{path.name}{_EARLIER}*/{path.name}")) if path.parent.is_dir() else ():
        if not path.exists():
            aside.rename(path)
            aside.parent.rmdir()
            lines.append(f"restored {path.name}, which an interrupted run had set aside")
    return tuple(lines)


@contextmanager
def _temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a new locked folder for a destination called `name`, removed at the end where it still exists."""
    partial = Path(tempfile.mkdtemp(prefix=f".{name}{_MARK}", dir=parent))
    handle = os.open(partial, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield partial
    finally:
        os.close(handle)
        shutil.rmtree(partial, ignore_errors=True)


def _is_abandoned(partial: Path) -> bool:
    """Return whether no process holds a temporary folder's lock; a very young one counts as held."""
    try:
        if time.time() - partial.stat().st_mtime < _NEWBORN_S:
            return False
        handle = os.open(partial, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _must_stay(folder: Path) -> bool:
    """Return whether an existing folder cannot be replaced by a rename, or should not."""
    here = Path(os.path.realpath(Path.cwd()))
    return folder in (here, *here.parents) or folder.is_mount() or not os.access(folder.parent, os.W_OK | os.X_OK)


def _put_in_place(partial: Path, folder: Path, *, overwrite: bool) -> None:
    """Rename the finished folder to its name.

    The system renames a folder onto an empty one and refuses any other (POSIX rename), so nothing is ever replaced.
    """
    aside = None
    if overwrite and folder.exists():
        aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}{_EARLIER}", dir=folder.parent)) / folder.name
        try:
            folder.rename(aside)
        except OSError as error:
            aside.parent.rmdir()
            if error.errno not in _MUST_STAY:
                raise
            _fill_from_elsewhere(partial, folder, overwrite=True)
            return
    try:
        _rename_folder(partial, folder)
    except BaseException:
        if aside is not None and not folder.exists():
            aside.rename(folder)
        raise
    finally:
        if aside is not None and folder.exists():
            shutil.rmtree(aside.parent, ignore_errors=True)


def _rename_folder(partial: Path, folder: Path) -> None:
    """Rename a folder onto a free name or an empty folder."""
    try:
        partial.rename(folder)
    except OSError as error:
        if error.errno in _TAKEN:
            raise _taken(folder) from None
        if not (error.errno in _MUST_STAY and folder.is_dir()):
            raise
        _fill_from_elsewhere(partial, folder, overwrite=False)


def _fill_from_elsewhere(partial: Path, folder: Path, *, overwrite: bool) -> None:
    """Copy a finished folder into one on another file system, then move its entries into place."""
    with _temporary_folder(folder, folder.name) as copy:
        shutil.copytree(partial, copy, dirs_exist_ok=True)
        _fill(copy, folder, overwrite=overwrite)


def _fill(partial: Path, folder: Path, *, overwrite: bool) -> None:
    """Move the entries of a finished folder into the folder around it: an empty one, or in place of what it holds."""
    present = [path for path in folder.iterdir() if not path.name.startswith(f".{folder.name}{_MARK}")]
    if present and not overwrite:
        raise _taken(folder)
    with _temporary_folder(folder, folder.name) as aside:
        for path in present:
            path.rename(aside / path.name)
        try:
            _move_entries(partial, folder)
        except BaseException:
            for path in aside.iterdir():
                path.rename(folder / path.name)
            raise


def _move_entries(partial: Path, folder: Path) -> None:
    """Move every entry into a folder, the one that marks a result last; all of them, or none."""
    moved: list[Path] = []
    try:
        for path in sorted(partial.iterdir(), key=lambda path: (path.name == "results.json", path.name)):
            place = folder / path.name
            if path.is_dir():
                place.mkdir(0o700)  # claims the name; a rename onto an empty folder is allowed
                moved.append(place)
                path.rename(place)
            else:
                _rename_file(path, place)
                moved.append(place)
    except FileExistsError as error:
        _remove(moved)
        raise _taken(Path(str(error.filename))) from None
    except BaseException:
        _remove(moved)
        raise


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _rename_file(partial: Path, path: Path) -> None:
    """Rename a file to a name that must be free, by a hard link, which never replaces."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            path.touch(0o600, exist_ok=False)  # claims the name where the file system has no links
        except FileExistsError:
            raise _taken(path) from None
        partial.replace(path)
    else:
        partial.unlink()


def _locked(file: Path) -> int:
    """Open and lock a file, and return its handle; BlockingIOError where another process has it."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.exists() and os.path.samestat(os.fstat(handle), file.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its owner removed the file between the two calls


def _taken(path: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{path.name} exists already, or another run wrote it meanwhile; it stays as it is. Choose another name."
    )


def read_bytes(path: Path, *, at_most: int) -> bytes:
    """Return the content of a small regular file, without waiting for a pipe or filling the memory from a device.

    Raises
    ------
    OSError
        When it is missing, no regular file, larger than `at_most` bytes, or cannot be read.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > at_most:
            raise OSError(errno.EFBIG, f"more than {at_most / 2**20:.0f} MiB", str(path))
        return file.read(at_most)
