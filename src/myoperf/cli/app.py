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
Formats = Annotated[
    str,
    typer.Option(
        metavar="FORMAT,...",
        help="What to write for each study, separated by commas: html, pdf, json, nifti, polar, dicom, "
        "seg-gated (dicom with a segmentation of each gate), fhir; all: all of these but seg-gated and fhir.",
    ),
]
GivenState = Annotated[
    str | None, typer.Option(metavar="stress|rest", help="State of the scan, if its file does not state it.")
]
Series = Annotated[
    list[str] | None,
    typer.Option(metavar="NUMBER|UID", help="Only this series, by its number or Series Instance UID; may be repeated."),
]
Limits = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Your own normal limits (from myoperf normals build) instead of the shipped ones."
    ),
]
Territories = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE",
        help="Segments of each artery: default, segment-16-lad, left-dominant or a JSON file.",
    ),
]
Finder = Annotated[str, typer.Option(metavar="network|classical", help="Method that locates the left ventricle.")]
NetworkEngine = Annotated[
    str,
    typer.Option(
        metavar="auto|compiled|float32|bfloat16|openvino|openvino-bfloat16",
        help="How the network is run; auto: float32 on a GPU, otherwise compiled (PyTorch is not loaded).",
    ),
]
Device = Annotated[
    str,
    typer.Option(metavar="auto|cpu|cuda", help="What the networks run on; auto: a CUDA GPU if there is one."),
]
Diagnosis = Annotated[
    bool, typer.Option(help="Report the classifier's probabilities of disease (trained on simulated patients).")
]
