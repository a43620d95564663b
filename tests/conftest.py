"""What tests of every room share."""

from pathlib import Path

import pytest

from support.real import real_folder


@pytest.fixture(scope="session")
def real() -> Path:
    """Return the folder of real studies beside the checkout."""
    return real_folder()
