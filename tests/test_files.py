"""Files and folders that appear whole, replace nothing by accident and are for their owner only."""

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from myoperf import files
from myoperf.errors import OutputExistsError
from myoperf.files import (
    add_to_folder,
    check_destination,
    check_folder,
    lock_destination,
    read_bytes,
    sweep,
    whole_file,
    whole_folder,
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def fill(folder: Path, text: str, **options: bool) -> None:
    with whole_folder(folder, **options) as partial:
        (partial / "results.json").write_text(text)
        (partial / "dicom").mkdir()
        (partial / "dicom" / "sr.dcm").write_text(text)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_second_of_two_runs_is_refused_and_the_first_result_stays(tmp_path):
    """Both start while the folder is free; the one that ends second must not remove what the first one wrote."""
    out = tmp_path / "out"

    def second_run() -> None:
        with whole_folder(out) as second:
            (second / "results.json").write_text("second")
            fill(out, "first")

    with pytest.raises(OutputExistsError, match="another run"):
        second_run()
    assert (out / "results.json").read_text() == "first"
    assert names(tmp_path) == {"out"}


def test_an_overwriting_run_replaces_what_is_there_at_its_end(tmp_path):
    out = tmp_path / "out"
    with whole_folder(out, overwrite=True) as second:
        (second / "results.json").write_text("second")
        fill(out, "first")
        assert (out / "results.json").read_text() == "first", "replaced before the new result is complete"
    assert (out / "results.json").read_text() == "second"
    assert names(tmp_path) == {"out"}


def test_many_runs_into_one_folder_leave_one_whole_result(tmp_path):
    out, refused, together = tmp_path / "out", [], threading.Barrier(8)

    def run(number: int) -> None:
        together.wait()
        try:
            fill(out, str(number))
        except OutputExistsError:
            refused.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = (out / "results.json").read_text()
    assert written == (out / "dicom" / "sr.dcm").read_text()
    assert sorted([*refused, int(written)]) == list(range(8))
    assert names(tmp_path) == {"out"}


def test_an_error_leaves_nothing_behind(tmp_path):
    def write_half() -> None:
        with whole_folder(tmp_path / "here" / "out") as partial:
            (partial / "half.txt").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert names(tmp_path / "here") == set()


@pytest.fixture
def _open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open_umask")
def test_results_are_for_their_owner_only(tmp_path):
    fill(tmp_path / "out", "one")
    with whole_file(tmp_path / "a.nii.gz") as partial:
        partial.write_text("one")
        assert partial.name == "a.nii.gz"
    assert [mode(tmp_path / "out"), mode(tmp_path / "out" / "dicom")] == [0o700, 0o700]
    assert [mode(tmp_path / "out" / "dicom" / "sr.dcm"), mode(tmp_path / "a.nii.gz")] == [0o600, 0o600]


def test_a_stricter_mode_stays(tmp_path):
    with whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("one")
        partial.chmod(0o400)
    assert mode(tmp_path / "a.txt") == 0o400


@pytest.mark.parametrize("earlier", [False, True])
def test_the_working_directory_is_filled_and_stays_the_same_folder(tmp_path, monkeypatch, earlier):
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    before = out.stat().st_ino
    if earlier:
        fill(Path(), "old")
        (out / "old.txt").write_text("old")
    fill(Path(), "new", overwrite=earlier)
    assert out.stat().st_ino == before
    assert names(out) == {"results.json", "dicom"}
    assert (out / "results.json").read_text() == "new"


def test_a_filled_working_directory_is_not_touched_without_overwrite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError):
        fill(Path(), "new")
    assert names(tmp_path) == {"mine.txt"}


