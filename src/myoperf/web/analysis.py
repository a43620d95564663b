"""What a worker does with a job: a study analysed, or measured again in a reader's poses, and everything the page needs
of it put among the room's files.
"""

import collections
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from sqlalchemy import select

from myoperf.errors import InputError
from myoperf.pipeline import Models, Options, StageClock, analyze, load_models, write_report
from myoperf.pipeline.correction import ScanCorrection, correct_scans
from myoperf.types import Report
from myoperf.version import __version__
from myoperf.web.corrections import has_same_pose, read_correction
from myoperf.web.database import analyses, analysis_files, reading
from myoperf.web.errors import NotThereError
from myoperf.web.intake import unpack
from myoperf.web.pictures import OF_IMAGE, OF_POSE, OF_WALL, SCENE, arrays_of, row_of, scene_of
from myoperf.web.queue import Job, Outcome, StoredFile
from myoperf.web.room import Room

BINARY, JSON, HTML, PDF, ZIP = (
    *("application/octet-stream", "application/json", "text/html; charset=utf-8", "application/pdf"),
    "application/zip",
)
RECORD = f"record/{__version__}"
"""Role of the whole report, from which a correction starts. Another version analyses the study again."""

Analyse = Callable[[Room, Job, Callable[[str], None]], Outcome]
"""What a worker calls for a job: the room, the job, and what announces its progress."""


@dataclass
class Analyst:
    """Analyses jobs with models that are loaded once, and keeps the last report for the next correction of it."""

    options: Options = field(default_factory=Options)
    load: Callable[[], Models] = load_models
    _models: Models | None = None
    _last: tuple[int, Report] | None = None
    _ran: bool = False

    def __call__(self, room: Room, job: Job, announce: Callable[[str], None]) -> Outcome:
        """Do a job and return its outcome; nothing in the database changes.

        Raises
        ------
        MyoPerfError
            When the study cannot be analysed, or not in the poses of the correction.
        """
        clock = StageClock(announce)
        if self._models is None:
            announce("loading the models")
            self._models = self.load()
        if job.kind == "analyze":
            report, parts = self._analyze(room, job, clock)
            return Outcome(files=tuple(_store(room, report, clock)), row=row_of(report), parts=parts)
        complete = job.kind == "complete"
        report = correct_scans(
            self._report_of(room, job, clock),
            {name: read_correction(stored) for name, stored in job.correction.items()},
            self._models,
            self.options,
            perfusion_only=not complete,
            clock=clock,
        )
        if complete:
            return Outcome(files=tuple(_store(room, report, clock)), row=row_of(report))
        kept = _pictures_to_keep(room, job)
        stored = _store_pictures(room, report, without=kept.keys())
        return Outcome(files=(*stored, *kept.values()), row=row_of(report))

    def prepare(self, room: Room, job: Job) -> None:
        """Load what a correction of a study starts from, before anyone waits for it.

        The first time it also measures the scans in the poses that they have: what is compiled and imported for a
        correction then is.
        """
        if self._models is None:
            self._models = self.load()
        report = self._report_of(room, job, StageClock())
        if not self._ran:
            self._ran = True
            poses = {result.name: ScanCorrection(frame=result.frame) for result in report.results}
            again = correct_scans(report, poses, self._models, self.options, perfusion_only=True)
            collections.deque(arrays_of(again), maxlen=0)

    def _analyze(self, room: Room, job: Job, clock: StageClock) -> tuple[Report, int]:
        """Read a job's files and analyse its study; return also how many studies the files hold."""
        from myoperf.io import read_studies

        with room.scratch() as folder:
            part = unpack(room, job.study_id, folder)
            with clock.stage("read", "reading"):
                studies = read_studies([folder]).studies
            if part >= len(studies):
                raise InputError(f"The files hold {len(studies)} studies; study {part + 1} of them is not there.")
            return analyze(studies[part], self._models, self.options, clock=clock), len(studies)

    def _report_of(self, room: Room, job: Job, clock: StageClock) -> Report:
        """Return the complete report that a correction starts from: the first one of the study, by the machine.

        A second correction starts there too, as it names the poses of all scans that a reader has moved.
        """
        if self._last is not None and self._last[0] == job.study_id:
            return self._last[1]
        try:
            report = load_record(room, job.study_id)
        except NotThereError:  # made by another version
            report, _ = self._analyze(room, job, clock)
        self._last = (job.study_id, report)
        return report


