"""``myoperf predict``: a paper's trained model applied to new cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myoperf.cli.app import Device, Out, app
from myoperf.cli.console import destination
from myoperf.cli.train import ColourScale, Order, read_colour_scale, read_order
from myoperf.errors import InputError

if TYPE_CHECKING:
    from myoperf.research.screenshots.colour_scales import Anchors
    from myoperf.research.training.predictions import Predicted


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", hidden=True)],
    table: Annotated[Path, typer.Argument(metavar="TABLE", hidden=True)],
    out: Out = Path("myoperf-predictions"),
    order: Order = None,
    colour_scale: ColourScale = None,
    device: Device = "auto",
) -> None:
    """Apply a trained model to new cases.

    MODEL is a folder that ``myoperf train reorientation``, ``transfer``, ``label-strategies`` or ``slices`` wrote
    (model.safetensors, card.json). TABLE is the table of the training, in which labels, masks and poses may be
    unknown. Writes predictions.csv, which ``myoperf evaluate`` reads (known.csv where some labels are unknown;
    reorientation: masks, poses.csv and, where the table has masks, scores.csv), and refused.csv.
    """
    from myoperf.files import whole_folder

    if not table.exists():
        raise InputError("The path of TABLE does not exist.")
    with destination(out):
        predicted = _apply(model, table, order=read_order(order), scale=read_colour_scale(colour_scale), device=device)
        with whole_folder(out) as folder:
            predicted.write(folder)
    if len(predicted.refused):
        typer.echo(f"note: {len(predicted.refused)} cases could not be read; refused.csv says why.", err=True)
    if predicted.predictions is not None and 0 < predicted.unknown < len(predicted.predictions):
        typer.echo(f"note: the truth of {predicted.unknown} rows is not known; known.csv has the others.", err=True)
    typer.echo(str(out if predicted.predictions is None else out / "predictions.csv"))


def _apply(model: Path, table: Path, *, order: tuple[str, str] | None, scale: Anchors | None, device: str) -> Predicted:
    """Apply a model by the name on its card; each topic is loaded only where it is needed."""
    from myoperf.pipeline.device import resolve_device
    from myoperf.research.training.weights import read_model

    name, chosen = read_model(model)[1]["name"], resolve_device(device).type
    if name != "multi-branch-mit" and order:
        raise InputError("--order is for models of train slices.")
    if name == "ms-st-unet" and scale:
        raise InputError("--colour-scale is for models that read pictures; those of train reorientation read volumes.")
    if name == "multi-branch-mit":
        from myoperf.research.slice_transformer.prediction import predict_pages

        return predict_pages(model, table, order=order, scale=scale, device=chosen)
    if name == "two-stage":
        from myoperf.research.transfer_learning.prediction import predict_maps

        return predict_maps(model, table, scale=scale, device=chosen)
    if name == "label-strategies":
        from myoperf.research.label_strategies.prediction import predict_patients

        return predict_patients(model, table, scale=scale, device=chosen)
    if name == "ms-st-unet":
        from myoperf.research.reorientation.prediction import predict_volumes

        return predict_volumes(model, table, device=chosen)
    raise InputError(
        f"{model.name} is a model named {name}; predict applies those of reorientation, transfer, "
        "label-strategies and slices."
    )
