"""``myoperf``: what each command takes and which module does its work.

Only typer and rich load here; a command imports what it needs when it runs, so that
``myoperf --help`` answers at once.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from myoperf import __version__
from myoperf.errors import MyoPerfError

__all__ = ["app", "run"]

app = typer.Typer(
    name="myoperf",
    help="Myocardial perfusion SPECT and PET: from the camera's files to the report. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for the results; must be new or empty.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")]


def _version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"myoperf {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Myocardial perfusion SPECT and PET: from the camera's files to the report. Research use only."""


@app.command()
def analyze(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files or folders: NM/PT DICOM, NIfTI.")],
    out: Out = Path("myoperf-report"),
    state: Annotated[Optional[str], typer.Option(help="stress or rest, where the files do not say.")] = None,  # noqa: UP045
    formats: Annotated[str, typer.Option(help="Comma-separated: html,pdf,json,nifti,polar,dicom.")] = "all",
    frame: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The operator's frame in LPS mm: 'apex;base;anterior', each x,y,z."),
    ] = None,
    territories: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE", help="Segments of each artery: default, segment-16-lad, left-dominant, or a JSON file."
        ),
    ] = "default",
    limits: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FOLDER", help="Own normal limits (myoperf normals build), in place of the package's."),
    ] = None,
    lv: Annotated[str, typer.Option(help="What finds the left ventricle: network or classical.")] = "network",
    engine: Annotated[
        str, typer.Option(help="How the network runs: auto, float32, bfloat16, openvino, openvino-bfloat16.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="cpu or cuda, for the networks.")] = "cpu",
    diagnosis: Annotated[
        bool, typer.Option(help="Give the classifier's probabilities of disease (learned from simulated patients).")
    ] = True,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Analyse one patient's study and write the report."""
    from myoperf.cli.analyze import analyze_paths

    analyze_paths(
        paths,
        out,
        state=state,
        formats=formats,
        frame=frame,
        territories=territories,
        limits=limits,
        lv=lv,
        engine=engine,
        device=device,
        diagnosis=diagnosis,
        overwrite=overwrite,
        quiet=quiet,
    )


@app.command()
def demo(
    out: Out = Path("myoperf-demo"),
    seed: Annotated[int, typer.Option(help="Which simulated patient.")] = 11,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Simulate one patient as DICOM, then analyse it; needs no file and no network."""
    from myoperf.cli.demo import run_demo

    run_demo(out, seed=seed, overwrite=overwrite, quiet=quiet)


@app.command()
def reconstruct(
    file: Annotated[Path, typer.Argument(help="Raw projections: NM DICOM.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="NIfTI file to write (.nii.gz).")],
    iterations: Annotated[int, typer.Option(min=1)] = 4,
    subsets: Annotated[int, typer.Option(min=1)] = 4,
    cutoff: Annotated[
        float, typer.Option(help="Butterworth cut-off, as a fraction of Nyquist; 0 for no filter.")
    ] = 0.5,
    order: Annotated[int, typer.Option(min=1, help="Butterworth order.")] = 5,
    psf: Annotated[Optional[str], typer.Option(help="Collimator to model: ge-lehr or siemens-lehr.")] = None,  # noqa: UP045
    attenuation: Annotated[Optional[Path], typer.Option(help="NIfTI map in 1/cm, in the same space.")] = None,  # noqa: UP045
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Reconstruct raw projections to a transaxial volume (gates kept)."""
    from myoperf.cli.reconstruct import reconstruct_file

    reconstruct_file(
        file,
        out,
        iterations=iterations,
        subsets=subsets,
        cutoff=cutoff,
        order=order,
        psf=psf,
        attenuation=attenuation,
        overwrite=overwrite,
        quiet=quiet,
    )


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS.csv", help="patient, truth, one column a model.")],
    out: Out = Path("myoperf-evaluation"),
    threshold: Annotated[float, typer.Option(help="Positive at or above; choose it on other patients.")] = 0.5,
    resamples: Annotated[int, typer.Option(min=10, help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    factors: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="MODELS.csv", help="What each model is made of: model, then a column a factor."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure and compare classifiers: intervals, ROC, DeLong, bootstrap, calibration."""
    from myoperf.cli.evaluate import evaluate_file

    evaluate_file(predictions, out, threshold=threshold, resamples=resamples, seed=seed, factors=factors, quiet=quiet)


@app.command()
def simulate(
    n: Annotated[int, typer.Argument(min=1, help="How many patients.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the cohort; must be new or empty.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    as_: Annotated[str, typer.Option("--as", help="dicom, nifti (volumes) or arrays (for training).")] = "dicom",
    modality: Annotated[str, typer.Option(help="spect (raw views), czt or pet (reconstructed).")] = "spect",
    tracer: Annotated[str, typer.Option(help="Of PET: N-13 or Rb-82.")] = "N-13",
    fast: Annotated[bool, typer.Option("--fast", help="SPECT volumes by the fast model, not views.")] = False,
    reconstructed: Annotated[
        bool, typer.Option("--reconstructed", help="With views: also the reconstruction, NM DICOM and NIfTI.")
    ] = False,
    attenuation_map: Annotated[
        bool, typer.Option("--attenuation-map", help="With views: also the attenuation map, NIfTI in 1/cm.")
    ] = False,
    misregistration: Annotated[float, typer.Option(min=0, help="SD of the map's displacement, mm.")] = 0.0,
    normal: Annotated[bool, typer.Option("--normal", help="Only patients without coronary disease.")] = False,
    male: Annotated[float, typer.Option(min=0, max=1, help="Share of men.")] = 0.75,
    gates: Annotated[int, typer.Option(min=1, help="Gates of the raw studies: 8, 16, 32, or 1 for none.")] = 8,
    views: Annotated[int, typer.Option(min=8, help="Views over the arc.")] = 60,
    arc: Annotated[int, typer.Option(help="Degrees the views cover: 180 or 360.")] = 180,
    pixel: Annotated[float, typer.Option(min=2, max=12, help="Pixels of the views, mm (64 x 64).")] = 6.6,
    dose: Annotated[str, typer.Option(help="full, half or quarter of the clinical counts.")] = "full",
    prevalence: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Shares with obstructive disease, 'LAD,LCX,RCA,patient'; default: an angiography cohort's."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Simulate patients whose truth is known: DICOM, NIfTI or arrays, truth files and a table."""
    from myoperf.cli.simulate import simulate as simulate_patients

    simulate_patients(
        n,
        out,
        seed=seed,
        as_=as_,
        modality=modality,
        tracer=tracer,
        fast=fast,
        reconstructed=reconstructed,
        attenuation_map=attenuation_map,
        misregistration=misregistration,
        normal=normal,
        male=male,
        gates=gates,
        views=views,
        arc=arc,
        pixel=pixel,
        dose=dose,
        prevalence=prevalence,
        workers=workers,
        quiet=quiet,
    )


normals = typer.Typer(help="Normal limits: build from a folder of normal studies, show.", no_args_is_help=True)
app.add_typer(normals, name="normals")


@normals.command("build")
def normals_build(
    folder: Annotated[Path, typer.Argument(help="One sub-folder a patient with a low likelihood of disease.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the limits.")],
    name: Annotated[str, typer.Option(help="What the report calls them.")],
    provenance: Annotated[str, typer.Option(help="Where the studies come from; say simulated when they are.")],
    licence: Annotated[str, typer.Option(help="Terms of the limits.")],
    version: Annotated[str, typer.Option(help="Version of the limits.")] = "1",
    tracer: Annotated[Optional[str], typer.Option(help="Tracer they hold for, e.g. Tc-99m.")] = None,  # noqa: UP045
    camera: Annotated[Optional[str], typer.Option(help="Camera they hold for.")] = None,  # noqa: UP045
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Pool normal polar maps into mean and spread, by sex and state."""
    from myoperf.cli.normals import build

    build(
        folder,
        out,
        name=name,
        version=version,
        tracer=tracer,
        camera=camera,
        provenance=provenance,
        licence=licence,
        workers=workers,
        quiet=quiet,
    )


@normals.command("show")
def normals_show(
    folder: Annotated[Optional[Path], typer.Argument(help="Of limits you built.")] = None,  # noqa: UP045
) -> None:
    """List the limits in the package, or those in a folder."""
    from myoperf.cli.normals import show

    show(folder)


data = typer.Typer(help="Public data sets: list, fetch by name, check by hash.", no_args_is_help=True)
app.add_typer(data, name="data")


@data.command("list")
def data_list() -> None:
    """List the public sets, where they are to be had and their terms."""
    from myoperf.cli.data import show

    show()


@data.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="physionet-mps or spect-mpi.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the set; what is there already is verified.")],
    quiet: Quiet = False,
) -> None:
    """Fetch a public set, each file checked by hash; one that needs an account is verified where you put it."""
    from myoperf.cli.data import fetch

    fetch(name, out, quiet=quiet)


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Whole cards as JSON.")] = False,
) -> None:
    """List the shipped weights and their cards."""
    from myoperf.cli.models import show_models

    show_models(as_json=as_json)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="lv, polar, slices or unimiss.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for weights, card and log.")] = Path(
        "myoperf-training"
    ),
    scale: Annotated[str, typer.Option(help="smoke, small or full.")] = "small",
    seed: Annotated[int, typer.Option(min=0, help="Of patients, weights and augmentation.")] = 0,
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder of real data to learn from too; what it holds depends on the recipe."),
    ] = None,
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Of slices: UniMiSS checkpoint (the authors' or your own) to start from."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's last checkpoint.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a model by its committed recipe; writes weights and a card."""
    from myoperf.cli.train import run_recipe

    run_recipe(recipe, out, scale=scale, seed=seed, data=data, resume=resume, quiet=quiet, weights=weights)


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="two-stage, label-strategies, ms-st-unet or multi-branch-mit.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the tables; must be new or empty.")] = Path(
        "myoperf-study"
    ),
    scale: Annotated[str, typer.Option(help="smoke, small or full.")] = "smoke",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same patients.")] = 0,
    list_: Annotated[bool, typer.Option("--list", help="Of two-stage: list the backbones and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The list as JSON.")] = False,
    weights: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Of multi-branch-mit: UniMiSS checkpoint. Of two-stage: none, imagenet or a folder of NETWORK.h5."
        ),
    ] = None,
    choose_on: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of two-stage, what chooses the epoch: validation, or test as in the paper."),
    ] = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="FOLDER",
            help="Of two-stage: screens (JPEG, PNG) and labels.csv with columns patient, file, label (0 or 1), "
            "and map if not the first of its page.",
        ),
    ] = None,
) -> None:
    """Run a paper's experiment on simulated patients, or two-stage on screens; write its tables as CSV and Markdown."""
    from myoperf.cli.study import list_backbones, run_study

    if list_:
        list_backbones(name, as_json=as_json)
    else:
        run_study(name, out, scale=scale, seed=seed, weights=weights, choose_on=choose_on, data=data)


_DISK = (
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
"""Errors of a disk or a path, not of the program: said in one line."""


def run() -> None:
    """Run the command line; an error MyoPerf foresaw becomes one line and exit code 2."""
    try:
        app()
    except MyoPerfError as error:
        typer.echo(f"myoperf: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        named = f" ({Path(str(error.filename)).name})" if error.filename else ""
        typer.echo(f"myoperf: {error.strerror}{named}; choose files and folders that can be used.", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("myoperf: stopped", err=True)
        sys.exit(130)
