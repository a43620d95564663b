"""Earlier studies of the same patient that the room holds: which there are, and what changed since one of them."""

import json
from typing import Any

from sqlalchemy import select

from myoperf.pipeline.prior import compare_prior
from myoperf.report.contract import plain
from myoperf.web.analysis import load_record
from myoperf.web.database import reading, studies
from myoperf.web.errors import NotThereError
from myoperf.web.room import Room
from myoperf.web.worklist import file_of, study_of

_MOST = 20


def priors_of(room: Room, study_id: int) -> list[dict[str, Any]]:
    """Return the other analysed studies of a study's patient, ready for JSON, the one received last first.

    A patient is known by the patient ID alone; studies whose sex contradicts it are left out. Empty without an ID.

    Raises
    ------
    NotThereError
        For an unknown study.
    """
    with reading(room.engine) as connection:
        mine = connection.execute(select(studies).where(studies.c.id == study_id)).one_or_none()
        if mine is None:
            raise NotThereError(f"There is no study {study_id}.")
        if not mine.patient_id:
            return []
        shown = (studies.c.id, studies.c.received_at, studies.c.scans, studies.c.sex, studies.c.tpd_stress_percent)
        of_patient = (studies.c.patient_id == mine.patient_id, studies.c.id != study_id)
        query = select(*shown).where(*of_patient, studies.c.status.in_(("ready", "signed")))
        found = connection.execute(query.order_by(studies.c.received_at.desc(), studies.c.id.desc()).limit(_MOST))
        return [dict(row) for row in found.mappings() if None in (row["sex"], mine.sex) or row["sex"] == mine.sex]


def compare_studies(room: Room, study_id: int, prior_id: int) -> dict[str, Any]:
    """Return how the numbers of a study differ from those of an earlier one of the same patient, ready for JSON.

    Numbers are those of the analyses on which the two readings rest, compared as ``myoperf analyze --prior`` does.

    Raises
    ------
    NotThereError
        When the other study is not one of `priors_of`, or either analysis is not complete.
    """
    if prior_id not in {one["id"] for one in priors_of(room, study_id)}:
        raise NotThereError(f"Study {prior_id} is not another analysed study of this patient.")
    report = load_record(room, study_id, study_of(room, study_id)["reading"]["analysis"])
    number = study_of(room, prior_id)["reading"]["analysis"]
    earlier = json.loads(room.blobs.read(file_of(room, prior_id, number, "results.json")[1]))
    found = compare_prior(report, earlier)
    return {
        "changes": [{**plain(vars(change)), "exceeds": change.exceeds} for change in found.changes],
        "notes": list(found.notes),
    }
