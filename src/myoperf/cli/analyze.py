"""``myoperf analyze``: read, analyse, write; one folder for each study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from myoperf.cli.app import (
    Device,
    Diagnosis,
    Finder,
    Formats,
    GivenState,
    Limits,
    NetworkEngine,
    Out,
    Overwrite,
    Quiet,
    Series,
    Territories,
    app,
)
from myoperf.cli.console import command_line, destination, one_of, stages
from myoperf.cli.dry_run import describe_studies
from myoperf.errors import InputError, describe_error
from myoperf.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from myoperf.pipeline import Models, Options, StageClock
    from myoperf.pipeline.options import Attenuation, Motion
    from myoperf.types import LVFrame, Sex, State, Study


STATES = ("stress", "rest")
MOTIONS = ("auto", "off", "report")

GivenSex = Annotated[str | None, typer.Option(metavar="M|F", help="Sex of the patient, if the files do not state it.")]
Frame = Annotated[
    str | None,
    typer.Option(
        metavar="APEX;BASE;ANTERIOR",
        help="Pose of the left ventricle, used as given: 'x,y,z;x,y,z;x,y,z', in mm towards the patient's left, "
        "back and head (DICOM's axes); ANTERIOR is a direction.",
    ),
]
StressedBy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="What made the heart work, if the files do not state it: exercise, adenosine, regadenoson, dipyridamole "
        "or dobutamine; exercise with a drug: both, separated by a comma.",
    ),
]
PatientMotion = Annotated[
    str,
    typer.Option(
        metavar="auto|off|report",
        help="Patient motion between raw views: correct it if the shifted views agree better with their own "
        "reconstruction, ignore it, or only report it.",
    ),
]
Pretest = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Pre-test probability of obstructive coronary disease (0 to 1), from which the research model's "
        "probabilities start; by default from age and sex.",
    ),
]
AttenuationSource = Annotated[
    str,
    typer.Option(
        metavar="auto|none|FILE",
        help="Attenuation correction of raw SPECT views. auto: with the CT or map that came with the study, as an "
        "additional scan; none: no correction; FILE: with this CT (a folder or zip of its slices) or map (NM DICOM, "
        "or NIfTI in 1/cm).",
    ),
]
Prior = Annotated[
    Path | None,
    typer.Option(
        metavar="RESULTS",
        help="An earlier results.json of the patient; the report shows changes beyond those of repeated scans.",
    ),
]
Stability = Annotated[
    bool,
    typer.Option(
        "--stability", help="Repeat the analysis with other settings to see whether the verdict holds; takes minutes."
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Show what was read, which scans belong together and what would be done; write nothing."
    ),
]


@app.command()
def analyze(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", hidden=True)],
    out: Out = Path("myoperf-report"),
    state: GivenState = None,
    sex: GivenSex = None,
    stressor: StressedBy = None,
    series: Series = None,
    formats: Formats = "all",
    frame: Frame = None,
    territories: Territories = "default",
    limits: Limits = None,
    lv: Finder = "network",
    engine: NetworkEngine = "auto",
    device: Device = "auto",
    diagnosis: Diagnosis = True,
    motion: PatientMotion = "auto",
    pretest: Pretest = None,
    attenuation: AttenuationSource = "auto",
    prior: Prior = None,
    stability: Stability = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Analyse the studies in files and folders; write their reports.

    PATH is a file, a folder or a zip file: DICOM (NM or PT, raw or reconstructed) or NIfTI. Several may be
    given; files of one patient's visit become one study. Each of several studies gets a folder, named after its
    source; a study that fails is named, and the exit code is then 1.
    """
    from myoperf import pipeline
    from myoperf.io import read_studies
    from myoperf.perfusion import preferred_limits, read_limits_folder

    wanted = pipeline.read_formats(formats)
    options = pipeline.Options(
        frame=_frame(frame) if frame else None,
        territories=pipeline.read_territories(territories),
        gate_labels=pipeline.needs_gate_labels(wanted),
        motion=cast("Motion", one_of("--motion", motion, MOTIONS)),
        pretest=pretest,
        prior=None if prior is None else pipeline.read_prior(prior),
        stability=stability,
        attenuation=_attenuation(attenuation),
        command=command_line(),
    )
    own = read_limits_folder(limits) if limits is not None else ()
    with (
        destination(out, lambda: None if overwrite else pipeline.check_free(out, overwrite=False)),
        stages(quiet=quiet) as announce,
    ):
        clock = pipeline.StageClock(announce)
        with clock.stage("read", "reading"):
            read = read_studies(
                paths,
                state=cast("State | None", state and one_of("--state", state, STATES)),
                sex=cast("Sex | None", sex and one_of("--sex", sex, ("M", "F"))),
                series=series or (),
            )
        if stressor is not None:
            read = replace(read, studies=(_stressed_by(stressor, read.studies),))
        for skipped in read.skipped:
            typer.echo(printable(f"skipped {skipped.file}: {skipped.reason}"), err=True)
        folders = [out] if len(read.studies) == 1 else [out / study.name for study in read.studies]
        for folder in folders:
            pipeline.check_free(folder, overwrite=overwrite)
        if not dry_run:
            models = pipeline.load_models(device=device, diagnosis=diagnosis, lv=lv, engine=engine)
            models = replace(models, limits=preferred_limits(own, models.limits))
            jobs = list(zip(read.studies, folders, strict=True))
            work = _analysis(models, options, formats=wanted, overwrite=overwrite, clock=clock)
            folders = [folder for study, folder in jobs if _succeeds(study, folder, work, alone=len(jobs) == 1)]
    if dry_run:
        typer.echo("\n".join(describe_studies(read.studies, folders)))
        return
    for folder in folders:
        typer.echo(str(folder / ("report.html" if "html" in wanted else "results.json")))
    if len(folders) < len(read.studies):
        raise typer.Exit(1)


