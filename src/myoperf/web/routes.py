"""What the page asks for: worklist, studies, pictures, corrections, scores, words, signature, exports."""

import json
import re
import shutil
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from myoperf.errors import InputError
from myoperf.report.colours import PALETTE_NAMES, palette
from myoperf.version import __version__
from myoperf.web import readings
from myoperf.web.blobs import Incoming
from myoperf.web.corrections import merge_corrections, read_correction
from myoperf.web.database import record, writing
from myoperf.web.delivery import reader_part, readers_file
from myoperf.web.errors import ConflictError, NotThereError, TooLargeError
from myoperf.web.intake import ReceivedFile, receive
from myoperf.web.priors import compare_studies, priors_of
from myoperf.web.queue import add_correction, prepare, retry, unfinished
from myoperf.web.readings import advance, latest
from myoperf.web.room import Room
from myoperf.web.security import Access
from myoperf.web.worklist import Page, file_of, files_of, study_of, worklist

router = APIRouter(prefix="/api")

_LEAST_FREE_BYTES = 1 << 30
_SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
)
"""The report's page may show its own pictures and styles, and run nothing."""
_EXPORTS = ("results.json", "report.pdf", "report.html", "dicom.zip")


def _room(request: Request) -> Room:
    room: Room = request.app.state.room
    return room


def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access


def _reader(request: Request) -> str:
    return str(request.state.reader)


LARGEST = 2**31 - 1
"""A number that every database holds."""
Number = Annotated[int, Path(ge=0, le=LARGEST)]
TheRoom = Annotated[Room, Depends(_room)]
Reader = Annotated[str, Depends(_reader)]


class Change(BaseModel):
    """A change of a study: the version that the reader saw."""

    version: int = Field(ge=0, le=LARGEST)


class ScoresChange(Change):
    """A reader's scores of 17 segments; null where the machine's stand."""

    stress: list[int] | None
    rest: list[int] | None


class TextChange(Change):
    """A reader's words."""

    text: str


class Pose(BaseModel):
    """A pose as in results.json, LPS mm."""

    apex_mm: list[float] = Field(min_length=3, max_length=3)
    base_mm: list[float] = Field(min_length=3, max_length=3)
    anterior: list[float] = Field(min_length=3, max_length=3)


class Limits(BaseModel):
    """By how much the limits of the wall were moved, see `myoperf.types.WallShift`."""

    inner_mm: list[list[float]]
    outer_mm: list[list[float]]


class Correction(Change):
    """Poses and limits of the wall by the name of a scan; limits of null are the machine's again."""

    poses: dict[str, Pose] = {}
    limits: dict[str, Limits | None] = {}


class Text(BaseModel):
    """An addendum."""

    text: str


class FileName(BaseModel):
    """A file that was received, under the name its sender gave it."""

    name: str = Field(max_length=1000)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Upload(BaseModel):
    """Files that belong together."""

    files: list[FileName]


@router.put("/files")
async def put_file(request: Request, room: TheRoom) -> dict[str, Any]:
    """Receive one file as the body of the request; nothing of it is kept in memory."""
    if shutil.disk_usage(room.blobs.folder).free < _LEAST_FREE_BYTES:
        raise TooLargeError("The disk of the room is nearly full; nothing more can be received.")
    with Incoming(room.blobs, limit=_access(request).upload_bytes) as incoming:
        async for chunk in request.stream():
            await run_in_threadpool(incoming.write, chunk)
        return {"sha256": await run_in_threadpool(incoming.keep), "size": incoming.size}


@router.post("/uploads")
def finish_upload(upload: Upload, room: TheRoom, reader: Reader) -> dict[str, int]:
    """Make a study of received files and queue its analysis."""
    files = [ReceivedFile(name=file.name, sha256=file.sha256) for file in upload.files]
    return {"study": receive(room, files, reader=reader)}


@router.get("/studies")
def get_worklist(
    room: TheRoom,
    search: Annotated[str, Query(max_length=100)] = "",
    status: Annotated[str, Query(max_length=20)] = "",
    sort: Annotated[str, Query(max_length=30)] = "received_at",
    order: Literal["asc", "desc"] = "desc",
    start: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    count: Annotated[int, Query(ge=1, le=LARGEST)] = 50,
) -> dict[str, Any]:
    """Return a page of the worklist."""
    page = Page(search=search, status=status, sort=sort, descending=order == "desc", start=start, count=count)
    return worklist(room, page)


@router.get("/studies/{study}")
def get_study(study: Number, room: TheRoom, response: Response) -> dict[str, Any]:
    """Return a study: reading, history, signature, jobs, and which files its analysis has."""
    found = study_of(room, study)
    response.headers["etag"] = f'"{found["study"]["version"]}"'
    return {**found, "files": files_of(room, study, found["reading"]["analysis"])}


@router.post("/studies/{study}/opened", status_code=204)
def open_study(study: Number, room: TheRoom, reader: Reader) -> None:
    """Note who opened a study, and prepare for corrections of it."""
    found = study_of(room, study)
    with writing(room.engine) as connection:
        record(connection, reader, "open", study)
    if found["study"]["status"] == "ready":
        prepare(room, study, reader=reader)


@router.get("/studies/{study}/files/{number}/{role:path}")
def get_file(study: Number, number: Number, role: str, room: TheRoom) -> FileResponse:
    """Return a file of an analysis; it never changes, so the browser may keep it."""
    media_type, sha256 = file_of(room, study, number, role)
    headers = {"cache-control": "private, max-age=86400, immutable", "etag": f'"{sha256}"'}
    if media_type.startswith("text/html"):
        headers["content-security-policy"] = _SANDBOX
    return FileResponse(room.blobs.path(sha256), media_type=media_type, headers=headers)


