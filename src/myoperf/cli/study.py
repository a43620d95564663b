"""``myoperf study``: the papers' experiments."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from myoperf.cli.app import Device, Quiet, app
from myoperf.cli.console import check_new, one_of
from myoperf.cli.train import (
    SCALES,
    AsWritten,
    ColourScale,
    Epochs,
    Inputs,
    KeepColours,
    Networks,
    Order,
    Positions,
    Strategies,
    check_data,
    given_of,
    given_options,
    refuse_strange,
    run_options,
)
from myoperf.errors import InputError

STUDIES: Mapping[str, str] = MappingProxyType(
    {
        "two-stage": "myoperf.research.transfer_learning.study",
        "label-strategies": "myoperf.research.label_strategies.study",
        "ms-st-unet": "myoperf.research.reorientation.study",
        "multi-branch-mit": "myoperf.research.slice_transformer.study",
        "reader": "myoperf.research.label_strategies.reader_study",
    }
)
"""Module with the ``run(scale, out, seed, *, options)`` of each study."""

_OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "two-stage": (
            "weights",
            "choose_on",
            "networks",
            "strategies",
            "keep_colours",
            "colour_scale",
            "epochs",
            "device",
        ),
        "label-strategies": ("workers", "networks", "strategies", "inputs", "colour_scale", "epochs", "device"),
        "ms-st-unet": ("networks", "inputs", "as_written", "own_training", "epochs", "device"),
        "multi-branch-mit": (
            *("weights", "baseline_weights", "positions", "order", "colour_scale"),
            *("networks", "epochs", "device"),
        ),
        "reader": (),
    }
)
"""Options that only some studies take."""
_OWN_OPTIONS = ("choose_on", "workers", "own_training")
"""Options that `train` does not have: each is an argument of the study that takes it."""

Weights = Annotated[
    str | None,
    typer.Option(
        metavar="none|imagenet|PATH",
        help="For multi-branch-mit: a UniMiSS checkpoint. For two-stage: none, imagenet or a folder of NETWORK.h5.",
    ),
]
BaselineWeights = Annotated[
    str | None,
    typer.Option(
        metavar="none|imagenet|FOLDER",
        help="For multi-branch-mit: what the convolutional networks start from; a folder holds NETWORK.h5.",
    ),
]
ChooseOn = Annotated[
    str | None,
    typer.Option(
        metavar="validation|test", help="For two-stage: patients on which the epoch is chosen; the paper used test."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="For label-strategies: networks trained at the same time, one thread each."),
]
OwnTraining = Annotated[
    bool,
    typer.Option(
        "--own-training",
        help="For ms-st-unet: nnU-Net and V-Net trained as their authors do, not like the other networks.",
    ),
]


@app.command()
def study(
    name: Annotated[str, typer.Argument(metavar="NAME", hidden=True)],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder for the tables; new or empty, or --resume.")
    ] = Path("myoperf-study"),
    scale: Annotated[str, typer.Option(metavar="|".join(SCALES), help="Size of the study.")] = "smoke",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same patients.")] = 0,
    list_: Annotated[bool, typer.Option("--list", help="For two-stage: list the backbones and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: as JSON.")] = False,
    weights: Weights = None,
    baseline_weights: BaselineWeights = None,
    positions: Positions = None,
    order: Order = None,
    colour_scale: ColourScale = None,
    choose_on: ChooseOn = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|TABLE",
            help="Your own patients instead of simulated ones: the table of myoperf train; for two-stage, also a "
            "folder of pictures.",
        ),
    ] = None,
    networks: Networks = None,
    strategies: Strategies = None,
    inputs: Inputs = None,
    keep_colours: KeepColours = False,
    epochs: Epochs = None,
    device: Device = "auto",
    workers: Workers = None,
    as_written: AsWritten = False,
    own_training: OwnTraining = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted study in the folder.")] = False,
    quiet: Quiet = False,
) -> None:
    """Run a paper's experiment; write its tables.

    NAME is two-stage (Hai et al. 2022), label-strategies (Hajianfar et al. 2025), reader (its reader study),
    ms-st-unet (Ni et al. 2023) or multi-branch-mit (Zhao et al.). The patients are simulated, unless --data gives
    your own. Tables are CSV and Markdown.
    """
    parameters = locals()
    if list_:
        _list_backbones(name, as_json=as_json)
        return
    scale, name = one_of("--scale", scale, SCALES), one_of("The study", name, tuple(STUDIES))
    given, own = given_options(parameters), given_of(parameters, _OWN_OPTIONS)
    if choose_on is not None:
        own["choose_on"] = _choice(choose_on)
    refuse_strange(name, (*own, *given), _OPTIONS[name])
    check_data(data)
    _check_folder(out, resume=resume)
    options = run_options(given, data=data, resume=resume, quiet=quiet)
    import_module(STUDIES[name]).run(scale, out, seed, options=options, **own)
    typer.echo(str(out))


def _check_folder(out: Path, *, resume: bool) -> None:
    """Raise unless the folder is free, or holds an interrupted study and the user wants to continue it."""
    begun = (out / "jobs" / "settings.json").is_file()
    if not (begun and resume):
        check_new(out, advice="choose another with -o" + (", or --resume" if begun else ""))


def _choice(word: str) -> str:
    """Return what the study calls the way to choose the epoch."""
    if word == "test as in the paper":
        return word
    chosen = one_of("--choose-on", word, ("validation", "test"))
    return "test as in the paper" if chosen == "test" else "validation"


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