def _stressed_by(text: str, studies: Sequence[Study]) -> Study:
    """Return the study under the stressors that ``--stressor`` names; one option cannot hold for several studies."""
    from myoperf.io import with_stressors
    from myoperf.types import STRESSORS

    names = [one_of("--stressor", part.strip(), STRESSORS) for part in text.split(",")]
    if len(studies) != 1:
        raise InputError(f"--stressor applies to one study; the files hold {len(studies)}. Analyse them one by one.")
    return with_stressors(studies[0], names)


def _analysis(
    models: Models, options: Options, *, formats: Collection[str], overwrite: bool, clock: StageClock
) -> Callable[[Study, Path], None]:
    """Return the function that analyses a study and writes its folder; the clock's time of reading is the first's."""
    from myoperf import pipeline

    clocks = [clock]

    def work(study: Study, folder: Path) -> None:
        clock = clocks.pop() if clocks else pipeline.StageClock(announce)
        report = pipeline.analyze(study, models, options, clock=clock)
        pipeline.write_report(report, folder, formats=formats, overwrite=overwrite, clock=clock)

    announce = clock.announce
    return work


def _succeeds(study: Study, folder: Path, work: Callable[[Study, Path], None], *, alone: bool) -> bool:
    """Do the work for a study; where it is one of several, an error is named and the rest go on."""
    try:
        work(study, folder)
    except Exception as error:
        if alone:
            raise
        typer.echo(f"failed {printable(folder.name)}: {describe_error(error)}", err=True)
        return False
    return True


def _attenuation(given: str) -> Attenuation:
    """Read ``--attenuation``: auto, none, or the file or folder of a CT or a map."""
    from myoperf.io import find_attenuation

    if given in ("auto", "none"):
        return cast("Attenuation", given)
    return find_attenuation(Path(given))


def _frame(text: str) -> LVFrame:
    """Read ``--frame``: apex, base and anterior, nine numbers."""
    from myoperf.types import LVFrame

    try:
        numbers = [float(part) for part in text.replace(";", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 9:
        raise InputError("--frame needs nine numbers in LPS mm, 'apex;base;anterior', each x,y,z.")
    return LVFrame(numbers[:3], numbers[3:6], numbers[6:])  # type: ignore[arg-type]
