"""The tables of the reading room, in SQLite or, by URL, another database that SQLAlchemy knows.

Files are written before the rows that name them, and rows are never changed where they record what someone did: edits,
signatures, addenda and the log are only added to. A process killed at any moment leaves files without rows, never rows
without files.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    insert,
)
from sqlalchemy.engine import make_url

metadata = MetaData()
_WRITERS_LOCK = 0x6D796F70
"""Number of the lock that writers of a PostgreSQL database take in turn; all processes of a room must use the same."""

uploads = Table(
    "uploads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(64), unique=True, nullable=False),  # of its files' hashes: the same files are one
    Column("received_at", String(20), nullable=False),
    Column("reader", String(100), nullable=False),
)

upload_files = Table(
    "upload_files",
    metadata,
    Column("upload_id", ForeignKey("uploads.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String(500), nullable=False),
    Column("sha256", String(64), nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("upload_id", ForeignKey("uploads.id"), nullable=False),
    Column("part", Integer, nullable=False),  # which of an upload's studies, in the order in which they are read
    Column("status", String(12), nullable=False),
    Column("note", Text, nullable=False, default=""),  # why it failed
    Column("version", Integer, nullable=False, default=0),
    Column("received_at", String(20), nullable=False),
    Column("patient_id", String(100)),
    Column("sex", String(1)),
    Column("age_years", Float),
    Column("scans", String(100)),
    Column("category", String(40)),
    Column("sss", Integer),
    Column("sds", Integer),
    Column("tpd_stress_percent", Float),
    Column("lvef_percent", Float),
    Column("warnings", Integer),
    Column("signed_at", String(20)),
    Column("signed_by", String(100)),
    UniqueConstraint("upload_id", "part"),
    *(
        Index(f"studies_by_{name}", name, "id")
        for name in ("status", "received_at", "patient_id", "sss", "sds", "tpd_stress_percent", "lvef_percent")
    ),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False, index=True),
    Column("kind", String(12), nullable=False),
    Column("state", String(10), nullable=False, index=True),  # queued, running, done, failed
    Column("attempts", Integer, nullable=False, default=0),
    Column("progress", String(200), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("reader", String(100), nullable=False),
    Column("correction", JSON),
    Column("based_on", Integer),  # number of the analysis that this job corrects or completes
    Column("queued_at", String(20), nullable=False),
    Column("ended_at", String(20)),
)

analyses = Table(
    "analyses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, unique=True),  # a job run twice gives one analysis
    Column("reader", String(100), nullable=False),  # "machine", or who corrected it
    Column("made_at", String(20), nullable=False),
    Column("complete", Boolean, nullable=False),  # false: perfusion only, the rest is being measured
    Column("correction", JSON),
    Column("worklist", JSON, nullable=False),  # what the worklist shows of it: columns of studies
    UniqueConstraint("study_id", "number"),
)

analysis_files = Table(
    "analysis_files",
    metadata,
    Column("analysis_id", ForeignKey("analyses.id"), primary_key=True),
    Column("role", String(100), primary_key=True),
    Column("media_type", String(60), nullable=False),
    Column("sha256", String(64), nullable=False),
)

edits = Table(
    "edits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("version", Integer, nullable=False),  # of the study, after this edit
    Column("reader", String(100), nullable=False),
    Column("made_at", String(20), nullable=False),
    Column("kind", String(12), nullable=False),  # analysis, completion, scores, impression, undo
    Column("reading", JSON, nullable=False),  # all of it, after this edit
    Column("undoes", Integer),  # version of the edit that this one takes back
    UniqueConstraint("study_id", "version"),
)

signatures = Table(
    "signatures",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("reader", String(100), nullable=False),
    Column("signed_at", String(20), nullable=False),
    Column("sha256", String(64), nullable=False),  # of the signed content, which is kept among the files
)

addenda = Table(
    "addenda",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False, index=True),
    Column("reader", String(100), nullable=False),
    Column("made_at", String(20), nullable=False),
    Column("text", Text, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), unique=True, nullable=False),
    Column("seed", String(32), nullable=False),  # of every reader's order
    Column("reader", String(100), nullable=False),  # who made it
    Column("made_at", String(20), nullable=False),
)
"""Reader studies: the same cases read blind by several readers, without and with the machine's help."""

trial_cases = Table(
    "trial_cases",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("analysis", Integer, nullable=False),  # a later correction changes nothing of a trial
    Column("ica", JSON, nullable=False),  # by angiography, LAD, LCX, RCA: 0, 1 or null
)

trial_openings = Table(
    "trial_openings",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("reader", String(100), primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("at_s", Float, nullable=False),
)

trial_answers = Table(
    "trial_answers",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("reader", String(100), primary_key=True),
    Column("turn", Integer, primary_key=True),  # place in this reader's own order: an answer is given once
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("helped", Boolean, nullable=False),
    Column("called", JSON, nullable=False),  # LAD, LCX, RCA: 0 to 1
    Column("seconds", Float, nullable=False),
    Column("answered_at", String(20), nullable=False),
)

log = Table(
    "log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String(20), nullable=False),
    Column("reader", String(100), nullable=False),
    Column("action", String(40), nullable=False),
    Column("study_id", Integer, index=True),
    Column("detail", String(200), nullable=False, default=""),
)
"""Who did what to which study: numbers of studies and versions, never a patient's data."""


def open_database(url: str | Path) -> Engine:
    """Return the database at a URL, or the SQLite file at a path, with its tables made if they are missing."""
    parsed = make_url(f"sqlite:///{url}" if isinstance(url, Path) else url)
    engine = create_engine(parsed)
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif parsed.get_backend_name() == "postgresql":
        event.listen(engine, "begin", _begin_postgresql)
    with writing(engine) as connection:
        metadata.create_all(connection)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection whose changes are kept together at the end of the block, or not at all after an error."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that sees one state of the database."""
    with engine.connect() as connection:
        yield connection


def now() -> str:
    """Return the time in UTC to the second, such as ``"2026-01-31T08:15:00Z"``: as text it sorts by time."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(connection: Connection, reader: str, action: str, study_id: int | None, detail: str = "") -> None:
    """Add a line to the log; `detail` must hold no patient's data."""
    row = {"at": now(), "reader": reader, "action": action, "study_id": study_id, "detail": detail[:200]}
    connection.execute(insert(log).values(row))


def add_row(connection: Connection, table: Table, row: Mapping[str, object]) -> int:
    """Add a row to a table and return its number."""
    key = connection.execute(insert(table).values(row)).inserted_primary_key
    if key is None:
        raise RuntimeError(f"The database gave no number for a row of {table.name}.")
    return int(key[0])


def _set_up_sqlite(connection: object, _: object) -> None:
    """Keep what was committed through a loss of power, and wait for another process's change instead of failing."""
    connection.isolation_level = None  # type: ignore[attr-defined]  # `_begin_sqlite` begins transactions
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 20000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction that writes as one that may: SQLite refuses to turn a reader into a writer under load."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    """Let one transaction write at a time, as SQLite does, and let one that reads see a single state."""
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
