"""A folder of finished jobs that a study goes on from, and that refuses other settings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from myoperf.errors import InputError

__all__ = ["claim_folder"]


def claim_folder(out: Path, settings: dict[str, Any]) -> None:
    """Make a folder of jobs and note the settings; one that holds jobs of other settings is refused.

    Raises
    ------
    InputError
        When the folder's settings are others.
    """
    out.mkdir(parents=True, exist_ok=True)
    mark = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    known = out / "settings.json"
    if known.exists() and json.loads(known.read_text(encoding="utf-8"))["mark"] != mark:
        raise InputError("The folder holds jobs of other settings; choose another folder.")
    known.write_text(json.dumps({"mark": mark, **settings}, indent=1) + "\n", encoding="utf-8")