@router.get("/studies/{study}/priors")
def get_priors(study: Number, room: TheRoom) -> list[dict[str, Any]]:
    """Return the other analysed studies of the patient."""
    return priors_of(room, study)


@router.get("/studies/{study}/priors/{prior}")
def compare(study: Number, prior: Number, room: TheRoom, reader: Reader) -> dict[str, Any]:
    """Return how the numbers differ from those of another study of the patient."""
    compared = compare_studies(room, study, prior)
    with writing(room.engine) as connection:
        record(connection, reader, "compare", study, f"with study {prior}")
    return compared


@router.post("/studies/{study}/scores")
def set_scores(study: Number, change: ScoresChange, room: TheRoom, reader: Reader) -> dict[str, int]:
    """Keep a reader's scores beside the machine's."""
    stress, rest = change.stress, change.rest
    return {"version": readings.set_scores(room, study, change.version, reader=reader, stress=stress, rest=rest)}


@router.post("/studies/{study}/impression")
def set_impression(study: Number, change: TextChange, room: TheRoom, reader: Reader) -> dict[str, int]:
    """Keep a reader's words beside the machine's."""
    return {"version": readings.set_impression(room, study, change.version, reader=reader, text=change.text)}


@router.post("/studies/{study}/correction", status_code=202)
def correct(study: Number, change: Correction, room: TheRoom, reader: Reader) -> dict[str, int]:
    """Queue the measurement of scans as the reader corrected them; what was corrected before stays."""
    corrected = change.model_dump(include={"poses", "limits"})
    if not (change.poses or change.limits):
        raise InputError("A correction needs a pose or limits of the wall of at least one scan.")
    for one in merge_corrections({}, **corrected).values():
        read_correction(one)
    with writing(room.engine) as connection:
        version = advance(connection, study, change.version)
        number = latest(connection, study).analysis
        if number == 0 or unfinished(connection, study, ("analyze", "correct")):
            raise ConflictError("The study is being measured; correct it when that is done.")
        earlier = _correction_of(study_of(room, study), number)
        merged = merge_corrections(earlier, **corrected)
        job = add_correction(connection, study, based_on=number, reader=reader, corrections=merged)
        count = len({*change.poses, *change.limits})
        record(connection, reader, "correct", study, f"version {version}, scans {count}")
    return {"version": version, "job": job}


@router.post("/studies/{study}/undo")
def undo(study: Number, change: Change, room: TheRoom, reader: Reader) -> dict[str, int]:
    """Undo the last change."""
    return {"version": readings.undo(room, study, change.version, reader=reader)}


@router.post("/studies/{study}/sign")
def sign(study: Number, change: Change, room: TheRoom, reader: Reader) -> dict[str, str]:
    """Sign the study as final."""
    return {"sha256": readings.sign(room, study, change.version, reader=reader)}


@router.post("/studies/{study}/addenda", status_code=201)
def add_addendum(study: Number, addendum: Text, room: TheRoom, reader: Reader) -> dict[str, str]:
    """Amend a signed study."""
    readings.add_addendum(room, study, reader=reader, text=addendum.text)
    return {"status": "added"}


@router.post("/studies/{study}/retry")
def analyze_again(study: Number, room: TheRoom, reader: Reader) -> dict[str, bool]:
    """Analyse a failed study again."""
    return {"queued": retry(room, study, reader=reader)}


@router.get("/studies/{study}/export/{name}")
def export(study: Number, name: str, room: TheRoom, reader: Reader) -> Response:
    """Return the results that the reading rests on, for use elsewhere; ``reading.json`` is the reader's part."""
    found = study_of(room, study)
    with writing(room.engine) as connection:
        record(connection, reader, "export", study, name if name in _EXPORTS else "reading.json")
    headers = {"content-disposition": f'attachment; filename="study-{study}-{re.sub("[^a-z.]", "", name)}"'}
    if name == "reading.json":
        return Response(_reading_json(found), media_type="application/json", headers=headers)
    if name not in _EXPORTS:
        raise NotThereError(f"A study is exported as {', '.join((*_EXPORTS, 'reading.json'))}.")
    part = reader_part(found)
    if part is not None and name in ("report.pdf", "dicom.zip"):
        media_type, content = readers_file(room, study, found["reading"]["analysis"], part, name)
        return Response(content, media_type=media_type, headers=headers)
    media_type, sha256 = file_of(room, study, found["reading"]["analysis"], name)
    return FileResponse(room.blobs.path(sha256), media_type=media_type, headers=headers)


@router.get("/palettes")
def get_palettes(response: Response) -> dict[str, Any]:
    """Return the colour scales: 255 colours each, from the lowest value to the highest."""
    response.headers["cache-control"] = "private, max-age=3600"
    opaque = [palette(name) for name in PALETTE_NAMES]
    return {"names": list(PALETTE_NAMES), "colours": {p.name: p.colours[:, :3].tolist() for p in opaque}}


def _correction_of(found: dict[str, Any], number: int) -> dict[str, Any]:
    """Return what readers corrected in an analysis of a study, by the name of the scan."""
    made = next(analysis for analysis in found["analyses"] if analysis["number"] == number)
    return dict(made["correction"] or {})


def _reading_json(found: dict[str, Any]) -> str:
    """Return what readers made of a study, apart from the machine's results that it rests on."""
    part = {name: found[name] for name in ("reading", "history", "signature", "addenda", "analyses")}
    whole = {"schema": "myoperf.reading/1", "myoperf": __version__, "study": found["study"]["id"], **part}
    return json.dumps(whole, indent=2, ensure_ascii=False)
