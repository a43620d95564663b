"""``myoperf train``: the recipes behind the models."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

import typer

from myoperf.errors import InputError, OutputExistsError

__all__ = ["RECIPES", "run_recipe"]

RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "lv": "myoperf.research.lv_network.recipe",
        "polar": "myoperf.research.polar_classifier.recipe",
        "slices": "myoperf.research.slice_transformer.recipe",
        "unimiss": "myoperf.research.slice_transformer.unimiss.recipe",
    }
)
"""Where the ``run(scale, out, seed, *, data, resume, quiet)`` of each recipe stands."""

_SCALES = ("smoke", "small", "full")


def run_recipe(
    name: str,
    out: Path,
    *,
    scale: str,
    seed: int,
    data: Path | None,
    resume: bool,
    quiet: bool,
    weights: Path | None = None,
) -> None:
    """Train by one recipe into a folder, new unless it goes on from there; `weights` are for the recipe slices."""
    if name not in RECIPES:
        raise InputError(f"The recipe is one of {', '.join(RECIPES)}; got {name}.")
    if scale not in _SCALES:
        raise InputError(f"--scale is {', '.join(_SCALES)}; got {scale}.")
    if data is not None and not data.exists():
        raise InputError("The path of --data does not exist.")
    if weights is not None and name != "slices":
        raise InputError(f"--weights is for the recipe slices; got {name}.")
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out.name} exists and is not an empty folder; give another with -o, or --resume.")
    start = {} if weights is None else {"weights": weights}
    import_module(RECIPES[name]).run(scale, out, seed, data=data, resume=resume, quiet=quiet, **start)
    typer.echo(str(out))
