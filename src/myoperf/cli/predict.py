"""``myoperf predict``: a trained model applied to new cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myoperf.cli.app import Out, app
from myoperf.cli.console import destination, one_of

if TYPE_CHECKING:
    from myoperf.research.screenshots.colour_scales import Anchors

Order = Annotated[
    str | None,
    typer.Option(metavar="hla-vla|vla-hla", help="Order of the long axes on report pages, where it is not recognised."),
]
ColourScale = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Colour scale of the pages: a known one, or lines red,green,blue."),
]


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", hidden=True)],
    table: Annotated[Path, typer.Argument(metavar="TABLE", hidden=True)],
    out: Out = Path("myoperf-predictions"),
    order: Order = None,
    colour_scale: ColourScale = None,
) -> None:
    """Apply a trained model to new cases.

    MODEL is a folder that ``myoperf train slices`` wrote (model.safetensors, card.json). TABLE is CSV with the columns
    patient, picture (a report page, path relative to the table) and, if known, label (0 or 1). Writes predictions.csv,
    which ``myoperf evaluate`` reads, and refused.csv.
    """
    from myoperf.files import whole_folder
    from myoperf.research.slice_transformer.prediction import predict_pages
    from myoperf.research.training.case_table import read_case_table

    with destination(out):
        cases = read_case_table(table, labelled=False)
        predictions, refused = predict_pages(
            model, cases, order=read_order(order), scale=read_colour_scale(colour_scale)
        )
        with whole_folder(out) as folder:
            predictions.to_csv(folder / "predictions.csv", index=False)
            refused.to_csv(folder / "refused.csv", index=False)
    if len(refused):
        typer.echo(f"note: {len(refused)} pages could not be read; refused.csv says why.", err=True)
    typer.echo(str(out / "predictions.csv"))


def read_order(order: str | None) -> tuple[str, str] | None:
    """Return the order of the long axes that an option names."""
    if order is None:
        return None
    first, second = one_of("--order", order, ("hla-vla", "vla-hla")).split("-")
    return first, second


def read_colour_scale(name: str | None) -> Anchors | None:
    """Return the colour scale that an option names."""
    from myoperf.research.screenshots.colour_scales import read_scale

    return None if name is None else read_scale(name)
