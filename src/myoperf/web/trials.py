"""Reader studies: cases read blind, in an order of each reader's own, first without and then with the machine's help.

As in Hajianfar et al. 2025 (doi:10.1007/s00259-025-07145-x) readers say of each artery whether it is diseased, alone
and then shown the network's probabilities. A reader sees one case at a time, without the patient's ID and the study's
number, and answers once; the next case opens then. The time of each answer is kept.
"""

import csv
import io
import json
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from myoperf.errors import InputError
from myoperf.text import table_cell
from myoperf.types import VESSELS
from myoperf.web.database import (
    add_row,
    now,
    reading,
    record,
    trial_answers,
    trial_cases,
    trial_openings,
    trials,
    writing,
)
from myoperf.web.errors import ConflictError, NotThereError
from myoperf.web.pictures import SCENE
from myoperf.web.readings import latest
from myoperf.web.room import Room
from myoperf.web.worklist import file_of, files_of

_MOST_CASES = 2000
_IMAGES = ("heart", "volume", "gated", "raw", "surface", "gated-surface", "polar-uptake")
"""Roles of the arrays that a reader sees without help; with help, all."""
_UNTOLD = ("segments_percent", "volumes_ml", "curve")
"""Numbers of a scan that a reader does not see without help."""
EXPORTS = ("readings.csv", "predictions.csv", "times.csv")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A case of a reader study: the study's number, and angiography of LAD, LCX and RCA (None: not known)."""

    study: int
    ica: tuple[int | None, int | None, int | None] = (None, None, None)

    def __post_init__(self) -> None:
        if any(found not in (0, 1, None) for found in self.ica):
            raise InputError("Angiography of an artery is 0, 1 or not known.")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a reader is to read next: the place in their order (of ``2 * cases``), the study, and whether with help."""

    number: int
    count: int
    study_id: int
    analysis: int
    helped: bool


def make_trial(room: Room, name: str, cases: Sequence[Case], *, reader: str) -> int:
    """Make a reader study of analysed studies and return its number.

    Raises
    ------
    InputError
        Without a name or cases, for a case twice, or one that is not analysed.
    ConflictError
        When there is a reader study of this name.
    """
    name = name.strip()
    if not 0 < len(name) <= 100 or not 0 < len(cases) <= _MOST_CASES:
        raise InputError(f"A reader study needs a name of 1 to 100 letters and 1 to {_MOST_CASES} cases.")
    if len({case.study for case in cases}) < len(cases):
        raise InputError("A study occurs twice among the cases.")
    with writing(room.engine) as connection:
        if connection.execute(select(trials.c.id).where(trials.c.name == name)).first() is not None:
            raise ConflictError("A reader study of this name exists already; choose another name.")
        numbers = {case.study: latest(connection, case.study).analysis for case in cases}
        missing = [str(study) for study, number in numbers.items() if number == 0]
        if missing:
            raise InputError(f"Not analysed, or not in the room: study {', '.join(missing[:10])}.")
        row = {"name": name, "seed": secrets.token_hex(16), "reader": reader, "made_at": now()}
        trial = add_row(connection, trials, row)
        rows = [
            {"trial_id": trial, "study_id": c.study, "analysis": numbers[c.study], "ica": list(c.ica)} for c in cases
        ]
        connection.execute(insert(trial_cases), rows)
        record(connection, reader, "trial made", None, f"trial {trial}, {len(cases)} cases")
    return trial


def trials_of(room: Room, *, reader: str) -> list[dict[str, Any]]:
    """Return every reader study with how far a reader is in it, ready for JSON."""
    with reading(room.engine) as connection:
        found = []
        for row in connection.execute(select(trials).order_by(trials.c.id.desc())):
            cases = select(func.count()).where(trial_cases.c.trial_id == row.id)
            count = int(connection.execute(cases).scalar_one())
            done = _answered(connection, row.id, reader)
            found.append({"id": row.id, "name": row.name, "made_at": row.made_at, "done": done, "of": 2 * count})
        return found


def next_turn(room: Room, trial: int, *, reader: str) -> Turn | None:
    """Return what a reader is to read next; None when all is read.

    Raises
    ------
    NotThereError
        For an unknown reader study.
    """
    with reading(room.engine) as connection:
        return _turn(connection, trial, reader)


def open_turn(room: Room, trial: int, number: int, *, reader: str) -> dict[str, Any]:
    """Return what a reader sees of their case, ready for JSON, and start its time.

    Without help: the images and polar maps alone. With help also the machine's numbers, scores, words, probabilities.

    Raises
    ------
    ConflictError
        When this is not the reader's next case.
    """
    turn = _current(room, trial, number, reader)
    scene = json.loads(room.blobs.read(file_of(room, turn.study_id, turn.analysis, SCENE)[1]))
    files = files_of(room, turn.study_id, turn.analysis)
    with writing(room.engine) as connection:
        key = {"trial_id": trial, "reader": reader, "turn": number}
        known = select(trial_openings).where(*(trial_openings.c[name] == value for name, value in key.items()))
        if connection.execute(known).first() is None:
            connection.execute(insert(trial_openings).values({**key, "at_s": time.time()}))
    if not turn.helped:
        scans = [{**scan, **dict.fromkeys(_UNTOLD), "findings": []} for scan in scene["scans"]]
        scene = {name: scene[name] for name in ("scored", "segments")} | {"scans": scans}
    shown = [role for role in files if _is_shown(role, turn)]
    return {"turn": number, "of": turn.count, "helped": turn.helped, "scene": scene, "files": shown}


def file_of_turn(room: Room, trial: int, number: int, role: str, *, reader: str) -> tuple[str, str]:
    """Return the media type and SHA-256 of an array of a reader's case; raises as `open_turn`."""
    turn = _current(room, trial, number, reader)
    if not _is_shown(role, turn):
        raise NotThereError("This case has no such picture.")
    return file_of(room, turn.study_id, turn.analysis, role)


