"""Where the real studies stand, and what to do when they do not."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real studies beside the checkout."""
    folder = Path(__file__).parents[2] / ".." / "shared" / "real"
    if not folder.is_dir():
        message = "the real studies (../shared/real) are not here"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder.resolve()
