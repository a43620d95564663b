"""``myoperf study``: the papers' experiments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import typer

from myoperf.errors import InputError, OutputExistsError

__all__ = ["STUDIES", "list_backbones", "run_study"]

STUDIES: Mapping[str, str] = MappingProxyType(
    {
        "two-stage": "myoperf.research.transfer_learning.study",
        "label-strategies": "myoperf.research.label_strategies.study",
        "ms-st-unet": "myoperf.research.reorientation.study",
        "multi-branch-mit": "myoperf.research.slice_transformer.study",
    }
)
"""Where the ``run(scale, out, seed)`` of each study stands."""

_GOES_ON = ("label-strategies", "ms-st-unet", "two-stage", "multi-branch-mit")
"""Studies that go on from a folder of their own and refuse one of other settings."""

_SCALES = ("smoke", "small", "full")


_OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"two-stage": ("weights", "choose_on", "data"), "multi-branch-mit": ("weights",)}
)
"""What only some studies take."""


def run_study(name: str, out: Path, *, scale: str, seed: int, **options: str | None) -> None:
    """Run one experiment into a new folder; `options` that are None are left out."""
    if scale not in _SCALES:
        raise InputError(f"--scale is {', '.join(_SCALES)}; got {scale}.")
    goes_on = name in _GOES_ON and (out / "jobs" / "settings.json").is_file()
    if out.exists() and not goes_on and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out.name} exists and is not an empty folder; give another with -o.")
    if name not in STUDIES:
        raise InputError(f"The study is one of {', '.join(STUDIES)}; got {name}.")
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    strange = set(given) - set(_OPTIONS.get(name, ()))
    if strange:
        raise InputError(f"--{min(strange).replace('_', '-')} is not for {name}.")
    if name == "multi-branch-mit" and "weights" in given:
        given["weights"] = Path(given["weights"])
    import_module(STUDIES[name]).run(scale, out, seed, **given)
    typer.echo(str(out))


def list_backbones(name: str, *, as_json: bool) -> None:
    """List two-stage's backbones with their parameter counts."""
    if name != "two-stage":
        raise InputError(f"--list is for two-stage; got {name}.")
    from myoperf.research.transfer_learning.study import list_backbones as rows_of

    rows = rows_of()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        typer.echo("  ".join(f"{key}={value}" for key, value in row.items()))
