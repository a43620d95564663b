"""The application that every command registers with, and the options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="myoperf",
    help="Myocardial perfusion SPECT and PET: from the camera's files to the report. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # plain help: quick, and readable in any terminal and encoding
    context_settings={"max_content_width": 100},
)

Out = Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder for the results; new or empty.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")]
Seed = Annotated[
    int, typer.Option(min=0, metavar="N", help="Seed of all random numbers: the same seed gives the same result.")
]
