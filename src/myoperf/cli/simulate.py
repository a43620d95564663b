"""``myoperf simulate``: a cohort whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myoperf.cli.app import Quiet, app
from myoperf.cli.console import counting, destination, one_of
from myoperf.errors import InputError

if TYPE_CHECKING:
    from myoperf.phantom.records import PopulationOptions


KINDS = ("dicom", "nifti", "arrays")
MODALITIES = ("spect", "czt", "pet")
TRACERS = ("Tc-99m", "Tl-201", "N-13", "Rb-82")
POSITIONS = ("supine", "prone")
DOSES = ("full", "half", "quarter")

CohortFolder = Annotated[
    Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder for the cohort; new or empty.")
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same bytes.")]
WrittenAs = Annotated[
    str,
    typer.Option(
        "--as", metavar="|".join(KINDS), help="What to write: DICOM files, NIfTI volumes, or NumPy arrays for training."
    ),
]
Modality = Annotated[
    str, typer.Option(metavar="|".join(MODALITIES), help="spect: raw views; czt and pet: reconstructed volumes.")
]
Tracer = Annotated[
    str | None,
    typer.Option(metavar="|".join(TRACERS), help="Tracer; Tc-99m or, as raw views, Tl-201 for SPECT, others for PET."),
]
Fast = Annotated[bool, typer.Option("--fast", help="SPECT volumes by the fast model, without raw views.")]
Reconstructed = Annotated[
    bool,
    typer.Option("--reconstructed", help="With raw views: add the reconstruction, as NM DICOM and NIfTI."),
]
AttenuationMap = Annotated[
    bool, typer.Option("--attenuation-map", help="With raw views: add the attenuation map, as NIfTI in 1/cm.")
]
Ct = Annotated[
    bool, typer.Option("--ct", help="With raw views: add a CT of each state, as DICOM, with noise and the couch.")
]
Misregistration = Annotated[
    float,
    typer.Option(
        min=0, metavar="MM", help="Standard deviation of the displacement of the attenuation map or CT, in mm."
    ),
]
BreathMismatch = Annotated[
    float,
    typer.Option(min=0, metavar="MM", help="Standard deviation of the height of diaphragm and heart in the CT, in mm."),
]
ArmsDown = Annotated[
    bool, typer.Option("--arms-down", help="Arms lie beside the trunk: they attenuate, and the CT cuts them off.")
]
ScatterWindows = Annotated[
    bool, typer.Option("--scatter-windows", help="Add the two energy windows on either side of the photopeak.")
]
PatientPosition = Annotated[
    str,
    typer.Option("--position", metavar="|".join(POSITIONS), help="How patients lie; prone with raw SPECT views only."),
]
NormalOnly = Annotated[bool, typer.Option("--normal", help="Only patients without coronary disease.")]
Male = Annotated[float, typer.Option(min=0, max=1, metavar="SHARE", help="Share of men.")]
Gates = Annotated[int, typer.Option(min=1, metavar="N", help="Gates of raw studies, such as 8 or 16; 1: not gated.")]
Views = Annotated[int, typer.Option(min=8, metavar="N", help="Number of views.")]
Arc = Annotated[int, typer.Option(metavar="180|360", help="Arc covered by the views, in degrees.")]
Pixel = Annotated[
    float, typer.Option(min=2, max=12, metavar="MM", help="Pixel size of the views, in mm (64 x 64 pixels).")
]
Dose = Annotated[
    str, typer.Option(metavar="|".join(DOSES), help="Counts of a clinical scan, or half or a quarter of them.")
]
Prevalence = Annotated[
    str | None,
    typer.Option(
        metavar="LAD,LCX,RCA,PATIENT",
        help="Shares with obstructive disease of each artery and of any; by default, as in angiography cohorts.",
    ),
]
Workers = Annotated[int, typer.Option(min=1, metavar="N", help="Number of processes.")]


@app.command()
def simulate(
    n: Annotated[int, typer.Argument(min=1, metavar="N", hidden=True)],
    out: CohortFolder,
    seed: Seed = 0,
    as_: WrittenAs = "dicom",
    modality: Modality = "spect",
    tracer: Tracer = None,
    fast: Fast = False,
    reconstructed: Reconstructed = False,
    attenuation_map: AttenuationMap = False,
    ct: Ct = False,
    misregistration: Misregistration = 0.0,
    breath_mismatch: BreathMismatch = 0.0,
    arms_down: ArmsDown = False,
    scatter_windows: ScatterWindows = False,
    position: PatientPosition = "supine",
    normal: NormalOnly = False,
    male: Male = 0.75,
    gates: Gates = 8,
    views: Views = 60,
    arc: Arc = 180,
    pixel: Pixel = 6.6,
    dose: Dose = "full",
    prevalence: Prevalence = None,
    workers: Workers = 1,
    quiet: Quiet = False,
) -> None:
    """Simulate N patients whose truth is known.

    Writes each patient's images and truth, and a table of all (cohort.csv).
    """
    from myoperf.phantom.acquire import Protocol
    from myoperf.phantom.cohort import simulate_cohort
    from myoperf.phantom.cohort_scans import CohortOptions
    from myoperf.phantom.records import PopulationOptions

    usual = "N-13" if modality == "pet" else "Tc-99m"
    population = PopulationOptions(normal=normal, male=male, tracer=one_of("--tracer", tracer or usual, TRACERS))
    options = CohortOptions(
        as_=one_of("--as", as_, KINDS),
        modality=one_of("--modality", modality, MODALITIES),
        fast=fast,
        reconstructed=reconstructed,
        attenuation_map=attenuation_map,
        misregistration_mm=misregistration,
        ct=ct,
        breath_mismatch_mm=breath_mismatch,
        population=_with_prevalence(population, prevalence),
        protocol=Protocol(
            gates=gates,
            views=views,
            arc_deg=one_of("--arc", arc, (180, 360)),
            pixel_mm=pixel,
            dose=one_of("--dose", dose, DOSES),
            arms_down=arms_down,
            scatter_windows=scatter_windows,
            couch=position == "prone",
            position=one_of("--position", position, POSITIONS),
        ),
    )
    with destination(out), counting("simulating", quiet=quiet, total=n) as progress:
        table = simulate_cohort(n, out, seed=seed, options=options, workers=workers, progress=progress)
    typer.echo(str(table))


def _with_prevalence(population: PopulationOptions, shares: str | None) -> PopulationOptions:
    """Read ``--prevalence``: the shares of patients with disease of LAD, LCX, RCA and of any vessel."""
    if shares is None:
        return population
    try:
        lad, lcx, rca, anyone = (float(part) for part in shares.split(","))
    except ValueError:
        raise InputError("--prevalence needs four shares, 'LAD,LCX,RCA,patient', e.g. 0.25,0.2,0.17,0.43.") from None
    return replace(population, prevalence={"LAD": lad, "LCX": lcx, "RCA": rca}, patient_prevalence=anyone)
