"""Public sets: downloaded from a local test server and checked against their publisher's hashes."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from myoperf.cli.data import fetch
from myoperf.errors import InputError
from myoperf.research.public_sets import SETS, PublicSet, fetch_files, keep_hashes, read_hash_list


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def served(tmp_path):
    """A published set of two files with its list of hashes, on this machine."""
    source = tmp_path / "published"
    (source / "dicom").mkdir(parents=True)
    (source / "README.txt").write_text("read me")
    (source / "dicom" / "one.dcm").write_bytes(bytes(range(256)) * 9)
    names = ("README.txt", "dicom/one.dcm")
    lines = [f"{hashlib.sha256((source / name).read_bytes()).hexdigest()} {name}" for name in names]
    (source / "SHA256SUMS.txt").write_text("\n".join(lines) + "\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=source))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    yield (
        source,
        PublicSet(
            name="test",
            title="A set",
            home="home",
            files=address,
            licence="CC0",
            cite="nobody",
            by_hand="Put the files there.",
        ),
    )
    server.shutdown()
    server.server_close()
    thread.join()


def test_files_are_fetched_once_and_checked(served, tmp_path):
    source, entry = served
    folder = tmp_path / "here"
    seen = []
    assert fetch_files(entry, folder, report=lambda done, total: seen.append((done, total))) == (2, 2)
    assert seen == [(1, 2), (2, 2)]
    assert (folder / "dicom" / "one.dcm").read_bytes() == (source / "dicom" / "one.dcm").read_bytes()
    assert fetch_files(entry, folder) == (0, 2)
    (folder / "README.txt").write_text("damaged here")
    assert fetch_files(entry, folder) == (1, 2)
    assert (folder / "README.txt").read_text() == "read me"


def test_a_file_with_another_hash_is_not_kept(served, tmp_path):
    source, entry = served
    (source / "dicom" / "one.dcm").write_bytes(b"changed at the source")
    with pytest.raises(InputError, match=r"one.dcm of test has another hash"):
        fetch_files(entry, tmp_path / "here")
    assert not (tmp_path / "here" / "dicom" / "one.dcm").exists()
    (source / "dicom" / "one.dcm").unlink()
    with pytest.raises(InputError, match=r"could not be downloaded .* By hand: Put the files there"):
        fetch_files(entry, tmp_path / "here")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("not a hash  file", "damaged"), (f"{'a' * 64} ../secret", "outside"), ("0" * 64, "damaged")],
)
def test_a_bad_list_of_hashes_is_refused(text, reason):
    with pytest.raises(InputError, match=reason):
        read_hash_list(text)


def test_the_hash_list_reads_both_common_forms():
    assert read_hash_list(f"{'A' * 64}  a.txt\n{'0' * 64} *b/c.txt\n") == {"a.txt": "a" * 64, "b/c.txt": "0" * 64}


def test_kept_hashes_tell_a_change(tmp_path):
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for path in files:
        path.write_text(path.name)
    assert keep_hashes(tmp_path, files) == 0
    assert keep_hashes(tmp_path, files) == 2
    files[0].write_text("other")
    with pytest.raises(InputError, match="1 files changed"):
        keep_hashes(tmp_path, files)
    with pytest.raises(InputError, match="2 files"):
        keep_hashes(tmp_path, [files[0]])


def test_every_set_says_where_it_is_and_its_terms():
    for entry in SETS.values():
        assert entry.home.startswith("https://")
        assert entry.licence
        assert "doi:" in entry.cite
    with pytest.raises(InputError, match="physionet-mps or spect-mpi; got other"):
        fetch("other", None, quiet=True)
