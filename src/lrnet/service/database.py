"""What is true of every video: one row, in SQLite or PostgreSQL.

A row is `queued`, `running`, `done` or `failed`. To judge a video a worker *claims* its row and gets a lease: a random
word and a time until which the row is its own. It renews the lease while it works. Every later write of that worker
names the word, so that a worker which was silent for too long and whose video another one took can change nothing any
more: a video has one result, whoever dies when.

Times are seconds since the epoch by the clock of the machine that writes.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy import text as sql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from lrnet.errors import MissingDependencyError, ServiceError
from lrnet.extras import install_command
from lrnet.verdict import Reason, State, is_held_back

SCHEMA_VERSION: Final = 2
BUSY_SECONDS: Final = 15  # SQLite lets one writer in at a time; how long another waits for its turn


class JobState(StrEnum):
    """Where a video is on its way."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


UNFINISHED: Final = (JobState.QUEUED, JobState.RUNNING)

_tables = MetaData()

videos: Final = Table(
    "videos",
    _tables,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("revision", Integer, nullable=False, default=1),
    Column("created", Float(53), nullable=False),
    Column("enqueued", Float(53), nullable=False),
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
    Column("document", Text),
    Column("failure", Text),
    sqlite_autoincrement=True,  # a number is never given twice: it is what pages are cut by
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
about: Final = Table(
    "about", _tables, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False)
)


@dataclass(frozen=True, slots=True)
class VideoRow:
    """One video as the database has it; `progress` and `failure` are decoded, `document` is JSON text."""

    number: int
    id: str
    name: str
    sha256: str
    size: int
    state: JobState
    revision: int
    created: float
    enqueued: float
    started: float | None
    finished: float | None
    attempts: int
    lease: str | None
    lease_until: float | None
    progress: dict[str, Any] | None
    verdict: str | None
    probability: float | None
    held_back: bool | None
    score: float | None
    faces: int | None
    model: str | None
    attempt: str | None
    failure: dict[str, str] | None


