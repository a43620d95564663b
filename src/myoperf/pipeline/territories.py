"""Which segments belong to which vessel, by name or from a file of the user's."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from myoperf.errors import InputError
from myoperf.files import read_bytes
from myoperf.segments import TERRITORIES, Territories, assign_segments
from myoperf.types import VESSELS

_LARGEST_BYTES = 2**20
NAMED: Mapping[str, Territories] = MappingProxyType(
    {
        "default": TERRITORIES,
        "segment-16-lad": assign_segments({16: "LAD"}),
        "left-dominant": assign_segments({4: "LCX", 10: "LCX"}),
    }
)
"""``default`` is that of the published expert labels; in ``segment-16-lad`` the apical lateral segment is the LAD's;
in ``left-dominant`` the basal and mid inferior segments are the LCX's."""


def read_territories(text: str) -> Territories:
    """Return the territories of a name in `NAMED` or of a JSON file.

    The file holds either every segment, ``{"LAD": [1, 2, ...], "LCX": [...], "RCA": [...]}``, or the segments that
    differ from the default, ``{"16": "LAD"}``.

    Raises
    ------
    InputError
        When it is neither a name nor such a file, or a segment does not belong to one vessel.
    """
    if text in NAMED:
        return NAMED[text]
    path = Path(text)
    if not path.is_file():
        raise InputError(f"Territories are one of {', '.join(NAMED)} or a JSON file; got {path.name}.")
    try:
        content = json.loads(read_bytes(path, at_most=_LARGEST_BYTES).decode("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{path.name} cannot be read as JSON: {type(error).__name__}.") from None
    return _territories(content, path.name)


def _territories(content: Any, name: str) -> Territories:
    """Check what the file `name` holds, and return the territories."""
    refused = InputError(
        f'{name}: expected {{"LAD": [segments], "LCX": [...], "RCA": [...]}} with each of 1 to 17 once, or '
        'changes such as {"16": "LAD"}.'
    )
    if not isinstance(content, dict) or not content:
        raise refused
    try:
        if set(content) == set(VESSELS):
            given = {vessel: tuple(int(s) for s in content[vessel]) for vessel in VESSELS}
            if sorted(s for segments in given.values() for s in segments) != list(range(1, 18)):
                raise refused
            return assign_segments({}, territories=given)
        return assign_segments({int(segment): str(vessel) for segment, vessel in content.items()})
    except (ValueError, TypeError, OverflowError):
        raise refused from None


def territories_name(territories: Territories) -> str:
    """Return the name in `NAMED` of an assignment of segments to vessels; ``"own"`` where it has none."""
    return next((name for name, named in NAMED.items() if _as_sets(named) == _as_sets(territories)), "own")


def _as_sets(territories: Territories) -> dict[str, set[int]]:
    return {vessel: set(segments) for vessel, segments in territories.items()}
