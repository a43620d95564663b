"""A reading room in a temporary folder, whose analyses take no time."""

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from myoperf.errors import AnalysisError
from myoperf.report.contract import results_json
from myoperf.types import LVFrame, Report
from myoperf.web.analysis import RECORD
from myoperf.web.app import create_app
from myoperf.web.corrections import read_correction
from myoperf.web.intake import ReceivedFile, receive
from myoperf.web.pictures import SCENE, arrays_of, row_of, scene_of
from myoperf.web.queue import Job, Outcome, StoredFile
from myoperf.web.room import Room, open_room
from myoperf.web.security import Access
from myoperf.web.worker import ANALYSES, CORRECTIONS, work_once
from support.report import make_report

READER = "Dr Ada"
ALL = (*ANALYSES, *CORRECTIONS)


def make_room(folder: Path) -> Room:
    """Return the room in a folder, empty at first; its database is a schema of MYOPERF_TEST_DB where that is set."""
    url = os.environ.get("MYOPERF_TEST_DB")
    return open_room(folder / "room", url and schema_of(url, folder))


def schema_of(url: str, folder: Path) -> str:
    """Return the URL of a schema that belongs to a folder, in a PostgreSQL database."""
    schema = f"room_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    engine.dispose()
    return make_url(url).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)


def put_study(room: Room, content: bytes = b"study") -> int:
    """Receive a study of one file; nothing is analysed yet."""
    return receive(room, [ReceivedFile(name="a.dcm", sha256=room.blobs.put([content]))], reader=READER)


@cache
def closed_form() -> Report:
    """Return the report of every analysis here."""
    return make_report()


@cache
def closed_form_arrays() -> tuple[tuple[str, bytes], ...]:
    """Return its pictures."""
    return tuple(arrays_of(closed_form()))


def analyse(room: Room, job: Job, announce: Callable[[str], None]) -> Outcome:
    """Return the report of the closed-form ventricle instead of an analysis; a correction moves pose and TPD."""
    announce("closed form")
    report = closed_form()
    corrected = {name: read_correction(stored) for name, stored in job.correction.items()}
    poses = {name: one.frame for name, one in corrected.items() if one.frame is not None}
    shifts = [one.wall_shift for one in corrected.values() if one.wall_shift is not None]
    if any(lengthening(pose) > 25.0 for pose in poses.values()):
        raise AnalysisError("There is no wall round the axis.")
    results = tuple(replace(r, frame=poses.get(r.name, r.frame)) for r in report.results)
    moved = sum(0.1 * lengthening(pose) for pose in poses.values()) + sum(0.2 * one.farthest_mm for one in shifts)
    scores = replace(report.scores, tpd_stress_percent=report.scores.tpd_stress_percent + moved)
    report = replace(report, results=results, scores=scores)
    contents = dict(closed_form_arrays())
    contents[SCENE] = json.dumps(scene_of(report)).encode()
    if job.kind != "correct":
        contents |= {
            "results.json": _results(report),
            "report.html": b"<html></html>",
            "report.pdf": b"%PDF",
            "dicom.zip": b"PK",
        }
        contents[RECORD] = pickle.dumps(report)
    kinds = {".html": "text/html", ".json": "application/json"}
    files = [
        StoredFile(
            role=role,
            media_type=kinds.get(Path(role).suffix, "application/octet-stream"),
            sha256=room.blobs.put([data]),
        )
        for role, data in contents.items()
    ]
    return Outcome(files=tuple(files), row=row_of(report))


def _results(report: Report) -> bytes:
    return json.dumps(results_json(report)).encode()


def lengthening(pose: LVFrame) -> float:
    """Return by how many mm a pose is longer than that of the closed-form ventricle."""
    return pose.length_mm - closed_form().results[0].frame.length_mm


def work_all(room: Room, kinds: tuple[str, ...] = ALL) -> int:
    """Do every job of some kinds and return how many there were."""
    count = 0
    while work_once(room, kinds, analyse):
        count += 1
    return count


def ready_study(room: Room) -> int:
    """Return a study that is analysed."""
    study = put_study(room)
    work_all(room)
    return study


def client_of(room: Room, *, reader: str | None = READER, **access: object) -> TestClient:
    """Return a browser's stand-in, in a session of its own unless `reader` is None."""
    app = create_app(room, Access(secret=b"secret", **access))
    client = TestClient(app, base_url="http://127.0.0.1", headers={"X-MyoPerf": "1"})
    if reader is not None:
        assert client.post("/api/session", json={"reader": reader, "token": access.get("token", "")}).status_code == 204
    return client
