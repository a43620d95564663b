"""Files by content: whole or not at all, once, and out of reach of any name."""

import hashlib
import os
import time

import pytest

from myoperf.web.blobs import Blobs, Incoming
from myoperf.web.errors import NotThereError, TooLargeError


@pytest.fixture
def blobs(tmp_path):
    return Blobs(tmp_path / "files")


def files(blobs):
    return sorted(path for path in blobs.folder.rglob("*") if path.is_file())


def test_bytes_come_back_by_their_hash_and_are_stored_once(blobs):
    first, second = blobs.put([b"one ", b"study"]), blobs.put([b"one study"])
    assert first == second == hashlib.sha256(b"one study").hexdigest()
    assert blobs.read_checked(first) == b"one study"
    assert len(files(blobs)) == 1


def test_a_file_that_is_not_finished_or_too_large_leaves_nothing(blobs):
    with pytest.raises(TooLargeError, match="at most 0 MiB"):
        blobs.put([b"12345", b"67890"], limit=8)
    with Incoming(blobs) as incoming:
        incoming.write(b"half")
    assert files(blobs) == []


@pytest.mark.parametrize("name", ["../secret", "a" * 63, "A" * 64, "", "/etc/passwd", "a" * 64])
def test_no_name_reaches_a_file(blobs, name):
    (blobs.folder.parent / "secret").write_text("secret")
    with pytest.raises(NotThereError):
        blobs.read(name)


def test_a_changed_file_is_noticed(blobs):
    key = blobs.put([b"numbers"])
    blobs.path(key).write_bytes(b"numbets")
    with pytest.raises(NotThereError, match="damaged"):
        blobs.read_checked(key)


def test_a_sweep_takes_old_files_that_nothing_names(blobs):
    kept, old, young = blobs.put([b"kept"]), blobs.put([b"old"]), blobs.put([b"young"])
    part = blobs.folder / "x.part"
    part.write_bytes(b"half")
    before = time.time() - 2 * 3600
    for path in (blobs.path(kept), blobs.path(old), part):
        os.utime(path, (before, before))
    assert blobs.sweep(frozenset({kept})) == 2
    assert {*blobs.keys()} == {kept, young}


def test_bytes_that_are_stored_again_are_young_again(blobs):
    key = blobs.put([b"again"])
    os.utime(blobs.path(key), (1, 1))
    blobs.put([b"again"])
    assert blobs.sweep(frozenset()) == 0
