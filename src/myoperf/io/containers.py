"""What stands for several files: a zip archive, and DICOMDIR, the index of a medium (PS3.3 F, PS3.10 8)."""

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from myoperf.dicom import element_value
from myoperf.errors import InputError
from myoperf.io.files import archive_members
from myoperf.io.header import items, read_header


def contents(path: Path) -> tuple[Path, ...]:
    """Return the files that a path stands for: those in a zip archive or listed by a DICOMDIR, else the path itself.

    A container that cannot be read stands for itself; `read_header` says why.
    """
    try:
        if path.name.upper() == "DICOMDIR":
            return _listed_files(path) or (path,)
        return archive_members(path) or (path,)
    except (InputError, OSError):
        return (path,)


def _listed_files(index: Path) -> tuple[Path, ...]:
    """Return the images that a DICOMDIR lists, beside it, each once; a file that is not there is listed all the same.

    Names on a medium are upper case; a copy may hold them in lower case. Names that lead out of the index's folder are
    left out.

    Raises
    ------
    InputError
        When the index cannot be read.
    """
    files: dict[Path, None] = {}
    for record in items(read_header(index), "DirectoryRecordSequence"):
        parts = _file_id(record)
        if parts and not any(part in ("", ".", "..") or set(part) & set("/\\\0") for part in parts):
            files[_existing(index.parent, parts)] = None
    return tuple(files)


def _file_id(record: Dataset) -> list[str]:
    """Return Referenced File ID (0004,1500): the parts of a path."""
    value = element_value(record, "ReferencedFileID")
    if value is None:
        return []
    return [str(part).strip() for part in value] if isinstance(value, MultiValue | list) else [str(value).strip()]


def _existing(folder: Path, parts: list[str]) -> Path:
    """Return the path of these parts, each in the letters that the folder has it in."""
    path = folder
    for part in parts:
        exact = path / part
        if not exact.exists() and path.is_dir():
            exact = next((p for p in path.iterdir() if p.name.lower() == part.lower()), exact)
        path = exact
    return path
