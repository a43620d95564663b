"""Where the generators of field cases stand, and the simulated studies that they change."""

import io
import os
import runpy
import sys
import warnings
from contextlib import redirect_stdout
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
    """Run the generator of a field case as ``python SCRIPT OUT`` would, and return the folder that it wrote.

    It runs in this process, as starting Python takes longer than most cases.
    """
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        patch.setenv("FIELD_BASE", str(base))
        patch.setenv("FIELD_PLANES", "10")
        patch.setattr(sys, "argv", [str(script), str(out)])
        patch.setattr(sys, "path", [str(script.parent), *sys.path])
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.chdir(ROOT)
        try:
            runpy.run_path(str(script), run_name="__main__")
        finally:
            for name in ("common", "dynamic_pet"):  # the next case may start from another base
                sys.modules.pop(name, None)
    return out
