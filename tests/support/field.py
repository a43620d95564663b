"""Where the generators of field cases stand, and the simulated studies that they change."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import run_command

ROOT = Path(__file__).parents[2]


def field_folder() -> Path:
    """Return the folder of field cases; where it is missing, fail in continuous integration and skip elsewhere."""
    folder = (ROOT / ".." / "shared" / "field").resolve()
    if not folder.is_dir():
        message = "the field cases (../shared/field) are not there"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return folder


def simulated_base(folder: Path) -> Path:
    """Simulate the studies that the field cases start from, of few gates, and return their folder."""
    for kind, *options in (("spect", "--reconstructed", "--gates", 2), ("pet", "--modality", "pet", "--gates", 1)):
        done = run_command("simulate", 1, "--seed", 11, "-q", *options, "-o", folder / kind)
        assert done.returncode == 0, done.stderr
    return folder


def make_case(script: Path, base: Path, out: Path) -> Path:
    """Run the generator of a field case and return the folder that it wrote."""
    environment = os.environ | {
        "FIELD_BASE": str(base),
        "FIELD_PLANES": "10",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests"))),
    }
    subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(out)],
        check=True,
        capture_output=True,
        env=environment,
        cwd=ROOT,
    )
    return out