_SHOWN: Final = [videos.c[name] for name in VideoRow.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a worker found: the columns that lists show, and the JSON document that has everything.

    Attributes:
        held_back: see `lrnet.verdict.is_held_back`.
    """

    verdict: str
    probability: float | None
    held_back: bool
    score: float | None
    faces: int
    model: str
    document: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some videos, newest first; `before` is where the next page begins, None if there is none."""

    items: tuple[VideoRow, ...]
    total: int
    before: int | None


class Store:
    """The database. Safe to share between threads.

    Args:
        url: SQLAlchemy address.

    Raises:
        ServiceError: it cannot be reached, or was made by another version of lrnet.
        MissingDependencyError: its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        try:
            with self._engine.begin() as connection:
                _create(connection)
        except SQLAlchemyError as error:
            raise ServiceError(
                f"The database {self._engine.url.render_as_string()} cannot be used ({_reason(error)}).",
                hint="Check the address given with --database, and that the server runs.",
            ) from error

    def close(self) -> None:
        self._engine.dispose()

    def ping(self) -> None:
        """Raise SQLAlchemyError if the database does not answer."""
        with self._engine.connect() as connection:
            connection.execute(select(1))

    # What the web process does.

    def add(self, name: str, sha256: str, size: int) -> VideoRow:
        """A new video, queued."""
        now = time.time()
        values = {
            "id": secrets.token_hex(16),
            "name": name,
            "folded_name": name.casefold(),
            "sha256": sha256,
            "size": size,
            "state": JobState.QUEUED,
            "created": now,
            "enqueued": now,
        }
        with self._engine.begin() as connection:
            connection.execute(insert(videos).values(**values))
            row = connection.execute(select(*_SHOWN).where(videos.c.id == values["id"])).one()
        return _video(row)

    def get(self, video: str) -> VideoRow | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(*_SHOWN).where(videos.c.id == video)).one_or_none()
        return None if row is None else _video(row)

    def document(self, video: str) -> str | None:
        """The JSON document of a judged video."""
        with self._engine.connect() as connection:
            return connection.execute(select(videos.c.document).where(videos.c.id == video)).scalar_one_or_none()

    def page(
        self,
        *,
        text: str = "",
        state: JobState | None = None,
        verdict: str | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> Page:
        """Videos whose name contains `text` (case ignored) or whose SHA-256 or identifier begins with it."""
        found: list[ColumnElement[bool]] = []
        if text:
            folded = text.casefold()
            found.append(
                or_(
                    videos.c.folded_name.contains(folded, autoescape=True),
                    videos.c.sha256.startswith(folded, autoescape=True),
                    videos.c.id.startswith(folded, autoescape=True),
                )
            )
        if state is not None:
            found.append(videos.c.state == state)
        if verdict is not None:
            found.append(videos.c.verdict == verdict)
        here = [*found, videos.c.number < before] if before is not None else found
        query = select(*_SHOWN).where(*here).order_by(videos.c.number.desc()).limit(limit + 1)
        with self._engine.connect() as connection:
            rows = [_video(row) for row in connection.execute(query)]
            total = connection.execute(select(func.count()).select_from(videos).where(*found)).scalar_one()
        more = len(rows) > limit
        rows = rows[:limit]
        return Page(tuple(rows), total, rows[-1].number if more else None)

    def newest(self) -> int:
        """Number of the latest video; they are numbered as they come."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.max(videos.c.number))).scalar_one() or 0)

    def changed(
        self, known: Mapping[str, int], limit: int, after: int | None = None
    ) -> tuple[list[VideoRow], list[str]]:
        """The unfinished videos, and what of `known` (identifier to revision) is new or gone.

        Args:
            after: finished ones with a higher number than this count too; None for none.

        Returns:
            rows: those whose revision is not the known one.
            gone: identifiers of `known` that are no longer there.
        """
        wanted = or_(videos.c.state.in_(UNFINISHED), videos.c.id.in_(list(known)))
        if after is not None:
            wanted = or_(wanted, videos.c.number > after)
        query = select(videos.c.id, videos.c.revision).where(wanted).order_by(videos.c.number).limit(limit)
        with self._engine.connect() as connection:
            revisions: dict[str, int] = {row.id: row.revision for row in connection.execute(query)}
            fresh = [video for video, revision in revisions.items() if known.get(video) != revision]
            rows = connection.execute(select(*_SHOWN).where(videos.c.id.in_(fresh)).order_by(videos.c.number)).all()
        return [_video(row) for row in rows], [video for video in known if video not in revisions]

    def delete(self, video: str) -> str | None:
        """Forget a video. Returns the SHA-256 of its file if no other row names that, an empty text if one does.

        None if there is no such video. A worker that is at it notices when it renews its lease.
        """
        with self._engine.begin() as connection:
            gone = connection.execute(
                delete(videos).where(videos.c.id == video).returning(videos.c.sha256)
            ).scalar_one_or_none()
            if gone is None:
                return None
            left = connection.execute(select(func.count()).where(videos.c.sha256 == gone)).scalar_one()
        return "" if left else str(gone)

    def waiting(self) -> int:
        """How many videos are queued."""
        return self.states().get(JobState.QUEUED, 0)

    def states(self) -> dict[JobState, int]:
        """How many videos there are in each state."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(videos.c.state, func.count()).group_by(videos.c.state)).all()
        return {JobState(state): count for state, count in rows}

    def oldest_waiting(self) -> float | None:
        """When the video that has been queued longest came in."""
        with self._engine.connect() as connection:
            return connection.execute(
                select(func.min(videos.c.created)).where(videos.c.state == JobState.QUEUED)
            ).scalar_one_or_none()

    def counters(self) -> dict[str, float]:
        """What has been counted since the database was made."""
        with self._engine.connect() as connection:
            return {name: value for name, value in connection.execute(select(counters.c.name, counters.c.value))}

    # What a worker does.

    def claim(self, video: str, lease_seconds: float) -> VideoRow | None:
        """Take a queued video; None if it is not queued any more."""
        now = time.time()
        claimed = self._change(
            videos.c.id == video,
            videos.c.state == JobState.QUEUED,
            state=JobState.RUNNING,
            lease=secrets.token_hex(16),
            lease_until=now + lease_seconds,
            started=now,
            attempts=videos.c.attempts + 1,
            progress=None,
        )
        return self.get(video) if claimed else None

    def renew(self, video: str, lease: str, lease_seconds: float, progress: dict[str, Any] | None) -> bool:
        """Keep a video for longer and tell of progress; False if it is no longer this worker's."""
        return self._change(
            *_held(video, lease), lease_until=time.time() + lease_seconds, progress=json.dumps(progress)
        )

    def finish(self, video: str, lease: str, finding: Finding) -> bool:
        """Store what was found; False if the video is no longer this worker's, and then nothing is stored."""
        with self._engine.begin() as connection:
            row = connection.execute(
                _ended(video, lease, JobState.DONE)
                .values(
                    verdict=finding.verdict,
                    probability=finding.probability,
                    held_back=finding.held_back,
                    score=finding.score,
                    faces=finding.faces,
                    model=finding.model,
                    document=finding.document,
                    attempt=lease,
                )
                .returning(videos.c.started)
            ).one_or_none()
            if row is None:
                return False
            _count(connection, f"verdict_{finding.verdict}", 1)
            _count(connection, "judging_seconds", time.time() - row.started)
        return True

    def fail(self, video: str, lease: str, failure: Mapping[str, str]) -> bool:
        """Store why a video could not be judged; False if it is no longer this worker's."""
        with self._engine.begin() as connection:
            done = connection.execute(
                _ended(video, lease, JobState.FAILED).values(failure=json.dumps(dict(failure)))
            ).rowcount
            if done:
                _count(connection, "failed", 1)
        return bool(done)

    def release(self, video: str, lease: str, *, counted: bool) -> bool:
        """Put a video back into the queue; `counted` says whether the attempt counts."""
        now = time.time()
        change: dict[str, Any] = {"state": JobState.QUEUED, "enqueued": now, **_NO_LEASE, "progress": None}
        if not counted:
            change["attempts"] = videos.c.attempts - 1
        return self._change(*_held(video, lease), **change)

    # What keeps a service in order.

    def expired(self) -> list[VideoRow]:
        """Running videos whose worker has let the lease run out."""
        query = select(*_SHOWN).where(videos.c.state == JobState.RUNNING, videos.c.lease_until < time.time())
        with self._engine.connect() as connection:
            return [_video(row) for row in connection.execute(query)]

    def queued_since(self, latest: float) -> list[str]:
        """Identifiers of videos that have been queued since `latest` or longer, the oldest first."""
        query = select(videos.c.id).where(videos.c.state == JobState.QUEUED, videos.c.enqueued <= latest)
        with self._engine.connect() as connection:
            return list(connection.execute(query.order_by(videos.c.number)).scalars())

    def finished_before(self, latest: float, limit: int = 1000) -> list[str]:
        """Identifiers of videos that were finished before `latest`."""
        query = select(videos.c.id).where(videos.c.finished < latest).order_by(videos.c.finished).limit(limit)
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def hashes(self) -> set[str]:
        """The SHA-256 of every video file that a row names."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(videos.c.sha256).distinct()).scalars())

    def identifiers(self) -> set[str]:
        with self._engine.connect() as connection:
            return set(connection.execute(select(videos.c.id)).scalars())

    def beat(self, worker: str, host: str, pid: int, slots: int) -> None:
        """A worker process says that it lives; those that have been silent for a day are forgotten."""
        now = time.time()
        with self._engine.begin() as connection:
            known = connection.execute(update(workers).where(workers.c.id == worker).values(seen=now)).rowcount
            if not known:
                connection.execute(insert(workers).values(id=worker, host=host, pid=pid, slots=slots, seen=now))
            connection.execute(delete(workers).where(workers.c.seen < now - 86_400))

    def leave(self, worker: str) -> None:
        """A worker process says that it ends."""
        with self._engine.begin() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker))

    def slots(self, seconds: float) -> int:
        """How many videos can be judged at a time by the workers that were heard of in the last `seconds`."""
        query = select(func.coalesce(func.sum(workers.c.slots), 0)).where(workers.c.seen > time.time() - seconds)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def _change(self, *which: ColumnElement[bool], **values: Any) -> bool:
        with self._engine.begin() as connection:
            statement = update(videos).where(*which).values(**values, revision=videos.c.revision + 1)
            return bool(connection.execute(statement).rowcount)


_NO_LEASE: Final[dict[str, Any]] = {"lease": None, "lease_until": None}


def _held(video: str, lease: str) -> tuple[ColumnElement[bool], ...]:
    return videos.c.id == video, videos.c.state == JobState.RUNNING, videos.c.lease == lease


def _ended(video: str, lease: str, state: JobState) -> Any:
    return (
        update(videos)
        .where(*_held(video, lease))
        .values(state=state, finished=time.time(), revision=videos.c.revision + 1, **_NO_LEASE)
    )


def _count(connection: Connection, name: str, by: float) -> None:
    known = connection.execute(
        update(counters).where(counters.c.name == name).values(value=counters.c.value + by)
    ).rowcount
    if not known:
        connection.execute(insert(counters).values(name=name, value=by))


def _video(row: Row[Any]) -> VideoRow:
    values = dict(row._mapping)
    for name in ("progress", "failure"):
        values[name] = None if values[name] is None else json.loads(values[name])
    values["state"] = JobState(values["state"])
    return VideoRow(**values)


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
        sqlite = address.get_backend_name() == "sqlite"
        options = {"connect_args": {"timeout": BUSY_SECONDS}} if sqlite else {"pool_pre_ping": True}
        engine = create_engine(address, **options)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ServiceError(
            "The address of the database is none that SQLAlchemy knows.",
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
    # Readers do not wait for the writer; a power cut may lose the last moments, never the file.
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _create(connection: Connection) -> None:
    _tables.create_all(connection)
    version = connection.execute(select(about.c.value).where(about.c.name == "schema")).scalar_one_or_none()
    if version is None:
        connection.execute(insert(about).values(name="schema", value=str(SCHEMA_VERSION)))
    elif version == "1":
        _add_held_back(connection)
    elif version != str(SCHEMA_VERSION):
        raise ServiceError(
            f"The database has layout {version}, and this version of lrnet knows layout {SCHEMA_VERSION}.",
            hint="Use the version of lrnet that made it, or give another database.",
        )


def _add_held_back(connection: Connection) -> None:
    """Layout 1 to 2: the column, filled from the documents of verdicts that can be held back."""
    connection.execute(sql("ALTER TABLE videos ADD COLUMN held_back BOOLEAN"))
    doubtful = select(videos.c.number, videos.c.document).where(videos.c.verdict == State.INCONCLUSIVE)
    for number, document in connection.execute(doubtful).all():
        codes = {reason["code"] for reason in json.loads(document)["verdict"]["reasons"]}
        held = is_held_back(State.INCONCLUSIVE, [reason for reason in Reason if reason in codes])
        connection.execute(update(videos).where(videos.c.number == number).values(held_back=held))
    connection.execute(update(about).where(about.c.name == "schema").values(value="2"))


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store that is closed at the end of the block."""
    store = Store(url)
    try:
        yield store
    finally:
        store.close()