@pytest.mark.parametrize("earlier", [False, True])
def test_a_folder_that_cannot_be_renamed_is_filled(tmp_path, monkeypatch, earlier):
    """A mount point that looks like a folder gives EBUSY."""
    out = tmp_path / "out"
    out.mkdir()
    if earlier:
        fill(out, "old")
    rename = Path.rename

    def busy(path: Path, target: Path) -> Path:
        if out in (path, target):
            raise OSError(errno.EBUSY, "busy", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", busy)
    fill(out, "new", overwrite=earlier)
    assert names(out) == {"results.json", "dicom"}
    assert (out / "dicom" / "sr.dcm").read_text() == "new"
    assert names(tmp_path) == {"out"}


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    fill(tmp_path / "out", "new")
    assert (tmp_path / "out").is_symlink()
    assert names(tmp_path / "disk") == {"results.json", "dicom"}


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_replaced_only_when_wanted(tmp_path, monkeypatch, links):
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a.txt"
    with whole_file(path) as partial:
        partial.write_text("one")
    with pytest.raises(OutputExistsError), whole_file(path) as partial:
        partial.write_text("two")
    assert path.read_text() == "one"
    with whole_file(path, overwrite=True) as partial:
        partial.write_text("three")
    assert path.read_text() == "three"
    assert names(tmp_path) == {"a.txt"}


def test_entries_are_added_all_or_none(tmp_path):
    (tmp_path / "b.npz").write_text("mine")

    def add(*new: str) -> None:
        with add_to_folder(tmp_path) as partial:
            for name in new:
                (partial / name).write_text("new")

    with pytest.raises(OutputExistsError, match=r"b\.npz"):
        add("a.npz", "b.npz", "c.npz")
    assert names(tmp_path) == {"b.npz"}
    add("a.npz")
    assert names(tmp_path) == {"a.npz", "b.npz"}


HOLDS = """
import pathlib, sys, time
from myoperf.files import lock_destination, whole_folder
with lock_destination(pathlib.Path(sys.argv[1])), whole_folder(pathlib.Path(sys.argv[1])) as partial:
    print("holds", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_run(tmp_path):
    """A process that holds the lock of tmp_path/out and has begun to write."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path / "out"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "holds"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def make_old(folder: Path) -> None:
    """Let what stands in a folder look an hour old."""
    for path in folder.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)


def test_a_second_run_is_refused_at_its_start_and_removes_nothing_of_the_first(tmp_path, other_run):
    make_old(tmp_path)
    assert sweep(tmp_path / "out") == ()
    with pytest.raises(OutputExistsError, match="Another MyoPerf run"), lock_destination(tmp_path / "out"):
        pass
    with lock_destination(tmp_path / "other"):
        pass


def test_what_a_killed_run_left_is_removed_and_named(tmp_path, other_run):
    other_run.kill()
    other_run.wait()
    (left,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert sweep(tmp_path / "out") == (), "too young: its owner may not have locked it yet"
    make_old(tmp_path)
    with lock_destination(tmp_path / "out"):
        (line,) = sweep(tmp_path / "out")
    assert left.name in line
    assert names(tmp_path) == set()


def test_a_result_set_aside_by_a_killed_run_is_restored(tmp_path):
    fill(tmp_path / "out-earlier-x1y2" / "out", "old")
    (line,) = sweep(tmp_path / "out")
    assert line.startswith("restored out")
    assert (tmp_path / "out" / "results.json").read_text() == "old"
    assert names(tmp_path) == {"out"}


def test_nothing_of_the_users_is_swept(tmp_path):
    for name in (".out.bak", "out-earlier-notes", ".other.myoperf-abc"):
        (tmp_path / name).mkdir()
    make_old(tmp_path)
    assert sweep(tmp_path / "out") == ()
    assert names(tmp_path) == {".out.bak", "out-earlier-notes", ".other.myoperf-abc"}


def test_the_lock_leaves_nothing(tmp_path):
    with lock_destination(tmp_path / "new" / "deeper" / "out"):
        assert (tmp_path / "new" / "deeper").is_dir()
    assert names(tmp_path) == set()


def test_a_place_that_cannot_be_written_to_is_told_before(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError):
        check_destination(tmp_path / "file" / "out")
    check_destination(tmp_path / "new" / "out")
    assert names(tmp_path) == {"file"}
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: files.shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(OSError, match="No space left"):
        check_destination(tmp_path / "new")
    monkeypatch.setattr(files.os, "access", lambda *_: False)
    with pytest.raises(OSError, match="Permission denied"):
        check_destination(tmp_path / "new")


def test_files_need_a_folder_that_is_writable_itself(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.setattr(files.os, "access", lambda path, _: Path(path) != closed)  # root may write anywhere
    check_destination(closed)  # an empty folder is replaced by a rename
    with pytest.raises(PermissionError):
        check_folder(closed)
    check_folder(tmp_path / "new" / "deeper")
    assert names(tmp_path) == {"closed"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the system has no /proc")
def test_a_view_of_the_system_is_not_called_full():
    with pytest.raises(OSError, match="Files cannot be kept here"):
        check_destination(Path("/proc/out"))


def test_a_disk_whose_driver_does_not_count_can_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: files.shutil._ntuple_diskusage(0, 0, 0))
    check_destination(tmp_path / "new" / "out")
    assert names(tmp_path) == set()


def test_only_small_regular_files_are_read_whole(tmp_path):
    path, pipe = tmp_path / "a", tmp_path / "pipe"
    path.write_bytes(b"12345")
    os.mkfifo(pipe)
    assert read_bytes(path, at_most=5) == b"12345"
    with pytest.raises(OSError, match="more than 0 MiB"):
        read_bytes(path, at_most=4)
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path, at_most=5)
    for device in (pipe, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_bytes(device, at_most=5)
