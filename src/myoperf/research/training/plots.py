"""One look for the plots of every topic, whatever the user's own matplotlib settings are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl

_SETTINGS = {
    "font.family": ["DejaVu Sans"],
    "font.size": 7.0,
    "axes.linewidth": 0.5,
    "text.usetex": False,
    "axes.unicode_minus": False,
    "savefig.bbox": None,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Use matplotlib's defaults and MyoPerf's own settings inside the block."""
    defaults = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith(("backend", "date."))}
    settings: dict[Any, Any] = {**defaults, **_SETTINGS}
    with mpl.rc_context(settings):
        yield
