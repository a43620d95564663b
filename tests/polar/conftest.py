"""The closed-form ventricle of even uptake."""

import pytest

from support.ventricle import Phantom, make_phantom


@pytest.fixture(scope="session")
def uniform() -> Phantom:
    """Return a ventricle with the same uptake in all segments."""
    return make_phantom()
