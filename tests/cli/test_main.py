"""The command line: quick to start, one line and exit code 2 for what it cannot use."""

import subprocess
import sys
from pathlib import Path

import pytest

MYOPERF = Path(sys.executable).parent / "myoperf"


def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([MYOPERF, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)


def test_help_loads_neither_torch_nor_pydicom_nor_matplotlib():
    code = (
        "import sys; sys.argv = ['myoperf', '--help']\n"
        "from myoperf.cli.main import run\n"
        "try: run()\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'torch', 'pydicom', 'matplotlib', 'scipy', 'numba', 'highdicom'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "analyze" in done.stdout


@pytest.mark.parametrize(
    ("name", "content"),
    [("note.txt", b"not an image"), ("cut.dcm", b"\0" * 128 + b"DICM" + b"\2\0"), ("empty.nii.gz", b"")],
)
def test_a_file_it_cannot_use_gives_one_line_and_exit_code_2(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    done = call("analyze", file, "-o", tmp_path / "out", "--quiet")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_path_that_is_not_there_gives_exit_code_2(tmp_path):
    done = call("analyze", tmp_path / "nowhere", "-o", tmp_path / "out", "--quiet")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_an_existing_folder_is_never_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "keep.txt").write_text("mine")
    done = call("analyze", tmp_path, "-o", tmp_path / "out", "--quiet", "--overwrite")
    assert done.returncode == 2
    assert (tmp_path / "out" / "keep.txt").read_text() == "mine"


@pytest.mark.parametrize("words", [("--state", "exercise"), ("--frame", "1,2,3"), ("--formats", "docx")])
def test_a_wrong_option_gives_exit_code_2(tmp_path, words):
    done = call("analyze", tmp_path, "-o", tmp_path / "out", "--quiet", *words)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
