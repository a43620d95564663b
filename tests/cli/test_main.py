"""The command line: quick to start, one line and exit code 2 for what it cannot use."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import myoperf
from myoperf.cli.console import one_of
from myoperf.io import write_nifti
from myoperf.types import Volume
from support.command import run_command

HEAVY = ("highdicom", "matplotlib", "nibabel", "numba", "pandas", "pydicom", "scipy", "sklearn", "torch")


@pytest.mark.parametrize("statement", ["import myoperf", "from myoperf.cli.main import run; run()"])
def test_the_package_and_its_help_load_no_heavy_library(statement):
    """Both answer at once because nothing slow is imported; a clock would measure the machine."""
    code = (
        "import sys; sys.argv = ['myoperf', '--help']\n"
        f"try: {statement}\n"
        "except SystemExit as e: assert e.code == 0\n"
        f"print('loaded:', *sorted(set({HEAVY}) & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]
    assert ("analyze" in done.stdout) == ("run()" in statement)


@pytest.mark.parametrize(
    "program", [(Path(sys.executable).parent / "myoperf",), (sys.executable, "-m", "myoperf")], ids=["script", "module"]
)
def test_the_installed_program_is_this_package(program):
    done = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"myoperf {myoperf.__version__}"


@pytest.mark.parametrize(
    ("name", "content"),
    [("note.txt", b"not an image"), ("cut.dcm", b"\0" * 128 + b"DICM" + b"\2\0"), ("empty.nii.gz", b"")],
)
def test_a_file_it_cannot_use_gives_one_line_and_exit_code_2(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    done = run_command("analyze", file, "-o", tmp_path / "out", "--quiet")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_path_that_is_not_there_gives_exit_code_2(tmp_path):
    done = run_command("analyze", tmp_path / "nowhere", "-o", tmp_path / "out", "--quiet")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("words", [("analyze", ""), ("convert", " ", "-o", "out"), ("analyze", "study", "-o", "")])
def test_an_empty_argument_is_not_the_present_folder(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = run_command(*words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "An argument is empty" in done.stderr


def test_a_working_folder_that_was_removed_is_the_cause(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", sys.executable, "-m", "myoperf", "convert", "a", "-o", "out"],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no longer exists" in done.stderr


def test_an_existing_folder_is_never_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "keep.txt").write_text("mine")
    done = run_command("analyze", tmp_path, "-o", tmp_path / "out", "--quiet", "--overwrite")
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
    done = run_command("analyze", tmp_path, "-o", tmp_path / "out", "--quiet", *words)
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
    volume = Volume(np.random.default_rng(0).random((12, 13, 14)).astype(np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
    write_nifti(tmp_path / "stress.nii.gz", volume)
    done = run_command("analyze", tmp_path / "stress.nii.gz", "-o", tmp_path / "out", "--quiet", *words)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.strip().splitlines() if not line.startswith("skipped")]
    assert cause in line


@pytest.mark.parametrize(
    ("value", "choices", "meant"),
    [
        ("Stress", ("stress", "rest"), "stress"),
        ("m", ("M", "F"), "M"),
        ("n-13", ("N-13",), "N-13"),
        (360, (180, 360), 360),
    ],
)
def test_a_choice_may_be_written_in_any_case(value, choices, meant):
    assert one_of("--option", value, choices) == meant


def test_no_command_takes_a_choice_as_it_was_written():
    """Where the answer of `one_of` is not used, "Dask" would pass the check and then be taken for the other engine."""
    folder = Path(myoperf.__file__).parent / "cli"
    unused = [
        f"{file.name}:{node.lineno}"
        for file in sorted(folder.glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Expr) and ast.unparse(node).startswith("one_of(")
    ]
    assert unused == []
