"""Compiled code needs no place that can be written to besides the temporary files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import myoperf
from myoperf.kernels import temporary_cache

USES = """
import numpy as np
from myoperf.kernels import kernel
from myoperf import kernels
import numba
from added import double
print(double(21), numba.config.CACHE_DIR)
"""
ADDED = """
from myoperf.kernels import kernel

@kernel(nogil=True)
def double(x):
    return 2 * x
"""


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Compile a function of a folder that cannot be written to, without a home, in a new process."""
    folder = tmp_path / "package"
    folder.mkdir(exist_ok=True)
    (folder / "added.py").write_text(ADDED)
    (folder / "__pycache__").write_text("")  # stops even root from making a folder of this name
    (tmp_path / "temporary").mkdir(exist_ok=True)
    path = os.pathsep.join([str(folder), str(Path(myoperf.__file__).parents[1])])
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "TMPDIR": str(tmp_path / "temporary")}
    no_home = {"HOME": str(folder / "added.py"), "XDG_CACHE_HOME": str(folder / "added.py")}
    return subprocess.run(
        [sys.executable, "-B", "-c", USES],
        env={**given, **no_home, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_place_for_the_cache_a_temporary_folder_is_used(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    value, place = done.stdout.split()
    assert value == "42"
    assert Path(place).parent == tmp_path / "temporary"
    assert any(Path(place).rglob("*.nbc")), "nothing was kept"


def test_with_a_home_its_cache_is_used(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    done = run(tmp_path, HOME=str(home), XDG_CACHE_HOME=str(home / "cache"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["42"]
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("planted", ["link", "open", "file"])
def test_a_folder_that_somebody_else_may_have_made_is_not_used(tmp_path, monkeypatch, planted):
    """What is in the cache is run, so nobody else may be able to write to it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    name = tmp_path / f"myoperf-cache-{os.geteuid()}"
    if planted == "link":
        (tmp_path / "elsewhere").mkdir()
        name.symlink_to(tmp_path / "elsewhere")
    elif planted == "open":
        name.mkdir()
        name.chmod(0o777)
    else:
        name.write_text("")
    other = temporary_cache()
    assert other != name
    assert other.stat().st_mode & 0o777 == 0o700


def test_the_own_folder_is_used_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert temporary_cache() == temporary_cache()
    assert temporary_cache().stat().st_mode & 0o777 == 0o700


def test_every_kernel_is_compiled_by_the_same_function():
    """`numba.njit(cache=True)` alone stops a read-only installation at its import."""
    package = Path(myoperf.__file__).parent
    own = [path for path in package.rglob("*.py") if path.name != "kernels.py" or path.parent != package]
    assert [path.name for path in own if "cache=True" in path.read_text(encoding="utf-8")] == []
