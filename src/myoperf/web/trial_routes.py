"""What the page of reader studies asks for."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from myoperf.types import VESSELS
from myoperf.web import trials
from myoperf.web.routes import LARGEST, Number, Reader, TheRoom

router = APIRouter(prefix="/api/trials")
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Found = Annotated[int, Field(ge=0, le=1)] | None


class CaseGiven(BaseModel):
    """A case, with angiography of its arteries where it is known."""

    study: int = Field(ge=0, le=LARGEST)
    ica: tuple[Found, Found, Found] = (None, None, None)


class TrialGiven(BaseModel):
    """A new reader study."""

    name: str = Field(max_length=100)
    cases: list[CaseGiven] = Field(max_length=2000)


class Answer(BaseModel):
    """How sure a reader is of disease in each artery, and for how long they saw the case."""

    LAD: Share
    LCX: Share
    RCA: Share
    seconds: float = Field(ge=0.0, le=1e6)


@router.get("")
def get_trials(room: TheRoom, reader: Reader) -> list[dict[str, Any]]:
    """Return every reader study, with how far the reader is."""
    return trials.trials_of(room, reader=reader)


@router.post("", status_code=201)
def make_trial(given: TrialGiven, room: TheRoom, reader: Reader) -> dict[str, int]:
    """Make a reader study."""
    cases = [trials.Case(study=case.study, ica=case.ica) for case in given.cases]
    return {"trial": trials.make_trial(room, given.name, cases, reader=reader)}


@router.get("/{trial}/next")
def get_next(trial: Number, room: TheRoom, reader: Reader) -> dict[str, Any]:
    """Return the place of the reader's next case; null when all are read."""
    return _place(trials.next_turn(room, trial, reader=reader))


@router.get("/{trial}/cases/{turn}")
def open_case(trial: Number, turn: Number, room: TheRoom, reader: Reader) -> dict[str, Any]:
    """Return what the reader sees of their next case, and start its time."""
    return trials.open_turn(room, trial, turn, reader=reader)


@router.get("/{trial}/cases/{turn}/files/{role:path}")
def get_file(trial: Number, turn: Number, role: str, room: TheRoom, reader: Reader) -> FileResponse:
    """Return an array of the reader's next case."""
    media_type, sha256 = trials.file_of_turn(room, trial, turn, role, reader=reader)
    return FileResponse(room.blobs.path(sha256), media_type=media_type)


@router.post("/{trial}/cases/{turn}")
def answer(trial: Number, turn: Number, given: Answer, room: TheRoom, reader: Reader) -> dict[str, Any]:
    """Keep the reader's answer, and return the place of the next case."""
    called = {vessel: float(getattr(given, vessel)) for vessel in VESSELS}
    return _place(trials.answer(room, trial, turn, called, seconds=given.seconds, reader=reader))


@router.get("/{trial}/export/{name}")
def export(trial: Number, name: str, room: TheRoom, reader: Reader) -> Response:
    """Return a table of the reader study."""
    content = trials.export_trial(room, trial, name, reader=reader)
    headers = {"content-disposition": f'attachment; filename="reader-study-{trial}-{name}"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


def _place(turn: trials.Turn | None) -> dict[str, Any]:
    return {"turn": None} if turn is None else {"turn": turn.number, "of": turn.count, "helped": turn.helped}
