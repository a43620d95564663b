"""``myoperf reconstruct``: raw projections in, a NIfTI volume out."""

from pathlib import Path
from typing import Annotated

import typer

from myoperf.cli.app import Overwrite, Quiet, app
from myoperf.cli.console import destination, one_of, stages
from myoperf.errors import InputError, OutputExistsError


@app.command()
def reconstruct(
    file: Annotated[Path, typer.Argument(metavar="FILE", hidden=True)],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="NIfTI file to write (.nii.gz or .nii).")],
    iterations: Annotated[int, typer.Option(min=1, metavar="N", help="Iterations of OSEM.")] = 4,
    subsets: Annotated[int, typer.Option(min=1, metavar="N", help="Subsets of OSEM.")] = 4,
    cutoff: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Cut-off of the Butterworth filter as a share of the Nyquist frequency; 0: no filter."
        ),
    ] = 0.5,
    order: Annotated[int, typer.Option(min=1, metavar="N", help="Order of the Butterworth filter.")] = 5,
    psf: Annotated[
        str | None,
        typer.Option(
            metavar="ge-lehr|siemens-lehr", help="Collimator whose response is corrected for; by default none."
        ),
    ] = None,
    attenuation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Attenuation map: NIfTI in 1/cm, in the space of the projections."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Reconstruct raw projections to a transaxial volume.

    FILE holds the projections (NM DICOM, TOMO or GATED TOMO). Gates are kept.
    """
    from myoperf import recon
    from myoperf.files import whole_file
    from myoperf.io import read_nifti, read_studies, write_nifti
    from myoperf.types import Projections

    responses = {"ge-lehr": recon.GE_LEHR, "siemens-lehr": recon.SIEMENS_LEHR}
    if not out.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"The output must end in .nii.gz or .nii; got {out.name}.")
    options = recon.ReconOptions(
        iterations=iterations,
        subsets=subsets,
        post_filter=cutoff > 0,
        butterworth_cutoff=cutoff or 0.5,
        butterworth_order=order,
        psf=None if psf is None else responses[one_of("--psf", psf, tuple(responses))],
    )
    with destination(out, lambda: _check_free(out, overwrite=overwrite)), stages(quiet=quiet) as announce:
        announce("reading")
        image = read_studies([file]).studies[0].scans[0].image
        if not isinstance(image, Projections):
            raise InputError(f"{file.name} is already reconstructed; choose raw projections (NM TOMO).")
        announce("reconstruction")
        density = read_nifti(attenuation) if attenuation else None
        volume = recon.reconstruct(image, options, attenuation=density).volume
        with whole_file(out, overwrite=overwrite) as partial:
            write_nifti(partial, volume)
    typer.echo(str(out))


def _check_free(out: Path, *, overwrite: bool) -> None:
    """Raise unless a file may be written to `out`."""
    if out.is_dir():
        raise OutputExistsError(f"{out.name} is a folder; choose the name of a file.")
    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out.name} exists; choose another name, or --overwrite.")