def _pictures_to_keep(room: Room, job: Job) -> dict[str, StoredFile]:
    """Return the pictures that a correction leaves as the analysis has them that it is based on, by their role.

    The image and the raw views stay in any pose, the turned stacks while the pose stays, the surfaces while the limits
    of the wall stay too. Polar maps are made again for every scan: its scores may have changed.
    """
    of_base = (analyses.c.study_id == job.study_id, analyses.c.number == job.based_on)
    kept: dict[str, StoredFile] = {}
    with reading(room.engine) as connection:
        before = connection.execute(select(analyses.c.correction).where(*of_base)).scalar_one() or {}
        for file in connection.execute(select(analysis_files).join(analyses).where(*of_base)):
            kind, _, scan = file.role.partition("/")
            was, now = before.get(scan), job.correction.get(scan)
            if (
                kind in OF_IMAGE
                or (kind in OF_POSE and has_same_pose(was, now))
                or (kind in OF_WALL and (was or {}) == (now or {}))
            ):
                kept[file.role] = StoredFile(role=file.role, media_type=BINARY, sha256=file.sha256)
    return kept


def _store_pictures(room: Room, report: Report, *, without: Collection[str] = ()) -> Iterator[StoredFile]:
    """Put what the page shows among the files, without the roles that are there."""
    for role, data in arrays_of(report, without=without):
        yield StoredFile(role=role, media_type=BINARY, sha256=room.blobs.put([data]))
    scene = json.dumps(scene_of(report), allow_nan=False).encode()
    yield StoredFile(role=SCENE, media_type=JSON, sha256=room.blobs.put([scene]))


def _store(room: Room, report: Report, clock: StageClock) -> Iterator[StoredFile]:
    """Put pictures, numbers, pages, DICOM objects and the record for later corrections among the files."""
    with room.scratch() as folder:
        out = folder / "report"
        report = write_report(report, out, formats=("html", "pdf", "json", "dicom"), clock=clock)
        yield from _store_pictures(room, report)
        for name, kind in (("results.json", JSON), ("report.html", HTML), ("report.pdf", PDF)):
            yield StoredFile(role=name, media_type=kind, sha256=room.blobs.put_file(out / name))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted((out / "dicom").glob("*.dcm")) if (out / "dicom").is_dir() else ():
                archive.write(path, path.name)
        yield StoredFile(role="dicom.zip", media_type=ZIP, sha256=room.blobs.put([packed.getvalue()]))
    record = room.blobs.put([pickle.dumps(report, protocol=pickle.HIGHEST_PROTOCOL)])
    yield StoredFile(role=RECORD, media_type=BINARY, sha256=record)


def load_record(room: Room, study_id: int, number: int = 1) -> Report:
    """Return the report of an analysis of a study, by default the machine's first, as this version stored it.

    Raises
    ------
    NotThereError
        When it is not stored, or was by another version.
    """
    query = select(analysis_files.c.sha256).join(analyses)
    query = query.where(analyses.c.study_id == study_id, analyses.c.number == number, analysis_files.c.role == RECORD)
    with reading(room.engine) as connection:
        sha256 = connection.execute(query).scalar_one_or_none()
    if sha256 is None:
        raise NotThereError(
            "There is no stored report of this analysis: it is not complete yet, or another version of MyoPerf made it."
        )
    report = pickle.loads(room.blobs.read_checked(sha256))  # written by `_store`, and nobody else writes there
    if not isinstance(report, Report):
        raise NotThereError("The record of the analysis is damaged.")
    return report
