"""``myoperf train``: the recipes behind the models."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from myoperf.cli.app import Quiet, app
from myoperf.cli.console import check_new, one_of
from myoperf.errors import InputError

RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "lv": "myoperf.research.lv_network.recipe",
        "polar": "myoperf.research.polar_classifier.recipe",
        "slices": "myoperf.research.slice_transformer.recipe",
        "unimiss": "myoperf.research.slice_transformer.unimiss.recipe",
    }
)
"""Module with the ``run(scale, out, seed, *, data, resume, quiet)`` of each recipe."""
SCALES = ("smoke", "small", "full")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", hidden=True)],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder for weights, card and log.")
    ] = Path("myoperf-training"),
    scale: Annotated[str, typer.Option(metavar="|".join(SCALES), help="Size of the training.")] = "small",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of patients, weights and augmentation.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|TABLE",
            help="Real data; what it holds depends on the recipe. For slices: the public SPECT-MPI set's folder, or "
            "a CSV table patient,picture,label of report pages (optional: split).",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For slices: UniMiSS checkpoint (the authors' or your own) to start from."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint in the folder.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a model by its recipe; write weights and a card.

    RECIPE is lv (the network that finds the left ventricle), polar (the classifier of polar maps), slices (the
    multi-branch transformer) or unimiss (its pre-training).
    """
    recipe, scale = one_of("The recipe", recipe, tuple(RECIPES)), one_of("--scale", scale, SCALES)
    module = RECIPES[recipe]
    if data is not None and not data.exists():
        raise InputError("The path of --data does not exist.")
    if weights is not None and recipe != "slices":
        raise InputError(f"--weights is for the recipe slices; got {recipe}.")
    if not resume:
        check_new(out, advice="choose another with -o, or --resume")
    start = {} if weights is None else {"weights": weights}
    import_module(module).run(scale, out, seed, data=data, resume=resume, quiet=quiet, **start)
    typer.echo(str(out))
