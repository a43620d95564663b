"""What ends a command becomes one line with a code, tells nothing of a patient and leaves no file behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from myoperf.errors import AnalysisError, describe_error

RUN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
from myoperf.cli import main
from myoperf.cli.app import app

@app.command()
def fails():
{body}

sys.argv = ["myoperf", "fails", *{words}]
main.run()
"""
SECRET = "Zacharias^Quentin"


def command(body: str, *words: str) -> list[str]:
    """Return the words that start a command whose body is given, as the command line would."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return [sys.executable, "-c", RUN.format(body=indented, words=list(words))]


def run(body: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(body, *words), capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def started(body: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command and wait for its first line."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(body), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout.readline() == "writes\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (f"raise ValueError({SECRET!r})", "ValueError in "),
        ("from myoperf.geometry import lps_from_ras\nlps_from_ras(None)", "myoperf/geometry/"),
        ("raise MemoryError", "Not enough memory"),
        ("open('/nowhere/patient/x.dcm')", "myoperf: No such file or directory: x.dcm. [ENOENT]"),
        ("import os; raise OSError(5, os.strerror(5), 'x')", "myoperf: Input/output error: x. [EIO]"),
        (
            "from myoperf.errors import InputError\nraise InputError('two\\nlines \\x1b[2J')",
            r"two lines \x1b[2J [input]",
        ),
    ],
)
def test_any_error_is_one_line_with_a_code(body, line):
    done = run(body)
    assert done.returncode == 2
    (only,) = done.stderr.splitlines()
    assert line in only
    assert only.endswith("]")
    assert only.startswith("myoperf: ")
    assert SECRET not in only
    assert "/nowhere" not in only


def test_debug_shows_where_an_error_came_from():
    done = run("raise ValueError('here')", "--debug")
    assert done.returncode == 2
    assert "ValueError: here" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("[internal]")


def test_an_error_that_never_was_raised_has_no_place():
    assert "unknown place" in describe_error(ZeroDivisionError())
    assert describe_error(AnalysisError("No heart.")) == "No heart. [analysis]"


def test_libraries_do_not_print_what_they_read():
    body = f"""
import logging, warnings
warnings.warn({SECRET!r})
for name in ("pydicom", "highdicom", "highdicom.base", "nibabel.global"):
    logging.getLogger(name).error({SECRET!r})
print("done")
"""
    done = run(body)
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert SECRET in run(body, "--debug").stderr


@pytest.mark.parametrize("before", [0o000, 0o027])
def test_files_are_for_their_owner_only(tmp_path, before):
    umask = os.umask(before)
    try:
        run(f"open({str(tmp_path / 'a')!r}, 'w').close()")
    finally:
        os.umask(umask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


WRITES = """
import pathlib, time
from myoperf.cli.console import destination
from myoperf.files import whole_folder
out = pathlib.Path({out!r})
with destination(out), whole_folder(out) as partial:
    (partial / "half").write_text("half")
    print("writes", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_removes_temporary_files(tmp_path, number):
    with started(WRITES.format(out=str(tmp_path / "out"))) as process:
        process.send_signal(number)
        _, errors = process.communicate(timeout=50)
    assert process.returncode == 128 + number
    assert errors == f"myoperf: stopped [{number.name}]\n"
    assert list(tmp_path.iterdir()) == []


def test_a_run_cleans_up_after_one_that_was_killed_and_says_so(tmp_path):
    with started(WRITES.format(out=str(tmp_path / "out"))):
        pass  # which kills it
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    ends = WRITES.format(out=str(tmp_path / "out")).replace("time.sleep(60)", "raise SystemExit")
    done = run(ends)
    assert "which an interrupted run left" in done.stderr
    assert list(tmp_path.iterdir()) == []
