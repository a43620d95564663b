"""``myoperf train``: the recipes behind the models."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict, cast

import typer

from myoperf.cli.app import Device, Quiet, app
from myoperf.cli.console import check_new, one_of
from myoperf.errors import InputError

if TYPE_CHECKING:
    from myoperf.research.screenshots.colour_scales import Anchors
    from myoperf.research.training.options import RunOptions

RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "lv": "myoperf.research.lv_network.recipe",
        "polar": "myoperf.research.polar_classifier.recipe",
        "unimiss": "myoperf.research.slice_transformer.unimiss.recipe",
        "reorientation": "myoperf.research.reorientation.recipe",
        "transfer": "myoperf.research.transfer_learning.recipe",
        "label-strategies": "myoperf.research.label_strategies.recipe",
        "slices": "myoperf.research.slice_transformer.recipe",
    }
)
"""Module with the ``run`` of each recipe: of the shipped networks ``run(scale, out, seed, *, data, resume, quiet)``, of
the papers' models ``run(scale, out, seed, *, options)``."""
OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "reorientation": ("device", "networks", "as_written", "epochs"),
        "transfer": ("device", "networks", "strategies", "epochs", "weights", "keep_colours", "colour_scale"),
        "label-strategies": ("device", "networks", "strategies", "inputs", "epochs", "colour_scale"),
        "slices": ("device", "networks", "epochs", "weights", "positions", "order", "colour_scale"),
        "unimiss": ("device", "epochs"),
    }
)
"""Which of the shared options each recipe of a paper takes, besides data and resume."""
SCALES = ("smoke", "small", "full")

Networks = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...", help="Only these networks, separated by commas (names: see the model's page in docs)."
    ),
]
Strategies = Annotated[str | None, typer.Option(metavar="NAME,...", help="Only these strategies of the paper.")]
Inputs = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="For label-strategies: only these of rest, stress, early, late. For ms-st-unet: only spect or pet.",
    ),
]
KeepColours = Annotated[
    bool,
    typer.Option(
        "--keep-colours",
        help="For Hai et al.: networks see the pictures' colours, as in the paper, instead of counts.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Epochs of every phase (reorientation, ms-st-unet: iterations), instead of the scale's.",
    ),
]


Positions = Annotated[
    str | None,
    typer.Option(
        metavar="grid|flat",
        help="For slices and multi-branch-mit: resize the positions of --weights along each axis, or as one flat "
        "list, as UniMiSS's authors do.",
    ),
]
AsWritten = Annotated[
    bool,
    typer.Option(
        "--as-written",
        help="For reorientation and ms-st-unet: the paper's field of view and ten poses per volume, without "
        "stabilisation.",
    ),
]
Order = Annotated[
    str | None,
    typer.Option(
        metavar="hla-vla|vla-hla",
        help="For slices and multi-branch-mit: order of the long axes on report pages, if it is not recognised.",
    ),
]
ColourScale = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Colour scale of your report pages or screens, if it is not recognised: its name, or a file of lines "
        "red,green,blue.",
    ),
]


class GivenOptions(TypedDict, total=False):
    """Options of `train` and ``study`` that only some recipes and studies take, as far as the user gave them."""

    networks: str
    strategies: str
    inputs: str
    epochs: int
    weights: str
    baseline_weights: str
    positions: str
    order: str
    colour_scale: str
    keep_colours: bool
    as_written: bool
    device: str


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
            help="Your own patients: a CSV table with one row each, whose columns depend on the recipe (see its "
            "page in docs). For slices, also the folder of the public SPECT-MPI set; for transfer, also a folder of "
            "pictures for each class.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="none|imagenet|PATH",
            help="What training starts from. For slices: a UniMiSS checkpoint. For transfer: none, imagenet or a "
            "folder of NETWORK.h5.",
        ),
    ] = None,
    positions: Positions = None,
    order: Order = None,
    colour_scale: ColourScale = None,
    networks: Networks = None,
    strategies: Strategies = None,
    inputs: Inputs = None,
    keep_colours: KeepColours = False,
    as_written: AsWritten = False,
    epochs: Epochs = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted training in the folder.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a model by its recipe; write weights and a card.

    RECIPE is lv (the network that finds the left ventricle), polar (the classifier of polar maps), or one of the
    papers' models: reorientation (Ni et al.), transfer (Hai et al.), label-strategies (Hajianfar et al.), slices (Zhao
    et al.) or unimiss (its pre-training). myoperf predict applies a paper's model to other patients.
    """
    given = given_options(locals())
    recipe, scale = one_of("The recipe", recipe, tuple(RECIPES)), one_of("--scale", scale, SCALES)
    refuse_strange(recipe, given, OPTIONS.get(recipe, ()))
    check_data(data)
    if not resume:
        check_new(out, advice="choose another with -o, or --resume")
    module = import_module(RECIPES[recipe])
    if recipe in OPTIONS:
        options = run_options(given, data=data, resume=resume, quiet=quiet)
        module.run(scale, out, seed, options=options)
    else:
        module.run(scale, out, seed, data=data, resume=resume, quiet=quiet)
    typer.echo(str(out))


def given_options(parameters: Mapping[str, object]) -> GivenOptions:
    """Return which `GivenOptions` are among a command's parameters, by name, leaving out those that were not given."""
    return cast("GivenOptions", given_of(parameters, GivenOptions.__annotations__))


def given_of(parameters: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """Return the named parameters of a command that the user gave: those that differ from their defaults."""
    return {name: parameters[name] for name in names if parameters.get(name) not in (None, False, "auto")}


def run_options(given: GivenOptions, *, data: Path | None, resume: bool, quiet: bool) -> "RunOptions":
    """Return the choices of a run as the recipes and studies of the papers take them."""
    from myoperf.research.training.options import RunOptions

    positions: Literal["grid", "flat"] = "grid"
    if "positions" in given and one_of("--positions", given["positions"], ("grid", "flat")) == "flat":
        positions = "flat"
    return RunOptions(
        data=data,
        device=given.get("device", "auto"),
        networks=split_names(given.get("networks")),
        strategies=split_names(given.get("strategies")),
        inputs=split_names(given.get("inputs")),
        epochs=given.get("epochs"),
        weights=given.get("weights"),
        baseline_weights=given.get("baseline_weights"),
        positions=positions,
        order=read_order(given.get("order")),
        colour_scale=read_colour_scale(given.get("colour_scale")),
        colours=given.get("keep_colours", False),
        as_written=given.get("as_written", False),
        resume=resume,
        quiet=quiet,
    )


def read_order(order: str | None) -> tuple[str, str] | None:
    """Return the order of the long axes that an option names."""
    if order is None:
        return None
    first, second = one_of("--order", order, ("hla-vla", "vla-hla")).split("-")
    return first, second


def read_colour_scale(name: str | None) -> "Anchors | None":
    """Return the colour scale that an option names."""
    from myoperf.research.screenshots.colour_scales import read_scale

    return None if name is None else read_scale(name)


def check_data(path: Path | None) -> None:
    """Raise InputError where the path of ``--data`` is given and does not exist."""
    if path is not None and not path.exists():
        raise InputError("The path of --data does not exist.")


def split_names(text: str | None) -> tuple[str, ...]:
    """Return the names that an option lists."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def refuse_strange(name: str, given: Iterable[str], allowed: tuple[str, ...]) -> None:
    """Raise InputError for an option that is given but not for this recipe or study."""
    strange = set(given) - set(allowed)
    if strange:
        raise InputError(f"--{min(strange).replace('_', '-')} is not for {name}.")