def answer(
    room: Room, trial: int, number: int, called: Mapping[str, float], *, seconds: float, reader: str
) -> Turn | None:
    """Keep a reader's answer, once, and return the next case.

    Parameters
    ----------
    called
        Artery -> how sure the reader is that it is diseased, 0 to 1.
    seconds
        For which the reader saw the case, as their page measured it; no more than passed since it was opened.

    Raises
    ------
    InputError
        When an artery is missing.
    ConflictError
        When this is not the reader's next case, or it was not opened.
    """
    if set(called) != set(VESSELS) or not all(0.0 <= value <= 1.0 for value in called.values()):
        raise InputError(f"An answer is a number from 0 to 1 for each of {', '.join(VESSELS)}.")
    with writing(room.engine) as connection:
        turn = _turn(connection, trial, reader)
        if turn is None or turn.number != number:
            raise ConflictError("This case is answered already; go on with the next.")
        key = {"trial_id": trial, "reader": reader, "turn": number}
        known = select(trial_openings.c.at_s).where(*(trial_openings.c[name] == value for name, value in key.items()))
        opened = connection.execute(known).scalar_one_or_none()
        if opened is None:
            raise ConflictError("Look at the case first.")
        row = {
            **key,
            "study_id": turn.study_id,
            "helped": turn.helped,
            "called": [float(called[vessel]) for vessel in VESSELS],
            "seconds": round(max(0.0, min(seconds, time.time() - opened)), 1),
            "answered_at": now(),
        }
        connection.execute(insert(trial_answers).values(row))
        record(connection, reader, "trial answer", None, f"trial {trial}, turn {number}")
        return _turn(connection, trial, reader)


def export_trial(room: Room, trial: int, name: str, *, reader: str) -> str:
    """Return a table of a reader study as CSV; a patient's name in it is ``study-`` and the study's number.

    ``readings.csv`` holds one reader's cases with angiography that were read both ways, in the form that
    ``myoperf study reader --data`` reads; ``predictions.csv`` every reader who has read all cases with angiography, in
    the form of ``myoperf evaluate``; ``times.csv`` every answer with its time.

    Raises
    ------
    NotThereError
        For an unknown reader study or table.
    InputError
        When there is nothing to export.
    """
    if name not in EXPORTS:
        raise NotThereError(f"A reader study is exported as {', '.join(EXPORTS)}.")
    with reading(room.engine) as connection:
        cases = _cases(connection, trial)
        query = select(trial_answers).where(trial_answers.c.trial_id == trial)
        answers = list(connection.execute(query.order_by(trial_answers.c.reader, trial_answers.c.turn)))
    network = {case.study_id: _network(room, case) for case in cases}
    if name == "times.csv":
        head = ["patient", "reader", "helped", "turn", "seconds", "answered_at", *VESSELS]
        rows = [
            [_patient(a.study_id), a.reader, int(a.helped), a.turn, a.seconds, a.answered_at, *a.called]
            for a in answers
        ]
        return _csv(head, rows)
    known = [case for case in cases if None not in case.ica]
    if not known:
        raise InputError("No case has angiography of all three arteries; times.csv holds the answers.")
    if name == "readings.csv":
        return _readings(known, _by_case(answers, reader), network)
    return _predictions(known, answers, network)


