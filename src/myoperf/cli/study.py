"""``myoperf study``: the papers' experiments."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from myoperf.cli.app import app
from myoperf.cli.console import check_new, one_of
from myoperf.cli.train import SCALES
from myoperf.errors import InputError

STUDIES: Mapping[str, str] = MappingProxyType(
    {
        "two-stage": "myoperf.research.transfer_learning.study",
        "label-strategies": "myoperf.research.label_strategies.study",
        "ms-st-unet": "myoperf.research.reorientation.study",
        "multi-branch-mit": "myoperf.research.slice_transformer.study",
    }
)
"""Module with the ``run(scale, out, seed)`` of each study."""

_OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "two-stage": ("weights", "choose_on", "data"),
        "multi-branch-mit": ("weights",),
        "label-strategies": ("workers",),
    }
)
"""Options that only some studies take."""


@app.command()
def study(
    name: Annotated[str, typer.Argument(metavar="NAME", hidden=True)],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="Folder for the tables; new or empty, or one where the same study was interrupted.",
        ),
    ] = Path("myoperf-study"),
    scale: Annotated[str, typer.Option(metavar="|".join(SCALES), help="Size of the study.")] = "smoke",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same patients.")] = 0,
    list_: Annotated[bool, typer.Option("--list", help="For two-stage: list the backbones and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: as JSON.")] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="none|imagenet|PATH",
            help="For multi-branch-mit: a UniMiSS checkpoint. For two-stage: none, imagenet or a folder of NETWORK.h5.",
        ),
    ] = None,
    choose_on: Annotated[
        str | None,
        typer.Option(
            metavar="validation|test",
            help="For two-stage: what the epoch is chosen on; test as in the paper.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="For two-stage: screenshots (JPEG, PNG) and labels.csv with columns patient, file, label (0 or 1), "
            "and map where it is not the first map of its page.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="For label-strategies: networks trained at the same time, one thread each."
        ),
    ] = None,
) -> None:
    """Run a paper's experiment; write its tables.

    NAME is two-stage (Hai et al. 2022), label-strategies (Hajianfar et al. 2025), ms-st-unet (Ni et al. 2023) or
    multi-branch-mit (Zhao et al.). The patients are simulated, unless --data gives your own.
    Tables are CSV and Markdown.
    """
    if list_:
        _list_backbones(name, as_json=as_json)
        return
    scale, name = one_of("--scale", scale, SCALES), one_of("The study", name, tuple(STUDIES))
    module = STUDIES[name]
    if not (out / "jobs" / "settings.json").is_file():  # the mark of an interrupted study
        check_new(out)
    options = {"weights": weights, "choose_on": choose_on, "data": data, "workers": workers}
    given: dict[str, Any] = {option: value for option, value in options.items() if value is not None}
    strange = set(given) - set(_OPTIONS.get(name, ()))
    if strange:
        raise InputError(f"--{min(strange).replace('_', '-')} is not for {name}.")
    if name == "multi-branch-mit" and "weights" in given:
        given["weights"] = Path(given["weights"])
    import_module(module).run(scale, out, seed, **given)
    typer.echo(str(out))


def _list_backbones(name: str, *, as_json: bool) -> None:
    """List two-stage's backbones with their parameter counts."""
    if name != "two-stage":
        raise InputError(f"--list is for two-stage; got {name}.")
    from myoperf.research.transfer_learning.study import list_backbones

    rows = list_backbones()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        typer.echo("  ".join(f"{key}={value}" for key, value in row.items()))
