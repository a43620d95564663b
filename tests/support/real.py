"""Where the real studies stand."""

import os
from pathlib import Path

import pytest


def real_folder() -> Path:
    """Return the folder of real studies; where it is missing, fail in continuous integration and skip elsewhere."""
    folder = (Path(__file__).parents[2] / ".." / "shared" / "real").resolve()
    if not folder.is_dir():
        message = "the real studies (../shared/real) are not there"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return folder