def _readings(cases: list[Row[Any]], mine: Mapping[tuple[int, bool], list[float]], network: Mapping[int, Any]) -> str:
    read = [c for c in cases if (c.study_id, False) in mine and (c.study_id, True) in mine]
    if not read:
        raise InputError("You have read no case with angiography both ways yet.")
    has_network = all(network[case.study_id] is not None for case in read)
    words = ("ica", "alone", "helped", *(("network",) if has_network else ()))
    rows = []
    for case in read:
        values = [case.ica, mine[case.study_id, False], mine[case.study_id, True]]
        if has_network:
            values.append(network[case.study_id])
        rows.append([_patient(case.study_id), *(value for three in values for value in three)])
    return _csv(["patient", *(f"{word}_{vessel}" for word in words for vessel in VESSELS)], rows)


def _predictions(cases: list[Row[Any]], answers: Sequence[Row[Any]], network: Mapping[int, Any]) -> str:
    columns: dict[str, Mapping[int, Sequence[float]]] = {}
    for reader in dict.fromkeys(one.reader for one in answers):
        mine = _by_case(answers, reader)
        for helped, words in ((False, "alone"), (True, "with help")):
            called = {case.study_id: mine.get((case.study_id, helped)) for case in cases}
            whole = {study: three for study, three in called.items() if three is not None}
            if len(whole) == len(cases):
                columns[f"{reader} {words}"] = whole
    if not columns:
        raise InputError("No reader has read all cases with angiography yet.")
    if all(network[case.study_id] is not None for case in cases):
        columns["network"] = network
    rows = [
        [_patient(case.study_id), vessel, case.ica[i], *(called[case.study_id][i] for called in columns.values())]
        for case in cases
        for i, vessel in enumerate(VESSELS)
    ]
    return _csv(["patient", "vessel", "truth", *columns], rows)


def _by_case(answers: Sequence[Row[Any]], reader: str) -> dict[tuple[int, bool], list[float]]:
    """Return (study, with help) -> what a reader said of the three arteries."""
    return {(one.study_id, one.helped): one.called for one in answers if one.reader == reader}


def _network(room: Room, case: Row[Any]) -> list[float] | None:
    """Return the network's probabilities of a case; None where it gave none."""
    scene = json.loads(room.blobs.read(file_of(room, case.study_id, case.analysis, SCENE)[1]))
    found = scene["diagnosis"]
    if found is None or found["abstained"] or not found["per_vessel"]:
        return None
    return [float(found["per_vessel"][vessel]) for vessel in VESSELS]


def _current(room: Room, trial: int, number: int, reader: str) -> Turn:
    turn = next_turn(room, trial, reader=reader)
    if turn is None or turn.number != number:
        raise ConflictError("This is not your next case of the reader study.")
    return turn


def _turn(connection: Connection, trial: int, reader: str) -> Turn | None:
    cases = _cases(connection, trial)
    seed = connection.execute(select(trials.c.seed).where(trials.c.id == trial)).scalar_one()
    done = _answered(connection, trial, reader)
    if done >= 2 * len(cases):
        return None
    helped = done >= len(cases)
    order = list(cases)
    random.Random(f"{seed} {reader} {helped}").shuffle(order)
    case = order[done % len(cases)]
    return Turn(number=done, count=2 * len(cases), study_id=case.study_id, analysis=case.analysis, helped=helped)


def _cases(connection: Connection, trial: int) -> list[Row[Any]]:
    query = select(trial_cases).where(trial_cases.c.trial_id == trial).order_by(trial_cases.c.study_id)
    found = list(connection.execute(query))
    if not found:
        raise NotThereError(f"There is no reader study {trial}.")
    return found


def _answered(connection: Connection, trial: int, reader: str) -> int:
    query = select(func.count()).where(trial_answers.c.trial_id == trial, trial_answers.c.reader == reader)
    return int(connection.execute(query).scalar_one())


def _is_shown(role: str, turn: Turn) -> bool:
    """Return whether a file is an array that the reader sees; reports, which name the patient, never are."""
    kind, _, scan = role.partition("/")
    return bool(scan) and kind != "record" and (turn.helped or kind in _IMAGES)


def _patient(study_id: int) -> str:
    return f"study-{study_id}"


def _csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([table_cell(cell) for cell in row] for row in (head, *rows))
    return text.getvalue()
