"""``myoperf reconstruct``: raw projections in, a NIfTI volume out."""

from __future__ import annotations

from pathlib import Path

import typer

from myoperf.cli.console import stages
from myoperf.errors import InputError, OutputExistsError
from myoperf.io import read_nifti, read_studies, write_nifti
from myoperf.recon import GE_LEHR, SIEMENS_LEHR, CollimatorResponse, ReconOptions, reconstruct
from myoperf.types import Projections

__all__ = ["reconstruct_file"]

_RESPONSES = {"ge-lehr": GE_LEHR, "siemens-lehr": SIEMENS_LEHR}


def reconstruct_file(
    file: Path,
    out: Path,
    *,
    iterations: int,
    subsets: int,
    cutoff: float,
    order: int,
    psf: str | None = None,
    attenuation: Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> None:
    """Reconstruct one file of raw projections."""
    if not out.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"The output must end in .nii.gz or .nii; got {out.name}.")
    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out.name} exists; give another name or --overwrite.")
    with stages(quiet=quiet) as progress:
        study = read_studies([file]).studies[0]
        image = study.scans[0].image
        if not isinstance(image, Projections):
            raise InputError(f"{file.name} is already reconstructed; give raw projections (NM TOMO).")
        progress("reconstruction")
        options = ReconOptions(
            iterations=iterations,
            subsets=subsets,
            post_filter=cutoff > 0,
            butterworth_cutoff=cutoff or 0.5,
            butterworth_order=order,
            psf=_response(psf),
        )
        density = read_nifti(attenuation) if attenuation else None
        volume = reconstruct(image, options, attenuation=density).volume
        out.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(out, volume)
    typer.echo(str(out))


def _response(name: str | None) -> CollimatorResponse | None:
    """Look a collimator up by the name of ``--psf``."""
    if name is None:
        return None
    if name not in _RESPONSES:
        raise InputError(f"--psf is one of {', '.join(_RESPONSES)}; got {name}.")
    return _RESPONSES[name]
