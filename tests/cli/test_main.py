"""The command line: quick to start, one line and exit code 2 for what it cannot use."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from myoperf.io import write_nifti
from myoperf.types import Volume

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


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--state", "exercise"), "--state is stress or rest; got exercise."),
        (("--frame", "1,2,3"), "--frame needs nine numbers"),
        (("--formats", "pdf,docx"), "Unknown format docx; choose from html"),
        (("--territories", "segment-15"), "segment-16-lad"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line_that_names_it(tmp_path, words, cause):
    done = call("analyze", tmp_path, "-o", tmp_path / "out", "--quiet", *words)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert cause in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--device", "tpu"), "auto, cpu, cuda"),
        (("--lv", "abacus"), "network or classical; got abacus"),
        (("--engine", "abacus"), "got abacus"),
    ],
)
def test_models_that_cannot_run_are_refused_in_one_line(tmp_path, words, cause):
    volume = Volume(np.random.default_rng(0).random((8, 9, 10)).astype(np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
    write_nifti(tmp_path / "stress.nii.gz", volume)
    done = call("analyze", tmp_path / "stress.nii.gz", "-o", tmp_path / "out", "--quiet", *words)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.strip().splitlines() if not line.startswith("skipped")]
    assert cause in line


def test_help_and_version_answer_at_once():
    """Within half a second of processor time: the time on the clock depends on what else the machine does."""
    times = []
    for words in (["-c", "import myoperf"], ["-c", "from myoperf.cli.main import app; app(['--help'])"]):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert max(times) < 0.5 * slowness()


def slowness():
    """Return how much longer than its usual 0.1 s of processor time Python takes here to start and sum numbers."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "sum(i * i for i in range(1_000_000))"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return max(1.0, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 0.15)
