"""Public data sets by name: downloaded file by file and checked by hash, or verified where the user has put them.

A set that needs no account is downloaded and checked against the list of SHA-256 hashes that its publisher provides.
A set that needs one is never downloaded: the files in the folder are verified, and their hashes kept for the next time.
"""

import csv
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from myoperf.errors import InputError

HASH_LIST = "SHA256SUMS.txt"
KEPT = "myoperf-sha256.csv"


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    """A public data set and its terms.

    Attributes
    ----------
    home
        Web page of the set.
    files
        Address of the folder of the files and `HASH_LIST`, ending in a slash; empty where an account is needed.
    licence, cite
        The publisher's terms, and what to cite.
    by_hand
        How to get the files without MyoPerf.
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
            name="physionet-mps",
            title="Myocardial perfusion scintigraphy image database 1.0.0: SPECT volumes (DICOM), masks of the wall",
            home="https://physionet.org/content/myocardial-perfusion-spect/1.0.0/",
            files="https://physionet.org/files/myocardial-perfusion-spect/1.0.0/",
            licence="CC BY 4.0",
            cite="Calixto W, Nogueira S, Luz F, Ortiz de Camargo TF. PhysioNet 2025. doi:10.13026/ce2z-dw74",
            by_hand=f"Download the set from its page, with {HASH_LIST}, unpack it into the folder and run this command "
            "again.",
        ),
        "spect-mpi": PublicSet(
            name="spect-mpi",
            title="SPECT-MPI: report pictures of 192 patients (42 normal, 150 abnormal by two readers)",
            home="https://www.kaggle.com/selcankaplan/spect-mpi",
            files="",
            licence="stated on its page; read it before use",
            cite="Kaplan Berkaya S, Ak Sivrikoz I, Gunal S. Comput Biol Med 2020;123:103893. "
            "doi:10.1016/j.compbiomed.2020.103893",
            by_hand="An account is needed: download the archive from its page, unpack it into the folder so that it "
            "holds TrainSet, TestSet and the table of labels (GroundTruth), and run this command again.",
        ),
    }
)
"""Name -> set."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_hash_list(text: str) -> dict[str, str]:
    """Read a list of SHA-256 hashes, each line a hash, white space and a path relative to the list.

    Raises
    ------
    InputError
        When a line is damaged or its path leaves the folder.
    """
    out: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        digest, _, name = line.strip().partition(" ")
        path = PurePosixPath(name.strip().lstrip("*"))
        if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef") or not path.parts:
            raise InputError(f"The list of hashes is damaged; {len(out)} lines could be read before the first bad one.")
        if path.is_absolute() or ".." in path.parts or any("\\" in part or ":" in part for part in path.parts):
            raise InputError("The list of hashes names a file outside its folder; it is not used.")
        out[str(path)] = digest.lower()
    if not out:
        raise InputError("The list of hashes is empty.")
    return out


def fetch_files(
    wanted: PublicSet, folder: Path, *, report: Callable[[int, int], None] | None = None
) -> tuple[int, int]:
    """Download a set that needs no account; files in the folder that have the right hash are kept.

    Parameters
    ----------
    folder
        Gets the files, in the publisher's folders.
    report
        Called with (files done, all files).

    Returns
    -------
    (files downloaded now, all files).

    Raises
    ------
    InputError
        When the list or a file cannot be downloaded, or a file's hash differs from the list's.
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
    """Download one file by pooch, which checks the hash before the file gets its name."""
    try:
        import pooch  # only in the extra 'research'
    except ImportError as error:
        raise InputError("Downloading needs pooch; install MyoPerf with the extra 'research'.") from error
    pooch.get_logger().setLevel("ERROR")
    try:
        pooch.retrieve(address, known_hash=digest and f"sha256:{digest}", fname=path.name, path=path.parent)
    except ValueError as error:
        raise InputError(
            f"{path.name} of {wanted.name} has another hash than its publisher lists; it was not kept."
        ) from error
    except Exception as error:  # pooch passes on whatever requests raises
        raise InputError(
            f"{path.name} of {wanted.name} could not be downloaded ({type(error).__name__}). By hand: {wanted.by_hand}"
        ) from error


def keep_hashes(folder: Path, files: list[Path]) -> int:
    """Compare files with the hashes kept from the last time, or write the hashes if this is the first time.

    Returns
    -------
    How many files were compared: 0 the first time.

    Raises
    ------
    InputError
        When a file was changed, added or removed since.
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
            f"{changed} files changed, were added or are missing since {KEPT} was written; restore them or delete "
            "that file."
        )
    return len(now)
