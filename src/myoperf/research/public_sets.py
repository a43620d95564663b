"""Public data sets by name: fetched file by file against hashes, or verified where a person has put them.

A set that can be had without an account is fetched against the SHA-256 list its publisher keeps beside the files.
One that cannot is never fetched: what is in the folder is verified, and its hashes are kept for the next time.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from myoperf.errors import InputError

__all__ = ["SETS", "PublicSet", "fetch_files", "keep_hashes", "read_hash_list", "sha256_of"]

HASH_LIST = "SHA256SUMS.txt"
KEPT = "myoperf-sha256.csv"


@dataclass(frozen=True)
class PublicSet:
    """A public set and its terms.

    Attributes
    ----------
    home
        Page a person reads.
    files
        Address below which the files and `HASH_LIST` lie, ending in a slash; empty where an account is needed.
    licence, cite
        The publisher's terms, and what to cite.
    by_hand
        How to place the files without MyoPerf.
    """

    name: str
    title: str
    home: str
    files: str
    licence: str
    cite: str
    by_hand: str


SETS: Mapping[str, PublicSet] = MappingProxyType(
    {
        "physionet-mps": PublicSet(
            "physionet-mps",
            "Myocardial perfusion scintigraphy image database 1.0.0: SPECT volumes (DICOM), masks of the wall",
            "https://physionet.org/content/myocardial-perfusion-spect/1.0.0/",
            "https://physionet.org/files/myocardial-perfusion-spect/1.0.0/",
            "CC BY 4.0",
            "Calixto W, Nogueira S, Luz F, Ortiz de Camargo TF. PhysioNet 2025. doi:10.13026/ce2z-dw74",
            f"Download the set from its page, with {HASH_LIST}, unpack it into the folder, and run this command again.",
        ),
        "spect-mpi": PublicSet(
            "spect-mpi",
            "SPECT-MPI: report pictures of 192 patients (42 normal, 150 abnormal by two readers)",
            "https://www.kaggle.com/selcankaplan/spect-mpi",
            "",
            "as its page says; not known here: read it before use",
            "Kaplan Berkaya S, Ak Sivrikoz I, Gunal S. Comput Biol Med 2020;123:103893. "
            "doi:10.1016/j.compbiomed.2020.103893",
            "An account is needed: download the archive from its page, unpack it into the folder so that it holds "
            "TrainSet, TestSet and the table of labels (GroundTruth), and run this command again.",
        ),
    }
)
"""Name -> set."""


def sha256_of(path: Path) -> str:
    """Hash a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_hash_list(text: str) -> dict[str, str]:
    """Read a SHA-256 list: lines of a hash, white space, a path below the list.

    Raises
    ------
    InputError
        When a line is none, or its path leads out of the folder.
    """
    out: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        digest, _, name = line.strip().partition(" ")
        path = PurePosixPath(name.strip().lstrip("*"))
        if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef") or not path.parts:
            raise InputError(f"The list of hashes is damaged: {len(out)} lines could be read before the first bad one.")
        if path.is_absolute() or ".." in path.parts or any("\\" in part or ":" in part for part in path.parts):
            raise InputError("The list of hashes names a file outside its folder; it is not used.")
        out[str(path)] = digest.lower()
    if not out:
        raise InputError("The list of hashes is empty.")
    return out


def fetch_files(
    wanted: PublicSet, folder: Path, *, report: Callable[[int, int], None] | None = None
) -> tuple[int, int]:
    """Fetch a set that needs no account; files already there with the right hash stay.

    Parameters
    ----------
    folder
        Where the files go, as the publisher has them.
    report
        Called with (files there, files in all).

    Returns
    -------
    (fetched now, files in all).

    Raises
    ------
    InputError
        When the list or a file cannot be had, or a file's hash is not the list's.
    """
    listed = folder / HASH_LIST
    if not listed.exists():
        _retrieve(wanted.files + HASH_LIST, None, listed, wanted)
    hashes = read_hash_list(listed.read_text(encoding="utf-8"))
    fetched = 0
    for done, (name, digest) in enumerate(hashes.items()):
        path = folder / name
        if not path.exists() or sha256_of(path) != digest:
            _retrieve(wanted.files + name, digest, path, wanted)
            fetched += 1
        if report is not None:
            report(done + 1, len(hashes))
    return fetched, len(hashes)


def _retrieve(address: str, digest: str | None, path: Path, wanted: PublicSet) -> None:
    """Download one file through pooch, which checks the hash before the file gets its name."""
    try:
        pooch: Any = import_module("pooch")
    except ImportError as error:
        raise InputError("Fetching needs pooch; install MyoPerf with the extra 'research'.") from error
    pooch.get_logger().setLevel("ERROR")
    try:
        pooch.retrieve(address, known_hash=digest and f"sha256:{digest}", fname=path.name, path=path.parent)
    except ValueError as error:
        raise InputError(
            f"{path.name} of {wanted.name} came with another hash than its publisher lists; it was not kept."
        ) from error
    except Exception as error:  # pooch passes on whatever requests raises
        raise InputError(
            f"{path.name} of {wanted.name} could not be fetched ({type(error).__name__}). By hand: {wanted.by_hand}"
        ) from error


def keep_hashes(folder: Path, files: list[Path]) -> int:
    """Compare files with the hashes kept from the last time, or keep them now.

    Returns
    -------
    How many were compared: 0 the first time.

    Raises
    ------
    InputError
        When a file changed, came or went since.
    """
    now = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    kept = folder / KEPT
    if not kept.exists():
        with kept.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("file", "sha256"), *sorted(now.items())])
        return 0
    with kept.open(newline="", encoding="utf-8") as file:
        before = {row["file"]: row["sha256"] for row in csv.DictReader(file)}
    changed = sum(before.get(name) != digest for name, digest in now.items()) + len(before.keys() - now.keys())
    if changed:
        raise InputError(
            f"{changed} files are not what they were when {KEPT} was written; restore them, or delete that file."
        )
    return len(now)
