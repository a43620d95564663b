"""Files as they come: regular ones, those in zip archives, and formats that are only recognised.

A file in an archive has a path too: ``study.zip/DICOM/IM0001``. It is unpacked in memory when it is read, nothing is
written to disk, and an archive whose directory announces more than `LARGEST_ARCHIVE` is not opened at all.
"""

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from myoperf.errors import InputError

LARGEST_FILE = 2**31
LARGEST_ARCHIVE = 2**34
MOST_MEMBERS = 50_000
LARGEST_RATIO, _SMALL_MEMBER = 200, 2**26
"""Refused: a member of more than 64 MiB that is packed to less than a two-hundredth, as no image is."""

START = 4096
"""Bytes by which a format is recognised: an Interfile header may begin with comments."""
_INTERFILE = re.compile(
    rb"^[ \t]*!?[ \t]*(?:interfile|imaging modality|originating system|version of keys|name of data file"
    rb"|general (?:image )?data)[ \t]*:=",
    re.IGNORECASE | re.MULTILINE,
)
_OUTSIDE = "(outside)"
_ENCRYPTED = 1
"""The bit of a member's flags that says so (PKWARE's APPNOTE 4.4.4)."""
_ZIP = b"PK\x03\x04"
_AS_NIFTI = "convert it to NIfTI with its affine, or export the study as DICOM"
_FORMATS = (
    (b"PK\x05\x06", "an empty zip archive; pack or export the study again"),
    (b"PK", "a zip archive that is damaged or in a form that cannot be read; unpack it and give the folder"),
    (b"\x1f\x8b", "a file compressed by gzip; unpack it first (gunzip)"),
    (b"\x28\xb5\x2f\xfd", "a file compressed by zstd; unpack it first (zstd -d)"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it and give the folder"),
    (b"Rar!", "a RAR archive; unpack it and give the folder"),
    (b"BZh", "a file compressed by bzip2; unpack it first (bunzip2)"),
    (b"\xfd7zXZ", "a file compressed by xz; unpack it first (unxz)"),
    (b"DICM", "a DICOM file without its first 128 bytes (the preamble); export or copy it again"),
    (b"NRRD", f"an NRRD volume; {_AS_NIFTI}"),
    (b"ObjectType", f"a MetaImage volume; {_AS_NIFTI}"),
    (b"NDims", f"a MetaImage volume; {_AS_NIFTI}"),
    (b"MATRIX7", f"an ECAT volume; {_AS_NIFTI}"),
    (b"\x89HDF", f"an HDF5 file; {_AS_NIFTI}"),
    (b"CDF", f"a MINC or netCDF file; {_AS_NIFTI}"),
    (b"\x93NUMPY", f"a NumPy array, which has no geometry; {_AS_NIFTI}"),
    (b"MATLAB", f"a MATLAB file, which has no geometry; {_AS_NIFTI}"),
    (b"\x5c\x01\x00\x00", f"an Analyze 7.5 or NIfTI header under another name; {_AS_NIFTI}"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a bitmap picture"),
    (b"<", "an XML or HTML document"),
)


def open_file(path: Path) -> BinaryIO:
    """Open a regular file, or a file in a zip archive, for reading.

    Raises
    ------
    InputError
        When it does not exist, is not a regular file, is too large or cannot be unpacked.
    """
    archive = _archive_of(path)
    if archive is not None:
        return io.BytesIO(_unpacked(archive, path.relative_to(archive).as_posix(), path.name))
    try:
        status = path.stat()
    except OSError:
        raise InputError(f"{path.name}: the file does not exist.") from None
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path.name}: a device, a pipe or a socket, not a regular file; give files of images.")
    if status.st_size > LARGEST_FILE:
        raise InputError(
            f"{path.name}: {status.st_size / 2**20:.0f} MiB; at most {LARGEST_FILE // 2**20} MiB a file are expected."
        )
    try:
        return path.open("rb")
    except OSError:
        raise InputError(f"{path.name}: the file cannot be read; check its permissions.") from None


@contextmanager
def name_disk_errors(name: str) -> Iterator[None]:
    """Turn an error of the disk, such as a bad sector of a CD, into an `InputError` that names the file or series."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{name}: cannot be read from its medium ({reason}); copy it again.") from error


def is_in_archive(path: Path) -> bool:
    """Whether a path leads through a zip archive."""
    return _archive_of(path) is not None


def archive_members(path: Path) -> tuple[Path, ...]:
    """Return the paths of the files in a zip archive; none where the file is no archive that can be read.

    Raises
    ------
    InputError
        When the archive announces more or larger files than an image archive has.
    """
    try:
        with open_file(path) as stream:
            if stream.read(4) != _ZIP:
                return ()
            with zipfile.ZipFile(stream) as archive:
                found = [info for info in archive.infolist() if not info.is_dir()]
    except (InputError, zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return ()  # who reads the file says why
    if any(info.filename == "[Content_Types].xml" for info in found):
        return ()  # an office document, which is a zip archive too
    if len(found) > MOST_MEMBERS or sum(info.file_size for info in found) > LARGEST_ARCHIVE:
        raise InputError(
            f"{path.name}: the archive announces {len(found)} files of {sum(i.file_size for i in found) / 2**20:.0f} "
            f"MiB; at most {MOST_MEMBERS} files of {LARGEST_ARCHIVE // 2**20} MiB are read. Unpack it and give the "
            "folder."
        )
    names = [info.filename for info in found if not any(p.startswith((".", "__MACOSX")) for p in _parts(info.filename))]
    return tuple(path.joinpath(*_parts(name)) for name in sorted(names))


def what_else(start: bytes) -> str | None:
    """Return in words what a file is that is neither DICOM nor NIfTI, by its first `START` bytes; None if unknown."""
    if not start:
        return "an empty file; copy or export it again"
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it and give the folder"
    start = start.removeprefix(b"\xef\xbb\xbf")  # the mark of UTF-8 that editors put first
    for signature, words in _FORMATS:
        if start.startswith(signature):
            return words
    if _INTERFILE.search(start.replace(b"\r", b"\n")):
        return (
            "an Interfile header; MyoPerf does not read Interfile. Export the study as DICOM, or convert it to NIfTI "
            "with its affine"
        )
    return None


def inflate(packed: bytes, limit: int, name: str) -> bytes:
    """Return raw deflated bytes unpacked, up to `limit`.

    Raises
    ------
    InputError
        When they are damaged or unpack to more.
    """
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = engine.decompress(packed, limit)
    except zlib.error:
        raise InputError(f"{name}: the compressed content is damaged; export the file again.") from None
    if engine.unconsumed_tail:
        raise InputError(f"{name}: unpacks to more than {limit // 2**20} MiB; export it uncompressed.")
    return data


def _parts(name: str) -> list[str]:
    """Return the parts of a member's name; archives of Windows programs may hold backslashes.

    "." is left out, and ".." becomes `_OUTSIDE`, so that no path leads out of the archive.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return [_OUTSIDE if part == ".." else part for part in parts]


def _archive_of(path: Path) -> Path | None:
    """Return the regular file that a path leads through, or None for a path of the file system."""
    return next((parent for parent in path.parents if parent.is_file()), None) if not path.exists() else None


def _unpacked(archive: Path, member: str, name: str) -> bytes:
    """Return a member's bytes.

    Raises
    ------
    InputError
        When it is missing, encrypted, damaged, would unpack to too much, or its name leads out of the archive.
    """
    if _OUTSIDE in member.split("/"):
        raise InputError(f"{name}: its name leads out of the archive; unpack it and give the folder.")
    try:
        with open_file(archive):  # a regular file of a possible size
            status = archive.stat()
        packed, by_name = _opened(archive, status.st_ino, status.st_mtime_ns, status.st_size)
        info = by_name[member]
        if info.flag_bits & _ENCRYPTED:
            raise InputError(f"{name}: encrypted; unpack the archive with its password and give the folder.")
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > LARGEST_FILE or (info.file_size > _SMALL_MEMBER and ratio > LARGEST_RATIO):
            raise InputError(
                f"{name}: unpacks to {info.file_size / 2**20:.0f} MiB, {ratio:.0f} times its packed size; that is "
                "no image. It was not unpacked."
            )
        return packed.read(info)
    except KeyError:
        raise InputError(f"{name}: the file does not exist.") from None
    except InputError:
        raise
    except Exception:  # zipfile, zlib, bz2 and lzma raise many types on damaged or encrypted members
        raise InputError(f"{name}: damaged in the archive; unpack it and give the folder.") from None


@lru_cache(maxsize=2)
def _opened(archive: Path, *version: int) -> tuple[zipfile.ZipFile, Mapping[str, zipfile.ZipInfo]]:
    """Return an archive with its members by name, opened once: its directory is long where it holds a PET study.

    `version` is the file's inode, time and size, so that another file of this name is opened anew.
    """
    packed = zipfile.ZipFile(archive)
    return packed, {"/".join(_parts(info.filename)): info for info in packed.infolist()}
