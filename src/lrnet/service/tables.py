"""The tables of the service's database, and how it is opened; SQLite or PostgreSQL.

All times are seconds since the epoch by the database's clock, so that machines whose clocks differ can share it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy import text as sql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from lrnet.errors import MissingDependencyError, ServiceError
from lrnet.extras import install_command
from lrnet.verdict import Reason, State, is_held_back

SCHEMA_VERSION: Final = 4
BUSY_SECONDS: Final = 15  # SQLite allows one writer at a time; how long another waits for its turn
COUNTED: Final = ("failed", "judging_seconds")  # and verdict_STATE for each verdict
CREATE_LOCK: Final = 0x6C726E6574  # "lrnet"; the advisory lock under which PostgreSQL's tables are made

_tables = MetaData()

videos: Final = Table(
    "videos",
    _tables,
    Column("number", Integer, primary_key=True, autoincrement=True),  # the order of the queue and of the list
    Column("id", String(32), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("owner", Text),  # name of the token that handed it in
    Column("external_id", Text),
    Column("labels", Text),  # one a line, with a line break before the first and after the last
    Column("case", Text),
    Column("examiner", Text),
    Column("notes", Text),
    Column("idempotency_key", String(400)),
    Column("state", String(16), nullable=False, index=True),
    Column("revision", Integer, nullable=False, default=1),
    Column("created", Float(53), nullable=False),
    Column("started", Float(53)),
    Column("finished", Float(53)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease", String(32)),
    Column("lease_until", Float(53)),
    Column("progress", Text),
    Column("verdict", String(40), index=True),
    Column("probability", Float(53)),
    Column("held_back", Boolean),
    Column("score", Float(53)),
    Column("faces", Integer),
    Column("model", Text),
    Column("attempt", String(32)),  # the lease whose result folder counts
    Column("summary", Text),  # JSON: what lists show of the document
    Column("document", Text),
    Column("extras_failed", Text),  # JSON: report and overlay that could not be made, and why
    Column("failure", Text),
    Column("notice_due", Float(53)),  # when the webhook is called next; null if it is not
    Column("notice_tries", Integer),
    sqlite_autoincrement=True,  # a number is never used twice: pages of the list are cut by it
)
counters: Final = Table(
    "counters", _tables, Column("name", String(40), primary_key=True), Column("value", Float(53), nullable=False)
)
workers: Final = Table(
    "workers",
    _tables,
    Column("id", String(32), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("seen", Float(53), nullable=False),
)
audit: Final = Table(
    "audit",
    _tables,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("time", Float(53), nullable=False),
    Column("who", Text, nullable=False),
    Column("action", String(40), nullable=False),
    Column("video", String(32)),
    Column("request", String(64), nullable=False),
    sqlite_autoincrement=True,
)
about: Final = Table(
    "about", _tables, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False)
)


class now(FunctionElement[float]):
    """The database's clock, seconds since the epoch."""

    type = Float(53)
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite_now(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgresql_now(*_: Any, **__: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::float8"


def open_engine(url: str) -> Engine:
    """Connect to a database; nothing is sent to it yet.

    Raises:
        ServiceError: the address is invalid.
        MissingDependencyError: the database's driver is not installed.
    """
    try:
        address = make_url(url)
        sqlite = address.get_backend_name() == "sqlite"
        if sqlite and address.database and not address.database.startswith((":", "file:")):
            with suppress(OSError):  # said when it is used
                os.close(os.open(address.database, os.O_WRONLY | os.O_CREAT, 0o600))  # names and verdicts of people
        options = {"connect_args": {"timeout": BUSY_SECONDS}} if sqlite else {"pool_pre_ping": True}
        engine = create_engine(address, **options)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ServiceError(
            "SQLAlchemy does not know this kind of database address.",
            hint="Write it like postgresql://user:password@host/name or sqlite:////folder/file.",
        ) from error
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"The database's driver, the package {error.name}, is not installed.",
            hint=f"For PostgreSQL: {install_command('service', 'postgres')}",
        ) from error
    if sqlite:
        event.listen(engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(connection: Any, _record: object) -> None:
    # Readers do not wait for the writer; a power cut can lose the last moments, but never the file.
    cursor = connection.cursor()
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:  # SQLite waits for a writer everywhere but here
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def create(connection: Connection) -> None:
    """Make the tables, or bring those of an older version up to date. Several processes may do this at once.

    Raises:
        ServiceError: a newer version of lrnet made them.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sql("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATE_LOCK})
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    _tables.create_all(connection)
    version = connection.execute(select(about.c.value).where(about.c.name == "schema")).scalar_one_or_none()
    if version is None:
        connection.execute(insert(about).values(name="schema", value=str(SCHEMA_VERSION)))
    elif version in ("1", "2", "3"):
        _migrate(connection)
    elif version != str(SCHEMA_VERSION):
        raise ServiceError(
            f"The database has layout {version}, and this version of lrnet knows layout {SCHEMA_VERSION}.",
            hint="Use the version of lrnet that made it, or give another database.",
        )
    known = set(connection.execute(select(counters.c.name)).scalars())
    for name in (*COUNTED, *(f"verdict_{state}" for state in State)):
        if name not in known:
            connection.execute(insert(counters).values(name=name, value=0))
    # A separate statement, so that an older table gets the index too.
    connection.execute(sql("CREATE UNIQUE INDEX IF NOT EXISTS videos_by_key ON videos (idempotency_key)"))


def _migrate(connection: Connection) -> None:
    """Layouts 1 to 3 to 4: the columns that are missing, filled from the documents where lists show them."""
    known = {column["name"] for column in inspect(connection).get_columns("videos")}
    for column in videos.columns:
        if column.name not in known:
            kind = column.type.compile(connection.dialect)
            name = connection.dialect.identifier_preparer.quote(column.name)
            connection.execute(sql(f"ALTER TABLE videos ADD COLUMN {name} {kind}"))
    if "enqueued" in known:
        connection.execute(sql("ALTER TABLE videos DROP COLUMN enqueued"))
    if connection.dialect.name == "postgresql":  # SQLite does not look at lengths
        connection.execute(sql("ALTER TABLE videos ALTER COLUMN state TYPE VARCHAR(16)"))
    judged = select(videos.c.number).where(videos.c.document.is_not(None))
    for number in connection.execute(judged).scalars().all():
        text = connection.execute(select(videos.c.document).where(videos.c.number == number)).scalar_one()
        change = _from_document(json.loads(text))
        if change:
            connection.execute(update(videos).where(videos.c.number == number).values(**change))
    connection.execute(update(about).where(about.c.name == "schema").values(value=str(SCHEMA_VERSION)))


def _from_document(document: dict[str, Any]) -> dict[str, Any]:
    verdict = document.get("verdict", {})
    codes = {reason["code"] for reason in verdict.get("reasons", [])}
    state = State(verdict["state"]) if verdict else None
    if state is None:
        return {}
    held = is_held_back(state, [reason for reason in Reason if reason in codes])
    return {"held_back": held, "summary": json.dumps(summary_of(document))}


def summary_of(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of a video's JSON document that lists show, besides its columns."""
    verdict, video, model = document.get("verdict", {}), document.get("video", {}), document.get("model", {})
    return {
        "reasons": verdict.get("reasons", []),
        "face": verdict.get("face"),
        "moment": verdict.get("moment"),
        "seconds_examined": (verdict.get("coverage") or {}).get("seconds", video.get("seconds_examined")),
        "duration": video.get("duration"),
        "frames": video.get("frames_read"),
        "damaged_packets": video.get("damaged_packets", 0),
        "model_hash": model.get("hash", ""),
        "appearance": model.get("appearance", False),
    }
